//! The flags, and the file that may stand for them. A flag goes before the file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aurora_driver::sim::{Script, SimCluster, SimClusterBuilder, Timeline, Tls};
use aurora_driver::{EngineKind, InstanceId};
use clap::{Parser, ValueEnum};
use serde::Deserialize;

/// Any client may come, and some accept no fewer.
const SCRAM_ITERATIONS: usize = 4_096;
/// Where the control API listens if nothing else is said.
const CONTROL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// What is to be started.
pub(crate) struct Wish {
    pub(crate) builder: SimClusterBuilder,
    pub(crate) control: SocketAddr,
    pub(crate) ready_file: Option<PathBuf>,
    /// Readers that lag from the start.
    pub(crate) lags: Vec<(InstanceId, Duration)>,
    /// What is to happen once it runs.
    pub(crate) play: Option<Script>,
    /// What is run on the writer first.
    pub(crate) sql: Option<String>,
}

/// Run a simulated Aurora cluster until Ctrl-C, with a web page and an API to disturb it.
#[derive(Debug, Parser)]
#[command(name = "aurora-sim", version)]
struct Flags {
    /// A TOML file with the same words as the flags (`cluster_id` for --cluster-id), and
    /// `[[instance]]` with id, address and tier, `[[user]]` with name and password.
    file: Option<PathBuf>,
    /// The engine, and so the wire protocol: postgres or mysql [default: postgres].
    #[arg(long)]
    engine: Option<EngineKind>,
    /// How many readers the cluster has, 0 to 15 [default: 2].
    #[arg(long)]
    readers: Option<usize>,
    /// The TCP port of every instance; 0 lets the system choose [default: 0].
    #[arg(long)]
    port: Option<u16>,
    /// The port of the DNS server on 127.0.0.1, UDP and TCP; 0 lets the system choose [default: 0].
    #[arg(long)]
    dns_port: Option<u16>,
    /// Where the control API and the page listen [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS:PORT")]
    control: Option<SocketAddr>,
    /// The first part of the endpoints' names [default: demo].
    #[arg(long)]
    cluster_id: Option<String>,
    /// What the names end in, such as abc123xyz.us-east-1.rds.amazonaws.com.
    #[arg(long)]
    domain: Option<String>,
    /// Names and places an instance, such as 21@127.0.0.21; the first one is the writer, and
    /// --readers no longer counts.
    #[arg(long, value_name = "NAME@ADDRESS", value_parser = placed)]
    instance: Vec<Placed>,
    /// The user who may log in [default: app].
    #[arg(long)]
    user: Option<String>,
    /// That user's password [default: app].
    #[arg(long)]
    password: Option<String>,
    /// The name of the database [default: app].
    #[arg(long)]
    database: Option<String>,
    /// How long a failover takes: some 0.3 s, or the seconds of a real cluster [default: fast].
    #[arg(long)]
    timeline: Option<Pace>,
    /// Whether the instances offer TLS, or insist on it [default: off].
    #[arg(long)]
    tls: Option<Encryption>,
    /// How many seconds a backtrack can go back (MySQL) [default: not at all].
    #[arg(long, value_name = "SECONDS")]
    backtrack_window: Option<u64>,
    /// How many connections an instance takes before it answers 1040 or 53300 [default: no limit].
    #[arg(long, value_name = "COUNT")]
    max_connections: Option<usize>,
    /// SQL to run on the writer before anybody is let know that it runs.
    #[arg(long, value_name = "FILE")]
    sql_file: Option<PathBuf>,
    /// A timeline file to play once it runs: what happens to the cluster, and when.
    #[arg(long, value_name = "FILE")]
    play: Option<PathBuf>,
    /// Fixes the simulator's random choices [default: 1].
    #[arg(long)]
    seed: Option<u64>,
    /// This file is written when all listeners accept; the control API's URL is in it.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pace {
    Fast,
    Aurora,
}

#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encryption {
    Off,
    Optional,
    Required,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    id: String,
    address: Ipv4Addr,
    tier: Option<u8>,
    lag_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    name: String,
    password: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    engine: Option<String>,
    readers: Option<usize>,
    port: Option<u16>,
    dns_port: Option<u16>,
    control: Option<SocketAddr>,
    cluster_id: Option<String>,
    domain: Option<String>,
    instance: Vec<Placed>,
    user: Vec<Login>,
    database: Option<String>,
    timeline: Option<Pace>,
    tls: Option<Encryption>,
    backtrack_window: Option<u64>,
    max_connections: Option<usize>,
    sql: Option<String>,
    sql_file: Option<PathBuf>,
    play: Option<PathBuf>,
    seed: Option<u64>,
}

