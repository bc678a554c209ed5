//! What can be asked of a simulated cluster.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::world::{InstanceState, Role};

/// A simulated cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClusterState {
    /// How many promotions there have been.
    pub epoch: u64,
    /// The instance that takes writes; none during a failover.
    pub writer: Option<InstanceId>,
    /// From a writer's crash, or the request of a failover, until a writer accepts again.
    pub failing_over: bool,
    /// All instances, by name.
    pub instances: Vec<InstanceStatus>,
}

impl ClusterState {
    /// One instance, if it exists.
    pub fn instance(&self, id: impl Into<InstanceId>) -> Option<&InstanceStatus> {
        let id = id.into();
        self.instances.iter().find(|instance| instance.id == id)
    }

    /// The readers that accept connections.
    pub fn readers(&self) -> impl Iterator<Item = &InstanceStatus> + '_ {
        self.instances
            .iter()
            .filter(|instance| instance.role == Role::Reader && instance.state == InstanceState::Up)
    }
}

/// One instance at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceStatus {
    /// Its name.
    pub id: InstanceId,
    /// What it is in the cluster, or is becoming.
    pub role: Role,
    /// Whether it accepts connections.
    pub state: InstanceState,
    /// Its promotion tier, 0 to 15; the lowest is promoted first.
    pub tier: u8,
    /// Its own IP address; all instances have the same port.
    pub address: Ipv4Addr,
    /// How old the data is that it shows, as set by
    /// [`set_lag`](super::SimCluster::set_lag) and grown by
    /// [`pause_replication`](super::SimCluster::pause_replication). Zero: it shows each commit
    /// at once. A paused reader's lag grows from call to call without a change of the state that
    /// [`wait_for`](super::SimCluster::wait_for) would wake up for.
    pub lag: Duration,
}

/// A reader became the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promotion {
    /// The new writer.
    pub instance: InstanceId,
    /// How many promotions there have been, with this one.
    pub epoch: u64,
    /// When the old writer crashed, or the failover was requested. Times are counted from the
    /// start of the cluster, as by [`SimCluster::now`](super::SimCluster::now).
    pub fault_at: Duration,
    /// When the new writer first accepted connections: taken right after its listening socket
    /// was opened.
    pub accepting_at: Duration,
}

/// What an instance has been asked since the cluster started, over all its boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// TCP connections accepted.
    pub connects: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Logins that were refused.
    pub logins_refused: u64,
    /// Statements of any kind.
    pub statements: u64,
    /// Statements that read a user's table.
    pub reads: u64,
    /// Statements that changed rows or the schema.
    pub writes: u64,
    /// Statements that read the replica-status table.
    pub topology_queries: u64,
    /// Sessions that are open now.
    pub open_sessions: u64,
}
