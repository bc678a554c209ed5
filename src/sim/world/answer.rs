//! What an instance answers when it is asked for the topology: its copy of the table, written
//! down, with what it gets wrong.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{EngineKind, InstanceId};
use crate::sim::host::StatusRow;

use super::anomaly::{Asked, ViewAnomaly, distort};
use super::instance::{Instance, Role, View};
use super::table::{Rendering, Table};
use super::{Refusal, World};

/// How many anomalies of one instance are kept at most.
const ANOMALIES_MAX: usize = 64;

impl World {
    /// The replica-status table as one instance sees it. An instance that does not exist sees
    /// nothing.
    pub(crate) fn view(&self, asked: &InstanceId, now: Duration) -> Vec<StatusRow> {
        let Some(instance) = self.instances.get(asked) else {
            return Vec::new();
        };
        let (seen, table) = self.copy_of(instance, now);
        let options = &self.timeline.views;
        let own_null = instance.anomalies.iter().find_map(|anomaly| match anomaly {
            ViewAnomaly::OwnTimestampNull(null) => Some(*null),
            _ => None,
        });
        let by_default = self.engine == EngineKind::Postgres && options.own_timestamp_null;
        let mut rows = table.render(Rendering {
            engine: self.engine,
            asked,
            seen,
            interval: self.timeline.status_interval,
            epoch_micros: self.epoch_micros,
            own_timestamp_null: own_null.unwrap_or(by_default),
        });
        let age = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let asked = Asked {
            instance: asked,
            now_micros: self.epoch_micros.saturating_add(age),
            epoch_micros: self.epoch_micros,
        };
        let everywhere = [
            (now < self.writerless_until && instance.role == Role::Reader)
                .then_some(ViewAnomaly::NoWriter),
            options
                .garbage_writer_lag
                .then_some(ViewAnomaly::GarbageLag),
            options.foreign_rows.then_some(ViewAnomaly::ForeignRows),
        ];
        for anomaly in everywhere.iter().flatten().chain(&instance.anomalies) {
            distort(&mut rows, anomaly, asked);
        }
        rows
    }

    /// The version of the table that an instance goes by, and the moment that it shows.
    fn copy_of(&self, instance: &Instance, now: Duration) -> (Duration, Arc<Table>) {
        if let Some((at, table)) = &instance.claim {
            return (*at, Arc::clone(table));
        }
        match &instance.view {
            View::Stale { at, table } => (*at, Arc::clone(table)),
            View::Following => {
                let chosen = instance.anomalies.iter().find_map(|anomaly| match anomaly {
                    ViewAnomaly::Propagation(length) => Some(*length),
                    _ => None,
                });
                let behind = match (chosen, instance.role) {
                    (Some(chosen), _) => chosen,
                    (None, Role::Writer) => Duration::ZERO,
                    (None, Role::Reader) => instance.propagation,
                };
                let seen = now.saturating_sub(behind);
                (seen, self.history.at(seen))
            }
        }
    }

    /// From now on the instance's answers get this wrong, besides what they get wrong already.
    pub(super) fn set_view(
        &mut self,
        id: &InstanceId,
        anomaly: ViewAnomaly,
        now: Duration,
    ) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| Refusal::Unknown(id.clone()))?;
        let claim = match &anomaly {
            ViewAnomaly::StaleClaim(writer) => {
                let (at, table) = self.copy_of(instance, now);
                let session = self.uuid();
                Some((at, Arc::new(table.naming(writer, &session, at))))
            }
            _ => None,
        };
        let Some(instance) = self.instances.get_mut(id) else {
            return Ok(());
        };
        instance.claim = claim.or(instance.claim.take());
        instance
            .anomalies
            .retain(|earlier| !anomaly.replaces(earlier));
        if instance.anomalies.len() == ANOMALIES_MAX {
            instance.anomalies.remove(0);
        }
        instance.anomalies.push(anomaly);
        Ok(())
    }

    /// The instance's answers are what its copy of the table says again.
    pub(super) fn clear_view(&mut self, id: &InstanceId) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get_mut(id)
            .ok_or_else(|| Refusal::Unknown(id.clone()))?;
        instance.anomalies.clear();
        instance.claim = None;
        Ok(())
    }
}
