//! Looks after idle connections in the background: ends those that are no longer fit, and keeps
//! the configured minimum ready.
//!
//! Only instances that are up are topped up; the others are the monitor's business.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::set::PoolSet;
use crate::engine::Backend;
use crate::rng::Rng;
use crate::routing::FULL_WEIGHT;
use crate::time;
use crate::topology::{Health, Topology};

/// Fine enough for idle timeouts of seconds, and next to no work.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// So that the processes of one application do not open connections in step.
const JITTER_PERCENT: u32 = 20;

/// Runs until dropped.
pub(crate) async fn run<E: Backend>(
    pools: Arc<PoolSet<E>>,
    topology: watch::Receiver<Arc<Topology>>,
    mut rng: Rng,
) {
    loop {
        time::sleep_until(Some(
            time::now() + rng.jitter(SWEEP_INTERVAL, JITTER_PERCENT),
        ))
        .await;
        for pool in pools.all() {
            let id = pool.member().id();
            let is_up = topology
                .borrow()
                .instance(id)
                .is_some_and(|instance| instance.health() == Health::Up);
            // A reader in its slow start gets them little by little.
            let weight = if is_up {
                pools.routes().weight_of(&pool)
            } else {
                0
            };
            let min_idle = pool.member().dialer().config().pool.min_idle;
            pool.sweep((min_idle * weight as usize).div_ceil(FULL_WEIGHT as usize));
        }
    }
}
