//! `SELECT 1` as often as it goes, with all of it on, and with all of it off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aurora_driver::{Cluster, Config, Connection, Postgres};
use tokio::task::JoinSet;

use crate::server::Server;
use crate::{Extent, median};

/// Connections of each contestant, each used by a task.
const CONNECTIONS: usize = 8;

const GOAL_PERCENT: f64 = 3.0;

const OFF: &str = "insights=off&metrics=off";
const ON: &str = "slow_statement=1s";

pub(crate) fn measure(extent: Extent) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = Server::start().await?;
        println!(
            "SELECT 1, prepared, over {CONNECTIONS} connections to {}",
            server.what()
        );
        let off = open(&server, OFF).await?;
        let other_off = open(&server, OFF).await?;
        let on = open(&server, ON).await?;
        let mut rates = [const { Vec::new() }; 3];
        for round in 0..extent.rounds + 2 {
            let mut taken = [0.0; 3];
            // Each goes first as often as the others.
            for place in 0..3 {
                let contestant = (round + place) % 3;
                let connections = [&off, &other_off, &on][contestant];
                taken[contestant] = rate(connections, extent.turn).await?;
            }
            // The first rounds warm up.
            if round >= 2 {
                for (rates, rate) in rates.iter_mut().zip(taken) {
                    rates.push(rate);
                }
            }
        }
        let against_off = |other: &[f64]| {
            let pairs = rates[0].iter().zip(other);
            // Neighbours in time, so that a slow stretch of the machine counts for both.
            let costs = pairs.map(|(off, other)| (1.0 - other / off) * 100.0);
            median(costs.collect())
        };
        println!("  all off   {:8.0} per second", median(rates[0].clone()));
        println!(
            "  all off   {:8.0} per second, {:5.1} % less: what the measurement is worth",
            median(rates[1].clone()),
            against_off(&rates[1])
        );
        println!(
            "  all on    {:8.0} per second, {:5.1} % less (goal {GOAL_PERCENT:.0} %)",
            median(rates[2].clone()),
            against_off(&rates[2])
        );
        anyhow::Ok(())
    })
}

type Connections = Arc<Vec<Connection<Postgres>>>;

async fn open(server: &Server, keys: &str) -> anyhow::Result<Connections> {
    let config = Config::from_url(&format!("{}&pool_max={CONNECTIONS}&{keys}", server.url()))?;
    let cluster = Cluster::<Postgres>::new(config)?;
    cluster.ready(Duration::from_secs(30)).await?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(cluster.writer().await?);
    }
    let connections = Arc::new(connections);
    // The handle must outlive its connections.
    std::mem::forget(cluster);
    Ok(connections)
}

/// Statements per second.
async fn rate(connections: &Connections, turn: Duration) -> anyhow::Result<f64> {
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for place in 0..CONNECTIONS {
        let connections = Arc::clone(connections);
        let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
        tasks.spawn(async move {
            let connection = &connections[place];
            let statement = connection.prepare("SELECT 1").await?;
            let mut done = 0;
            while !stop.load(Ordering::Relaxed) {
                connection.query_one(&statement, &[]).await?;
                done += 1;
            }
            count.fetch_add(done, Ordering::Relaxed);
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(turn).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}
