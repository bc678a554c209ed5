//! From runs to percentiles and ratios.

use crate::measure::Run;
use crate::numbers::{Cell, Percentiles, Ratio};

fn cell(gaps: &[Option<f64>]) -> Cell {
    let runs = gaps.iter().map(|gap| Run {
        gap: *gap,
        added: gap.map(|gap| gap - 300.0),
        able_after: Some(300.0),
        waited: 10_000.0,
        ..Run::default()
    });
    Cell {
        runs: runs.collect(),
        ..Cell::default()
    }
}

#[test]
fn percentiles_are_values_that_were_measured() {
    let of = Percentiles::of((1..=200).rev().map(|value| Some(f64::from(value))));
    let of = of.expect("values");
    assert_eq!(
        (of.count, of.p50, of.p90, of.p99, of.max),
        (200, 100.0, 180.0, 198.0, 200.0)
    );
    let one = Percentiles::of([Some(7.0)]).expect("a value");
    assert_eq!((one.p50, one.p99, one.max), (7.0, 7.0, 7.0));
    assert_eq!(Percentiles::of([]), None);
}

#[test]
fn who_did_not_come_back_is_the_latest_of_all() {
    let of = cell(&[None, Some(310.0), Some(305.0)]).gap().expect("runs");
    assert_eq!((of.p50, of.max), (310.0, f64::INFINITY));
}

#[test]
fn the_typical_run_is_that_of_the_median() {
    let cell = cell(&[None, Some(330.0), Some(305.0)]);
    assert_eq!(cell.typical().and_then(|run| run.gap), Some(330.0));
    assert_eq!(Cell::default().typical(), None);
}

#[test]
fn a_ratio_says_how_many_times_as_long_it_takes() {
    let (ours, theirs) = (cell(&[Some(310.0)]), cell(&[Some(930.0)]));
    let gaps = Ratio::of_gaps(&theirs, &ours).expect("both");
    assert_eq!(gaps.to_string(), "3.0×");
    let added = Ratio::of_added(&theirs, &ours).expect("both");
    assert_eq!(added.to_string(), "63×");
}

#[test]
fn the_ratio_to_who_did_not_come_back_is_a_lower_bound() {
    let (ours, theirs) = (cell(&[Some(310.0)]), cell(&[None]));
    let added = Ratio::of_added(&theirs, &ours).expect("both");
    assert_eq!(
        added,
        Ratio {
            value: 970.0,
            at_least: true
        }
    );
    assert_eq!(added.to_string(), "≥ 970×");
    assert_eq!(Ratio::of_added(&ours, &theirs), None);
}
