//! Keeps the stories of the last failovers of one cluster, and waits for the first write after
//! each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::meters::HubMeters;
use super::record::FailoverRecord;
use super::story::{Next, Stories};
use crate::event::{Disbelief, Event, EventKind, EventSender, Listener};
use crate::id::InstanceId;
use crate::time::{self, Instant};

/// Hears every event of one monitor.
#[derive(Debug)]
pub(crate) struct Recorder {
    stories: Mutex<Stories>,
    meters: HubMeters,
    /// Whether a first write is awaited: all that a checkout looks at.
    awaits_write: AtomicBool,
    /// The writer it is awaited at, and since when the one before was missed.
    resumption: Mutex<Option<(InstanceId, Instant)>>,
}

/// Told by the connection on which a statement is the first to succeed after a failover. While none
/// is awaited no connection is given one.
#[derive(Debug)]
pub(crate) struct FirstWrite {
    recorder: Arc<Recorder>,
    events: EventSender,
}

impl Recorder {
    pub(crate) fn new(meters: HubMeters) -> Self {
        Self {
            stories: Mutex::default(),
            meters,
            awaits_write: AtomicBool::new(false),
            resumption: Mutex::default(),
        }
    }

    /// The failovers so far, the oldest first.
    pub(crate) fn failovers(&self) -> Vec<FailoverRecord> {
        self.stories().all()
    }

    /// For a connection to the writer that is given out now; nothing, but after a failover.
    pub(crate) fn first_write(self: &Arc<Self>, events: &EventSender) -> Option<FirstWrite> {
        self.awaits_write
            .load(Ordering::Relaxed)
            .then(|| FirstWrite {
                recorder: Arc::clone(self),
                events: events.clone(),
            })
    }

    fn stories(&self) -> MutexGuard<'_, Stories> {
        self.stories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resumption(&self) -> MutexGuard<'_, Option<(InstanceId, Instant)>> {
        let resumption = self.resumption.lock();
        resumption.unwrap_or_else(PoisonError::into_inner)
    }
}

impl FirstWrite {
    /// A statement has succeeded at this instance.
    pub(crate) fn succeeded(self, instance: &InstanceId) {
        let resumed = self
            .recorder
            .resumption()
            .take_if(|(writer, _)| writer == instance);
        let Some((instance, lost_at)) = resumed else {
            return;
        };
        self.recorder.awaits_write.store(false, Ordering::Relaxed);
        self.events.send(EventKind::WritesResumed {
            instance,
            after: time::now().saturating_duration_since(lost_at),
        });
    }
}

impl Listener for Recorder {
    fn heard(&self, event: &Event) {
        let now = time::now();
        self.meters.heard(now, &event.kind);
        let next = self.stories().hear(now, event.at, &event.kind);
        if let (
            Next::AwaitWrite,
            EventKind::WriterConfirmed {
                instance, after, ..
            },
        ) = (next, &event.kind)
        {
            let lost_at = after.and_then(|after| now.checked_sub(after));
            *self.resumption() = Some((instance.clone(), lost_at.unwrap_or(now)));
            self.awaits_write.store(true, Ordering::Relaxed);
        }
        if let EventKind::WritesResumed { .. } = &event.kind
            && let Some(record) = self.stories().all().pop()
        {
            tracing::info!(target: "aurora_driver::failover", "{record}");
        }
    }

    fn probed(&self, target: &dyn Fn() -> String, answer: Result<bool, &'static str>) {
        self.stories().probed(time::now(), target, answer);
    }

    fn disbelieved(&self, why: Disbelief) {
        self.meters.disbelieved(why);
    }
}
