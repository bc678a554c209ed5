//! What the storage took, and how much of it a lagging instance shows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::InstanceId;

/// One key as the storage took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectWrite {
    /// The key.
    pub key: u64,
    /// The promotion count of the boot that wrote it.
    pub epoch: u64,
    /// The instance that wrote it.
    pub instance: InstanceId,
    /// When, since the cluster started.
    pub at: Duration,
}

/// All writes, in the order in which the storage took them.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    writes: Vec<DirectWrite>,
    /// When each key was first written.
    keys: BTreeMap<u64, Duration>,
}

impl Ledger {
    pub(super) fn push(&mut self, write: DirectWrite) {
        self.keys.entry(write.key).or_insert(write.at);
        self.writes.push(write);
    }

    pub(super) fn writes(&self) -> &[DirectWrite] {
        &self.writes
    }

    /// When a key was first written.
    pub(super) fn written_at(&self, key: u64) -> Option<Duration> {
        self.keys.get(&key).copied()
    }

    /// How many rows an instance shows whose data is as it was then.
    pub(super) fn count(&self, then: Duration) -> usize {
        self.writes.partition_point(|write| write.at <= then)
    }
}
