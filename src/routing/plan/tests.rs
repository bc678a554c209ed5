//! Who may be read from, as examples.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::InstanceId;
use crate::routing::eligible;
use crate::time;
use crate::topology::apply::apply;
use crate::topology::observation::{Observation, Report, Row, Way};

const MAX: Option<Duration> = Some(Duration::from_secs(10));

/// A steady cluster of the writer `w` and readers `r0`, `r1`, ... that lag so many seconds.
fn cluster(lags: &[u32]) -> Topology {
    let now = time::now();
    let micros = 1_764_000_000_000_000;
    let row = |name: String, lag: Option<u32>| Row {
        id: name.into(),
        is_writer: lag.is_none(),
        updated_micros: Some(micros),
        lag_millis: lag.map(|lag| f64::from(lag) * 1_000.0),
    };
    let mut rows = vec![row("w".into(), None)];
    let readers = lags.iter().enumerate();
    rows.extend(readers.map(|(number, lag)| row(format!("r{number}"), Some(*lag))));
    let mut topology = Topology::empty();
    // The writer last: only what it says of others' lag counts.
    for identity in rows.iter().rev().map(|row| row.id.clone()) {
        let report = Report {
            is_writer: identity == "w".into(),
            identity,
            asked_at: now,
            server_now_micros: micros,
            way: Way::New,
            rows: rows.clone(),
        };
        topology = apply(&topology, &Observation::Report(report), now).next;
    }
    topology
}

fn members(names: &[&str]) -> Scope {
    Scope::Members(Arc::new(names.iter().map(InstanceId::new).collect()))
}

/// Where reads go, and to which readers.
fn planned(lags: &[u32], scope: &Scope, when_none: WhenNone) -> (Reads, Vec<String>) {
    let topology = cluster(lags);
    let nobody = BTreeSet::new();
    let eligible: Vec<_> = eligible(&topology, MAX, &nobody).collect();
    let plan = plan(&topology, &eligible, scope, when_none);
    let names = plan.readers.iter().map(|reader| reader.id().to_string());
    (plan.reads, names.collect())
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn reads_go_to_the_members_while_there_are_some() {
    for when_none in [WhenNone::Member, WhenNone::Readers, WhenNone::Fail] {
        let found = planned(&[0, 3, 30], &Scope::Everywhere, when_none);
        assert_eq!(found, (Reads::Members, vec!["r0".into(), "r1".into()]));
        let found = planned(&[0, 3, 30], &members(&["r1", "w"]), when_none);
        assert_eq!(found, (Reads::Members, vec!["r1".into()]));
    }
}

#[test]
fn without_a_member_each_rule_leads_where_it_says() {
    let only = members(&["r2"]);
    let found = |rule| planned(&[0, 3, 30], &only, rule);
    assert_eq!(found(WhenNone::Member), (Reads::Nobody, none()));
    assert_eq!(found(WhenNone::Wait), (Reads::Nobody, none()));
    assert_eq!(found(WhenNone::Fail), (Reads::Refused, none()));
    assert_eq!(found(WhenNone::Writer), (Reads::WriterForLag, none()));
    let others = vec!["r0".into(), "r1".into()];
    assert_eq!(found(WhenNone::Readers), (Reads::Others, others));
    let unknown = Scope::Nowhere("no answer".into());
    let found = planned(&[0], &unknown, WhenNone::Writer);
    assert_eq!(found, (Reads::Writer, none()));
}

#[test]
fn where_all_lag_the_rule_says_who_is_read_from() {
    let found = |rule| planned(&[40, 20, 30], &Scope::Everywhere, rule);
    assert_eq!(found(WhenNone::Member), (Reads::WriterForLag, none()));
    assert_eq!(found(WhenNone::Readers), (Reads::Others, vec!["r1".into()]));
    assert_eq!(found(WhenNone::Wait), (Reads::Nobody, none()));
    let member = planned(&[40, 20, 30], &members(&["r2"]), WhenNone::Readers);
    assert_eq!(member, (Reads::Others, vec!["r2".into()]), "a member first");
}

#[test]
fn without_any_reader_reads_go_to_the_writer_unless_they_are_confined() {
    for rule in [WhenNone::Member, WhenNone::Writer, WhenNone::Readers] {
        assert_eq!(planned(&[], &Scope::Everywhere, rule).0, Reads::Writer);
    }
    assert_eq!(
        planned(&[], &members(&["w"]), WhenNone::Member).0,
        Reads::Writer
    );
    assert_eq!(
        planned(&[], &members(&["r0"]), WhenNone::Member).0,
        Reads::Nobody
    );
}

#[test]
fn before_anything_is_known_nobody_is_refused() {
    let nothing = Topology::empty();
    let plan = plan(&nothing, &[], &Scope::Everywhere, WhenNone::Fail);
    assert_eq!(plan.reads, Reads::Nobody);
}

#[test]
fn a_reader_leaves_above_the_bound_and_comes_back_at_four_fifths_of_it() {
    let mut lagging = BTreeSet::new();
    let mut served = Vec::new();
    for lag in [10, 11, 10, 9, 8, 9, 10, 11] {
        let topology = cluster(&[lag]);
        let serves = eligible(&topology, MAX, &lagging).count() == 1;
        lagging = match serves {
            true => BTreeSet::new(),
            false => ["r0".into()].into(),
        };
        served.push(serves);
    }
    let expected = [true, false, false, false, true, true, true, false];
    assert_eq!(served, expected);
}

proptest! {
    #[test]
    fn no_rule_but_that_for_other_readers_leads_to_one_that_lags_too_much(
        lags in prop::collection::vec(0..60_u32, 0..6),
        member in 0..6_usize,
        rule in prop::sample::select(vec![
            WhenNone::Member, WhenNone::Writer, WhenNone::Wait, WhenNone::Fail, WhenNone::Readers,
        ]),
    ) {
        let scope = members(&[&format!("r{member}")]);
        let (reads, readers) = planned(&lags, &scope, rule);
        let lag_of = |name: &String| lags[name[1..].parse::<usize>().unwrap()];
        prop_assert!(rule == WhenNone::Readers || readers.iter().all(|name| lag_of(name) <= 10));
        // At most one reader that lags, and only where no other is there.
        let lagging = readers.iter().filter(|name| lag_of(name) > 10).count();
        prop_assert!(lagging == 0 || (readers.len() == 1 && lags.iter().all(|lag| *lag > 10)));
        let has_readers = matches!(reads, Reads::Members | Reads::Others);
        prop_assert_eq!(has_readers, !readers.is_empty());
    }
}
