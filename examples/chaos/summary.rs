//! What the trials were made of, counted and drawn.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::trial::history::Fate;
use crate::trial::run::Verdict;

const BAR_WIDTH: usize = 40;

/// The counts of many trials.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    trials: u64,
    virtual_time: Duration,
    took: Duration,
    faults: BTreeMap<&'static str, u64>,
    fates: BTreeMap<&'static str, u64>,
    calls: u64,
    failed_calls: u64,
    cancelled: u64,
    connects: u64,
    failovers: u64,
    /// From the new writer's acceptance to the first write that it took.
    recoveries: Vec<Duration>,
    longest_recovery: (Duration, u64),
    violations: BTreeMap<&'static str, (u64, u64)>,
}

impl Summary {
    pub(crate) fn trials(&self) -> u64 {
        self.trials
    }

    pub(crate) fn took(&mut self, time: Duration) {
        self.took = time;
    }

    pub(crate) fn add(&mut self, verdict: &Verdict) {
        let evidence = &verdict.evidence;
        let seed = evidence.plan.seed;
        self.trials += 1;
        self.virtual_time += evidence.whole_at.unwrap_or_default();
        for (kind, count) in &evidence.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for fate in evidence.fates.values() {
            *self.fates.entry(name(*fate)).or_default() += 1;
        }
        self.calls += evidence.calls.len() as u64;
        let failed = evidence.calls.iter().filter(|call| call.error.is_some());
        self.failed_calls += failed.count() as u64;
        self.cancelled += evidence.cancelled;
        self.connects += evidence.connects.len() as u64;
        let last = evidence.ledger.iter().map(|write| write.epoch).max();
        self.failovers += last.unwrap_or_default();
        for (_, accepts_at) in &evidence.outages {
            let mut writes = evidence.ledger.iter();
            if let Some(first) = writes.find(|write| write.at >= *accepts_at) {
                let recovery = first.at - *accepts_at;
                self.recoveries.push(recovery);
                self.longest_recovery = self.longest_recovery.max((recovery, seed));
            }
        }
        for violation in &verdict.violations {
            let entry = self.violations.entry(violation.invariant);
            entry.or_insert((0, seed)).0 += 1;
        }
    }
}

fn name(fate: Fate) -> &'static str {
    match fate {
        Fate::Acknowledged => "acknowledged",
        Fate::Unknown => "unknown",
        Fate::Applied => "applied, with an error",
        Fate::Rejected => "rejected",
        Fate::NotSent => "not sent",
    }
}

fn bars(f: &mut fmt::Formatter<'_>, title: &str, counts: &[(&str, u64)]) -> fmt::Result {
    writeln!(f, "\n{title}")?;
    let most = counts
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(1)
        .max(1);
    for (name, count) in counts {
        let length = (*count as f64 / most as f64 * BAR_WIDTH as f64).ceil() as usize;
        writeln!(f, "  {name:<24} {count:>10}  {}", "█".repeat(length))?;
    }
    Ok(())
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{} seeds in {:.1} s: {:.0} s of virtual time, {} calls ({} failed, {} given up), {} connects",
            self.trials,
            self.took.as_secs_f64(),
            self.virtual_time.as_secs_f64(),
            self.calls,
            self.failed_calls,
            self.cancelled,
            self.connects,
        )?;
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|(kind, count)| (*kind, *count))
            .collect();
        bars(f, "faults that struck", &faults)?;
        let fates: Vec<_> = self
            .fates
            .iter()
            .map(|(fate, count)| (*fate, *count))
            .collect();
        bars(f, "keys, by what their writers were told", &fates)?;
        let mut recoveries = self.recoveries.clone();
        recoveries.sort_unstable();
        let bounds = [1, 3, 10, 30, 100, 300, 1_000, 3_000];
        let mut counts = Vec::new();
        let mut from = 0;
        for bound in bounds {
            let until = recoveries.partition_point(|it| it.as_millis() < bound);
            counts.push((format!("below {bound} ms"), (until - from) as u64));
            from = until;
        }
        counts.push(("longer".to_owned(), (recoveries.len() - from) as u64));
        let counts: Vec<_> = counts
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        bars(
            f,
            "from a writer that accepts to the first write that it takes",
            &counts,
        )?;
        let (longest, seed) = self.longest_recovery;
        writeln!(
            f,
            "  {} outages, {} promotions; the longest recovery took {} ms (seed {seed})",
            self.recoveries.len(),
            self.failovers,
            longest.as_millis(),
        )?;
        let violations: u64 = self.violations.values().map(|(count, _)| count).sum();
        writeln!(f, "\n{violations} violations")?;
        for (invariant, (count, seed)) in &self.violations {
            writeln!(f, "  {count:>6}  {invariant} (first: seed {seed})")?;
        }
        Ok(())
    }
}

/// The summary of one trial.
pub(crate) fn of_one(verdict: &Verdict) -> Summary {
    let mut summary = Summary::default();
    summary.add(verdict);
    summary
}
