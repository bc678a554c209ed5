//! The lengths of the phases.

use super::*;

#[test]
fn the_published_timelines_take_their_published_seconds() {
    let outage = |engine, timeline, expected: std::ops::RangeInclusive<u64>| {
        let mut stage = Stage::with(engine, 1, 3, timeline, |_| DEFAULT_TIER);
        stage.order(Command::Failover(None)).expect("accepted");
        let step = ms(100);
        while stage.writer().is_some() {
            stage.at(stage.now + step);
        }
        let cut = stage.now;
        while stage.writer().is_none() {
            stage.at(stage.now + step);
        }
        let gap = (stage.now - cut).as_secs();
        assert!(expected.contains(&gap), "{engine}: {gap} s");
        stage.at(Duration::from_secs(120));
        assert_eq!(stage.records.writer, Some(id(2)));
        assert_eq!(stage.believes(1), (names(&[2]), names(&[1])));
    };
    outage(EngineKind::Postgres, Timeline::aurora_postgres(), 6..=8);
    outage(EngineKind::MySql, Timeline::aurora_mysql(), 5..=7);
}

#[test]
fn on_aurora_postgres_the_old_writer_may_be_back_before_the_new_one() {
    let engine = EngineKind::Postgres;
    let mut stage = Stage::with(engine, 1, 3, Timeline::aurora_postgres(), |_| DEFAULT_TIER);
    stage.order(Command::Failover(None)).expect("accepted");
    stage.at(ms(11_500));
    assert!(stage.accepts(1));
    assert_eq!(stage.writer(), None, "and nobody takes writes");
}

#[test]
fn scaling_scales_every_length_and_survives_odd_factors() {
    let half = Timeline::fast().scaled(0.5);
    assert_eq!(half.detection, ms(50));
    assert_eq!(half.views.one_row, ms(50));
    assert_eq!(Timeline::fast().scaled(-1.0).drain, Duration::ZERO);
    assert_eq!(Timeline::fast().scaled(f64::NAN).drain, Duration::ZERO);
    let endless = Timeline::fast().scaled(f64::MAX);
    let mut stage = Stage::with(EngineKind::MySql, 1, 1, endless, |_| DEFAULT_TIER);
    stage.crash(1).at(Duration::from_secs(1_000_000));
    assert_eq!(stage.writer(), None);
}
