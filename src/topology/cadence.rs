//! When to ask whom. Pure: the clock and the dice are handed in.
//!
//! | state | who is asked | how often |
//! |---|---|---|
//! | steady | the writer | every `probe_interval` |
//! | an instance is not up, or its role is unknown | that instance | *as in an alert* |
//! | alert: no confirmed writer | every known instance, in parallel | *as in an alert* |
//! | no instance known, or none up | the seeds | *as in an alert*; [`SEED_INTERVAL`] apart once instances are known |
//!
//! *As in an alert*: one that answers is asked as [`QUESTION_PHASES`] say, since the trouble
//! began; one that does not is tried as [`ATTEMPT_PHASES`] say, since it stopped answering. An
//! engine that is starting (57P03) after it was not running at all has made progress, so it is
//! tried as if it had stopped a second ago.
//!
//! At most one question to one target is under way at a time. Neither trouble that comes and goes
//! ([`URGENT_SPACING`]) nor hints ([`HINT_SPACING`]) can make questions to one target a storm.

use std::collections::BTreeMap;
use std::time::Duration;

use super::observation::Fault;
use super::snapshot::{Health, Instance, Phase, Role, Topology};
use crate::config::timing::{
    ATTEMPT_PHASES, ATTEMPTS_FIRST_SECOND_MAX, AlertPhase, QUESTION_PHASES,
};
use crate::id::InstanceId;
use crate::rng::Rng;
use crate::time::Instant;

/// Seeds are names in DNS, which knows less than the instances: they are the last resort.
const SEED_INTERVAL: Duration = Duration::from_secs(1);

/// The least between a question and one for a trouble that has just begun: an instance that
/// falls in and out of trouble is asked no more often than one that stays in it.
const URGENT_SPACING: Duration = Duration::from_millis(1_000 / ATTEMPTS_FIRST_SECOND_MAX as u64);

/// What the budget of tries is counted in.
const FIRST_SECOND: Duration = Duration::from_secs(1);

/// The least between a question and one for a hint: in an alert every other instance's table may
/// hold the same hint, right or wrong.
const HINT_SPACING: Duration = Duration::from_millis(50);

/// So that a thousand processes which lost the same writer do not ask in step.
const JITTER_PERCENT: u32 = 20;

/// How long a target must have been away before a new trouble lets it be tried as if it had been
/// away for a second.
const RENEWAL_AGE: Duration = Duration::from_secs(5);

/// Intervals from this on are promises to the database: they only get longer.
const PROMISED_INTERVAL: Duration = Duration::from_millis(50);

/// For so long they get longer by [`JITTER_PERCENT`], also where tries begin as if they had gone
/// on for a second; then processes are out of step.
const SPREADING_PERIOD: Duration = Duration::from_secs(2);

/// By how much at most they get longer from then on: a promotion need not wait for more.
const PROMISED_JITTER_PERCENT: u32 = 2;

/// Nor must those ask in step which confirmed the same new writer at the same moment.
const STEADY_JITTER_PERCENT: u32 = 20;

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// An instance, at its own endpoint.
    Instance(InstanceId),
    /// One of the names the application gave, by its position.
    Seed(usize),
}

/// The timetable of one monitor.
#[derive(Debug)]
pub(crate) struct Cadence {
    seeds: usize,
    steady_interval: Duration,
    rng: Rng,
    alert: bool,
    instances_known: bool,
    entries: BTreeMap<Target, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    need: Need,
    /// When the next regular question is due; nothing while there is no need.
    next: Instant,
    /// Since when a question out of turn is wanted.
    hinted_at: Option<Instant>,
    last_begun: Option<Instant>,
    under_way: bool,
    /// Set while it does not answer.
    tries: Option<Tries>,
}

/// A target that does not answer.
#[derive(Debug, Clone, Copy)]
struct Tries {
    since: Instant,
    /// How many there were in the first second.
    first_second: u32,
    /// It has said that its engine is starting.
    starting: bool,
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Answered,
    Failed(Fault),
}

/// Why a target is asked regularly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// It is not.
    Nothing,
    /// It is the writer.
    Steady,
    /// Something is wrong, since then.
    Urgent(Instant),
}

