//! From a fault of the writer, or a request, to the next writer.
//!
//! | | crash | planned failover | restart of the writer |
//! |---|---|---|---|
//! | begins | at the fault | at the request | at the request |
//! | the writer is cut | at the fault, reset | after the drain, with a goodbye | at once, with a goodbye |
//! | a successor is chosen | when the crash is detected | at the request, again at the cut | none |
//! | ends | when the successor accepts; without a reader, the same instance | likewise | when it accepts again |

use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::front::Ending;

use super::instance::{InstanceState, Role};
use super::queue::{Due, FailoverId, FormerRows};
use super::{Effect, Refusal, World};

/// A writer's outage, from the fault until a writer accepts again.
#[derive(Debug, Clone)]
pub(super) struct Failover {
    pub(super) id: FailoverId,
    /// When the crash happened, or the failover was requested.
    pub(super) fault_at: Duration,
    /// When the old writer stopped serving.
    cut_at: Duration,
    /// The writer that is replaced; `None` if it was deleted.
    old: Option<InstanceId>,
    /// The instance that is to be the writer next.
    target: Option<InstanceId>,
    /// How the connections to old and new writer end.
    ending: Ending,
    /// The DNS is scheduled to follow.
    flips: bool,
}

impl World {
    /// Begins an outage; whatever an earlier one had scheduled no longer counts.
    pub(super) fn begin_outage(&mut self, old: Option<InstanceId>, ending: Ending, now: Duration) {
        self.failovers += 1;
        self.failover = Some(Failover {
            id: self.failovers,
            fault_at: now,
            cut_at: now,
            old,
            target: None,
            ending,
            flips: false,
        });
    }

    fn current(&self, failover: FailoverId) -> Option<&Failover> {
        self.failover.as_ref().filter(|now| now.id == failover)
    }

    /// Whether the instance is down only because it is being made the writer.
    pub(super) fn is_being_promoted(&self, id: &InstanceId) -> bool {
        self.failover
            .as_ref()
            .is_some_and(|failover| failover.target.as_ref() == Some(id))
    }

    /// The writer is gone without a word: crashed, or silent.
    pub(super) fn lose_writer(&mut self, id: &InstanceId, ending: Ending, now: Duration) {
        self.begin_outage(Some(id.clone()), Ending::Reset, now);
        self.stop(id, ending, now);
        let detected_at = now.saturating_add(self.timeline.detection);
        self.queue.push(detected_at, Due::Detected(self.failovers));
    }

    /// The writer's process dies and comes back by itself, before anybody takes its place.
    pub(super) fn crash_writer_in_place(
        &mut self,
        id: &InstanceId,
        now: Duration,
    ) -> Result<(), Refusal> {
        if self.failover.is_some() {
            return Err(Refusal::FailoverInProgress);
        }
        self.begin_outage(Some(id.clone()), Ending::Reset, now);
        self.stop(id, Ending::Reset, now);
        self.boot_at(id, now.saturating_add(self.timeline.restart), now);
        Ok(())
    }

    pub(super) fn restart_writer(&mut self, id: &InstanceId, now: Duration) -> Result<(), Refusal> {
        if self.failover.is_some() {
            return Err(Refusal::FailoverInProgress);
        }
        self.begin_outage(Some(id.clone()), Ending::Goodbye, now);
        self.stop(id, Ending::Goodbye, now);
        self.publish(now, "RDS-EVENT-0004", id, "DB instance shutdown".into());
        self.boot_at(id, now.saturating_add(self.timeline.restart), now);
        Ok(())
    }

    /// Deletes the writer: a reader takes over, and it does not come back.
    pub(super) fn remove_writer(&mut self, id: &InstanceId, now: Duration) -> Result<(), Refusal> {
        if self.failover.is_some() {
            return Err(Refusal::FailoverInProgress);
        }
        let target = self.best_reader().ok_or(Refusal::NoReader)?;
        self.begin_outage(None, Ending::Goodbye, now);
        self.stop(id, Ending::Goodbye, now);
        self.retire(id, now);
        self.forget(id, now);
        self.promote(target, now);
        Ok(())
    }

