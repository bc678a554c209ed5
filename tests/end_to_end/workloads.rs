//! Which reader takes a read by latency, lag and zone; workloads; and what is said of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aurora_driver::config::{Members, WhenNone, Workload};
use aurora_driver::route::{Explanation, Intent, Reason};
use aurora_driver::sim::{
    CustomEndpointKind, CustomEndpointMembers, FaultGuard, SimCluster, StatementFault,
};
use aurora_driver::{Cluster, Config, ErrorKind, InstanceId, Role};

use crate::database::{Database, PATIENCE, eventually, insert, on_both_engines, start, start_with};

on_both_engines!(
    a_reader_that_is_slowed_tenfold_loses_its_share_and_gets_it_back,
    the_writer_gets_no_more_reads_than_its_cap_while_all_readers_lag,
    a_cap_of_nothing_keeps_reads_from_the_writer_and_says_so,
    with_all_readers_over_the_bound_the_least_lagging_may_be_read_from,
    reads_stay_in_their_own_zone_while_it_has_a_reader,
    a_workload_has_connections_of_its_own_and_members_by_name_tier_or_endpoint,
    a_workload_without_a_member_does_as_its_rule_says,
    an_unknown_workload_is_refused_with_those_that_are_known,
    workloads_share_the_monitor_and_are_closed_with_their_handle,
    a_read_that_waits_without_a_reader_or_for_the_cap_ends_with_its_handle,
    an_explanation_tells_of_every_instance,
);

const QUERY: &str = "SELECT count(*) FROM t";

async fn open<E: Database>(simulated: &SimCluster, change: impl FnOnce(&mut Config)) -> Cluster<E> {
    let mut config = Config::from_url(&simulated.url()).unwrap();
    change(&mut config);
    let cluster = Cluster::new(config).unwrap();
    cluster.ready(PATIENCE).await.unwrap();
    cluster
}

fn workload<E: Database>(cluster: &Cluster<E>, name: &str) -> Cluster<E> {
    cluster.workload(name).expect("it is configured")
}

fn takes(simulated: &SimCluster, id: &InstanceId, millis: u64) -> FaultGuard {
    let delay = StatementFault::delay(Duration::from_millis(millis));
    simulated.fault(delay.at_instance(id.clone()).containing(QUERY))
}

/// How many of so many reads in a row, by eight clients, went to that instance, in percent.
async fn share<E: Database>(cluster: &Cluster<E>, id: &InstanceId) -> usize {
    let clients = (0..8).map(|_| async {
        let mut there = 0;
        for _ in 0..10 {
            let mut reader = cluster.reader().await.unwrap();
            there += usize::from(reader.instance() == id);
            E::number(&mut reader, QUERY).await.unwrap();
        }
        there
    });
    futures_util::future::join_all(clients)
        .await
        .into_iter()
        .sum::<usize>()
        * 100
        / 80
}

async fn a_reader_that_is_slowed_tenfold_loses_its_share_and_gets_it_back<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let [slowed, other] = <[InstanceId; 2]>::try_from(simulated.readers()).unwrap();
    let _usual = takes(&simulated, &other, 4);
    let usual = takes(&simulated, &slowed, 4);
    eventually_share(&cluster, &slowed, 40..=60).await;
    drop(usual);
    let slow = takes(&simulated, &slowed, 40);
    let took = eventually_share(&cluster, &slowed, 0..=10).await;
    assert!(took <= Duration::from_secs(2), "{took:?}");
    drop(slow);
    let _usual_again = takes(&simulated, &slowed, 4);
    let took = eventually_share(&cluster, &slowed, 40..=60).await;
    assert!(took <= Duration::from_secs(10), "{took:?}");
}

/// Reads until the share of an instance is so; how long that took.
async fn eventually_share<E: Database>(
    cluster: &Cluster<E>,
    id: &InstanceId,
    wanted: std::ops::RangeInclusive<usize>,
) -> Duration {
    let began = Instant::now();
    let mut seen = Vec::new();
    while began.elapsed() < PATIENCE {
        let began_at = began.elapsed();
        seen.push(share(cluster, id).await);
        if seen.last().is_some_and(|share| wanted.contains(share)) {
            return began_at;
        }
    }
    panic!("not {wanted:?}: {seen:?}");
}

fn candidates(explanation: &Explanation) -> BTreeSet<InstanceId> {
    let all = explanation.candidates.iter();
    all.map(|candidate| candidate.instance.clone()).collect()
}

