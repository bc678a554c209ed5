//! What is printed when the cluster runs: names, places, and lines to paste.

use std::fmt::Write;
use std::net::SocketAddr;

use aurora_driver::EngineKind;
use aurora_driver::sim::SimCluster;

pub(crate) fn text(cluster: &SimCluster, control: SocketAddr) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, cluster, control);
    text
}

fn write_all(
    text: &mut String,
    cluster: &SimCluster,
    control: SocketAddr,
) -> Result<(), std::fmt::Error> {
    writeln!(text, "A simulated Aurora cluster is running.\n")?;
    writeln!(text, "  our driver        {}", cluster.url())?;
    writeln!(text, "  cluster endpoint  {}", cluster.cluster_endpoint())?;
    writeln!(text, "  reader endpoint   {}", cluster.reader_endpoint())?;
    writeln!(text, "  DNS server        {}", cluster.dns_address())?;
    writeln!(text, "  control and page  http://{control}\n")?;
    let instances = cluster.instances();
    for instance in &instances {
        writeln!(text, "  {} ({})", instance.id, instance.role)?;
        writeln!(
            text,
            "      {}",
            command_line(cluster, &instance.address.to_string())
        )?;
    }
    writeln!(text, "\nWithout that DNS, as lines of a hosts file:\n")?;
    for instance in &instances {
        let name = cluster.instance_endpoint(instance.id.clone());
        writeln!(text, "  {} {name}", instance.address)?;
    }
    if !control.ip().is_loopback() {
        writeln!(
            text,
            "\nWarning: {control} is not a loopback address, and the control API has no login: \
             whoever reaches it may disturb the cluster. Use --control 127.0.0.1:{}.",
            control.port()
        )?;
    }
    writeln!(text, "\nCtrl-C ends it.\n")
}

fn command_line(cluster: &SimCluster, address: &str) -> String {
    let (user, password) = (cluster.user(), cluster.password());
    let (port, database) = (cluster.port(), cluster.database());
    match cluster.engine() {
        EngineKind::Postgres => {
            let mode = match cluster.ca_file() {
                Some(file) => format!("verify-full sslrootcert={}", word(&file.to_string_lossy())),
                None => "disable".to_owned(),
            };
            let line = format!(
                "host={address} port={port} user={} password={} dbname={} sslmode={mode}",
                word(user),
                word(password),
                word(database)
            );
            format!("psql {}", quoted(&line))
        }
        EngineKind::MySql => {
            let mode = match cluster.ca_file() {
                Some(file) => format!(
                    "--ssl-verify-server-cert --ssl-ca={}",
                    quoted(&file.to_string_lossy())
                ),
                None => "--skip-ssl".to_owned(),
            };
            format!(
                "mariadb {mode} -h {address} -P {port} -u {} {} {}",
                quoted(user),
                quoted(&format!("-p{password}")),
                quoted(database)
            )
        }
    }
}

/// A value of a libpq connection string (PostgreSQL documentation, 32.1.1.1).
fn word(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A word of a POSIX shell's command line.
fn quoted(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
}
