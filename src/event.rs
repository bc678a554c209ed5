//! What happened to the cluster, told to whoever listens.

use std::fmt;
use std::sync::Arc;
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
    /// An instance was demoted or lost, and all connections to it were ended.
    GenerationEnded {
        /// The instance.
        instance: InstanceId,
        /// Why.
        cause: &'static str,
        /// How many connections of the pools that was, in use or idle.
        connections: usize,
    },
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
    /// After the loss of a writer a statement of the application has succeeded on the new one.
    ///
    /// Told when the connection on which it did is given back.
    WritesResumed {
        /// The writer.
        instance: InstanceId,
        /// How long after this process had lost the one before.
        after: Duration,
    },
}

impl EventKind {
    /// The instance that it is about.
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::GenerationEnded { instance, .. }
            | Self::InstanceAdded { instance }
            | Self::InstanceDown { instance, .. }
            | Self::InstanceRemoved { instance }
            | Self::InstanceUp { instance }
            | Self::WriterConfirmed { instance, .. }
            | Self::WriterLost { instance, .. }
            | Self::WriterSuspected { instance, .. }
            | Self::WritesResumed { instance, .. } => instance,
        }
    }

    /// What showed it, where something had to.
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::GenerationEnded { cause, .. }
            | Self::InstanceDown { cause, .. }
            | Self::WriterLost { cause, .. }
            | Self::WriterSuspected { cause, .. } => Some(cause),
            Self::InstanceAdded { .. }
            | Self::InstanceRemoved { .. }
            | Self::InstanceUp { .. }
            | Self::WriterConfirmed { .. }
            | Self::WritesResumed { .. } => None,
        }
    }

    /// The name of the kind, as programs read it: `writer_lost`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::GenerationEnded { .. } => "generation_ended",
            Self::InstanceAdded { .. } => "instance_added",
            Self::InstanceDown { .. } => "instance_down",
            Self::InstanceRemoved { .. } => "instance_removed",
            Self::InstanceUp { .. } => "instance_up",
            Self::WriterConfirmed { .. } => "writer_confirmed",
            Self::WriterLost { .. } => "writer_lost",
            Self::WriterSuspected { .. } => "writer_suspected",
            Self::WritesResumed { .. } => "writes_resumed",
        }
    }
}

/// In words, for people.
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GenerationEnded {
                instance,
                cause,
                connections,
            } => match connections {
                0 => write!(f, "no connection to {instance} was open: {cause}"),
                1 => write!(f, "1 connection to {instance} ended: {cause}"),
                _ => write!(f, "{connections} connections to {instance} ended: {cause}"),
            },
            Self::InstanceAdded { instance } => write!(f, "{instance} is new"),
            Self::InstanceDown { instance, cause } => write!(f, "{instance} is down: {cause}"),
            Self::InstanceRemoved { instance } => write!(f, "{instance} has left the cluster"),
            Self::InstanceUp { instance } => write!(f, "{instance} is up"),
            Self::WriterConfirmed {
                instance, epoch, ..
            } => write!(f, "writer confirmed: {instance} (epoch {epoch})"),
            Self::WriterLost { instance, cause } => {
                write!(f, "writer {instance} lost: {cause}")
            }
            Self::WriterSuspected { instance, cause } => {
                write!(f, "writer {instance} in doubt: {cause}")
            }
            Self::WritesResumed { instance, .. } => {
                write!(f, "a statement has succeeded on {instance}")
            }
        }
    }
}

/// What happened; when, a log says itself.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
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

/// Why an answer about the topology was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disbelief {
    /// The question was asked before something that is known by now.
    Outdated,
    /// The instance said that it is the writer, and another is, or may be.
    ContestedClaim,
}

#[cfg_attr(
    not(feature = "metrics"),
    allow(dead_code, reason = "only metrics count them")
)]
impl Disbelief {
    pub(crate) const ALL: [Self; 2] = [Self::Outdated, Self::ContestedClaim];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Outdated => "outdated",
            Self::ContestedClaim => "contested_claim",
        }
    }
}

/// Who hears everything at once, and loses nothing; it must not wait.
pub(crate) trait Listener: fmt::Debug + Send + Sync {
    /// An event is being told.
    fn heard(&self, event: &Event);

    /// A question to a target has ended: it said whether it is the writer, or there was no answer
    /// for this reason. Too frequent to be an event.
    fn probed(&self, target: &dyn Fn() -> String, answer: Result<bool, &'static str>);

    /// An answer about the topology was not believed.
    fn disbelieved(&self, why: Disbelief);
}

/// Where events are published.
#[derive(Debug, Clone)]
pub(crate) struct EventSender {
    sender: broadcast::Sender<Event>,
    listener: Option<Arc<dyn Listener>>,
}

impl EventSender {
    pub(crate) fn new(listener: Option<Arc<dyn Listener>>) -> Self {
        Self {
            sender: broadcast::Sender::new(EVENT_BACKLOG),
            listener,
        }
    }

    /// From now on, until `end`.
    pub(crate) fn listen(&self, end: CancellationToken) -> Events {
        Events {
            receiver: self.sender.subscribe(),
            end,
        }
    }

    pub(crate) fn send(&self, kind: EventKind) {
        let event = kind.name();
        match kind {
            EventKind::InstanceDown { .. } | EventKind::WriterLost { .. } => {
                tracing::warn!(target: "aurora_driver::event", event, "{kind}");
            }
            EventKind::GenerationEnded { .. }
            | EventKind::InstanceAdded { .. }
            | EventKind::InstanceRemoved { .. }
            | EventKind::InstanceUp { .. }
            | EventKind::WriterConfirmed { .. }
            | EventKind::WriterSuspected { .. }
            | EventKind::WritesResumed { .. } => {
                tracing::info!(target: "aurora_driver::event", event, "{kind}");
            }
        }
        let event = Event {
            at: crate::time::wall_clock(),
            kind,
        };
        if let Some(listener) = &self.listener {
            listener.heard(&event);
        }
        // Nobody listening is no error.
        let _ = self.sender.send(event);
    }

    /// See [`Listener::disbelieved`].
    pub(crate) fn disbelieved(&self, why: Disbelief) {
        if let Some(listener) = &self.listener {
            listener.disbelieved(why);
        }
    }

    /// See [`Listener::probed`].
    pub(crate) fn probed(&self, target: &dyn Fn() -> String, answer: Result<bool, &'static str>) {
        if let Some(listener) = &self.listener {
            listener.probed(target, answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_in_words_how_many_connections_ended() {
        let said = |connections| {
            let ended = EventKind::GenerationEnded {
                instance: InstanceId::new("a"),
                cause: "it is gone",
                connections,
            };
            ended.to_string()
        };
        assert_eq!(said(0), "no connection to a was open: it is gone");
        assert_eq!(said(1), "1 connection to a ended: it is gone");
        assert_eq!(said(2), "2 connections to a ended: it is gone");
    }
}