/// Reads the command line; clap ends the program when it is wrong.
pub(crate) fn read() -> Result<Wish, String> {
    let mut flags = Flags::parse();
    let mut file = flags.file.as_deref().map_or(Ok(File::default()), load)?;
    let sql = initial_sql(
        flags.sql_file.take().or(file.sql_file.take()),
        file.sql.take(),
    )?;
    let play = flags.play.take().or(file.play.take());
    let play = play.map(Script::load).transpose();
    let play = play.map_err(|error| error.to_string())?;
    let control = flags.control.or(file.control).unwrap_or(CONTROL);
    let ready_file = flags.ready_file.take();
    let placed = match flags.instance.is_empty() {
        true => std::mem::take(&mut file.instance),
        false => std::mem::take(&mut flags.instance),
    };
    let lags = placed.iter().filter_map(|placed| {
        let lag = Duration::from_millis(placed.lag_ms?);
        Some((InstanceId::from(placed.id.as_str()), lag))
    });
    let lags = lags.collect();
    let mut builder = builder(flags, file)?;
    for Placed {
        id, address, tier, ..
    } in placed
    {
        if let Some(tier) = tier {
            builder = builder.promotion_tier(id.as_str(), tier);
        }
        builder = builder.instance(id, address);
    }
    Ok(Wish {
        builder,
        play,
        lags,
        sql,
        control,
        ready_file,
    })
}

/// The cluster but for its instances' names and places.
fn builder(flags: Flags, file: File) -> Result<SimClusterBuilder, String> {
    let engine = match (flags.engine, &file.engine) {
        (Some(engine), _) => engine,
        (None, Some(name)) => name
            .parse()
            .map_err(|_| format!("engine `{name}`: write postgres or mysql"))?,
        (None, None) => EngineKind::Postgres,
    };
    let mut builder = SimCluster::builder(engine)
        .readers(flags.readers.or(file.readers).unwrap_or(2))
        .port(flags.port.or(file.port).unwrap_or(0))
        .dns_port(flags.dns_port.or(file.dns_port).unwrap_or(0))
        .seed(flags.seed.or(file.seed).unwrap_or(1))
        .timeline(timeline(engine, flags.timeline.or(file.timeline)))
        .scram_iterations(SCRAM_ITERATIONS)
        .tls(match flags.tls.or(file.tls) {
            Some(Encryption::Optional) => Tls::Optional,
            Some(Encryption::Required) => Tls::Required,
            Some(Encryption::Off) | None => Tls::Off,
        });
    if let Some(seconds) = flags.backtrack_window.or(file.backtrack_window) {
        builder = builder.backtrack_window(Duration::from_secs(seconds));
    }
    if let Some(count) = flags.max_connections.or(file.max_connections) {
        builder = builder.max_connections(count);
    }
    if let Some(id) = flags.cluster_id.or(file.cluster_id) {
        builder = builder.cluster_id(id);
    }
    if let Some(domain) = flags.domain.or(file.domain) {
        builder = builder.domain(domain);
    }
    if let Some(database) = flags.database.or(file.database) {
        builder = builder.database(database);
    }
    if flags.user.is_some() || flags.password.is_some() {
        let or_app = |text: Option<String>| text.unwrap_or_else(|| "app".into());
        builder = builder.user(or_app(flags.user), or_app(flags.password));
    }
    for login in file.user {
        builder = builder.user(login.name, login.password);
    }
    Ok(builder)
}

fn initial_sql(file: Option<PathBuf>, text: Option<String>) -> Result<Option<String>, String> {
    let Some(path) = file else { return Ok(text) };
    if text.is_some() {
        return Err("`sql` and `sql_file` together: use one of them".to_owned());
    }
    let name = path.display();
    let read = std::fs::read_to_string(&path);
    read.map(Some)
        .map_err(|error| format!("the SQL file {name} cannot be read: {error}"))
}

fn load(path: &Path) -> Result<File, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the file {name} cannot be read: {error}; name a TOML file"))?;
    // Why only the message: the whole error shows the line, and a password may stand in it.
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| {
            let before = text.get(..span.start).unwrap_or("");
            before.matches('\n').count() + 1
        });
        let message = error.message();
        format!("{name}, line {line}: {message}; see aurora-sim --help for the words")
    })
}

fn timeline(engine: EngineKind, pace: Option<Pace>) -> Timeline {
    match (pace.unwrap_or(Pace::Fast), engine) {
        (Pace::Fast, _) => Timeline::fast(),
        (Pace::Aurora, EngineKind::Postgres) => Timeline::aurora_postgres(),
        (Pace::Aurora, EngineKind::MySql) => Timeline::aurora_mysql(),
    }
}

fn placed(text: &str) -> Result<Placed, String> {
    let (name, address) = text
        .split_once('@')
        .ok_or("expected NAME@ADDRESS, such as 21@127.0.0.21")?;
    let address = address
        .parse()
        .map_err(|_| format!("`{address}` is no IPv4 address"))?;
    Ok(Placed {
        id: name.to_owned(),
        address,
        tier: None,
        lag_ms: None,
    })
}
