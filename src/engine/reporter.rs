//! A connection's line to the monitor, and the monitor's hand on the connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

use super::pulse::Pulse;
use crate::id::{Generation, InstanceId};
use crate::observe::recorder::FirstWrite;
use crate::topology::monitor::News;
use crate::topology::observation::{Fault, Observation};

/// What one connection carries: who it belongs to, where its news go, and the switch by which
/// its whole generation is ended.
#[derive(Debug, Clone)]
pub struct Reporter {
    identity: Option<Identity>,
    generation_end: GenerationEnd,
    pulse: Arc<Pulse>,
    awaited: Arc<AwaitedWrite>,
}

/// Who waits for a write on the connection, if anybody does.
#[derive(Debug, Default)]
struct AwaitedWrite {
    /// Whether there is somebody: all that is looked at after each statement.
    is_awaited: AtomicBool,
    by: Mutex<Option<FirstWrite>>,
}

#[derive(Debug, Clone)]
struct Identity {
    instance: InstanceId,
    generation: Generation,
    news: News,
}

/// Turns once, when all connections of a generation are to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct GenerationEnd {
    token: CancellationToken,
    cause: Arc<OnceLock<&'static str>>,
    /// The cause of the end that this one is a part of.
    wider: Option<Arc<OnceLock<&'static str>>>,
}

impl Reporter {
    /// For a connection of an instance's pool.
    pub(crate) fn new(
        instance: InstanceId,
        generation: Generation,
        news: News,
        generation_end: GenerationEnd,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self {
            identity: Some(Identity {
                instance,
                generation,
                news,
            }),
            generation_end,
            pulse,
            awaited: Arc::default(),
        }
    }

    /// For the monitor's own connections: it hears of their errors anyway.
    pub(crate) fn silent() -> Self {
        Self {
            identity: None,
            generation_end: GenerationEnd::default(),
            pulse: Arc::default(),
            awaited: Arc::default(),
        }
    }

    /// Tells the monitor of an error that says something about the instance.
    pub(crate) fn trouble(&self, fault: Fault) {
        if let Some(identity) = &self.identity {
            identity.news.send(Observation::Trouble {
                instance: identity.instance.clone(),
                generation: identity.generation,
                fault,
            });
        }
    }

    /// The next write that lasts is told of there.
    pub(crate) fn await_write(&self, first_write: FirstWrite) {
        let by = self.awaited.by.lock();
        *by.unwrap_or_else(PoisonError::into_inner) = Some(first_write);
        self.awaited.is_awaited.store(true, Ordering::Release);
    }

    /// Nobody is told of a write any more: whoever waited for one has given the connection back.
    pub(crate) fn forget_write(&self) {
        if self.awaited.is_awaited.swap(false, Ordering::AcqRel) {
            let by = self.awaited.by.lock();
            *by.unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// A statement has succeeded whose changes, if it made any, last.
    pub(crate) fn has_written(&self) {
        if !self.awaited.is_awaited.load(Ordering::Acquire) {
            return;
        }
        self.awaited.is_awaited.store(false, Ordering::Release);
        let by = self.awaited.by.lock();
        let first_write = by.unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(first_write), Some(instance)) = (first_write, self.instance()) {
            first_write.succeeded(instance);
        }
    }

    pub(crate) fn instance(&self) -> Option<&InstanceId> {
        self.identity.as_ref().map(|identity| &identity.instance)
    }

    /// The instance of a connection that is handed out: those of seeds, which may lead anywhere,
    /// never are.
    pub(crate) fn instance_in_use(&self) -> &InstanceId {
        self.instance()
            .expect("pools open connections to known instances only")
    }

    /// Whether the connection was opened for this life of this instance.
    pub(crate) fn belongs_to(&self, instance: &InstanceId, generation: Generation) -> bool {
        self.identity.as_ref().is_some_and(|identity| {
            identity.instance == *instance && identity.generation == generation
        })
    }

    /// Where signs of life of the instance are counted.
    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    pub(crate) fn generation_end(&self) -> &GenerationEnd {
        &self.generation_end
    }
}

impl GenerationEnd {
    /// Ends the generation; the first cause stands.
    pub(crate) fn end(&self, cause: &'static str) {
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    /// An end of its own that also comes when this one does.
    pub(crate) fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            cause: Arc::default(),
            wider: Some(Arc::clone(&self.cause)),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits for the end. Cancel-safe.
    pub(crate) async fn ended(&self) {
        self.token.cancelled().await;
    }

    /// Why it ended; `None` while it has not.
    pub(crate) fn cause(&self) -> Option<&'static str> {
        let wider = || self.wider.as_ref().and_then(|wider| wider.get());
        self.cause.get().or_else(wider).copied()
    }
}
