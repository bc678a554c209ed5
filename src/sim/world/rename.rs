//! An instance gets another name: an outage, another DNS name, and a row that stays behind.

use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::front::Ending;

use super::instance::Role;
use super::{Effect, Refusal, World};

impl World {
    pub(super) fn rename(
        &mut self,
        old: &InstanceId,
        new: &InstanceId,
        now: Duration,
    ) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get(old)
            .ok_or_else(|| Refusal::Unknown(old.clone()))?;
        let role = instance.role;
        if !instance.is_up() {
            return Err(Refusal::NotRunning(old.clone(), instance.state));
        }
        if self.instances.contains_key(new) {
            return Err(Refusal::NameTaken(new.clone()));
        }
        if self.failover.is_some() {
            return Err(Refusal::FailoverInProgress);
        }
        if role == Role::Writer {
            self.begin_outage(Some(new.clone()), Ending::Goodbye, now);
        }
        // A lag that was set goes by the name: it ends with it.
        self.forget_lag(old, now);
        self.stop(old, Ending::Goodbye, now);
        self.publish(now, "RDS-EVENT-0004", old, "DB instance shutdown".into());
        self.retire(old, now);
        self.take_name(old, new, role);
        self.boot_at(new, now.saturating_add(self.timeline.restart), now);
        if role == Role::Reader {
            self.check_health_later(now);
        }
        Ok(())
    }

    fn take_name(&mut self, old: &InstanceId, new: &InstanceId, role: Role) {
        if let Some(instance) = self.instances.remove(old) {
            self.instances.insert(new.clone(), instance);
        }
        self.lingering.remove(new);
        if self.last_writer.as_ref() == Some(old) {
            self.last_writer = Some(new.clone());
        }
        self.effects.push(Effect::Renamed {
            from: old.clone(),
            to: new.clone(),
        });
        self.effects.push(Effect::Added {
            instance: new.clone(),
        });
        self.records.instances.insert(new.clone());
        if role == Role::Writer {
            self.records.writer = Some(new.clone());
        }
        self.effects.push(Effect::Dns(self.records.clone()));
    }
}
