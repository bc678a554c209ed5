//! The loss of a writer, and an old one that comes back.

use std::time::Duration;

use aurora_driver::{Cluster, EventKind, Events, InstanceId, Phase, Postgres, Role};

use crate::cluster::{RealCluster, View};
use crate::failover::{Fault, eventually, lose_the_writer};
use crate::ground::{Ground, Need, stand_on};
use crate::load::{Load, check};

const AT_ONCE: Duration = Duration::ZERO;
/// As long as a control plane may take to notice a dead writer.
const LATER: Duration = Duration::from_secs(3);

/// How long an instance is watched that must not be believed.
const TEMPTATION_PERIOD: Duration = Duration::from_secs(2);

async fn start(ground: Ground, view: View) -> (RealCluster, Cluster<Postgres>) {
    let rig = RealCluster::start(ground, view).await;
    let cluster = Cluster::<Postgres>::connect(&rig.url()).await;
    (rig, cluster.expect("three real servers are a cluster"))
}

/// Starts a cluster and the driver, loses the writer under load, and gives both for what follows.
async fn lose(ground: Ground, fault: Fault, after: Duration) -> (RealCluster, Cluster<Postgres>) {
    let (mut rig, cluster) = start(ground, View::Replication).await;
    let times = lose_the_writer(&mut rig, &cluster, fault, after).await;
    eprintln!("{fault:?}, promotion after {after:?}: {times}");
    (rig, cluster)
}

async fn comes_back_as_a_reader(cluster: &Cluster<Postgres>, id: &str) {
    let id = InstanceId::new(id);
    eventually("the earlier writer serves reads", || {
        let topology = cluster.topology();
        let instance = topology.instance(&id);
        instance.is_some_and(|instance| instance.serves_reads() && instance.role() == Role::Reader)
    })
    .await;
}

/// Under load for a while: nothing is lost, no other writer is confirmed.
async fn stays_with_the_writer(rig: &RealCluster, cluster: &Cluster<Postgres>) {
    let epoch = cluster.topology().epoch();
    let load = Load::start(cluster);
    let resisted = tokio::time::timeout(TEMPTATION_PERIOD, async {
        loop {
            load.goes_on(1).await;
        }
    });
    assert!(resisted.await.is_err(), "a load goes on for ever");
    let writes = load.stop().await;
    let strayed = writes.iter().find(|write| !write.is_on(rig.writer()));
    assert!(strayed.is_none(), "not to the writer: {strayed:?}");
    let failed = writes.iter().find(|write| !write.is_acknowledged());
    assert!(failed.is_none(), "{failed:?}");
    let topology = cluster.topology();
    assert_eq!(topology.epoch(), epoch, "{topology}");
    assert_eq!(topology.phase(), Phase::Steady, "{topology}");
}

#[test]
fn after_a_killed_writer_and_a_promotion_nothing_is_lost_or_doubled() {
    stand_on(&[Need::Postgres], async |ground| {
        lose(ground, Fault::Kill, AT_ONCE).await;
    });
}

#[test]
fn members_that_are_shown_dead_or_alive_mislead_nobody() {
    stand_on(&[Need::Postgres], async |ground| {
        let (mut rig, cluster) = start(ground, View::Members).await;
        for fault in [Fault::Kill, Fault::Stop] {
            let old = rig.writer();
            let times = lose_the_writer(&mut rig, &cluster, fault, AT_ONCE).await;
            eprintln!("{fault:?}, with a table of all members: {times}");
            stays_with_the_writer(&rig, &cluster).await;
            rig.rejoin(old).await;
            comes_back_as_a_reader(&cluster, old).await;
        }
    });
}

#[test]
fn after_a_killed_writer_and_a_promotion_three_seconds_later_nothing_is_lost_or_doubled() {
    stand_on(&[Need::Postgres], async |ground| {
        lose(ground, Fault::Kill, LATER).await;
    });
}

#[test]
fn after_a_stopped_writer_and_a_promotion_nothing_is_lost_or_doubled() {
    stand_on(&[Need::Postgres], async |ground| {
        lose(ground, Fault::Stop, AT_ONCE).await;
    });
}

#[test]
fn after_a_stopped_writer_and_a_promotion_three_seconds_later_nothing_is_lost_or_doubled() {
    stand_on(&[Need::Postgres], async |ground| {
        lose(ground, Fault::Stop, LATER).await;
    });
}

#[test]
fn after_a_writer_that_was_cut_off_and_a_promotion_nothing_is_lost_or_doubled() {
    stand_on(&[Need::Postgres, Need::Cuts], async |ground| {
        lose(ground, Fault::Cut, AT_ONCE).await;
    });
}

#[test]
fn after_a_writer_that_was_cut_off_and_a_promotion_three_seconds_later_nothing_is_lost_or_doubled()
{
    stand_on(&[Need::Postgres, Need::Cuts], async |ground| {
        lose(ground, Fault::Cut, LATER).await;
    });
}

#[test]
fn a_planned_switchover_and_the_way_back_lose_and_double_nothing() {
    stand_on(&[Need::Postgres], async |ground| {
        let (mut rig, cluster) = lose(ground, Fault::Shutdown, AT_ONCE).await;
        rig.restart_as_standby("21").await;
        comes_back_as_a_reader(&cluster, "21").await;
        let times = lose_the_writer(&mut rig, &cluster, Fault::Shutdown, AT_ONCE).await;
        eprintln!("Shutdown, the way back: {times}");
    });
}

