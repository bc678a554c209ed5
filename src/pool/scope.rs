//! Keeps a handle's reads to the members of custom endpoints, by asking DNS again and again.
//!
//! Who is a member, and when to ask, is decided in `resolve::members`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::watch;

use super::roster::Roster;
use super::set::PoolSet;
use crate::engine::Backend;
use crate::error::Result;
use crate::id::InstanceId;
use crate::resolve::Lookup;
use crate::resolve::members::{self, Members};
use crate::rng::Rng;
use crate::routing::Scope;
use crate::time;
use crate::topology::{Health, Topology};

/// So that the processes of one application do not ask in step.
const JITTER_PERCENT: u32 = 20;

/// One custom endpoint.
struct Endpoint {
    name: Arc<str>,
    members: Members,
    /// Why the last query told nothing.
    trouble: Option<Arc<str>>,
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
    let mut scope = pools.scope().borrow().clone();
    let began = time::now();
    loop {
        for endpoint in &mut endpoints {
            endpoint.ask(&pools, &topology).await;
        }
        let next = Endpoint::scope(&endpoints);
        if next != scope {
            if let Scope::Members(members) = &next {
                tracing::info!(?members, "reads go to other members of the custom endpoint");
            }
            roster.confine(&pools, next.clone());
            scope = next;
        }
        let instances = health(&topology.borrow());
        let known_for = time::now().saturating_duration_since(began);
        let all = endpoints.iter().map(|endpoint| &endpoint.members);
        let interval = members::interval(all, &instances, known_for);
        time::sleep_until(Some(time::now() + rng.jitter(interval, JITTER_PERCENT))).await;
    }
}

impl Endpoint {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            members: Members::default(),
            trouble: None,
        }
    }

    /// Where reads may go, by all of these.
    fn scope(endpoints: &[Self]) -> Scope {
        let ids = endpoints.iter().flat_map(|endpoint| endpoint.members.ids());
        let ids: BTreeSet<InstanceId> = ids.cloned().collect();
        if !ids.is_empty() {
            return Scope::Members(Arc::new(ids));
        }
        let troubles = endpoints
            .iter()
            .filter_map(|endpoint| endpoint.trouble.as_deref());
        Scope::Nowhere(troubles.collect::<Vec<_>>().join("; ").into())
    }

    async fn ask<E: Backend>(
        &mut self,
        pools: &PoolSet<E>,
        topology: &watch::Receiver<Arc<Topology>>,
    ) {
        let asked = self.answer(pools, topology).await;
        let trouble = asked.err().map(|error| error.to_string().into());
        if let (None, Some(trouble)) = (&self.trouble, &trouble) {
            tracing::warn!(%trouble, "the custom endpoint's members cannot be learnt; those known stay");
        }
        self.trouble = trouble;
    }

    /// Takes in where the name leads to now. An answer that leads to nobody tells of nobody.
    async fn answer<E: Backend>(
        &mut self,
        pools: &PoolSet<E>,
        topology: &watch::Receiver<Arc<Topology>>,
    ) -> Result<()> {
        let (lookup, ttl) = pools.dialer().resolve_anew::<E>(&self.name).await?;
        let topology = Arc::clone(&topology.borrow());
        let led_to = whom(pools, &topology, &lookup).await;
        if led_to.is_empty() {
            return Err(members::leads_to_nobody(&self.name, &lookup.addresses));
        }
        let instances = health(&topology);
        self.members.answered(&led_to, &instances, time::now(), ttl);
        Ok(())
    }
}

