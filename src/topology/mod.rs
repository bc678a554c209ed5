//! What the cluster looks like, and how that changes: pure values and pure decisions, and the one
//! task that runs them.
//!
//! - [`snapshot`]: [`Topology`], the immutable picture that everybody reads.
//! - [`observation`]: one piece of news, from a probe or from an application's own error.
//! - [`apply`]: the only way one picture becomes the next.
//! - [`membership`]: its part that says who belongs to the cluster.
//! - [`table`]: what the rows of a replica-status table are worth.
//! - [`cadence`]: when to ask whom.
//! - [`monitor`]: the task: asks, applies, publishes.
//!
//! Pools, sockets and SQL are not here; the monitor reaches them through [`monitor::Prober`].

pub(crate) mod apply;
pub(crate) mod cadence;
#[cfg(test)]
mod fixtures;
mod membership;
pub(crate) mod monitor;
pub(crate) mod observation;
#[cfg(test)]
mod properties;
pub(crate) mod silence;
pub(crate) mod snapshot;
mod table;

pub use snapshot::{Health, Instance, Phase, Role, Topology};
