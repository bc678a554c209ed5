//! A trial as plain data: the cluster, the handles, the load, and the faults with their times.

use std::fmt;
use std::time::Duration;

use aurora_driver::EngineKind;
use aurora_driver::sim::Timeline;
use serde::{Deserialize, Serialize};

/// The longest that Aurora leaves a demoted writer running after the promotion of its successor:
/// 3.3 s, by the event logs that `Timeline::aurora_mysql` cites.
const DEMOTED_CLAIM_MAX: Duration = Duration::from_millis(3_300);

/// All that decides a trial, together with the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// What it once showed, where it is kept for that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) about: String,
    /// Decides what the plan leaves open: latencies, jitter, choices of the callers.
    pub(crate) seed: u64,
    pub(crate) cluster: ClusterPlan,
    pub(crate) driver: DriverPlan,
    pub(crate) load: LoadPlan,
    /// How long the faults last.
    pub(crate) length_ms: u64,
    pub(crate) faults: Vec<PlannedFault>,
    /// How long the process stands still when all is well again.
    pub(crate) pause_in_health_ms: u64,
    /// Whether everything is closed while the last faults are still in force.
    #[serde(default)]
    pub(crate) close_under_faults: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterPlan {
    pub(crate) readers: usize,
    pub(crate) pace: Pace,
    /// What the timeline's lengths are multiplied with.
    pub(crate) scale: f64,
    pub(crate) login_cost_ms: u64,
    pub(crate) login_rate: Option<u32>,
    /// What the instances' copies of the topology table get wrong all the time.
    pub(crate) no_writer_ms: u64,
    pub(crate) propagation_spread_ms: u64,
    pub(crate) foreign_rows: bool,
    pub(crate) garbage_writer_lag: bool,
    pub(crate) survivable_readers: bool,
    pub(crate) fenced_hold_ms: u64,
    /// Whether a fenced writer goes on saying that it is the writer, rather than nothing.
    pub(crate) fenced_writer_answers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pace {
    Fast,
    AuroraPostgres,
    AuroraMysql,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DriverPlan {
    /// Handles opened separately.
    pub(crate) handles: usize,
    /// Whether they share one monitor.
    pub(crate) share_monitor: bool,
    pub(crate) pool_max: usize,
    pub(crate) pool_min_idle: usize,
    pub(crate) max_connecting: usize,
    pub(crate) max_waiting: usize,
    pub(crate) max_reader_lag_ms: Option<u64>,
    pub(crate) checkout_timeout_ms: u64,
    pub(crate) failover_timeout_ms: u64,
    pub(crate) max_lifetime_ms: u64,
    pub(crate) validation_period_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadPlan {
    /// Callers that write single keys.
    pub(crate) writers: usize,
    /// Callers that write some keys in a transaction.
    pub(crate) transactions: usize,
    pub(crate) readers: usize,
    /// Callers that keep a connection for long.
    pub(crate) holders: usize,
    /// Callers that give their work as closures, to be done again.
    pub(crate) closures: usize,
    /// Callers that give up half-way, at any moment.
    pub(crate) cancellers: usize,
    /// Callers that sleep, and then all write at once.
    pub(crate) crowd: usize,
    /// About how long a caller rests between two calls.
    pub(crate) rest_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlannedFault {
    pub(crate) at_ms: u64,
    pub(crate) fault: Fault,
}

/// Which instance, looked up when the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    Writer,
    /// The reader of this number, counted around.
    Reader(usize),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub(crate) enum Fault {
    Crash {
        target: Target,
    },
    CrashInPlace {
        target: Target,
    },
    /// To the best reader, or to this one.
    Failover {
        to: Option<usize>,
    },
    Restart {
        target: Target,
    },
    Upgrade,
    AddReader,
    Remove {
        target: Target,
    },
    Silence {
        target: Target,
        ms: u64,
    },
    Refuse {
        target: Target,
        ms: u64,
    },
    Full {
        target: Target,
        ms: u64,
    },
    Starting {
        target: Target,
        ms: u64,
    },
    Draining {
        target: Target,
        ms: u64,
    },
    Slow {
        target: Target,
        by_ms: u64,
        ms: u64,
    },
    Lag {
        reader: usize,
        by_ms: u64,
        ms: u64,
    },
    PauseReplication {
        reader: usize,
        ms: u64,
    },
    View {
        target: Target,
        view: View,
        ms: u64,
    },
    DnsFlip {
        by_ms: u64,
    },
    DnsOutage {
        kind: DnsOutage,
        ms: u64,
    },
    Statements {
        kind: StatementTrouble,
        probability: f64,
        ms: u64,
    },
    /// The client's process stands still.
    ClientPause {
        ms: u64,
    },
}

/// What an instance's answers get wrong about the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum View {
    SecondWriter(usize),
    NoWriter,
    OneRow,
    StaleClaim(usize),
    Lingering,
    OwnTimestamp(bool),
    GarbageLag,
    ForeignRows,
    PropagationMs(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DnsOutage {
    Silent,
    SlowMs(u64),
    ServFail,
    NxDomain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StatementTrouble {
    /// An error before the statement runs.
    Error,
    /// The same, of writes alone and nearly always.
    Conflicts,
    /// A reset before it runs.
    Reset,
    /// It is applied, and the answer is lost.
    LostAnswer,
    DelayMs(u64),
    /// The login is turned away.
    Login,
    /// A statement brings its instance down.
    Crash,
}

impl ClusterPlan {
    pub(crate) fn engine(&self) -> EngineKind {
        match self.pace {
            Pace::Fast | Pace::AuroraPostgres => EngineKind::Postgres,
            Pace::AuroraMysql => EngineKind::MySql,
        }
    }

    pub(crate) fn timeline(&self) -> Timeline {
        let timeline = match self.pace {
            Pace::Fast => Timeline::fast(),
            Pace::AuroraPostgres => Timeline::aurora_postgres(),
            Pace::AuroraMysql => Timeline::aurora_mysql(),
        };
        let mut timeline = timeline.scaled(self.scale);
        // Some minutes on Aurora, which nothing here would wait for.
        timeline.creation = timeline.creation.min(Duration::from_secs(2));
        timeline.removal_grace = timeline.removal_grace.min(Duration::from_secs(2));
        timeline.status_interval = timeline.status_interval.max(Duration::from_millis(100));
        timeline.lag_limit = Duration::from_secs(60);
        timeline.survivable_readers = self.survivable_readers;
        if self.fenced_hold_ms > 0 {
            timeline.fenced_hold = Duration::from_millis(self.fenced_hold_ms);
        }
        if self.fenced_writer_answers {
            let longest = timeline.promotion + DEMOTED_CLAIM_MAX;
            timeline.fenced_hold = timeline.fenced_hold.min(longest);
        }
        timeline.views.lingering = Duration::from_secs(24 * 3600);
        timeline.views.no_writer = Duration::from_millis(self.no_writer_ms);
        timeline.views.propagation_spread = Duration::from_millis(self.propagation_spread_ms);
        timeline.views.foreign_rows = self.foreign_rows;
        timeline.views.garbage_writer_lag = self.garbage_writer_lag;
        timeline
    }
}

impl Fault {
    /// The name under which it is counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::CrashInPlace { .. } => "crash in place",
            Self::Failover { .. } => "failover",
            Self::Restart { .. } => "restart",
            Self::Upgrade => "upgrade",
            Self::AddReader => "add reader",
            Self::Remove { .. } => "remove",
            Self::Silence { .. } => "silence",
            Self::Refuse { .. } => "refuse",
            Self::Full { .. } => "full",
            Self::Starting { .. } => "starting",
            Self::Draining { .. } => "draining",
            Self::Slow { .. } => "slow",
            Self::Lag { .. } => "lag",
            Self::PauseReplication { .. } => "pause replication",
            Self::View { .. } => "view",
            Self::DnsFlip { .. } => "dns flip",
            Self::DnsOutage { .. } => "dns outage",
            Self::Statements { .. } => "statements",
            Self::ClientPause { .. } => "client pause",
        }
    }
}

impl LoadPlan {
    /// How many callers there are.
    pub(crate) fn callers(&self) -> usize {
        self.writers
            + self.transactions
            + self.readers
            + self.holders
            + self.closures
            + self.cancellers
            + self.crowd
    }
}

/// One line: what the seed has drawn.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callers = self.load.callers();
        write!(
            f,
            "{} readers, {:?} x {}, {} handles of {} connections, {callers} callers, {} faults in {} ms",
            self.cluster.readers,
            self.cluster.pace,
            self.cluster.scale,
            self.driver.handles,
            self.driver.pool_max,
            self.faults.len(),
            self.length_ms,
        )
    }
}
