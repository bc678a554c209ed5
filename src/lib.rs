//! Topology-aware connection pools for Amazon Aurora.

mod id;

#[cfg(feature = "sim")]
pub mod sim;

pub use id::{EngineKind, Epoch, Generation, InstanceId};
