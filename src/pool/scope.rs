//! Keeps a handle's reads to the members of custom endpoints, by asking DNS again and again.
//!
//! Who is a member is decided in `resolve::members`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

use super::roster::Roster;
use super::set::PoolSet;
use crate::engine::Backend;
use crate::id::InstanceId;
use crate::resolve::Lookup;
use crate::resolve::members::{self, Members};
use crate::rng::Rng;
use crate::routing::Scope;
use crate::time;
use crate::topology::{Health, Topology};

/// How often a name is resolved at first: a query a second is nothing to a DNS server, and a
/// handle knows its members soon.
const LEARNING_INTERVAL: Duration = Duration::from_secs(1);
/// How long that goes on; even through caches that keep each answer for 5 s it has led to most
/// members of a usual endpoint by then.
const LEARNING_PERIOD: Duration = Duration::from_secs(30);
/// How often it is resolved after that: the time to live of Aurora's records.
const STEADY_INTERVAL: Duration = Duration::from_secs(5);
/// So that the processes of one application do not ask in step.
const JITTER_PERCENT: u32 = 20;

/// One custom endpoint.
struct Endpoint {
    name: Arc<str>,
    members: Members,
    /// The last query failed, and that has been said.
    has_failed: bool,
}

/// Runs until dropped.
pub(crate) async fn run<E: Backend>(
    names: Vec<Arc<str>>,
    roster: Arc<Roster<E>>,
    pools: Arc<PoolSet<E>>,
    mut topology: watch::Receiver<Arc<Topology>>,
    mut rng: Rng,
) {
    // There is nobody to match an answer with before.
    let instances_known = topology.wait_for(|topology| topology.instances().len() > 0);
    if instances_known.await.is_err() {
        return;
    }
    let mut endpoints: Vec<Endpoint> = names.into_iter().map(Endpoint::new).collect();
    let mut known = BTreeSet::new();
    let began = time::now();
    loop {
        for endpoint in &mut endpoints {
            endpoint.ask(&pools, &topology).await;
        }
        let members = endpoints.iter().flat_map(|endpoint| endpoint.members.ids());
        let members: BTreeSet<InstanceId> = members.cloned().collect();
        if members != known {
            tracing::info!(?members, "reads go to other members of the custom endpoint");
            roster.confine(&pools, Scope::Members(Arc::new(members.clone())));
            known = members;
        }
        let is_learning = time::now().saturating_duration_since(began) < LEARNING_PERIOD;
        let interval = match is_learning {
            true => LEARNING_INTERVAL,
            false => STEADY_INTERVAL,
        };
        time::sleep_until(Some(time::now() + rng.jitter(interval, JITTER_PERCENT))).await;
    }
}

impl Endpoint {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            members: Members::default(),
            has_failed: false,
        }
    }

    async fn ask<E: Backend>(
        &mut self,
        pools: &PoolSet<E>,
        topology: &watch::Receiver<Arc<Topology>>,
    ) {
        let name = &*self.name;
        let (lookup, ttl) = match pools.dialer().resolve_anew::<E>(name).await {
            Ok(answer) => answer,
            Err(error) => {
                // No answer says nothing about anybody.
                if !std::mem::replace(&mut self.has_failed, true) {
                    tracing::warn!(%error, "the custom endpoint's members cannot be looked up");
                }
                return;
            }
        };
        self.has_failed = false;
        let topology = Arc::clone(&topology.borrow());
        let led_to = match lookup {
            None => BTreeSet::new(),
            Some(lookup) => {
                let led_to = whom(pools, &topology, &lookup).await;
                if led_to.is_empty() {
                    let addresses = &lookup.addresses;
                    tracing::debug!(name, ?addresses, "a custom endpoint leads to nobody known");
                    return;
                }
                led_to
            }
        };
        let instances: BTreeMap<InstanceId, bool> = topology
            .instances()
            .map(|instance| (instance.id().clone(), instance.health() == Health::Up))
            .collect();
        self.members.answered(&led_to, &instances, time::now(), ttl);
    }
}

/// Whom an answer leads to: told by the name at the end of its aliases, or else by the addresses.
async fn whom<E: Backend>(
    pools: &PoolSet<E>,
    topology: &Topology,
    lookup: &Lookup,
) -> BTreeSet<InstanceId> {
    let dialer = pools.dialer();
    let named = lookup.canonical.as_deref();
    let named = named.and_then(|host| dialer.instance_of(host));
    if let Some(id) = named.filter(|id| topology.instance(id).is_some()) {
        return [id].into();
    }
    let addresses = topology.instances().map(async |instance| {
        let addresses: Arc<[IpAddr]> = dialer.addresses_of::<E>(instance.id()).await.ok()?;
        Some((instance.id().clone(), addresses))
    });
    let instances: Vec<_> = join_all(addresses).await.into_iter().flatten().collect();
    members::owners(&lookup.addresses, &instances)
}
