//! What one instance's answer gets wrong about the topology, on top of its copy of the table.

use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::host::{MASTER_SESSION_ID, StatusRow};

use super::table::LINGERING_LAG_MILLIS;

/// The lag that Aurora MySQL before 1.23 and 2.09 showed in the writer's row (seen with
/// ProxySQL, issue 3082).
pub(super) const GARBAGE_LAG_MILLIS: f64 = 18_446_744_949_882_880.0;

/// How long before the cluster's start the rows of the cluster that it was cloned from stopped.
const FOREIGN_AGE_MICROS: i64 = 9 * 3600 * 1_000_000;

/// Something that an instance's copy of the replica-status table gets wrong.
///
/// All of them have been seen on real clusters. See
/// [`SimCluster::set_view`](crate::sim::SimCluster::set_view).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewAnomaly {
    /// This instance's row, too, has the session id `MASTER_SESSION_ID`, with an older timestamp.
    SecondWriter(InstanceId),
    /// No row has the session id `MASTER_SESSION_ID`.
    NoWriter,
    /// The instance lists nobody but itself.
    OneRow,
    /// The copy stays as it is now, save that it names this instance the writer.
    StaleClaim(InstanceId),
    /// There is a row of an instance that is long gone: a lag of 900000 ms, and a timestamp in
    /// whole seconds that does not change.
    Lingering(InstanceId),
    /// The instance's own row has no timestamp, as on Aurora PostgreSQL with improved read
    /// availability; with `false` it has one, as before.
    OwnTimestampNull(bool),
    /// The writer's row has a lag of 18446744949882880 ms.
    GarbageLag,
    /// The rows of the cluster that this one was cloned or restored from are there, one of them
    /// with `MASTER_SESSION_ID`, and do not change.
    ForeignRows,
    /// How far the copy is behind the writer's table, in place of
    /// [`ViewOptions::propagation`](super::ViewOptions::propagation).
    Propagation(Duration),
}

impl ViewAnomaly {
    /// Whether setting the one takes the place of the other.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Lingering(one), Self::Lingering(other)) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// Who is asked, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) instance: &'a InstanceId,
    /// The wall-clock time, in microseconds since the Unix epoch.
    pub(super) now_micros: i64,
    /// The wall-clock time at which the cluster started.
    pub(super) epoch_micros: i64,
}

/// Makes an anomaly of an honest answer.
pub(super) fn distort(rows: &mut Vec<StatusRow>, anomaly: &ViewAnomaly, asked: Asked<'_>) {
    match anomaly {
        ViewAnomaly::SecondWriter(id) => {
            let newest = rows.iter().filter_map(|row| row.last_update_micros).max();
            let older = newest.unwrap_or(asked.now_micros) - 2_000_000;
            let row = row_of(rows, id, older);
            row.session_id = MASTER_SESSION_ID.into();
            row.last_update_micros = Some(older);
            row.lag_millis = row.lag_millis.map(|_| 0.0);
            row.read_lsn = None;
        }
        ViewAnomaly::NoWriter => rows.retain(|row| row.session_id != MASTER_SESSION_ID),
        ViewAnomaly::OneRow => rows.retain(|row| row.server_id == asked.instance.as_str()),
        ViewAnomaly::Lingering(id) => {
            let frozen = whole_second(asked.epoch_micros);
            let row = row_of(rows, id, frozen);
            row.last_update_micros = Some(frozen);
            row.lag_millis = Some(LINGERING_LAG_MILLIS);
        }
        ViewAnomaly::OwnTimestampNull(true) => {
            for row in rows.iter_mut() {
                if row.server_id == asked.instance.as_str() {
                    row.last_update_micros = None;
                }
            }
        }
        ViewAnomaly::GarbageLag => {
            for row in rows.iter_mut() {
                if row.session_id == MASTER_SESSION_ID {
                    row.lag_millis = Some(GARBAGE_LAG_MILLIS);
                }
            }
        }
        ViewAnomaly::ForeignRows => rows.extend(foreign_rows(asked.epoch_micros)),
        // These change the copy, or how it is written down, not the finished rows.
        ViewAnomaly::StaleClaim(_)
        | ViewAnomaly::OwnTimestampNull(false)
        | ViewAnomaly::Propagation(_) => {}
    }
    rows.sort_by(|one, other| one.server_id.cmp(&other.server_id));
}

pub(super) fn whole_second(micros: i64) -> i64 {
    micros - micros.rem_euclid(1_000_000)
}

/// The row of an instance, a dead reader's if there is none.
fn row_of<'a>(rows: &'a mut Vec<StatusRow>, id: &InstanceId, renewed: i64) -> &'a mut StatusRow {
    let place = rows.iter().position(|row| row.server_id == id.as_str());
    let place = place.unwrap_or_else(|| {
        rows.push(dead_reader(
            id.as_str(),
            "43cf0527-e07a-441c-b8c2-c746a47e3b14",
            renewed,
        ));
        rows.len() - 1
    });
    &mut rows[place]
}

fn dead_reader(server_id: &str, session_id: &str, renewed: i64) -> StatusRow {
    StatusRow {
        server_id: server_id.into(),
        session_id: session_id.into(),
        last_update_micros: Some(renewed),
        lag_millis: Some(LINGERING_LAG_MILLIS),
        cpu_percent: 0.0,
        durable_lsn: 88_000_000,
        read_lsn: Some(88_000_000),
    }
}

/// The rows of a cloned cluster's source (seen with ProxySQL, issue 3962).
fn foreign_rows(epoch_micros: i64) -> [StatusRow; 2] {
    let frozen = whole_second(epoch_micros - FOREIGN_AGE_MICROS);
    let session = "43cf0527-e07a-441c-b8c2-c746a47e3b14";
    let mut writer = dead_reader("previous-cluster-instance-one", MASTER_SESSION_ID, frozen);
    writer.lag_millis = Some(0.0);
    writer.read_lsn = None;
    let mut reader = dead_reader("previous-cluster-instance-two", session, frozen);
    reader.lag_millis = Some(20.0);
    [writer, reader]
}
