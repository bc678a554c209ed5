//! Random commands at random times, and what must hold whatever they are.
//!
//! That one boot at most may commit, and that nothing opens that was not added before, the
//! [`Stage`] checks at every effect.

use super::*;

fn anomaly(random: &mut fastrand::Rng) -> ViewAnomaly {
    let other = id(random.usize(1..8));
    match random.usize(..9) {
        0 => ViewAnomaly::SecondWriter(other),
        1 => ViewAnomaly::NoWriter,
        2 => ViewAnomaly::OneRow,
        3 => ViewAnomaly::StaleClaim(other),
        4 => ViewAnomaly::Lingering(other),
        5 => ViewAnomaly::OwnTimestampNull(random.bool()),
        6 => ViewAnomaly::GarbageLag,
        7 => ViewAnomaly::ForeignRows,
        _ => ViewAnomaly::Propagation(ms(random.u64(0..2000))),
    }
}

fn command(random: &mut fastrand::Rng) -> Command {
    let target = id(random.usize(1..8));
    match random.usize(..16) {
        0..=2 => Command::Crash(target),
        3 => Command::Failover(random.bool().then_some(target)),
        4 => Command::Restart(target),
        5 => Command::AddReader,
        6 => Command::Remove(target),
        7 => Command::SetTier(target, random.u8(..20)),
        8 => Command::Rename {
            old: target,
            new: id(random.usize(1..12)),
        },
        9 => Command::ScaleOut(random.usize(..3)),
        10 => Command::ScaleIn(random.usize(..3)),
        11 => Command::Upgrade(format!("3.0{}.0", random.u8(4..9))),
        12 => Command::PauseReplication(target),
        13 => Command::ResumeReplication(target),
        14 => Command::SetLag {
            instance: target,
            lag: ms(random.u64(0..500)),
        },
        _ => Command::SetView(target, anomaly(random)),
    }
}

fn timeline(random: &mut fastrand::Rng) -> Timeline {
    let mut timeline = Timeline::fast();
    timeline.survivable_readers = random.bool();
    timeline.fenced_hold = ms(random.u64(0..900));
    timeline.views.no_writer = ms(random.u64(0..300));
    timeline.views.propagation_spread = ms(random.u64(0..300));
    timeline
}

/// Runs seeded commands at seeded times, checking on the way.
fn mayhem(seed: u64) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let engine = [EngineKind::MySql, EngineKind::Postgres][random.usize(..2)];
    let timeline = timeline(&mut random);
    let mut stage = Stage::with(engine, random.usize(0..4), seed, timeline, |_| DEFAULT_TIER);
    let mut epoch = 0;
    for _ in 0..60 {
        let pause = ms(random.u64(0..400));
        stage.at(stage.now + pause);
        // A refusal is an answer too.
        let _ = stage.order(command(&mut random));
        assert!(stage.world.epoch() >= epoch, "the epoch went back");
        epoch = stage.world.epoch();
        for number in 1..12 {
            let _ = stage.rows(number);
        }
    }
    let all: Vec<_> = stage.world.instances().map(|(id, ..)| id.clone()).collect();
    for id in all {
        stage.order(Command::ClearView(id)).expect("it exists");
    }
    // An upgrade of sixteen instances, and all that may still be under way.
    stage.at(stage.now + Duration::from_secs(20));
    check_health(&stage, seed);
    stage.trace
}

/// After quiet, all is well.
fn check_health(stage: &Stage, seed: u64) {
    let writer = stage.writer().expect("a writer comes back");
    assert_eq!(stage.records.writer.as_ref(), Some(&writer), "seed {seed}");
    assert!(!stage.world.is_failing_over(), "seed {seed}");
    let mut readers = Vec::new();
    let mut views = Vec::new();
    for (instance, role, state) in stage.world.instances() {
        assert_eq!(state, InstanceState::Up, "seed {seed}: {instance}");
        assert_eq!(stage.listening.get(instance), Some(&true), "seed {seed}");
        if role == Role::Reader {
            readers.push(instance.clone());
        }
        let rows = stage.world.view(instance, stage.now).into_iter();
        views.push(
            rows.map(|row| (row.server_id, row.session_id))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(stage.records.readers, readers, "seed {seed}");
    assert_eq!(stage.listening.len(), readers.len() + 1, "seed {seed}");
    assert!(views.iter().all(|view| *view == views[0]), "seed {seed}");
    let writers: Vec<_> = views[0]
        .iter()
        .filter(|(_, session)| session == MASTER_SESSION_ID)
        .map(|(server, _)| server.as_str())
        .collect();
    assert_eq!(writers, [writer.as_str()], "seed {seed}");
}

#[test]
fn whatever_happens_one_boot_at_most_may_commit_and_the_cluster_heals() {
    for seed in 0..400 {
        mayhem(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        assert_eq!(mayhem(seed), mayhem(seed));
    }
    assert_ne!(mayhem(5), mayhem(6));
}
