//! What holds of [`apply`] whatever the news, in whatever order.
//!
//! Each test draws its cases from a seed and, when one fails, prints the command that replays it,
//! such as `PROPTEST_RNG_SEED=42 cargo test --lib topology::properties`, together with the
//! smallest case found. `PROPTEST_CASES` sets how many are tried.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};

use super::apply::{Effect, apply};
use super::cadence::{Cadence, Reply, Target};
use super::membership::INSTANCES_MAX;
use super::observation::{Fault, Observation, Report, Row, Way};
use super::snapshot::{Health, Phase, Topology};
use crate::id::{Generation, InstanceId, Role};
use crate::rng::Rng;
use crate::time::Instant;

const NAMES: [&str; 4] = ["i-1", "i-2", "i-3", "i-4"];
const SERVER_NOW_MICROS: i64 = 1_764_000_000_000_000;
/// Longer than any patience of `apply`: removal after a lasting one-row view takes 60 s.
const QUIET_PERIOD: Duration = Duration::from_secs(70);

/// A piece of news whose moment and generation are filled in when its turn comes.
#[derive(Debug, Clone)]
struct Piece {
    /// How long after the piece before it comes.
    after: Duration,
    /// How long before that the question was sent.
    delay: Duration,
    news: News,
}

#[derive(Debug, Clone)]
enum News {
    Report {
        identity: usize,
        is_writer: bool,
        lost: bool,
        rows: Vec<Row>,
    },
    Silence(usize, Fault),
    /// The last value is how many generations the connection is behind.
    Trouble(usize, Fault, u64),
    Tick,
}

fn id(position: usize) -> InstanceId {
    InstanceId::new(NAMES[position])
}

impl Piece {
    fn observation(&self, topology: &Topology, now: Instant) -> Observation {
        let asked_at = now - self.delay;
        match &self.news {
            News::Report {
                identity,
                is_writer,
                lost,
                rows,
            } => Observation::Report(Report {
                identity: id(*identity),
                asked_at,
                is_writer: *is_writer,
                server_now_micros: SERVER_NOW_MICROS,
                way: match lost {
                    true => Way::AfterLoss,
                    false => Way::New,
                },
                rows: rows.clone(),
            }),
            News::Silence(instance, fault) => Observation::Silence {
                instance: id(*instance),
                fault: *fault,
                asked_at,
            },
            News::Trouble(instance, fault, behind) => {
                let instance = id(*instance);
                let current = topology
                    .instance(&instance)
                    .map_or(0, |known| known.generation().0);
                Observation::Trouble {
                    instance,
                    generation: Generation(current.saturating_sub(*behind)),
                    fault: *fault,
                }
            }
            News::Tick => Observation::Tick,
        }
    }
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![
        Fault::ReadOnly,
        Fault::Terminated,
        Fault::Crashed,
        Fault::Starting,
        Fault::Refused,
        Fault::Lost,
        Fault::TimedOut,
        Fault::Unresolved,
        Fault::Full,
        Fault::LoginRefused,
        Fault::Other,
    ])
}

fn any_row() -> impl Strategy<Value = Row> {
    let age = prop::option::of(prop::sample::select(vec![
        0, 1_000, 299_000, 301_000, -5_000,
    ]));
    let lags = vec![0.0, 20.0, 900_000.0, 1.8e19, -1.0, f64::NAN, f64::INFINITY];
    let lag = prop::option::of(prop::sample::select(lags));
    (0..NAMES.len(), any::<bool>(), age, lag).prop_map(|(instance, is_writer, age_ms, lag)| Row {
        id: id(instance),
        is_writer,
        updated_micros: age_ms.map(|age: i64| SERVER_NOW_MICROS - age * 1_000),
        lag_millis: lag,
    })
}

