//! How long failovers take an application: on this driver, on the pools that Rust applications use
//! today, and on AWS's driver for Python where it is installed; all in one run, under the same load and
//! the same faults of the bundled simulator.
//!
//! ```text
//! cargo bench --bench failover                 # everything; takes the better part of an hour
//! cargo bench --bench failover -- --quick      # what CI runs
//! cargo bench --bench failover -- --only ours --fault crash,planned --runs 200
//! cargo bench --bench failover -- --false-alarms 600 --busy
//! ```
//!
//! Every client is a process of its own, which notes each call, on the system's clock. What became of
//! its writes is taken from the cluster's ledger. The report is written to `target/failover-report`.

mod alarms;
mod arguments;
mod client;
#[path = "../../examples/failover/engine.rs"]
#[allow(dead_code, reason = "the example also creates its table")]
mod engine;
mod hosts;
mod line_up;
mod load;
mod measure;
mod numbers;
mod ours;
mod relay;
mod report;
mod scenario;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use aurora_driver::EngineKind;
use clap::Parser;

use arguments::{Arguments, Fault};
use client::Contestant;
use line_up::LineUp;
use numbers::Cell;
use report::{Conditions, Report};
use scenario::Scenario;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.spin {
        alarms::spin();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if let Some(url) = &arguments.client_of {
        let engine = arguments.engines()[0];
        runtime.block_on(ours::run(engine, url, arguments.size()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let good = match arguments.false_alarms {
        Some(seconds) => {
            runtime.block_on(false_alarms(&arguments, Duration::from_secs(seconds)))?
        }
        None => runtime.block_on(failovers(&arguments))?,
    };
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn false_alarms(arguments: &Arguments, period: Duration) -> anyhow::Result<bool> {
    std::fs::create_dir_all(&arguments.out)?;
    let mut none = true;
    for engine in arguments.engines() {
        let (size, busy) = (arguments.size(), arguments.busy);
        none &= alarms::watch(engine, period, busy, size, &arguments.out).await?;
    }
    Ok(none)
}

/// Returns whether this driver lost nothing, doubled nothing and was always back.
async fn failovers(arguments: &Arguments) -> anyhow::Result<bool> {
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("{} cannot be made", arguments.out.display()))?;
    let line_up = LineUp::new(arguments).await?;
    for absent in &line_up.absent {
        eprintln!("absent: {absent}");
    }
    let mut report = Report::new(conditions(arguments), line_up.absent.clone());
    for engine in arguments.engines() {
        for fault in arguments.faults() {
            for who in line_up.on(engine) {
                if !takes_part(arguments, engine, fault, who) {
                    continue;
                }
                match measured(arguments, engine, fault, who).await {
                    Ok(cell) => report.add(cell),
                    Err(error) if who.is_ours() => return Err(error),
                    Err(error) => report.note_absence(format!("{error:#}")),
                }
                // What was measured is there also when a later run is ended from outside.
                report.write(&arguments.out)?;
            }
        }
    }
    print!("{}", report.summary());
    println!("report: {}", arguments.out.join("index.html").display());
    Ok(report.is_good())
}

/// In a quick run the contestants meet a crash only, and one pool of each engine, which will not be
/// back, also a silent writer. AWS's driver, which starts slowly, is there once.
fn takes_part(arguments: &Arguments, engine: EngineKind, fault: Fault, who: &Contestant) -> bool {
    if who.is_ours() || !arguments.quick {
        return true;
    }
    match (fault, who.name) {
        (Fault::Crash, "aws-python") => engine == EngineKind::Postgres,
        (Fault::Crash, "aws-python-aggressive") => false,
        (Fault::Crash, _) | (Fault::Silent, "deadpool-postgres" | "mysql_async") => true,
        _ => false,
    }
}

async fn measured(
    arguments: &Arguments,
    engine: EngineKind,
    fault: Fault,
    who: &Contestant,
) -> anyhow::Result<Cell> {
    let scenario = Scenario {
        engine,
        fault,
        pace: arguments.timeline,
        size: arguments.size(),
        limit: arguments.limit(),
        work: Path::new(&arguments.out),
    };
    let runs = match who.is_ours() {
        true => arguments.runs(),
        false => arguments.contestant_runs(),
    };
    let mut cell = Cell {
        engine: engine.name().to_owned(),
        fault: fault.name().to_owned(),
        contestant: who.name.to_owned(),
        runs: Vec::new(),
    };
    for run in 0..runs {
        let seed = arguments.seed + u64::from(run);
        let told = format!("{engine} {} {} seed {seed}", fault.name(), who.name);
        let measured = scenario.run(who, seed).await;
        let measured = measured.with_context(|| told.clone())?;
        eprintln!("{told}: {}", report::line(&measured));
        let added = measured.added.unwrap_or(f64::INFINITY);
        if arguments.explain.is_some_and(|limit| added > limit) {
            for (after, what) in &measured.story {
                eprintln!("  {after:>9.1} ms  {what}");
            }
        }
        cell.runs.push(measured);
    }
    Ok(cell)
}

fn conditions(arguments: &Arguments) -> Conditions {
    let size = arguments.size();
    Conditions {
        timeline: format!("{:?}", arguments.timeline).to_lowercase(),
        writers: size.writers,
        readers: size.readers,
        limit_seconds: arguments.limit().as_secs(),
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        load_average: load_average(),
    }
}

/// Of the last minute, five and fifteen; empty where the system does not tell.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
