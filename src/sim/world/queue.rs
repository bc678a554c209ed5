//! What is going to happen, in order of time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::InstanceId;

/// Which failover an event belongs to. A new fault makes a new one, so what an older one had
/// scheduled no longer counts.
pub(super) type FailoverId = u64;

/// Something scheduled. `boot` names the life of the instance that the event is meant for: if
/// that life has ended when the event is due, nothing happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// The control plane has noticed that the writer is gone.
    Detected(FailoverId),
    /// The drain of a planned failover is over.
    CutOver(FailoverId),
    /// The event "Completed failover" is published.
    Completed(FailoverId),
    /// The new writer's table, so far one row, takes over what the storage still holds: the rows
    /// of deleted instances and, for a while, the old writer's.
    FormerRows(FormerRows),
    /// The old writer's row is gone again.
    OldWriterRowGone(FormerRows),
    /// A fenced old writer's engine is told to restart.
    HoldOver { instance: InstanceId, boot: u64 },
    /// The engine accepts sockets but no logins (PostgreSQL).
    Starting { instance: InstanceId, boot: u64 },
    /// The engine accepts logins.
    Up { instance: InstanceId, boot: u64 },
    /// The writer's table gets a row for this reader.
    Listed { instance: InstanceId, boot: u64 },
    /// The reader's own copy of the table follows the writer's again.
    CaughtUp { instance: InstanceId, boot: u64 },
    /// A deleted instance's connections end.
    DrainOver { instance: InstanceId, boot: u64 },
    /// A deleted instance's row leaves the table.
    RowForgotten { instance: InstanceId },
    /// A paused reader's data is as old as it may get.
    TooFarBehind {
        instance: InstanceId,
        paused_at: Duration,
    },
    /// The cluster endpoint's record follows the writer.
    WriterRecord,
    /// The reader endpoint's record follows the readers.
    ReaderRecord,
    /// What custom endpoints hand out follows the instances that are up.
    HealthRecord,
}

/// What a promotion leaves behind in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormerRows {
    pub(super) failover: FailoverId,
    /// The old writer, and when its row was renewed last.
    pub(super) old: Option<(InstanceId, Duration)>,
}

/// A queue of events; those of the same instant come in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<(Duration, u64), Due>,
    added: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Duration, event: Due) {
        self.added += 1;
        self.events.insert((at, self.added), event);
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first event that is due at `now` or before.
    pub(super) fn pop(&mut self, now: Duration) -> Option<(Duration, Due)> {
        let first = self.events.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let ((at, _), event) = first.remove_entry();
        Some((at, event))
    }
}
