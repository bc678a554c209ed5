//! Many seeds, on all processors, with a sign of life.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::panic;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::summary::Summary;
use crate::trial::{draw, run};

const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// Where nobody watches, a line now and then is enough.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// A trial takes some hundredths of a second: one that takes so long turns in a circle, in which
/// virtual time stands still.
const HANG_LIMIT: Duration = Duration::from_secs(120);

/// The seeds to run.
pub(crate) struct Swarm {
    pub(crate) seeds: Range<u64>,
    pub(crate) jobs: usize,
    pub(crate) keep_going: bool,
}

/// What came of them.
pub(crate) struct Found {
    pub(crate) summary: Summary,
    pub(crate) failed: Vec<u64>,
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// No runtime runs on the thread that shows the progress.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no runtime to stop here"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// The seeds that are being run, and since when.
type Running = BTreeMap<u64, Instant>;

/// A thread cannot be ended from outside, so the process ends.
fn end_if_one_hangs(running: &Mutex<Running>) {
    let running = running.lock().expect("nobody panics with it");
    let hanging = running
        .iter()
        .find(|(_, since)| since.elapsed() > HANG_LIMIT);
    if let Some((seed, _)) = hanging {
        println!("VIOLATION: a trial comes to its end: not within {HANG_LIMIT:?}");
        println!("see it again: cargo run --release --example chaos -- --seed {seed}");
        std::process::exit(1);
    }
}

impl Swarm {
    pub(crate) fn run(&self) -> Found {
        let next = AtomicU64::new(self.seeds.start);
        let stop = AtomicBool::new(false);
        let running = Mutex::new(BTreeMap::new());
        let found = Mutex::new(Found {
            summary: Summary::default(),
            failed: Vec::new(),
        });
        let began = Instant::now();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs)
                .map(|_| scope.spawn(|| self.work(&next, &stop, &found, &running)))
                .collect();
            let mut shown = Instant::now();
            while !workers
                .iter()
                .all(std::thread::ScopedJoinHandle::is_finished)
            {
                pause();
                end_if_one_hangs(&running);
                let interval = match std::io::stderr().is_terminal() {
                    true => PROGRESS_INTERVAL,
                    false => LOG_INTERVAL,
                };
                if shown.elapsed() >= interval {
                    shown = Instant::now();
                    self.show(&found.lock().expect("nobody panics with it"), began);
                }
            }
        });
        let mut found = found.into_inner().expect("nobody panics with it");
        found.summary.took(began.elapsed());
        found.failed.sort_unstable();
        found
    }

    fn work(
        &self,
        next: &AtomicU64,
        stop: &AtomicBool,
        found: &Mutex<Found>,
        running: &Mutex<Running>,
    ) {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.seeds.end || stop.load(Ordering::Relaxed) {
                return;
            }
            let plan = draw::plan(seed);
            let begun = Instant::now();
            running
                .lock()
                .expect("nobody panics with it")
                .insert(seed, begun);
            let verdict = panic::catch_unwind(|| run::trial(&plan, false));
            running.lock().expect("nobody panics with it").remove(&seed);
            let mut found = found.lock().expect("nobody panics with it");
            let is_good = match &verdict {
                Ok(verdict) => {
                    found.summary.add(verdict);
                    verdict.violations.is_empty()
                }
                Err(_) => {
                    eprintln!("seed {seed} panicked");
                    false
                }
            };
            if !is_good {
                found.failed.push(seed);
                if !self.keep_going {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    fn show(&self, found: &Found, began: Instant) {
        let done = found.summary.trials();
        let total = self.seeds.end - self.seeds.start;
        let rate = done as f64 / began.elapsed().as_secs_f64();
        let line = format!(
            "{done} of {total} seeds, {rate:.0} per second, {} failed",
            found.failed.len()
        );
        let mut out = std::io::stderr();
        // Nothing depends on the sign of life.
        let _ = match out.is_terminal() {
            true => write!(out, "\r\x1b[K{line}"),
            false => writeln!(out, "{line}"),
        };
    }
}
