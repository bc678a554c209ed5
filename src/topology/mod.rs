//! What the cluster looks like, and how that changes: pure values and pure decisions, and the one
//! task that runs them.
//!
//! - [`snapshot`]: [`Topology`], the immutable picture that everybody reads.
//! - [`observation`]: one piece of news, from a probe or from an application's own error.
//! - [`apply`]: the only way one picture becomes the next.
//! - [`cadence`]: when to ask whom.
//! - [`monitor`]: the task: asks, applies, publishes.
//!
//! Pools, sockets and SQL are not here; the monitor reaches them through [`monitor::Prober`].

pub(crate) mod apply;
pub(crate) mod cadence;
#[cfg(test)]
mod fixtures;
pub(crate) mod monitor;
pub(crate) mod observation;
#[cfg(test)]
mod properties;
pub(crate) mod snapshot;

pub use snapshot::{Health, Instance, Phase, Role, Topology};
