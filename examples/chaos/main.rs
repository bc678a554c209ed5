//! The driver through thousands of failovers in virtual time.
//!
//! Each seed draws a cluster, a load and faults; when these are over, what the callers were told
//! is held against what the cluster knows. A violation is printed with its seed and the command
//! that repeats it.
//!
//! ```text
//! cargo run --release --example chaos -- --seeds 10000
//! cargo run --release --example chaos -- --seed 7 --trace
//! ```

mod fleet;
mod summary;
mod swarm;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use swarm::Swarm;
use trial::plan::Plan;
use trial::run::Verdict;

/// How much of a trace is printed with a violation.
const TAIL_LINES: usize = 60;

/// Break a simulated cluster in every way, seed by seed, and check what the driver makes of it.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this seed alone.
    #[arg(long, conflicts_with_all = ["from", "plan"])]
    seed: Option<u64>,
    /// Run a plan from a file, as --print-plan or a violation printed it.
    #[arg(long, conflicts_with = "from")]
    plan: Option<PathBuf>,
    /// Print all that happens, of one seed or plan.
    #[arg(long)]
    trace: bool,
    /// Print the plan of one seed, and run nothing.
    #[arg(long, requires = "seed")]
    print_plan: bool,
    /// Leave out of a plan that fails all that its violation does not need.
    #[arg(long)]
    shrink: bool,
    /// How many seeds run at the same time; as many as there are processors if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Instead of trials: a failover under so many processes, and what the new writer sees of them.
    #[arg(long, value_name = "PROCESSES", conflicts_with_all = ["from", "plan", "print_plan"])]
    fleet: Option<usize>,
    /// Go on after a violation, and count them.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(processes) = arguments.fleet {
        return Ok(verdict(fleet::run(processes, arguments.seed.unwrap_or(0))?));
    }
    if let Some(plan) = one_plan(&arguments)? {
        if arguments.print_plan {
            println!("{}", serde_json::to_string_pretty(&plan)?);
            return Ok(ExitCode::SUCCESS);
        }
        return run_one(&plan, &arguments);
    }
    let swarm = Swarm {
        seeds: arguments.from..arguments.from.saturating_add(arguments.seeds),
        jobs: arguments
            .jobs
            .map_or_else(swarm::processors, |jobs| jobs.max(1)),
        keep_going: arguments.keep_going,
    };
    let found = swarm.run();
    println!("{}", found.summary);
    for seed in &found.failed {
        report(&trial::draw::plan(*seed), &arguments, Some(*seed))?;
    }
    Ok(verdict(found.failed.is_empty()))
}

fn verdict(is_good: bool) -> ExitCode {
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn one_plan(arguments: &Arguments) -> anyhow::Result<Option<Plan>> {
    if let Some(path) = &arguments.plan {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let plan = serde_json::from_str(&text);
        return Ok(Some(
            plan.with_context(|| format!("{} is no plan", path.display()))?,
        ));
    }
    Ok(arguments.seed.map(trial::draw::plan))
}

fn run_one(plan: &Plan, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    println!("{plan}");
    let found = trial::run::trial(plan, arguments.trace);
    if arguments.trace {
        print!("{}", found.trace);
        println!("hash of the trace: {:016x}", found.trace_hash);
    }
    if found.violations.is_empty() {
        println!("{}", summary::of_one(&found));
        return Ok(ExitCode::SUCCESS);
    }
    report(plan, arguments, arguments.seed)?;
    Ok(ExitCode::FAILURE)
}

/// Tells of a plan that fails: what, the end of the trace, and how to see it again.
fn report(plan: &Plan, arguments: &Arguments, seed: Option<u64>) -> anyhow::Result<()> {
    let found = trial::run::trial(plan, true);
    println!("\n{plan}");
    print_violations(&found);
    if found.violations.is_empty() {
        println!("NOT REPEATABLE: the same plan ran without a violation this time");
    }
    if !arguments.trace {
        let lines: Vec<&str> = found.trace.lines().collect();
        println!("the end of the trace:");
        for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
            println!("{line}");
        }
    }
    if arguments.shrink
        && let Some(violation) = found.violations.first()
    {
        let smaller = trial::shrink::shrink(plan, violation);
        println!(
            "the same from less:\n{}",
            serde_json::to_string_pretty(&smaller)?
        );
    }
    print_violations(&found);
    if let Some(seed) = seed {
        println!("see it again: cargo run --release --example chaos -- --seed {seed} --trace");
    }
    Ok(())
}

fn print_violations(found: &Verdict) {
    for violation in &found.violations {
        println!("VIOLATION: {}: {}", violation.invariant, violation.what);
    }
}
