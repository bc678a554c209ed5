//! The gate, as examples and as properties over whole histories.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    Ended, FIRST_RETRY_DELAY, FRESH_FAILURE_PERIOD, FULL_DELAY_MAX, Gate, RETRY_DELAY_MAX, Verdict,
};
use crate::rng::Rng;
use crate::time::{self, Instant};

struct Bench {
    gate: Gate,
    rng: Rng,
    now: Instant,
}

impl Bench {
    fn new(widest: usize) -> Self {
        Self {
            gate: Gate::new(widest),
            rng: Rng::seeded(7),
            now: time::now(),
        }
    }

    fn verdict(&self, open: usize) -> Verdict {
        self.gate.verdict(open, self.now)
    }

    /// One attempt from begin to end.
    fn attempt(&mut self, how: Ended, open: usize) {
        let attempt = self.gate.begin();
        self.gate.ended(attempt, how, open, self.now, &mut self.rng);
    }

    /// How long the gate holds everybody up; zero when it does not.
    fn delay(&self, open: usize) -> Duration {
        match self.verdict(open) {
            Verdict::Later(at) => at - self.now,
            Verdict::Begin | Verdict::AfterAnother => Duration::ZERO,
        }
    }
}

#[test]
fn as_many_logins_as_the_gate_is_wide_are_under_way() {
    let mut bench = Bench::new(3);
    for _ in 0..3 {
        assert_eq!(bench.verdict(0), Verdict::Begin);
        bench.gate.begin();
    }
    assert_eq!(bench.verdict(0), Verdict::AfterAnother);
}

#[test]
fn delays_double_from_failure_to_failure_up_to_a_limit() {
    let mut bench = Bench::new(8);
    let mut expected = FIRST_RETRY_DELAY;
    for _ in 0..20 {
        bench.attempt(Ended::Failed, 0);
        let delay = bench.delay(0);
        assert!(
            delay >= expected.mul_f64(0.5) && delay <= expected,
            "{delay:?}"
        );
        bench.now += delay;
        assert_eq!(bench.verdict(0), Verdict::Begin);
        expected = (expected * 2).min(RETRY_DELAY_MAX);
    }
    bench.attempt(Ended::Opened, 1);
    assert_eq!(bench.verdict(1), Verdict::Begin, "a success ends the delay");
}

#[test]
fn attempts_that_fail_together_count_as_one_failure() {
    let mut bench = Bench::new(8);
    let together: Vec<_> = (0..8).map(|_| bench.gate.begin()).collect();
    for attempt in together {
        bench
            .gate
            .ended(attempt, Ended::Failed, 0, bench.now, &mut bench.rng);
    }
    assert!(bench.delay(0) <= FIRST_RETRY_DELAY);
}

#[test]
fn the_first_login_of_before_says_nothing_of_a_new_generation() {
    let mut bench = Bench::new(8);
    let before = bench.gate.begin();
    bench.gate.reset();
    let (how, now) = (Ended::Failed, bench.now);
    bench.gate.ended(before, how, 0, now, &mut bench.rng);
    assert_eq!(bench.verdict(0), Verdict::Begin);
}

#[test]
fn after_a_failure_one_login_is_tried_at_a_time() {
    let mut bench = Bench::new(8);
    bench.attempt(Ended::Failed, 0);
    bench.now += RETRY_DELAY_MAX;
    bench.gate.begin();
    assert_eq!(bench.verdict(0), Verdict::AfterAnother);
}

#[test]
fn a_full_server_halves_how_many_log_in_at_once() {
    let mut bench = Bench::new(8);
    bench.attempt(Ended::Full, 20);
    // Most of the twenty have gone since.
    let mut logins = 0;
    while bench.verdict(0) == Verdict::Begin {
        bench.gate.begin();
        logins += 1;
    }
    assert_eq!(logins, 4);
}

#[test]
fn what_a_full_server_allowed_is_kept_in_mind_until_the_gate_is_as_wide_as_before() {
    let mut bench = Bench::new(8);
    bench.attempt(Ended::Full, 20);
    bench.now += FULL_DELAY_MAX;
    for width in 5..8 {
        bench.attempt(Ended::Opened, 20);
        let one = bench.gate.begin();
        assert_eq!(bench.verdict(20), Verdict::AfterAnother, "{width} wide");
        let (how, now) = (Ended::Dropped, bench.now);
        bench.gate.ended(one, how, 20, now, &mut bench.rng);
    }
    bench.attempt(Ended::Opened, 20);
    bench.gate.begin();
    assert_eq!(bench.verdict(20), Verdict::Begin);
}

