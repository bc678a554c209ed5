//! The replica-status table, and what each instance believes of it.
//!
//! The writer keeps the table; each reader follows with a copy that is a little behind. When the
//! writer goes, the copies stop. A promoted writer begins a table of its own with one row, its
//! own; the others reappear in it one by one, and their copies follow again, some sooner than
//! others. Until then they name the old writer.

use std::time::Duration;

use crate::id::InstanceId;

use super::instance::{InstanceState, Role, View};
use super::queue::{Due, FormerRows};
use super::table::{LINGERING_LAG_MILLIS, Row, Table};
use super::{World, reader_row};

/// How many rows of deleted instances are kept at most.
const LINGERING_MAX: usize = 64;

impl World {
    /// Changes the writer's table, if there is a writer to keep it.
    pub(super) fn edit_table(&mut self, now: Duration, edit: impl FnOnce(&mut Table)) {
        if self.commit_right.is_some() {
            let mut table = (*self.history.newest()).clone();
            edit(&mut table);
            self.history.push(now, table);
        }
    }

    /// The writer is gone: nobody's copy is renewed any more.
    pub(super) fn stop_following(&mut self, now: Duration) {
        self.writerless_until = now.saturating_add(self.timeline.views.no_writer);
        let frozen: Vec<(InstanceId, View)> = self
            .instances
            .iter()
            .filter(|(_, instance)| matches!(instance.view, View::Following))
            .map(|(id, instance)| {
                let at = match instance.role {
                    Role::Writer => now,
                    Role::Reader => now.saturating_sub(instance.propagation),
                };
                let table = self.history.at(at);
                (id.clone(), View::Stale { at, table })
            })
            .collect();
        for (id, view) in frozen {
            if let Some(instance) = self.instances.get_mut(&id) {
                instance.view = view;
            }
        }
    }

    pub(super) fn freeze_row(&mut self, id: &InstanceId, now: Duration) {
        self.edit_table(now, |table| {
            if let Some(row) = table.rows.get_mut(id) {
                row.freeze(now);
            }
        });
    }

    /// The row of a deleted instance stays behind.
    pub(super) fn leave_row(&mut self, id: &InstanceId, now: Duration) {
        let Some(instance) = self.instances.get(id) else {
            return;
        };
        let mut row = reader_row(instance, now);
        row.freeze(now);
        row.lag_millis = LINGERING_LAG_MILLIS;
        self.lingering.insert(id.clone(), row.clone());
        if self.lingering.len() > LINGERING_MAX {
            self.lingering.pop_first();
        }
        self.edit_table(now, |table| {
            table.rows.insert(id.clone(), row);
        });
        let forgotten_at = now.saturating_add(self.timeline.views.lingering);
        let forgotten = Due::RowForgotten {
            instance: id.clone(),
        };
        self.queue.push(forgotten_at, forgotten);
    }

    pub(super) fn row_forgotten(&mut self, id: &InstanceId, now: Duration) {
        // Unless the name is in use again.
        if self.lingering.remove(id).is_some() {
            self.edit_table(now, |table| {
                table.rows.remove(id);
            });
        }
    }

    /// A promoted writer's table has one row. The rest follows.
    pub(super) fn views_after_promotion(
        &mut self,
        id: &InstanceId,
        former: FormerRows,
        now: Duration,
    ) {
        let mut table = Table::default();
        table.rows.insert(id.clone(), Row::writer(now));
        self.history.push(now, table);
        self.follow(id);

        let listed_at = now.saturating_add(self.timeline.views.one_row);
        let two_writers = self.timeline.views.two_writers;
        self.queue.push(listed_at, Due::FormerRows(former.clone()));
        self.queue.push(
            listed_at.saturating_add(two_writers),
            Due::OldWriterRowGone(former),
        );
        for (instance, boot) in self.readers_up() {
            let listed = Due::Listed {
                instance: instance.clone(),
                boot,
            };
            self.queue.push(listed_at, listed);
            let stale = self.up_to(self.timeline.views.stale_readers);
            let caught_up_at = listed_at.saturating_add(stale);
            self.queue
                .push(caught_up_at, Due::CaughtUp { instance, boot });
        }
    }

    /// The same writer again: its table is as it was, and the readers follow at once.
    pub(super) fn views_after_restart(&mut self, id: &InstanceId, now: Duration) {
        let lingering = self.lingering.clone();
        self.edit_table(now, |table| {
            // What an earlier promotion left behind is settled by now.
            table.rows.retain(|_, row| row.session.is_some());
            table.rows.extend(lingering);
            table.rows.insert(id.clone(), Row::writer(now));
        });
        self.follow(id);
        for (instance, boot) in self.readers_up() {
            self.listed(&instance, boot, now);
            self.caught_up(&instance, boot);
        }
    }

    fn readers_up(&self) -> Vec<(InstanceId, u64)> {
        self.instances
            .iter()
            .filter(|(_, instance)| instance.role == Role::Reader && instance.is_up())
            .map(|(id, instance)| (id.clone(), instance.boot))
            .collect()
    }

    fn follow(&mut self, id: &InstanceId) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.view = View::Following;
            instance.demoted = false;
        }
    }

    /// A reader came up. If there is no writer now, the next one will list it.
    pub(super) fn view_of_new_reader(&mut self, id: &InstanceId, boot: u64, now: Duration) {
        if self.writer().is_none() {
            return;
        }
        self.listed(id, boot, now);
        let stale = match self.instances.get(id) {
            Some(instance) if instance.demoted => self.timeline.views.stale_old_writer,
            _ => Duration::ZERO,
        };
        let caught_up = Due::CaughtUp {
            instance: id.clone(),
            boot,
        };
        self.queue.push(now.saturating_add(stale), caught_up);
    }

    pub(super) fn listed(&mut self, id: &InstanceId, boot: u64, now: Duration) {
        let Some(instance) = self.instances.get(id) else {
            return;
        };
        let row = reader_row(instance, now);
        let in_service = instance.role == Role::Reader && instance.state != InstanceState::Draining;
        if instance.boot == boot && in_service {
            self.edit_table(now, |table| {
                let listed = table.rows.get(id).and_then(|row| row.session.as_ref());
                if listed != row.session.as_ref() {
                    table.rows.insert(id.clone(), row);
                }
            });
        }
    }

    pub(super) fn caught_up(&mut self, id: &InstanceId, boot: u64) {
        if self.is_boot(id, boot) && self.writer().is_some() {
            self.follow(id);
        }
    }

    pub(super) fn former_rows(&mut self, former: FormerRows, now: Duration) {
        if self.failovers != former.failover {
            return;
        }
        let lingering = self.lingering.clone();
        let two_writers = !self.timeline.views.two_writers.is_zero();
        self.edit_table(now, |table| {
            for (id, row) in lingering {
                table.rows.entry(id).or_insert(row);
            }
            if let Some((old, renewed_at)) = former.old.filter(|_| two_writers) {
                let mut row = Row::writer(renewed_at);
                row.freeze(renewed_at);
                table.rows.entry(old).or_insert(row);
            }
        });
    }

    pub(super) fn old_writer_row_gone(&mut self, former: FormerRows, now: Duration) {
        let Some((old, _)) = former.old else {
            return;
        };
        if self.failovers == former.failover && self.writer() != Some(&old) {
            self.edit_table(now, |table| {
                if table
                    .rows
                    .get(&old)
                    .is_some_and(|row| row.session.is_none())
                {
                    table.rows.remove(&old);
                }
            });
        }
    }
}
