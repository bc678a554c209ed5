//! Instances that come and go.

use super::*;

#[test]
fn an_added_reader_is_listed_before_it_accepts() {
    let mut stage = Stage::new(EngineKind::MySql, 0, 1);
    stage.order(Command::AddReader).expect("accepted");
    assert!(stage.records.instances.contains(&id(2)));
    stage.at(ms(150));
    assert_eq!(stage.believes(1), (names(&[1]), names(&[2])));
    assert!(!stage.accepts(2));
    stage.at(ms(200));
    assert!(stage.accepts(2));
    assert_eq!(stage.records.readers, []);
    stage.at(ms(400));
    assert_eq!(stage.records.readers, [id(2)]);
    assert_eq!(stage.event_ids(), ["RDS-EVENT-0005"]);
}

#[test]
fn a_sixteenth_reader_is_refused() {
    let mut stage = Stage::new(EngineKind::MySql, 15, 1);
    assert_eq!(
        stage.order(Command::AddReader),
        Err(Refusal::TooManyReaders)
    );
}

#[test]
fn a_removed_reader_drains_and_leaves_its_row_behind() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    stage.at(ms(5000));
    stage.order(Command::Remove(id(2))).expect("accepted");
    assert!(!stage.records.instances.contains(&id(2)));
    assert_eq!(stage.records.readers, [id(3)]);
    assert!(!stage.accepts(2));
    assert!(stage.endings.is_empty(), "its connections have a grace");
    stage.at(ms(5500));
    assert_eq!(stage.endings, [(id(2), Ending::Goodbye)]);
    assert_eq!(stage.world.instances().count(), 2);

    let row = stage.row(1, 2).expect("the row lingers");
    assert_eq!(row.lag_millis, Some(900_000.0));
    assert_eq!(row.last_update_micros, Some(EPOCH_MICROS + 4_750_000));
    stage.at(ms(60_000));
    let later = stage.row(3, 2).expect("the row lingers");
    assert_eq!(later.last_update_micros, row.last_update_micros);
    stage.at(Duration::from_secs(25 * 3600));
    assert_eq!(stage.row(1, 2), None, "for a day");
}

#[test]
fn the_row_of_a_removed_reader_survives_a_failover() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    stage.order(Command::Remove(id(2))).expect("accepted");
    stage.at(ms(1000)).crash(1).at(ms(3000));
    assert_eq!(stage.writer(), Some(id(3)));
    assert!(stage.row(3, 2).is_some());
}

#[test]
fn removing_the_writer_promotes_a_reader() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    stage.order(Command::Remove(id(1))).expect("accepted");
    assert_eq!(stage.world.instances().count(), 1);
    stage.at(ms(200));
    assert_eq!(stage.writer(), Some(id(2)));
    stage.at(ms(3000));
    assert_eq!(stage.records.writer, Some(id(2)));
    assert_eq!(stage.believes(2).0, names(&[2]));
}
