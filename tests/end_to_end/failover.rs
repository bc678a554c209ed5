//! The loss of a writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use aurora_driver::sim::{SimCluster, StatementFault};
use aurora_driver::{Cluster, EngineKind, ErrorKind, EventKind, InstanceId, Outcome, Postgres};
use tokio::task::JoinSet;

use crate::database::{Database, PATIENCE, eventually, insert, on_both_engines, start};

on_both_engines!(
    a_crash_of_the_writer_loses_and_doubles_nothing,
    a_planned_failover_loses_and_doubles_nothing,
    a_call_for_the_writer_waits_for_the_new_one,
    an_idle_application_follows_a_failover_too,
    two_failovers_in_a_row_end_where_they_began,
    a_reader_that_crashes_gets_reads_again_when_it_is_back,
    the_story_of_a_failover_is_told_as_events,
    a_failover_is_kept_as_one_story,
    writes_are_back_with_the_first_answer_though_its_connection_is_kept,
);

/// Writes numbers from several tasks while `fault` happens, and holds the ledger against what
/// was acknowledged.
async fn write_through<E: Database>(fault: impl FnOnce(&SimCluster)) {
    let (simulated, cluster) = start::<E>().await;
    let old_writer = simulated.writer().expect("there is a writer");
    let next = Arc::new(AtomicI64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (cluster, next, stop) = (cluster.clone(), Arc::clone(&next), Arc::clone(&stop));
        tasks.spawn(async move {
            let mut acknowledged = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                match insert(&cluster, number).await {
                    Ok(()) => acknowledged.push(number),
                    Err(error) => assert_eq!(error.outcome(), Outcome::Unknown, "{error}"),
                }
                tokio::task::yield_now().await;
            }
            acknowledged
        });
    }
    let written = || next.load(Ordering::Relaxed);
    eventually("a load of writes", || written() > 100).await;
    fault(&simulated);
    let promotion = tokio::time::timeout(PATIENCE, simulated.failover_finished())
        .await
        .expect("the simulator promotes somebody in time")
        .expect("there was a promotion");
    assert_ne!(promotion.instance, old_writer);
    let before = written();
    eventually("writes after the promotion", || written() > before + 100).await;
    stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<i64> = tasks.join_all().await.into_iter().flatten().collect();

    let mut writer = cluster.writer().await.unwrap();
    assert_eq!(writer.instance(), &promotion.instance);
    let doubled = "SELECT count(*) FROM (SELECT n FROM t GROUP BY n HAVING count(*) > 1) AS d";
    assert_eq!(E::number(&mut writer, doubled).await.unwrap(), 0);
    for number in &acknowledged {
        let there = format!("SELECT count(*) FROM t WHERE n = {number}");
        assert_eq!(E::number(&mut writer, &there).await.unwrap(), 1, "{number}");
    }
    assert!(acknowledged.len() > 100);
}

async fn a_crash_of_the_writer_loses_and_doubles_nothing<E: Database>() {
    write_through::<E>(|simulated| {
        simulated.crash_writer().expect("the writer crashes");
    })
    .await;
}

async fn a_planned_failover_loses_and_doubles_nothing<E: Database>() {
    write_through::<E>(|simulated| {
        simulated.failover(None).expect("the failover is accepted");
    })
    .await;
}

async fn a_call_for_the_writer_waits_for_the_new_one<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let old_writer = simulated.crash_writer().unwrap();
    // A connection of the old writer's pool may still look sound to the client; using it is what
    // tells.
    loop {
        let mut writer = cluster
            .writer()
            .await
            .expect("the call waits, and succeeds");
        match E::run(&mut writer, "INSERT INTO t (n) VALUES (1)").await {
            Ok(()) => {
                assert_ne!(writer.instance(), &old_writer);
                break;
            }
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
}

async fn an_idle_application_follows_a_failover_too<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let old_writer = simulated.crash_writer().unwrap();
    simulated.failover_finished().await;
    eventually("the new writer in the topology", || {
        let topology = cluster.topology();
        topology
            .writer()
            .is_some_and(|writer| *writer.id() != old_writer)
    })
    .await;
    eventually("the old writer back as a reader", || {
        let topology = cluster.topology();
        topology
            .instance(&old_writer)
            .is_some_and(|instance| instance.serves_reads())
    })
    .await;
}

async fn fail_over_to<E: Database>(
    simulated: &SimCluster,
    cluster: &Cluster<E>,
    target: &InstanceId,
) {
    simulated
        .wait_for(|state| !state.failing_over && state.readers().any(|reader| reader.id == *target))
        .await;
    simulated.failover(Some(target)).unwrap();
    eventually("the target confirmed as the writer", || {
        let topology = cluster.topology();
        topology
            .writer()
            .is_some_and(|writer| writer.id() == target)
    })
    .await;
    insert(cluster, 1).await.unwrap();
}

async fn two_failovers_in_a_row_end_where_they_began<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let first = simulated.writer().unwrap();
    let second = simulated.readers().remove(0);
    fail_over_to(&simulated, &cluster, &second).await;
    fail_over_to(&simulated, &cluster, &first).await;
    assert!(cluster.topology().epoch().0 >= 3);
}

