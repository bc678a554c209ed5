//! Who is asked first, as examples and properties.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::observe::latency::Level;
use crate::time;

fn full(in_flight: usize) -> Load {
    Load {
        in_flight,
        weight: FULL_WEIGHT,
        latency: None,
        is_far: false,
    }
}

fn new(in_flight: usize, weight: u32) -> Load {
    Load {
        weight,
        ..full(in_flight)
    }
}

fn choose(loads: &[Load], turn: usize) -> Option<usize> {
    best(loads.len(), |position| loads[position], turn)
}

/// Reads one after the other: nobody has any in flight when the next is routed.
fn shares(weights: &[u32], reads: usize) -> Vec<usize> {
    let mut shares = vec![0; weights.len()];
    for turn in 0..reads {
        let loads: Vec<Load> = weights.iter().map(|weight| new(0, *weight)).collect();
        shares[choose(&loads, turn).unwrap()] += 1;
    }
    shares
}

/// Reads of equal length, so many at a time: each reader's share of them.
fn shares_under_load(weights: &[u32], concurrency: usize, reads: usize) -> Vec<usize> {
    let mut in_flight = vec![0; weights.len()];
    let mut shares = vec![0; weights.len()];
    let mut running = std::collections::VecDeque::new();
    for turn in 0..reads {
        if running.len() == concurrency {
            let ended: usize = running.pop_front().unwrap();
            in_flight[ended] -= 1;
        }
        let loads = weights.iter().zip(&in_flight);
        let loads: Vec<Load> = loads
            .map(|(weight, in_flight)| new(*in_flight, *weight))
            .collect();
        let chosen = choose(&loads, turn).unwrap();
        in_flight[chosen] += 1;
        shares[chosen] += 1;
        running.push_back(chosen);
    }
    shares
}

#[test]
fn the_least_busy_reader_comes_first_and_equals_take_turns() {
    let loads = [full(3), full(1), full(1)];
    assert_eq!(choose(&loads, 0), Some(1));
    assert_eq!(choose(&loads, 1), Some(1));
    assert_eq!(choose(&loads, 2), Some(2));
    assert_eq!(order(3, |position| loads[position], 2), [2, 1, 0]);
    assert_eq!(choose(&[], 7), None);
    assert_eq!(choose(&[full(9)], 7), Some(0));
    assert_eq!(shares(&[100, 100, 100], 300), [100, 100, 100]);
}

#[test]
fn a_new_reader_gets_its_weight_of_a_share_when_little_goes_on() {
    let shares = shares(&[100, 100, 10], 3_000);
    assert_eq!(shares[2], 100, "a tenth of a third: {shares:?}");
    assert!(shares[0].abs_diff(shares[1]) <= 101, "{shares:?}");
}

#[test]
fn a_new_reader_gets_no_more_than_its_weight_when_much_goes_on() {
    let even = shares_under_load(&[100, 100, 100], 60, 30_000);
    assert!(
        even.iter().all(|share| share.abs_diff(10_000) < 100),
        "{even:?}"
    );
    let shares = shares_under_load(&[100, 100, 10], 60, 30_000);
    let part = shares[2];
    assert!((1_000..3_000).contains(&part), "{shares:?}");
}

#[test]
fn the_weight_of_a_new_reader_grows_evenly_to_its_full_share() {
    let now = time::now();
    let period = Duration::from_secs(10);
    let old = Tenure::begin(std::iter::empty(), now);
    assert_eq!(old.weight(period, now), FULL_WEIGHT, "it is the first");
    let later = now + Duration::from_secs(60);
    let new = Tenure::begin([old].into_iter(), later);
    let weight = |after| new.weight(period, later + Duration::from_millis(after));
    assert_eq!([0, 5_000, 9_999, 10_000].map(weight), [10, 55, 99, 100]);
    assert_eq!(new.weight(Duration::ZERO, later), FULL_WEIGHT);
}

#[test]
fn readers_that_come_together_are_equals() {
    let now = time::now();
    let first = Tenure::begin(std::iter::empty(), now);
    let second = Tenure::begin([first].into_iter(), now + Duration::from_secs(1));
    let weight = second.weight(Duration::from_secs(10), now + Duration::from_secs(1));
    assert_eq!(weight, FULL_WEIGHT);
}

