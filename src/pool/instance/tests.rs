//! One pool against a server that is told how to behave, in virtual time.

use std::time::Duration;

use futures_util::FutureExt;

use crate::error::ErrorKind;
use crate::id::Generation;
use crate::pool::fixtures::Bench;
use crate::pool::gate::FRESH_FAILURE_PERIOD;
use crate::time::{self, Instant};

const LONG: Duration = Duration::from_secs(31);

fn soon() -> Instant {
    time::now() + LONG
}

#[tokio::test(start_paused = true)]
async fn what_a_pool_holds_is_told_as_it_is() {
    let bench = Bench::new("pool_max=2");
    let (one, two) = (bench.checkout().await, bench.checkout().await);
    let mut waiting = Box::pin(bench.checkout());
    assert!((&mut waiting).now_or_never().is_none());
    let levels = bench.pool.levels(3);
    assert_eq!((levels.used, levels.idle, levels.waiting), (2, 0, 4));
    assert_eq!((bench.pool.in_flight(), bench.pool.users()), (2, 3));
    drop(waiting);
    drop((one, two));
    let levels = bench.pool.levels(0);
    assert_eq!((levels.used, levels.idle, levels.waiting), (0, 2, 0));
    assert_eq!((levels.max, levels.min_idle), (2, 0));
    assert_eq!((bench.pool.in_flight(), bench.pool.users()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_opened_for_somebody_who_never_came_is_idle() {
    let bench = Bench::new("pool_max=3");
    let _held = bench.checkout().await;
    bench.pool.expect(1);
    tokio::time::sleep(LONG).await;
    let levels = bench.pool.levels(0);
    assert_eq!((levels.used, levels.idle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_an_instance_that_has_left_hears_so() {
    let bench = Bench::new("pool_max=1");
    bench.pool.close();
    let failure = bench.pool.checkout(0, soon()).await.expect_err("it left");
    let told = failure.error.to_string();
    assert!(told.contains("it has left the cluster"), "{told}");
    assert_eq!(failure.error.kind(), ErrorKind::Connect);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_serves_again_is_met_at_once_however_full_it_was_long_before() {
    let bench = Bench::new("pool_max=4");
    bench.server().capacity = 0;
    // The delay has grown to several seconds by then.
    for _ in 0..10 {
        let _ = bench.pool.checkout(0, soon()).await;
    }
    bench.server().capacity = 1;
    tokio::time::sleep(FRESH_FAILURE_PERIOD).await;
    bench.pool.serves_again();
    let began = time::now();
    let _lease = bench.checkout().await;
    assert_eq!(time::now(), began);
}

#[tokio::test(start_paused = true)]
async fn a_caller_beyond_those_who_may_wait_is_told_so_at_once() {
    let bench = Bench::new("pool_max=1&pool_max_waiting=1");
    let held = bench.checkout().await;
    let mut waiting = Box::pin(bench.checkout());
    assert!((&mut waiting).now_or_never().is_none());
    let refused = bench.pool.checkout(0, soon()).now_or_never();
    let failure = refused.expect("at once").expect_err("no place");
    assert_eq!(failure.error.kind(), ErrorKind::Overloaded);
    drop(held);
    drop(waiting.await);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_end_with_their_generation_and_not_when_they_are_next_wanted() {
    let bench = Bench::new("pool_max=2");
    let held = bench.checkout().await;
    drop(bench.checkout().await);
    assert_eq!(bench.server().open, 2);
    let next = Generation::default().next();
    let ended = bench.pool.begin_generation(next, Some("it was demoted"));
    assert_eq!((ended, bench.server().open), (2, 1));
    drop(held);
    assert_eq!(bench.server().open, 0);
    // Those of the new one are not touched by its own beginning.
    drop(bench.checkout().await);
    bench.pool.begin_generation(next, None);
    assert_eq!(bench.server().open, 1);
}

#[tokio::test(start_paused = true)]
async fn only_idle_connections_that_would_have_to_prove_that_they_live_are_ended() {
    let bench = Bench::new("pool_max=6");
    let held = bench.checkout().await;
    drop(bench.checkout().await);
    // These are for callers who never come.
    bench.pool.expect(2);
    tokio::time::sleep(LONG).await;
    drop(held);
    bench.pool.expect(3);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(bench.server().open, 5);
    bench.pool.end_unproved();
    assert_eq!((bench.server().open, bench.pool.levels(0).idle), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_has_idled_for_too_long_ends_with_the_next_sweep_but_for_the_minimum() {
    let bench = Bench::new("pool_max=4&pool_min_idle=1&idle_timeout=60s");
    let held = (bench.checkout().await, bench.checkout().await);
    drop(held);
    tokio::time::sleep(Duration::from_secs(59)).await;
    bench.pool.sweep(1);
    assert_eq!(bench.server().open, 2);
    tokio::time::sleep(LONG).await;
    bench.pool.sweep(1);
    assert_eq!(bench.server().open, 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_has_one_successor_before_it_ends() {
    let bench = Bench::new("pool_max=4&max_lifetime=60s");
    drop(bench.checkout().await);
    for _ in 0..60 {
        bench.pool.sweep(0);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    bench.pool.sweep(0);
    let server = bench.server();
    assert_eq!((server.attempts.len(), server.most_open), (2, 2));
    assert_eq!(server.open, 1);
}

#[tokio::test(start_paused = true)]
async fn connects_begin_for_callers_that_wait_elsewhere() {
    let bench = Bench::new("pool_max=5");
    // The first login shows that the server lets us in.
    let _held = bench.checkout().await;
    bench.pool.expect(3);
    tokio::time::sleep(LONG).await;
    assert_eq!(bench.server().attempts.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_first_of_several_callers_begins_the_connects_of_those_behind_it() {
    let bench = Bench::new("pool_max=5");
    let _held = bench.checkout().await;
    let _first = bench.pool.checkout(2, soon()).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(bench.server().attempts.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_at_once_for_a_connect_that_is_held_up() {
    let bench = Bench::new("pool_max=2");
    drop(bench.checkout().await);
    let at_once = bench.pool.checkout_at_once(soon()).await;
    assert!(at_once.expect("it is idle").is_some());
    let _held = bench.checkout().await;
    bench.server().refuses = true;
    let _ = bench.pool.checkout(0, soon()).await;
    let began = time::now();
    let at_once = bench.pool.checkout_at_once(soon()).await;
    assert!(matches!(at_once, Ok(None)), "{at_once:?}");
    assert_eq!(time::now(), began);
}
