//! From a fault to the next writer, phase by phase.

use super::*;

#[test]
fn a_new_cluster_has_one_writer_and_all_instances_accept() {
    let stage = Stage::new(EngineKind::MySql, 2, 1);
    assert_eq!(stage.writer(), Some(id(1)));
    assert!((1..=3).all(|number| stage.accepts(number)));
    assert_eq!(stage.records.writer, Some(id(1)));
    assert_eq!(stage.records.readers, [id(2), id(3)]);
    assert_eq!(stage.believes(3), (names(&[1]), names(&[2, 3])));
    assert_eq!(stage.world.next_event(), None);
}

#[test]
fn a_crash_of_the_writer_runs_through_its_phases_on_mysql() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    stage.at(ms(1000)).crash(1);
    assert_eq!(stage.endings, [(id(1), Ending::Reset)]);
    assert!(!stage.accepts(1) && stage.accepts(2));
    assert_eq!(stage.writer(), None);
    assert!(stage.world.is_failing_over());

    stage.at(ms(1099));
    assert!(stage.accepts(2), "the crash is not noticed yet");
    stage.at(ms(1100));
    assert!(!stage.accepts(2), "the successor restarts its engine");
    assert_eq!(stage.endings.last(), Some(&(id(2), Ending::Reset)));

    stage.at(ms(1299));
    assert!(stage.listening.is_empty(), "MySQL refuses to the end");
    stage.at(ms(1300));
    assert_eq!(stage.writer(), Some(id(2)));
    assert_eq!(stage.promotions, [(id(2), 1, ms(1000))]);
    assert_eq!(stage.records.writer, Some(id(1)), "the DNS is stale");

    stage.at(ms(1600));
    assert_eq!(stage.records.writer, Some(id(2)));
    stage.at(ms(1699));
    assert!(!stage.accepts(1));
    stage.at(ms(1700));
    assert!(stage.accepts(1), "the old writer is back");
    assert_eq!(stage.writer(), Some(id(2)), "as a reader");
    stage.at(ms(3000));
    assert_eq!(stage.records.readers, [id(1)]);
    assert_eq!(
        stage.event_ids(),
        [
            "RDS-EVENT-0073",
            "RDS-EVENT-0006",
            "RDS-EVENT-0006",
            "RDS-EVENT-0071"
        ]
    );
    assert_eq!(stage.world.next_event(), None);
}

#[test]
fn postgres_accepts_sockets_but_no_logins_at_the_end_of_a_boot() {
    let mut stage = Stage::new(EngineKind::Postgres, 1, 1);
    stage.crash(1).at(ms(239));
    assert_eq!(stage.listening.get(&id(2)), None);
    stage.at(ms(240));
    assert_eq!(stage.listening.get(&id(2)), Some(&false));
    assert_eq!(stage.writer(), None);
    stage.at(ms(300));
    assert!(stage.accepts(2));
    assert_eq!(stage.writer(), Some(id(2)));
}

#[test]
fn a_planned_failover_drains_and_says_goodbye() {
    let mut stage = Stage::new(EngineKind::Postgres, 2, 1);
    stage
        .order(Command::Failover(Some(id(3))))
        .expect("accepted");
    stage.at(ms(49));
    assert_eq!(stage.writer(), Some(id(1)), "writes go on in the drain");
    assert!(stage.endings.is_empty());
    stage.at(ms(50));
    assert_eq!(
        stage.endings,
        [(id(1), Ending::Goodbye), (id(3), Ending::Goodbye)]
    );
    assert!(stage.accepts(2), "the other reader keeps its connections");
    stage.at(ms(250));
    assert_eq!(stage.writer(), Some(id(3)));
    assert_eq!(stage.promotions, [(id(3), 1, Duration::ZERO)]);
    stage.at(ms(2000));
    assert!(stage.accepts(1));
    assert_eq!(stage.records.writer, Some(id(3)));
    assert_eq!(stage.records.readers, [id(1), id(2)]);
}

