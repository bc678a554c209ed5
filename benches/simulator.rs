//! What the simulator costs: starting a cluster, statements over both wire protocols, idle
//! connections, failovers in virtual time.
//!
//! ```text
//! cargo bench --bench simulator
//! ```
//!
//! Each line ends with its goal. Client and server share the process and its processors, so the
//! rates are what a test gets that runs both.

use std::time::{Duration, Instant};

use anyhow::Context;
use aurora_driver::EngineKind;
use aurora_driver::sim::SimCluster;
use aurora_driver::sim::direct::virtual_failover;
use mysql_async::prelude::Queryable;
use tokio::task::JoinSet;

/// The clients of a measurement of statements.
const CONNECTIONS: usize = 8;
/// The rows that point selects choose from.
const ROWS: i64 = 1000;
/// How long each rate is measured; long enough that the first second's warming up counts little.
const MEASURED: Duration = Duration::from_secs(3);
const IDLE_CONNECTIONS: usize = 200;
const STARTS: usize = 9;
const VIRTUAL_FAILOVERS: u32 = 1000;
/// Names the engine to a process that measures nothing but idle connections.
const IDLE_OF: &str = "IDLE_CONNECTIONS_OF";

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if let Ok(engine) = std::env::var(IDLE_OF) {
        let engine = engine.parse::<EngineKind>().map_err(anyhow::Error::msg)?;
        return runtime.block_on(idle_connections(engine));
    }
    virtual_failovers()?;
    runtime.block_on(start_of_sixteen_instances())?;
    for engine in [EngineKind::Postgres, EngineKind::MySql] {
        runtime.block_on(statements(engine))?;
        // In a process of its own, as memory that was freed before would be used again for nothing.
        let child = std::process::Command::new(std::env::current_exe()?)
            .env(IDLE_OF, engine.name())
            .status()?;
        anyhow::ensure!(
            child.success(),
            "the measurement of idle connections failed"
        );
    }
    Ok(())
}

/// The driver through failovers in virtual time, each checked for lost and doubled writes.
fn virtual_failovers() -> anyhow::Result<()> {
    let began = Instant::now();
    let mut outage = Duration::ZERO;
    for seed in 0..u64::from(VIRTUAL_FAILOVERS) {
        let paused = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let report = virtual_failover(paused, seed).map_err(|violation| {
            anyhow::anyhow!(
                "seed {seed}: {violation}; replay it with \
                 `AURORA_SIM_SEED={seed} cargo test --lib sim::direct`"
            )
        })?;
        outage += report.outage;
    }
    println!(
        "{VIRTUAL_FAILOVERS} virtual failovers with 4 clients: {:.1} s, mean outage {:.1} s of \
         virtual time (goal 10 s)",
        began.elapsed().as_secs_f64(),
        (outage / VIRTUAL_FAILOVERS).as_secs_f64(),
    );
    Ok(())
}

async fn start_of_sixteen_instances() -> anyhow::Result<()> {
    let mut times = Vec::new();
    for seed in 0..STARTS {
        let began = Instant::now();
        let cluster = SimCluster::builder(EngineKind::Postgres)
            .readers(15)
            .seed(seed as u64)
            .start()
            .await?;
        times.push(began.elapsed());
        cluster.stop().await;
    }
    times.sort();
    let median = times[STARTS / 2].as_secs_f64() * 1000.0;
    let worst = times[STARTS - 1].as_secs_f64() * 1000.0;
    println!(
        "start of a writer and 15 readers: median {median:.1} ms, worst {worst:.1} ms (goal 250 ms)"
    );
    Ok(())
}

async fn statements(engine: EngineKind) -> anyhow::Result<()> {
    let cluster = SimCluster::builder(engine).readers(0).start().await?;
    let mut first = Client::connect(&cluster).await?;
    first
        .run("CREATE TABLE items (id bigint PRIMARY KEY, name varchar(40) NOT NULL)")
        .await?;
    for id in 0..ROWS {
        first
            .run(&format!("INSERT INTO items VALUES ({id}, 'item {id}')"))
            .await?;
    }
    let selects = rate(&cluster, Work::Select).await?;
    let inserts = rate(&cluster, Work::Insert).await?;
    // The goals over MySQL are half of those over PostgreSQL.
    let (select_goal, insert_goal) = match engine {
        EngineKind::Postgres => (10_000, 4_000),
        _ => (5_000, 2_000),
    };
    println!(
        "{engine}, {CONNECTIONS} connections: {selects:.0} point selects/s (goal {select_goal}), \
         {inserts:.0} autocommit inserts/s (goal {insert_goal})"
    );
    cluster.stop().await;
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Select,
    Insert,
}

