//! When to ask whom. Pure: the clock and the dice are handed in.
//!
//! | state | who is asked | how often |
//! |---|---|---|
//! | steady | the writer | every `probe_interval` |
//! | an instance is not up, or its role is unknown | that instance | as [`ALERT_PHASES`] say, since then |
//! | no confirmed writer (alert) | every known instance, in parallel | as [`ALERT_PHASES`] say, since the alert began |
//! | no instance known, or none up | the seeds | as in alert, at least [`SEED_INTERVAL`] apart once instances are known |
//!
//! At most one question to one instance is under way at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::snapshot::{Health, Instance, Phase, Role, Topology};
use crate::config::timing::ALERT_PHASES;
use crate::id::InstanceId;
use crate::rng::Rng;
use crate::time::Instant;

/// Seeds are names in DNS, which knows less than the instances: they are the last resort.
const SEED_INTERVAL: Duration = Duration::from_secs(1);

/// So that a thousand processes which lost the same writer do not ask in step.
const JITTER_PERCENT: u32 = 20;

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
    alert_since: Option<Instant>,
    entries: BTreeMap<Target, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    next: Instant,
    /// Since when it is asked more often than the steady cadence.
    urgent_since: Option<Instant>,
    under_way: bool,
}

impl Cadence {
    pub(crate) fn new(seeds: usize, steady_interval: Duration, rng: Rng) -> Self {
        Self {
            seeds,
            steady_interval,
            rng,
            alert_since: None,
            entries: BTreeMap::new(),
        }
    }

    /// Fits the timetable to a new picture: who is to be asked at all, and how urgently.
    pub(crate) fn follow(&mut self, topology: &Topology, now: Instant) {
        let alert = topology.phase() != Phase::Steady;
        if alert {
            self.alert_since.get_or_insert(now);
        } else {
            self.alert_since = None;
        }
        let mut wanted: BTreeMap<Target, bool> = topology
            .instances()
            .filter_map(|instance| {
                let urgent = alert || is_unsettled(instance);
                let asked = urgent
                    || topology
                        .writer()
                        .is_some_and(|writer| writer.id() == instance.id());
                asked.then(|| (Target::Instance(instance.id().clone()), urgent))
            })
            .collect();
        let none_up = topology
            .instances()
            .all(|instance| instance.health() != Health::Up);
        if none_up {
            wanted.extend((0..self.seeds).map(|seed| (Target::Seed(seed), true)));
        }
        self.entries
            .retain(|target, entry| wanted.contains_key(target) || entry.under_way);
        for (target, urgent) in wanted {
            let entry = self.entries.entry(target).or_insert(Entry {
                next: now,
                urgent_since: None,
                under_way: false,
            });
            match (urgent, entry.urgent_since) {
                (true, None) => {
                    entry.urgent_since = Some(now);
                    entry.next = now;
                }
                (false, Some(_)) => entry.urgent_since = None,
                (true, Some(_)) | (false, None) => {}
            }
        }
        if topology.instances().len() > 0 {
            self.space_out_seeds(now);
        }
    }

    fn space_out_seeds(&mut self, now: Instant) {
        for (target, entry) in &mut self.entries {
            if matches!(target, Target::Seed(_)) && entry.urgent_since == Some(now) {
                entry.next = now + SEED_INTERVAL;
            }
        }
    }

    /// Brings the next question to an instance forward to `now`.
    pub(crate) fn ask_now(&mut self, id: &InstanceId, now: Instant) {
        let entry = self
            .entries
            .entry(Target::Instance(id.clone()))
            .or_insert(Entry {
                next: now,
                urgent_since: None,
                under_way: false,
            });
        entry.next = entry.next.min(now);
    }

    /// The targets whose time has come; they count as being asked from now on.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Target> {
        let mut due = Vec::new();
        for (target, entry) in &mut self.entries {
            if !entry.under_way && entry.next <= now {
                entry.under_way = true;
                due.push(target.clone());
            }
        }
        due
    }

    /// A question was answered, or given up: when to ask again.
    ///
    /// `asked_at` is when the question was begun; the interval counts from there.
    pub(crate) fn done(&mut self, target: &Target, asked_at: Instant, now: Instant) {
        let alert_since = self.alert_since;
        let Some(entry) = self.entries.get_mut(target) else {
            return;
        };
        entry.under_way = false;
        let interval = match (entry.urgent_since, target) {
            (None, _) => self.steady_interval,
            (Some(_), Target::Seed(_)) if alert_since.is_none() => SEED_INTERVAL,
            (Some(since), _) => alert_interval(now.saturating_duration_since(since)),
        };
        entry.next = asked_at + self.rng.jitter(interval, JITTER_PERCENT);
    }

    /// When the next question is due; `None` while all are under way or there is nobody to ask.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.entries
            .values()
            .filter(|entry| !entry.under_way)
            .map(|entry| entry.next)
            .min()
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
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_refuses_for_a_second_is_asked_about_a_hundred_times() {
        let mut age = Duration::ZERO;
        let mut asked = 0;
        while age < Duration::from_secs(1) {
            asked += 1;
            age += alert_interval(age);
        }
        assert!((80..=100).contains(&asked), "{asked}");
    }

    #[test]
    fn a_target_is_not_asked_again_before_it_has_answered() {
        let now = crate::time::now();
        let mut cadence = Cadence::new(1, Duration::from_secs(1), Rng::seeded(1));
        cadence.follow(&Topology::empty(), now);
        assert_eq!(cadence.take_due(now), [Target::Seed(0)]);
        let later = now + Duration::from_secs(10);
        assert_eq!(cadence.take_due(later), []);
        assert_eq!(cadence.next_due(), None);
        cadence.done(&Target::Seed(0), now, later);
        assert_eq!(cadence.take_due(later), [Target::Seed(0)]);
    }
}
