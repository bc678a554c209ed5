//! When to ask whom. Pure: the clock and the dice are handed in.
//!
//! | state | who is asked | how often |
//! |---|---|---|
//! | steady | the writer | every `probe_interval` |
//! | an instance is not up, or its role is unknown | that instance | as [`ALERT_PHASES`] say, since then |
//! | no confirmed writer (alert) | every known instance, in parallel | as [`ALERT_PHASES`] say, since the alert began |
//! | no instance known, or none up | the seeds | as in alert, [`SEED_INTERVAL`] apart once instances are known |
//!
//! At most one question to one target is under way at a time. Neither trouble that comes and goes
//! ([`URGENT_SPACING`]) nor hints ([`HINT_SPACING`]) can make questions to one target a storm.

use std::collections::BTreeMap;
use std::time::Duration;

use super::snapshot::{Health, Instance, Phase, Role, Topology};
use crate::config::timing::{ALERT_PHASES, ALERT_PROBES_FIRST_SECOND_MAX};
use crate::id::InstanceId;
use crate::rng::Rng;
use crate::time::Instant;

/// Seeds are names in DNS, which knows less than the instances: they are the last resort.
const SEED_INTERVAL: Duration = Duration::from_secs(1);

/// The least between a question and one for a trouble that has just begun: an instance that
/// falls in and out of trouble is asked no more often than one that stays in it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a compile-time constant of two digits"
)]
const URGENT_SPACING: Duration =
    Duration::from_millis(1_000 / ALERT_PROBES_FIRST_SECOND_MAX as u64);

/// The least between a question and one for a hint: in an alert every other instance's table may
/// hold the same hint, right or wrong.
const HINT_SPACING: Duration = Duration::from_millis(50);

/// So that a thousand processes which lost the same writer do not ask in step.
const JITTER_PERCENT: u32 = 20;

/// Nor, later, those which confirmed the same new writer at the same moment.
const STEADY_JITTER_PERCENT: u32 = 10;

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
    pub(crate) fn done(&mut self, target: &Target, asked_at: Instant, now: Instant) {
        let Some(entry) = self.entries.get_mut(target) else {
            return;
        };
        entry.under_way = false;
        entry.next = asked_at
            + match (entry.need, target) {
                // "At most one question per interval" is a promise: it only gets longer.
                (Need::Nothing | Need::Steady, _) => self.rng.jitter(
                    self.steady_interval * (100 + STEADY_JITTER_PERCENT) / 100,
                    STEADY_JITTER_PERCENT - 1,
                ),
                (Need::Urgent(_), Target::Seed(_)) if self.instances_known => SEED_INTERVAL,
                (Need::Urgent(since), _) => {
                    let interval = alert_interval(now.saturating_duration_since(since));
                    self.rng.jitter(interval, JITTER_PERCENT)
                }
            };
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
    fn due_at(&self) -> Option<Instant> {
        if self.under_way {
            return None;
        }
        let regular = (self.need != Need::Nothing).then_some(self.next);
        let hinted = self.hinted_at.map(|hinted_at| {
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

/// How far apart two questions to one instance are, `age` after the trouble began.
fn alert_interval(age: Duration) -> Duration {
    let phase = ALERT_PHASES
        .iter()
        .find(|phase| phase.until.is_none_or(|until| age < until));
    phase.map_or(SEED_INTERVAL, |phase| phase.interval)
}

#[cfg(test)]
mod tests;