#[test]
fn a_killed_writer_that_comes_back_as_a_standby_gets_reads_and_may_be_promoted_again() {
    stand_on(&[Need::Postgres], async |ground| {
        let (mut rig, cluster) = lose(ground, Fault::Kill, AT_ONCE).await;
        rig.rejoin("21").await;
        comes_back_as_a_reader(&cluster, "21").await;
        stays_with_the_writer(&rig, &cluster).await;
        // The other standby is gone too, so that only the earlier writer can be promoted.
        let other = rig.readers().find(|id| *id != "21").expect("two readers");
        rig.kill(other);
        let times = lose_the_writer(&mut rig, &cluster, Fault::Kill, AT_ONCE).await;
        assert_eq!(rig.writer(), "21");
        eprintln!("Kill, the earlier writer again: {times}");
    });
}

#[test]
fn a_stopped_writer_that_goes_on_after_the_promotion_is_not_believed() {
    stand_on(&[Need::Postgres], async |ground| {
        let (mut rig, cluster) = lose(ground, Fault::Stop, AT_ONCE).await;
        rig.resume("21");
        stays_with_the_writer(&rig, &cluster).await;
        rig.rejoin("21").await;
        comes_back_as_a_reader(&cluster, "21").await;
        stays_with_the_writer(&rig, &cluster).await;
    });
}

#[test]
fn a_writer_that_is_reached_again_after_the_promotion_is_not_believed() {
    stand_on(&[Need::Postgres, Need::Cuts], async |ground| {
        let (mut rig, cluster) = lose(ground, Fault::Cut, AT_ONCE).await;
        rig.heal("21");
        stays_with_the_writer(&rig, &cluster).await;
        rig.rejoin("21").await;
        comes_back_as_a_reader(&cluster, "21").await;
        stays_with_the_writer(&rig, &cluster).await;
    });
}

#[test]
fn a_writer_that_is_cut_off_and_reached_again_without_a_promotion_stays_the_writer() {
    stand_on(&[Need::Postgres, Need::Cuts], async |ground| {
        let (mut rig, cluster) = start(ground, View::Replication).await;
        let load = Load::start(&cluster);
        load.goes_on(400).await;
        rig.cut("21").await;
        tokio::time::sleep(LATER).await;
        rig.heal("21");
        load.goes_on(400).await;
        let writes = load.stop().await;
        check(&writes, &rig.written("21").await);
        assert_eq!(
            cluster
                .topology()
                .writer()
                .map(|writer| writer.id().as_str()),
            Some("21")
        );
        stays_with_the_writer(&rig, &cluster).await;
    });
}

#[test]
fn an_application_that_does_nothing_follows_a_promotion_too() {
    stand_on(&[Need::Postgres], async |ground| {
        let (mut rig, cluster) = start(ground, View::Replication).await;
        rig.kill("21");
        let new = rig.best_standby().await;
        rig.promote(new).await;
        eventually("the new writer is known", || {
            let topology = cluster.topology();
            topology
                .writer()
                .is_some_and(|writer| writer.id().as_str() == new)
        })
        .await;
        stays_with_the_writer(&rig, &cluster).await;
    });
}

/// What was said of the writer until now, but for its being confirmed.
async fn doubts(mut events: Events, cluster: Cluster<Postgres>) -> Vec<EventKind> {
    cluster.close(Duration::from_secs(5)).await;
    let mut doubts = Vec::new();
    while let Some(event) = events.next().await {
        if matches!(
            event.kind,
            EventKind::WriterLost { .. } | EventKind::WriterSuspected { .. }
        ) {
            doubts.push(event.kind);
        }
    }
    doubts
}

#[test]
fn a_writer_that_is_slow_is_not_taken_for_a_dead_one() {
    stand_on(&[Need::Postgres], async |ground| {
        let (rig, cluster) = start(ground, View::Replication).await;
        let events = cluster.events();
        // It runs a quarter of the time, as on a machine that is much too small.
        let slow = rig.slow("21", Duration::from_millis(15), Duration::from_millis(45));
        stays_with_the_writer(&rig, &cluster).await;
        drop(slow);
        assert_eq!(doubts(events, cluster).await, []);
    });
}

#[test]
fn a_long_statement_is_not_taken_for_a_dead_writer() {
    stand_on(&[Need::Postgres], async |ground| {
        let (_rig, cluster) = start(ground, View::Replication).await;
        let events = cluster.events();
        let writer = cluster.writer().await.expect("there is one");
        writer
            .batch_execute("SELECT pg_sleep(4)")
            .await
            .expect("it ends by itself");
        drop(writer);
        assert_eq!(doubts(events, cluster).await, []);
    });
}

#[test]
fn a_commit_that_waits_for_its_standbys_is_not_taken_for_a_dead_writer() {
    stand_on(&[Need::Postgres], async |ground| {
        let (rig, cluster) = start(ground, View::Replication).await;
        let events = cluster.events();
        for reader in rig.readers() {
            rig.stop(reader);
        }
        let writing = async {
            let writer = cluster.writer().await.expect("there is one");
            let insert = "INSERT INTO writes VALUES (-1, 'slow')";
            writer
                .batch_execute(insert)
                .await
                .expect("acknowledged at last");
        };
        let waiting = async {
            tokio::time::sleep(LATER).await;
            for reader in rig.readers() {
                rig.resume(reader);
            }
        };
        tokio::join!(writing, waiting);
        assert_eq!(doubts(events, cluster).await, []);
    });
}
