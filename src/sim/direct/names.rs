//! Which clusters there are in this process, by the domain of their names.
//!
//! A configuration carries names only, so this is how a name leads to a cluster without DNS.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::timing::DNS_LOOKUP_TIMEOUT;
use crate::error::{Error, ErrorKind, Result};
use crate::sim::dns::DnsFault;

use super::shell::Shared;

static CLUSTERS: Mutex<BTreeMap<String, Weak<Shared>>> = Mutex::new(BTreeMap::new());
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A domain that no other cluster of this process has.
pub(super) fn new_domain() -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("direct{number:06}.us-east-1.rds.amazonaws.com")
}

pub(super) fn enter(domain: String, shared: &Arc<Shared>) {
    let mut clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
    clusters.retain(|_, cluster| cluster.strong_count() > 0);
    clusters.insert(domain, Arc::downgrade(shared));
}

/// The running cluster that a host name belongs to.
pub(super) fn find(host: &str) -> Option<Arc<Shared>> {
    let (_, rest) = host.split_once('.')?;
    let domain = rest.strip_prefix("cluster-").unwrap_or(rest);
    let domain = domain.strip_prefix("ro-").unwrap_or(domain);
    let clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
    clusters.get(domain)?.upgrade()
}

/// The addresses behind a name, with what the cluster's DNS gets wrong; given up as the driver's
/// own resolver gives up.
pub(super) async fn resolve(host: String) -> Result<Arc<[IpAddr]>> {
    let asked = tokio::time::timeout(DNS_LOOKUP_TIMEOUT, ask(&host)).await;
    asked.unwrap_or_else(|_| Err(unresolved(format!("no DNS server answers for `{host}`"))))
}

async fn ask(host: &str) -> Result<Arc<[IpAddr]>> {
    let Some(cluster) = find(host) else {
        return Err(unresolved(format!(
            "no direct cluster of this process has the name `{host}`: is it still running?"
        )));
    };
    match cluster.dns() {
        None | Some(DnsFault::Truncated) => {}
        Some(DnsFault::Silent) => std::future::pending().await,
        Some(DnsFault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(DnsFault::ServFail) => {
            return Err(unresolved(format!("the DNS server failed for `{host}`")));
        }
        Some(DnsFault::NxDomain) => {
            return Err(unresolved(format!(
                "there is no name `{host}`, says the DNS"
            )));
        }
        Some(DnsFault::Wrong { name, address }) if name == host => {
            return Ok([IpAddr::from(address)].into());
        }
        Some(DnsFault::Wrong { .. }) => {}
    }
    match cluster.resolve(host) {
        Some(addresses) => Ok(addresses.into()),
        None => Err(unresolved(format!("there is no name `{host}`"))),
    }
}

fn unresolved(message: String) -> Error {
    Error::new(ErrorKind::Resolve, message)
}
