//! The replica-status table, and what each instance believes of it.

use super::*;

#[test]
fn timestamps_have_fractions_on_mysql_and_advance_once_a_second() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    let seen = |stage: &Stage| stage.row(1, 2).and_then(|row| row.last_update_micros);
    stage.at(ms(990));
    assert_eq!(seen(&stage), Some(EPOCH_MICROS));
    stage.at(ms(1010));
    assert_eq!(seen(&stage), Some(EPOCH_MICROS + 1_000_000));
    assert_eq!(
        stage.row(1, 1).and_then(|row| row.lag_millis),
        Some(0.0),
        "MySQL's writer has a lag of 0"
    );
}

#[test]
fn timestamps_are_whole_seconds_on_postgres_and_null_for_the_one_that_is_asked() {
    let mut stage = Stage::new(EngineKind::Postgres, 2, 1);
    stage.at(ms(1900));
    let rows = stage.rows(2);
    let stamps: Vec<Option<i64>> = rows.iter().map(|row| row.last_update_micros).collect();
    let whole = EPOCH_MICROS - 250_000 + 1_000_000;
    assert_eq!(stamps, [Some(whole), None, Some(whole)]);
    assert_eq!(rows[0].lag_millis, None, "PostgreSQL's writer has no lag");
    assert!(rows[1].lag_millis.is_some_and(|lag| lag < 100.0));
    assert_eq!(rows[0].read_lsn, None);
    assert!(rows[1].read_lsn.is_some());
}

#[test]
fn the_new_writer_shows_itself_alone_then_two_writers_then_the_truth() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    stage
        .order(Command::Failover(Some(id(2))))
        .expect("accepted");
    stage.at(ms(250));
    assert_eq!(stage.believes(2), (names(&[2]), vec![]), "one row");
    stage.at(ms(350));
    assert_eq!(stage.believes(2), (names(&[1, 2]), names(&[3])));
    let stamp = |of| stage.row(2, of).and_then(|row| row.last_update_micros);
    assert!(
        stamp(1) < stamp(2),
        "the newest writer's row is the true one"
    );
    stage.at(ms(500));
    assert_eq!(stage.believes(2), (names(&[2]), names(&[3])));
    stage.at(ms(800));
    assert_eq!(stage.believes(2), (names(&[2]), names(&[1, 3])));
}

#[test]
fn a_surviving_reader_names_the_old_writer_for_a_while() {
    let mut timeline = steady();
    timeline.views.stale_readers = ms(1000);
    let mut caught_up = Vec::new();
    for seed in 0..20 {
        let mut stage = Stage::with(EngineKind::MySql, 2, seed, timeline.clone(), |_| {
            DEFAULT_TIER
        });
        stage
            .order(Command::Failover(Some(id(2))))
            .expect("accepted");
        stage.at(ms(300));
        assert_eq!(stage.believes(3).0, names(&[1]));
        while stage.believes(3).0 == names(&[1]) {
            stage.at(stage.now + ms(10));
        }
        caught_up.push(stage.now);
    }
    assert!(caught_up.iter().all(|at| *at <= ms(250 + 100 + 1000 + 20)));
    caught_up.sort();
    caught_up.dedup();
    assert!(caught_up.len() > 5, "the seeds differ");
}

#[test]
fn the_returning_old_writer_still_calls_itself_writer_in_its_table() {
    let mut stage = Stage::new(EngineKind::Postgres, 1, 1);
    stage.crash(1).at(ms(700));
    assert!(stage.accepts(1));
    assert_eq!(stage.believes(1).0, names(&[1]), "its copy is stale");
    assert_eq!(stage.writer(), Some(id(2)));
    stage.at(ms(860));
    assert_eq!(stage.believes(1), (names(&[2]), names(&[1])));
}

#[test]
fn a_copy_does_not_change_while_there_is_no_writer() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    stage.at(ms(900)).crash(1);
    let before = stage.rows(2);
    let mut slow = stage;
    slow.at(ms(999));
    assert_eq!(slow.rows(2), before);
}

#[test]
fn zero_lengths_switch_the_anomalies_off() {
    let mut timeline = steady();
    timeline.views.one_row = Duration::ZERO;
    timeline.views.two_writers = Duration::ZERO;
    timeline.views.stale_old_writer = Duration::ZERO;
    timeline.views.propagation = Duration::ZERO;
    let mut stage = Stage::with(EngineKind::MySql, 2, 1, timeline, |_| DEFAULT_TIER);
    stage
        .order(Command::Failover(Some(id(2))))
        .expect("accepted");
    stage.at(ms(250));
    assert_eq!(stage.believes(2), (names(&[2]), names(&[3])));
    assert_eq!(stage.believes(3), (names(&[2]), names(&[3])));
    stage.at(ms(750));
    assert_eq!(stage.believes(1), (names(&[2]), names(&[1, 3])));
}
