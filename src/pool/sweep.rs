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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::fixtures::cluster::{ClusterBench, heard, topology};

    /// Sweeps for so many seconds while this is the picture.
    async fn sweep_for(cluster: &ClusterBench, seconds: u64, picture: Topology) {
        cluster.follow(&picture);
        let (_sender, picture) = watch::channel(Arc::new(picture));
        let sweeping = run(Arc::clone(&cluster.pools), picture, Rng::seeded(1));
        let _ = tokio::time::timeout(Duration::from_secs(seconds), sweeping).await;
    }

    fn ready(cluster: &ClusterBench) -> Vec<usize> {
        let pools = cluster.pools.all().into_iter();
        pools.map(|pool| pool.levels(0).idle).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_minimum_is_kept_ready_where_the_instance_is_up() {
        let cluster = ClusterBench::with("pool_min_idle=3");
        // `8` has not been heard of.
        sweep_for(&cluster, 10, topology(&["8", "9"])).await;
        assert_eq!(ready(&cluster), [0, 3]);
        sweep_for(&cluster, 10, heard(&["8", "9"])).await;
        assert_eq!(ready(&cluster), [3, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_reader_gets_its_minimum_little_by_little() {
        let cluster = ClusterBench::with("pool_min_idle=4&slow_start=60s");
        sweep_for(&cluster, 90, heard(&["8", "9"])).await;
        sweep_for(&cluster, 10, heard(&["7", "8", "9"])).await;
        let some = ready(&cluster)[0];
        assert!((1..=2).contains(&some), "{some}");
        sweep_for(&cluster, 60, heard(&["7", "8", "9"])).await;
        assert_eq!(ready(&cluster), [4, 4, 4]);
    }
}
