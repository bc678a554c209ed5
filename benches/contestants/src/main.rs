//! The pools that Rust applications use today, on the cluster's endpoints and with their own default
//! settings, under the load of the failover suite. `cargo bench --bench failover` builds and starts it.
//!
//! Each names the cluster endpoint for writes and the reader endpoint for reads, as their users do; the
//! names are resolved by the operating system at each connect. After a failed call a task goes on with
//! its next number: these clients do not say whether a statement may have been applied.

#[path = "../../failover/load.rs"]
mod load;
mod mysql;
mod postgres;

use std::collections::HashMap;

use anyhow::Context;
use load::Size;

/// Where the cluster is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) writer: String,
    pub(crate) reader: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags: Vec<String> = std::env::args().skip(1).collect();
    let flags: HashMap<&str, &str> = flags
        .chunks_exact(2)
        .map(|pair| (pair[0].as_str(), pair[1].as_str()))
        .collect();
    let flag = |name: &str| {
        flags
            .get(name)
            .copied()
            .with_context(|| format!("{name} is missing"))
    };
    let place = Place {
        writer: flag("--endpoint")?.to_owned(),
        reader: flag("--reader-endpoint")?.to_owned(),
        port: flag("--port")?.parse()?,
        user: flag("--user")?.to_owned(),
        password: flag("--password")?.to_owned(),
        database: flag("--database")?.to_owned(),
    };
    let size = Size {
        writers: flag("--writers")?.parse()?,
        readers: flag("--readers")?.parse()?,
    };
    match (flag("--contestant")?, flag("--engine")?) {
        ("deadpool-postgres", "postgres") => {
            load::run(postgres::Deadpool::new(&place)?, size).await?
        }
        ("sqlx", "postgres") => load::run(postgres::Sqlx::new(&place), size).await?,
        ("sqlx", "mysql") => load::run(mysql::Sqlx::new(&place), size).await?,
        ("mysql_async", "mysql") => load::run(mysql::Async::new(&place), size).await?,
        (contestant, engine) => anyhow::bail!("{contestant} does not speak {engine}"),
    }
    load::end()?;
    // Calls that hang would keep the runtime from ending.
    std::process::exit(0)
}
