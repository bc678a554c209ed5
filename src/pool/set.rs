//! One pool per instance, following the topology.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::dialer::Dialer;
use super::instance::InstancePool;
use super::member::{Closing, Member};
use super::routes::{Routes, Standing};
use super::station::Station;
use crate::engine::Backend;
use crate::id::{Generation, InstanceId, Role};
use crate::observe::site::Observer;
use crate::routing::explain::{self, Candidate, Explanation, Intent};
use crate::routing::{self, Scope, Tenure};
use crate::time::{self, Instant};
use crate::topology::{Instance, Topology};

/// All pools of one cluster handle.
#[derive(Debug)]
pub(crate) struct PoolSet<E: Backend> {
    dialer: Dialer,
    pools: RwLock<Pools<E>>,
    routes: ArcSwap<Routes<E>>,
    /// Since when which reader has served; also of those that may come back.
    tenures: Mutex<BTreeMap<InstanceId, Tenure>>,
    /// The readers that lagged too much at the last look.
    lagging: Mutex<BTreeSet<InstanceId>>,
    /// Which instances this handle's reads are confined to, the routes already being so.
    scope: watch::Sender<Scope>,
    /// The handle was closed; turned while `pools` is locked, so that none is added after it.
    closing: Arc<Closing>,
}

#[derive(Debug)]
struct Pools<E: Backend> {
    present: BTreeMap<InstanceId, Arc<InstancePool<E>>>,
    /// Of instances that have left the cluster while connections to them were in use.
    departed: Vec<Arc<InstancePool<E>>>,
}

impl<E: Backend> PoolSet<E> {
    pub(crate) fn new(dialer: Dialer, scope: Scope) -> Self {
        Self {
            scope: watch::Sender::new(scope),
            dialer,
            pools: RwLock::new(Pools {
                present: BTreeMap::new(),
                departed: Vec::new(),
            }),
            routes: ArcSwap::from_pointee(Routes::none()),
            tenures: Mutex::default(),
            lagging: Mutex::default(),
            closing: Arc::default(),
        }
    }

    /// The handle's eye on its statements.
    pub(crate) fn observer(&self) -> &Arc<Observer> {
        self.dialer.observer()
    }

    /// Where writes and reads go now.
    pub(crate) fn routes(&self) -> arc_swap::Guard<Arc<Routes<E>>> {
        self.routes.load()
    }

    /// Which instances reads are confined to. Who sees a new scope finds the routes that it led to.
    pub(crate) fn scope(&self) -> watch::Receiver<Scope> {
        self.scope.subscribe()
    }

    /// Confines reads to other instances, in this picture.
    pub(super) fn confine(&self, scope: Scope, topology: &Topology) {
        self.route_within(&scope, topology);
        self.scope.send_replace(scope);
    }

    /// Refuses new checkouts, closes what is idle, waits until `deadline` for what is in use,
    /// and ends the rest; how many connections that were.
    pub(crate) async fn close(&self, deadline: Instant) -> usize {
        let pools = self.shut();
        for pool in &pools {
            pool.close();
        }
        let mut returned = std::pin::pin!(self.closing.returned().notified());
        loop {
            // Listening begins before the count, so that no return is missed.
            returned.as_mut().enable();
            let users: usize = pools.iter().map(|pool| pool.users()).sum();
            if users == 0 || time::remaining(deadline) == Duration::ZERO {
                break;
            }
            let _ = tokio::time::timeout_at(deadline, returned.as_mut()).await;
            returned.set(self.closing.returned().notified());
        }
        let in_use = pools.iter().map(|pool| pool.in_use()).sum();
        for pool in &pools {
            pool.end("the handle was closed");
        }
        in_use
    }

    /// Waits until the handle is closed. Cancel-safe.
    pub(crate) async fn closed(&self) {
        self.closing.ended().await;
    }

