//! What happened to the cluster, told to whoever listens.

use std::time::{Duration, SystemTime};

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::id::{Epoch, InstanceId};

/// How many events a slow listener may fall behind before it loses the oldest.
const EVENT_BACKLOG: usize = 256;

/// One event in the life of a cluster, as this process saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When the driver noticed it.
    pub at: SystemTime,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// An instance of the cluster became known.
    InstanceAdded {
        /// The instance.
        instance: InstanceId,
    },
    /// An instance that was up stopped answering or cannot be reached.
    InstanceDown {
        /// The instance.
        instance: InstanceId,
        /// What showed it.
        cause: &'static str,
    },
    /// An instance left the cluster and is forgotten.
    InstanceRemoved {
        /// The instance.
        instance: InstanceId,
    },
    /// An instance answers and may be used.
    InstanceUp {
        /// The instance.
        instance: InstanceId,
    },
    /// An instance has said itself that it is the writer, and writes go there from now on.
    WriterConfirmed {
        /// The new writer.
        instance: InstanceId,
        /// The promotion count of this process.
        epoch: Epoch,
        /// How long this process knew of no writer; `None` for the first one. The outage itself may
        /// have begun up to a `probe_interval` earlier.
        after: Option<Duration>,
    },
    /// The writer is gone or demoted: writes wait.
    WriterLost {
        /// The writer that was.
        instance: InstanceId,
        /// What showed it.
        cause: &'static str,
    },
    /// The writer's state is in doubt; writes wait until it has been asked.
    WriterSuspected {
        /// The writer in doubt.
        instance: InstanceId,
        /// What showed it.
        cause: &'static str,
    },
}

/// A stream of [`Event`]s from the moment it was made.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    /// The handle was closed; others may go on listening to the same monitor.
    end: CancellationToken,
}

impl Events {
    /// The next event; `None` once the cluster handle has been closed.
    ///
    /// A listener more than 256 events behind loses the oldest of them. Cancel-safe: a dropped
    /// call loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let received = tokio::select! {
                biased;
                received = self.receiver.recv() => received,
                () = self.end.cancelled() => return None,
            };
            match received {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// Where events are published.
#[derive(Debug, Clone)]
pub(crate) struct EventSender(broadcast::Sender<Event>);

impl EventSender {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(EVENT_BACKLOG))
    }

    /// From now on, until `end`.
    pub(crate) fn listen(&self, end: CancellationToken) -> Events {
        Events {
            receiver: self.0.subscribe(),
            end,
        }
    }

    pub(crate) fn send(&self, kind: EventKind) {
        tracing::info!(target: "aurora_driver::event", event = ?kind);
        // Nobody listening is no error.
        let _ = self.0.send(Event {
            at: crate::time::wall_clock(),
            kind,
        });
    }
}
