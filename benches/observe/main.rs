//! What observing costs: throughput with all of it on against all of it off, time and allocations
//! for each statement.
//!
//! ```text
//! cargo bench --bench observe               # a minute
//! cargo bench --bench observe -- --quick    # for a glance
//! ```
//!
//! The server is a real PostgreSQL 15 where its programs are installed, started on loopback for
//! this run; otherwise a simulated one in this process. The contestants take turns within one run.

mod recorder;
mod server;
mod statement;
mod throughput;

use std::time::Duration;

/// How much of everything is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// Turns that each contestant has.
    rounds: usize,
    /// How long a turn takes.
    turn: Duration,
    /// Statements over which the time of one is taken.
    statements: usize,
}

const FULL: Extent = Extent {
    rounds: 101,
    turn: Duration::from_millis(150),
    statements: 200_000,
};

const QUICK: Extent = Extent {
    rounds: 15,
    turn: Duration::from_millis(100),
    statements: 20_000,
};

fn main() -> anyhow::Result<()> {
    // `cargo bench` itself adds `--bench`.
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let extent = if is_quick { QUICK } else { FULL };
    statement::measure(extent);
    recorder::install()?;
    throughput::measure(extent)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