#[test]
fn a_short_doubt_does_not_make_a_reader_new() {
    let now = time::now();
    let mut tenure = Tenure::begin(std::iter::empty(), now);
    tenure.leave(now + Duration::from_secs(5));
    assert!(tenure.resume(now + Duration::from_millis(5_900)));
    tenure.leave(now + Duration::from_secs(7));
    tenure.leave(now + Duration::from_secs(8));
    assert!(!tenure.resume(now + Duration::from_millis(8_500)));
}

proptest! {
    #[test]
    fn every_reader_is_asked_at_some_time_and_the_first_is_the_best(
        loads in prop::collection::vec(load(), 1..16),
        turn in any::<usize>(),
    ) {
        let ranked = order(loads.len(), |position| loads[position], turn);
        prop_assert_eq!(choose(&loads, turn), ranked.first().copied());
        let mut all = ranked.clone();
        all.sort_unstable();
        prop_assert_eq!(all, (0..loads.len()).collect::<Vec<_>>());
    }

    /// Of two the worse one is never taken: as slow, as near and as new, but busier.
    #[test]
    fn a_reader_that_is_busier_and_no_better_is_not_preferred(
        one in load(), more in 1..50_usize, turn in any::<usize>(),
    ) {
        let busier = Load { in_flight: one.in_flight + more, ..one };
        let chosen = choose(&[one, busier], turn);
        prop_assert_eq!(chosen, Some(0));
    }
}

fn load() -> impl Strategy<Value = Load> {
    let latency = prop::option::of((1..10_000_000_u64).prop_map(Duration::from_micros));
    (0..50_usize, 1..=100_u32, latency, any::<bool>()).prop_map(
        |(in_flight, weight, latency, is_far)| Load {
            in_flight,
            weight,
            latency: latency.map(Level::of),
            is_far,
        },
    )
}

#[test]
fn a_reader_that_is_not_clearly_slower_takes_its_turn_and_one_that_is_does_not() {
    let takes = |millis| Load {
        latency: Some(Level::of(Duration::from_millis(millis))),
        ..full(0)
    };
    let shares = |other| {
        let loads = [takes(10), takes(other)];
        let chosen = (0..100).map(|turn| choose(&loads, turn).unwrap());
        chosen.filter(|position| *position == 1).count()
    };
    assert_eq!([10, 20, 24].map(shares), [50, 50, 50], "noise");
    assert_eq!([26, 100].map(shares), [0, 0]);
    // Where all are fast nobody is spared.
    let fast = |micros| Load {
        latency: Some(Level::of(Duration::from_micros(micros))),
        ..full(0)
    };
    assert_eq!(choose(&[fast(50), fast(2_000)], 1), Some(1));
}

#[test]
fn a_slow_reader_is_asked_once_the_others_are_as_much_busier() {
    let slow = Load {
        latency: Some(Level::of(Duration::from_millis(10))),
        ..full(0)
    };
    let busy = |in_flight| Load {
        latency: Some(Level::of(Duration::from_millis(1))),
        ..full(in_flight)
    };
    assert_eq!(choose(&[busy(8), slow], 1), Some(0));
    assert_eq!(choose(&[busy(10), slow], 1), Some(1));
}

#[test]
fn another_zone_gets_reads_only_while_the_own_one_is_busier_by_far() {
    let far = |in_flight| Load {
        is_far: true,
        ..full(in_flight)
    };
    for turn in 0..12 {
        let own = |loads: &[Load]| choose(loads, turn).unwrap() < 2;
        assert!(own(&[full(0), full(0), far(0), far(0)]));
        assert!(own(&[full(5), full(5), far(0), far(0)]));
        assert!(!own(&[full(6), full(6), far(0), far(0)]));
        assert!(own(&[full(5), full(9), far(0), far(0)]), "one has room");
        assert!(own(&[full(11), full(11), far(3), far(3)]));
        assert!(!own(&[full(12), full(12), far(3), far(3)]));
    }
    assert_eq!(
        choose(&[far(3), far(1)], 0),
        Some(1),
        "none in the own zone"
    );
}
