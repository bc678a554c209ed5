//! The table at one moment, and what came between two.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::cell::Reading;
use crate::id::{InstanceId, Role};
use crate::observe::digest::Digest;
use crate::observe::histogram::Histogram;

/// All statements that were counted, at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Since when: the opening of the handle, its last reset, or the earlier of two snapshots.
    pub since: SystemTime,
    /// When it was taken.
    pub taken_at: SystemTime,
    /// One for each digest at each instance in each role, in no particular order.
    pub statements: Vec<StatementInsight>,
}

/// What is known of the statements with one digest, at one instance in one role, or at all
/// instances.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StatementInsight {
    /// The digest as a number; the same in every process. 0 for all statements that there was no
    /// room to tell apart.
    pub digest: u64,
    /// The statement with `?` for each literal and parameter.
    pub text: String,
    /// Its first word of weight: `SELECT`.
    pub operation: String,
    /// The operation and the tables that it names first: `SELECT orders items`.
    pub summary: String,
    /// The instance; `None` where all are added up.
    pub instance: Option<InstanceId>,
    /// As what the instance served; `None` where all are added up.
    pub role: Option<Role>,
    /// How often it was run.
    pub calls: u64,
    /// How often it failed, or its preparing did.
    pub errors: u64,
    /// Rows that came or were changed, as far as the server said.
    pub rows: u64,
    /// How long it took, from when it was sent to when it was answered.
    pub latency: Histogram,
    /// The sum of these times: the server's, and the network's.
    pub server_time: Duration,
    /// How long callers had waited for the connection on which it was the first.
    pub waiting_time: Duration,
    /// How often it was prepared. As often as it was run, where texts and no prepared statements
    /// are given to `query` on PostgreSQL.
    pub prepared: u64,
    /// How long that took, beside the server time.
    pub preparing_time: Duration,
    /// When it first ended.
    pub first_seen: Option<SystemTime>,
    /// When it last ended.
    pub last_seen: Option<SystemTime>,
    /// The slowest of them.
    pub slowest: Option<Slowest>,
}

/// The slowest statement with a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slowest {
    /// How long it took.
    pub took: Duration,
    /// When it ended.
    pub at: SystemTime,
    /// Its text: that of the digest, unless
    /// [`Observe::keep_literals`](crate::config::Observe::keep_literals) is set. Never values of
    /// parameters.
    pub text: String,
    /// Rows that came or were changed.
    pub rows: u64,
}

/// What comes first in [`Snapshot::top`]: the most, or the slowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum By {
    /// Runs.
    Calls,
    /// Errors.
    Errors,
    /// The time that one in a hundred exceeds.
    P99,
    /// Rows.
    Rows,
    /// Time on the server, preparing included.
    TotalTime,
    /// Time that callers waited for a connection.
    WaitingTime,
}

impl Snapshot {
    /// The statements of the whole cluster: those of all instances and roles added up.
    pub fn by_statement(&self) -> Vec<StatementInsight> {
        let mut sums: BTreeMap<u64, StatementInsight> = BTreeMap::new();
        for row in &self.statements {
            match sums.get_mut(&row.digest) {
                Some(sum) => sum.merge(row),
                None => {
                    let mut sum = row.clone();
                    (sum.instance, sum.role) = (None, None);
                    sums.insert(row.digest, sum);
                }
            }
        }
        sums.into_values().collect()
    }

    /// The first `count` statements of the whole cluster in this order.
    pub fn top(&self, count: usize, by: By) -> Vec<StatementInsight> {
        let mut rows = self.by_statement();
        rows.sort_by_key(|row| std::cmp::Reverse(row.measure(by)));
        rows.truncate(count);
        rows
    }

