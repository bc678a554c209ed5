//! The cadence against small clusters, in steps of a millisecond of invented time.

use super::*;
use crate::id::Epoch;
use crate::topology::apply::{Effect, apply};
use crate::topology::observation::{Fault, Observation, Report, Row, Way};

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(1);

/// A monitor without I/O: a cadence, a picture, and a clock that is turned by hand.
struct Rig {
    cadence: Cadence,
    topology: Topology,
    now: Instant,
    /// Who was asked, and when.
    asked: Vec<(Target, Instant)>,
}

impl Rig {
    fn new(seeds: usize) -> Self {
        Self {
            cadence: Cadence::new(seeds, SECOND, Rng::seeded(7)),
            topology: Topology::empty(),
            now: crate::time::now(),
            asked: Vec::new(),
        }
    }

    /// A rig whose cluster of one writer and two readers is known and well.
    fn steady() -> Self {
        let mut rig = Self::new(1);
        rig.run(100 * TICK, &mut |_, target| Some(well(target)));
        assert_eq!(rig.topology.epoch(), Epoch(1));
        assert_eq!(rig.topology.readers().count(), 2);
        rig.asked.clear();
        rig
    }

    /// Runs for a while; `answer` gives the answer to a question at once, or leaves it open.
    fn run(
        &mut self,
        span: Duration,
        answer: &mut dyn FnMut(&mut Self, &Target) -> Option<Answer>,
    ) {
        let end = self.now + span;
        while self.now < end {
            self.cadence.follow(&self.topology, self.now);
            for target in self.cadence.take_due(self.now) {
                self.asked.push((target.clone(), self.now));
                if let Some(answer) = answer(self, &target) {
                    self.cadence
                        .done(&target, self.now, self.now, answer.reply());
                    self.take_in(&answer.observation(&target, self.now));
                }
            }
            self.now += TICK;
        }
    }

    fn take_in(&mut self, observation: &Observation) {
        let step = apply(&self.topology, observation, self.now);
        self.topology = step.next;
        for effect in step.effects {
            if let Effect::Ask(instance) = effect {
                self.cadence.ask_now(&instance, self.now);
            }
        }
        self.cadence.follow(&self.topology, self.now);
    }

    fn trouble(&mut self, name: &str, fault: Fault) {
        let instance = InstanceId::new(name);
        let generation = self.topology.instance(&instance).unwrap().generation();
        self.take_in(&Observation::Trouble {
            instance,
            generation,
            fault,
        });
    }

    fn times(&self, target: &Target) -> Vec<Instant> {
        let of_target = self.asked.iter().filter(|(asked, _)| asked == target);
        of_target.map(|(_, at)| *at).collect()
    }

    fn count(&self, target: &Target) -> usize {
        self.times(target).len()
    }
}

#[derive(Clone)]
enum Answer {
    Silence(Fault),
    Speaks { identity: String, is_writer: bool },
}

impl Answer {
    fn reply(&self) -> Reply {
        match self {
            Self::Silence(fault) => Reply::Failed(*fault),
            Self::Speaks { .. } => Reply::Answered,
        }
    }

    fn observation(self, target: &Target, asked_at: Instant) -> Observation {
        match (self, target) {
            (Self::Silence(fault), Target::Instance(instance)) => Observation::Silence {
                instance: instance.clone(),
                fault,
                asked_at,
            },
            (Self::Silence(_), Target::Seed(_)) => Observation::Tick,
            (
                Self::Speaks {
                    identity,
                    is_writer,
                },
                _,
            ) => {
                // A reader's table knows no better than that `i-1` is the writer.
                let writer = if is_writer { identity.as_str() } else { "i-1" };
                let rows = ["i-1", "i-2", "i-3"].map(|name| row(name, name == writer));
                Observation::Report(Report {
                    rows: rows.to_vec(),
                    identity: InstanceId::new(identity),
                    asked_at,
                    is_writer,
                    server_now_micros: 0,
                    way: Way::New,
                })
            }
        }
    }
}

fn row(name: &str, is_writer: bool) -> Row {
    Row {
        id: InstanceId::new(name),
        is_writer,
        updated_micros: None,
        lag_millis: None,
    }
}

fn instance(name: &str) -> Target {
    Target::Instance(InstanceId::new(name))
}

