//! What a session may ask of the instance that it runs on. Implemented by the cluster's shell
//! for the wire fronts, and by a small fake in the SQL tests.

use crate::id::{EngineKind, InstanceId};

/// One boot of one instance: it dies with a crash or a restart, and a new one takes its place.
///
/// Everything a client can find out about the instance through SQL comes from here, so the
/// answers are those of *this* instance at *this* moment, not of the cluster as a whole.
pub(crate) trait Host: Send + Sync + std::fmt::Debug {
    /// Which dialect the instance speaks.
    fn engine(&self) -> EngineKind;

    /// The instance's identifier (`@@aurora_server_id`, `aurora_db_instance_identifier()`).
    fn instance(&self) -> &InstanceId;

    /// Whether this boot runs as the writer (`@@innodb_read_only = 0`, `pg_is_in_recovery() = f`).
    fn is_writer(&self) -> bool;

    /// Whether the storage still takes commits from this boot.
    ///
    /// False for readers, after a crash, and for a writer that has been fenced off. It is asked
    /// again inside SQLite's commit hook, so that no commit slips in after a fence.
    fn may_commit(&self) -> bool;

    /// The address at which this instance accepts connections, where it has one.
    fn address(&self) -> Option<std::net::SocketAddr> {
        None
    }

    /// The engine version that Aurora shows (`aurora_version()`), where it is not the usual one.
    fn version(&self) -> Option<&str> {
        None
    }

    /// The promotion count of the cluster, for the ledger.
    fn epoch(&self) -> u64;

    /// The rows of the replica-status table as this instance sees them now.
    fn status_rows(&self) -> Vec<StatusRow>;

    /// Wall-clock time in microseconds since the Unix epoch.
    fn now_micros(&self) -> i64;

    /// Time since the simulated cluster started, in microseconds, for the ledger.
    fn elapsed_micros(&self) -> u64;

    /// Asks the cluster for something to happen, soon and not before this returns.
    fn order(&self, _: Order) {}

    /// Adds one to a counter of this instance.
    fn count(&self, what: Count);
}

/// What a session may ask to happen to the cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
    /// The session's instance crashes.
    Crash,
    /// The session's instance crashes and restarts in its role: no other is promoted.
    CrashInPlace,
    /// Replication to one reader, or to all, is blocked that part of the time.
    BlockReplication {
        percent: f64,
        replica: Option<String>,
        interval: std::time::Duration,
    },
    /// Requests of the session's instance to the storage meet trouble with this probability.
    TroubleStorage {
        probability: f64,
        trouble: StorageTrouble,
        interval: std::time::Duration,
    },
}

/// What becomes of a request to the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageTrouble {
    /// It waits until the trouble is over.
    Block,
    /// It is later by something between these.
    Delay(std::time::Duration, std::time::Duration),
}

/// What an instance counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// A TCP connection accepted.
    Connect,
    /// A login that succeeded.
    Login,
    /// A login that was refused.
    LoginRefused,
    /// A statement executed, of any kind.
    Statement,
    /// A statement that changed rows or the schema and was not refused.
    Write,
    /// A statement that read at least one user table.
    Read,
    /// A statement that read the replica-status table or function.
    TopologyQuery,
}

/// One row of `information_schema.replica_host_status` / `aurora_replica_status()`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StatusRow {
    /// `SERVER_ID`.
    pub(crate) server_id: String,
    /// `SESSION_ID`: `MASTER_SESSION_ID` for the writer, a UUID for a reader.
    pub(crate) session_id: String,
    /// `LAST_UPDATE_TIMESTAMP`, in microseconds since the Unix epoch; `None` is NULL.
    pub(crate) last_update_micros: Option<i64>,
    /// `REPLICA_LAG_IN_MILLISECONDS` / `replica_lag_in_msec`; `None` is NULL (PostgreSQL's writer).
    pub(crate) lag_millis: Option<f64>,
    /// `CPU`, in percent.
    pub(crate) cpu_percent: f64,
    /// `durable_lsn`.
    pub(crate) durable_lsn: i64,
    /// `highest_lsn_rcvd`, `current_read_lsn`; `None` for the writer.
    pub(crate) read_lsn: Option<i64>,
}

/// The session id that marks the writer's row.
pub(crate) const MASTER_SESSION_ID: &str = "MASTER_SESSION_ID";
