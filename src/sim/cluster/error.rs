//! What can go wrong with a simulated cluster.

use std::io;
use std::net::SocketAddr;

use crate::sim::dns::NameError;
use crate::sim::world::Refusal;

/// Why a simulated cluster could not be started, or refused an operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A value given to the builder cannot be used.
    #[error("{0}")]
    Config(String),
    /// The operation does not fit the cluster's state: an unknown instance, no reader to fail
    /// over to, a failover already in progress.
    #[error("{0}")]
    Refused(String),
    /// An instance's address cannot be listened on. Linux answers on all of 127.0.0.0/8; other
    /// systems need an alias on the loopback interface for each instance.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The DNS server or the storage could not be set up.
    #[error("cannot set up the simulated cluster's {what}: {source}")]
    Setup {
        /// What was being set up.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// A statement given to [`SimCluster::query`](super::SimCluster::query) failed.
    #[error("{0}")]
    Query(String),
}

impl From<Refusal> for SimError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}

impl From<NameError> for SimError {
    fn from(error: NameError) -> Self {
        Self::Refused(error.to_string())
    }
}
