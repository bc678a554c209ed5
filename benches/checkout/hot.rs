//! A hot checkout and its return, with nobody else about: time and allocations.

use std::time::Instant;

use allocation_counter::AllocationInfo;
use anyhow::Context;
use aurora_driver::{Cluster, Engine};
use futures_util::FutureExt;
use tokio::runtime::Runtime;

use crate::bare::{self, Bare};
use crate::{Extent, POOL_MAX};

/// What a checkout may cost over bare `deadpool`.
const GOAL_NANOSECONDS: f64 = 1_000.0;

/// Checkouts over which allocations are counted.
const COUNTED: u64 = 1_000;

pub(crate) fn measure<E: Engine>(
    runtime: &Runtime,
    cluster: &Cluster<E>,
    extent: Extent,
) -> anyhow::Result<()> {
    let bare = bare::pool(POOL_MAX)?;
    runtime.block_on(warm_up(cluster, &bare))?;
    // Outside of any task: tokio makes a task pause after so many semaphores without a wait.
    let _within = runtime.enter();
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..extent.rounds {
        let count = extent.checkouts;
        times[0].push(per_checkout(count, || take_bare(&bare))?);
        times[1].push(per_checkout(count, || take_writer(cluster))?);
        times[2].push(per_checkout(count, || take_reader(cluster))?);
    }
    let [of_bare, of_writer, of_reader] = times;
    println!(
        "  hot, one caller       bare deadpool {:6.0} ns",
        median(of_bare.clone())
    );
    for (name, of_driver) in [("writer()", of_writer), ("reader()", of_reader)] {
        // Neighbours in time, so that a slow stretch of the machine counts for both.
        let over = of_driver.iter().zip(&of_bare).map(|(own, bare)| own - bare);
        let over = median(over.collect());
        let time = median(of_driver);
        println!(
            "                        {name:13} {time:6.0} ns, {over:5.0} ns over it (goal {GOAL_NANOSECONDS:.0} ns), {:.2} times",
            time / median(of_bare.clone()),
        );
    }
    let counts = [
        ("bare deadpool", allocations(|| take_bare(&bare))),
        ("writer()", allocations(|| take_writer(cluster))),
        ("reader()", allocations(|| take_reader(cluster))),
    ];
    let texts = counts.map(|(name, counted)| {
        let each = counted.count_total as f64 / COUNTED as f64;
        format!(
            "{name} {each:.3} of {:.1} bytes",
            counted.bytes_total as f64 / COUNTED as f64
        )
    });
    println!("  allocations           {}", texts.join(", "));
    Ok(())
}

/// Opens what the measurement needs, so that it meets nothing but idle connections.
async fn warm_up<E: Engine>(cluster: &Cluster<E>, bare: &Bare) -> anyhow::Result<()> {
    let _bare = bare.get().await?;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(cluster.writer().await?);
        for _ in cluster.topology().readers() {
            held.push(cluster.reader().await?);
        }
    }
    Ok(())
}

fn take_bare(bare: &Bare) -> anyhow::Result<()> {
    let object = bare.get().now_or_never().context("nothing was idle")??;
    drop(object);
    Ok(())
}

fn take_writer<E: Engine>(cluster: &Cluster<E>) -> anyhow::Result<()> {
    let writer = cluster.writer().now_or_never();
    drop(writer.context("no connection to the writer was idle")??);
    Ok(())
}

fn take_reader<E: Engine>(cluster: &Cluster<E>) -> anyhow::Result<()> {
    let reader = cluster.reader().now_or_never();
    drop(reader.context("no connection to a reader was idle")??);
    Ok(())
}

/// Nanoseconds for each of so many.
fn per_checkout(count: usize, mut take: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = Instant::now();
    for _ in 0..count {
        take()?;
    }
    Ok(began.elapsed().as_nanos() as f64 / count as f64)
}

/// Those of this thread alone: the driver's tasks run on others.
fn allocations(mut take: impl FnMut() -> anyhow::Result<()>) -> AllocationInfo {
    allocation_counter::measure(|| {
        for _ in 0..COUNTED {
            // What fails here has failed in the measurement of times before.
            let _ = take();
        }
    })
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
