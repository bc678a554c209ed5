//! What can be done to a running cluster, and waited for.

use crate::id::InstanceId;
use crate::sim::world::{Command, ViewAnomaly};

use super::names::is_label;
use super::shell::Shared;
use super::{ClusterState, Promotion, SimCluster, SimError};

impl SimCluster {
    /// Kills an instance's engine: its connections are reset and its port refuses.
    ///
    /// When it was the writer, the crash is noticed after a while and the best reader is
    /// promoted: of the lowest promotion tier, by the seed if there are several. The old writer
    /// comes back as a reader. Without a reader the same instance comes back as the writer. A
    /// reader that crashes just restarts.
    ///
    /// Returns at once; see [`failover_finished`](Self::failover_finished).
    ///
    /// # Errors
    ///
    /// There is no such instance, or it is down already.
    pub fn crash(&self, id: impl Into<InstanceId>) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::Crash(id.into()))?)
    }

    /// Crashes the instance that is the writer now, and returns its name.
    ///
    /// # Errors
    ///
    /// A failover is in progress, so there is no writer.
    pub fn crash_writer(&self) -> Result<InstanceId, SimError> {
        let refused = || {
            SimError::Refused(
                "there is no writer to crash: wait until the failover has finished".into(),
            )
        };
        let writer = self.writer().ok_or_else(refused)?;
        self.crash(writer.clone())?;
        Ok(writer)
    }

    /// Requests a planned failover to one reader, or with `None` to the best one.
    ///
    /// Writes go on for a while; then the connections of the old and the new writer end with a
    /// goodbye, and the new one accepts as the writer a little later.
    ///
    /// # Errors
    ///
    /// There is no such instance, it is no reader or not up, no reader is up at all, or another
    /// failover is in progress.
    pub fn failover(&self, to: Option<&InstanceId>) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::Failover(to.cloned()))?)
    }

    /// Adds a reader and returns its name. It accepts connections a little later.
    ///
    /// # Errors
    ///
    /// The cluster has fifteen readers already.
    pub fn add_reader(&self) -> Result<InstanceId, SimError> {
        Ok(self.shared.add_reader()?)
    }

    /// Deletes an instance. Its name leaves the DNS and its port refuses; the connections that it
    /// has live on for a grace period. Its row in the replica-status table stays, with a lag of
    /// 900000 ms and a timestamp that no longer changes. Deleting the writer promotes a reader.
    ///
    /// # Errors
    ///
    /// There is no such instance, it is the only one, or it is the writer and no reader can take
    /// over now.
    pub fn remove_instance(&self, id: impl Into<InstanceId>) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::Remove(id.into()))?)
    }

    /// Restarts an instance in good order; it comes back in the same role.
    ///
    /// # Errors
    ///
    /// There is no such instance, it is not up, or it is the writer and a failover is in progress.
    pub fn restart(&self, id: impl Into<InstanceId>) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::Restart(id.into()))?)
    }

    /// Changes an instance's promotion tier, 0 to 15: the lowest is promoted first, among equals
    /// the seed chooses. It does not start a failover.
    ///
    /// # Errors
    ///
    /// There is no such instance, or the tier is above 15.
    pub fn set_promotion_tier(&self, id: impl Into<InstanceId>, tier: u8) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::SetTier(id.into(), tier))?)
    }

    /// Restarts an instance under another name: an outage like a restart's, a new DNS name with
    /// the same address, and a row that stays behind under the old name.
    ///
    /// # Errors
    ///
    /// There is no such instance, it is not up, a failover is in progress, the new name is taken
    /// or cannot be part of a host name.
    pub fn rename_instance(
        &self,
        old: impl Into<InstanceId>,
        new: impl Into<InstanceId>,
    ) -> Result<(), SimError> {
        self.shared.rename(old.into(), new.into())
    }

    /// Adds readers as Aurora Auto Scaling does, and returns their names: each is called
    /// `application-autoscaling-<uuid>` and has promotion tier 15. They accept connections after
    /// [`Timeline::creation`](crate::sim::Timeline::creation).
    ///
    /// # Errors
    ///
    /// The cluster would have more than fifteen readers: none is added.
    pub fn scale_out(&self, count: usize) -> Result<Vec<InstanceId>, SimError> {
        let command = Command::ScaleOut(count);
        Ok(self.shared.perform_on_members(command)?.added)
    }

    /// Deletes up to so many of the readers that [`scale_out`](Self::scale_out) added, and
    /// returns their names. Other readers, and the writer, are left alone.
    ///
    /// # Errors
    ///
    /// There is no such reader.
    pub fn scale_in(&self, count: usize) -> Result<Vec<InstanceId>, SimError> {
        let command = Command::ScaleIn(count);
        Ok(self.shared.perform_on_members(command)?.deleted)
    }

    /// A minor version upgrade: the readers restart one after the other, then the writer. Each
    /// shows the new version in `aurora_version()` once it is back.
    ///
    /// # Errors
    ///
    /// An upgrade is in progress.
    pub fn upgrade(&self, version: impl Into<String>) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::Upgrade(version.into()))?)
    }

    /// From now on one instance's answers about the topology get this wrong, besides what they
    /// get wrong already. The instance's role and data do not change.
    ///
    /// ```
    /// use aurora_driver::EngineKind;
    /// use aurora_driver::sim::{SimCluster, ViewAnomaly};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = SimCluster::builder(EngineKind::MySql).start().await?;
    /// let reader = cluster.readers()[0].clone();
    /// cluster.set_view(&reader, ViewAnomaly::StaleClaim(reader.clone()))?;
    /// cluster.set_view(&reader, ViewAnomaly::GarbageLag)?;
    /// cluster.clear_view(&reader)?;
    /// # cluster.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such instance.
    pub fn set_view(
        &self,
        id: impl Into<InstanceId>,
        anomaly: ViewAnomaly,
    ) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::SetView(id.into(), anomaly))?)
    }

    /// Ends all that [`set_view`](Self::set_view) has set for an instance.
    ///
    /// # Errors
    ///
    /// There is no such instance.
    pub fn clear_view(&self, id: impl Into<InstanceId>) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::ClearView(id.into()))?)
    }

    /// Waits until the cluster's state fulfils a condition, and returns that state.
    ///
    /// It waits as long as it takes: put a `tokio::time::timeout` around it.
    pub async fn wait_for(&self, mut condition: impl FnMut(&ClusterState) -> bool) -> ClusterState {
        let mut states = self.shared.state.subscribe();
        let mut connections = self.shared.machines().connections.subscribe();
        loop {
            connections.mark_unchanged();
            // Cloned, so that the condition may ask the cluster more without waiting for itself.
            states.mark_unchanged();
            let state = self.state();
            if condition(&state) {
                return state;
            }
            let changed = tokio::select! {
                changed = states.changed() => changed,
                changed = connections.changed() => changed,
            };
            if changed.is_err() {
                // Why: the sender lives in `self`, so this is not reached; waiting on is the
                // honest answer to a condition that was not fulfilled.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until a writer accepts connections and no failover is in progress. Returns the last
    /// promotion that there has been: none if no other writer was ever needed.
    pub async fn failover_finished(&self) -> Option<Promotion> {
        self.wait_for(|state| !state.failing_over && state.writer.is_some())
            .await;
        self.last_promotion()
    }
}

impl Shared {
    pub(super) fn rename(&self, old: InstanceId, new: InstanceId) -> Result<(), SimError> {
        if !is_label(new.as_str()) {
            return Err(SimError::Refused(format!(
                "instance name `{new}`: use at most 50 letters, digits and hyphens"
            )));
        }
        Ok(self.perform(Command::Rename { old, new })?)
    }
}

#[cfg(test)]
mod tests;
