//! What the pools look like, for whoever asks; and once a second, with the topology, for metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::line::Line;
use crate::engine::Backend;
use crate::id::{InstanceId, Role};
use crate::observe::meters::{InstanceLevels, PoolLevels};
use crate::pool::instance::InstancePool;
use crate::pool::set::PoolSet;
use crate::time;
use crate::topology::{Health, Topology};

/// Finer than any scrape.
const LEVELS_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until dropped.
pub(super) async fn run<E: Backend>(
    pools: Arc<PoolSet<E>>,
    mut topology: watch::Receiver<Arc<Topology>>,
    line: Arc<Line>,
) {
    // So that the first levels are told as soon as there are any, not an interval later.
    let instances_known = topology.wait_for(|topology| topology.instances().len() > 0);
    if instances_known.await.is_err() {
        return;
    }
    let mut known = BTreeMap::new();
    loop {
        tell_pools(&pools, &line);
        let picture = Arc::clone(&topology.borrow());
        known = tell_instances(&pools, &picture, &known);
        time::sleep_until(Some(time::now() + LEVELS_INTERVAL)).await;
    }
}

/// The pool of one handle to one instance, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The instance.
    pub instance: InstanceId,
    /// Connections that are checked out.
    pub in_use: usize,
    /// Connections that are open and at hand.
    pub idle: usize,
    /// Callers that wait for one of them; at the writer's pool also those in line for the writer.
    pub waiting: usize,
    /// The most connections that there may be ([`PoolLimits::max`](crate::config::PoolLimits)).
    pub max: usize,
}

/// All pools of a handle.
pub(super) fn status<E: Backend>(pools: &PoolSet<E>, line: &Line) -> Vec<PoolStatus> {
    let told = pools.all().into_iter().map(|pool| {
        let levels = levels(pools, &pool, line);
        PoolStatus {
            instance: pool.id().clone(),
            in_use: levels.used,
            idle: levels.idle,
            waiting: levels.waiting,
            max: levels.max,
        }
    });
    told.collect()
}

fn levels<E: Backend>(pools: &PoolSet<E>, pool: &Arc<InstancePool<E>>, line: &Line) -> PoolLevels {
    // The first in the row waits at the pool itself.
    let in_row = match pools.routes().writes_to(pool) {
        true => line.length().saturating_sub(1),
        false => 0,
    };
    pool.levels(in_row)
}

fn tell_pools<E: Backend>(pools: &PoolSet<E>, line: &Line) {
    for pool in pools.all() {
        pool.tell_levels(levels(pools, &pool, line));
    }
}

/// What is told of the instances; their roles, so that those are known that are gone next time.
fn tell_instances<E: Backend>(
    pools: &PoolSet<E>,
    topology: &Topology,
    known: &BTreeMap<InstanceId, Role>,
) -> BTreeMap<InstanceId, Role> {
    let meters = pools.observer().meters();
    if let Some(age) = topology.age(time::now()) {
        meters.topology_age(age);
    }
    let instances = topology.instances();
    let present: BTreeMap<InstanceId, Role> = instances
        .map(|instance| (instance.id().clone(), instance.role()))
        .collect();
    for (id, role) in known {
        if present.get(id) != Some(role) {
            meters.instance_left(id, *role);
        }
    }
    for instance in topology.instances() {
        let levels = InstanceLevels {
            is_up: instance.health() == Health::Up,
            lag: instance.lag(),
        };
        meters.instance(instance.id(), instance.role(), levels);
    }
    present
}
