//! What becomes of a connection that comes back, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;

use crate::engine::Backend;
use crate::id::Generation;
use crate::pool::fixtures::{Bench, Told, told_ends};
use crate::pool::lease::Lease;
use crate::time;
use crate::topology::observation::Fault;

const SECOND: Duration = Duration::from_secs(1);

fn end_cause(lease: &Lease<Told>) -> Option<&'static str> {
    let end = Told::reporter(lease.client()).generation_end();
    end.has_ended().then(|| end.cause().unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_ends_when_it_comes_back() {
    let bench = Bench::new("pool_max=2");
    let lease = bench.checkout().await;
    lease.client().break_it();
    drop(lease);
    assert_eq!((bench.server().open, bench.pool.levels(0).idle), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_has_ended_is_handed_to_nobody() {
    let bench = Bench::new("pool_max=2");
    drop(bench.checkout().await);
    bench.server().crashes += 1;
    let _lease = bench.checkout().await;
    let server = bench.server();
    assert_eq!((server.attempts.len(), server.open), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_strangers_connection_does_not_stay_in_the_pool() {
    let (bench, other) = (Bench::new("pool_max=2"), Bench::new("pool_max=2"));
    let next = Generation::default().next();
    other.pool.begin_generation(next, None);
    let (mut lease, mut stranger) = (bench.checkout().await, other.checkout().await);
    std::mem::swap(lease.client_mut(), stranger.client_mut());
    drop((lease, stranger));
    assert_eq!((bench.server().open, other.server().open), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_may_take_as_long_as_a_probe() {
    let bench = Bench::new("pool_max=1&probe_timeout=400ms");
    drop(bench.checkout().await);
    tokio::time::sleep(60 * SECOND).await;
    bench.server().ping_time = Duration::from_millis(300);
    drop(bench.checkout().await);
    let server = bench.server();
    assert_eq!((server.pings, server.attempts.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn no_sign_of_life_is_told_to_the_monitor_unless_the_caller_had_no_patience_for_it() {
    let bench = Bench::new("pool_max=1&probe_timeout=400ms");
    for (patience, told) in [(100, Vec::new()), (900, vec![Fault::TimedOut])] {
        drop(bench.checkout().await);
        tokio::time::sleep(60 * SECOND).await;
        bench.server().is_silent = true;
        let deadline = time::now() + Duration::from_millis(patience);
        bench.pool.checkout(0, deadline).await.unwrap_err();
        assert_eq!(bench.mailbox.faults(), told, "after {patience} ms");
        tokio::time::sleep(60 * SECOND).await;
        bench.server().is_silent = false;
        bench.mailbox.read();
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_fast_makes_an_instance_no_faster() {
    let bench = Bench::new("pool_max=1&insights=off&metrics=off");
    let latency = Arc::clone(bench.pool.member().site());
    let average = || latency.latency().average().unwrap().level().duration();
    for _ in 0..20 {
        let lease = bench.checkout().await;
        tokio::time::sleep(SECOND / 10).await;
        drop(lease);
    }
    let before = average();
    assert!((SECOND / 11..SECOND / 9).contains(&before), "{before:?}");
    for _ in 0..20 {
        bench.checkout().await.client().break_it();
    }
    assert_eq!(average(), before);
    drop(bench.checkout().await);
    assert!(average() < before);
}

#[tokio::test(start_paused = true)]
async fn a_successor_is_asked_for_where_another_connection_serves_in_its_place() {
    let bench = Bench::new("pool_max=4&max_lifetime=60s");
    let first = bench.checkout().await;
    tokio::time::sleep(30 * SECOND).await;
    let second = bench.checkout().await;
    // Whoever came back last is handed out first.
    drop(second);
    drop(first);
    tokio::time::sleep(31 * SECOND).await;
    let _lease = bench.checkout().await;
    tokio::time::sleep(SECOND).await;
    let server = bench.server();
    assert_eq!((server.attempts.len(), server.open), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_soon_has_one_successor_however_often_it_comes_back() {
    let bench = Bench::new("pool_max=6&max_lifetime=60s");
    // Until the next one takes its place.
    for _ in 0..600 {
        drop(bench.checkout().await);
        tokio::time::sleep(SECOND / 10).await;
    }
    let server = bench.server();
    assert_eq!((server.attempts.len(), server.most_open), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_lived_long_enough_ends_when_it_comes_back() {
    let bench = Bench::new("pool_max=1&max_lifetime=60s");
    let lease = bench.checkout().await;
    tokio::time::sleep(61 * SECOND).await;
    drop(lease);
    assert_eq!(bench.server().open, 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_has_lived_long_enough_is_replaced_by_one_and_no_more() {
    let bench = Bench::new("pool_max=4&max_lifetime=60s");
    drop(bench.checkout().await);
    tokio::time::sleep(61 * SECOND).await;
    let _lease = bench.checkout().await;
    tokio::time::sleep(SECOND).await;
    let server = bench.server();
    assert_eq!((server.attempts.len(), server.open), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_somebody_takes_the_place_of_an_idle_connection_that_has_to_end() {
    let bench = Bench::new("pool_max=4&max_lifetime=60s");
    drop(bench.checkout().await);
    tokio::time::sleep(61 * SECOND).await;
    bench.pool.expect(1);
    tokio::time::sleep(SECOND).await;
    let _lease = bench.checkout().await;
    tokio::time::sleep(SECOND).await;
    let server = bench.server();
    assert_eq!((server.attempts.len(), server.open), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn connections_of_before_a_restart_live_until_there_is_a_cause_to_end_them() {
    let bench = Bench::new("pool_max=4");
    let first = bench.checkout().await;
    let restarted = Generation::default().next();
    bench.pool.begin_generation(restarted, None);
    let second = bench.checkout().await;
    bench.pool.begin_generation(restarted.next(), None);
    assert_eq!((end_cause(&first), end_cause(&second)), (None, None));
    assert!(first.is_outdated() && second.is_outdated());
    let lost = restarted.next().next();
    bench.pool.begin_generation(lost, Some("it fell silent"));
    let told = Some("it fell silent");
    assert_eq!((end_cause(&first), end_cause(&second)), (told, told));
}

#[tokio::test(start_paused = true)]
async fn after_many_restarts_the_connections_of_the_oldest_generations_end() {
    let bench = Bench::new("pool_max=4");
    let first = bench.checkout().await;
    let mut generation = Generation::default();
    for restarts in 1..=16 {
        generation = generation.next();
        bench.pool.begin_generation(generation, None);
        assert_eq!(end_cause(&first), None, "after {restarts}");
    }
    let later = bench.checkout().await;
    bench.pool.begin_generation(generation.next(), None);
    assert!(end_cause(&first).is_some());
    assert_eq!(end_cause(&later), None);
}

#[test]
fn each_connection_is_told_to_have_ended_for_what_ended_it() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let next = |bench: &Bench| bench.pool.member().generation().next();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let bench = Bench::new("pool_max=8&max_lifetime=1h&idle_timeout=2h");
            let (kept, broken) = (bench.checkout().await, bench.checkout().await);
            broken.client().break_it();
            drop(broken);
            drop(kept);
            tokio::time::sleep(60 * SECOND).await;
            bench.server().crashes += 1;
            let through_restart = bench.checkout().await;
            bench.pool.begin_generation(next(&bench), None);
            let through_loss = bench.checkout().await;
            let idle = bench.checkout().await;
            drop(idle);
            bench
                .pool
                .begin_generation(next(&bench), Some("it is gone"));
            drop((through_restart, through_loss));
            let old = bench.checkout().await;
            tokio::time::sleep(3_600 * SECOND).await;
            drop(old);
            // Its successor comes too late for the next, who has one opened.
            let after_close = bench.checkout().await;
            bench.pool.close();
            drop(after_close);
        });
    });
    let expected = [
        ("it came back unfit", 1),
        ("it has lived long enough", 1),
        ("it is gone", 3),
        ("its pool was closed", 2),
        ("it is no longer usable", 1),
    ];
    let expected = expected.map(|(cause, count)| (cause.to_owned(), count));
    assert_eq!(told_ends(&recorder.handle()), expected.into());
}

#[test]
fn a_connection_that_gives_no_sign_of_life_is_told_to_have_ended_for_that() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let bench = Bench::new("pool_max=2");
            let both = (bench.checkout().await, bench.checkout().await);
            drop(both);
            tokio::time::sleep(60 * SECOND).await;
            bench.server().is_silent = true;
            let soon = time::now() + SECOND;
            let refused = bench.pool.checkout(0, soon).await;
            refused.unwrap_err();
        });
    });
    let expected = [("no sign of life".to_owned(), 2)];
    assert_eq!(told_ends(&recorder.handle()), expected.into());
}
