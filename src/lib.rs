//! Topology-aware connection pools for Amazon Aurora.

pub mod config;
mod error;
mod id;
mod resolve;
mod rng;
mod task;
mod time;

#[cfg(feature = "sim")]
pub mod sim;

pub use config::Config;
pub use error::{Error, ErrorKind, Outcome, Result, ServerCode};
pub use id::{EngineKind, Epoch, Generation, InstanceId};
pub use resolve::{Endpoint, EndpointKind, InstancePattern};
