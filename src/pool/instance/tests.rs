//! One pool against a server that is told how to behave, in virtual time.

use std::time::Duration;

use futures_util::FutureExt;

use crate::error::ErrorKind;
use crate::id::Generation;
use crate::pool::fixtures::{Bench, Told};
use crate::pool::lease::Lease;
use crate::time::{self, Instant};

const LONG: Duration = Duration::from_secs(31);

fn soon() -> Instant {
    time::now() + LONG
}

async fn checkout(bench: &Bench) -> Lease<Told> {
    let lease = bench.pool.checkout(0, soon()).await;
    lease.expect("the server lets us in")
}

#[tokio::test(start_paused = true)]
async fn what_a_pool_holds_is_told_as_it_is() {
    let bench = Bench::new("pool_max=2");
    let (one, two) = (checkout(&bench).await, checkout(&bench).await);
    let mut waiting = Box::pin(checkout(&bench));
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
async fn a_caller_beyond_those_who_may_wait_is_told_so_at_once() {
    let bench = Bench::new("pool_max=1&pool_max_waiting=1");
    let held = checkout(&bench).await;
    let mut waiting = Box::pin(checkout(&bench));
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
    let held = checkout(&bench).await;
    drop(checkout(&bench).await);
    assert_eq!(bench.server().open, 2);
    let next = Generation::default().next();
    let ended = bench.pool.begin_generation(next, Some("it was demoted"));
    assert_eq!((ended, bench.server().open), (2, 1));
    drop(held);
    assert_eq!(bench.server().open, 0);
    // Those of the new one are not touched by its own beginning.
    drop(checkout(&bench).await);
    bench.pool.begin_generation(next, None);
    assert_eq!(bench.server().open, 1);
}

#[tokio::test(start_paused = true)]
async fn only_idle_connections_that_would_have_to_prove_that_they_live_are_ended() {
    let bench = Bench::new("pool_max=2");
    let held = checkout(&bench).await;
    drop(checkout(&bench).await);
    tokio::time::sleep(LONG).await;
    drop(held);
    bench.pool.end_unproved();
    assert_eq!((bench.server().open, bench.pool.levels(0).idle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn connects_begin_for_callers_that_wait_elsewhere() {
    let bench = Bench::new("pool_max=5");
    // The first login shows that the server lets us in.
    let _held = checkout(&bench).await;
    bench.pool.expect(3);
    tokio::time::sleep(LONG).await;
    assert_eq!(bench.server().attempts.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_first_of_several_callers_begins_the_connects_of_those_behind_it() {
    let bench = Bench::new("pool_max=5");
    let _held = checkout(&bench).await;
    let _first = bench.pool.checkout(2, soon()).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(bench.server().attempts.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_at_once_for_a_connect_that_is_held_up() {
    let bench = Bench::new("pool_max=2");
    drop(checkout(&bench).await);
    let at_once = bench.pool.checkout_at_once(soon()).await;
    assert!(at_once.expect("it is idle").is_some());
    let _held = checkout(&bench).await;
    bench.server().refuses = true;
    let _ = bench.pool.checkout(0, soon()).await;
    let began = time::now();
    let at_once = bench.pool.checkout_at_once(soon()).await;
    assert!(matches!(at_once, Ok(None)), "{at_once:?}");
    assert_eq!(time::now(), began);
}
