//! Opens a connection: socket, TLS, login, and the task that drives the protocol.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Client;
use super::explain;
use super::link::Link;
use super::tracker::{Tracked, TrackedTls};
use crate::engine::{Dial, Failure, socket};
use crate::error::{Error, ErrorKind};
use crate::task::Spawner;
use crate::topology::observation::Fault;

/// The name of the task behind each connection, in what `Cluster::close` reports.
const TASK: &str = "postgres-connection";

pub(super) async fn connect(dial: Dial) -> Result<Client, Failure> {
    let what = format!(
        "{}:{} did not let us in within the time given",
        dial.host, dial.port
    );
    match tokio::time::timeout_at(dial.deadline, log_in(&dial)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::timed_out(what)),
    }
}

async fn log_in(dial: &Dial) -> Result<Client, Failure> {
    let refused = |error: Error| Failure {
        fault: Fault::LoginRefused,
        error,
    };
    let credentials = &dial.config.credentials;
    let password = credentials
        .password_for(&dial.host, dial.port)
        .await
        .map_err(refused)?;
    let mut login = tokio_postgres::Config::new();
    login.user(credentials.user());
    if let Some(password) = &password {
        login.password(password.expose_secret());
    }
    if let Some(database) = &dial.config.database {
        login.dbname(database);
    }
    if let Some(name) = &dial.config.application_name {
        login.application_name(name);
    }
    let options = session_options(dial.config.settings.iter());
    if !options.is_empty() {
        login.options(&options);
    }
    let stream = socket::open(&dial.addresses, dial.port, dial.deadline).await?;
    let link = Arc::new(Link::new(dial.reporter.clone()));
    match dial.tls.client_config() {
        None => plain(login, stream, link, &dial.spawner).await,
        Some(_) => over_tls(login, stream, link, dial).await,
    }
}

async fn plain(
    mut login: tokio_postgres::Config,
    stream: TcpStream,
    link: Arc<Link>,
    spawner: &Spawner,
) -> Result<Client, Failure> {
    login.ssl_mode(SslMode::Disable);
    let stream = Tracked::new(stream, Arc::clone(&link));
    let (client, connection) = login
        .connect_raw(stream, NoTls)
        .await
        .map_err(|error| explain::login_failure(error, &link))?;
    spawner.spawn(TASK, drive(connection, Arc::clone(&link)));
    Ok(Client::new(client, link))
}

async fn over_tls(
    mut login: tokio_postgres::Config,
    stream: TcpStream,
    link: Arc<Link>,
    dial: &Dial,
) -> Result<Client, Failure> {
    let Some(client_config) = dial.tls.client_config() else {
        return plain(login, stream, link, &dial.spawner).await;
    };
    login.ssl_mode(SslMode::Require);
    let mut maker = MakeRustlsConnect::new(client_config.clone());
    let connector =
        MakeTlsConnect::<TcpStream>::make_tls_connect(&mut maker, &dial.host).map_err(|error| {
            Failure {
                fault: Fault::Other,
                error: Error::new(
                    ErrorKind::Config,
                    format!(
                        "`{}` cannot be verified in a certificate: give a host name",
                        dial.host
                    ),
                )
                .with_source(error),
            }
        })?;
    let tracked = TrackedTls {
        connector,
        link: Arc::clone(&link),
    };
    let (client, connection) = login
        .connect_raw(stream, tracked)
        .await
        .map_err(|error| explain::login_failure(error, &link))?;
    dial.spawner
        .spawn(TASK, drive(connection, Arc::clone(&link)));
    Ok(Client::new(client, link))
}

/// Drives the protocol until the connection ends: by the server, by its client being dropped, or
/// because its whole generation is ended. Dropping the native connection closes the socket, and
/// every call on it returns at once.
async fn drive<S, T>(connection: Connection<S, T>, link: Arc<Link>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let _end = SayEnd(&link);
    let result = tokio::select! {
        biased;
        () = link.reporter().generation_end().ended() => return link.condemn(),
        () = link.abandoned() => return link.condemn(),
        result = connection => result,
    };
    let cause = match result {
        Ok(()) => "the server closed it".to_owned(),
        Err(error) => match error.as_db_error() {
            Some(answer) => format!("{}, code {}", answer.message(), answer.code().code()),
            None => error.to_string(),
        },
    };
    // First the news: it is held back for a connection already condemned.
    link.lost();
    link.ended(cause);
}

/// Leaves a cause behind when the task itself is ended.
struct SayEnd<'a>(&'a Link);

impl Drop for SayEnd<'_> {
    fn drop(&mut self) {
        self.0.ended("the cluster handle was closed".to_owned());
    }
}

/// Settings as the startup packet's `options` takes them, `-c name=value` each (PostgreSQL
/// manual, section 20.1.4); spaces and backslashes escaped.
fn session_options<'a>(settings: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace(' ', "\\ ");
    settings
        .map(|(name, value)| format!("-c {}={}", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .join(" ")
}
