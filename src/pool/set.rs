//! One pool per instance, following the topology.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::dialer::Dialer;
use super::instance::InstancePool;
use super::lease::Lease;
use super::member::Member;
use super::station::Station;
use crate::engine::{Backend, Failure};
use crate::error::{Error, ErrorKind};
use crate::id::{Generation, InstanceId};
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

/// All pools of one cluster handle.
#[derive(Debug)]
pub(crate) struct PoolSet<E: Backend> {
    dialer: Dialer,
    pools: RwLock<Pools<E>>,
    /// Woken whenever a connection comes back.
    returned: Arc<Notify>,
    /// The handle was closed; turned while `pools` is locked, so that none is added after it.
    closed: CancellationToken,
}

#[derive(Debug)]
struct Pools<E: Backend> {
    present: BTreeMap<InstanceId, Arc<InstancePool<E>>>,
    /// Of instances that have left the cluster while connections to them were in use.
    departed: Vec<Arc<InstancePool<E>>>,
}

impl<E: Backend> PoolSet<E> {
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self {
            dialer,
            pools: RwLock::new(Pools {
                present: BTreeMap::new(),
                departed: Vec::new(),
            }),
            returned: Arc::new(Notify::new()),
            closed: CancellationToken::new(),
        }
    }

    /// Checks out a connection to one instance.
    pub(crate) async fn checkout(
        &self,
        instance: &InstanceId,
        deadline: Instant,
    ) -> Result<Lease<E>, Failure> {
        self.member_pool(instance)?.checkout(deadline).await
    }

    /// Checks out a connection to one instance unless all are in use: `None` then.
    pub(crate) async fn checkout_at_once(
        &self,
        instance: &InstanceId,
        deadline: Instant,
    ) -> Result<Option<Lease<E>>, Failure> {
        let pool = self.member_pool(instance)?;
        pool.checkout_at_once(deadline).await
    }

    fn member_pool(&self, instance: &InstanceId) -> Result<Arc<InstancePool<E>>, Failure> {
        self.pool(instance).ok_or_else(|| Failure {
            fault: Fault::Unresolved,
            error: Error::new(ErrorKind::Connect, "it has left the cluster")
                .with_instance(instance),
        })
    }

    /// How many connections to an instance are checked out.
    pub(crate) fn in_use(&self, instance: &InstanceId) -> usize {
        self.pool(instance).map_or(0, |pool| pool.in_use())
    }

    /// Refuses new checkouts, closes what is idle, waits until `deadline` for what is in use,
    /// and ends the rest; how many connections that were.
    pub(crate) async fn close(&self, deadline: Instant) -> usize {
        let pools = self.shut();
        for pool in &pools {
            pool.close();
        }
        let mut returned = std::pin::pin!(self.returned.notified());
        loop {
            // Listening begins before the count, so that no return is missed.
            returned.as_mut().enable();
            let users: usize = pools.iter().map(|pool| pool.users()).sum();
            if users == 0 || time::remaining(deadline) == Duration::ZERO {
                break;
            }
            let _ = tokio::time::timeout_at(deadline, returned.as_mut()).await;
            returned.set(self.returned.notified());
        }
        let in_use = pools.iter().map(|pool| pool.in_use()).sum();
        for pool in &pools {
            pool.end("the handle was closed");
        }
        in_use
    }

    /// Lets no pool be added from now on; all that there are, also of instances that have left.
    fn shut(&self) -> Vec<Arc<InstancePool<E>>> {
        let pools = self.write();
        self.closed.cancel();
        let present = pools.present.values();
        present.chain(&pools.departed).cloned().collect()
    }

    /// The pools there are now.
    pub(super) fn all(&self) -> Vec<Arc<InstancePool<E>>> {
        self.read().present.values().cloned().collect()
    }

    fn pool(&self, instance: &InstanceId) -> Option<Arc<InstancePool<E>>> {
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
    ) {
        if let Some(pool) = self.pool(instance) {
            let generation = generation.unwrap_or_else(|| pool.member().generation().next());
            pool.begin_generation(generation, cause);
        }
    }

    /// Makes pools for new instances and closes those of instances that are gone.
    pub(super) fn follow(&self, stations: &BTreeMap<InstanceId, Arc<Station<E>>>) {
        if self.read().present.keys().eq(stations.keys()) {
            return;
        }
        let mut pools = self.write();
        if self.closed.is_cancelled() {
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
                Arc::clone(&self.returned),
                self.closed.clone(),
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
