//! What the simulator costs: starting a cluster, statements over both wire protocols, idle
//! connections.
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

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        start_of_sixteen_instances().await?;
        for engine in [EngineKind::Postgres, EngineKind::MySql] {
            statements(engine).await?;
            idle_connections(engine).await?;
        }
        Ok(())
    })
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
    let mut sockets = Vec::new();
    // What the first ones allocate for all is no cost of a connection.
    for _ in 0..8 {
        sockets.push(Client::connect(&cluster).await?);
    }
    let before = resident_kib()?;
    for _ in 0..IDLE_CONNECTIONS {
        sockets.push(Client::connect(&cluster).await?);
    }
    let mebibytes = (resident_kib()? - before) / 1024.0;
    println!(
        "{engine}, {IDLE_CONNECTIONS} idle connections: {mebibytes:.1} MiB with their clients' ends \
         (goal 30 MiB)"
    );
    drop(sockets);
    cluster.stop().await;
    Ok(())
}

fn resident_kib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
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
        let writer = cluster.writer().context("no writer")?;
        let address = cluster.address_of(&writer).context("no address")?;
        match cluster.engine() {
            EngineKind::Postgres => {
                let mut config = tokio_postgres::Config::new();
                config
                    .host(address.to_string())
                    .port(cluster.port())
                    .user(cluster.user())
                    .password(cluster.password())
                    .dbname(cluster.database());
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
