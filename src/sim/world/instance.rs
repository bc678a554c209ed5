//! One instance: its role, and where it is in its life.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::InstanceId;

use super::anomaly::ViewAnomaly;
use super::replication::Following;
use super::table::Table;

/// What an instance is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It takes writes. A cluster has one, save during a failover.
    Writer,
    /// It takes reads only.
    Reader,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
        })
    }
}

/// Where an instance is in its life, as a client meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstanceState {
    /// Accepts connections and logins.
    Up,
    /// Refuses connections: its engine is down.
    Refusing,
    /// Accepts connections and answers each login with 57P03. PostgreSQL only.
    Starting,
    /// Cut off from the storage: its connections, and new ones, stay open in silence until its
    /// engine restarts.
    Fenced,
    /// Deleted: refuses new connections, those it has live on for a while.
    Draining,
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Refusing => "refusing",
            Self::Starting => "starting",
            Self::Fenced => "fenced",
            Self::Draining => "draining",
        })
    }
}

/// An instance as the world keeps it.
#[derive(Debug)]
pub(super) struct Instance {
    /// 0 to 15; the lowest is promoted first.
    pub(super) tier: u8,
    /// What the control plane has made it, also while it is down.
    pub(super) role: Role,
    pub(super) state: InstanceState,
    /// Which life of its engine process. It grows when one ends, so that whatever was meant for
    /// an earlier one is recognised.
    pub(super) boot: u64,
    /// The `SESSION_ID` of this boot as a reader.
    pub(super) session: Arc<str>,
    pub(super) lag_millis: f64,
    pub(super) following: Following,
    pub(super) view: View,
    /// It was the writer, and its copy of the table still says so when it comes back.
    pub(super) demoted: bool,
    /// It is down because the writer is, and boots when a writer accepts again.
    pub(super) waits_for_writer: bool,
    /// Scaling made it, so scaling may delete it.
    pub(super) autoscaled: bool,
    /// The engine version of its boot, if the cluster was ever upgraded.
    pub(super) version: Option<Arc<str>>,
    /// What its answers get wrong about the topology.
    pub(super) anomalies: Vec<ViewAnomaly>,
    /// A copy that names another writer, kept as it was at that time.
    pub(super) claim: Option<(Duration, Arc<Table>)>,
    /// How far its copy is behind the writer's table.
    pub(super) propagation: Duration,
}

impl Instance {
    pub(super) fn is_up(&self) -> bool {
        self.state == InstanceState::Up
    }

    /// Whether the control plane could make it the writer now.
    pub(super) fn is_candidate(&self) -> bool {
        self.role == Role::Reader && (self.is_up() || self.waits_for_writer)
    }
}

/// An instance's own copy of the replica-status table.
#[derive(Debug, Clone)]
pub(super) enum View {
    /// It follows the writer's.
    Following,
    /// Nothing new has come in since `at`.
    Stale { at: Duration, table: Arc<Table> },
}

/// What is needed to place an instance in a new world.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) id: InstanceId,
    pub(crate) tier: u8,
}
