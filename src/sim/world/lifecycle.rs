//! An instance's boots: how they end, and how the next one begins.

use std::time::Duration;

use crate::id::{EngineKind, InstanceId};
use crate::sim::front::Ending;

use super::instance::{InstanceState, Role};
use super::queue::Due;
use super::{Effect, Opening, Refusal, World};

/// The promotion tier of an instance whose tier nobody chose (RDS's default).
pub(crate) const DEFAULT_TIER: u8 = 1;

/// The highest promotion tier.
pub(crate) const TIER_MAX: u8 = 15;

impl World {
    pub(super) fn crash(&mut self, id: &InstanceId, now: Duration) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| Refusal::Unknown(id.clone()))?;
        match (instance.role, instance.state) {
            (Role::Writer, InstanceState::Refusing) if !self.is_being_promoted(id) => {
                return Err(Refusal::NotRunning(id.clone(), InstanceState::Refusing));
            }
            (Role::Writer, _) => self.lose_writer(id, Ending::Reset, now),
            (Role::Reader, InstanceState::Up | InstanceState::Starting) => {
                self.stop(id, Ending::Reset, now);
                self.boot_at(id, now.saturating_add(self.timeline.restart), now);
                self.check_health_later(now);
            }
            (Role::Reader, InstanceState::Draining) => {
                self.stop(id, Ending::Reset, now);
                self.forget(id, now);
            }
            (Role::Reader, state @ (InstanceState::Refusing | InstanceState::Fenced)) => {
                return Err(Refusal::NotRunning(id.clone(), state));
            }
        }
        Ok(())
    }

    pub(super) fn crash_in_place(&mut self, id: &InstanceId, now: Duration) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| Refusal::Unknown(id.clone()))?;
        if !instance.is_up() {
            return Err(Refusal::NotRunning(id.clone(), instance.state));
        }
        match instance.role {
            Role::Writer => self.crash_writer_in_place(id, now),
            Role::Reader => self.crash(id, now),
        }
    }

    pub(super) fn set_tier(&mut self, id: InstanceId, tier: u8) -> Result<(), Refusal> {
        if tier > TIER_MAX {
            return Err(Refusal::NoSuchTier(tier));
        }
        match self.instances.get_mut(&id) {
            Some(instance) => instance.tier = tier,
            None => return Err(Refusal::Unknown(id)),
        }
        Ok(())
    }

    pub(super) fn restart(&mut self, id: &InstanceId, now: Duration) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| Refusal::Unknown(id.clone()))?;
        if !instance.is_up() {
            return Err(Refusal::NotRunning(id.clone(), instance.state));
        }
        if instance.role == Role::Writer {
            return self.restart_writer(id, now);
        }
        self.stop(id, Ending::Goodbye, now);
        self.publish(now, "RDS-EVENT-0004", id, "DB instance shutdown".into());
        self.boot_at(id, now.saturating_add(self.timeline.restart), now);
        self.check_health_later(now);
        Ok(())
    }

    /// Ends the current boot: fenced first, then closed, then its connections end.
    pub(super) fn stop(&mut self, id: &InstanceId, ending: Ending, now: Duration) {
        let was_writer = self.writer() == Some(id);
        self.notice_health_later(now);
        self.fence(id, now);
        self.freeze_row(id, now);
        self.effects.push(Effect::Close {
            instance: id.clone(),
        });
        self.effects.push(Effect::End {
            instance: id.clone(),
            ending,
        });
        self.end_boot(id, InstanceState::Refusing);
        if was_writer {
            self.stop_readers(ending, now);
        }
    }

    /// Cuts the writer off from the storage and leaves its sockets open, in silence.
    pub(super) fn hold(&mut self, id: &InstanceId, hold: Duration, now: Duration) {
        self.notice_health_later(now);
        self.fence(id, now);
        self.freeze_row(id, now);
        self.effects.push(Effect::End {
            instance: id.clone(),
            ending: Ending::Silence,
        });
        self.end_boot(id, InstanceState::Fenced);
        if let Some(boot) = self.instances.get(id).map(|instance| instance.boot) {
            let instance = id.clone();
            let over = Due::HoldOver { instance, boot };
            self.queue.push(now.saturating_add(hold), over);
        }
        self.stop_readers(Ending::Goodbye, now);
    }

    /// The fenced engine stops. What is scheduled for its next boot stays.
    pub(super) fn hold_over(&mut self, id: &InstanceId, boot: u64, now: Duration) {
        if !self.is_boot(id, boot) {
            return;
        }
        self.set_state(id, InstanceState::Refusing);
        self.effects.push(Effect::Close {
            instance: id.clone(),
        });
        self.effects.push(Effect::End {
            instance: id.clone(),
            ending: Ending::Reset,
        });
        self.publish(now, "RDS-EVENT-0004", id, "DB instance shutdown".into());
    }

    /// If it is the writer, the storage takes no more commits from it.
    fn fence(&mut self, id: &InstanceId, now: Duration) {
        if self.writer() == Some(id) {
            self.commit_right = None;
            self.effects.push(Effect::Fence {
                instance: id.clone(),
            });
            self.stop_following(now);
        }
    }

    fn end_boot(&mut self, id: &InstanceId, state: InstanceState) {
        let session = self.uuid();
        if let Some(instance) = self.instances.get_mut(id) {
            instance.boot += 1;
            instance.state = state;
            instance.session = session;
            instance.waits_for_writer = false;
            instance.version = self.version.clone();
        }
    }

    /// The readers that do not survive their writer go down with it.
    fn stop_readers(&mut self, ending: Ending, now: Duration) {
        if self.timeline.survivable_readers {
            return;
        }
        let readers: Vec<InstanceId> = self
            .instances
            .iter()
            .filter(|(_, instance)| {
                let running = matches!(instance.state, InstanceState::Up | InstanceState::Starting);
                instance.role == Role::Reader && running
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in readers {
            self.stop(&id, ending, now);
            if let Some(reader) = self.instances.get_mut(&id) {
                reader.waits_for_writer = true;
            }
        }
        self.check_health_later(now);
    }

    /// A writer accepts: the readers that went down with the last one are next.
    pub(super) fn boot_waiting_readers(&mut self, now: Duration) {
        let waiting: Vec<InstanceId> = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.waits_for_writer)
            .map(|(id, _)| id.clone())
            .collect();
        for id in waiting {
            if let Some(reader) = self.instances.get_mut(&id) {
                reader.waits_for_writer = false;
            }
            self.boot_at(&id, now.saturating_add(self.timeline.starting), now);
        }
    }

    /// Schedules the boot that ends with the engine accepting logins at `up_at`.
    pub(super) fn boot_at(&mut self, id: &InstanceId, up_at: Duration, now: Duration) {
        let Some(booting) = self.instances.get_mut(id) else {
            return;
        };
        if booting.silent {
            booting.boot_put_off = true;
            return;
        }
        let boot = booting.boot;
        let instance = id.clone();
        if self.engine == EngineKind::Postgres && !self.timeline.starting.is_zero() {
            let starting_at = up_at.saturating_sub(self.timeline.starting).max(now);
            let starting = Due::Starting {
                instance: instance.clone(),
                boot,
            };
            self.queue.push(starting_at, starting);
        }
        self.queue.push(up_at, Due::Up { instance, boot });
    }

    pub(super) fn starting(&mut self, id: &InstanceId, boot: u64) {
        if self.is_boot(id, boot) {
            self.set_state(id, InstanceState::Starting);
            self.open(id, true);
        }
    }

    pub(super) fn up(&mut self, id: &InstanceId, boot: u64, now: Duration) {
        if !self.is_boot(id, boot) {
            return;
        }
        self.set_state(id, InstanceState::Up);
        self.notice_health_later(now);
        match self.instances.get(id).map(|instance| instance.role) {
            Some(Role::Writer) => self.writer_up(id, boot, now),
            Some(Role::Reader) => {
                self.open(id, false);
                self.view_of_new_reader(id, boot, now);
                self.check_health_later(now);
            }
            None => return,
        }
        let (event, message) = match boot {
            1 => ("RDS-EVENT-0005", "DB instance created"),
            _ => ("RDS-EVENT-0006", "DB instance restarted"),
        };
        self.publish(now, event, id, message.into());
        self.upgrade_step(now);
    }

    pub(super) fn open(&mut self, id: &InstanceId, starting: bool) {
        let Some(instance) = self.instances.get(id) else {
            return;
        };
        let right = self.commit_right.as_ref();
        self.effects.push(Effect::Open(Opening {
            instance: id.clone(),
            boot: instance.boot,
            role: instance.role,
            starting,
            may_commit: right.is_some_and(|(holder, boot)| holder == id && *boot == instance.boot),
            epoch: self.epoch,
            version: instance.version.clone(),
        }));
    }

    /// An instance has come or gone; what custom endpoints hand out follows.
    fn notice_health_later(&mut self, now: Duration) {
        let at = now.saturating_add(self.timeline.dns_health_check);
        self.queue.push(at, Due::HealthRecord);
    }

    pub(super) fn check_health_later(&mut self, now: Duration) {
        let at = now.saturating_add(self.timeline.dns_health_check);
        self.queue.push(at, Due::ReaderRecord);
    }

    pub(super) fn is_boot(&self, id: &InstanceId, boot: u64) -> bool {
        self.instances
            .get(id)
            .is_some_and(|instance| instance.boot == boot)
    }

    pub(super) fn set_state(&mut self, id: &InstanceId, state: InstanceState) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.state = state;
        }
    }
}
