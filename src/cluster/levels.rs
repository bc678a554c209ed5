//! Tells metrics once a second what the pools and the topology look like.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::line::Line;
use crate::engine::Backend;
use crate::id::{InstanceId, Role};
use crate::observe::meters::InstanceLevels;
use crate::pool::set::PoolSet;
use crate::time;
use crate::topology::{Health, Topology};

/// Finer than any scrape.
const LEVELS_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until dropped.
pub(super) async fn run<E: Backend>(
    pools: Arc<PoolSet<E>>,
    topology: watch::Receiver<Arc<Topology>>,
    line: Arc<Line>,
) {
    let mut known = BTreeMap::new();
    loop {
        tell_pools(&pools, &line);
        let picture = Arc::clone(&topology.borrow());
        known = tell_instances(&pools, &picture, &known);
        time::sleep_until(Some(time::now() + LEVELS_INTERVAL)).await;
    }
}

fn tell_pools<E: Backend>(pools: &PoolSet<E>, line: &Line) {
    let routes = pools.routes();
    for pool in pools.all() {
        // The first in the row waits at the pool itself.
        let in_row = match routes.writes_to(&pool) {
            true => line.length().saturating_sub(1),
            false => 0,
        };
        pool.tell_levels(in_row);
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