/// Which instances there are, and whether each is up.
fn health(topology: &Topology) -> BTreeMap<InstanceId, bool> {
    let instances = topology.instances();
    instances
        .map(|instance| (instance.id().clone(), instance.health() == Health::Up))
        .collect()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pool::fixtures::cluster::{ClusterBench, heard};

    const MINUTE: Duration = Duration::from_secs(60);

    fn leads_to(cluster: &ClusterBench, instances: &[u8]) {
        let address = |last: &u8| IpAddr::from([127, 0, 0, *last]);
        let addresses = instances.iter().map(address).collect();
        cluster.server().endpoint_leads_to = Some(addresses);
    }

    fn members(instances: &[&str]) -> Scope {
        let ids = instances.iter().map(|id| InstanceId::new(*id));
        Scope::Members(Arc::new(ids.collect()))
    }

    /// Follows the endpoint for so long, while all of `7`, `8` and `9` are up.
    async fn follow_for(cluster: &ClusterBench, span: Duration) -> Scope {
        let picture = heard(&["7", "8", "9"]);
        cluster.follow(&picture);
        let (_sender, topology) = watch::channel(Arc::new(picture));
        let name = cluster.pools.dialer().config().database.clone();
        let following = run(
            vec![name.expect("it has one").into()],
            Arc::clone(&cluster.roster),
            Arc::clone(&cluster.pools),
            topology,
            Rng::seeded(1),
        );
        let _ = tokio::time::timeout(span, following).await;
        let scope = cluster.pools.scope();
        let scope = scope.borrow();
        scope.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn reads_are_confined_to_whom_the_endpoint_leads_and_stay_so_while_dns_is_silent() {
        let cluster = ClusterBench::new();
        leads_to(&cluster, &[8]);
        assert_eq!(follow_for(&cluster, MINUTE).await, members(&["8"]));
        let reads = |id| cluster.pools.routes().reads_from(&InstanceId::new(id));
        assert_eq!((reads("7"), reads("8")), (false, true));
        let picture = heard(&["7", "8", "9"]);
        let (_sender, topology) = watch::channel(Arc::new(picture));
        let mut endpoint = Endpoint::new(
            cluster
                .pools
                .dialer()
                .config()
                .database
                .clone()
                .unwrap()
                .into(),
        );
        endpoint.ask(&cluster.pools, &topology).await;
        cluster.server().endpoint_leads_to = None;
        endpoint.ask(&cluster.pools, &topology).await;
        assert_eq!(Endpoint::scope(&[endpoint]), members(&["8"]));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_known_member_there_is_nobody_to_read_from_and_a_reason() {
        for (led_to, reason) in [(None, "no answer"), (Some([5]), "no known instance")] {
            let cluster = ClusterBench::new();
            if let Some(led_to) = led_to {
                leads_to(&cluster, &led_to);
            }
            let scope = follow_for(&cluster, MINUTE).await;
            assert!(
                matches!(&scope, Scope::Nowhere(why) if why.contains(reason)),
                "{scope:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_who_the_members_are_before_any_instance_is_known() {
        let cluster = ClusterBench::new();
        leads_to(&cluster, &[8]);
        let (_sender, topology) = watch::channel(Arc::new(Topology::empty()));
        let following = run(
            vec!["endpoint".into()],
            Arc::clone(&cluster.roster),
            Arc::clone(&cluster.pools),
            topology,
            Rng::seeded(1),
        );
        assert!(tokio::time::timeout(MINUTE, following).await.is_err());
        assert_eq!(cluster.server().lookups.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_asked_for_often_while_nobody_serves_and_seldom_in_the_long_run() {
        let cluster = ClusterBench::new();
        let in_vain = follow_for(&cluster, MINUTE);
        assert!(matches!(in_vain.await, Scope::Nowhere(_)));
        let often = cluster.server().lookups.len();
        assert!((45..=80).contains(&often), "{often} times in a minute");
        leads_to(&cluster, &[7, 8]);
        cluster.server().lookups.clear();
        let scope = follow_for(&cluster, 10 * MINUTE).await;
        assert_eq!(scope, members(&["7", "8"]));
        let server = cluster.server();
        let began = server.lookups[0];
        let late = server.lookups.iter().filter(|at| **at - began > 8 * MINUTE);
        let seldom = late.count();
        assert!((15..=30).contains(&seldom), "{seldom} times in two minutes");
    }
}
