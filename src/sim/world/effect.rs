//! What the world asks its surroundings to do, and what they may ask of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::front::Ending;

use super::anomaly::ViewAnomaly;
use super::instance::{InstanceState, Role};

/// An operation on the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// The engine process dies. A writer's crash leads to a failover if a reader is there.
    Crash(InstanceId),
    /// The engine process dies and starts anew in its role, as by Aurora's own fault injection.
    CrashInPlace(InstanceId),
    /// A planned failover, to the named reader or to the best one.
    Failover(Option<InstanceId>),
    /// An orderly restart in the same role.
    Restart(InstanceId),
    /// The host falls silent, which for the control plane is a crash.
    Silence(InstanceId),
    /// A silent host is back: its engine starts anew.
    EndSilence(InstanceId),
    AddReader,
    Remove(InstanceId),
    /// A reader's data is to be that old; zero: it sees each commit at once.
    SetLag {
        instance: InstanceId,
        lag: Duration,
    },
    /// Nothing new reaches the reader.
    PauseReplication(InstanceId),
    ResumeReplication(InstanceId),
    /// The storage goes back in time: all connections end, all instances restart.
    Backtrack {
        to: Duration,
    },
    /// How long the DNS lags behind the failovers from now on.
    SetDnsFlip(Duration),
    /// The promotion tier, 0 to 15; the lowest is promoted first.
    SetTier(InstanceId, u8),
    /// Restarts an instance under another name.
    Rename {
        old: InstanceId,
        new: InstanceId,
    },
    /// Adds so many readers as Aurora Auto Scaling does.
    ScaleOut(usize),
    /// Deletes up to so many of the readers that `ScaleOut` added.
    ScaleIn(usize),
    /// Restarts all instances, one by one, with this engine version.
    Upgrade(String),
    SetView(InstanceId, ViewAnomaly),
    ClearView(InstanceId),
}

/// Something for the shell to do, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The storage takes no more commits from this instance.
    Fence { instance: InstanceId },
    /// Stop listening: connects are refused from now on.
    Close { instance: InstanceId },
    /// All connections of the current boot end.
    End {
        instance: InstanceId,
        ending: Ending,
    },
    /// Give a new instance its address.
    Added { instance: InstanceId },
    /// The instance has another name from now on, and keeps its address.
    Renamed { from: InstanceId, to: InstanceId },
    /// Listen, as this boot, if not listening already.
    Open(Opening),
    /// The promoted instance, opened just before, is the cluster's writer.
    Promoted {
        instance: InstanceId,
        epoch: u64,
        fault_at: Duration,
    },
    /// The instance is gone for good.
    Gone { instance: InstanceId },
    /// How a reader's data follows from now on.
    Replication {
        instance: InstanceId,
        lag: Duration,
        paused: bool,
    },
    /// The DNS records are these now.
    Dns(Records),
    /// Something that RDS publishes as an event.
    Event(ClusterEvent),
}

/// A boot of an instance that begins to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) instance: InstanceId,
    pub(crate) boot: u64,
    pub(crate) role: Role,
    /// Sockets are accepted, logins are answered with 57P03.
    pub(crate) starting: bool,
    /// The storage takes this boot's commits.
    pub(crate) may_commit: bool,
    pub(crate) epoch: u64,
    /// The engine version, if the cluster was ever upgraded.
    pub(crate) version: Option<Arc<str>>,
}

/// The cluster's DNS records, by instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Records {
    /// What the cluster endpoint points to.
    pub(crate) writer: Option<InstanceId>,
    /// What the reader endpoint rotates over; if empty, it points to the writer.
    pub(crate) readers: Vec<InstanceId>,
    /// The instances that have a name.
    pub(crate) instances: BTreeSet<InstanceId>,
    /// The instances that passed the last health check. A custom endpoint hands out no other.
    pub(crate) healthy: BTreeSet<InstanceId>,
}

/// Something that RDS would have published as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterEvent {
    /// When, since the simulated cluster started.
    pub at: Duration,
    /// RDS's id for this kind of event, such as `RDS-EVENT-0071`; empty where none is published.
    pub id: &'static str,
    /// The instance that the event is about.
    pub instance: InstanceId,
    /// The text of the event.
    pub message: String,
}

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is no instance `{0}` in the cluster")]
    Unknown(InstanceId),
    #[error("instance `{0}` is {1}: wait until it is up")]
    NotRunning(InstanceId, InstanceState),
    #[error("instance `{0}` is the writer already")]
    AlreadyWriter(InstanceId),
    #[error("a failover is in progress: wait until it has finished")]
    FailoverInProgress,
    #[error("no reader is up that could take over")]
    NoReader,
    #[error("a cluster has at most 15 readers")]
    TooManyReaders,
    #[error("instance `{0}` is the writer, which has no lag: name a reader")]
    WriterHasNoLag(InstanceId),
    #[error(
        "a reader restarts when it is {limit:?} behind, so `{instance}` cannot lag by {lag:?}: \
         ask for less, or raise the timeline's `lag_limit`"
    )]
    LagBeyondLimit {
        instance: InstanceId,
        lag: Duration,
        limit: Duration,
    },
    #[error("instance `{0}` is the only one of the cluster and cannot be removed")]
    LastInstance(InstanceId),
    #[error("promotion tier {0}: a tier is from 0 to 15")]
    NoSuchTier(u8),
    #[error("there is an instance `{0}` already: choose another name")]
    NameTaken(InstanceId),
    #[error("no reader was added by scaling: `scale_in` deletes no other")]
    NothingToScaleIn,
    #[error("an upgrade is in progress: wait until it has finished")]
    UpgradeInProgress,
}