async fn a_reader_that_crashes_gets_reads_again_when_it_is_back<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let crashed = simulated.readers().remove(0);
    simulated.crash(&crashed).unwrap();
    let mut seen_elsewhere = 0;
    let serves = |cluster: &Cluster<E>| {
        let topology = cluster.topology();
        topology
            .instance(&crashed)
            .is_some_and(|instance| instance.serves_reads())
    };
    while serves(&cluster) {
        // Reads go on meanwhile; one that meets the crash may fail, and is the news.
        if let Ok(mut reader) = cluster.reader().await {
            let _ = E::number(&mut reader, "SELECT count(*) FROM t").await;
        }
    }
    for _ in 0..5 {
        let mut reader = cluster.reader().await.unwrap();
        if reader.instance() != &crashed {
            seen_elsewhere += 1;
            E::number(&mut reader, "SELECT count(*) FROM t")
                .await
                .unwrap();
        }
    }
    assert!(seen_elsewhere > 0);
    eventually("the reader back", || serves(&cluster)).await;
}

async fn the_story_of_a_failover_is_told_as_events<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut events = cluster.events();
    let old_writer = simulated.crash_writer().unwrap();
    let mut lost = false;
    let told = async {
        while let Some(event) = events.next().await {
            match event.kind {
                EventKind::WriterLost { instance, .. } => {
                    assert_eq!(instance, old_writer);
                    lost = true;
                }
                EventKind::WriterConfirmed {
                    instance,
                    epoch,
                    after,
                } if instance != old_writer => {
                    assert!(lost, "the loss is told first");
                    assert!(epoch.0 >= 2);
                    assert!(after.is_some());
                    return;
                }
                _ => {}
            }
        }
        panic!("the events ended early");
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    cluster.close(PATIENCE).await;
    while events.next().await.is_some() {}
    let refused = cluster.writer().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

async fn writes_are_back_with_the_first_answer_though_its_connection_is_kept<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    insert(&cluster, 1).await.unwrap();
    simulated.crash_writer().unwrap();
    simulated.failover_finished().await;
    let resumed_after = || Some(cluster.failovers().last()?.resumed_after);
    let mut kept = loop {
        let mut writer = cluster.writer().await.unwrap();
        // On MySQL the first may still lead to the crashed one.
        if E::run(&mut writer, "BEGIN").await.is_ok() {
            break writer;
        }
    };
    E::run(&mut kept, "INSERT INTO t (n) VALUES (2)")
        .await
        .unwrap();
    E::run(&mut kept, "INSERT INTO missing (n) VALUES (2)")
        .await
        .unwrap_err();
    E::run(&mut kept, "ROLLBACK").await.unwrap();
    assert_eq!(resumed_after(), Some(None), "nothing of it lasts");
    let mut dirty = cluster.writer().await.unwrap();
    let set = match <E as Database>::KIND {
        EngineKind::Postgres => "SET application_name = 'dirty'",
        EngineKind::MySql => "SET @x = 1",
    };
    E::run(&mut dirty, set).await.unwrap();
    drop(dirty);
    eventually("it is cleaned and back", || {
        cluster
            .pools()
            .iter()
            .map(|pool| pool.in_use)
            .sum::<usize>()
            == 1
    })
    .await;
    assert_eq!(resumed_after(), Some(None), "that was the driver's own");
    E::run(&mut kept, "INSERT INTO t (n) VALUES (3)")
        .await
        .unwrap();
    // PostgreSQL's answers are read by a task of their own.
    eventually("the story knows of the first write", || {
        resumed_after().flatten().is_some()
    })
    .await;
    drop(kept);
}

async fn a_failover_is_kept_as_one_story<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut events = cluster.events();
    assert_eq!(cluster.failovers(), []);
    insert(&cluster, 1).await.unwrap();
    let held = cluster.writer().await.unwrap();
    let old_writer = simulated.crash_writer().unwrap();
    // On MySQL the first may still go to the crashed one.
    while insert(&cluster, 2).await.is_err() {}
    drop(held);
    let resumed = async {
        loop {
            let event = events.next().await.expect("the handle is open");
            if let EventKind::WritesResumed { instance, .. } = event.kind {
                return instance;
            }
        }
    };
    let resumed = tokio::time::timeout(PATIENCE, resumed).await.unwrap();
    let failovers = cluster.failovers();
    let [failover] = &failovers[..] else {
        panic!("{failovers:?}");
    };
    assert_eq!(failover.writer_before, old_writer);
    assert_eq!(failover.writer_after, Some(resumed.clone()));
    assert_eq!(simulated.writer(), Some(resumed.clone()));
    assert!(failover.resumed_after >= failover.confirmed_after);
    let ended = failover
        .moments
        .iter()
        .find_map(|moment| match &moment.what {
            EventKind::GenerationEnded {
                instance,
                connections,
                ..
            } if *instance == old_writer => Some(*connections),
            _ => None,
        });
    assert!(
        ended.is_some_and(|connections| connections > 0),
        "{failover}"
    );
    let asked = &failover.probes[resumed.as_str()];
    assert_eq!(asked.says_writer, Some(true), "{failover}");
    assert!(failover.to_json().contains("\"writes_resumed\""));
    // Told once: no later write is a first one.
    insert(&cluster, 3).await.unwrap();
    cluster.close(PATIENCE).await;
    while let Some(event) = events.next().await {
        assert_ne!(event.kind.name(), "writes_resumed");
    }
}

#[tokio::test]
async fn readers_are_asked_whether_they_were_promoted_far_more_often_than_for_their_tables() {
    let (simulated, cluster) = start::<Postgres>().await;
    let count = |text| {
        let nothing = StatementFault::delay(Duration::ZERO);
        simulated.fault(nothing.at_readers().containing(text))
    };
    simulated.crash_writer().unwrap();
    let (own, tables) = (count("pg_is_in_recovery"), count("aurora_replica_status"));
    cluster.writer().await.unwrap();
    simulated.failover_finished().await;
    let (own, tables) = (own.fired(), tables.fired());
    assert!(own > 20 && tables * 4 < own, "{own}, {tables}");
}
