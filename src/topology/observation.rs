//! One piece of news about the cluster.

use crate::id::{Generation, InstanceId};
use crate::time::Instant;

/// All that can change a topology.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Observation {
    /// An instance answered a probe.
    Report(Report),
    /// An instance did not answer a probe, or could not be reached.
    Silence {
        instance: InstanceId,
        fault: Fault,
        /// When the probe was begun: what is known from later probes is not undone.
        asked_at: Instant,
    },
    /// An application's connection met an error or ended.
    Trouble {
        instance: InstanceId,
        /// The generation of the connection; news of an older one is ignored.
        generation: Generation,
        fault: Fault,
    },
    /// A pool has taken over the connection that the monitor kept to an instance.
    TakenOver { instance: InstanceId },
    /// Time has passed; lets decisions that wait for it be made.
    Tick,
}

/// What an instance said of itself and of the others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// Who answered, by its own word (`@@aurora_server_id`, `aurora_db_instance_identifier()`).
    pub(crate) identity: InstanceId,
    /// When the question was sent. The answer may describe any moment after it.
    pub(crate) asked_at: Instant,
    /// Whether the instance takes writes, by its own word (`@@innodb_read_only`,
    /// `pg_is_in_recovery()`).
    pub(crate) is_writer: bool,
    /// The instance's own clock when it answered, in microseconds since the Unix epoch.
    pub(crate) server_now_micros: i64,
    /// What the way by which it answered tells of the other connections to it.
    pub(crate) way: Way,
    /// Its copy of the replica-status table.
    pub(crate) rows: Vec<Row>,
}

/// What a report's way tells of the other connections to the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It came over a connection that was open before, so the others will be open as well.
    Standing,
    /// It came over a new one; there was no other to judge by.
    New,
    /// The monitor's standing connection has ended since the last report: the engine may have
    /// restarted between two questions, and idle connections may be dead unnoticed.
    AfterLoss,
}

/// One row of the replica-status table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: InstanceId,
    /// `SESSION_ID` is `MASTER_SESSION_ID`.
    pub(crate) is_writer: bool,
    /// `LAST_UPDATE_TIMESTAMP` in microseconds since the Unix epoch; `None` for NULL, which
    /// Aurora PostgreSQL gives in the row of the instance that was asked.
    pub(crate) updated_micros: Option<i64>,
    /// As the table gives it, before any plausibility check.
    pub(crate) lag_millis: Option<f64>,
}

/// What an error means for the topology, whatever the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A write was refused because the instance is read-only.
    ReadOnly,
    /// The server ended the connection on purpose (57P01, 1053).
    Terminated,
    /// The server ended all its connections because one of its processes crashed (57P02).
    Crashed,
    /// The server is starting, stopping or recovering and takes no logins yet (57P03).
    Starting,
    /// Nothing listens on the port.
    Refused,
    /// The connection was reset or closed without a word.
    Lost,
    /// It owes answers and sent nothing, on any connection: not even on a new one.
    Silent,
    /// No answer within the time given.
    TimedOut,
    /// The host name has no address.
    Unresolved,
    /// The server has no room for another connection (1040, 53300).
    Full,
    /// The login was refused.
    LoginRefused,
    /// The server answered something else, such as an unknown function.
    Other,
}

impl Fault {
    /// Whether a *fresh* connection that met this proves that the engine is not running, so that
    /// whatever it was before, it has restarted since.
    pub(crate) fn proves_restart(self) -> bool {
        match self {
            Self::Crashed | Self::Starting | Self::Refused => true,
            Self::ReadOnly
            | Self::Terminated
            | Self::Lost
            | Self::Silent
            | Self::TimedOut
            | Self::Unresolved
            | Self::Full
            | Self::LoginRefused
            | Self::Other => false,
        }
    }

    /// A few words for events and errors.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::ReadOnly => "it refused a write as read-only",
            Self::Terminated => "it ended a connection on purpose",
            Self::Crashed => "one of its processes crashed",
            Self::Starting => "it is starting or stopping",
            Self::Refused => "nothing listens on its port",
            Self::Lost => "a connection was lost",
            Self::Silent => "it fell silent: it owed answers and gave none, nor let anybody in",
            Self::TimedOut => "it did not answer in time",
            Self::Unresolved => "its name has no address",
            Self::Full => "it takes no more connections",
            Self::LoginRefused => "it refused the login",
            Self::Other => "it answered with an error",
        }
    }
}
