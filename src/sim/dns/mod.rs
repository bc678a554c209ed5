//! The DNS server of a simulated cluster: CNAME records that follow failovers, A records for the
//! instances.
//!
//! | file | idea |
//! |---|---|
//! | `zone` | the names of one cluster, and what each query is answered with |
//! | `custom` | custom endpoints: which instance is handed out |
//! | `listing` | what all names lead to now |
//! | `fault` | a resolver that is slow, wrong or dead |
//! | `handler` | from a request to a response, by way of the faults |
//! | `server` | UDP and TCP |
//!
//! The records are those of Aurora (Aurora User Guide, "Amazon Aurora connection management"): the
//! cluster, the reader and the custom endpoints are CNAMEs to one instance's name, which has an A
//! record; the reader endpoint names another reader each time it is asked for.
//!
//! Not here: when records change (`sim::world`), how names are made (`sim::cluster::names`).

mod custom;
mod fault;
mod handler;
mod listing;
mod server;
mod zone;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use custom::CUSTOM_ENDPOINTS_MAX;
pub use custom::{CustomEndpointKind, CustomEndpointMembers};
pub use fault::{DnsFault, DnsFaultGuard};
pub use listing::DnsAnswer;
pub(crate) use server::DnsServer;
pub(crate) use zone::{NameError, Zone};

/// A zone that is served while it changes.
#[derive(Debug, Clone)]
pub(crate) struct SharedZone(Arc<RwLock<Zone>>);

impl SharedZone {
    pub(crate) fn new(zone: Zone) -> Self {
        Self(Arc::new(RwLock::new(zone)))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Zone> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Zone> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
