//! What one instance's answers get wrong, and only that one's.

use super::*;

fn set(stage: &mut Stage, asked: usize, anomaly: ViewAnomaly) {
    stage
        .order(Command::SetView(id(asked), anomaly))
        .expect("accepted");
}

#[test]
fn an_anomaly_is_of_one_instance_until_it_is_cleared() {
    for engine in [EngineKind::MySql, EngineKind::Postgres] {
        for anomaly in [
            ViewAnomaly::SecondWriter(id(3)),
            ViewAnomaly::NoWriter,
            ViewAnomaly::OneRow,
            ViewAnomaly::StaleClaim(id(3)),
            ViewAnomaly::Lingering(id(9)),
            ViewAnomaly::OwnTimestampNull(engine == EngineKind::MySql),
            ViewAnomaly::GarbageLag,
            ViewAnomaly::ForeignRows,
            ViewAnomaly::Propagation(ms(1500)),
        ] {
            let mut stage = Stage::new(engine, 2, 1);
            stage.at(ms(5000));
            let (honest, others) = (stage.rows(2), stage.rows(3));
            set(&mut stage, 2, anomaly.clone());
            assert_ne!(stage.rows(2), honest, "{engine}: {anomaly:?}");
            assert_eq!(stage.rows(3), others, "{engine}: {anomaly:?}");
            stage.order(Command::ClearView(id(2))).expect("accepted");
            assert_eq!(stage.rows(2), honest, "{engine}: {anomaly:?}");
        }
    }
}

#[test]
fn a_second_writer_s_row_is_older_than_the_true_one_s() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    stage.at(ms(5000));
    set(&mut stage, 2, ViewAnomaly::SecondWriter(id(3)));
    assert_eq!(stage.believes(2), (names(&[1, 3]), names(&[2])));
    let stamp = |of| stage.row(2, of).and_then(|row| row.last_update_micros);
    assert!(stamp(3) < stamp(1));
}

#[test]
fn there_may_be_no_writer_s_row_or_one_row() {
    let mut stage = Stage::new(EngineKind::Postgres, 2, 1);
    set(&mut stage, 2, ViewAnomaly::NoWriter);
    assert_eq!(stage.believes(2), (vec![], names(&[2, 3])));
    set(&mut stage, 1, ViewAnomaly::OneRow);
    assert_eq!(stage.believes(1), (names(&[1]), vec![]));
}

#[test]
fn a_stale_claim_names_another_writer_and_stays_as_it_is() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    stage.at(ms(3000));
    set(&mut stage, 2, ViewAnomaly::StaleClaim(id(3)));
    assert_eq!(stage.believes(2), (names(&[3]), names(&[1, 2])));
    let then = stage.rows(2);
    stage.at(ms(10_000)).crash(1).at(ms(20_000));
    assert_eq!(stage.rows(2), then);
}

#[test]
fn a_dead_instance_s_row_has_a_lag_of_900000_and_a_frozen_whole_second() {
    for engine in [EngineKind::MySql, EngineKind::Postgres] {
        let mut stage = Stage::new(engine, 1, 1);
        set(&mut stage, 2, ViewAnomaly::Lingering(id(9)));
        let row = stage.row(2, 9).expect("a row");
        assert_eq!(row.lag_millis, Some(900_000.0));
        assert_eq!(row.last_update_micros, Some(EPOCH_MICROS - 250_000));
        stage.at(ms(60_000));
        assert_eq!(stage.row(2, 9), Some(row));
    }
}

#[test]
fn garbage_in_the_writer_s_lag_and_the_rows_of_another_cluster_may_be_everywhere() {
    let mut timeline = steady();
    timeline.views.garbage_writer_lag = true;
    timeline.views.foreign_rows = true;
    let stage = Stage::with(EngineKind::MySql, 1, 1, timeline, |_| DEFAULT_TIER);
    for asked in [1, 2] {
        let lag = stage.row(asked, 1).and_then(|row| row.lag_millis);
        assert_eq!(lag, Some(18_446_744_949_882_880.0));
        let (writers, readers) = stage.believes(asked);
        assert_eq!(writers.len(), 2, "two MASTER_SESSION_ID rows: {writers:?}");
        assert!(readers.contains(&"previous-cluster-instance-two".to_owned()));
    }
    let foreign = stage.rows(1).into_iter().last().expect("rows");
    let whole = foreign.last_update_micros.expect("a time") % 1_000_000;
    assert_eq!(whole, 0);
}

#[test]
fn without_improved_read_availability_postgres_shows_its_own_timestamp() {
    let mut timeline = steady();
    timeline.views.own_timestamp_null = false;
    let stage = Stage::with(EngineKind::Postgres, 1, 1, timeline, |_| DEFAULT_TIER);
    for asked in [1, 2] {
        let rows = stage.rows(asked);
        assert!(rows.iter().all(|row| row.last_update_micros.is_some()));
    }
}

#[test]
fn readers_may_list_no_writer_for_a_while_after_its_loss() {
    let mut timeline = steady();
    timeline.views.no_writer = ms(90);
    let mut stage = Stage::with(EngineKind::MySql, 2, 1, timeline, |_| DEFAULT_TIER);
    stage.at(ms(1000)).crash(1);
    assert_eq!(stage.believes(3), (vec![], names(&[2, 3])));
    stage.at(ms(1090));
    assert_eq!(stage.believes(3).0, names(&[1]));
}

#[test]
fn the_delay_of_a_copy_can_differ_from_instance_to_instance() {
    let mut timeline = steady();
    timeline.views.propagation_spread = ms(1000);
    let mut stage = Stage::with(EngineKind::MySql, 3, 1, timeline, |_| DEFAULT_TIER);
    stage.at(ms(5000));
    stage.order(Command::AddReader).expect("accepted");
    stage.at(ms(5140));
    let mut heard = BTreeMap::new();
    while heard.len() < 3 {
        for asked in 2..=4 {
            if stage.row(asked, 5).is_some() {
                heard.entry(asked).or_insert(stage.now);
            }
        }
        stage.at(stage.now + ms(1));
    }
    let times: BTreeSet<Duration> = heard.into_values().collect();
    assert_eq!(times.len(), 3, "{times:?}");
}

#[test]
fn an_instance_that_does_not_exist_has_no_view_to_set_or_clear() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    let nobody = InstanceId::new("nobody");
    for command in [
        Command::SetView(nobody.clone(), ViewAnomaly::NoWriter),
        Command::ClearView(nobody.clone()),
    ] {
        assert_eq!(stage.order(command), Err(Refusal::Unknown(nobody.clone())));
    }
}