    /// Lets no pool be added from now on; all that there are, also of instances that have left.
    fn shut(&self) -> Vec<Arc<InstancePool<E>>> {
        let pools = self.write();
        self.closing.begin();
        let present = pools.present.values();
        present.chain(&pools.departed).cloned().collect()
    }

    pub(super) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// The pools there are now.
    pub(crate) fn all(&self) -> Vec<Arc<InstancePool<E>>> {
        self.read().present.values().cloned().collect()
    }

    /// Leads requests where this picture says, before anybody else sees it.
    pub(super) fn route(&self, topology: &Topology) {
        let scope = self.scope.borrow().clone();
        self.route_within(&scope, topology);
    }

    fn route_within(&self, scope: &Scope, topology: &Topology) {
        let config = self.dialer.config();
        let now = time::now();
        let pools = self.read();
        let pool = |instance: &Instance| pools.present.get(instance.id()).cloned();
        let writer = topology.writer().and_then(pool);
        for (id, pool) in &pools.present {
            let role = topology.instance(id).map_or(Role::Unknown, Instance::role);
            pool.member().site().serves_as(role);
        }
        let mut tenures = self.tenures.lock().unwrap_or_else(PoisonError::into_inner);
        tenures.retain(|id, _| topology.instance(id).is_some());
        let eligible = self.eligible(topology);
        for (id, tenure) in &mut *tenures {
            if !eligible.iter().any(|reader| reader.id() == id) {
                tenure.leave(now);
            }
        }
        for reader in &eligible {
            let goes_on = tenures
                .get_mut(reader.id())
                .is_some_and(|tenure| tenure.resume(now));
            if !goes_on {
                tenures.remove(reader.id());
                let tenure = Tenure::begin(tenures.values().copied(), now);
                tenures.insert(reader.id().clone(), tenure);
            }
        }
        let plan = routing::plan(topology, &eligible, scope, config.when_none);
        let readers = plan.readers.iter().filter_map(|reader| {
            // One that is read from although it lags may never have begun.
            let tenure = tenures.get(reader.id()).copied();
            let tenure = tenure.unwrap_or_else(|| Tenure::begin(std::iter::empty(), now));
            Some((pool(reader)?, tenure))
        });
        let next = Routes::new(writer, plan.reads, readers, config.timing.slow_start);
        let current = self.routes.load();
        if next.is_like(&current) {
            return;
        }
        // What failed while nothing went there says nothing about what goes there now.
        let served = |pool: &&Arc<InstancePool<E>>| current.leads_to(pool);
        for pool in next
            .pools()
            .filter(|pool| !served(pool) || next.writes_to(pool))
        {
            if !(current.writes_to(pool) && next.writes_to(pool)) {
                pool.serves_again();
            }
        }
        self.routes.store(Arc::new(next));
    }