#[test]
fn the_lowest_tier_is_promoted() {
    let tier = |number| [0, 0, 5, 2, 9][number];
    let mut stage = Stage::with(EngineKind::MySql, 3, 4, steady(), tier);
    stage.crash(1).at(ms(500));
    assert_eq!(stage.writer(), Some(id(3)));
}

#[test]
fn among_equal_tiers_the_seed_chooses() {
    let promoted = |seed| {
        let mut stage = Stage::new(EngineKind::MySql, 3, seed);
        stage.crash(1).at(ms(500));
        stage.writer().expect("a writer")
    };
    let chosen: std::collections::BTreeSet<InstanceId> = (0..40).map(promoted).collect();
    assert_eq!(chosen.len(), 3, "each reader is chosen by some seed");
    assert_eq!(promoted(11), promoted(11));
}

#[test]
fn a_reader_that_is_down_is_not_promoted() {
    let tier = |number| if number == 2 { 0 } else { 1 };
    let mut stage = Stage::with(EngineKind::MySql, 2, 1, steady(), tier);
    stage.crash(2).crash(1).at(ms(1000));
    assert_eq!(stage.writer(), Some(id(3)));
}

#[test]
fn without_a_reader_the_same_writer_comes_back_and_the_epoch_stays() {
    let mut stage = Stage::new(EngineKind::Postgres, 0, 1);
    stage.crash(1).at(ms(399));
    assert_eq!(stage.writer(), None);
    stage.at(ms(400));
    assert_eq!(stage.writer(), Some(id(1)));
    assert_eq!(stage.world.epoch(), 0);
    assert!(stage.promotions.is_empty());
    assert!(!stage.world.is_failing_over());
    assert!(stage.event_ids().contains(&"RDS-EVENT-0070"));
}

#[test]
fn a_reader_that_crashes_restarts_and_the_writer_does_not_notice() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    let before = stage.row(1, 2).expect("a row").session_id;
    stage.crash(2);
    assert_eq!(stage.writer(), Some(id(1)));
    stage.at(ms(200));
    assert_eq!(stage.records.readers, [id(3)], "the health check found it");
    stage.at(ms(299));
    assert!(!stage.accepts(2));
    stage.at(ms(600));
    assert!(stage.accepts(2));
    assert_eq!(stage.records.readers, [id(2), id(3)]);
    let after = stage.row(1, 2).expect("a row").session_id;
    assert_ne!(before, after, "a new boot has a new session id");
}

#[test]
fn a_restart_keeps_the_role() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    stage.order(Command::Restart(id(1))).expect("accepted");
    assert_eq!(stage.writer(), None);
    assert_eq!(stage.endings, [(id(1), Ending::Goodbye)]);
    stage.at(ms(300));
    assert_eq!(stage.writer(), Some(id(1)));
    assert_eq!(stage.world.epoch(), 0);
    stage.at(ms(320));
    assert_eq!(stage.believes(2), (names(&[1]), names(&[2])));
}

#[test]
fn a_successor_that_crashes_before_it_is_up_is_replaced() {
    let mut stage = Stage::new(EngineKind::MySql, 2, 1);
    stage.crash(1).at(ms(150));
    let first = (2..=3)
        .find(|number| !stage.accepts(*number))
        .expect("one is being promoted");
    stage.crash(first).at(ms(1000));
    let other = 5 - first;
    assert_eq!(stage.writer(), Some(id(other)));
    assert_eq!(stage.promotions.len(), 1);
    stage.at(ms(3000));
    assert!(stage.accepts(first) && stage.accepts(1));
}

#[test]
fn a_crash_in_the_drain_of_a_planned_failover_wins() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    stage.order(Command::Failover(None)).expect("accepted");
    stage.at(ms(20)).crash(1);
    stage.at(ms(319));
    assert_eq!(stage.writer(), None);
    stage.at(ms(320));
    assert_eq!(stage.promotions, [(id(2), 1, ms(20))]);
}

#[test]
fn a_planned_failover_whose_only_reader_dies_is_called_off() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    stage.order(Command::Failover(None)).expect("accepted");
    stage.at(ms(10)).crash(2).at(ms(2000));
    assert_eq!(stage.writer(), Some(id(1)));
    assert!(stage.event_ids().contains(&"RDS-EVENT-0069"));
    assert!(!stage.world.is_failing_over());
}

