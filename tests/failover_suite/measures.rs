//! From a client's notes to the numbers of a run.

use std::collections::BTreeMap;

use crate::measure::{Notes, Truth, measure};

fn notes(lines: &[&str]) -> Notes {
    let mut notes = Notes::default();
    for line in lines {
        notes.read(line).expect("a note");
    }
    notes
}

fn applied(entries: &[(i64, &str)]) -> BTreeMap<i64, Vec<String>> {
    let mut applied = BTreeMap::<i64, Vec<String>>::new();
    for (number, instance) in entries {
        applied
            .entry(*number)
            .or_default()
            .push((*instance).to_owned());
    }
    applied
}

/// The fault at one second, the promotion at 1.3.
fn crash(entries: &[(i64, &str)]) -> Truth {
    Truth {
        fault_at: 1_000_000,
        able_at: Some(1_300_000),
        given_up_at: 2_000_000,
        applied: applied(entries),
        old_writer: "a".into(),
        promotes: true,
        ..Truth::default()
    }
}

#[test]
fn a_failover_is_measured_from_the_last_write_on_the_old_writer_to_the_first_on_the_new() {
    let notes = notes(&[
        "e 900000 instance_up a is up",
        "e 1002000 writer_suspected writer a in doubt: a connection was lost",
        "w 1 990000 990100 990500 ok",
        "w 2 999000 999100 1010000 unknown",
        "w 3 1011000 - 1012000 not-sent",
        "w 3 1012000 1303000 1304500 ok",
        "w 4 1012000 1303000 1306000 ok",
    ]);
    let run = measure(&notes, &crash(&[(1, "a"), (3, "b"), (4, "b")]));
    assert_eq!(run.added, Some(4.5));
    assert_eq!(run.gap, Some(314.0));
    assert_eq!(run.calls_ended, Some(10.0));
    assert_eq!((run.caught, run.acknowledged), (1, 3));
    assert_eq!(run.errors.len(), 2);
    let told = "writer a in doubt: a connection was lost".to_owned();
    assert_eq!(run.story, [(2.0, told)]);
    assert!(run.is_correct());
    assert_eq!(run.timeline.iter().sum::<u32>(), 3);
    assert_eq!((run.timeline[9], run.timeline[16]), (1, 2));
}

#[test]
fn a_planned_failover_catches_calls_when_the_old_writer_stops_and_not_when_it_is_told_to() {
    let notes = notes(&[
        "w 1 1049000 1049100 1050000 ok",
        "w 2 1050000 1050100 1052000 unknown",
        "w 3 1049000 1049100 1053000 unknown",
        "w 4 1060100 1060200 1061000 unknown",
        "w 5 1250000 1300100 1301000 ok",
    ]);
    let run = measure(&notes, &crash(&[(1, "a"), (5, "b")]));
    assert_eq!((run.caught, run.calls_ended), (2, Some(3.0)));
}

#[test]
fn an_answer_of_the_old_writer_that_is_taken_late_does_not_shorten_the_gap() {
    let notes = notes(&[
        "w 1 990000 990100 990500 ok",
        "w 2 990000 990100 1400000 ok",
        "w 3 990000 990100 1490500 ok",
    ]);
    let run = measure(&notes, &crash(&[(1, "a"), (2, "a"), (3, "b")]));
    assert_eq!(run.gap, Some(500.0));
}

#[test]
fn a_write_that_was_acknowledged_and_is_not_in_the_ledger_is_lost() {
    let notes = notes(&[
        "w 1 990000 990100 990500 ok",
        "w 2 990000 990100 990500 unknown",
    ]);
    let run = measure(&notes, &crash(&[]));
    assert_eq!((run.lost, run.duplicated), (1, 0));
    assert!(!run.is_correct());
}

#[test]
fn a_number_that_is_in_the_ledger_twice_is_duplicated() {
    let notes = notes(&["w 1 990000 990100 990500 ok"]);
    let run = measure(&notes, &crash(&[(1, "a"), (1, "b")]));
    assert_eq!((run.lost, run.duplicated), (0, 1));
}

#[test]
fn who_never_writes_again_has_no_gap_and_a_call_that_hangs_never_ended() {
    let notes = notes(&[
        "w 1 990000 990100 990500 ok",
        "w 2 999000 999100 - hangs",
        "w 3 999000 999100 1010000 unknown",
    ]);
    let run = measure(&notes, &crash(&[(1, "a")]));
    assert_eq!((run.added, run.gap, run.calls_ended), (None, None, None));
    assert_eq!((run.waited, run.caught), (1000.0, 2));
}

#[test]
fn the_loss_of_a_reader_is_measured_by_the_longest_pause_of_the_reads() {
    let notes = notes(&[
        "r 0 900000 900100 900500 ok",
        "r 0 999000 999100 1000500 ok",
        "r 0 1001000 1001100 1002000 unknown",
        "r 0 1001000 1001100 1020500 ok",
        "r 0 1021000 1021100 1022500 ok",
    ]);
    let truth = Truth {
        able_at: None,
        promotes: false,
        ..crash(&[])
    };
    let run = measure(&notes, &truth);
    assert_eq!((run.gap, run.added), (Some(100.0), None));
}

#[test]
fn a_cut_ends_with_the_first_answer_after_the_healing() {
    let notes = notes(&[
        "w 1 990000 990100 990500 ok",
        "w 2 999000 999100 1301000 ok",
    ]);
    let truth = Truth {
        promotes: false,
        ..crash(&[(1, "a"), (2, "a")])
    };
    let run = measure(&notes, &truth);
    assert_eq!((run.added, run.gap), (Some(1.0), Some(310.5)));
}

#[test]
fn a_line_that_is_no_note_is_refused_by_its_text() {
    let error = Notes::default().read("w 1 x").unwrap_err();
    assert!(format!("{error:#}").contains("not a note: w 1 x"));
}
