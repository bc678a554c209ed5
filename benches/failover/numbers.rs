//! From runs to percentiles and ratios. Pure.

use std::collections::BTreeMap;

use crate::measure::Run;

/// All runs of one client under one fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(crate) engine: String,
    pub(crate) fault: String,
    pub(crate) contestant: String,
    pub(crate) runs: Vec<Run>,
}

/// The smallest value that is not under so much of all. Who did not come back counts as infinitely
/// late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    /// None of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = Option<f64>>) -> Option<Self> {
        let values = values
            .into_iter()
            .map(|value| value.unwrap_or(f64::INFINITY));
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100);
            values.get(rank.max(1) - 1).copied()
        };
        Some(Self {
            count: values.len(),
            p50: at(50)?,
            p90: at(90)?,
            p99: at(99)?,
            max: at(100)?,
        })
    }
}

impl Cell {
    /// None where the fault promotes nobody and heals nothing.
    pub(crate) fn added(&self) -> Option<Percentiles> {
        let applies = self.runs.iter().any(|run| run.able_after.is_some());
        let of_all = Percentiles::of(self.runs.iter().map(|run| run.added));
        of_all.filter(|_| applies)
    }

    pub(crate) fn gap(&self) -> Option<Percentiles> {
        Percentiles::of(self.runs.iter().map(|run| run.gap))
    }

    /// Over the runs in which the fault caught a call.
    pub(crate) fn calls_ended(&self) -> Option<Percentiles> {
        let runs = self.runs.iter().filter(|run| run.caught > 0);
        Percentiles::of(runs.map(|run| run.calls_ended))
    }

    pub(crate) fn connects(&self) -> Option<Percentiles> {
        Percentiles::of(self.runs.iter().map(|run| Some(run.connects as f64)))
    }

    pub(crate) fn errors(&self) -> BTreeMap<String, usize> {
        let mut errors = BTreeMap::new();
        for (class, count) in self.runs.iter().flat_map(|run| &run.errors) {
            *errors.entry(class.clone()).or_default() += count;
        }
        errors
    }

    pub(crate) fn lost(&self) -> usize {
        self.runs.iter().map(|run| run.lost).sum()
    }

    pub(crate) fn duplicated(&self) -> usize {
        self.runs.iter().map(|run| run.duplicated).sum()
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.runs.iter().map(|run| run.acknowledged).sum()
    }

    /// The run whose gap is the median, which is the one to look at.
    pub(crate) fn typical(&self) -> Option<&Run> {
        let mut runs: Vec<&Run> = self.runs.iter().collect();
        let gap = |run: &Run| run.gap.unwrap_or(f64::INFINITY);
        runs.sort_by(|one, other| gap(one).total_cmp(&gap(other)));
        runs.get(runs.len().saturating_sub(1) / 2).copied()
    }
}

/// How many times as long a contestant takes as this driver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) value: f64,
    /// It was not waited for any longer: it is at least so much.
    pub(crate) at_least: bool,
}

impl Ratio {
    /// None where there is nothing to compare. `waited` is what an endless time counts as.
    pub(crate) fn new(theirs: f64, waited: f64, ours: f64) -> Option<Self> {
        let at_least = theirs.is_infinite();
        let value = if at_least { waited } else { theirs } / ours;
        let makes_sense = ours.is_finite() && ours > 0.0 && value.is_finite();
        makes_sense.then_some(Self { value, at_least })
    }

    /// Of the medians of the gaps.
    pub(crate) fn of_gaps(theirs: &Cell, ours: &Cell) -> Option<Self> {
        Self::new(theirs.gap()?.p50, theirs.shortest_wait(), ours.gap()?.p50)
    }

    /// Of the medians of what each added to the promotion or the healing.
    pub(crate) fn of_added(theirs: &Cell, ours: &Cell) -> Option<Self> {
        let able = theirs.runs.iter().filter_map(|run| run.able_after);
        let able = able.fold(0.0, f64::max);
        let waited = theirs.shortest_wait() - able;
        Self::new(theirs.added()?.p50, waited, ours.added()?.p50)
    }
}

impl Cell {
    /// How long every run was waited for at least.
    pub(crate) fn shortest_wait(&self) -> f64 {
        let waits = self.runs.iter().filter(|run| run.gap.is_none());
        waits.map(|run| run.waited).fold(f64::INFINITY, f64::min)
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.at_least { "≥ " } else { "" };
        match self.value {
            value if value < 10.0 => write!(f, "{sign}{value:.1}×"),
            value => write!(f, "{sign}{value:.0}×"),
        }
    }
}
