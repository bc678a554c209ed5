//! Keeps a simulated Aurora cluster running until Ctrl-C, for any client to connect to.
//!
//! ```text
//! cargo run --example simulated_cluster -- --engine postgres
//! ```
//!
//! Enter crashes the writer; `crash ID`, `failover` and `failover ID` say what else may happen.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use aurora_driver::sim::{SimCluster, Timeline};
use aurora_driver::{EngineKind, InstanceId};
use clap::Parser;
use tokio::sync::mpsc;

/// How often the cluster is looked at for news to print.
const NEWS_INTERVAL: Duration = Duration::from_millis(50);

/// Run a simulated Aurora cluster and crash its writer at will.
#[derive(Debug, Parser)]
struct Arguments {
    /// The engine, and so the wire protocol: postgres or mysql.
    #[arg(long, default_value = "postgres")]
    engine: EngineKind,
    /// How many readers the cluster has, 0 to 15.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=15))]
    readers: u8,
    /// The TCP port of every instance; 0 lets the system choose one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Names and places an instance, such as `21@127.0.0.21`; the first one is the writer, and
    /// `--readers` no longer counts.
    #[arg(long, value_name = "NAME@ADDRESS", value_parser = placed)]
    instance: Vec<(String, Ipv4Addr)>,
    /// Fixes the simulator's random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Let a failover take the seconds of a real cluster instead of some 0.3 s.
    #[arg(long)]
    slow: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let timeline = match (arguments.slow, arguments.engine) {
        (false, _) => Timeline::fast(),
        (true, EngineKind::Postgres) => Timeline::aurora_postgres(),
        (true, EngineKind::MySql) => Timeline::aurora_mysql(),
    };
    let mut builder = SimCluster::builder(arguments.engine)
        .readers(usize::from(arguments.readers))
        .timeline(timeline)
        // Any client may come, and some accept no fewer.
        .scram_iterations(4_096)
        .seed(arguments.seed)
        .port(arguments.port);
    for (name, address) in arguments.instance {
        builder = builder.instance(name, address);
    }
    let cluster = builder
        .start()
        .await
        .context("the simulated cluster did not start")?;
    introduce(&cluster);
    serve(&cluster).await?;
    cluster.stop().await;
    Ok(())
}

fn placed(text: &str) -> Result<(String, Ipv4Addr), String> {
    let (name, address) = text
        .split_once('@')
        .ok_or("expected NAME@ADDRESS, such as 21@127.0.0.21")?;
    let address = address
        .parse()
        .map_err(|_| format!("`{address}` is no IPv4 address"))?;
    Ok((name.to_owned(), address))
}

fn introduce(cluster: &SimCluster) {
    println!("A simulated Aurora cluster is running.\n");
    println!("  our driver   {}", cluster.url());
    println!("  DNS server   {}\n", cluster.dns_address());
    for instance in cluster.instances() {
        let role = if cluster.writer().as_ref() == Some(&instance.id) {
            "writer"
        } else {
            "reader"
        };
        println!("  {} ({role})", instance.id);
        println!("      {}", command_line(cluster, &instance.id));
    }
    let query = match cluster.engine() {
        EngineKind::Postgres => "select server_id, session_id from aurora_replica_status()",
        EngineKind::MySql => {
            "select server_id, session_id from information_schema.replica_host_status"
        }
    };
    println!("\nTry there:  {query};");
    println!("Press Enter to crash the writer, Ctrl-C to stop.\n");
}

fn command_line(cluster: &SimCluster, instance: &InstanceId) -> String {
    let Some(address) = cluster.address_of(instance) else {
        return "it has no address any more".to_owned();
    };
    let (user, password) = (cluster.user(), cluster.password());
    let (port, database) = (cluster.port(), cluster.database());
    match cluster.engine() {
        EngineKind::Postgres => format!(
            "psql 'postgresql://{user}:{password}@{address}:{port}/{database}?sslmode=disable'"
        ),
        EngineKind::MySql => {
            format!("mariadb --skip-ssl -h {address} -P {port} -u {user} -p{password} {database}")
        }
    }
}

/// Obeys each line and prints what becomes of it, until Ctrl-C.
async fn serve(cluster: &SimCluster) -> anyhow::Result<()> {
    let mut keys = listen_to_keyboard();
    let mut keys_open = true;
    let mut told = cluster.events().len();
    let mut news = tokio::time::interval(NEWS_INTERVAL);
    let stop = tokio::signal::ctrl_c();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            result = &mut stop => return result.context("Ctrl-C cannot be awaited"),
            // Without a keyboard the cluster still runs until it is stopped.
            key = keys.recv(), if keys_open => match key {
                Some(line) => obey(cluster, &line),
                None => keys_open = false,
            },
            _ = news.tick() => {
                let events = cluster.events();
                for event in events.iter().skip(told) {
                    println!("{:>9.3} s  {} {}: {}", event.at.as_secs_f64(), event.id, event.instance, event.message);
                }
                told = events.len();
            }
        }
    }
}

/// The lines that are typed. A thread of its own reads: tokio's standard input would keep the
/// program from ending until the next Enter.
fn listen_to_keyboard() -> mpsc::Receiver<String> {
    let (pressed, keys) = mpsc::channel(8);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if pressed.blocking_send(line).is_err() {
                return;
            }
        }
    });
    keys
}

fn obey(cluster: &SimCluster, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let told = match words.as_slice() {
        [] => cluster
            .crash_writer()
            .map(|writer| format!("{writer} crashes")),
        ["crash", id] => cluster.crash(*id).map(|()| format!("{id} crashes")),
        ["failover"] => cluster
            .failover(None)
            .map(|()| "a failover begins".to_owned()),
        ["failover", id] => cluster
            .failover(Some(&InstanceId::from(*id)))
            .map(|()| format!("a failover to {id} begins")),
        _ => Ok("not understood: press Enter, or type crash ID or failover [ID]".to_owned()),
    };
    match told {
        Ok(told) => println!("{told}"),
        Err(error) => println!("{error}"),
    }
}
