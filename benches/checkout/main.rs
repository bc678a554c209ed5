//! What a checkout costs over what `deadpool` costs, and what an idle cluster costs.
//!
//! ```text
//! cargo bench --bench checkout               # a minute and a half
//! cargo bench --bench checkout -- --quick    # for a glance
//! ```
//!
//! A hot checkout finds an idle connection; it and its return are compared with those of a bare
//! `deadpool` of the same size whose manager does nothing, in turns within one run. The cluster
//! is simulated in a process of its own, so that only the driver is measured.

mod bare;
mod contended;
mod hot;
mod idle;
mod simulated;

use std::time::Duration;

use aurora_driver::{Cluster, Config, Engine, EngineKind, MySql, Postgres};

use simulated::Simulated;

/// Connections of each pool.
const POOL_MAX: usize = 16;

/// How much of everything is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// Turns that each contestant has.
    rounds: usize,
    /// Checkouts of one turn.
    checkouts: usize,
    idle: Duration,
}

const FULL: Extent = Extent {
    rounds: 101,
    checkouts: 20_000,
    idle: Duration::from_secs(20),
};

const QUICK: Extent = Extent {
    rounds: 21,
    checkouts: 5_000,
    idle: Duration::from_secs(5),
};

fn main() -> anyhow::Result<()> {
    if let Some(engine) = simulated::engine_of_child()? {
        return simulated::serve(engine);
    }
    // `cargo bench` itself adds `--bench`.
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let extent = if is_quick { QUICK } else { FULL };
    for engine in [EngineKind::Postgres, EngineKind::MySql] {
        match engine {
            EngineKind::MySql => measure::<MySql>(engine, extent)?,
            _ => measure::<Postgres>(engine, extent)?,
        }
    }
    Ok(())
}

fn measure<E: Engine>(engine: EngineKind, extent: Extent) -> anyhow::Result<()> {
    let mut simulated = Simulated::start(engine)?;
    let two_threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    println!("{engine}, a writer and two readers, {POOL_MAX} connections per pool");
    let cluster = two_threads.block_on(connect::<E>(&simulated))?;
    hot::measure(&two_threads, &cluster, extent)?;
    two_threads.block_on(contended::measure(&cluster, extent))?;
    two_threads.block_on(cluster.close(Duration::from_secs(5)));
    // A process that has just worked hard has threads that look for more to do.
    drop(two_threads);
    idle::measure::<E>(&mut simulated, extent)
}

async fn connect<E: Engine>(simulated: &Simulated) -> anyhow::Result<Cluster<E>> {
    let mut config = Config::from_url(simulated.url())?;
    config.pool.max = POOL_MAX;
    let cluster = Cluster::<E>::new(config)?;
    cluster.ready(Duration::from_secs(10)).await?;
    Ok(cluster)
}