fn any_news() -> impl Strategy<Value = News> {
    let instance = 0..NAMES.len();
    let rows = prop::collection::vec(any_row(), 0..5);
    prop_oneof![
        4 => (instance.clone(), any::<bool>(), prop::bool::weighted(0.1), rows).prop_map(
            |(identity, is_writer, lost, rows)| News::Report { identity, is_writer, lost, rows }
        ),
        2 => (instance.clone(), any_fault()).prop_map(|(instance, fault)| News::Silence(instance, fault)),
        2 => (instance, any_fault(), 0_u64..2)
            .prop_map(|(instance, fault, behind)| News::Trouble(instance, fault, behind)),
        1 => Just(News::Tick),
    ]
}

fn any_piece() -> impl Strategy<Value = Piece> {
    let after = prop::sample::select(vec![0, 1, 5, 100, 1_000, 6_000, 31_000]);
    let delay = prop::sample::select(vec![0, 0, 1, 5, 500, 5_000]);
    (after, delay, any_news()).prop_map(|(after, delay, news)| Piece {
        after: Duration::from_millis(after),
        delay: Duration::from_millis(delay),
        news,
    })
}

fn any_history() -> impl Strategy<Value = Vec<Piece>> {
    prop::collection::vec(any_piece(), 0..40)
}

/// Runs `test` on many cases; says how to run a failing one again.
fn hold_for_all<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> TestCaseResult)
where
    S::Value: std::fmt::Debug,
{
    // Reads PROPTEST_RNG_SEED and PROPTEST_CASES.
    let given = Config::default();
    let seed = match given.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => fastrand::u64(..),
    };
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => given.cases,
        None => cases,
    };
    let mut runner = TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..given
    });
    if let Err(failure) = runner.run(strategy, test) {
        panic!(
            "{failure}\nreplay: PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases} \
             cargo test --lib topology::properties"
        );
    }
}

/// Applies a history piece by piece; `look` sees each step before it is taken.
fn play(
    history: &[Piece],
    mut look: impl FnMut(&Topology, &Observation, Instant, &Topology) -> TestCaseResult,
) -> Result<(Topology, Instant), TestCaseError> {
    let mut topology = Topology::empty();
    // Far enough from the beginning of the clock for questions to lie before it.
    let mut now = crate::time::now() + Duration::from_secs(100);
    for piece in history {
        now += piece.after;
        let observation = piece.observation(&topology, now);
        let next = apply(&topology, &observation, now).next;
        look(&topology, &observation, now, &next)?;
        topology = next;
    }
    Ok((topology, now))
}

fn is_sound(topology: &Topology) -> TestCaseResult {
    let writers: Vec<_> = topology
        .instances()
        .filter(|instance| instance.role() == Role::Writer)
        .collect();
    prop_assert!(writers.len() <= 1, "two writers: {topology}");
    prop_assert_eq!(
        topology.phase() == Phase::Steady,
        topology.writer().is_some()
    );
    if let Some(writer) = topology.writer() {
        prop_assert_eq!(writer.role(), Role::Writer);
        prop_assert_eq!(writer.health(), Health::Up);
        prop_assert!(!writer.serves_reads());
        prop_assert_eq!(writer.lag(), None);
    }
    Ok(())
}

#[test]
fn there_are_never_two_writers_and_the_one_that_is_given_says_itself_that_it_is() {
    hold_for_all(512, &any_history(), |history| {
        play(&history, |_, _, _, next| is_sound(next))?;
        Ok(())
    });
}

#[test]
fn neither_the_epoch_nor_the_generation_of_a_known_instance_ever_goes_back() {
    hold_for_all(512, &any_history(), |history| {
        play(&history, |before, _, _, next| {
            prop_assert!(before.epoch() <= next.epoch());
            for instance in next.instances() {
                let earlier = before.instance(instance.id());
                let earlier = earlier.map_or(Generation(0), |earlier| earlier.generation());
                prop_assert!(earlier <= instance.generation(), "{}", instance.id());
            }
            Ok(())
        })?;
        Ok(())
    });
}

#[test]
fn another_writer_always_begins_another_epoch() {
    hold_for_all(512, &any_history(), |history| {
        let mut last = None;
        play(&history, |_, _, _, next| {
            if let Some(writer) = next.writer() {
                let this = (next.epoch(), writer.id().clone());
                if let Some((epoch, id)) = last.replace(this.clone()) {
                    prop_assert!((epoch, id) == this || epoch < this.0);
                }
            }
            Ok(())
        })?;
        Ok(())
    });
}

