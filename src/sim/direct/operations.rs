//! What can be done to a direct cluster. Each operation is the one of the same name of a
//! [`SimCluster`](crate::sim::SimCluster).

use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::cluster::SimError;
use crate::sim::dns::DnsFault;
use crate::sim::fault::{FaultGuard, ListenerState, StatementFault};
use crate::sim::world::{Command, ViewAnomaly};

use super::DirectCluster;

impl DirectCluster {
    /// The engine process of an instance dies. The writer's crash leads to a failover.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when there is no such instance, or it does not run.
    pub fn crash(&self, instance: &InstanceId) -> Result<(), SimError> {
        self.perform(Command::Crash(instance.clone()))
    }

    /// The engine process of an instance dies and starts anew in its role, without a failover.
    ///
    /// # Errors
    ///
    /// As [`crash`](Self::crash); also when a failover is in progress.
    pub fn crash_in_place(&self, instance: &InstanceId) -> Result<(), SimError> {
        self.perform(Command::CrashInPlace(instance.clone()))
    }

    /// A planned failover, to the named reader or to the best one.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when nobody can take over, or a failover is in progress.
    pub fn failover(&self, to: Option<&InstanceId>) -> Result<(), SimError> {
        self.perform(Command::Failover(to.cloned()))
    }

    /// An orderly restart in the same role.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when it is not up, or a failover is in progress.
    pub fn restart(&self, instance: &InstanceId) -> Result<(), SimError> {
        self.perform(Command::Restart(instance.clone()))
    }

    /// Restarts all instances, one by one, the writer last, as a minor version upgrade does.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when an upgrade is in progress.
    pub fn upgrade(&self, version: &str) -> Result<(), SimError> {
        self.perform(Command::Upgrade(version.to_owned()))
    }

    /// Creates a reader, which accepts connections after the timeline's `creation`.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when there are 15 already.
    pub fn add_reader(&self) -> Result<(), SimError> {
        self.perform(Command::AddReader)
    }

    /// Deletes an instance.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when it does not exist, is the last, or is the writer in the midst
    /// of a failover.
    pub fn remove_instance(&self, instance: &InstanceId) -> Result<(), SimError> {
        self.perform(Command::Remove(instance.clone()))
    }

    /// Sets the promotion tier of an instance, 0 to 15; the lowest is promoted first.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when there is no such instance or tier.
    pub fn set_promotion_tier(&self, instance: &InstanceId, tier: u8) -> Result<(), SimError> {
        self.perform(Command::SetTier(instance.clone(), tier))
    }

    /// Sets what an instance does with connections, for as long as it is not set anew. A silent
    /// one answers nothing, connects to it hang, and the cluster takes it for lost.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when there is no such instance, or it is to fall silent and is down
    /// already.
    pub fn set_listener(
        &self,
        instance: &InstanceId,
        state: ListenerState,
    ) -> Result<(), SimError> {
        self.shared.set_listener(instance, state)
    }

    /// Lets an instance's host fall silent; see [`set_listener`](Self::set_listener).
    ///
    /// # Errors
    ///
    /// As [`set_listener`](Self::set_listener).
    pub fn silence(&self, instance: &InstanceId) -> Result<(), SimError> {
        self.set_listener(instance, ListenerState::Silent)
    }

    /// Lets an instance serve connections again. One that was silent restarts first.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when there is no such instance.
    pub fn restore(&self, instance: &InstanceId) -> Result<(), SimError> {
        self.set_listener(instance, ListenerState::Normal)
    }

    /// Makes a reader's data so old; zero: it shows each commit at once.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] for the writer, and beyond the timeline's `lag_limit`.
    pub fn set_lag(&self, reader: &InstanceId, lag: Duration) -> Result<(), SimError> {
        self.perform(Command::SetLag {
            instance: reader.clone(),
            lag,
        })
    }

    /// Nothing new reaches a reader, until it is resumed or restarts for being too far behind.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] for the writer.
    pub fn pause_replication(&self, reader: &InstanceId) -> Result<(), SimError> {
        self.perform(Command::PauseReplication(reader.clone()))
    }

    /// A paused reader follows again.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] for the writer.
    pub fn resume_replication(&self, reader: &InstanceId) -> Result<(), SimError> {
        self.perform(Command::ResumeReplication(reader.clone()))
    }

    /// Makes an instance's answers about the topology wrong, besides what is wrong with them
    /// already.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when there is no such instance.
    pub fn set_view(&self, instance: &InstanceId, anomaly: ViewAnomaly) -> Result<(), SimError> {
        self.perform(Command::SetView(instance.clone(), anomaly))
    }

    /// Makes an instance's answers about the topology right again.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when there is no such instance.
    pub fn clear_view(&self, instance: &InstanceId) -> Result<(), SimError> {
        self.perform(Command::ClearView(instance.clone()))
    }

    /// How long the DNS lags behind the failovers from now on.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn set_dns_flip(&self, delay: Duration) -> Result<(), SimError> {
        self.perform(Command::SetDnsFlip(delay))
    }

    /// What the DNS gets wrong from now on; `None`: nothing. Truncated answers make no difference
    /// here.
    pub fn set_dns(&self, fault: Option<DnsFault>) {
        self.shared.set_dns(fault);
    }

    /// Puts a fault of single statements in force until the guard is dropped. A statement's text
    /// is its method's name, such as `write`, and `survey` for the question about the topology.
    pub fn fault(&self, fault: StatementFault) -> FaultGuard {
        self.shared.faults.add(fault)
    }

    pub(super) fn perform(&self, command: Command) -> Result<(), SimError> {
        Ok(self.shared.perform(command)?)
    }
}
