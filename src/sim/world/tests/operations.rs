//! Renaming, scaling and upgrading.

use super::*;

fn version_of(stage: &Stage, number: usize) -> Option<&str> {
    stage.versions.get(&id(number)).and_then(Option::as_deref)
}

#[test]
fn a_renamed_reader_has_an_outage_another_name_and_leaves_its_row_behind() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    let (old, new) = (id(2), id(9));
    stage
        .order(Command::Rename {
            old: old.clone(),
            new: new.clone(),
        })
        .expect("accepted");
    assert!(!stage.accepts(2) && !stage.accepts(9));
    assert!(!stage.records.instances.contains(&old));
    assert!(stage.records.instances.contains(&new));
    stage.at(ms(2000));
    assert!(stage.accepts(9) && !stage.accepts(2));
    assert_eq!(stage.records.readers, [id(3), id(9)]);
    assert_eq!(stage.believes(1).1, names(&[2, 3, 9]), "the old row stays");
    let dead = stage.row(1, 2).expect("a row");
    assert_eq!(dead.lag_millis, Some(900_000.0));
    assert_eq!(stage.event_ids(), ["RDS-EVENT-0004", "RDS-EVENT-0006"]);
}

#[test]
fn a_renamed_writer_is_the_writer_again_under_its_new_name() {
    let mut stage = Stage::new(EngineKind::Postgres, 1, 1);
    let (old, new) = (id(1), id(9));
    stage.order(Command::Rename { old, new }).expect("accepted");
    assert_eq!(stage.writer(), None);
    assert_eq!(stage.records.writer, Some(id(9)));
    stage.at(ms(2000));
    assert_eq!(stage.writer(), Some(id(9)));
    assert_eq!(stage.world.epoch(), 0, "nobody was promoted");
    assert!(stage.promotions.is_empty());
    assert_eq!(stage.believes(2), (names(&[9]), names(&[1, 2])));
}

#[test]
fn a_name_that_is_given_back_is_not_forgotten_with_the_old_row() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    let (one, other) = (id(2), id(9));
    for (old, new) in [(&one, &other), (&other, &one)] {
        let (old, new) = (old.clone(), new.clone());
        stage.order(Command::Rename { old, new }).expect("accepted");
        stage.at(stage.now + ms(1000));
    }
    stage.at(Duration::from_secs(26 * 3600));
    assert_eq!(stage.believes(1), (names(&[1]), names(&[2])));
}

#[test]
fn a_rename_that_does_not_fit_is_refused() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    let mut rename = |old, new| {
        let command = Command::Rename {
            old: id(old),
            new: id(new),
        };
        stage.order(command)
    };
    assert_eq!(rename(7, 8), Err(Refusal::Unknown(id(7))));
    assert_eq!(rename(1, 2), Err(Refusal::NameTaken(id(2))));
    stage.crash(1);
    let (old, new) = (id(2), id(9));
    assert_eq!(
        stage.order(Command::Rename { old, new }),
        Err(Refusal::FailoverInProgress)
    );
}

#[test]
fn scaling_adds_readers_of_the_highest_tier_and_deletes_only_those() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    assert_eq!(
        stage.order(Command::ScaleIn(1)),
        Err(Refusal::NothingToScaleIn)
    );
    stage.order(Command::ScaleOut(2)).expect("accepted");
    let scaled: Vec<InstanceId> = stage
        .world
        .instances()
        .map(|(id, ..)| id.clone())
        .filter(|id| id.as_str().starts_with("application-autoscaling-"))
        .collect();
    assert_eq!(scaled.len(), 2);
    assert!(scaled.iter().all(|id| stage.world.tier(id) == Some(15)));
    stage.at(ms(2000)).crash(1).at(ms(4000));
    assert_eq!(stage.writer(), Some(id(2)), "tier 15 comes last");

    stage.order(Command::ScaleIn(9)).expect("accepted");
    stage.at(ms(6000));
    let left: Vec<_> = stage.world.instances().map(|(id, ..)| id.clone()).collect();
    assert_eq!(left, [id(1), id(2)]);
    let deleted = stage.events.iter().filter(|it| it.id == "RDS-EVENT-0003");
    assert_eq!(deleted.count(), 2);
}

#[test]
fn scaling_beyond_fifteen_readers_adds_none() {
    let mut stage = Stage::new(EngineKind::MySql, 14, 1);
    assert_eq!(
        stage.order(Command::ScaleOut(2)),
        Err(Refusal::TooManyReaders)
    );
    assert_eq!(stage.world.instances().count(), 15);
    stage.order(Command::ScaleOut(1)).expect("accepted");
}

#[test]
fn an_upgrade_restarts_the_readers_one_by_one_and_then_the_writer() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    stage
        .order(Command::Upgrade("3.05.1".into()))
        .expect("accepted");
    let mut down = Vec::new();
    while stage.now < ms(5000) {
        let refusing: Vec<usize> = (1..=3).filter(|number| !stage.accepts(*number)).collect();
        assert!(refusing.len() <= 1, "one at a time: {refusing:?}");
        if let [number] = refusing[..]
            && down.last() != Some(&number)
        {
            down.push(number);
        }
        stage.at(stage.now + ms(10));
    }
    assert_eq!(down, [2, 3, 1]);
    for number in 1..=3 {
        assert_eq!(version_of(&stage, number), Some("3.05.1"));
    }
    assert_eq!(stage.writer(), Some(id(1)));
    assert_eq!(stage.event_ids().first(), Some(&"RDS-EVENT-0286"));
    assert_eq!(stage.event_ids().last(), Some(&"RDS-EVENT-0173"));
}

#[test]
fn an_upgrade_waits_for_a_failover_and_a_second_one_is_refused() {
    let mut stage = Stage::new(EngineKind::Postgres, 2, 1);
    let upgrade = |version: &str| Command::Upgrade(version.into());
    stage.order(upgrade("15.5.0")).expect("accepted");
    assert_eq!(
        stage.order(upgrade("15.6.0")),
        Err(Refusal::UpgradeInProgress)
    );
    stage.at(ms(100)).crash(1).at(ms(20_000));
    assert!(stage.event_ids().contains(&"RDS-EVENT-0173"));
    for number in 1..=3 {
        assert_eq!(version_of(&stage, number), Some("15.5.0"));
    }
    stage.order(upgrade("15.6.0")).expect("accepted");
}
