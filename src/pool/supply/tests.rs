//! Pools against a server that is told how to behave, in virtual time but for one race.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use metrics_exporter_prometheus::PrometheusBuilder;
use proptest::prelude::*;

use crate::engine::{Backend, Condition, Failure};
use crate::error::ErrorKind;
use crate::pool::fixtures::{Bench, Told, told_ends};
use crate::pool::lease::Lease;
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

const MILLI: Duration = Duration::from_millis(1);
/// So many that two threads meet in the way that matters in some of them: without `hand_over_idle`
/// the test fails.
const ROUNDS: usize = 3_000;

fn within(span: Duration) -> Instant {
    time::now() + span
}

/// Lets all tasks do what they can without time passing.
async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_takes_what_comes_back_while_its_connect_is_slow() {
    let bench = Bench::new("pool_max=2");
    let held = bench.checkout().await;
    bench.server().login_time = Duration::from_secs(3);
    let mut waiting = Box::pin(bench.checkout());
    assert!(tokio::time::timeout(MILLI, &mut waiting).await.is_err());
    let began = time::now();
    drop(held);
    let _served = waiting.await;
    assert_eq!(time::now() - began, Duration::ZERO);
    // The connect goes on, and the next caller finds what came of it.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let began = time::now();
    let _next = bench.checkout().await;
    assert_eq!(time::now() - began, Duration::ZERO);
    assert_eq!(bench.server().attempts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_its_connect_to_the_next() {
    let bench = Bench::new("pool_max=1");
    bench.server().login_time = Duration::from_secs(1);
    let began = time::now();
    let given_up = tokio::time::timeout(Duration::from_millis(900), bench.checkout()).await;
    assert!(given_up.is_err());
    let _lease = bench.checkout().await;
    assert_eq!(time::now() - began, Duration::from_secs(1));
    assert_eq!(bench.server().attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_to_a_caller_that_has_just_left_goes_to_the_next() {
    let bench = Bench::new("pool_max=1");
    bench.server().login_time = MILLI;
    let mut leaving = Box::pin(bench.checkout());
    assert!(futures_util::FutureExt::now_or_never(&mut leaving).is_none());
    let mut staying = Box::pin(bench.checkout());
    assert!(futures_util::FutureExt::now_or_never(&mut staying).is_none());
    // The connection is on its way to the first when that one leaves.
    tokio::time::sleep(2 * MILLI).await;
    drop(leaving);
    let began = time::now();
    let _lease = staying.await;
    assert_eq!(time::now() - began, Duration::ZERO);
    assert_eq!(bench.server().attempts.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_just_as_somebody_begins_to_wait_is_not_lost_to_them() {
    let bench = Arc::new(Bench::new("pool_max=2"));
    // No other can be opened: whoever misses it waits in vain.
    bench.server().capacity = 1;
    for _ in 0..ROUNDS {
        let lease = bench.checkout().await;
        let other = Arc::clone(&bench);
        let waiting = tokio::spawn(async move { drop(other.checkout().await) });
        let returning = tokio::spawn(async move { drop(lease) });
        returning.await.unwrap();
        waiting.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn callers_are_served_in_the_order_of_their_arrival() {
    let bench = Bench::new("pool_max=4");
    bench.server().login_time = 5 * MILLI;
    let mut calls: FuturesUnordered<_> = (0..300)
        .map(|number| {
            let bench = &bench;
            async move {
                let lease = bench.checkout().await;
                let served_at = time::now();
                tokio::time::sleep(MILLI).await;
                drop(lease);
                (number, served_at)
            }
        })
        .collect();
    let mut served = Vec::new();
    while let Some(call) = calls.next().await {
        served.push(call);
    }
    served.sort();
    assert!(served.is_sorted_by_key(|(_, served_at)| *served_at));
    assert!(bench.server().most_open <= 4);
}

#[tokio::test(start_paused = true)]
async fn logins_under_way_never_exceed_the_gate_whoever_waits() {
    let bench = Bench::new("pool_max=100&pool_max_waiting=6000");
    bench.server().login_time = 20 * MILLI;
    let calls = (0..5_000).map(|_| async {
        let _lease = bench.checkout().await;
        tokio::time::sleep(MILLI).await;
    });
    let began = time::now();
    join_all(calls).await;
    assert!(time::now() - began < Duration::from_secs(2));
    let server = bench.server();
    assert_eq!(server.most_logging_in, 8);
    assert!(server.most_open <= 100);
}

#[tokio::test(start_paused = true)]
async fn a_dead_instance_is_not_hammered_by_every_caller() {
    let bench = Bench::new("pool_max=50");
    bench.server().refuses = true;
    let calls = (0..500).map(|_| async {
        let deadline = within(Duration::from_secs(5));
        while time::remaining(deadline) > Duration::ZERO {
            if let Err(failure) = bench.pool.checkout(0, deadline).await {
                assert_eq!(failure.error.kind(), ErrorKind::Connect);
            }
            tokio::time::sleep(MILLI).await;
        }
    });
    join_all(calls).await;
    let server = bench.server();
    assert!(server.attempts.len() >= 5, "{}", server.attempts.len());
    // Eight began together; each later one waited for its turn: 5 ms, 10 ms, ... up to 1 s.
    assert!(server.attempts.len() <= 24, "{}", server.attempts.len());
}

#[tokio::test(start_paused = true)]
async fn a_full_server_is_not_stormed_and_all_are_served_by_what_it_allows() {
    let bench = Bench::new("pool_max=40&pool_max_waiting=2000");
    bench.server().capacity = 5;
    bench.server().login_time = 2 * MILLI;
    let calls = (0..1_000).map(|_| async {
        let _lease = bench.checkout().await;
        tokio::time::sleep(10 * MILLI).await;
    });
    let began = time::now();
    join_all(calls).await;
    assert!(time::now() - began < Duration::from_secs(4));
    assert!(bench.server().too_many <= 16, "{}", bench.server().too_many);
    // It has room again, and is used to the full before long.
    bench.server().capacity = 100;
    let calls = (0..500).map(|_| async {
        let _lease = bench.checkout().await;
        tokio::time::sleep(500 * MILLI).await;
    });
    join_all(calls).await;
    assert_eq!(bench.server().open, 40);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_due_sooner_does_not_wait_for_one_that_is_due_later() {
    let bench = Bench::new("pool_max=4");
    bench.server().capacity = 2;
    let held = (bench.checkout().await, bench.checkout().await);
    let waits = async || {
        bench
            .pool
            .checkout(0, within(Duration::from_secs(600)))
            .await
    };
    let (third, fourth) = (waits(), waits());
    let mut both = std::pin::pin!(futures_util::future::join(third, fourth));
    // Full for so long that the next try is seconds away.
    let minute = tokio::time::timeout(Duration::from_secs(60), &mut both);
    assert!(minute.await.is_err());
    let full = bench.server().too_many;
    // One of ours makes room for another, which begins with short delays again.
    held.0.client().break_it();
    drop(held.0);
    let soon = tokio::time::timeout(Duration::from_secs(1), &mut both);
    assert!(soon.await.is_err());
    assert!(
        bench.server().too_many > full + 1,
        "it was tried again soon"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_without_room_for_anybody_is_named_as_the_reason() {
    let bench = Bench::new("pool_max=4");
    bench.server().capacity = 0;
    let refused = bench.pool.checkout(0, within(Duration::from_secs(2))).await;
    assert_eq!(refused.unwrap_err().error.kind(), ErrorKind::Overloaded);
    let again = bench.pool.checkout(0, within(10 * MILLI)).await;
    assert_eq!(again.unwrap_err().error.kind(), ErrorKind::Overloaded);
}

#[tokio::test(start_paused = true)]
async fn a_new_generation_is_met_at_once_whatever_failed_before() {
    let bench = Bench::new("pool_max=4");
    bench.server().refuses = true;
    for _ in 0..8 {
        let _ = bench.pool.checkout(0, within(Duration::from_secs(1))).await;
    }
    bench.server().refuses = false;
    let next = bench.pool.member().generation().next();
    bench.pool.begin_generation(next, Some("the test says so"));
    let began = time::now();
    let _lease = bench.checkout().await;
    assert_eq!(time::now() - began, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_silent_instance_hears_at_once_that_its_generation_ended() {
    let bench = Bench::new("pool_max=4");
    bench.server().is_silent = true;
    let mut waiting = Box::pin(bench.pool.checkout(0, within(Duration::from_secs(20))));
    assert!(tokio::time::timeout(MILLI, &mut waiting).await.is_err());
    let next = bench.pool.member().generation().next();
    let began = time::now();
    bench.pool.begin_generation(next, Some("it fell silent"));
    let failure = waiting.await.unwrap_err();
    assert!(failure.error.to_string().contains("it fell silent"));
    assert_eq!(time::now() - began, Duration::ZERO);
    settle().await;
    assert_eq!(bench.server().logging_in, 0, "nobody wants it any more");
}

#[tokio::test(start_paused = true)]
async fn many_dead_idle_connections_cost_one_probe() {
    let bench = Bench::new("pool_max=10&probe_timeout=400ms");
    let held = join_all((0..10).map(|_| bench.checkout())).await;
    drop(held);
    tokio::time::sleep(Duration::from_secs(60)).await;
    bench.server().is_silent = true;
    let began = time::now();
    let mut waiting = Box::pin(bench.pool.checkout(0, within(Duration::from_secs(2))));
    assert!(
        tokio::time::timeout(500 * MILLI, &mut waiting)
            .await
            .is_err()
    );
    assert_eq!(bench.server().pings, 1);
    assert_eq!(bench.server().open, 0, "the rest is not asked one by one");
    assert!(waiting.await.is_err());
    assert_eq!(
        time::now() - began,
        Duration::from_secs(2),
        "one deadline for all"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_idled_proves_itself_once_and_is_used() {
    let bench = Bench::new("pool_max=2");
    drop(bench.checkout().await);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(bench.pool.checkout_idle().is_none(), "not without a proof");
    drop(bench.checkout().await);
    assert_eq!(bench.server().pings, 1);
    assert!(bench.pool.checkout_idle().is_some());
    assert_eq!(bench.server().attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_opened_for_a_pool_that_has_ended_ends_and_who_waits_hears_so_at_once() {
    let bench = Bench::new("pool_max=4");
    bench.server().login_time = Duration::from_secs(1);
    bench.pool.expect(1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.server().open, 1, "for nobody");
    bench.server().login_time = Duration::from_secs(2);
    bench.pool.expect(2);
    let _held = bench.checkout().await;
    let mut waiting = Box::pin(bench.pool.checkout(0, within(Duration::from_secs(20))));
    assert!(tokio::time::timeout(MILLI, &mut waiting).await.is_err());
    let began = time::now();
    bench.pool.close();
    waiting.await.unwrap_err();
    assert_eq!(time::now(), began);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(bench.server().open, 1, "the one in use");
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_while_it_waited_for_somebody_takes_nobodys_place() {
    let bench = Bench::new("pool_max=4&max_lifetime=60s");
    drop(bench.checkout().await);
    tokio::time::sleep(Duration::from_secs(61)).await;
    bench.pool.expect(1);
    settle().await;
    bench.server().crashes += 1;
    let lease = bench.checkout().await;
    assert_eq!(Told::condition(lease.client()), Condition::Clean);
}

/// What the sweeper does, for a while.
async fn sweep_for(bench: &Bench, span: Duration, min_idle: usize) {
    let end = within(span);
    while time::now() < end {
        bench.pool.sweep(min_idle);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_caller_waits_for_the_successor_of_a_connection_that_has_lived_long_enough() {
    for seed in 0..6 {
        // Of it come the lifetimes, and when the sweeper looks.
        fastrand::seed(seed);
        let bench = Bench::new("pool_max=6&max_lifetime=60s");
        bench.server().login_time = 200 * MILLI;
        drop(join_all((0..3).map(|_| bench.checkout())).await);
        let callers = (0..3).map(|_| async {
            let end = within(Duration::from_secs(150));
            let mut longest = Duration::ZERO;
            while time::now() < end {
                let began = time::now();
                let lease = bench.checkout().await;
                longest = longest.max(time::now() - began);
                tokio::time::sleep(MILLI * fastrand::u32(1..40)).await;
                drop(lease);
                tokio::time::sleep(MILLI * fastrand::u32(1..40)).await;
            }
            longest
        });
        let sweeping = sweep_for(&bench, Duration::from_secs(150), 0);
        let (waits, ()) = futures_util::future::join(join_all(callers), sweeping).await;
        let logins = bench.server().attempts.len();
        assert!((7..20).contains(&logins), "seed {seed}: {logins} logins");
        assert!(
            waits.iter().all(Duration::is_zero),
            "seed {seed}: {waits:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_minimum_stays_ready_and_the_rest_idles_out() {
    let bench = Bench::new("pool_max=8&pool_min_idle=2&idle_timeout=10s");
    sweep_for(&bench, Duration::from_secs(4), 2).await;
    assert_eq!(bench.server().open, 2);
    let held = join_all((0..6).map(|_| bench.checkout())).await;
    sweep_for(&bench, Duration::from_secs(4), 2).await;
    assert_eq!(bench.server().open, 8, "two more are ready");
    drop(held);
    sweep_for(&bench, Duration::from_secs(30), 2).await;
    assert_eq!(bench.server().open, 2, "not one by one for ever");
    let logins = bench.server().attempts.len();
    sweep_for(&bench, Duration::from_secs(60), 2).await;
    assert_eq!(
        bench.server().attempts.len(),
        logins,
        "what is kept is not replaced"
    );
}

#[tokio::test(start_paused = true)]
async fn the_minimum_is_opened_one_by_one() {
    let bench = Bench::new("pool_max=8&pool_min_idle=6");
    bench.server().login_time = 100 * MILLI;
    sweep_for(&bench, Duration::from_secs(3), 6).await;
    assert_eq!(bench.server().open, 6);
    assert_eq!(bench.server().most_logging_in, 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_connect_that_panics_hears_so_and_the_next_is_served() {
    let bench = Bench::new("pool_max=4&pool_max_connecting=1");
    bench.server().panics = true;
    for _ in 0..3 {
        let deadline = within(Duration::from_secs(20));
        let failure = bench.pool.checkout(0, deadline).await.unwrap_err();
        assert_eq!(failure.fault, Fault::Other);
        assert!(
            failure.error.to_string().contains("was ended"),
            "{failure:?}"
        );
        assert!(time::remaining(deadline) > Duration::from_secs(15));
    }
    bench.server().panics = false;
    let leases: Vec<_> = join_all((0..4).map(|_| bench.checkout())).await;
    assert_eq!(leases.len(), 4);
}

#[test]
fn a_pool_whose_runtime_has_ended_refuses_its_callers() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let first = runtime();
    let bench = first.block_on(async { Bench::new("pool_max=4") });
    let held = first.block_on(bench.checkout());
    drop(first);
    runtime().block_on(async {
        let failure = bench.pool.checkout(0, within(Duration::from_secs(20)));
        let failure = failure.await.unwrap_err();
        assert!(failure.error.to_string().contains("runtime"), "{failure:?}");
        held.client().break_it();
        drop(held);
    });
}

/// Sweeps as the handle does, until something has come about.
async fn sweep_until(bench: &Bench, mut is_done: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if is_done() {
            return;
        }
        tokio::time::sleep(100 * MILLI).await;
        bench.pool.sweep(0);
    }
    panic!("it never came");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_back_gives_way_to_its_successor() {
    let bench = Bench::new("pool_max=4&max_lifetime=20s");
    let ends_soon = bench.checkout().await;
    tokio::time::sleep(Duration::from_secs(17)).await;
    drop(ends_soon);
    settle().await;
    let connections = || {
        let server = bench.server();
        (server.opened, server.open)
    };
    assert_eq!(connections(), (2, 2));
    drop(bench.checkout().await);
    assert_eq!(connections(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_successor_whose_login_failed_is_asked_for_again() {
    let bench = Bench::new("pool_max=4&max_lifetime=20s");
    drop(bench.checkout().await);
    bench.server().refuses = true;
    sweep_until(&bench, || bench.server().attempts.len() > 1).await;
    settle().await;
    bench.server().refuses = false;
    assert_eq!(bench.server().open, 1, "it has not ended yet");
    sweep_until(&bench, || bench.server().opened > 1).await;
    assert_eq!(bench.server().most_open, 2, "before it ended");
}

#[derive(Debug, Clone)]
enum Step {
    Arrive {
        patience: u64,
        use_for: u64,
        breaks: bool,
    },
    Pass(u64),
    Refuse(bool),
    Silence(bool),
    Capacity(usize),
    Generation,
    Restart,
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..300_u64, 0..80_u64, any::<bool>())
            .prop_map(|(patience, use_for, breaks)| Step::Arrive { patience, use_for, breaks }),
        6 => (0..150_u64).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Refuse),
        1 => any::<bool>().prop_map(Step::Silence),
        1 => (0..6_usize).prop_map(Step::Capacity),
        1 => Just(Step::Generation),
        1 => Just(Step::Restart),
        1 => Just(Step::Sweep),
    ]
}

/// As the handle does: a connect that was begun before may still fail.
async fn persist(bench: &Bench, deadline: Instant) -> Result<Lease<Told>, Failure> {
    loop {
        match bench.pool.checkout(0, deadline).await {
            Err(_) if time::remaining(deadline) > Duration::ZERO => {}
            answer => return answer,
        }
    }
}

/// How many connections there were.
async fn run(steps: Vec<Step>) -> Result<usize, TestCaseError> {
    let bench = Bench::new("pool_max=4&connect_timeout=200ms");
    bench.server().login_time = 7 * MILLI;
    let mut calls = FuturesUnordered::new();
    for step in steps {
        match step {
            Step::Arrive {
                patience,
                use_for,
                breaks,
            } => {
                let pool = Arc::clone(&bench.pool);
                calls.push(Box::pin(async move {
                    let patience = Duration::from_millis(patience);
                    let asked = pool.checkout(0, within(patience * 2));
                    if let Ok(Ok(lease)) = tokio::time::timeout(patience, asked).await {
                        tokio::time::sleep(Duration::from_millis(use_for)).await;
                        if breaks {
                            lease.client().break_it();
                        }
                    }
                }));
            }
            Step::Pass(millis) => {
                let pass = tokio::time::sleep(Duration::from_millis(millis));
                tokio::pin!(pass);
                loop {
                    tokio::select! {
                        biased;
                        Some(()) = calls.next(), if !calls.is_empty() => {}
                        () = &mut pass => break,
                    }
                }
            }
            Step::Refuse(refuses) => bench.server().refuses = refuses,
            Step::Silence(is_silent) => bench.server().is_silent = is_silent,
            Step::Capacity(capacity) => bench.server().capacity = capacity,
            Step::Generation => {
                let next = bench.pool.member().generation().next();
                bench.pool.begin_generation(next, Some("a step"));
            }
            Step::Restart => {
                let next = bench.pool.member().generation().next();
                bench.pool.begin_generation(next, None);
            }
            Step::Sweep => bench.pool.sweep(1),
        }
        prop_assert!(bench.server().open <= 4, "{:?}", bench.server());
        prop_assert!(bench.server().logging_in <= 8);
    }
    while calls.next().await.is_some() {}
    {
        let mut server = bench.server();
        server.refuses = false;
        server.is_silent = false;
        server.capacity = usize::MAX;
    }
    let deadline = within(Duration::from_secs(20));
    // Nothing was lost on the way: all places can be had, and no more.
    let all = join_all((0..4).map(|_| persist(&bench, deadline))).await;
    let failures: Vec<_> = all.iter().filter_map(|it| it.as_ref().err()).collect();
    prop_assert!(failures.is_empty(), "{failures:?}");
    prop_assert!(bench.server().open <= 4, "{:?}", bench.server());
    let fifth = bench.pool.checkout(0, within(MILLI)).await;
    prop_assert!(fifth.is_err());
    // Some come back to a pool that is there, others to one that is closed.
    let mut all = all;
    all.truncate(2);
    bench.pool.close();
    drop(all);
    prop_assert_eq!(bench.server().open, 0);
    Ok(bench.server().opened)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Callers come, wait, give up and break things while the server refuses, fills up, falls
    /// silent and restarts. Each connection is told to have ended once.
    #[test]
    fn no_history_loses_a_place_or_opens_too_many(steps in prop::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let recorder = PrometheusBuilder::new().build_recorder();
        let ran = || runtime.block_on(run(steps));
        let opened = metrics::with_local_recorder(&recorder, ran)?;
        let told = told_ends(&recorder.handle());
        prop_assert_eq!(told.values().sum::<usize>(), opened, "{:?}", told);
    }
}
