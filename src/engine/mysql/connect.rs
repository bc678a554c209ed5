//! Opens a connection: addresses, TLS, login.

use std::collections::HashMap;

use mysql_async::{Conn, OptsBuilder, SslOpts};
use secrecy::ExposeSecret;

use super::{Client, explain};
use crate::engine::{Dial, Failure, socket};
use crate::error::{Error, ErrorKind};
use crate::time;
use crate::topology::observation::Fault;

/// What the client may send at once; the server's own limit may be lower. MySQL's default.
const MAX_ALLOWED_PACKET: usize = 64 * 1024 * 1024;

/// MySQL's default `wait_timeout` in seconds. Named, as `mysql_async` would otherwise ask for it
/// with an extra round trip at every connect; our pools close idle connections long before.
const WAIT_TIMEOUT_SECS: usize = 28_800;

pub(super) async fn connect(dial: Dial) -> Result<Client, Failure> {
    match tokio::time::timeout_at(dial.deadline, log_in(&dial)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::timed_out(format!(
            "{}:{} did not let us in within the time given",
            dial.host, dial.port
        ))),
    }
}

async fn log_in(dial: &Dial) -> Result<Client, Failure> {
    let config = &dial.config;
    let password = config
        .credentials
        .password_for(&dial.host, dial.port)
        .await
        .map_err(|error| Failure {
            fault: Fault::LoginRefused,
            error,
        })?;
    let mut options = OptsBuilder::default()
        .ip_or_hostname(&*dial.host)
        // The socket goes here, while TLS verifies the name above.
        .resolved_ips(Some(dial.addresses.to_vec()))
        .tcp_port(dial.port)
        .user(Some(config.credentials.user()))
        .pass(password.as_ref().map(ExposeSecret::expose_secret))
        .db_name(config.database.as_deref())
        .tcp_nodelay(true)
        .tcp_keepalive(Some(socket::KEEPALIVE_IDLE_PERIOD))
        // With a unix socket preferred, loopback connections would be made twice.
        .prefer_socket(false)
        .max_allowed_packet(Some(MAX_ALLOWED_PACKET))
        .wait_timeout(Some(WAIT_TIMEOUT_SECS))
        .setup(session_settings(config.settings.iter()));
    if let Some(name) = &config.application_name {
        options =
            options.connect_attributes(HashMap::from([("program_name".to_owned(), name.clone())]));
    }
    if let Some(roots) = dial.tls.roots_pem() {
        // A token or password in clear text is sent only where TLS protects it.
        options = options.enable_cleartext_plugin(true).ssl_opts(
            SslOpts::default()
                .with_root_certs(vec![roots.to_vec().into()])
                .with_disable_built_in_roots(true),
        );
    }
    let began = time::now();
    match Conn::new(options).await {
        Ok(native) => Ok(Client::new(native, dial.reporter.clone())),
        Err(error) => {
            let mut failure = explain::login_failure(error);
            if failure.error.kind() == ErrorKind::ConnectionLost {
                failure.error = Error::new(
                    ErrorKind::Connect,
                    format!(
                        "cannot connect to {}:{} (tried for {:?})",
                        dial.host,
                        dial.port,
                        time::now() - began
                    ),
                )
                .with_source(failure.error);
            }
            Err(failure)
        }
    }
}

/// Session system variables, set after each login. The value is quoted, as it is the
/// application's and no SQL.
fn session_settings<'a>(settings: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<String> {
    settings
        .map(|(name, value)| {
            let name = name.replace('`', "``");
            let number = value.parse::<f64>().is_ok();
            let value = if number {
                value.clone()
            } else {
                format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
            };
            format!("SET SESSION `{name}` = {value}")
        })
        .collect()
}