    /// The readers that do not lag too much; those that do are remembered for the next look.
    fn eligible<'a>(&self, topology: &'a Topology) -> Vec<&'a Instance> {
        let max_lag = self.dialer.config().max_reader_lag;
        let mut lagging = self.lagging_readers();
        let eligible: Vec<&Instance> = {
            let known = &*lagging;
            let readers = routing::eligible(topology, max_lag, known);
            let ids: Vec<&InstanceId> = readers.map(Instance::id).collect();
            ids.into_iter()
                .filter_map(|id| topology.instance(id))
                .collect()
        };
        let is_out = |reader: &&Instance| !eligible.iter().any(|other| other.id() == reader.id());
        let out = topology.readers().filter(is_out);
        *lagging = out.map(|reader| reader.id().clone()).collect();
        eligible
    }

    /// The readers that lag too much.
    pub(crate) fn lagging(&self) -> Vec<String> {
        self.lagging_readers()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn lagging_readers(&self) -> MutexGuard<'_, BTreeSet<InstanceId>> {
        self.lagging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a request would go now, in this picture of the cluster.
    pub(crate) fn explain(&self, intent: Intent, topology: &Topology, turn: usize) -> Explanation {
        let routes = self.routes();
        let standings = match intent {
            Intent::Read => routes.standings(turn),
            Intent::Write => Vec::new(),
        };
        let takes_reads = self.dialer.config().writer_reads_max() != Some(0);
        let writer = match intent {
            Intent::Read => routes.writer_for_reads().filter(|_| takes_reads),
            Intent::Write => routes.writer(),
        };
        let writer = writer.map(|pool| Standing::of_the_writer(pool));
        let candidates: Vec<Candidate> = standings
            .into_iter()
            .chain(writer)
            .map(|standing| self.candidate(&standing, topology))
            .collect();
        let rule = match intent {
            Intent::Read if candidates.is_empty() && routes.reads().use_the_writer() => {
                "a read waits, as no reader may be used, nor the writer"
            }
            Intent::Read => routes.reads().rule(),
            Intent::Write if candidates.is_empty() => "a write waits, as no writer is confirmed",
            Intent::Write => "a write goes to the confirmed writer",
        };
        let is_candidate =
            |id: &InstanceId| candidates.iter().any(|candidate| candidate.instance == *id);
        let scope = self.scope.borrow().clone();
        let (lagging, max_lag) = (self.lagging_readers(), self.dialer.config().max_reader_lag);
        let left_out = topology
            .instances()
            .filter(|instance| !is_candidate(instance.id()))
            .map(|instance| {
                let allowed = routing::bound(instance, max_lag, &lagging);
                let reason = match intent {
                    Intent::Read => {
                        explain::why_not_read(instance, scope.includes(instance.id()), allowed)
                    }
                    Intent::Write => explain::why_not_written(instance),
                };
                (instance.id().clone(), reason)
            })
            .collect();
        Explanation {
            intent,
            rule,
            candidates,
            left_out,
        }
    }

    fn candidate(&self, standing: &Standing<E>, topology: &Topology) -> Candidate {
        let id = standing.pool.id();
        let known = topology.instance(id);
        let labels = self.dialer.config().labels.get(id);
        Candidate {
            instance: id.clone(),
            role: standing.pool.member().site().role(),
            lag: known.and_then(Instance::lag),
            in_flight: standing.pool.in_flight(),
            latency: standing.latency,
            weight: standing.weight,
            zone: labels.and_then(|labels| labels.zone.clone()),
            is_far: standing.is_far,
        }
    }

    pub(super) fn pool(&self, instance: &InstanceId) -> Option<Arc<InstancePool<E>>> {
        self.read().present.get(instance).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, Pools<E>> {
        self.pools.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Pools<E>> {
        self.pools.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a generation of one instance's connections; `None` for the next one.
    pub(super) fn begin_generation(
        &self,
        instance: &InstanceId,
        generation: Option<Generation>,
        cause: Option<&'static str>,
    ) -> usize {
        self.pool(instance).map_or(0, |pool| {
            let generation = generation.unwrap_or_else(|| pool.member().generation().next());
            pool.begin_generation(generation, cause)
        })
    }

    /// Makes pools for new instances and closes those of instances that are gone.
    pub(super) fn follow(&self, stations: &BTreeMap<InstanceId, Arc<Station<E>>>) {
        if self.read().present.keys().eq(stations.keys()) {
            return;
        }
        let mut pools = self.write();
        if self.closing.has_begun() {
            return;
        }
        let Pools { present, departed } = &mut *pools;
        departed.retain(|pool| pool.users() > 0);
        present.retain(|id, pool| {
            let stays = stations.contains_key(id);
            if !stays {
                pool.close();
                departed.push(Arc::clone(pool));
            }
            stays
        });
        for (id, station) in stations {
            if present.contains_key(id) {
                continue;
            }
            let member = Member::new(
                Arc::clone(station),
                self.dialer.clone(),
                Arc::clone(&self.closing),
            );
            match InstancePool::new(member) {
                Ok(pool) => {
                    present.insert(id.clone(), Arc::new(pool));
                }
                Err(error) => tracing::warn!(instance = %id, %error, "no pool for an instance"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
