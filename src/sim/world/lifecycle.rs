//! An instance's boots, and readers that come and go.

use std::time::Duration;

use crate::id::{EngineKind, InstanceId};
use crate::sim::front::Ending;

use super::instance::{InstanceState, Role, View};
use super::queue::Due;
use super::replication::Following;
use super::{Effect, Opening, Refusal, World};

/// The number of readers that Aurora allows in a cluster.
pub(crate) const READERS_MAX: usize = 15;

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
            (Role::Writer, _) => self.crash_writer(id, now),
            (Role::Reader, InstanceState::Up | InstanceState::Starting) => {
                self.stop(id, Ending::Reset, now);
                self.boot_at(id, now.saturating_add(self.timeline.restart), now);
                self.check_health_later(now);
            }
            (Role::Reader, InstanceState::Draining) => {
                self.stop(id, Ending::Reset, now);
                self.forget(id);
            }
            (Role::Reader, state @ (InstanceState::Refusing | InstanceState::Fenced)) => {
                return Err(Refusal::NotRunning(id.clone(), state));
            }
        }
        Ok(())
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

    pub(super) fn add_reader(&mut self, now: Duration) -> Result<(), Refusal> {
        if self.instances.len() > READERS_MAX {
            return Err(Refusal::TooManyReaders);
        }
        let id = self.next_id();
        let mut instance = self.instance(DEFAULT_TIER, Role::Reader);
        if self.writer().is_none() {
            instance.view = View::Stale {
                at: now,
                table: self.history.newest(),
            };
        }
        let boot = instance.boot;
        self.instances.insert(id.clone(), instance);
        self.effects.push(Effect::Added {
            instance: id.clone(),
        });
        self.records.instances.insert(id.clone());
        self.effects.push(Effect::Dns(self.records.clone()));
        let up_at = now.saturating_add(self.timeline.creation);
        // The row of a new reader is there before it accepts connections.
        let listed_at = up_at.saturating_sub(self.timeline.starting).max(now);
        let listed = Due::Listed {
            instance: id.clone(),
            boot,
        };
        self.queue.push(listed_at, listed);
        self.boot_at(&id, up_at, now);
        Ok(())
    }

    fn next_id(&mut self) -> InstanceId {
        loop {
            self.numbered += 1;
            let id = InstanceId::new(format!("{}-instance-{}", self.cluster_id, self.numbered));
            if !self.instances.contains_key(&id) && !self.lingering.contains_key(&id) {
                return id;
            }
        }
    }

    pub(super) fn remove(&mut self, id: &InstanceId, now: Duration) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| Refusal::Unknown(id.clone()))?;
        let remaining = self
            .instances
            .values()
            .filter(|instance| instance.state != InstanceState::Draining)
            .count();
        match (instance.role, instance.state) {
            (_, InstanceState::Draining) => {
                return Err(Refusal::NotRunning(id.clone(), InstanceState::Draining));
            }
            _ if remaining == 1 => return Err(Refusal::LastInstance(id.clone())),
            (Role::Writer, _) => return self.remove_writer(id, now),
            (Role::Reader, InstanceState::Up) => {
                let boot = instance.boot;
                self.retire(id, now);
                self.effects.push(Effect::Close {
                    instance: id.clone(),
                });
                self.set_state(id, InstanceState::Draining);
                let over_at = now.saturating_add(self.timeline.removal_grace);
                let over = Due::DrainOver {
                    instance: id.clone(),
                    boot,
                };
                self.queue.push(over_at, over);
            }
            (
                Role::Reader,
                InstanceState::Refusing | InstanceState::Starting | InstanceState::Fenced,
            ) => {
                self.stop(id, Ending::Goodbye, now);
                self.retire(id, now);
                self.forget(id);
            }
        }
        Ok(())
    }

    /// Takes an instance's name out of the DNS and marks its row as dead.
    pub(super) fn retire(&mut self, id: &InstanceId, now: Duration) {
        self.records.instances.remove(id);
        self.records.readers.retain(|reader| reader != id);
        if self.records.writer.as_ref() == Some(id) {
            self.records.writer = None;
        }
        self.effects.push(Effect::Dns(self.records.clone()));
        self.leave_row(id, now);
    }

    pub(super) fn forget(&mut self, id: &InstanceId) {
        let gone = self.instances.remove(id);
        if gone.is_some_and(|instance| instance.following != Following::default()) {
            self.effects.push(Effect::Replication {
                instance: id.clone(),
                lag: Duration::ZERO,
                paused: false,
            });
        }
        self.effects.push(Effect::Gone {
            instance: id.clone(),
        });
    }

    pub(super) fn drain_over(&mut self, id: &InstanceId, boot: u64, now: Duration) {
        if self.is_boot(id, boot) {
            self.stop(id, Ending::Goodbye, now);
            self.forget(id);
        }
    }

    /// Ends the current boot: fenced first, then closed, then its connections end.
    pub(super) fn stop(&mut self, id: &InstanceId, ending: Ending, now: Duration) {
        let was_writer = self.writer() == Some(id);
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
        let Some(boot) = self.instances.get(id).map(|instance| instance.boot) else {
            return;
        };
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
        }));
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

    fn set_state(&mut self, id: &InstanceId, state: InstanceState) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.state = state;
        }
    }
}
