//! Several handles to one cluster.

use std::time::Duration;

use aurora_driver::sim::SimCluster;
use aurora_driver::{Cluster, Config, EventKind, Phase};

use crate::database::{Database, PATIENCE, eventually, insert, on_both_engines, start};

on_both_engines!(
    ten_handles_ask_the_cluster_as_often_as_one,
    a_handle_goes_on_when_another_of_the_same_cluster_is_closed,
    every_handle_learns_of_a_failover_and_loses_its_old_connections,
    a_handle_that_shares_nothing_has_a_monitor_of_its_own,
);

fn topology_queries(simulated: &SimCluster) -> u64 {
    let instances = simulated.instances();
    instances
        .iter()
        .filter_map(|instance| simulated.counters(&instance.id))
        .map(|counters| counters.topology_queries)
        .sum()
}

async fn ten_handles_ask_the_cluster_as_often_as_one<E: Database>() {
    let (simulated, first) = start::<E>().await;
    let mut handles = vec![first];
    for size in 1..10 {
        // Limits of the pools do not matter to the monitor.
        let url = format!("{}&pool_max={size}", simulated.url());
        handles.push(Cluster::<E>::connect(&url).await.unwrap());
    }
    let (before, began) = (topology_queries(&simulated), simulated.now());
    eventually("three more topology queries", || {
        topology_queries(&simulated) >= before + 3
    })
    .await;
    let took = simulated.now() - began;
    assert!(
        took >= Duration::from_millis(1_500),
        "3 queries in {took:?}"
    );
    for handle in &handles {
        insert(handle, 1).await.unwrap();
    }
}

async fn a_handle_goes_on_when_another_of_the_same_cluster_is_closed<E: Database>() {
    let (simulated, first) = start::<E>().await;
    let second = Cluster::<E>::connect(&simulated.url()).await.unwrap();
    let held = second.writer().await.unwrap();
    let mut heard = first.events();
    assert!(first.close(PATIENCE).await.is_clean());
    assert_eq!(heard.next().await, None);
    assert!(!held.is_outdated());
    drop(held);
    insert(&second, 1).await.unwrap();
    simulated.crash_writer().unwrap();
    eventually("the loss of the writer", || {
        second.topology().phase() != Phase::Steady
    })
    .await;
    insert(&second, 2).await.unwrap();
    assert!(second.close(PATIENCE).await.is_clean());
    let third = Cluster::<E>::connect(&simulated.url()).await.unwrap();
    insert(&third, 3).await.unwrap();
}

async fn every_handle_learns_of_a_failover_and_loses_its_old_connections<E: Database>() {
    let (simulated, first) = start::<E>().await;
    let second = Cluster::<E>::connect(&simulated.url()).await.unwrap();
    let held = (
        first.writer().await.unwrap(),
        second.writer().await.unwrap(),
    );
    let mut heard = second.events();
    let old = simulated.crash_writer().unwrap();
    eventually("the loss of the writer", || {
        first.topology().phase() != Phase::Steady
    })
    .await;
    for handle in [&first, &second] {
        insert(handle, 1).await.unwrap();
        assert_eq!(handle.topology().phase(), Phase::Steady);
        assert_ne!(*handle.writer().await.unwrap().instance(), old);
    }
    assert!(held.0.is_outdated() && held.1.is_outdated());
    let confirmed = async {
        while let Some(event) = heard.next().await {
            if matches!(event.kind, EventKind::WriterConfirmed { .. }) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, confirmed).await.unwrap();
}

async fn a_handle_that_shares_nothing_has_a_monitor_of_its_own<E: Database>() {
    let (simulated, shared) = start::<E>().await;
    let mut config = Config::from_url(&simulated.url()).unwrap();
    config.share_monitor = false;
    let own = Cluster::<E>::new(config).unwrap();
    own.ready(PATIENCE).await.unwrap();
    shared.close(PATIENCE).await;
    let before = topology_queries(&simulated);
    eventually("the other monitor's questions", || {
        topology_queries(&simulated) > before
    })
    .await;
    insert(&own, 1).await.unwrap();
}
