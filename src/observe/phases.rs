//! How long each phase of a failover took, by its events. Pure.

use std::time::Duration;

use crate::event::EventKind;
use crate::time::Instant;

/// The failover under way, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    suspected: Option<Instant>,
    lost: Option<Instant>,
    confirmed: Option<Instant>,
}

/// A phase of a failover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// From the first doubt to the certainty that the writer is lost.
    Doubt,
    /// From there until a writer is confirmed.
    Election,
    /// From there until a statement of the application has succeeded.
    Resumption,
    /// From the first doubt to that statement.
    Total,
}

impl Phase {
    pub(crate) const ALL: [Self; 4] = [Self::Doubt, Self::Election, Self::Resumption, Self::Total];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Doubt => "doubt",
            Self::Election => "election",
            Self::Resumption => "resumption",
            Self::Total => "total",
        }
    }
}

impl Phases {
    /// Takes an event in; the phases that end with it.
    pub(crate) fn hear(&mut self, now: Instant, what: &EventKind) -> Vec<(Phase, Duration)> {
        let since = |begin: Instant| now.saturating_duration_since(begin);
        match what {
            EventKind::WriterSuspected { .. } => {
                *self = Self {
                    suspected: Some(now),
                    ..Self::default()
                };
                Vec::new()
            }
            EventKind::WriterLost { .. } => {
                let suspected = self.suspected.filter(|_| self.confirmed.is_none());
                *self = Self {
                    suspected: Some(suspected.unwrap_or(now)),
                    lost: Some(now),
                    confirmed: None,
                };
                vec![(Phase::Doubt, since(suspected.unwrap_or(now)))]
            }
            EventKind::WriterConfirmed { .. } => match self.lost {
                Some(lost) if self.confirmed.is_none() => {
                    self.confirmed = Some(now);
                    vec![(Phase::Election, since(lost))]
                }
                // It was in doubt and is the writer: no failover.
                Some(_) | None => {
                    *self = Self::default();
                    Vec::new()
                }
            },
            EventKind::WritesResumed { .. } => {
                let Self {
                    suspected,
                    confirmed,
                    ..
                } = std::mem::take(self);
                let resumption = confirmed.map(|confirmed| (Phase::Resumption, since(confirmed)));
                let total = suspected.map(|suspected| (Phase::Total, since(suspected)));
                let ended = resumption.and_then(|resumption| Some([resumption, total?]));
                ended.into_iter().flatten().collect()
            }
            EventKind::GenerationEnded { .. }
            | EventKind::InstanceAdded { .. }
            | EventKind::InstanceDown { .. }
            | EventKind::InstanceRemoved { .. }
            | EventKind::InstanceUp { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Epoch, InstanceId};

    /// The phases that end when these happen, a second apart.
    fn ended(events: &[&str]) -> Vec<(&'static str, u64)> {
        let instance = InstanceId::new("1");
        let cause = "it is gone";
        let begin = crate::time::now();
        let mut phases = Phases::default();
        let mut all = Vec::new();
        for (second, event) in (0..).zip(events) {
            let instance = instance.clone();
            let event = match *event {
                "suspected" => EventKind::WriterSuspected { instance, cause },
                "lost" => EventKind::WriterLost { instance, cause },
                "confirmed" => EventKind::WriterConfirmed {
                    instance,
                    epoch: Epoch(1),
                    after: None,
                },
                "resumed" => EventKind::WritesResumed {
                    instance,
                    after: Duration::ZERO,
                },
                _ => EventKind::InstanceUp { instance },
            };
            let now = begin + Duration::from_secs(second);
            let ended = phases.hear(now, &event);
            all.extend(
                ended
                    .into_iter()
                    .map(|(phase, took)| (phase.name(), took.as_secs())),
            );
        }
        all
    }

    #[test]
    fn a_failover_has_its_phases_one_after_the_other() {
        assert_eq!(
            ended(&["suspected", "up", "lost", "confirmed", "resumed"]),
            [
                ("doubt", 2),
                ("election", 1),
                ("resumption", 1),
                ("total", 4)
            ]
        );
    }

    #[test]
    fn what_was_no_failover_has_none() {
        assert_eq!(ended(&["confirmed", "suspected", "confirmed"]), []);
        assert_eq!(ended(&["confirmed", "resumed"]), []);
    }

    #[test]
    fn a_second_failover_begins_anew_where_the_first_was_not_told_to_its_end() {
        assert_eq!(
            ended(&[
                "lost",
                "confirmed",
                "lost",
                "confirmed",
                "resumed",
                "resumed"
            ]),
            [
                ("doubt", 0),
                ("election", 1),
                ("doubt", 0),
                ("election", 1),
                ("resumption", 1),
                ("total", 2)
            ]
        );
    }
}
