//! Readers that lag: what the world has decided reaches the volume here.

use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::world::Command;

use super::shell::Shared;
use super::{SimCluster, SimError};

impl SimCluster {
    /// Makes a reader's data, schema and all, exactly that old; zero lets it see each commit at
    /// once again, which is the default.
    ///
    /// "Exactly" is to within a tick: what a reader shows at one moment is the state that the
    /// storage had `lag` ago, or up to 10 ms earlier, or up to 1/64 of the longest lag in the
    /// cluster earlier where that is more. All its sessions show the same state, which moves
    /// forward in time only: after a lag was set or raised, a reader stands still until it is
    /// that far behind. A transaction with a snapshot keeps it. The replica-status table shows
    /// the lag as it is set, at once. A promoted reader shows everything, and forgets its lag.
    ///
    /// A lagging reader works on copies of the storage, one for each state that somebody reads:
    /// with a large database the first statement after a change takes as long as the copy.
    ///
    /// # Errors
    ///
    /// There is no such instance, it is the writer, or the lag is longer than the timeline's
    /// [`lag_limit`](crate::sim::Timeline::lag_limit).
    pub fn set_lag(&self, id: impl Into<InstanceId>, lag: Duration) -> Result<(), SimError> {
        let instance = id.into();
        Ok(self.shared.perform(Command::SetLag { instance, lag })?)
    }

    /// Cuts a reader off from the writer's changes: it goes on serving the data that it has, and
    /// its lag grows. When the lag reaches the timeline's
    /// [`lag_limit`](crate::sim::Timeline::lag_limit), the reader restarts and follows again.
    ///
    /// # Errors
    ///
    /// There is no such instance, or it is the writer.
    pub fn pause_replication(&self, id: impl Into<InstanceId>) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::PauseReplication(id.into()))?)
    }

    /// Ends [`pause_replication`](Self::pause_replication): the reader is at once as close to
    /// the writer again as it was. Does nothing if replication is not paused.
    ///
    /// # Errors
    ///
    /// There is no such instance, or it is the writer.
    pub fn resume_replication(&self, id: impl Into<InstanceId>) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::ResumeReplication(id.into()))?)
    }
}

impl Shared {
    pub(super) fn set_replication(&self, reader: &InstanceId, lag: Duration, paused: bool) {
        let now = self.clock.now();
        if let Err(error) = self.volume.set_replication(reader, lag, paused, now) {
            tracing::error!(%error, %reader, "a simulated reader's lag could not be set");
        }
    }
}

#[cfg(test)]
mod tests;
