//! Keeps the monitor's connections to the readers alive, so that a promotion meets open ones.
//!
//! The writer's is used once a second anyway.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::roster::Roster;
use super::station::Station;
use super::watch;
use crate::engine::Backend;
use crate::rng::Rng;
use crate::time;
use crate::topology::observation::Fault;

/// Shorter than the idle limits of load balancers and firewalls on the way, which begin at some
/// minutes, and next to no work: four short questions a minute.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(15);

/// So that the processes of one application do not ask in step.
const JITTER_PERCENT: u32 = 20;

/// Runs until dropped.
pub(crate) async fn run<E: Backend>(roster: Arc<Roster<E>>, mut rng: Rng) {
    loop {
        time::sleep_until(Some(
            time::now() + rng.jitter(UPKEEP_INTERVAL, JITTER_PERCENT),
        ))
        .await;
        let idle = roster.idle_for(UPKEEP_INTERVAL / 2);
        join_all(idle.iter().map(|station| keep_alive(station))).await;
    }
}

/// One that does not answer is closed; the monitor hears of it and asks the instance.
async fn keep_alive<E: Backend>(station: &Station<E>) {
    if let Some(standing) = station.take() {
        let timeout = station.probe_timeout();
        let asking = watch::ask_standing(station, standing);
        let generation = station.generation();
        match tokio::time::timeout(timeout, asking).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => station.trouble(generation, failure.fault),
            Err(_) => station.trouble(generation, Fault::TimedOut),
        }
    }
}