#[test]
fn a_fenced_old_writer_keeps_its_sockets_in_silence_until_it_restarts() {
    let mut timeline = steady();
    timeline.fenced_hold = ms(400);
    let mut stage = Stage::with(EngineKind::MySql, 1, 1, timeline, |_| DEFAULT_TIER);
    stage.order(Command::Failover(None)).expect("accepted");
    stage.at(ms(50));
    assert_eq!(stage.writer(), None, "it is fenced");
    assert_eq!(stage.endings[0], (id(1), Ending::Silence));
    assert!(stage.accepts(1), "its port is open");
    stage.at(ms(250));
    assert_eq!(stage.writer(), Some(id(2)), "the new writer is up first");
    stage.at(ms(449));
    assert!(stage.accepts(1));
    stage.at(ms(450));
    assert_eq!(stage.endings.last(), Some(&(id(1), Ending::Reset)));
    assert!(!stage.accepts(1));
    stage.at(ms(750));
    assert!(stage.accepts(1), "back as a reader");
    assert_eq!(stage.writer(), Some(id(2)));
}

#[test]
fn readers_that_do_not_survive_their_writer_restart_with_it() {
    for command in [
        Command::Crash(id(1)),
        Command::Failover(Some(id(2))),
        Command::Restart(id(1)),
        Command::Remove(id(1)),
    ] {
        let mut timeline = steady();
        timeline.survivable_readers = false;
        let mut stage = Stage::with(EngineKind::Postgres, 2, 1, timeline, |_| DEFAULT_TIER);
        stage.order(command.clone()).expect("accepted");
        stage.at(ms(60));
        assert!(
            !stage.accepts(2) && !stage.accepts(3),
            "{command:?}: both readers are down"
        );
        while stage.writer().is_none() {
            assert!(!stage.accepts(2) && !stage.accepts(3), "{command:?}");
            stage.at(stage.now + ms(10));
        }
        stage.at(ms(3000));
        assert!(
            stage.accepts(2) && stage.accepts(3),
            "{command:?}: they are back after it"
        );
    }
}

#[test]
fn a_promotion_tier_can_be_changed() {
    let mut stage = Stage::new(EngineKind::MySql, 3, 1);
    stage.order(Command::SetTier(id(4), 0)).expect("accepted");
    assert_eq!(stage.world.tier(&id(4)), Some(0));
    stage.crash(1).at(ms(500));
    assert_eq!(stage.writer(), Some(id(4)));
    assert_eq!(
        stage.order(Command::SetTier(id(4), 16)),
        Err(Refusal::NoSuchTier(16))
    );
}

#[test]
fn operations_that_do_not_fit_are_refused_with_a_reason() {
    let mut stage = Stage::new(EngineKind::MySql, 1, 1);
    let nobody = InstanceId::new("nobody");
    for command in [
        Command::Crash(nobody.clone()),
        Command::Restart(nobody.clone()),
        Command::Remove(nobody.clone()),
        Command::Failover(Some(nobody.clone())),
    ] {
        assert_eq!(stage.order(command), Err(Refusal::Unknown(nobody.clone())));
    }
    assert_eq!(
        stage.order(Command::Failover(Some(id(1)))),
        Err(Refusal::AlreadyWriter(id(1)))
    );
    stage.crash(1);
    assert_eq!(
        stage.order(Command::Crash(id(1))),
        Err(Refusal::NotRunning(id(1), InstanceState::Refusing))
    );
    assert_eq!(
        stage.order(Command::Failover(None)),
        Err(Refusal::FailoverInProgress)
    );
    let mut alone = Stage::new(EngineKind::MySql, 0, 1);
    assert_eq!(alone.order(Command::Failover(None)), Err(Refusal::NoReader));
    assert_eq!(
        alone.order(Command::Remove(id(1))),
        Err(Refusal::LastInstance(id(1)))
    );
}
