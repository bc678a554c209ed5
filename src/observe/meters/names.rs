//! The names of the metrics, and what each is. `docs/metrics.md` has the same table, and a test
//! compares it with what is exported.

use metrics::Unit;

pub(super) const OPERATION: &str = "db.client.operation.duration";
pub(super) const COUNT: &str = "db.client.connection.count";
pub(super) const IDLE_MAX: &str = "db.client.connection.idle.max";
pub(super) const IDLE_MIN: &str = "db.client.connection.idle.min";
pub(super) const MAX: &str = "db.client.connection.max";
pub(super) const PENDING: &str = "db.client.connection.pending_requests";
pub(super) const TIMEOUTS: &str = "db.client.connection.timeouts";
pub(super) const CREATE: &str = "db.client.connection.create_time";
pub(super) const WAIT: &str = "db.client.connection.wait_time";
pub(super) const USE: &str = "db.client.connection.use_time";
pub(super) const CHECK: &str = "aurora.connection.check_time";
pub(super) const ENDED: &str = "aurora.connections.ended";
pub(super) const TOPOLOGY_AGE: &str = "aurora.topology.age";
pub(super) const LAG: &str = "aurora.replica.lag";
pub(super) const UP: &str = "aurora.instance.up";
pub(super) const FAILOVERS: &str = "aurora.failovers";
pub(super) const PHASE: &str = "aurora.failover.phase.duration";
pub(super) const ROUTED: &str = "aurora.routing.decisions";
pub(super) const STALE: &str = "aurora.stale_answers";

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Name, kind, unit and description of every metric.
pub(super) const ALL: [(&str, Kind, Unit, &str); 19] = [
    (
        OPERATION,
        Kind::Histogram,
        Unit::Seconds,
        "Duration of database client operations.",
    ),
    (
        COUNT,
        Kind::Gauge,
        Unit::Count,
        "Connections by state, idle or used.",
    ),
    (
        IDLE_MAX,
        Kind::Gauge,
        Unit::Count,
        "The most idle connections that are allowed.",
    ),
    (
        IDLE_MIN,
        Kind::Gauge,
        Unit::Count,
        "The idle connections that are kept ready.",
    ),
    (
        MAX,
        Kind::Gauge,
        Unit::Count,
        "The most connections that are allowed.",
    ),
    (
        PENDING,
        Kind::Gauge,
        Unit::Count,
        "Callers that wait for a connection.",
    ),
    (
        TIMEOUTS,
        Kind::Counter,
        Unit::Count,
        "Callers that waited for a connection in vain.",
    ),
    (
        CREATE,
        Kind::Histogram,
        Unit::Seconds,
        "Time to open a connection, look-up and login included.",
    ),
    (
        WAIT,
        Kind::Histogram,
        Unit::Seconds,
        "Time to obtain a connection from the pool.",
    ),
    (
        USE,
        Kind::Histogram,
        Unit::Seconds,
        "Time from when a connection is taken to its return.",
    ),
    (
        CHECK,
        Kind::Histogram,
        Unit::Seconds,
        "Time of a round trip that proves an idle connection alive.",
    ),
    (
        ENDED,
        Kind::Counter,
        Unit::Count,
        "Connections that were ended, by cause.",
    ),
    (
        TOPOLOGY_AGE,
        Kind::Gauge,
        Unit::Seconds,
        "Age of the latest answer about the topology.",
    ),
    (
        LAG,
        Kind::Gauge,
        Unit::Seconds,
        "How far a reader is behind the writer.",
    ),
    (
        UP,
        Kind::Gauge,
        Unit::Count,
        "Whether an instance can be used, 1 or 0.",
    ),
    (
        FAILOVERS,
        Kind::Counter,
        Unit::Count,
        "Writers that were confirmed after one was lost.",
    ),
    (
        PHASE,
        Kind::Histogram,
        Unit::Seconds,
        "Duration of a failover's phases.",
    ),
    (
        ROUTED,
        Kind::Counter,
        Unit::Count,
        "Connections given out, by intent and reason.",
    ),
    (
        STALE,
        Kind::Counter,
        Unit::Count,
        "Answers about the topology that were not believed.",
    ),
];