#[test]
fn a_full_server_is_not_asked_for_more_than_it_allowed_but_for_one_now_and_then() {
    let mut bench = Bench::new(8);
    let together: Vec<_> = (0..8).map(|_| bench.gate.begin()).collect();
    for (number, attempt) in together.into_iter().enumerate() {
        // It has room for five.
        let (how, open) = if number < 5 {
            (Ended::Opened, number + 1)
        } else {
            (Ended::Full, 5)
        };
        bench
            .gate
            .ended(attempt, how, open, bench.now, &mut bench.rng);
    }
    assert!(bench.delay(5) > Duration::ZERO);
    assert_eq!(
        bench.verdict(4),
        Verdict::Begin,
        "a place that was its own is refilled at once"
    );
    bench.now += FULL_DELAY_MAX;
    bench.gate.begin();
    assert_eq!(bench.verdict(5), Verdict::AfterAnother, "one at a time");
}

#[test]
fn a_server_that_has_room_again_is_used_to_the_full() {
    let mut bench = Bench::new(4);
    bench.attempt(Ended::Full, 3);
    bench.now += FULL_DELAY_MAX;
    for open in 3..10 {
        assert_eq!(bench.verdict(open), Verdict::Begin);
        bench.attempt(Ended::Opened, open + 1);
    }
    for _ in 0..4 {
        assert_eq!(bench.verdict(10), Verdict::Begin);
        bench.gate.begin();
    }
    assert_eq!(bench.verdict(10), Verdict::AfterAnother);
}

#[test]
fn a_new_generation_is_met_without_delay_and_old_failures_do_not_count_in_it() {
    let mut bench = Bench::new(2);
    for _ in 0..9 {
        bench.attempt(Ended::Failed, 0);
    }
    let left_over = bench.gate.begin();
    bench.gate.reset();
    assert_eq!(bench.verdict(0), Verdict::Begin);
    assert_eq!(bench.gate.in_flight(), 1, "it still knocks at the server");
    bench
        .gate
        .ended(left_over, Ended::Failed, 0, bench.now, &mut bench.rng);
    assert_eq!(bench.verdict(0), Verdict::Begin);
}

#[test]
fn a_new_generation_begins_with_one_login_and_each_that_succeeds_makes_room_for_one_more() {
    let mut bench = Bench::new(3);
    bench.gate.reset();
    for width in [1, 2, 3, 3] {
        let together: Vec<_> = (0..width)
            .map(|_| {
                assert_eq!(bench.verdict(0), Verdict::Begin);
                bench.gate.begin()
            })
            .collect();
        assert_eq!(bench.verdict(0), Verdict::AfterAnother, "{width} wide");
        for (number, attempt) in together.into_iter().enumerate() {
            let how = if number == 0 {
                Ended::Opened
            } else {
                Ended::Dropped
            };
            bench.gate.ended(attempt, how, 1, bench.now, &mut bench.rng);
        }
    }
}

#[test]
fn an_instance_that_serves_again_is_met_without_delay_unless_it_turned_somebody_away_just_now() {
    let mut bench = Bench::new(2);
    for _ in 0..9 {
        bench.attempt(Ended::Failed, 0);
    }
    let delay = bench.delay(0);
    assert!(delay > Duration::ZERO);
    bench.gate.serves_again(bench.now);
    assert_eq!(bench.delay(0), delay, "suspicion that comes and goes");
    bench.now += FRESH_FAILURE_PERIOD;
    bench.gate.serves_again(bench.now);
    bench.attempt(Ended::Failed, 0);
    assert!(bench.delay(0) <= FIRST_RETRY_DELAY, "a first failure again");
}

#[derive(Debug, Clone)]
enum Step {
    Begin,
    End(usize, Ended),
    Wait(u64),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        Just(Ended::Opened),
        Just(Ended::Failed),
        Just(Ended::Full),
        Just(Ended::Dropped),
    ];
    prop_oneof![
        4 => Just(Step::Begin),
        4 => (0..8_usize, how).prop_map(|(which, how)| Step::End(which, how)),
        2 => (0..3_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    /// Whatever happens in whatever order: never more logins than the gate is wide, never an end
    /// of all logins, and never a longer delay than the longest.
    #[test]
    fn every_history_keeps_the_bounds_and_lets_somebody_in_at_last(
        widest in 1..12_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut bench = Bench::new(widest);
        let mut under_way = Vec::new();
        let mut open = 0;
        for step in steps {
            match step {
                Step::Begin => {
                    if bench.verdict(open) == Verdict::Begin {
                        under_way.push(bench.gate.begin());
                    }
                }
                Step::End(which, how) if !under_way.is_empty() => {
                    let attempt = under_way.remove(which % under_way.len());
                    open += usize::from(how == Ended::Opened);
                    bench.gate.ended(attempt, how, open, bench.now, &mut bench.rng);
                }
                Step::End(..) => {}
                Step::Wait(millis) => bench.now += Duration::from_millis(millis),
                Step::Reset => bench.gate.reset(),
            }
            prop_assert_eq!(bench.gate.in_flight(), under_way.len());
            prop_assert!(under_way.len() <= widest);
            match bench.verdict(open) {
                Verdict::Later(at) => prop_assert!(at <= bench.now + FULL_DELAY_MAX),
                Verdict::AfterAnother => prop_assert!(!under_way.is_empty()),
                Verdict::Begin => {}
            }
        }
    }
}