/// The answer of a cluster that is well, whose writer is `i-1` and to which the seed leads.
fn well(target: &Target) -> Answer {
    let identity = match target {
        Target::Instance(id) => id.to_string(),
        Target::Seed(_) => "i-1".to_owned(),
    };
    Answer::Speaks {
        is_writer: identity == "i-1",
        identity,
    }
}

fn refused() -> Option<Answer> {
    Some(Answer::Silence(Fault::Refused))
}

#[test]
fn in_the_steady_state_only_the_writer_is_asked_and_at_most_once_per_interval() {
    let mut rig = Rig::steady();
    rig.run(20 * SECOND, &mut |_, target| Some(well(target)));
    let times = rig.times(&instance("i-1"));
    assert_eq!(times.len(), rig.asked.len(), "{:?}", rig.asked);
    assert!((16..=20).contains(&times.len()), "{}", times.len());
    for pair in times.windows(2) {
        let apart = pair[1] - pair[0];
        assert!(apart >= SECOND && apart <= SECOND * 6 / 5, "{apart:?}");
    }
}

#[test]
fn when_the_writer_is_in_doubt_every_instance_is_asked_at_once_and_then_out_of_step() {
    let mut rig = Rig::steady();
    rig.run(500 * TICK, &mut |_, target| Some(well(target)));
    rig.asked.clear();
    rig.trouble("i-1", Fault::Lost);
    let began = rig.now;
    rig.run(400 * TICK, &mut |_, target| match target {
        Target::Instance(id) if id.as_str() == "i-1" => refused(),
        other => Some(well(other)),
    });
    let all = ["i-1", "i-2", "i-3"].map(instance);
    for target in &all {
        assert_eq!(rig.times(target)[0], began, "{target:?}");
    }
    // Jitter of a fifth on 3 ms, and on 2.7 ms where it refuses, in the rig's milliseconds.
    for target in &all[1..] {
        for pair in rig.times(target).windows(2) {
            assert!((2..=5).contains(&(pair[1] - pair[0]).as_millis()));
        }
    }
    assert_ne!(rig.times(&all[1]), rig.times(&all[2]));
    assert_eq!(rig.count(&Target::Seed(0)), 0);
}

#[test]
fn a_writer_that_has_just_said_that_all_is_well_is_left_alone_for_an_interval() {
    let mut rig = Rig::steady();
    rig.run(500 * TICK, &mut |_, target| Some(well(target)));
    rig.trouble("i-1", Fault::Lost);
    rig.run(50 * TICK, &mut |_, target| Some(well(target)));
    assert_eq!(rig.count(&instance("i-1")), 1, "once, for the trouble");
    rig.asked.clear();
    rig.run(900 * TICK, &mut |_, target| Some(well(target)));
    assert_eq!(rig.count(&instance("i-1")), 0);
}

#[test]
fn an_alert_that_lasts_is_bounded_in_its_first_second_and_slows_down() {
    let mut rig = Rig::steady();
    rig.trouble("i-1", Fault::Refused);
    let mut no_writer = |_: &mut Rig, target: &Target| match target {
        Target::Instance(id) if id.as_str() != "i-1" => Some(well(target)),
        _ => refused(),
    };
    let mut counts = Vec::new();
    for _ in 0..10 {
        rig.asked.clear();
        rig.run(SECOND, &mut no_writer);
        // Both readers' tables name the old writer all the time: these hints are bounded too.
        counts.push(["i-1", "i-2", "i-3"].map(|name| rig.count(&instance(name))));
    }
    let [refuses, answers @ ..] = counts[0];
    assert!((80..=100).contains(&refuses), "{counts:?}");
    assert!(
        answers.iter().all(|count| (150..=210).contains(count)),
        "{counts:?}"
    );
    for (second, [refuses, answers @ ..]) in counts.iter().enumerate().take(5).skip(1) {
        // From the third second on processes are out of step, and need not wait for long.
        let least = if second == 1 { 15 } else { 19 };
        assert!((least..=20).contains(refuses), "{counts:?}");
        assert!(answers.iter().all(|count| *count <= 55), "{counts:?}");
    }
    for [refuses, answers @ ..] in &counts[6..] {
        assert!((9..=10).contains(refuses), "{counts:?}");
        assert!(answers.iter().all(|count| *count <= 22), "{counts:?}");
    }
}

