//! Topology-aware connection pools for Amazon Aurora.

mod error;
mod id;
mod rng;
mod task;
mod time;

#[cfg(feature = "sim")]
pub mod sim;

pub use error::{Error, ErrorKind, Outcome, Result, ServerCode};
pub use id::{EngineKind, Epoch, Generation, InstanceId};
