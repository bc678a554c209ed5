//! Many callers on two threads: with a connection for each, and with too few for all.

use std::time::Instant;

use aurora_driver::{Cluster, Engine};
use tokio::task::JoinSet;

use crate::bare::{self, Bare};
use crate::hot::median;
use crate::{Extent, POOL_MAX};

/// As many as there are threads, and four for each connection of a pool.
const CALLERS: [usize; 2] = [2, 4 * POOL_MAX];

/// Whom a caller asks.
enum Source<E: Engine> {
    Bare(Bare),
    Writer(Cluster<E>),
    Reader(Cluster<E>),
}

impl<E: Engine> Clone for Source<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Bare(pool) => Self::Bare(pool.clone()),
            Self::Writer(cluster) => Self::Writer(cluster.clone()),
            Self::Reader(cluster) => Self::Reader(cluster.clone()),
        }
    }
}

impl<E: Engine> Source<E> {
    /// A checkout, held for as long as it takes the other tasks of the thread to have their turn.
    async fn use_once(&self) -> anyhow::Result<()> {
        match self {
            Self::Bare(pool) => {
                let _held = pool.get().await?;
                tokio::task::yield_now().await;
            }
            Self::Writer(cluster) => {
                let _held = cluster.writer().await?;
                tokio::task::yield_now().await;
            }
            Self::Reader(cluster) => {
                let _held = cluster.reader().await?;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

pub(crate) async fn measure<E: Engine>(cluster: &Cluster<E>, extent: Extent) -> anyhow::Result<()> {
    let sources = [
        ("bare deadpool", Source::<E>::Bare(bare::pool(POOL_MAX)?)),
        ("writer()", Source::Writer(cluster.clone())),
        ("reader()", Source::Reader(cluster.clone())),
    ];
    for callers in CALLERS {
        // The pools fill up.
        for (_, source) in &sources {
            per_checkout(source, callers, extent.checkouts).await?;
        }
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..extent.rounds / 2 {
            for (times, (_, source)) in times.iter_mut().zip(&sources) {
                times.push(per_checkout(source, callers, extent.checkouts).await?);
            }
        }
        let of_bare = median(times[0].clone());
        let texts = sources.iter().zip(times).map(|((name, _), times)| {
            let time = median(times);
            format!("{name} {time:.0} ns ({:.2} times)", time / of_bare)
        });
        let texts: Vec<String> = texts.collect();
        println!("  {callers:2} callers, 2 threads {}", texts.join(", "));
    }
    Ok(())
}

/// Nanoseconds from one checkout to the next, of all callers together.
async fn per_checkout<E: Engine>(
    source: &Source<E>,
    callers: usize,
    checkouts: usize,
) -> anyhow::Result<f64> {
    let each = checkouts / callers;
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let source = source.clone();
        running.spawn(async move {
            for _ in 0..each {
                source.use_once().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(began.elapsed().as_nanos() as f64 / (each * callers) as f64)
}