#[test]
fn the_same_news_twice_changes_nothing_the_second_time() {
    hold_for_all(512, &any_history(), |history| {
        play(&history, |_, observation, now, next| {
            let again = apply(next, observation, now).next;
            prop_assert_eq!(&again, next);
            Ok(())
        })?;
        Ok(())
    });
}

#[test]
fn nobody_is_known_that_was_never_heard_of() {
    hold_for_all(256, &any_history(), |history| {
        let mut heard_of = BTreeSet::new();
        play(&history, |_, observation, _, next| {
            if let Observation::Report(report) = observation {
                heard_of.insert(report.identity.clone());
                heard_of.extend(report.rows.iter().map(|row| row.id.clone()));
            }
            let known: BTreeSet<_> = next.instances().map(|known| known.id().clone()).collect();
            prop_assert!(known.is_subset(&heard_of));
            Ok(())
        })?;
        Ok(())
    });
}

#[test]
fn an_instance_that_claims_nothing_is_never_the_writer() {
    hold_for_all(256, &any_history(), |mut history| {
        let muzzled = id(0);
        for piece in &mut history {
            if let News::Report {
                identity: 0,
                is_writer,
                ..
            } = &mut piece.news
            {
                *is_writer = false;
            }
        }
        play(&history, |_, _, _, next| {
            prop_assert!(next.writer().is_none_or(|writer| *writer.id() != muzzled));
            Ok(())
        })?;
        Ok(())
    });
}

#[test]
fn an_old_writer_that_only_repeats_itself_never_displaces_the_new_one() {
    // What tables say of it, and what befalls the third, does not matter; the new writer speaks
    // for itself and is not lost.
    let zombie_and_noise = any_history().prop_map(|mut history| {
        history.retain_mut(|piece| match &mut piece.news {
            News::Report {
                identity: 1,
                is_writer,
                ..
            }
            | News::Report {
                identity: 0,
                is_writer,
                ..
            } => {
                *is_writer = true;
                true
            }
            News::Report { is_writer, .. } => {
                *is_writer = false;
                true
            }
            News::Silence(0 | 1, _) | News::Trouble(0 | 1, _, _) => false,
            News::Silence(..) | News::Trouble(..) | News::Tick => true,
        });
        history
    });
    hold_for_all(512, &zombie_and_noise, |history| {
        let start = crate::time::now();
        let mut topology = Topology::empty();
        let mut at = start;
        // The first writer is `i-1`; `i-2` says that it is a reader, then that it was promoted.
        for (identity, is_writer) in [(0, true), (1, false), (1, true)] {
            at += Duration::from_millis(10);
            let rows = (0..2).map(|position| row(&id(position), position == 0));
            let report = report(&id(identity), is_writer, at, rows.collect());
            topology = apply(&topology, &report, at).next;
        }
        let new_writer = Some(id(1));
        prop_assert_eq!(
            topology.writer().map(|writer| writer.id().clone()),
            new_writer.clone()
        );
        for piece in &history {
            at += piece.after;
            topology = apply(&topology, &piece.observation(&topology, at), at).next;
            let writer = topology.writer().map(|writer| writer.id().clone());
            prop_assert_eq!(writer, new_writer.clone());
        }
        Ok(())
    });
}