#[test]
fn an_engine_that_begins_to_start_is_tried_more_often_again_but_has_no_second_first_second() {
    let mut rig = Rig::steady();
    rig.trouble("i-1", Fault::Refused);
    let mut away = |fault| {
        rig.asked.clear();
        rig.run(SECOND, &mut |_, target| match target {
            Target::Instance(id) if id.as_str() == "i-1" => Some(Answer::Silence(fault)),
            other => Some(well(other)),
        });
        rig.count(&instance("i-1"))
    };
    let refusing: Vec<usize> = (0..8).map(|_| away(Fault::Refused)).collect();
    let starting: Vec<usize> = (0..8).map(|_| away(Fault::Starting)).collect();
    assert!(refusing[6] <= 10 && refusing[7] <= 10, "{refusing:?}");
    for count in &starting[..3] {
        assert!((15..=20).contains(count), "{starting:?}");
    }
    assert!(starting[7] <= 10, "{starting:?}");
    // It falls back and begins again: that is no progress.
    assert!(away(Fault::Refused) <= 10);
    assert!(away(Fault::Starting) <= 10);
}

#[test]
fn a_down_reader_is_asked_on_its_own_and_ever_less_often_while_the_writer_keeps_its_pace() {
    let mut rig = Rig::steady();
    rig.trouble("i-2", Fault::Refused);
    let mut without_i2 = |_: &mut Rig, target: &Target| match target {
        Target::Instance(id) if id.as_str() == "i-2" => refused(),
        other => Some(well(other)),
    };
    rig.run(SECOND, &mut without_i2);
    let first = rig.count(&instance("i-2"));
    assert!((70..=100).contains(&first), "{first}");
    rig.asked.clear();
    rig.run(60 * SECOND, &mut without_i2);
    rig.asked.clear();
    rig.run(10 * SECOND, &mut without_i2);
    assert!((8..=10).contains(&rig.count(&instance("i-2"))));
    assert!(rig.count(&instance("i-1")) <= 10);
    assert_eq!(rig.count(&instance("i-3")), 0);
    rig.run(SECOND, &mut |_, target| Some(well(target)));
    rig.asked.clear();
    rig.run(10 * SECOND, &mut |_, target| Some(well(target)));
    assert_eq!(rig.count(&instance("i-2")), 0);
}

#[test]
fn an_alert_tries_an_instance_that_has_been_down_for_long_twenty_times_a_second_again() {
    let mut rig = Rig::steady();
    rig.trouble("i-2", Fault::Refused);
    rig.run(60 * SECOND, &mut |_, target| match target {
        Target::Instance(id) if id.as_str() == "i-2" => refused(),
        other => Some(well(other)),
    });
    rig.asked.clear();
    rig.trouble("i-1", Fault::Refused);
    rig.run(400 * TICK, &mut |_, target| match target {
        Target::Instance(id) if id.as_str() == "i-3" => Some(well(target)),
        _ => refused(),
    });
    let count = rig.count(&instance("i-2"));
    assert!((6..=8).contains(&count), "{count}");
}

#[test]
fn seeds_are_asked_only_while_nothing_is_up_and_sparingly_once_instances_are_known() {
    let mut rig = Rig::new(2);
    rig.run(SECOND, &mut |_, _| refused());
    for seed in [0, 1].map(Target::Seed) {
        let count = rig.count(&seed);
        assert!((70..=100).contains(&count), "{count}");
    }

    let mut rig = Rig::steady();
    for name in ["i-1", "i-2", "i-3"] {
        rig.trouble(name, Fault::Refused);
    }
    let began = rig.now;
    rig.run(10 * SECOND, &mut |_, _| refused());
    let times = rig.times(&Target::Seed(0));
    assert!((8..=10).contains(&times.len()), "{times:?}");
    assert!(times[0] - began >= SEED_INTERVAL);
    rig.asked.clear();
    rig.run(SECOND, &mut |_, target| Some(well(target)));
    rig.run(10 * SECOND, &mut |_, target| Some(well(target)));
    assert!(rig.count(&Target::Seed(0)) <= 1);
}