fn reads_from<E: Database>(cluster: &Cluster<E>) -> BTreeSet<InstanceId> {
    candidates(&cluster.explain(Intent::Read))
}

fn lag_all(simulated: &SimCluster, lags: &[u64]) {
    for (reader, lag) in simulated.readers().into_iter().zip(lags) {
        simulated
            .set_lag(reader, Duration::from_secs(*lag))
            .unwrap();
    }
}

async fn the_writer_gets_no_more_reads_than_its_cap_while_all_readers_lag<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let writer = simulated.writer().unwrap();
    let cluster = open::<E>(&simulated, |config| {
        config.pool.max = 4;
        config.max_reader_lag = Some(Duration::from_secs(1));
        config.writer_reads_percent = 50;
        config.timing.checkout_timeout = Duration::from_secs(20);
    })
    .await;
    let readers = BTreeSet::from_iter(simulated.readers());
    lag_all(&simulated, &[5, 5]);
    eventually("reads at the writer", || {
        reads_from(&cluster) == [writer.clone()].into()
    })
    .await;
    let (mut most, stop) = (0, Arc::new(AtomicBool::new(false)));
    let reads = (0..20).map(|_| {
        let (cluster, stop) = (cluster.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let mut reader = cluster.reader().await.unwrap();
                E::number(&mut reader, QUERY).await.unwrap();
            }
        })
    });
    let reads: Vec<_> = reads.collect();
    let in_use = || {
        let pools = cluster.pools();
        let of_writer = pools.iter().find(|pool| pool.instance == writer);
        of_writer.map_or(0, |pool| pool.in_use)
    };
    let mut looks = 0;
    eventually("a thousand looks at the writer's pool", || {
        looks += 1;
        most = most.max(in_use());
        looks > 1_000
    })
    .await;
    assert!((1..=2).contains(&most), "{most} of 4 connections");
    insert(&cluster, 1).await.expect("writes have the rest");
    lag_all(&simulated, &[0, 0]);
    eventually("reads at the readers", || reads_from(&cluster) == readers).await;
    stop.store(true, Ordering::Relaxed);
    for read in reads {
        tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    }
    assert!(readers.contains(cluster.reader().await.unwrap().instance()));
}

async fn a_cap_of_nothing_keeps_reads_from_the_writer_and_says_so<E: Database>() {
    let (simulated, _) = start_with::<E>(|builder| builder.readers(0)).await;
    let cluster = open::<E>(&simulated, |config| {
        config.writer_reads_percent = 0;
        config.timing.checkout_timeout = Duration::from_millis(300);
    })
    .await;
    let error = cluster.reader().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoReader);
    assert!(
        error.to_string().contains("writer_reads_percent"),
        "{error}"
    );
    let explained = cluster.explain(Intent::Read);
    assert!(explained.candidates.is_empty(), "{explained}");
    assert!(explained.rule.contains("nor the writer"), "{explained}");
    let left_out = explained.left_out.first().map(|(_, reason)| *reason);
    assert_eq!(left_out, Some(Reason::Writer), "{explained}");
    cluster.writer().await.expect("writes are not concerned");
}

async fn with_all_readers_over_the_bound_the_least_lagging_may_be_read_from<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let cluster = open::<E>(&simulated, |config| {
        config.max_reader_lag = Some(Duration::from_secs(1));
        config.when_none = WhenNone::Readers;
    })
    .await;
    let [first, second] = <[InstanceId; 2]>::try_from(simulated.readers()).unwrap();
    lag_all(&simulated, &[5, 0]);
    eventually("one reader", || {
        reads_from(&cluster) == [second.clone()].into()
    })
    .await;
    lag_all(&simulated, &[5, 9]);
    eventually("the one that lags least", || {
        reads_from(&cluster) == [first.clone()].into()
    })
    .await;
    assert_eq!(*cluster.reader().await.unwrap().instance(), first);
    let explained = cluster.explain(Intent::Read);
    assert!(explained.rule.contains("other readers"), "{explained}");
    let lags = explained.left_out.iter().find(|(id, _)| *id == second);
    assert!(
        matches!(lags, Some((_, Reason::Lags { .. }))),
        "{explained}"
    );
}

