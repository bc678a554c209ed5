//! The world step by step, without sockets or a clock.

use std::collections::BTreeMap;

use super::*;
use crate::sim::front::Ending;
use crate::sim::host::{MASTER_SESSION_ID, StatusRow};

const EPOCH_MICROS: i64 = 1_700_000_000_250_000;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn id(number: usize) -> InstanceId {
    InstanceId::new(format!("demo-instance-{number}"))
}

/// A world, and what has become of its instances as its effects would have it.
struct Stage {
    world: World,
    now: Duration,
    /// Who listens, and whether it accepts logins.
    listening: BTreeMap<InstanceId, bool>,
    /// All boots that may commit, never taken out but by a fence.
    may_commit: Vec<(InstanceId, u64)>,
    records: Records,
    events: Vec<ClusterEvent>,
    promotions: Vec<(InstanceId, u64, Duration)>,
    endings: Vec<(InstanceId, Ending)>,
    trace: Vec<String>,
}

impl Stage {
    fn new(engine: EngineKind, readers: usize, seed: u64) -> Self {
        Self::with(engine, readers, seed, steady(), |_| DEFAULT_TIER)
    }

    fn with(
        engine: EngineKind,
        readers: usize,
        seed: u64,
        timeline: Timeline,
        tier: impl Fn(usize) -> u8,
    ) -> Self {
        let world = World::new(WorldOptions {
            engine,
            timeline,
            seed,
            cluster_id: "demo".into(),
            epoch_micros: EPOCH_MICROS,
            placements: (1..=readers + 1)
                .map(|number| Placement {
                    id: id(number),
                    tier: tier(number),
                })
                .collect(),
        });
        let mut stage = Self {
            world,
            now: Duration::ZERO,
            listening: BTreeMap::new(),
            may_commit: Vec::new(),
            records: Records::default(),
            events: Vec::new(),
            promotions: Vec::new(),
            endings: Vec::new(),
            trace: Vec::new(),
        };
        stage.at(Duration::ZERO);
        stage
    }

    /// Goes on to a time, event by event.
    fn at(&mut self, time: Duration) -> &mut Self {
        while let Some(next) = self.world.next_event().filter(|next| *next <= time) {
            self.now = self.now.max(next);
            let effects = self.world.advance(next);
            self.carry_out(effects);
        }
        self.now = time;
        self
    }

    fn order(&mut self, command: Command) -> Result<(), Refusal> {
        let effects = self.world.handle(command, self.now)?;
        self.carry_out(effects);
        Ok(())
    }

    fn crash(&mut self, number: usize) -> &mut Self {
        self.order(Command::Crash(id(number)))
            .expect("the crash is accepted");
        self
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.trace.push(format!("{:?} {effect:?}", self.now));
            match effect {
                Effect::Fence { instance } => {
                    self.may_commit.retain(|(holder, _)| *holder != instance);
                }
                Effect::Close { instance } | Effect::Gone { instance } => {
                    self.listening.remove(&instance);
                }
                Effect::End { instance, ending } => self.endings.push((instance, ending)),
                Effect::Added { .. } => {}
                Effect::Open(opening) => {
                    if opening.may_commit {
                        self.may_commit
                            .push((opening.instance.clone(), opening.boot));
                    }
                    self.listening.insert(opening.instance, !opening.starting);
                }
                Effect::Promoted {
                    instance,
                    epoch,
                    fault_at,
                } => self.promotions.push((instance, epoch, fault_at)),
                Effect::Dns(records) => self.records = records,
                Effect::Replication { .. } => {}
                Effect::Event(event) => self.events.push(event),
            }
            assert!(
                self.may_commit.len() <= 1,
                "two boots may commit: {:?}",
                self.may_commit
            );
        }
    }

    fn accepts(&self, number: usize) -> bool {
        self.listening.get(&id(number)) == Some(&true)
    }

    fn writer(&self) -> Option<InstanceId> {
        self.may_commit.first().map(|(id, _)| id.clone())
    }

    fn rows(&self, asked: usize) -> Vec<StatusRow> {
        self.world.view(&id(asked), self.now)
    }

    /// Which instances a view calls the writer, and which it calls readers.
    fn believes(&self, asked: usize) -> (Vec<String>, Vec<String>) {
        let (writers, readers): (Vec<StatusRow>, Vec<StatusRow>) = self
            .rows(asked)
            .into_iter()
            .partition(|row| row.session_id == MASTER_SESSION_ID);
        let names = |rows: Vec<StatusRow>| rows.into_iter().map(|row| row.server_id).collect();
        (names(writers), names(readers))
    }

    fn row(&self, asked: usize, of: usize) -> Option<StatusRow> {
        let name = id(of);
        self.rows(asked)
            .into_iter()
            .find(|row| row.server_id == name.as_str())
    }

    fn event_ids(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.id).collect()
    }
}

/// The fast timeline without chance, so that steps can be told to the millisecond.
fn steady() -> Timeline {
    let mut timeline = Timeline::fast();
    timeline.promotion_jitter = Duration::ZERO;
    timeline.views.stale_readers = Duration::ZERO;
    timeline
}

fn names(numbers: &[usize]) -> Vec<String> {
    numbers
        .iter()
        .map(|number| id(*number).to_string())
        .collect()
}

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
    assert_eq!(row.last_update_micros, Some(EPOCH_MICROS + 5_000_000));
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

/// Runs seeded commands at seeded times, checking on the way.
fn mayhem(seed: u64) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let engine = [EngineKind::MySql, EngineKind::Postgres][random.usize(..2)];
    let mut stage = Stage::with(engine, random.usize(0..4), seed, Timeline::fast(), |_| {
        DEFAULT_TIER
    });
    let mut epoch = 0;
    for _ in 0..60 {
        let pause = ms(random.u64(0..400));
        stage.at(stage.now + pause);
        let target = id(random.usize(1..8));
        let command = match random.usize(..6) {
            0 | 1 => Command::Crash(target),
            2 => Command::Failover(random.bool().then_some(target)),
            3 => Command::Restart(target),
            4 => Command::AddReader,
            _ => Command::Remove(target),
        };
        // A refusal is an answer too.
        let _ = stage.order(command);
        assert!(stage.world.epoch() >= epoch, "the epoch went back");
        epoch = stage.world.epoch();
        for number in 1..8 {
            let _ = stage.rows(number);
        }
    }
    stage.at(stage.now + Duration::from_secs(10));
    assert!(stage.writer().is_some(), "seed {seed}: a writer comes back");
    assert_eq!(stage.records.writer, stage.writer(), "seed {seed}");
    for (instance, _, state) in stage.world.instances() {
        assert_eq!(state, InstanceState::Up, "seed {seed}: {instance}");
        assert_eq!(stage.listening.get(instance), Some(&true));
    }
    let believed: Vec<_> = stage.world.instances().map(|(id, ..)| id.clone()).collect();
    for asked in &believed {
        let writers: Vec<String> = stage
            .world
            .view(asked, stage.now)
            .into_iter()
            .filter(|row| row.session_id == MASTER_SESSION_ID)
            .map(|row| row.server_id)
            .collect();
        let writer = stage.writer().expect("a writer").to_string();
        assert_eq!(writers, [writer], "seed {seed}: asked {asked}");
    }
    stage.trace
}

#[test]
fn whatever_happens_one_boot_at_most_may_commit_and_the_cluster_heals() {
    for seed in 0..300 {
        mayhem(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    assert_eq!(mayhem(5), mayhem(5));
    assert_ne!(mayhem(5), mayhem(6));
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
