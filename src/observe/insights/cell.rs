//! What is counted of one digest at one instance, in one of the shards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::snapshot::Slowest;
use crate::observe::histogram::{Counters, Histogram};

/// Added to without a lock.
#[derive(Debug)]
pub(crate) struct Cell {
    latency: Counters,
    errors: AtomicU64,
    rows: AtomicU64,
    server_nanos: AtomicU64,
    waiting_nanos: AtomicU64,
    prepared: AtomicU64,
    preparing_nanos: AtomicU64,
    /// Nanoseconds since the table began, plus one; 0 before the first.
    first: AtomicU64,
    last: AtomicU64,
    slowest_nanos: AtomicU64,
    /// Locked only when a statement was slower than all before it.
    slowest: Mutex<Option<Slowest>>,
}

/// A statement that has ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    /// From when it was sent to when it was answered.
    pub(crate) took: Duration,
    /// How long its caller had waited for the connection, where it is the first one on it.
    pub(crate) waited: Duration,
    pub(crate) rows: u64,
    pub(crate) has_failed: bool,
    /// When it ended, since the table began.
    pub(crate) ended: Duration,
}

/// What a cell holds at one moment.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) latency: Histogram,
    pub(super) errors: u64,
    pub(super) rows: u64,
    pub(super) server: Duration,
    pub(super) waiting: Duration,
    pub(super) prepared: u64,
    pub(super) preparing: Duration,
    pub(super) first: Option<Duration>,
    pub(super) last: Option<Duration>,
    pub(super) slowest: Option<Slowest>,
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn add(counter: &AtomicU64, amount: u64) {
    if amount > 0 {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

impl Cell {
    pub(crate) fn new() -> Self {
        Self {
            latency: Counters::new(),
            errors: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            server_nanos: AtomicU64::new(0),
            waiting_nanos: AtomicU64::new(0),
            prepared: AtomicU64::new(0),
            preparing_nanos: AtomicU64::new(0),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            slowest_nanos: AtomicU64::new(0),
            slowest: Mutex::new(None),
        }
    }

    /// Counts a statement; whether it was the slowest so far.
    pub(crate) fn count(&self, run: &Run) -> bool {
        let took = nanos(run.took);
        self.latency.add(run.took);
        add(&self.server_nanos, took);
        add(&self.rows, run.rows);
        add(&self.errors, u64::from(run.has_failed));
        add(&self.waiting_nanos, nanos(run.waited));
        self.seen(run.ended);
        let before = self.slowest_nanos.load(Ordering::Relaxed);
        took > before && self.slowest_nanos.fetch_max(took, Ordering::Relaxed) < took
    }

    /// Counts that it was prepared.
    pub(crate) fn count_preparing(&self, run: &Run) {
        add(&self.prepared, 1);
        add(&self.preparing_nanos, nanos(run.took));
        add(&self.errors, u64::from(run.has_failed));
        self.seen(run.ended);
    }

    fn seen(&self, at: Duration) {
        let at = nanos(at).saturating_add(1);
        // Only the first of them may set it; a later one that comes at the same time is as good.
        if self.first.load(Ordering::Relaxed) == 0 {
            self.first.store(at, Ordering::Relaxed);
        }
        self.last.store(at, Ordering::Relaxed);
    }

    /// Keeps the slowest as an example.
    pub(crate) fn keep_slowest(&self, example: impl FnOnce() -> Slowest) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        let example = example();
        if slowest
            .as_ref()
            .is_none_or(|kept| kept.took <= example.took)
        {
            *slowest = Some(example);
        }
    }

    pub(super) fn read(&self) -> Reading {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let span = |counter: &AtomicU64| Duration::from_nanos(load(counter));
        let moment = |counter: &AtomicU64| load(counter).checked_sub(1).map(Duration::from_nanos);
        let slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        Reading {
            latency: self.latency.read(),
            errors: load(&self.errors),
            rows: load(&self.rows),
            server: span(&self.server_nanos),
            waiting: span(&self.waiting_nanos),
            prepared: load(&self.prepared),
            preparing: span(&self.preparing_nanos),
            first: moment(&self.first),
            last: moment(&self.last),
            slowest: slowest.clone(),
        }
    }
}

impl Slowest {
    pub(crate) fn new(took: Duration, at: SystemTime, text: String, rows: u64) -> Self {
        Self {
            took,
            at,
            text,
            rows,
        }
    }
}
