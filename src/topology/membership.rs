//! Who is a member of the cluster: what the tables add, and who is forgotten. Pure.
//!
//! Only the confirmed writer's table takes anybody away, and never at once: after a promotion it
//! fills up row by row, and may show the writer alone meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::apply::{Change, Effect};
use super::observation::{Report, Row};
use super::snapshot::{Health, Listing, Phase};
use super::table::{is_leftover, newest_writer_row, plausible_lag, shows};
use crate::config::timing::REMOVAL_PERIOD;
use crate::event::EventKind;
use crate::id::InstanceId;
use crate::time::Instant;

/// How long after a promotion the new writer's table may still lack members: readers reappear
/// within about 30 s (AWS JDBC wrapper, failover2).
const SETTLING_PERIOD: Duration = Duration::from_secs(30);

/// Aurora allows 16 instances in a cluster; the rest is room for leftovers. Each known instance
/// costs a pool and questions, so a table full of nonsense must have an end.
pub(super) const INSTANCES_MAX: usize = 64;

impl Change {
    pub(super) fn believe_writers_table(&mut self, report: &Report) {
        let mut alone = true;
        for row in &report.rows {
            if row.id == report.identity {
                continue;
            }
            if is_leftover(row, report.server_now_micros) {
                self.mark_lingering(&row.id);
                continue;
            }
            alone = false;
            self.mark_listed(row);
        }
        // A table without the writer's own row is being rewritten: what else it lacks says nothing.
        let complete = shows(report, &report.identity);
        if alone && complete {
            self.next.sole_row_since.get_or_insert(self.now);
        } else {
            self.next.sole_row_since = None;
        }
        if !alone && complete {
            self.mark_missing(report);
        }
        self.ask_the_one_named_writer(report);
    }

    fn mark_listed(&mut self, row: &Row) {
        if !self.add(&row.id) {
            return;
        }
        let epoch = self.next.epoch;
        let instance = self.next.entry(&row.id);
        instance.listing = Listing::Listed;
        // Two writer rows are common after a failover: the old writer's is not rewritten yet.
        if !row.is_writer {
            instance.lag = plausible_lag(row.lag_millis);
            // A row of unknown age may have been written in another epoch.
            if row.updated_micros.is_some() {
                instance.reader_since_epoch = Some(epoch);
            }
        }
    }

    fn mark_lingering(&mut self, id: &InstanceId) {
        let now = self.now;
        if self.next.instances.contains_key(id) {
            let instance = self.next.entry(id);
            if !matches!(instance.listing, Listing::Lingering(_)) {
                instance.listing = Listing::Lingering(now);
                instance.lag = None;
            }
        }
    }

    /// After a promotion the table fills up again row by row; until it has settled, a missing
    /// row says nothing.
    fn mark_missing(&mut self, report: &Report) {
        let now = self.now;
        let settling = self.next.epoch.0 > 1
            && self
                .next
                .confirmed_at
                .is_some_and(|at| now.saturating_duration_since(at) < SETTLING_PERIOD);
        if settling {
            return;
        }
        for (id, instance) in &mut self.next.instances {
            if !shows(report, id) && instance.listing == Listing::Listed {
                Arc::make_mut(instance).listing = Listing::Missing(now);
            }
        }
    }

    /// A table that is not the writer's: its members are worth asking while there is no writer.
    pub(super) fn take_hints(&mut self, report: &Report) {
        if self.next.phase == Phase::Steady {
            return;
        }
        for row in &report.rows {
            if !is_leftover(row, report.server_now_micros) {
                self.add(&row.id);
            }
        }
        self.ask_the_one_named_writer(report);
    }

    /// A row makes nobody the writer, but whoever it names may have been promoted.
    fn ask_the_one_named_writer(&mut self, report: &Report) {
        if let Some(candidate) = newest_writer_row(report)
            && *candidate != report.identity
            && self.next.instances.contains_key(candidate)
        {
            self.effects.push(Effect::Ask(candidate.clone()));
        }
    }

    /// Makes an instance known, and says whether it is.
    fn add(&mut self, id: &InstanceId) -> bool {
        if self.next.instances.contains_key(id) {
            return true;
        }
        if self.next.instances.len() >= INSTANCES_MAX {
            return false;
        }
        self.next.entry(id);
        self.tell(EventKind::InstanceAdded {
            instance: id.clone(),
        });
        self.effects.push(Effect::Ask(id.clone()));
        true
    }

    /// Only a confirmed writer's table can say that somebody is gone: without one nobody is
    /// forgotten.
    pub(super) fn forget_the_gone(&mut self) {
        if self.next.phase != Phase::Steady {
            return;
        }
        let now = self.now;
        let over = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let writer = self.next.writer.clone();
        let sole_row_since = self.next.sole_row_since;
        if sole_row_since.is_some_and(|since| over(since, SETTLING_PERIOD)) {
            for (id, instance) in &mut self.next.instances {
                if Some(id) != writer.as_ref() && instance.listing == Listing::Listed {
                    Arc::make_mut(instance).listing = Listing::Missing(now);
                }
            }
        }
        let gone: Vec<InstanceId> = self
            .next
            .instances
            .values()
            // An old writer that still answers is remembered, lest its claim should pass for news.
            .filter(|instance| {
                instance.unaware_of_demotion.is_none() || instance.health != Health::Up
            })
            .filter(|instance| match instance.listing {
                Listing::Listed => false,
                Listing::Lingering(since) | Listing::Missing(since) => over(since, REMOVAL_PERIOD),
            })
            .map(|instance| instance.id.clone())
            .filter(|id| Some(id) != writer.as_ref())
            .collect();
        for id in gone {
            self.end_generation(&id, "it left the cluster");
            self.next.instances.remove(&id);
            self.tell(EventKind::InstanceRemoved { instance: id });
        }
    }
}