impl Cadence {
    pub(crate) fn new(seeds: usize, steady_interval: Duration, rng: Rng) -> Self {
        Self {
            seeds,
            steady_interval,
            rng,
            alert: false,
            instances_known: false,
            entries: BTreeMap::new(),
        }
    }

    /// Fits the timetable to a new picture: who is to be asked at all, and how urgently.
    pub(crate) fn follow(&mut self, topology: &Topology, now: Instant) {
        let alert = topology.phase() != Phase::Steady;
        let alert_begins = alert && !self.alert;
        self.alert = alert;
        self.instances_known = topology.instances().len() > 0;
        self.entries.retain(|target, entry| {
            let known = match target {
                Target::Instance(id) => topology.instance(id).is_some(),
                Target::Seed(_) => true,
            };
            known || entry.under_way
        });
        let writer = topology.writer().map(Instance::id);
        let mut none_up = true;
        for instance in topology.instances() {
            none_up &= instance.health() != Health::Up;
            let urgent = alert || is_unsettled(instance);
            let need = match self
                .entry(Target::Instance(instance.id().clone()), now)
                .need
            {
                Need::Urgent(since) if urgent && !alert_begins => Need::Urgent(since),
                _ if urgent => Need::Urgent(now),
                _ if writer == Some(instance.id()) => Need::Steady,
                _ => Need::Nothing,
            };
            self.set_need(Target::Instance(instance.id().clone()), need, now);
        }
        for seed in 0..self.seeds {
            let need = match self.entry(Target::Seed(seed), now).need {
                Need::Urgent(since) if none_up => Need::Urgent(since),
                _ if none_up => Need::Urgent(now),
                _ => Need::Nothing,
            };
            self.set_need(Target::Seed(seed), need, now);
        }
    }

    /// Asks an instance out of turn, as soon as [`HINT_SPACING`] allows.
    pub(crate) fn ask_now(&mut self, id: &InstanceId, now: Instant) {
        let entry = self.entry(Target::Instance(id.clone()), now);
        entry.hinted_at.get_or_insert(now);
    }

    /// The targets whose time has come; they count as being asked from now on.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Target> {
        let mut due = Vec::new();
        for (target, entry) in &mut self.entries {
            if entry.due_at().is_some_and(|at| at <= now) {
                entry.under_way = true;
                entry.hinted_at = None;
                entry.last_begun = Some(now);
                due.push(target.clone());
            }
        }
        due
    }

    /// A question was answered, or given up: when to ask again.
    ///
    /// `asked_at` is when the question was begun; the interval counts from there.
    pub(crate) fn done(&mut self, target: &Target, asked_at: Instant, now: Instant, reply: Reply) {
        let Some(entry) = self.entries.get_mut(target) else {
            return;
        };
        entry.under_way = false;
        entry.note(asked_at, now, reply);
        let since = match (entry.need, target) {
            // "At most one question per interval" is a promise: it only gets longer.
            (Need::Nothing | Need::Steady, _) => {
                let interval = self.steady_interval;
                entry.next = asked_at + self.rng.lengthen(interval, STEADY_JITTER_PERCENT);
                return;
            }
            (Need::Urgent(_), Target::Seed(_)) if self.instances_known => {
                entry.next = asked_at + SEED_INTERVAL;
                return;
            }
            (Need::Urgent(since), _) => since,
        };
        let (phases, since): (&[_], _) = match entry.tries {
            Some(tries) => (&ATTEMPT_PHASES, tries.since),
            None => (&QUESTION_PHASES, since),
        };
        let age = now.saturating_duration_since(since);
        let interval = interval(phases, age);
        let interval = if interval < PROMISED_INTERVAL {
            self.rng.jitter(interval, JITTER_PERCENT)
        } else if age < SPREADING_PERIOD {
            self.rng.lengthen(interval, JITTER_PERCENT)
        } else {
            self.rng.lengthen(interval, PROMISED_JITTER_PERCENT)
        };
        // Counted from when it was due, as timers are late by up to a millisecond.
        let begun = if interval >= PROMISED_INTERVAL {
            asked_at
        } else {
            entry.next.min(asked_at)
        };
        entry.next = (begun + interval).max(now);
        if let Some(tries) = entry.tries
            && tries.first_second >= ATTEMPTS_FIRST_SECOND_MAX
        {
            entry.next = entry.next.max(tries.since + FIRST_SECOND);
        }
    }

    /// When the next question is due; `None` while all are under way or there is nobody to ask.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.entries.values().filter_map(Entry::due_at).min()
    }

    fn entry(&mut self, target: Target, now: Instant) -> &mut Entry {
        self.entries.entry(target).or_insert(Entry {
            need: Need::Nothing,
            next: now,
            hinted_at: None,
            last_begun: None,
            under_way: false,
            tries: None,
        })
    }

    fn set_need(&mut self, target: Target, need: Need, now: Instant) {
        let steady_interval = self.steady_interval;
        let is_last_resort = self.instances_known && matches!(target, Target::Seed(_));
        let entry = self.entry(target, now);
        if entry.need == need {
            return;
        }
        let was = std::mem::replace(&mut entry.need, need);
        match (was, need) {
            (_, Need::Urgent(_)) if is_last_resort => entry.next = now + SEED_INTERVAL,
            (_, Need::Urgent(_)) => {
                if let Some(tries) = &mut entry.tries {
                    // A new trouble is reason enough to try again those that have long been
                    // away; the others are tried as often as they may be, trouble or no trouble.
                    if now.saturating_duration_since(tries.since) > RENEWAL_AGE {
                        tries.since = now.checked_sub(FIRST_SECOND).unwrap_or(now);
                    } else if matches!(was, Need::Urgent(_)) {
                        return;
                    }
                }
                let earliest = entry.last_begun.map(|begun| begun + URGENT_SPACING);
                entry.next = earliest.map_or(now, |earliest| earliest.max(now));
            }
            (Need::Nothing, Need::Steady) => entry.next = now,
            // It has just been asked, by way of the trouble that is over.
            (Need::Urgent(_) | Need::Steady, Need::Steady) => {
                entry.next = entry.last_begun.unwrap_or(now) + steady_interval;
            }
            (_, Need::Nothing) => {}
        }
    }
}

