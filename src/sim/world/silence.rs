//! Hosts that fall silent, and come back.

use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::front::Ending;

use super::instance::{InstanceState, Role};
use super::{Refusal, World};

impl World {
    /// The host falls silent: fenced and given up at once, though nobody knows until it is noticed.
    pub(super) fn silence(&mut self, id: &InstanceId, now: Duration) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| Refusal::Unknown(id.clone()))?;
        if instance.silent {
            return Ok(());
        }
        match (instance.role, instance.state) {
            (_, InstanceState::Refusing | InstanceState::Draining)
                if !self.is_being_promoted(id) =>
            {
                return Err(Refusal::NotRunning(id.clone(), instance.state));
            }
            (Role::Writer, _) => self.lose_writer(id, Ending::Silence, now),
            (Role::Reader, _) => {
                self.stop(id, Ending::Silence, now);
                self.check_health_later(now);
            }
        }
        if let Some(instance) = self.instances.get_mut(id) {
            instance.silent = true;
            instance.boot_put_off = instance.role == Role::Reader;
        }
        Ok(())
    }

    /// The host is back; what it was to boot as meanwhile, it boots as now.
    pub(super) fn end_silence(&mut self, id: &InstanceId, now: Duration) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get_mut(id)
            .ok_or_else(|| Refusal::Unknown(id.clone()))?;
        instance.silent = false;
        if std::mem::take(&mut instance.boot_put_off) {
            self.boot_at(id, now.saturating_add(self.timeline.restart), now);
        }
        Ok(())
    }
}