#[test]
fn a_seed_that_led_to_the_first_instance_is_not_asked_at_the_pace_of_discovery_any_more() {
    let mut rig = Rig::new(1);
    // The seed leads to an instance that cannot be reached under its own name.
    rig.run(SECOND, &mut |_, target| match target {
        Target::Instance(_) => refused(),
        Target::Seed(_) => Some(well(target)),
    });
    rig.asked.clear();
    rig.run(10 * SECOND, &mut |_, target| match target {
        Target::Instance(_) => refused(),
        Target::Seed(_) => Some(well(target)),
    });
    assert!(rig.count(&Target::Seed(0)) <= 11, "{:?}", rig.asked);
}

#[test]
fn no_target_is_asked_again_before_it_has_answered_whatever_happens() {
    let mut rig = Rig::steady();
    rig.trouble("i-1", Fault::Lost);
    rig.run(SECOND, &mut |rig, target| {
        rig.cadence.ask_now(&InstanceId::new("i-2"), rig.now);
        (*target == instance("i-3")).then(|| well(target))
    });
    assert_eq!(rig.count(&instance("i-1")), 1);
    assert_eq!(rig.count(&instance("i-2")), 1);
    let again = rig.cadence.next_due();
    assert!(again.is_some(), "the third is asked again");
    // The answer comes after a second: the next question follows at once.
    let begun = rig.now - SECOND;
    rig.cadence
        .done(&instance("i-1"), begun, rig.now, Reply::Answered);
    assert!(rig.cadence.take_due(rig.now).contains(&instance("i-1")));
}

#[test]
fn a_target_that_never_answers_is_not_waited_for_twice() {
    let mut rig = Rig::new(1);
    rig.run(10 * SECOND, &mut |_, _| None);
    assert_eq!(rig.asked.len(), 1);
    assert_eq!(rig.cadence.next_due(), None);
}

#[test]
fn trouble_that_comes_and_goes_asks_no_more_often_than_trouble_that_stays() {
    let mut rig = Rig::steady();
    let began = rig.now;
    while rig.now < began + SECOND {
        rig.trouble("i-1", Fault::Terminated);
        rig.trouble("i-2", Fault::Lost);
        rig.run(TICK, &mut |_, target| Some(well(target)));
    }
    for name in ["i-1", "i-2", "i-3"] {
        let count = rig.count(&instance(name));
        assert!((50..=100).contains(&count), "{name}: {count}");
    }
}

#[test]
fn trouble_of_the_writer_that_comes_and_goes_does_not_spend_the_budget_of_one_that_is_down() {
    let mut rig = Rig::steady();
    rig.trouble("i-2", Fault::Refused);
    let mut without_i2 = |_: &mut Rig, target: &Target| match target {
        Target::Instance(id) if id.as_str() == "i-2" => refused(),
        other => Some(well(other)),
    };
    rig.run(SECOND + 200 * TICK, &mut without_i2);
    rig.asked.clear();
    let began = rig.now;
    while rig.now < began + SECOND {
        rig.trouble("i-1", Fault::Starting);
        rig.run(20 * TICK, &mut without_i2);
    }
    let count = rig.count(&instance("i-2"));
    assert!((15..=20).contains(&count), "{count}");
}

#[test]
fn a_hint_brings_one_question_forward_and_a_stream_of_hints_no_storm() {
    let mut rig = Rig::steady();
    rig.run(500 * TICK, &mut |_, target| Some(well(target)));
    rig.asked.clear();
    rig.cadence.ask_now(&InstanceId::new("i-3"), rig.now);
    let hinted_at = rig.now;
    rig.run(100 * TICK, &mut |_, target| Some(well(target)));
    assert_eq!(rig.times(&instance("i-3")), [hinted_at]);
    rig.asked.clear();
    let began = rig.now;
    while rig.now < began + SECOND {
        rig.cadence.ask_now(&InstanceId::new("i-1"), rig.now);
        rig.run(TICK, &mut |_, target| Some(well(target)));
    }
    let count = rig.count(&instance("i-1"));
    assert!((15..=21).contains(&count), "{count}");
}

#[test]
fn a_hint_while_a_question_is_under_way_is_not_forgotten() {
    let mut rig = Rig::steady();
    rig.run(SECOND * 6 / 5, &mut |_, _| None);
    assert_eq!(rig.count(&instance("i-1")), 1);
    rig.cadence.ask_now(&InstanceId::new("i-1"), rig.now);
    let begun = rig.times(&instance("i-1"))[0];
    rig.cadence
        .done(&instance("i-1"), begun, rig.now, Reply::Answered);
    assert_eq!(rig.cadence.take_due(rig.now), [instance("i-1")]);
}

