//! Instances that come and go.

use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::front::Ending;

use super::instance::{InstanceState, Role, View};
use super::lifecycle::{DEFAULT_TIER, TIER_MAX};
use super::queue::Due;
use super::replication::Following;
use super::{Effect, Refusal, World};

/// The number of readers that Aurora allows in a cluster.
pub(crate) const READERS_MAX: usize = 15;

impl World {
    pub(super) fn add_reader(&mut self, now: Duration) -> Result<(), Refusal> {
        if self.instances.len() > READERS_MAX {
            return Err(Refusal::TooManyReaders);
        }
        let id = self.next_id();
        self.add(id, DEFAULT_TIER, false, now);
        Ok(())
    }

    /// Adds readers as Aurora Auto Scaling does.
    pub(super) fn scale_out(&mut self, count: usize, now: Duration) -> Result<(), Refusal> {
        if self.instances.len().saturating_add(count) > READERS_MAX + 1 {
            return Err(Refusal::TooManyReaders);
        }
        for _ in 0..count {
            let id = InstanceId::new(format!("application-autoscaling-{}", self.uuid()));
            self.add(id, TIER_MAX, true, now);
        }
        Ok(())
    }

    /// Deletes readers that [`scale_out`](Self::scale_out) made, and no others.
    pub(super) fn scale_in(&mut self, count: usize, now: Duration) -> Result<(), Refusal> {
        let own: Vec<InstanceId> = self
            .instances
            .iter()
            .filter(|(_, instance)| {
                instance.autoscaled
                    && instance.role == Role::Reader
                    && instance.state != InstanceState::Draining
                    && !instance.waits_for_writer
            })
            .map(|(id, _)| id.clone())
            .take(count)
            .collect();
        if own.is_empty() {
            return Err(Refusal::NothingToScaleIn);
        }
        for id in own {
            self.remove(&id, now)?;
        }
        Ok(())
    }

    fn add(&mut self, id: InstanceId, tier: u8, autoscaled: bool, now: Duration) {
        let mut instance = self.instance(tier, Role::Reader);
        instance.autoscaled = autoscaled;
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
                self.forget(id, now);
            }
        }
        Ok(())
    }

    /// Takes an instance's name out of the DNS and marks its row as dead.
    pub(super) fn retire(&mut self, id: &InstanceId, now: Duration) {
        self.records.instances.remove(id);
        self.records.healthy.remove(id);
        self.records.readers.retain(|reader| reader != id);
        if self.records.writer.as_ref() == Some(id) {
            self.records.writer = None;
        }
        self.effects.push(Effect::Dns(self.records.clone()));
        self.leave_row(id, now);
    }

    pub(super) fn forget(&mut self, id: &InstanceId, now: Duration) {
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
        self.publish(now, "RDS-EVENT-0003", id, "DB instance deleted".into());
        // The one that an upgrade was waiting for may be this one.
        self.upgrade_step(now);
    }

    pub(super) fn drain_over(&mut self, id: &InstanceId, boot: u64, now: Duration) {
        if self.is_boot(id, boot) {
            self.stop(id, Ending::Goodbye, now);
            self.forget(id, now);
        }
    }
}
