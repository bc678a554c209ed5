//! A minor version upgrade: one instance after the other restarts, the writer last.

use std::sync::Arc;
use std::time::Duration;

use crate::id::InstanceId;

use super::instance::{InstanceState, Role};
use super::{Refusal, World};

impl World {
    pub(super) fn upgrade(&mut self, version: &str, now: Duration) -> Result<(), Refusal> {
        if self.upgrading {
            return Err(Refusal::UpgradeInProgress);
        }
        self.upgrading = true;
        self.version = Some(Arc::from(version));
        let message = format!(
            "Database cluster engine {version} version upgrade started. Cluster remains online"
        );
        self.publish_of_cluster(now, "RDS-EVENT-0286", message);
        self.upgrade_step(now);
        Ok(())
    }

    /// Restarts the next instance, once all are up again. Each boot that ends meanwhile, for
    /// whatever reason, is followed by one of the new version.
    pub(super) fn upgrade_step(&mut self, now: Duration) {
        let mut staying = self
            .instances
            .values()
            .filter(|instance| instance.state != InstanceState::Draining);
        if !self.upgrading || self.failover.is_some() || staying.any(|instance| !instance.is_up()) {
            return;
        }
        let behind = |wanted: Role| {
            self.instances.iter().find(|(_, instance)| {
                instance.role == wanted && instance.is_up() && instance.version != self.version
            })
        };
        let next: Option<InstanceId> = behind(Role::Reader)
            .or_else(|| behind(Role::Writer))
            .map(|(id, _)| id.clone());
        match next {
            Some(id) => {
                let restarted = self.restart(&id, now);
                debug_assert!(restarted.is_ok(), "all instances are up: {restarted:?}");
            }
            None => {
                self.upgrading = false;
                let message = "Database cluster engine version has been upgraded".into();
                self.publish_of_cluster(now, "RDS-EVENT-0173", message);
            }
        }
    }

    /// An event of the cluster as a whole: it names the writer.
    fn publish_of_cluster(&mut self, now: Duration, id: &'static str, message: String) {
        if let Some(writer) = self.last_writer.clone() {
            self.publish(now, id, &writer, message);
        }
    }
}