async fn reads_stay_in_their_own_zone_while_it_has_a_reader<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let [near, far] = <[InstanceId; 2]>::try_from(simulated.readers()).unwrap();
    let url = format!("{}&zone=a&zone.{near}=a&zone.{far}=b", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(cluster.reader().await.unwrap());
        assert_eq!(*held.last().unwrap().instance(), near);
    }
    let explained = cluster.explain(Intent::Read);
    assert_eq!(explained.candidates[0].instance, near);
    assert!(explained.to_string().contains("b (another)"), "{explained}");
    drop(held);
    simulated.crash(near.clone()).unwrap();
    eventually("the loss of the near one", || {
        reads_from(&cluster) == [far.clone()].into()
    })
    .await;
    assert_eq!(*cluster.reader().await.unwrap().instance(), far);
}

async fn a_workload_has_connections_of_its_own_and_members_by_name_tier_or_endpoint<E: Database>() {
    let (simulated, _) = start_with::<E>(|builder| builder.readers(3)).await;
    let readers = simulated.readers();
    let member = readers[2].clone();
    let endpoint = CustomEndpointMembers::fixed([member.clone()]);
    let kind = CustomEndpointKind::Any;
    let host = simulated
        .custom_endpoint("reports", kind, endpoint)
        .unwrap();
    let url = format!(
        "{}&tier.{member}=15&tier.{}=1&workload.names.instances={member}&workload.names.pool_max=1\
         &workload.tiers.tiers=2-15&workload.endpoint.custom_endpoint={host}&workload.all.pool_max=3",
        simulated.url(),
        readers[0]
    );
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    for name in ["names", "tiers", "endpoint"] {
        let workload = workload(&cluster, name);
        for _ in 0..10 {
            let reader = workload.reader().await.unwrap();
            assert_eq!(*reader.instance(), member, "{name}");
        }
    }
    let all = BTreeSet::from_iter(readers);
    assert_eq!(reads_from(&workload(&cluster, "all")), all);
    let names = workload(&cluster, "names");
    let _held = names.reader().await.unwrap();
    let more = tokio::time::timeout(Duration::from_millis(50), names.reader()).await;
    assert!(more.is_err(), "its only connection is in use");
    let mut others = Vec::new();
    for _ in 0..9 {
        others.push(cluster.reader().await.expect("the handle's own are not"));
    }
    insert(&names, 1).await.expect("writes go to the writer");
}

async fn a_workload_without_a_member_does_as_its_rule_says<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let [member, other] = <[InstanceId; 2]>::try_from(simulated.readers()).unwrap();
    let writer = simulated.writer().unwrap();
    let cluster = open::<E>(&simulated, |config| {
        config.timing.checkout_timeout = Duration::from_millis(400);
        for (name, rule) in [
            ("member", WhenNone::Member),
            ("wait", WhenNone::Wait),
            ("fail", WhenNone::Fail),
            ("readers", WhenNone::Readers),
            ("writer", WhenNone::Writer),
        ] {
            let workload = Workload::new().instances([member.clone()]).when_none(rule);
            config.workloads.insert(name.into(), workload);
        }
    })
    .await;
    for name in ["member", "wait", "fail", "readers", "writer"] {
        let reader = workload(&cluster, name).reader().await.unwrap();
        assert_eq!(*reader.instance(), member, "{name}");
    }
    simulated.silence(member.clone()).unwrap();
    let lost = || !reads_from(&workload(&cluster, "wait")).contains(&member);
    eventually("the loss of the member", lost).await;
    for (name, at_least) in [("member", 300), ("wait", 300), ("fail", 0)] {
        let began = Instant::now();
        let error = workload(&cluster, name).reader().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoReader, "{name}");
        assert!(error.to_string().contains(member.as_str()), "{error}");
        assert!(began.elapsed() >= Duration::from_millis(at_least), "{name}");
    }
    for (name, expected) in [("readers", other), ("writer", writer)] {
        let reader = workload(&cluster, name).reader().await.unwrap();
        assert_eq!(*reader.instance(), expected, "{name}");
    }
    let error = workload(&cluster, "fail").reader().await.unwrap_err();
    assert!(error.to_string().contains("not to wait"), "{error}");
}

async fn an_unknown_workload_is_refused_with_those_that_are_known<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let error = cluster.workload("reports").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("none is configured"), "{error}");
    let cluster = open::<E>(&simulated, |config| {
        config.workloads.insert("jobs".into(), Workload::new());
        config.workloads.insert("reports".into(), Workload::new());
    })
    .await;
    let error = cluster.workload("report").unwrap_err();
    assert!(
        error.to_string().contains("known are: jobs, reports"),
        "{error}"
    );
}

