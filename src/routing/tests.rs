//! Who is asked first, as examples and properties.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::time;

fn full(in_flight: usize) -> Load {
    Load {
        in_flight,
        weight: FULL_WEIGHT,
    }
}

/// Reads one after the other: nobody has any in flight when the next is routed.
fn shares(weights: &[u32], reads: usize) -> Vec<usize> {
    let mut shares = vec![0; weights.len()];
    for turn in 0..reads {
        let loads = weights.iter().map(|weight| Load {
            in_flight: 0,
            weight: *weight,
        });
        shares[best(loads, turn).unwrap()] += 1;
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
        let loads = loads.map(|(weight, in_flight)| Load {
            in_flight: *in_flight,
            weight: *weight,
        });
        let chosen = best(loads, turn).unwrap();
        in_flight[chosen] += 1;
        shares[chosen] += 1;
        running.push_back(chosen);
    }
    shares
}

#[test]
fn the_least_busy_reader_comes_first_and_equals_take_turns() {
    let loads = || [full(3), full(1), full(1)].into_iter();
    assert_eq!(best(loads(), 0), Some(1));
    assert_eq!(best(loads(), 1), Some(1));
    assert_eq!(best(loads(), 2), Some(2));
    assert_eq!(order(loads(), 2), [2, 1, 0]);
    assert_eq!(best(std::iter::empty(), 7), None);
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
        loads in prop::collection::vec((0..50_usize, 1..=100_u32), 1..16),
        turn in any::<usize>(),
    ) {
        let loads = || loads.iter().map(|(in_flight, weight)| Load {
            in_flight: *in_flight,
            weight: *weight,
        });
        let ranked = order(loads(), turn);
        prop_assert_eq!(best(loads(), turn), ranked.first().copied());
        let mut all = ranked.clone();
        all.sort_unstable();
        prop_assert_eq!(all, (0..loads().len()).collect::<Vec<_>>());
    }
}