#[test]
fn an_old_writer_that_has_not_said_what_it_is_now_is_asked_until_it_has() {
    let mut rig = Rig::steady();
    let mut speak = |identity: &str, is_writer| {
        rig.now += TICK;
        let answer = Answer::Speaks {
            identity: identity.to_owned(),
            is_writer,
        };
        rig.take_in(&answer.observation(&instance(identity), rig.now));
    };
    speak("i-2", true);
    assert_eq!(rig.topology.writer().unwrap().id().as_str(), "i-2");
    let after_failover = |_: &mut Rig, target: &Target| {
        Some(Answer::Speaks {
            identity: match target {
                Target::Instance(id) => id.to_string(),
                Target::Seed(_) => "i-1".to_owned(),
            },
            is_writer: *target == instance("i-2"),
        })
    };
    rig.run(SECOND, &mut { after_failover });
    assert_eq!(rig.topology.readers().count(), 2);
    rig.asked.clear();
    rig.run(5 * SECOND, &mut { after_failover });
    assert_eq!(rig.count(&instance("i-1")), 0);
}

#[test]
fn an_instance_that_was_forgotten_is_not_asked_again() {
    let mut rig = Rig::steady();
    rig.cadence.follow(&Topology::empty(), rig.now);
    assert_eq!(rig.cadence.take_due(rig.now), [Target::Seed(0)]);
    let far = rig.now + 60 * SECOND;
    assert_eq!(rig.cadence.take_due(far), []);
}

/// How long after a failed try begun at `age` the next is due, at least and at most; it came so
/// much later than it was due.
fn spread(age: Duration, late: Duration) -> (Duration, Duration) {
    let refused = Reply::Failed(Fault::Refused);
    let gaps = (0..500).map(|seed| {
        let mut rig = Rig::steady();
        rig.cadence.rng = Rng::seeded(seed);
        rig.trouble("i-1", Fault::Refused);
        let target = instance("i-1");
        let began = rig.now;
        rig.cadence.done(&target, began, began, refused);
        let asked_at = began + age;
        rig.cadence.entries.get_mut(&target).unwrap().next = asked_at - late;
        rig.cadence.done(&target, asked_at, asked_at, refused);
        rig.cadence.entries[&target].next - asked_at
    });
    let gaps: Vec<Duration> = gaps.collect();
    let least = *gaps.iter().min().unwrap();
    (least, *gaps.iter().max().unwrap())
}

#[test]
fn processes_are_spread_widely_at_first_and_promises_only_get_longer() {
    let dense = ATTEMPT_PHASES[0].interval;
    let (least, most) = spread(10 * TICK, Duration::ZERO);
    assert!(least < dense.mul_f64(0.85) && most > dense.mul_f64(1.15));
    assert!(least > dense.mul_f64(0.79) && most < dense.mul_f64(1.21));
    let (least, most) = spread(SECOND * 3 / 2, Duration::ZERO);
    assert!(least >= PROMISED_INTERVAL && most > PROMISED_INTERVAL.mul_f64(1.15));
    let (least, most) = spread(SECOND * 3, Duration::ZERO);
    assert!(least >= PROMISED_INTERVAL && most < PROMISED_INTERVAL.mul_f64(1.03));
    assert!(most > PROMISED_INTERVAL);
}

#[test]
fn a_late_question_is_followed_sooner_only_where_nothing_is_promised() {
    let late = TICK;
    let (least, _) = spread(10 * TICK, late);
    assert!(least < ATTEMPT_PHASES[0].interval.mul_f64(0.79));
    let (least, _) = spread(SECOND * 3 / 2, SECOND / 2);
    assert!(least >= PROMISED_INTERVAL, "the process stood still");
}

#[test]
fn an_engine_that_is_starting_when_it_is_first_met_has_been_away_since_it_was_asked() {
    let mut rig = Rig::steady();
    rig.trouble("i-1", Fault::Terminated);
    let target = instance("i-1");
    let (asked_at, answered_at) = (rig.now, rig.now + SECOND * 3);
    let starting = Reply::Failed(Fault::Starting);
    rig.cadence.done(&target, asked_at, answered_at, starting);
    let tries = rig.cadence.entries[&target].tries.expect("it is away");
    assert_eq!(tries.since, asked_at);
}
