//! No fault at all: what the driver takes for one on a busy machine.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use aurora_driver::EngineKind;
use aurora_driver::sim::SimCluster;

use crate::client::Contestant;
use crate::load::Size;
use crate::measure::Notes;
use crate::scenario::flowing;

const READERS: usize = 2;
const TELL_INTERVAL: Duration = Duration::from_secs(30);

/// What a cluster without faults never gives a reason for.
const ALARMS: [&str; 5] = [
    "writer_suspected",
    "writer_lost",
    "instance_down",
    "generation_ended",
    "instance_removed",
];

/// Returns whether there was none.
pub(crate) async fn watch(
    engine: EngineKind,
    period: Duration,
    busy: bool,
    size: Size,
    work: &Path,
) -> anyhow::Result<bool> {
    let cluster = SimCluster::builder(engine).readers(READERS).start().await?;
    cluster
        .run_sql("CREATE TABLE numbers (number BIGINT NOT NULL)")
        .await?;
    let cluster = Arc::new(cluster);
    let neighbours = if busy { neighbours()? } else { Vec::new() };
    let client = Contestant::ours()
        .start(&cluster, engine, size, work)
        .await?;
    flowing(&cluster).await?;
    let began = Instant::now();
    while let Some(left) = period.checked_sub(began.elapsed()) {
        eprintln!("{engine}: {:.0} s of load to go", left.as_secs_f64());
        tokio::time::sleep(left.min(TELL_INTERVAL)).await;
    }
    let notes = client.stop().await?;
    let count = neighbours.len();
    for neighbour in neighbours {
        end(neighbour)?;
    }
    let alarms = alarms(&notes);
    for (at, _, words) in &alarms {
        println!("  {engine}: false alarm at {at}: {words}");
    }
    let failed = notes.writes.iter().chain(&notes.reads);
    let failed = failed.filter(|call| call.result != "ok").count();
    println!(
        "false alarms: engine={engine} seconds={:.0} busy_processes={count} writes={} reads={} \
         calls_failed={failed} slowest_call_ms={:.0} alarms={}",
        period.as_secs_f64(),
        notes.writes.len(),
        notes.reads.len(),
        slowest(&notes),
        alarms.len(),
    );
    Ok(alarms.is_empty() && failed == 0)
}

/// Also a second writer confirmed is one: the epoch changed without a promotion.
fn alarms(notes: &Notes) -> Vec<&(u64, String, String)> {
    let confirmed = |event: &&(u64, String, String)| event.1 == "writer_confirmed";
    let again = notes.events.iter().filter(confirmed).skip(1);
    let told = notes
        .events
        .iter()
        .filter(|event| ALARMS.contains(&event.1.as_str()));
    told.chain(again).collect()
}

fn slowest(notes: &Notes) -> f64 {
    let calls = notes.writes.iter().chain(&notes.reads);
    let took = calls.filter_map(|call| Some(call.ended?.saturating_sub(call.began)));
    took.max().unwrap_or_default() as f64 / 1_000.0
}

/// One process for each processor, which does nothing but use it.
fn neighbours() -> anyhow::Result<Vec<Child>> {
    let processors = std::thread::available_parallelism()?.get();
    let mut children = Vec::new();
    for _ in 0..processors {
        let mut command = Command::new(std::env::current_exe()?);
        let child = command.arg("--spin").stdin(Stdio::piped()).spawn();
        children.push(child.context("a busy neighbour does not start")?);
    }
    Ok(children)
}

fn end(mut neighbour: Child) -> anyhow::Result<()> {
    drop(neighbour.stdin.take());
    neighbour.wait()?;
    Ok(())
}

/// What a neighbour does, until the suite ends it or is gone itself.
pub(crate) fn spin() {
    std::thread::spawn(|| {
        // The end of the input and an error mean the same: nobody is there any more.
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}