/// Statements per second of all connections together.
async fn rate(cluster: &SimCluster, work: Work) -> anyhow::Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(cluster).await?);
    }
    let began = Instant::now();
    let mut running = JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        running.spawn(async move {
            let mut done: i64 = 0;
            while began.elapsed() < MEASURED {
                match work {
                    Work::Select => client.select((number as i64 * 131 + done) % ROWS).await?,
                    Work::Insert => {
                        client
                            .insert(ROWS + done * CONNECTIONS as i64 + number as i64)
                            .await?;
                    }
                }
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut total = 0;
    while let Some(done) = running.join_next().await {
        total += done??;
    }
    Ok(total as f64 / began.elapsed().as_secs_f64())
}

async fn idle_connections(engine: EngineKind) -> anyhow::Result<()> {
    let cluster = SimCluster::builder(engine).readers(0).start().await?;
    let mut idle = Vec::new();
    // What the first ones allocate for all is no cost of a connection.
    for _ in 0..8 {
        idle.push(Idle::connect(&cluster).await?);
    }
    let before = resident_kib()?;
    for _ in 0..IDLE_CONNECTIONS {
        idle.push(Idle::connect(&cluster).await?);
    }
    let mebibytes = (resident_kib()? - before) / 1024.0;
    println!("{engine}, {IDLE_CONNECTIONS} idle connections: {mebibytes:.1} MiB (goal 30 MiB)");
    drop(idle);
    cluster.stop().await;
    Ok(())
}

/// A logged-in connection of which the client keeps as little as it can.
enum Idle {
    /// The socket alone: `tokio-postgres` logged in on a copy of it and was then dropped.
    Postgres { _socket: std::net::TcpStream },
    /// `mysql_async` cannot be parted from its socket: its memory counts too.
    MySql { _client: Client },
}

impl Idle {
    async fn connect(cluster: &SimCluster) -> anyhow::Result<Self> {
        if cluster.engine() == EngineKind::MySql {
            let client = Client::connect(cluster).await?;
            return Ok(Self::MySql { _client: client });
        }
        let (config, address) = postgres_config(cluster)?;
        let socket = tokio::net::TcpStream::connect((address, cluster.port())).await?;
        let socket = socket.into_std()?;
        let copy = tokio::net::TcpStream::from_std(socket.try_clone()?)?;
        drop(config.connect_raw(copy, tokio_postgres::NoTls).await?);
        Ok(Self::Postgres { _socket: socket })
    }
}

fn postgres_config(
    cluster: &SimCluster,
) -> anyhow::Result<(tokio_postgres::Config, std::net::Ipv4Addr)> {
    let writer = cluster.writer().context("no writer")?;
    let address = cluster.address_of(&writer).context("no address")?;
    let mut config = tokio_postgres::Config::new();
    config
        .host(address.to_string())
        .port(cluster.port())
        .user(cluster.user())
        .password(cluster.password())
        .dbname(cluster.database());
    Ok((config, address))
}

/// The process's own memory; pages of the volume, which all connections map, are the file's.
fn resident_kib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib
        .context("this system does not tell a process's memory")?
        .parse()?)
}

/// A bare client of one engine; what it sends often is prepared once.
enum Client {
    Postgres {
        client: tokio_postgres::Client,
        select: Option<tokio_postgres::Statement>,
        insert: Option<tokio_postgres::Statement>,
    },
    MySql(mysql_async::Conn),
}

const SELECT: &str = "SELECT name FROM items WHERE id = ";
const INSERT: &str = "INSERT INTO items (id, name) VALUES ";

impl Client {
    async fn connect(cluster: &SimCluster) -> anyhow::Result<Self> {
        let (config, address) = postgres_config(cluster)?;
        match cluster.engine() {
            EngineKind::Postgres => {
                let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
                tokio::spawn(connection);
                Ok(Self::Postgres {
                    client,
                    select: None,
                    insert: None,
                })
            }
            _ => {
                let options = mysql_async::OptsBuilder::default()
                    .ip_or_hostname(address.to_string())
                    .tcp_port(cluster.port())
                    .prefer_socket(false)
                    .user(Some(cluster.user()))
                    .pass(Some(cluster.password()))
                    .db_name(Some(cluster.database()));
                Ok(Self::MySql(mysql_async::Conn::new(options).await?))
            }
        }
    }

    async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        match self {
            Self::Postgres { client, .. } => client.batch_execute(sql).await?,
            Self::MySql(connection) => connection.query_drop(sql).await?,
        }
        Ok(())
    }

    async fn select(&mut self, id: i64) -> anyhow::Result<()> {
        let name: Option<String> = match self {
            Self::Postgres { client, select, .. } => {
                let statement = match select {
                    Some(statement) => statement,
                    None => select.insert(client.prepare(&format!("{SELECT}$1")).await?),
                };
                Some(client.query_one(&*statement, &[&id]).await?.get(0))
            }
            Self::MySql(connection) => connection.exec_first(format!("{SELECT}?"), (id,)).await?,
        };
        anyhow::ensure!(
            name == Some(format!("item {id}")),
            "a wrong answer: {name:?}"
        );
        Ok(())
    }

    async fn insert(&mut self, id: i64) -> anyhow::Result<()> {
        let name = format!("item {id}");
        match self {
            Self::Postgres { client, insert, .. } => {
                let statement = match insert {
                    Some(statement) => statement,
                    None => insert.insert(client.prepare(&format!("{INSERT}($1, $2)")).await?),
                };
                client.execute(&*statement, &[&id, &name]).await?;
            }
            Self::MySql(connection) => {
                connection
                    .exec_drop(format!("{INSERT}(?, ?)"), (id, name))
                    .await?;
            }
        }
        Ok(())
    }
}
