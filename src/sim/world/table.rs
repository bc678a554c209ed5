//! The replica-status table as the writer keeps it, and its past.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::id::{EngineKind, InstanceId};
use crate::sim::host::{MASTER_SESSION_ID, StatusRow};

use super::anomaly::whole_second;
use super::replication::Following;

/// The lag that Aurora shows for an instance that was deleted or stopped.
pub(super) const LINGERING_LAG_MILLIS: f64 = 900_000.0;

/// How many versions of the table are kept: more than a failover of sixteen instances makes.
const VERSIONS_MAX: usize = 128;

/// One version of the table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Table {
    pub(super) rows: BTreeMap<InstanceId, Row>,
}

/// One instance's row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// `None` for the writer.
    pub(super) session: Option<Arc<str>>,
    /// Since when the row is renewed, once every status interval.
    pub(super) since: Duration,
    /// When the row was renewed for the last time, if that is over.
    pub(super) frozen_at: Option<Duration>,
    pub(super) lag_millis: f64,
    /// What goes before `lag_millis` where somebody has meddled with the lag.
    pub(super) following: Following,
}

impl Row {
    pub(super) fn writer(since: Duration) -> Self {
        Self {
            session: None,
            since,
            frozen_at: None,
            lag_millis: 0.0,
            following: Following::default(),
        }
    }

    pub(super) fn freeze(&mut self, at: Duration) {
        if self.frozen_at.is_none() {
            self.frozen_at = Some(at);
        }
    }

    /// The last renewal at or before `seen`.
    fn renewed_at(&self, seen: Duration, interval: Duration) -> Duration {
        let until = self.frozen_at.map_or(seen, |frozen| frozen.min(seen));
        let age = until.saturating_sub(self.since);
        if interval.is_zero() {
            return self.since + age;
        }
        let rounds = age.as_micros() / interval.as_micros().max(1);
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        self.since + interval.saturating_mul(rounds)
    }
}

/// What is needed to write a table version down as the rows that a client reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rendering<'a> {
    pub(super) engine: EngineKind,
    /// The instance that is asked.
    pub(super) asked: &'a InstanceId,
    /// The moment whose state the copy shows.
    pub(super) seen: Duration,
    pub(super) interval: Duration,
    /// The wall-clock time at which the cluster started.
    pub(super) epoch_micros: i64,
    /// The row of the instance that is asked has no timestamp.
    pub(super) own_timestamp_null: bool,
}

impl Table {
    /// The same table, renewed for the last time at `at`, with another writer. The instances
    /// that it called the writer become readers with this session id.
    pub(super) fn naming(&self, writer: &InstanceId, session: &Arc<str>, at: Duration) -> Self {
        let mut table = self.clone();
        for row in table.rows.values_mut() {
            row.session.get_or_insert_with(|| Arc::clone(session));
            row.freeze(at);
        }
        let row = table
            .rows
            .entry(writer.clone())
            .or_insert_with(|| Row::writer(at));
        row.session = None;
        row.freeze(at);
        table
    }

    pub(super) fn render(&self, with: Rendering<'_>) -> Vec<StatusRow> {
        self.rows
            .iter()
            .map(|(id, row)| render_row(id, row, with))
            .collect()
    }
}

fn render_row(id: &InstanceId, row: &Row, with: Rendering<'_>) -> StatusRow {
    let renewed = row.renewed_at(with.seen, with.interval);
    // A figure that changes from renewal to renewal, and is the same each time it is asked for.
    let wobble = wobble(id, renewed);
    let lsn = 88_492_069 + i64::try_from(renewed.as_millis()).unwrap_or(i64::MAX / 2);
    let is_writer = row.session.is_none();
    let lag = match (is_writer, with.engine) {
        (true, EngineKind::Postgres) => None,
        (true, EngineKind::MySql) => Some(0.0),
        (false, _) if row.lag_millis >= LINGERING_LAG_MILLIS => Some(row.lag_millis),
        (false, _) if row.following != Following::default() => {
            let lag = row.following.lag_at(renewed).unwrap_or_default();
            Some((lag.as_secs_f64() * 1000.0).round())
        }
        (false, _) => Some((row.lag_millis * (0.5 + wobble)).round()),
    };
    StatusRow {
        server_id: id.as_str().to_owned(),
        session_id: row
            .session
            .as_deref()
            .unwrap_or(MASTER_SESSION_ID)
            .to_owned(),
        last_update_micros: timestamp(id, row, renewed, with),
        lag_millis: lag,
        cpu_percent: 3.0 + (wobble * 500.0).round() / 100.0,
        durable_lsn: lsn,
        read_lsn: (!is_writer).then_some(lsn - 20),
    }
}

/// MySQL's timestamps have fractions, save those of dead instances. PostgreSQL's have whole
/// seconds, and the row of the instance that is asked has none ("always empty", Aurora User
/// Guide, "Replication with Amazon Aurora PostgreSQL").
fn timestamp(id: &InstanceId, row: &Row, renewed: Duration, with: Rendering<'_>) -> Option<i64> {
    let micros = with
        .epoch_micros
        .saturating_add(i64::try_from(renewed.as_micros()).unwrap_or(i64::MAX));
    if id == with.asked && with.own_timestamp_null {
        return None;
    }
    let is_dead = row.lag_millis >= LINGERING_LAG_MILLIS;
    Some(match with.engine {
        EngineKind::MySql if !is_dead => micros,
        EngineKind::MySql | EngineKind::Postgres => whole_second(micros),
    })
}

/// A number in `0.0..1.0` that depends on nothing but its arguments (FNV-1a).
fn wobble(id: &InstanceId, at: Duration) -> f64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let time = at.as_micros().to_le_bytes();
    for byte in id.as_str().bytes().chain(time) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    f64::from((hash >> 40) as u32) / f64::from(1_u32 << 24)
}

/// The versions that the table went through, so that a reader can be shown an older one.
#[derive(Debug, Default)]
pub(super) struct History {
    versions: VecDeque<(Duration, Arc<Table>)>,
}

impl History {
    pub(super) fn push(&mut self, at: Duration, table: Table) {
        if self.versions.len() == VERSIONS_MAX {
            self.versions.pop_front();
        }
        self.versions.push_back((at, Arc::new(table)));
    }

    /// The version that was current at `time`, or the oldest known.
    pub(super) fn at(&self, time: Duration) -> Arc<Table> {
        self.versions
            .iter()
            .rev()
            .find(|(since, _)| *since <= time)
            .or_else(|| self.versions.front())
            .map(|(_, table)| Arc::clone(table))
            .unwrap_or_default()
    }

    pub(super) fn newest(&self) -> Arc<Table> {
        self.versions
            .back()
            .map(|(_, table)| Arc::clone(table))
            .unwrap_or_default()
    }
}
