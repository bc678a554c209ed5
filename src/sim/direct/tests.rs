//! The driver over the direct front.

use super::*;
use crate::cluster::Cluster;
use crate::engine::Backend;
use crate::error::{ErrorKind, Outcome};
use crate::observe::FailoverRecord;
use crate::sim::{RecordedFailover, Script};

/// How many failovers a test run goes through; the benchmark goes through a thousand.
const FAILOVERS: u64 = 40;

#[test]
fn failovers_lose_nothing_repeat_nothing_and_writes_resume() {
    let mut in_doubt = 0;
    for seed in seeds() {
        let report = virtual_failover(paused(), seed).unwrap_or_else(|violation| {
            panic!(
                "seed {seed}: {violation}; replay it with \
                 `AURORA_SIM_SEED={seed} cargo test --lib sim::direct`"
            )
        });
        assert!(report.writes.acknowledged.len() >= 4, "seed {seed}");
        in_doubt += report.writes.unknown.len();
    }
    if seeds().count() > 1 {
        assert!(in_doubt > 0, "no failover cut any write short");
    }
}

/// A runtime in which time passes at once.
pub(super) fn paused() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let built = builder.enable_time().start_paused(true).build();
    built.expect("a runtime without sockets")
}

fn seeds() -> impl Iterator<Item = u64> {
    let named = std::env::var("AURORA_SIM_SEED").ok();
    let named = named.map(|seed| seed.parse().expect("AURORA_SIM_SEED is a number"));
    let range = named.map_or(0..FAILOVERS, |seed: u64| seed..seed + 1);
    range.into_iter()
}

#[test]
fn a_seed_repeats_its_trace_byte_for_byte_and_another_gives_another() {
    for seed in 0..4 {
        let first = virtual_failover(paused(), seed).unwrap();
        let second = virtual_failover(paused(), seed).unwrap();
        assert_eq!(first, second, "seed {seed}");
        let other = virtual_failover(paused(), seed + 4).unwrap();
        assert_ne!(first.trace_hash, other.trace_hash, "seed {seed}");
    }
}

#[test]
fn a_reader_refuses_writes_and_its_connection_is_not_used_again() {
    replay(paused(), 1, async {
        let world = DirectCluster::start(1, 1, Timeline::fast());
        let driver = Cluster::<Direct>::new(world.config().unwrap()).unwrap();
        driver.ready(Duration::from_secs(30)).await.unwrap();
        let mut reader = driver.reader().await.unwrap();
        let refused = reader.write(1).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ReadOnly);
        assert_eq!(refused.outcome(), Outcome::Rejected);
        let unusable = reader.read(1).await.unwrap_err();
        assert_eq!(unusable.outcome(), Outcome::NotSent);
        assert!(world.ledger().is_empty());
    });
}

#[test]
fn a_write_whose_answer_is_lost_is_unknown_and_applied() {
    replay(paused(), 2, async {
        let world = DirectCluster::start(2, 1, Timeline::fast());
        let driver = Cluster::<Direct>::new(world.config().unwrap()).unwrap();
        let mut writer = driver.writer().await.unwrap();
        let old = world.writer().unwrap();
        let crash = async {
            while world.ledger().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            world.crash(&old).unwrap();
        };
        let (answer, ()) = futures_util::future::join(writer.write(7), crash).await;
        assert_eq!(answer.unwrap_err().outcome(), Outcome::Unknown);
        assert_eq!(world.ledger().len(), 1);
    });
}

#[test]
fn a_transaction_is_applied_at_its_commit_or_not_at_all() {
    replay(paused(), 3, async {
        let world = DirectCluster::start(3, 1, Timeline::fast());
        let driver = Cluster::<Direct>::new(world.config().unwrap()).unwrap();
        let mut writer = driver.writer().await.unwrap();
        writer.begin().await.unwrap();
        writer.write(1).await.unwrap();
        writer.write(2).await.unwrap();
        assert!(world.ledger().is_empty());
        writer.commit().await.unwrap();
        assert_eq!(world.ledger().len(), 2);
        writer.begin().await.unwrap();
        writer.write(3).await.unwrap();
        drop(writer);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!driver.writer().await.unwrap().read(3).await.unwrap());
    });
}

#[test]
fn a_fenced_writer_may_go_on_to_call_itself_the_writer_and_commits_nothing() {
    replay(paused(), 5, async {
        let timeline = Timeline {
            fenced_hold: Duration::from_millis(600),
            ..Timeline::fast()
        };
        let world = DirectCluster::builder(5).timeline(timeline);
        let world = world.fenced_writer_answers(true).start();
        let driver = Cluster::<Direct>::new(world.config().unwrap()).unwrap();
        driver.ready(Duration::from_secs(30)).await.unwrap();
        let mut held = driver.writer().await.unwrap();
        world.failover(None).unwrap();
        world.promoted().await;
        let (_, successor) = world.promotions().remove(0);
        assert_ne!(*held.instance(), successor);
        assert!(Direct::survey(&mut held).await.unwrap().is_writer);
        let unanswered = held.write(1).await.unwrap_err();
        assert_eq!(unanswered.outcome(), Outcome::Unknown);
        let mut writer = driver.writer().await.unwrap();
        assert_eq!(*writer.instance(), successor);
        writer.write(2).await.unwrap();
        assert_eq!(world.ledger().len(), 1);
    });
}

