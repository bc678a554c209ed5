//! Who gets writes and reads.

use std::collections::BTreeMap;

use aurora_driver::{InstanceId, Role};

use crate::database::{Database, eventually, insert, on_both_engines, start, start_with};

on_both_engines!(
    writes_go_to_the_writer_and_reads_are_spread_over_the_readers,
    without_a_reader_reads_go_to_the_writer,
    an_added_reader_gets_reads_and_a_removed_one_gets_no_more,
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
    let (before, began) = (asked(), simulated.now());
    eventually("three more topology queries", || asked() >= before + 3).await;
    let took = simulated.now() - began;
    // Three questions are at least two intervals apart; each may come a fifth early.
    assert!(took.as_millis() >= 1_500, "3 queries in {took:?}");
    let topology = cluster.topology();
    let writer = topology.writer().expect("the cluster is steady");
    assert_eq!(writer.role(), Role::Writer);
}
