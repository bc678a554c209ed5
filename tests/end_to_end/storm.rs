//! Thousands of callers who wait through a failover.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aurora_driver::sim::Timeline;
use aurora_driver::sim::direct::{Direct, DirectCluster, replay};
use aurora_driver::{Cluster, ErrorKind};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::database::{Database, PATIENCE, eventually, on_both_engines, start_with};

const CALLERS: usize = 5_000;

/// From the promotion to the last caller's answer.
const LIMIT: Duration = Duration::from_secs(2);

/// The gate's default width, and the monitor's own login.
const LOGINS_MAX: i64 = 8 + 1;

on_both_engines!(thousands_that_wait_through_a_failover_storm_nobody_and_are_all_served);

fn paused() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// The most logins under way at a time, of all instances together.
fn most_logins_under_way(trace: &str) -> i64 {
    let (mut under_way, mut most) = (0, 0);
    for line in trace.lines() {
        under_way += i64::from(line.contains("connect to") && line.ends_with(": open"));
        under_way -= i64::from(line.contains(": login: "));
        most = most.max(under_way);
    }
    most
}

#[test]
fn callers_that_wait_through_a_failover_are_served_in_the_order_of_their_arrival() {
    for seed in 0..4 {
        replay(paused(), seed, async move {
            let world = DirectCluster::start(seed, 2, Timeline::aurora_postgres());
            let mut config = world.config().unwrap();
            config.pool.max = 40;
            let cluster = Cluster::<Direct>::new(config).unwrap();
            cluster.ready(PATIENCE).await.unwrap();
            drop(cluster.writer().await.unwrap());
            world.crash(&world.writer().unwrap()).unwrap();
            eventually("the loss of the writer", || {
                cluster.topology().writer().is_none()
            })
            .await;
            let arrivals = Arc::new(AtomicUsize::new(0));
            let served = Arc::new(Mutex::new(Vec::new()));
            let mut callers = JoinSet::new();
            for key in 0..CALLERS as u64 {
                let (cluster, arrivals, served) =
                    (cluster.clone(), Arc::clone(&arrivals), Arc::clone(&served));
                callers.spawn(async move {
                    let number = arrivals.fetch_add(1, Ordering::Relaxed);
                    let mut writer = cluster.writer().await.unwrap();
                    served.lock().await.push(number);
                    writer.write(key).await.unwrap();
                });
            }
            world.promoted().await;
            let promoted = Instant::now();
            while let Some(ended) = callers.join_next().await {
                ended.unwrap();
            }
            let took = promoted.elapsed();
            assert!(took < LIMIT, "seed {seed}: served within {took:?}");
            assert_eq!(world.ledger().len(), CALLERS);
            let served = served.lock().await;
            assert!(served.is_sorted(), "seed {seed}");
            let logins = most_logins_under_way(&world.trace());
            assert!(
                logins <= LOGINS_MAX,
                "seed {seed}: {logins} logins at a time"
            );
        });
    }
}

#[test]
fn who_does_not_fit_into_the_row_hears_at_once_that_it_is_overloaded() {
    replay(paused(), 7, async {
        let world = DirectCluster::start(7, 1, Timeline::aurora_postgres());
        let mut config = world.config().unwrap();
        config.pool.max = 2;
        config.pool.max_waiting = 10;
        let cluster = Cluster::<Direct>::new(config).unwrap();
        cluster.ready(PATIENCE).await.unwrap();
        let _held = (
            cluster.writer().await.unwrap(),
            cluster.writer().await.unwrap(),
        );
        let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(cluster.writer())).collect();
        for call in &mut waiting {
            let early = tokio::time::timeout(Duration::from_millis(1), call).await;
            assert!(early.is_err());
        }
        let refused = cluster.writer().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overloaded);
        assert!(
            refused.to_string().contains("pool_max_waiting"),
            "{refused}"
        );
        // A caller that gives up makes room.
        waiting.pop();
        let late = tokio::time::timeout(Duration::from_millis(1), cluster.writer()).await;
        assert!(late.is_err(), "it waits");
    });
}

#[test]
fn who_waits_in_the_row_keeps_its_own_deadline() {
    replay(paused(), 3, async {
        let world = DirectCluster::start(3, 1, Timeline::aurora_postgres());
        let mut config = world.config().unwrap();
        config.pool.max = 1;
        config.timing.checkout_timeout = Duration::from_secs(3);
        let cluster = Cluster::<Direct>::new(config).unwrap();
        cluster.ready(PATIENCE).await.unwrap();
        let _held = cluster.writer().await.unwrap();
        let began = Instant::now();
        let mut first = Box::pin(cluster.writer());
        let early = tokio::time::timeout(Duration::from_secs(1), &mut first).await;
        assert!(early.is_err());
        let second = cluster.writer();
        let (first, second) =
            futures_util::future::join(first, async { (second.await, began.elapsed()) }).await;
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(second.0.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(second.1.as_millis() / 10, 400);
    });
}

async fn thousands_that_wait_through_a_failover_storm_nobody_and_are_all_served<E: Database>() {
    const POOL_MAX: usize = 24;
    let (simulated, narrow) = start_with::<E>(|builder| {
        builder
            .readers(2)
            .max_connections(POOL_MAX + 6)
            .login_cost(Duration::from_millis(2))
    })
    .await;
    narrow.close(PATIENCE).await;
    let url = format!("{}&pool_max={POOL_MAX}", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    drop(cluster.writer().await.unwrap());
    let instances = simulated.instances();
    let old_writer = simulated.crash_writer().unwrap();
    eventually("the loss of the writer", || {
        let topology = cluster.topology();
        topology
            .writer()
            .is_none_or(|writer| *writer.id() != old_writer)
    })
    .await;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let cluster = cluster.clone();
        callers.spawn(async move { cluster.writer().await.map(drop) });
    }
    // While it starts it refuses the monitor's questions; from then on nobody.
    let refused = || {
        let promotion = simulated.last_promotion()?;
        Some(simulated.counters(&promotion.instance)?.logins_refused)
    };
    let mut refused_before = None;
    let (mut most, mut look_again) = (0, tokio::time::interval(Duration::from_millis(1)));
    loop {
        tokio::select! {
            ended = callers.join_next() => match ended {
                Some(answer) => answer.unwrap().unwrap(),
                None => break,
            },
            _ = look_again.tick() => {
                refused_before = refused_before.or_else(refused);
                for instance in &instances {
                    let counters = simulated.counters(&instance.id).unwrap();
                    let ended = counters.logins + counters.logins_refused;
                    let under_way = counters.connects.saturating_sub(ended);
                    most = most.max(i64::try_from(under_way).unwrap());
                }
            }
        }
    }
    let served_at = simulated.now();
    let promotion = simulated.last_promotion().unwrap();
    let took = served_at.saturating_sub(promotion.accepting_at);
    assert!(took < LIMIT, "served within {took:?}");
    assert!(most <= LOGINS_MAX, "{most} logins at a time");
    assert!(refused_before.is_some());
    assert_eq!(refused(), refused_before, "too many connections");
}