#[test]
fn the_check_finds_what_is_lost_doubled_or_denied() {
    let write = |key| DirectWrite {
        key,
        epoch: 0,
        instance: InstanceId::new("a"),
        at: Duration::ZERO,
    };
    let writes = Writes {
        acknowledged: [1, 2].into(),
        unknown: [3].into(),
    };
    let ledger = |keys: &[u64]| keys.iter().copied().map(write).collect::<Vec<_>>();
    assert_eq!(writes.check(&ledger(&[1, 2])), Ok(()));
    assert_eq!(writes.check(&ledger(&[1, 2, 3])), Ok(()));
    for (keys, violation) in [
        (&[1][..], "lost"),
        (&[1, 2, 2], "2 times"),
        (&[1, 2, 4], "reported as not applied"),
    ] {
        let found = writes.check(&ledger(keys)).unwrap_err();
        assert!(found.contains(violation), "{found}");
    }
}

#[test]
fn a_stopped_cluster_has_no_name_any_more() {
    replay(paused(), 4, async {
        let config = DirectCluster::start(4, 0, Timeline::fast())
            .config()
            .unwrap();
        let driver = Cluster::<Direct>::new(config).unwrap();
        let lost = driver.ready(Duration::from_secs(2)).await.unwrap_err();
        assert!(lost.to_string().contains("still running"), "{lost}");
    });
}

/// What a driver records of the failover that `fail` brings about, with a caller that writes.
async fn recorded(world: &DirectCluster, fail: impl AsyncFnOnce(&DirectCluster)) -> FailoverRecord {
    let driver = Cluster::<Direct>::new(world.config().unwrap()).unwrap();
    driver.ready(Duration::from_secs(30)).await.unwrap();
    let writing = async {
        for key in 0.. {
            // What becomes of each is not the question here.
            let _ = async { driver.writer().await?.write(key).await }.await;
            let failovers = driver.failovers();
            let resumed = |record: &FailoverRecord| record.resumed_after.is_some();
            if let Some(record) = failovers.into_iter().find(resumed) {
                // So that the old writer comes back, as part of the story.
                if record
                    .moments
                    .iter()
                    .filter(|it| it.what.name() == "instance_up")
                    .count()
                    > 0
                {
                    return record;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        unreachable!("keys do not run out")
    };
    let writing = tokio::time::timeout(Duration::from_secs(600), writing);
    let (record, ()) = futures_util::future::join(writing, fail(world)).await;
    driver.close(Duration::from_secs(5)).await;
    record.expect("writes resume")
}

/// The phases of a failover, in order.
fn phases(record: &FailoverRecord) -> Vec<&'static str> {
    let names = record.moments.iter().map(|moment| moment.what.name());
    let of_phases = [
        "writer_suspected",
        "writer_lost",
        "writer_confirmed",
        "writes_resumed",
    ];
    names.filter(|name| of_phases.contains(name)).collect()
}

#[test]
fn a_recorded_failover_is_played_again_with_its_phases_in_order_and_in_time() {
    for (seed, is_planned) in [(1, false), (2, true), (3, false)] {
        let mut timeline = Timeline::fast();
        timeline.promotion = Duration::from_millis(700 * seed);
        let first = replay(paused(), seed, async move {
            let world = DirectCluster::start(seed, 3, timeline);
            recorded(&world, async |world| {
                tokio::time::sleep(Duration::from_millis(200)).await;
                match is_planned {
                    true => world
                        .failover(Some(&InstanceId::new("demo-instance-3")))
                        .unwrap(),
                    false => world.crash(&world.writer().unwrap()).unwrap(),
                }
            })
            .await
        });
        let script = RecordedFailover::from_json(&first.to_json()).unwrap();
        let again = script.clone();
        let second = replay(paused(), seed + 100, async move {
            let builder = DirectCluster::builder(seed + 100).readers(again.readers());
            let world = builder.timeline(again.timeline().clone()).start();
            recorded(&world, async |world| {
                world.play(again.script()).await.unwrap()
            })
            .await
        });
        assert_eq!(script.readers(), 3, "{}", script.toml());
        assert_eq!(phases(&first), phases(&second), "{first}\n{second}");
        assert_eq!(
            second.writer_after,
            Some(InstanceId::new("demo-instance-2"))
        );
        for (one, other) in [
            (first.confirmed_after, second.confirmed_after),
            (first.resumed_after, second.resumed_after),
        ] {
            let (one, other) = (one.unwrap().as_secs_f64(), other.unwrap().as_secs_f64());
            assert!((one - other).abs() <= 0.1 * one + 0.05, "{first}\n{second}");
        }
    }
}

#[test]
fn a_script_about_names_is_refused_by_a_cluster_that_has_none() {
    replay(paused(), 9, async {
        let world = DirectCluster::start(9, 1, Timeline::fast());
        let text = "[[step]]\nat_ms = 5\ndo = \"mend-dns\"\n";
        let script = Script::parse("names.toml", text).unwrap();
        let refused = world.play(&script).await.unwrap_err().to_string();
        assert!(refused.contains("names.toml, line 1, step 1"), "{refused}");
    });
}