    pub(super) fn request_failover(
        &mut self,
        target: Option<InstanceId>,
        now: Duration,
    ) -> Result<(), Refusal> {
        let target = match target {
            Some(id) => {
                let instance = self
                    .instances
                    .get(&id)
                    .ok_or_else(|| Refusal::Unknown(id.clone()))?;
                if self.failover.is_some() {
                    return Err(Refusal::FailoverInProgress);
                }
                match (instance.role, instance.state) {
                    (Role::Writer, _) => return Err(Refusal::AlreadyWriter(id)),
                    (Role::Reader, InstanceState::Up) => id,
                    (Role::Reader, state) => return Err(Refusal::NotRunning(id, state)),
                }
            }
            None if self.failover.is_some() => return Err(Refusal::FailoverInProgress),
            None => self.best_reader().ok_or(Refusal::NoReader)?,
        };
        self.begin_outage(self.writer().cloned(), Ending::Goodbye, now);
        self.announce(&target, now);
        if let Some(failover) = &mut self.failover {
            failover.target = Some(target);
        }
        let cut_at = now.saturating_add(self.timeline.drain);
        self.queue.push(cut_at, Due::CutOver(self.failovers));
        Ok(())
    }

    fn announce(&mut self, target: &InstanceId, now: Duration) {
        let message = format!("Started cross AZ failover to DB instance: {target}");
        self.publish(now, "RDS-EVENT-0073", target, message);
    }

    /// The drain of a planned failover is over.
    pub(super) fn cut_over(&mut self, failover: FailoverId, now: Duration) {
        let Some(Failover { old, target, .. }) = self.current(failover).cloned() else {
            return;
        };
        // The chosen reader may have gone down during the drain.
        let ready = |id: &InstanceId| {
            self.instances
                .get(id)
                .is_some_and(|instance| instance.is_up() && instance.role == Role::Reader)
        };
        let target = target.filter(ready).or_else(|| self.best_reader());
        let (Some(old), Some(target)) = (old, target) else {
            self.failover = None;
            if let Some(writer) = self.writer().cloned() {
                let message = "Cluster failover failed, check the health of your cluster instances and try again"
                    .into();
                self.publish(now, "RDS-EVENT-0069", &writer, message);
            }
            self.upgrade_step(now);
            return;
        };
        if let Some(failover) = &mut self.failover {
            failover.cut_at = now;
        }
        // The engine of a fenced writer is stopped before its next boot begins.
        let hold = self
            .timeline
            .fenced_hold
            .min(self.timeline.rejoin.saturating_sub(self.timeline.starting));
        if hold.is_zero() {
            self.stop(&old, Ending::Goodbye, now);
            self.publish(now, "RDS-EVENT-0004", &old, "DB instance shutdown".into());
        } else {
            self.hold(&old, hold, now);
        }
        self.promote(target, now);
    }

    /// The control plane has noticed a crash of the writer.
    pub(super) fn detected(&mut self, failover: FailoverId, now: Duration) {
        let Some(Failover { old, .. }) = self.current(failover).cloned() else {
            return;
        };
        if let Some(target) = self.best_reader() {
            self.announce(&target, now);
            self.promote(target, now);
        } else if let Some(old) = old {
            let message = format!("Promoting previous primary again: {old}");
            self.publish(now, "RDS-EVENT-0070", &old, message);
            self.boot_at(&old, now.saturating_add(self.timeline.restart), now);
        }
    }

