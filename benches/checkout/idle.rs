//! What a handle costs that nobody uses: processor time, connections, questions.

use std::time::{Duration, Instant};

use anyhow::Context;
use aurora_driver::{Cluster, Engine};

use crate::simulated::{Counted, Simulated};
use crate::{Extent, connect};

/// In percent of one core.
const GOAL_PERCENT: f64 = 0.2;
/// Connections to an instance beside those of the pools.
const GOAL_EXTRA: u64 = 1;

/// The first pings to the readers and the pools' first looks after themselves are over by then.
const SETTLING: Duration = Duration::from_secs(2);

pub(crate) fn measure<E: Engine>(simulated: &mut Simulated, extent: Extent) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let cluster = runtime.block_on(connect::<E>(simulated))?;
    runtime.block_on(use_every_instance(&cluster))?;
    runtime.block_on(async { tokio::time::sleep(SETTLING).await });
    let (before, began, used_before) = (simulated.counted()?, Instant::now(), processor_time()?);
    runtime.block_on(async { tokio::time::sleep(extent.idle).await });
    let used = processor_time()? - used_before;
    let seconds = began.elapsed().as_secs_f64();
    let after = simulated.counted()?;
    println!(
        "  idle for {seconds:.0} s         {:.3} % of one core (goal {GOAL_PERCENT} %)",
        used.as_secs_f64() / seconds * 100.0
    );
    for (now, before) in after.iter().zip(&before) {
        report_instance(now, before, seconds);
    }
    runtime.block_on(cluster.close(Duration::from_secs(5)));
    Ok(())
}

/// One connection in the pool of each.
async fn use_every_instance<E: Engine>(cluster: &Cluster<E>) -> anyhow::Result<()> {
    let mut held = vec![cluster.writer().await?];
    for _ in cluster.topology().readers() {
        held.push(cluster.reader().await?);
    }
    let mut instances: Vec<_> = held.iter().map(|one| one.instance().clone()).collect();
    instances.sort();
    instances.dedup();
    anyhow::ensure!(instances.len() == held.len(), "not each instance was used");
    Ok(())
}

fn report_instance(now: &Counted, before: &Counted, seconds: f64) {
    // One of them is the pool's.
    let extra = now.open_sessions.saturating_sub(1);
    println!(
        "                        {}: {extra} connections beside the pool's (goal {GOAL_EXTRA}), \
         {} logins, {:.2} statements per second",
        now.instance,
        now.logins - before.logins,
        (now.statements - before.statements) as f64 / seconds,
    );
}

/// What this process has run for, over all its threads, from the scheduler's own books
/// (Documentation/scheduler/sched-stats.rst of Linux): `/proc/self/stat` counts hundredths of a
/// second, which is as much as there is to see.
fn processor_time() -> anyhow::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir("/proc/self/task").context("this needs Linux")? {
        // A thread that has ended meanwhile has no books.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let running = text
            .split_whitespace()
            .next()
            .context("an empty schedstat")?;
        nanoseconds += running.parse::<u64>()?;
    }
    anyhow::ensure!(nanoseconds > 0, "the kernel keeps no schedstat");
    Ok(Duration::from_nanos(nanoseconds))
}
