//! What was asked of the shop, how long it took, and who answered: counted for the page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aurora_driver::InstanceId;

use crate::failures::Failures;
use crate::shop::{Served, ShopError};

/// What one point of the plots covers.
pub(crate) const POINT: Duration = Duration::from_millis(250);

/// How many points are kept: a minute and a half.
const POINTS_KEPT: usize = 360;

/// What kind of request it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Report,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "a read",
            Self::Write => "a write",
            Self::Report => "a report",
        }
    }
}

/// Counts the requests.
#[derive(Debug)]
pub(crate) struct Traffic {
    began_at: Instant,
    failures: Failures,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    now: Gathered,
    points: VecDeque<Point>,
    /// The number of the point that is being gathered.
    number: u64,
    totals: Totals,
}

/// What comes together in one point.
#[derive(Debug, Default)]
struct Gathered {
    /// How long each took.
    reads: Vec<Duration>,
    writes: Vec<Duration>,
    reports: u64,
    errors: u64,
    shares: BTreeMap<InstanceId, u64>,
}

/// All since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) reports: u64,
    pub(crate) errors: u64,
}

/// A quarter of a second of the shop's life.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) number: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) reports: u64,
    pub(crate) errors: u64,
    pub(crate) read_p50: Duration,
    pub(crate) read_p99: Duration,
    pub(crate) write_p50: Duration,
    pub(crate) write_p99: Duration,
    /// Requests that each instance answered.
    pub(crate) shares: BTreeMap<InstanceId, u64>,
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self {
            began_at: Instant::now(),
            failures: Failures::default(),
            counts: Mutex::default(),
        }
    }

    /// Where failed requests are told of.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request that was begun then.
    pub(crate) fn count<T>(
        &self,
        kind: Kind,
        began_at: Instant,
        answer: &Result<Served<T>, ShopError>,
    ) {
        let took = began_at.elapsed();
        let mut counts = self.counts();
        self.close_points(&mut counts);
        let served = match answer {
            Ok(served) => served,
            // The shop's own answers: the database did its part.
            Err(ShopError::Missing(_) | ShopError::SoldOut | ShopError::OtherOrder) => return,
            Err(error @ (ShopError::Database { .. } | ShopError::TooSlow { .. })) => {
                counts.now.errors += 1;
                counts.totals.errors += 1;
                drop(counts);
                // The database's own words are for the log, not for customers.
                self.failures.tell(kind.name(), error);
                return;
            }
        };
        match kind {
            Kind::Read => {
                counts.now.reads.push(took);
                counts.totals.reads += 1;
            }
            Kind::Write => {
                counts.now.writes.push(took);
                counts.totals.writes += 1;
            }
            Kind::Report => {
                counts.now.reports += 1;
                counts.totals.reports += 1;
            }
        }
        match counts.now.shares.get_mut(&served.by) {
            Some(share) => *share += 1,
            None => {
                counts.now.shares.insert(served.by.clone(), 1);
            }
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.counts().totals
    }

    /// The finished points after that one.
    pub(crate) fn points_after(&self, number: Option<u64>) -> Vec<Point> {
        let mut counts = self.counts();
        self.close_points(&mut counts);
        let points = counts.points.iter();
        points
            .filter(|point| number.is_none_or(|number| point.number > number))
            .cloned()
            .collect()
    }

    /// Finishes the points whose time is over.
    fn close_points(&self, counts: &mut Counts) {
        let due = self.began_at.elapsed().as_millis() / POINT.as_millis();
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        // After a pause of the process only the last points are worth making.
        let oldest = due.saturating_sub(POINTS_KEPT as u64);
        counts.number = counts.number.max(oldest);
        while counts.number < due {
            let gathered = std::mem::take(&mut counts.now);
            let point = gathered.into_point(counts.number);
            counts.points.push_back(point);
            if counts.points.len() > POINTS_KEPT {
                counts.points.pop_front();
            }
            counts.number += 1;
        }
    }
}

impl Gathered {
    fn into_point(mut self, number: u64) -> Point {
        self.reads.sort_unstable();
        self.writes.sort_unstable();
        Point {
            number,
            reads: self.reads.len() as u64,
            writes: self.writes.len() as u64,
            reports: self.reports,
            errors: self.errors,
            read_p50: quantile(&self.reads, 0.5),
            read_p99: quantile(&self.reads, 0.99),
            write_p50: quantile(&self.writes, 0.5),
            write_p99: quantile(&self.writes, 0.99),
            shares: self.shares,
        }
    }
}

/// Of sorted times; zero where there is none.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let position = (share * sorted.len() as f64) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(position.min(last)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aurora_driver::Outcome;

    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_times_and_nothing_has_none() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&times, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&times[..1], 0.99), Duration::from_millis(1));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn the_shops_own_refusals_count_neither_as_answers_nor_as_errors() {
        let traffic = Traffic::new();
        let refused: Result<Served<()>, ShopError> = Err(ShopError::SoldOut);
        traffic.count(Kind::Write, Instant::now(), &refused);
        assert_eq!(traffic.totals(), Totals::default());
        let slow: Result<Served<()>, ShopError> = Err(ShopError::TooSlow {
            limit: POINT,
            outcome: Outcome::Unknown,
        });
        traffic.count(Kind::Write, Instant::now(), &slow);
        assert_eq!(traffic.totals().errors, 1);
    }
}