    /// The reader to promote: of the lowest tier, by the seed if there are several.
    fn best_reader(&mut self) -> Option<InstanceId> {
        let ready: Vec<(&InstanceId, u8)> = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.is_candidate())
            .map(|(id, instance)| (id, instance.tier))
            .collect();
        let lowest = ready.iter().map(|(_, tier)| *tier).min()?;
        let best: Vec<&InstanceId> = ready
            .into_iter()
            .filter(|(_, tier)| *tier == lowest)
            .map(|(id, _)| id)
            .collect();
        let chosen = match best.len() {
            1 => 0,
            several => self.random.usize(..several),
        };
        best.get(chosen).map(|id| (*id).clone())
    }

    /// Swaps the roles and schedules all that follows. The old writer is down and fenced.
    fn promote(&mut self, target: InstanceId, now: Duration) {
        let Some(failover) = &mut self.failover else {
            return;
        };
        failover.target = Some(target.clone());
        failover.flips = true;
        let Failover {
            id,
            cut_at,
            old,
            ending,
            ..
        } = failover.clone();
        self.stop(&target, ending, now);
        if let Some(instance) = self.instances.get_mut(&target) {
            instance.role = Role::Writer;
            instance.demoted = false;
        }
        self.forget_lag(&target, now);
        let jitter = self.up_to(self.timeline.promotion_jitter);
        let accepts_at = now
            .saturating_add(self.timeline.promotion)
            .saturating_add(jitter);
        self.boot_at(&target, accepts_at, now);
        if let Some(old) = &old {
            if let Some(instance) = self.instances.get_mut(old) {
                instance.role = Role::Reader;
                instance.demoted = true;
            }
            let returns_at = cut_at.saturating_add(self.timeline.rejoin).max(now);
            self.boot_at(old, returns_at, now);
        }
        let flips_at = cut_at
            .saturating_add(self.timeline.dns_flip)
            .max(accepts_at);
        self.queue.push(flips_at, Due::WriterRecord);
        self.queue.push(flips_at, Due::ReaderRecord);
        let completed_at = cut_at
            .saturating_add(self.timeline.completion)
            .max(accepts_at);
        self.queue.push(completed_at, Due::Completed(id));
    }

    /// Schedules the DNS to follow, no sooner than the new writer accepts.
    fn flip_records(&mut self, cut_at: Duration, accepts_at: Duration) {
        let flips_at = cut_at
            .saturating_add(self.timeline.dns_flip)
            .max(accepts_at);
        self.queue.push(flips_at, Due::WriterRecord);
        self.queue.push(flips_at, Due::ReaderRecord);
    }

    /// The writer accepts: the promoted one, or the same one again.
    pub(super) fn writer_up(&mut self, id: &InstanceId, boot: u64, now: Duration) {
        let Some(failover) = self.failover.take() else {
            return;
        };
        let promoted = self.last_writer.as_ref() != Some(id);
        self.commit_right = Some((id.clone(), boot));
        self.last_writer = Some(id.clone());
        if promoted {
            self.epoch += 1;
        }
        self.open(id, false);
        if promoted {
            self.effects.push(Effect::Promoted {
                instance: id.clone(),
                epoch: self.epoch,
                fault_at: failover.fault_at,
            });
            let former = FormerRows {
                failover: failover.id,
                old: failover.old.map(|old| (old, failover.cut_at)),
            };
            self.views_after_promotion(id, former, now);
        } else {
            self.views_after_restart(id, now);
        }
        self.boot_waiting_readers(now);
        if !failover.flips {
            // The flip of an earlier promotion may have found no writer.
            self.flip_records(failover.cut_at, now);
        }
    }

    pub(super) fn completed(&mut self, failover: FailoverId, now: Duration) {
        if self.failovers != failover {
            return;
        }
        if let Some(writer) = self.writer().cloned() {
            let message = format!("Completed failover to DB instance: {writer}");
            self.publish(now, "RDS-EVENT-0071", &writer, message);
        }
    }

    /// The cluster endpoint's record follows the writer, if there is one just now.
    pub(super) fn writer_record(&mut self) {
        let writer = self.writer().cloned();
        if writer.is_some() && self.records.writer != writer {
            self.records.writer = writer;
            self.effects.push(Effect::Dns(self.records.clone()));
        }
    }

    /// The reader endpoint's record follows the readers that are up.
    pub(super) fn reader_record(&mut self) {
        let readers: Vec<InstanceId> = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.role == Role::Reader && instance.is_up())
            .map(|(id, _)| id.clone())
            .collect();
        if self.records.readers != readers {
            self.records.readers = readers;
            self.effects.push(Effect::Dns(self.records.clone()));
        }
    }

    /// The health checks' last finding, for the custom endpoints.
    pub(super) fn health_record(&mut self) {
        let up = self.instances.iter().filter(|(_, it)| it.is_up());
        let healthy = up.map(|(id, _)| id.clone()).collect();
        if self.records.healthy != healthy {
            self.records.healthy = healthy;
            self.effects.push(Effect::Dns(self.records.clone()));
        }
    }
}
