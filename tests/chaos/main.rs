//! The trials of `examples/chaos`, some hundred seeds of them, and the plans that once failed.
//!
//! A seed that fails is printed with what it broke, the end of its trace, and the command that
//! repeats it.

#[path = "../../examples/chaos/trial/mod.rs"]
#[expect(dead_code, reason = "the example has more use for it")]
mod trial;

mod mutations;

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use trial::draw;
use trial::plan::Plan;
use trial::run::{Verdict, trial};

/// As many as take about half a minute unoptimised on two processors.
const SEEDS: u64 = 200;

/// Enough to see what led to a violation.
const TAIL_LINES: usize = 40;

/// All files of a directory under `fixtures`, by name.
fn fixtures(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(directory);
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", directory.display());
    files
}

fn plan_in(file: &Path) -> Plan {
    let text = fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What is to be told of a trial that failed; nothing of one that did not.
fn complaint(plan: &Plan, command: &str) -> Option<String> {
    let found = panic::catch_unwind(|| trial(plan, false));
    if found
        .as_ref()
        .is_ok_and(|found| found.violations.is_empty())
    {
        return None;
    }
    let (what, trace) = match panic::catch_unwind(|| trial(plan, true)) {
        Ok(Verdict {
            violations, trace, ..
        }) => (format!("{violations:#?}"), trace),
        Err(_) => ("it panicked, as above".to_owned(), String::new()),
    };
    let lines: Vec<&str> = trace.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    Some(format!(
        "\n{plan}\n{tail}\n{what}\nsee it again: cargo run --release --example chaos -- {command} --trace\n"
    ))
}

#[test]
fn hundreds_of_seeds_break_no_promise() {
    let next = AtomicU64::new(0);
    let complaints = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    let complaint = complaint(&draw::plan(seed), &format!("--seed {seed}"));
                    complaints.lock().unwrap().extend(complaint);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn plans_that_once_failed_hold() {
    for file in fixtures("regressions") {
        let plan = plan_in(&file);
        assert!(
            !plan.about.is_empty(),
            "{} does not say what it is about",
            file.display()
        );
        let name = file.file_name().unwrap().to_string_lossy();
        let complaint = complaint(&plan, &format!("--plan fixtures/regressions/{name}"));
        assert!(
            complaint.is_none(),
            "{}: {}",
            plan.about,
            complaint.unwrap_or_default()
        );
    }
}

#[test]
fn a_seed_repeats_its_trace_byte_for_byte() {
    for seed in 0..6 {
        let [first, second] = [(); 2].map(|()| trial(&draw::plan(seed), true));
        assert!(!first.trace.is_empty());
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed}");
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

#[test]
fn a_trial_is_the_same_with_and_without_a_trace() {
    for seed in 0..6 {
        let plan = draw::plan(seed);
        let [traced, silent] = [true, false].map(|is_traced| trial(&plan, is_traced).evidence);
        assert_eq!(traced.ledger, silent.ledger, "seed {seed}");
        assert_eq!(traced.connects, silent.connects, "seed {seed}");
        assert_eq!(traced.fates, silent.fates, "seed {seed}");
    }
}

#[test]
fn a_plan_that_is_written_down_is_the_same_plan() {
    for seed in 0..100 {
        let plan = draw::plan(seed);
        let text = serde_json::to_string_pretty(&plan).unwrap();
        assert_eq!(
            serde_json::from_str::<Plan>(&text).unwrap(),
            plan,
            "seed {seed}"
        );
    }
}
