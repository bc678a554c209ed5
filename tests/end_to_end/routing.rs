//! Who gets writes and reads.

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::{Cluster, InstanceId, Role};

use crate::database::{Database, PATIENCE, eventually, insert, on_both_engines, start, start_with};

on_both_engines!(
    writes_go_to_the_writer_and_reads_are_spread_over_the_readers,
    without_a_reader_reads_go_to_the_writer,
    a_read_takes_whichever_reader_becomes_free_first,
    a_long_wait_in_the_queue_leaves_the_whole_patience_for_a_failover,
    an_added_reader_gets_reads_and_a_removed_one_gets_no_more,
    a_reader_that_comes_later_gets_its_share_little_by_little,
    a_steady_cluster_is_asked_at_most_once_a_second_whatever_the_pool_size,
);

async fn writes_go_to_the_writer_and_reads_are_spread_over_the_readers<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let writer = simulated.writer().expect("there is a writer");
    for number in 0..10 {
        insert(&cluster, number).await.unwrap();
        assert_eq!(cluster.writer().await.unwrap().instance(), &writer);
    }
    let mut shares: BTreeMap<InstanceId, u32> = BTreeMap::new();
    for _ in 0..40 {
        let mut reader = cluster.reader().await.unwrap();
        let count = E::number(&mut reader, "SELECT count(*) FROM t").await;
        assert_eq!(count.unwrap(), 10);
        *shares.entry(reader.instance().clone()).or_default() += 1;
    }
    let readers = simulated.readers();
    assert_eq!(readers.len(), 2);
    for reader in readers {
        assert_eq!(shares.remove(&reader), Some(20), "{reader}");
        assert_eq!(simulated.counters(&reader).unwrap().writes, 0);
    }
    assert!(shares.is_empty(), "nobody else was read: {shares:?}");
    assert_eq!(simulated.counters(&writer).unwrap().reads, 0);
}

async fn without_a_reader_reads_go_to_the_writer<E: Database>() {
    let (simulated, cluster) = start_with::<E>(|builder| builder.readers(0)).await;
    let reader = cluster.reader().await.unwrap();
    assert_eq!(Some(reader.instance()), simulated.writer().as_ref());
}

async fn a_read_takes_whichever_reader_becomes_free_first<E: Database>() {
    let (simulated, wide) = start::<E>().await;
    wide.close(PATIENCE).await;
    let url = format!("{}&pool_max=1", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    for round in 0..2 {
        let mut held = vec![
            cluster.reader().await.unwrap(),
            cluster.reader().await.unwrap(),
        ];
        let mut waiting = Box::pin(cluster.reader());
        let early = tokio::time::timeout(Duration::from_millis(20), &mut waiting).await;
        assert!(early.is_err(), "both readers are in use");
        let returned = held.remove(round).instance().clone();
        let given = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        assert_eq!(given.unwrap().unwrap().instance(), &returned);
    }
}

async fn a_long_wait_in_the_queue_leaves_the_whole_patience_for_a_failover<E: Database>() {
    let (simulated, wide) = start::<E>().await;
    wide.close(PATIENCE).await;
    let url = format!("{}&pool_max=1&failover_timeout=2s", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    let _held = cluster.writer().await.unwrap();
    let mut waiting = Box::pin(cluster.writer());
    let early = tokio::time::timeout(Duration::from_millis(2_200), &mut waiting).await;
    assert!(early.is_err(), "the only connection is in use");
    let old_writer = simulated.crash_writer().unwrap();
    let given = waiting.await.expect("the new writer is waited for");
    assert_ne!(given.instance(), &old_writer);
}

async fn an_added_reader_gets_reads_and_a_removed_one_gets_no_more<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let added = simulated.add_reader().unwrap();
    eventually("the added reader in the topology", || {
        let topology = cluster.topology();
        topology
            .instance(&added)
            .is_some_and(|instance| instance.serves_reads())
    })
    .await;
    for _ in 0..30 {
        let mut reader = cluster.reader().await.unwrap();
        E::number(&mut reader, "SELECT count(*) FROM t")
            .await
            .unwrap();
    }
    assert!(simulated.counters(&added).unwrap().reads >= 10);

    simulated.remove_instance(&added).unwrap();
    eventually("the end of the removed reader's share", || {
        let topology = cluster.topology();
        !topology
            .instance(&added)
            .is_some_and(|instance| instance.serves_reads())
    })
    .await;
    for _ in 0..30 {
        let reader = cluster.reader().await.unwrap();
        assert_ne!(reader.instance(), &added);
    }
    let readers = cluster.topology().readers().count();
    assert_eq!(readers, 2, "the other readers still serve");
}

async fn a_reader_that_comes_later_gets_its_share_little_by_little<E: Database>() {
    let (simulated, wide) = start::<E>().await;
    wide.close(PATIENCE).await;
    let url = format!("{}&slow_start=1h", simulated.url());
    let slow = Cluster::<E>::connect(&url).await.unwrap();
    let url = format!("{}&slow_start=0s", simulated.url());
    let fast = Cluster::<E>::connect(&url).await.unwrap();
    // Readers that come within two seconds of each other are equals.
    let began = simulated.now();
    eventually("readers that have served for a while", || {
        simulated.now() - began > Duration::from_millis(2_500)
    })
    .await;
    let added = simulated.add_reader().unwrap();
    for (cluster, share) in [(slow, 1..=8), (fast, 20..=20)] {
        eventually("the added reader in the topology", || {
            let topology = cluster.topology();
            topology.readers().any(|reader| *reader.id() == added)
        })
        .await;
        let mut reads = 0;
        for _ in 0..60 {
            reads += usize::from(cluster.reader().await.unwrap().instance() == &added);
        }
        assert!(share.contains(&reads), "{reads} of 60 reads, not {share:?}");
    }
}

async fn a_steady_cluster_is_asked_at_most_once_a_second_whatever_the_pool_size<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(cluster.writer().await.unwrap());
        held.push(cluster.reader().await.unwrap());
    }
    let asked = || -> u64 {
        let instances = simulated.instances();
        instances
            .iter()
            .filter_map(|instance| simulated.counters(&instance.id))
            .map(|counters| counters.topology_queries)
            .sum()
    };
    // The first checkouts took over the monitor's connections: it asks each instance once more
    // over a new one, and not again.
    let (before, began) = (asked(), simulated.now());
    eventually("six more topology queries", || asked() >= before + 6).await;
    let took = simulated.now() - began;
    // Three of them are at least two intervals apart; each may come a fifth early.
    assert!(took.as_millis() >= 1_500, "6 queries in {took:?}");
    let topology = cluster.topology();
    let writer = topology.writer().expect("the cluster is steady");
    assert_eq!(writer.role(), Role::Writer);
}