impl Entry {
    /// Counts the tries of a target that does not answer.
    fn note(&mut self, asked_at: Instant, now: Instant, reply: Reply) {
        let Reply::Failed(fault) = reply else {
            self.tries = None;
            return;
        };
        let tries = self.tries.get_or_insert(Tries {
            since: asked_at,
            first_second: 0,
            starting: false,
        });
        let starting = fault == Fault::Starting;
        if starting && !tries.starting && tries.first_second > 0 {
            let earliest = now.checked_sub(FIRST_SECOND).unwrap_or(now);
            tries.since = tries.since.max(earliest);
        }
        tries.starting |= starting;
        if now.saturating_duration_since(tries.since) < FIRST_SECOND {
            tries.first_second += 1;
        }
    }

    fn due_at(&self) -> Option<Instant> {
        if self.under_way {
            return None;
        }
        let regular = (self.need != Need::Nothing).then_some(self.next);
        // One that does not answer is tried as often as it may be, hint or no hint.
        let answers = self.need == Need::Nothing || self.tries.is_none();
        let hinted = self.hinted_at.filter(|_| answers).map(|hinted_at| {
            let earliest = self.last_begun.map(|begun| begun + HINT_SPACING);
            earliest.map_or(hinted_at, |earliest| earliest.max(hinted_at))
        });
        match (regular, hinted) {
            (Some(regular), Some(hinted)) => Some(regular.min(hinted)),
            (either, None) | (None, either) => either,
        }
    }
}

/// Whether an instance must be asked although nobody waits for a writer: it cannot be used, or
/// has not said what it is since it was demoted.
fn is_unsettled(instance: &Instance) -> bool {
    match instance.health() {
        Health::Up => instance.role() == Role::Unknown,
        Health::Down | Health::Suspect | Health::Unknown => true,
    }
}

/// How far apart two questions are, `age` after the first phase began.
fn interval(phases: &[AlertPhase], age: Duration) -> Duration {
    let phase = phases
        .iter()
        .find(|phase| phase.until.is_none_or(|until| age < until));
    phase.map_or(SEED_INTERVAL, |phase| phase.interval)
}

#[cfg(test)]
mod tests;