#[test]
fn after_a_quiet_honest_period_the_picture_is_the_truth() {
    let truth = (
        prop::sample::subsequence(vec![0, 1, 2, 3], 1..=4),
        any::<prop::sample::Index>(),
    );
    hold_for_all(
        96,
        &(any_history(), truth),
        |(history, (members, writer))| {
            let truth = Truth {
                writer: id(*writer.get(&members)),
                members: members.into_iter().map(id).collect(),
            };
            let (topology, now) = play(&history, |_, _, _, _| Ok(()))?;
            let topology = truth.live_through(topology, now, QUIET_PERIOD);
            prop_assert_eq!(topology.phase(), Phase::Steady, "{}", topology);
            let known: BTreeSet<_> = topology
                .instances()
                .map(|known| known.id().clone())
                .collect();
            prop_assert_eq!(&known, &truth.members);
            let writer = topology.writer().map(|writer| writer.id().clone());
            prop_assert_eq!(writer, Some(truth.writer.clone()));
            for instance in topology.instances() {
                prop_assert_eq!(instance.health(), Health::Up, "{}", topology);
                let reads = *instance.id() != truth.writer;
                prop_assert_eq!(instance.serves_reads(), reads, "{}", topology);
            }
            Ok(())
        },
    );
}

#[test]
fn a_table_of_nonsense_makes_only_so_many_instances_known() {
    let now = crate::time::now();
    let writer = id(0);
    let rows = (0..1_000).map(|number| row(&InstanceId::new(format!("x-{number}")), false));
    let news = report(&writer, true, now, rows.collect());
    let topology = apply(&Topology::empty(), &news, now).next;
    assert_eq!(topology.instances().len(), INSTANCES_MAX);
    assert_eq!(topology.writer().map(|known| known.id()), Some(&writer));
}

#[test]
fn any_number_of_strangers_makes_only_so_many_instances_known() {
    let now = crate::time::now();
    let strangers = (0..1_000).map(|number| InstanceId::new(format!("x-{number}")));
    let topology = strangers.fold(Topology::empty(), |topology, stranger| {
        let news = report(&stranger, false, now, Vec::new());
        apply(&topology, &news, now).next
    });
    assert_eq!(topology.instances().len(), INSTANCES_MAX);
}

/// A cluster in which everybody is up and says what is so.
struct Truth {
    members: BTreeSet<InstanceId>,
    writer: InstanceId,
}

impl Truth {
    /// Lets the real cadence ask whom it wants to, and nobody else.
    fn live_through(&self, mut topology: Topology, start: Instant, span: Duration) -> Topology {
        let mut cadence = Cadence::new(1, Duration::from_secs(1), Rng::seeded(1));
        let mut now = start;
        while now < start + span {
            cadence.follow(&topology, now);
            for target in cadence.take_due(now) {
                let observation = self.answer(&target, now);
                let reply = match &observation {
                    Observation::Report(_) => Reply::Answered,
                    _ => Reply::Failed(Fault::Other),
                };
                cadence.done(&target, now, now, reply);
                let step = apply(&topology, &observation, now);
                topology = step.next;
                for effect in step.effects {
                    if let Effect::Ask(instance) = effect {
                        cadence.ask_now(&instance, now);
                    }
                }
            }
            cadence.follow(&topology, now);
            let Some(due) = cadence.next_due() else {
                break;
            };
            now = due.max(now + Duration::from_millis(1));
            topology = apply(&topology, &Observation::Tick, now).next;
        }
        topology
    }

    fn answer(&self, target: &Target, now: Instant) -> Observation {
        let asked = match target {
            Target::Instance(instance) => instance,
            Target::Seed(_) => &self.writer,
        };
        if !self.members.contains(asked) {
            return Observation::Silence {
                instance: asked.clone(),
                fault: Fault::Unresolved,
                asked_at: now,
            };
        }
        let rows = self
            .members
            .iter()
            .map(|member| row(member, *member == self.writer));
        report(asked, *asked == self.writer, now, rows.collect())
    }
}

fn row(id: &InstanceId, is_writer: bool) -> Row {
    Row {
        id: id.clone(),
        is_writer,
        updated_micros: Some(SERVER_NOW_MICROS),
        lag_millis: Some(10.0),
    }
}

fn report(id: &InstanceId, is_writer: bool, asked_at: Instant, rows: Vec<Row>) -> Observation {
    Observation::Report(Report {
        identity: id.clone(),
        asked_at,
        is_writer,
        server_now_micros: SERVER_NOW_MICROS,
        way: Way::Standing,
        rows,
    })
}
