//! Which clusters there are in this process, by the domain of their names.
//!
//! A configuration carries names only, so this is how a name leads to a cluster without DNS.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
