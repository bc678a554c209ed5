//! An Aurora-like cluster inside the process, for tests.

pub(crate) mod certificates;
pub(crate) mod cluster;
pub mod control;
pub mod direct;
pub(crate) mod dns;
pub(crate) mod fault;
pub(crate) mod front;
pub(crate) mod host;
pub(crate) mod script;
pub(crate) mod sql;
pub(crate) mod volume;
pub(crate) mod world;

pub use cluster::{
    ClusterState, Counters, InstanceStatus, Playback, Promotion, SimCluster, SimClusterBuilder,
    SimError, Tls,
};
pub use dns::{CustomEndpointKind, CustomEndpointMembers, DnsAnswer, DnsFault, DnsFaultGuard};
pub use fault::{
    ActiveFault, FaultGuard, FaultPoint, ListenerState, StatementFault, StatementKind,
};
pub use script::{RecordedFailover, Script, ScriptError};
pub use volume::LedgerEntry;
pub use world::{ClusterEvent, InstanceState, Role, Timeline, ViewAnomaly, ViewOptions};