async fn workloads_share_the_monitor_and_are_closed_with_their_handle<E: Database>() {
    let (simulated, first) = start::<E>().await;
    first.close(PATIENCE).await;
    let cluster = open::<E>(&simulated, |config| {
        // They share it even where handles do not.
        config.share_monitor = false;
        for name in ["a", "b", "c", "d"] {
            config.workloads.insert(name.into(), Workload::new());
        }
        assert_eq!(config.workloads["a"].members, Members::Inherited);
    })
    .await;
    let queries = || -> u64 {
        let instances = simulated.instances();
        let counters = instances
            .iter()
            .filter_map(|one| simulated.counters(&one.id));
        counters.map(|counters| counters.topology_queries).sum()
    };
    let (before, began) = (queries(), simulated.now());
    eventually("three more topology queries", || queries() >= before + 3).await;
    let took = simulated.now() - began;
    assert!(
        took >= Duration::from_millis(1_500),
        "3 queries in {took:?}"
    );
    let reports = workload(&cluster, "a");
    let held = reports.reader().await.unwrap();
    let report = cluster.close(Duration::from_millis(50)).await;
    assert_eq!(report.connections_in_use, 1, "that of the workload");
    assert!(report.tasks.is_empty(), "{report:?}");
    drop(held);
    let error = reports.reader().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

async fn a_read_that_waits_without_a_reader_or_for_the_cap_ends_with_its_handle<E: Database>() {
    // Another handle keeps the monitor.
    let (simulated, _others) = start_with::<E>(|builder| builder.readers(0)).await;
    for (rule, percent) in [(WhenNone::Wait, 100), (WhenNone::Member, 0)] {
        let cluster = open::<E>(&simulated, |config| {
            config.when_none = rule;
            config.writer_reads_percent = percent;
        })
        .await;
        let mut waiting = Box::pin(cluster.reader());
        let early = tokio::time::timeout(Duration::from_millis(30), &mut waiting).await;
        assert!(early.is_err(), "{rule}");
        assert!(cluster.close(PATIENCE).await.is_clean());
        // Its own patience is as long as this.
        let ended = tokio::time::timeout(PATIENCE / 2, waiting).await;
        assert_eq!(ended.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    }
}

async fn an_explanation_tells_of_every_instance<E: Database>() {
    let (simulated, _) = start_with::<E>(|builder| builder.readers(3)).await;
    let [first, second, third] = <[InstanceId; 3]>::try_from(simulated.readers()).unwrap();
    let writer = simulated.writer().unwrap();
    let cluster = open::<E>(&simulated, |config| {
        config.max_reader_lag = Some(Duration::from_secs(1));
        let reports = Workload::new().instances([first.clone()]);
        config.workloads.insert("reports".into(), reports);
    })
    .await;
    simulated
        .set_lag(second.clone(), Duration::from_secs(5))
        .unwrap();
    simulated.silence(third.clone()).unwrap();
    eventually("one reader", || {
        reads_from(&cluster) == [first.clone()].into()
    })
    .await;
    let mut reader = cluster.reader().await.unwrap();
    for _ in 0..10 {
        E::number(&mut reader, QUERY).await.unwrap();
    }
    let explained = cluster.explain(Intent::Read);
    let candidate = &explained.candidates[0];
    assert_eq!(candidate.instance, first);
    assert_eq!((candidate.role, candidate.in_flight), (Role::Reader, 1));
    assert_eq!(candidate.weight, 100);
    assert!(
        candidate.latency.is_some_and(|took| took > Duration::ZERO),
        "{explained}"
    );
    let left_out = |id: &InstanceId| {
        let mut all = explained.left_out.iter();
        all.find(|(other, _)| other == id)
            .map(|(_, reason)| *reason)
    };
    assert_eq!(left_out(&writer), Some(Reason::Writer));
    assert!(matches!(left_out(&second), Some(Reason::Lags { .. })));
    assert!(
        matches!(left_out(&third), Some(Reason::NotUp(_))),
        "{explained}"
    );
    let table = explained.to_string();
    for id in [&writer, &first, &second, &third] {
        assert!(table.contains(id.as_str()), "{table}");
    }
    let of_reports = workload(&cluster, "reports").explain(Intent::Read);
    let second = of_reports.left_out.iter().find(|(id, _)| *id == second);
    assert!(
        matches!(second, Some((_, Reason::NotAMember))),
        "{of_reports}"
    );
    let written = cluster.explain(Intent::Write);
    assert_eq!(candidates(&written), [writer].into());
    assert_eq!(written.left_out.len(), 3);
}
