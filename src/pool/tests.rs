//! The pools of several instances and the monitor's connections, without a network.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;

use super::fixtures::Told;
use super::fixtures::cluster::{ClusterBench, heard, seen_by, topology};
use super::set::PoolSet;
use super::{upkeep, watch};
use crate::config::PoolLimits;
use crate::engine::Backend;
use crate::error::ErrorKind;
use crate::event::EventKind;
use crate::id::InstanceId;
use crate::rng::Rng;
use crate::routing::Scope;
use crate::time;
use crate::topology::apply::Effect;
use crate::topology::cadence::Target;
use crate::topology::monitor::Prober;
use crate::topology::observation::{Fault, Way};

#[tokio::test]
async fn a_probes_connection_is_kept_only_if_it_leads_where_its_name_says() {
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    assert!(cluster.take_standing("9").is_some());
    let report = cluster.probe("8").await;
    assert_eq!(report.identity.as_str(), "9", "the name leads elsewhere");
    assert!(cluster.take_standing("8").is_none());
}

#[tokio::test(start_paused = true)]
async fn who_has_left_is_forgotten_also_beside_one_that_cannot_be_reached() {
    // No host name can be made of that one.
    let nameless = "no name";
    for (before, after) in [
        (vec!["7", "8", "9", nameless], vec!["7", "9", nameless]),
        (vec!["6", "7", "8", "9", nameless], vec!["6", "9", nameless]),
        (vec!["9", nameless], vec!["9"]),
    ] {
        let cluster = ClusterBench::new();
        cluster.follow(&topology(&before));
        cluster.follow(&topology(&after));
        let known = |id: &&&str| cluster.roster.station(&InstanceId::new(**id)).is_some();
        let present: Vec<&str> = before.iter().filter(known).copied().collect();
        let expected: Vec<&str> = after.into_iter().filter(|id| *id != nameless).collect();
        assert_eq!(present, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_monitors_connection_is_handed_over_while_it_is_fresh() {
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    assert!(cluster.standing_for_first_use("9").is_some());
    assert!(cluster.standing_for_first_use("9").is_none(), "given away");
}

#[tokio::test(start_paused = true)]
async fn the_monitors_connection_is_not_handed_over_when_long_unused_or_broken() {
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(cluster.standing_for_first_use("9").is_none());
    assert!(
        cluster.take_standing("9").is_some(),
        "the next probe may judge it"
    );

    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    let client = cluster.take_standing("9").unwrap();
    client.break_it();
    cluster.keep_standing("9", client);
    assert!(cluster.standing_for_first_use("9").is_none());
}

#[tokio::test(start_paused = true)]
async fn closed_pools_open_keep_and_add_nothing() {
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    let standing = cluster.take_standing("9").unwrap();
    let deadline = time::now() + Duration::from_secs(1);
    assert_eq!(cluster.checkout("9", deadline).await, Ok(()));
    assert_eq!(cluster.pools.close(deadline).await, 0);
    cluster.roster.close();
    cluster.keep_standing("9", standing);
    assert!(cluster.take_standing("9").is_none());
    let refused = cluster.checkout("9", deadline).await;
    assert_eq!(refused, Err(ErrorKind::Closed));
    cluster.follow(&topology(&["7", "8", "9"]));
    assert_eq!(cluster.pools.all().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_connections_to_instances_that_have_left() {
    let cluster = ClusterBench::new();
    let deadline = time::now() + Duration::from_secs(1);
    let eight = InstanceId::new("8");
    let pool = cluster.pools.pool(&eight).unwrap();
    let held = pool.checkout(0, deadline).await.unwrap();
    cluster.follow(&topology(&["9"]));
    assert!(!held.is_outdated(), "who leaves may still answer");
    let refused = cluster.checkout("8", deadline).await;
    assert_eq!(refused, Err(ErrorKind::Connect));
    let unused = Arc::downgrade(&cluster.pools.pool(&InstanceId::new("9")).unwrap());
    for _ in 0..2 {
        cluster.follow(&seen_by("7", &["7"]));
        cluster.follow(&seen_by("6", &["6"]));
    }
    assert!(
        unused.upgrade().is_none(),
        "nobody has one of its connections"
    );
    assert_eq!(cluster.pools.close(deadline).await, 1);
    assert!(held.is_outdated());
}

#[tokio::test(start_paused = true)]
async fn all_idle_connections_of_a_pool_and_no_more_are_taken_at_once() {
    let cluster = ClusterBench::new();
    let nine = InstanceId::new("9");
    let deadline = time::now() + Duration::from_secs(1);
    let pool = cluster.pools.pool(&nine).unwrap();
    let mut held = Vec::new();
    while let Some(lease) = pool.checkout_at_once(deadline).await.unwrap() {
        held.push(lease);
    }
    assert_eq!(held.len(), PoolLimits::default().max);
    held.pop();
    let again = pool.checkout_at_once(deadline).await.unwrap();
    assert!(again.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_monitors_idle_connections_are_kept_alive_and_silent_ones_found() {
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    let upkeep = upkeep::run(Arc::clone(&cluster.roster), Rng::seeded(1));
    tokio::pin!(upkeep);
    let minute = Duration::from_secs(60);
    let _ = tokio::time::timeout(minute, &mut upkeep).await;
    let client = cluster.take_standing("9").expect("it answers");
    cluster.keep_standing("9", client);
    cluster.server().is_silent = true;
    let _ = tokio::time::timeout(minute, &mut upkeep).await;
    assert!(cluster.take_standing("9").is_none(), "it does not answer");
    assert_eq!(cluster.mailbox.faults(), [Fault::TimedOut]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_owes_an_answer_is_asked_for_a_sign_of_life_before_it_is_condemned() {
    for (is_silent, told) in [(true, vec![Fault::Silent]), (false, Vec::new())] {
        let cluster = ClusterBench::new();
        cluster.server().ping_time = Duration::from_millis(2);
        cluster.probe("9").await;
        let watching = watch::run(Arc::clone(&cluster.roster));
        tokio::pin!(watching);
        let _ = tokio::time::timeout(Duration::from_secs(1), &mut watching).await;
        cluster.server().is_silent = is_silent;
        // A long statement, say.
        let nine = cluster.roster.station(&InstanceId::new("9")).unwrap();
        let _awaited = nine.pulse().awaiting();
        let _ = tokio::time::timeout(Duration::from_secs(3), &mut watching).await;
        let mut faults = cluster.mailbox.faults();
        faults.dedup();
        assert_eq!(faults, told);
    }
}

#[tokio::test(start_paused = true)]
async fn the_monitor_asks_over_the_connection_that_it_keeps() {
    let cluster = ClusterBench::new();
    cluster.server().ping_time = Duration::from_millis(200);
    assert_eq!(cluster.probe("9").await.way, Way::New);
    assert_eq!(cluster.probe("9").await.way, Way::Standing);
    assert_eq!(cluster.server().attempts.len(), 1);
    cluster.server().crashes += 1;
    assert_eq!(cluster.probe("9").await.way, Way::AfterLoss);
    assert_eq!(
        cluster.probe("9").await.way,
        Way::AfterLoss,
        "others may be dead"
    );
    assert_eq!(cluster.server().attempts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_reason_to_log_in_anew_nor_a_lost_connection() {
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    cluster.server().is_silent = true;
    let nine = Target::Instance(InstanceId::new("9"));
    let silent = cluster.roster.ask(&nine, time::now()).await.unwrap_err();
    assert_eq!(silent.fault, Fault::TimedOut);
    assert_eq!(cluster.server().attempts.len(), 1);
    cluster.server().is_silent = false;
    assert_eq!(cluster.probe("9").await.way, Way::New);
}

#[tokio::test(start_paused = true)]
async fn a_seed_is_asked_over_a_connection_that_nobody_keeps() {
    let cluster = ClusterBench::new();
    cluster.server().login_time = Duration::from_millis(200);
    let report = cluster.roster.ask(&Target::Seed(0), time::now()).await;
    assert_eq!(report.unwrap().identity.as_str(), "9");
    assert_eq!(cluster.server().open, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_says_of_whom() {
    let cluster = ClusterBench::new();
    cluster.server().refuses = true;
    let nine = Target::Instance(InstanceId::new("9"));
    for (target, name) in [(nine, "9: "), (Target::Seed(0), "127.0.0.1:5432: ")] {
        let failure = cluster.roster.ask(&target, time::now()).await.unwrap_err();
        assert!(failure.message.starts_with(name), "{}", failure.message);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_called_on_over_one_connection_beside_the_one_in_use_at_most() {
    let cluster = ClusterBench::new();
    cluster.server().login_time = Duration::from_millis(200);
    let nine = cluster.roster.station(&InstanceId::new("9")).unwrap();
    let in_use = (nine.asks(), nine.asks());
    cluster.roster.call_on(&nine).await.unwrap();
    assert_eq!(cluster.server().attempts.len(), 0);
    drop(in_use.0);
    cluster.roster.call_on(&nine).await.unwrap();
    assert_eq!(cluster.server().attempts.len(), 1);
    assert!(cluster.take_standing("9").is_some());
    let login = nine.may_log_in().await;
    cluster.roster.call_on(&nine).await.unwrap();
    assert_eq!(
        cluster.server().attempts.len(),
        1,
        "it is being asked already"
    );
    drop((login, in_use.1));
}

#[tokio::test(start_paused = true)]
async fn who_stays_keeps_its_connections_when_another_leaves() {
    let cluster = ClusterBench::new();
    let deadline = time::now() + Duration::from_secs(1);
    cluster.probe("9").await;
    let standing = cluster.take_standing("9").unwrap();
    cluster.keep_standing("8", standing);
    cluster.probe("9").await;
    cluster.checkout("9", deadline).await.unwrap();
    cluster.probe("9").await;
    // The monitor's two, the first of which was handed over.
    assert_eq!(cluster.server().open, 3);
    let generation = cluster.member("9").generation();
    cluster.follow(&topology(&["9"]));
    assert_eq!(cluster.server().open, 2);
    assert!(cluster.take_standing("9").is_some());
    assert_eq!(cluster.member("9").generation(), generation);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_generation_is_told_with_the_number_of_all_handles_connections() {
    let cluster = ClusterBench::new();
    let deadline = time::now() + Duration::from_secs(1);
    let other = Arc::new(PoolSet::new(
        cluster.pools.dialer().clone(),
        Scope::Everywhere,
    ));
    cluster.roster.attach(&other);
    let nine = InstanceId::new("9");
    let held = (
        cluster.lease("9", deadline).await.unwrap(),
        cluster.lease("9", deadline).await.unwrap(),
        other
            .pool(&nine)
            .unwrap()
            .checkout(0, deadline)
            .await
            .unwrap(),
    );
    let end = Effect::EndGeneration {
        instance: nine.clone(),
        cause: "it was demoted",
    };
    // It has left: its next generation is not in the picture.
    let told = cluster.roster.carry_out(&seen_by("8", &["8"]), &[end]);
    let expected = EventKind::GenerationEnded {
        instance: nine,
        cause: "it was demoted",
        connections: 3,
    };
    assert_eq!(told, [expected]);
    assert!(held.0.is_outdated() && held.1.is_outdated() && held.2.is_outdated());
}

#[tokio::test(start_paused = true)]
async fn a_retired_generation_is_told_to_nobody_and_its_connections_go_on() {
    let cluster = ClusterBench::new();
    let deadline = time::now() + Duration::from_secs(1);
    let held = cluster.lease("9", deadline).await.unwrap();
    let instance = InstanceId::new("9");
    let retire = Effect::RetireGeneration { instance };
    let told = cluster.roster.carry_out(&seen_by("8", &["8"]), &[retire]);
    assert_eq!((told, held.is_outdated()), (Vec::new(), true));
    let end = Told::reporter(held.client()).generation_end();
    assert!(!end.has_ended());
}

#[tokio::test(start_paused = true)]
async fn reads_are_confined_to_their_scope_from_then_on() {
    let cluster = ClusterBench::new();
    let (eight, seven) = (InstanceId::new("8"), InstanceId::new("7"));
    cluster.follow(&heard(&["7", "8", "9"]));
    assert!(cluster.pools.routes().reads_from(&eight));
    let members = Scope::Members(Arc::new([seven.clone()].into()));
    cluster.roster.confine(&cluster.pools, members.clone());
    let reads = |id: &InstanceId| cluster.pools.routes().reads_from(id);
    assert_eq!((reads(&seven), reads(&eight)), (true, false));
    cluster.follow(&heard(&["7", "8", "9"]));
    assert_eq!((reads(&seven), reads(&eight)), (true, false));
    assert_eq!(*cluster.pools.scope().borrow(), members);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_when_the_last_connection_has_come_back() {
    let cluster = ClusterBench::new();
    let began = time::now();
    let deadline = began + Duration::from_secs(20);
    let held = cluster.lease("9", deadline).await.unwrap();
    let come_back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
    };
    let (in_use, ()) = join(cluster.pools.close(deadline), come_back).await;
    assert_eq!((in_use, time::now() - began), (0, Duration::from_secs(1)));
    assert_eq!(cluster.server().open, 0);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_no_caller_that_waits_for_a_connect() {
    let cluster = ClusterBench::new();
    cluster.server().is_silent = true;
    let began = time::now();
    let deadline = began + Duration::from_secs(20);
    let waiting = cluster.checkout("9", deadline);
    let (waited, in_use) = join(waiting, cluster.pools.close(deadline)).await;
    assert_eq!((waited, in_use), (Err(ErrorKind::Closed), 0));
    assert_eq!(time::now(), began);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_of_the_monitors_is_used_every_quarter_of_a_minute() {
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    let before = cluster.server().pings;
    let upkeep = upkeep::run(Arc::clone(&cluster.roster), Rng::seeded(1));
    let _ = tokio::time::timeout(Duration::from_secs(300), upkeep).await;
    let asked = cluster.server().pings - before;
    assert!((15..=25).contains(&asked), "{asked} times in 5 minutes");
}

#[tokio::test(start_paused = true)]
async fn a_connect_under_way_counts_before_the_monitors_connection_is_taken() {
    let cluster = ClusterBench::with("pool_max=1");
    let within = |seconds| time::now() + Duration::from_secs(seconds);
    cluster.server().login_time = Duration::from_secs(2);
    let nine = cluster.pools.pool(&InstanceId::new("9")).unwrap();
    nine.expect(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.server().login_time = Duration::ZERO;
    cluster.probe("9").await;
    let _held = cluster.lease("9", within(5)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(cluster.take_standing("9").is_some());
    assert_eq!(cluster.server().most_open, 2);
}