    /// What was counted since an earlier snapshot of the same handle. After a reset in between it
    /// is all since the reset.
    ///
    /// Of the slowest statements only those are left that ended since.
    pub fn diff(&self, earlier: &Self) -> Self {
        if self.since > earlier.taken_at {
            return self.clone();
        }
        let key = |row: &StatementInsight| (row.digest, row.instance.clone(), row.role);
        let before: BTreeMap<_, _> = earlier
            .statements
            .iter()
            .map(|row| (key(row), row))
            .collect();
        let rows = self.statements.iter().cloned().map(|mut row| {
            if let Some(before) = before.get(&key(&row)) {
                row.subtract(before);
            }
            row.slowest = row.slowest.filter(|slowest| slowest.at > earlier.taken_at);
            row
        });
        Self {
            since: earlier.taken_at,
            taken_at: self.taken_at,
            statements: rows.filter(StatementInsight::counts).collect(),
        }
    }
}

impl StatementInsight {
    /// Adds the shards of one digest at one place up; `None` where nothing was counted.
    pub(super) fn add_up(
        digest: &Digest,
        (instance, role): (&InstanceId, Role),
        readings: impl Iterator<Item = Reading>,
        moment: impl Fn(Duration) -> SystemTime,
    ) -> Option<Self> {
        let mut sum: Option<Self> = None;
        for reading in readings {
            let row = Self {
                digest: digest.hash,
                text: digest.text.clone(),
                operation: digest.operation.clone(),
                summary: digest.summary.clone(),
                instance: Some(instance.clone()),
                role: Some(role),
                calls: reading.latency.count(),
                errors: reading.errors,
                rows: reading.rows,
                latency: reading.latency,
                server_time: reading.server,
                waiting_time: reading.waiting,
                prepared: reading.prepared,
                preparing_time: reading.preparing,
                first_seen: reading.first.map(&moment),
                last_seen: reading.last.map(&moment),
                slowest: reading.slowest,
            };
            match &mut sum {
                Some(sum) => sum.merge(&row),
                None => sum = Some(row),
            }
        }
        sum.filter(Self::counts)
    }

    fn counts(&self) -> bool {
        self.calls > 0 || self.prepared > 0 || self.errors > 0
    }

    /// The mean time on the server; zero without a call.
    pub fn mean(&self) -> Duration {
        match u32::try_from(self.calls) {
            Ok(0) => Duration::ZERO,
            Ok(calls) => self.server_time / calls,
            Err(_) => self.server_time.div_f64(self.calls as f64),
        }
    }

    fn measure(&self, by: By) -> u128 {
        match by {
            By::Calls => self.calls.into(),
            By::Errors => self.errors.into(),
            By::P99 => self.latency.quantile(0.99).as_nanos(),
            By::Rows => self.rows.into(),
            By::TotalTime => (self.server_time + self.preparing_time).as_nanos(),
            By::WaitingTime => self.waiting_time.as_nanos(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        // A server may claim any number of them.
        self.rows = self.rows.saturating_add(other.rows);
        self.latency.merge(&other.latency);
        self.server_time += other.server_time;
        self.waiting_time += other.waiting_time;
        self.prepared += other.prepared;
        self.preparing_time += other.preparing_time;
        let earliest = [self.first_seen, other.first_seen].into_iter().flatten();
        self.first_seen = earliest.min();
        self.last_seen = self.last_seen.max(other.last_seen);
        let slowest = [self.slowest.take(), other.slowest.clone()];
        let slowest = slowest.into_iter().flatten();
        self.slowest = slowest.max_by_key(|slowest| slowest.took);
    }

    fn subtract(&mut self, earlier: &Self) {
        self.calls = self.calls.saturating_sub(earlier.calls);
        self.errors = self.errors.saturating_sub(earlier.errors);
        self.rows = self.rows.saturating_sub(earlier.rows);
        self.latency.subtract(&earlier.latency);
        self.server_time = self.server_time.saturating_sub(earlier.server_time);
        self.waiting_time = self.waiting_time.saturating_sub(earlier.waiting_time);
        self.prepared = self.prepared.saturating_sub(earlier.prepared);
        self.preparing_time = self.preparing_time.saturating_sub(earlier.preparing_time);
    }
}
