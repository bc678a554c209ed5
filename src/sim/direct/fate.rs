//! How the connections of one boot end, told to all of them in the order in which they listened.
//!
//! A `tokio::sync::watch` would wake them in an order of its own dice, which no seed reaches.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::sim::front::Ending;
use crate::topology::observation::Fault;

/// The common fate of a boot's connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Fate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ending: Mutex<Option<Ending>>,
    changed: Notify,
}

impl Fate {
    pub(super) fn end(&self, ending: Ending) {
        *self.ending_mut() = Some(ending);
        self.0.changed.notify_waiters();
    }

    /// Nothing more is heard of the boot: unless its connections have ended, they are reset.
    pub(super) fn abandon(&self) {
        if matches!(self.ending(), None | Some(Ending::Silence)) {
            self.end(Ending::Reset);
        }
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        *self.ending_mut()
    }

    fn ending_mut(&self) -> std::sync::MutexGuard<'_, Option<Ending>> {
        self.0.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_silence(&self) -> bool {
        self.ending() == Some(Ending::Silence)
    }

    /// Waits until the connections are over; silence is not their end. Cancel-safe.
    pub(super) async fn ended(&self) -> Fault {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // Listening begins before the look, so that no change is missed.
            changed.as_mut().enable();
            match self.ending() {
                Some(Ending::Goodbye) => return Fault::Terminated,
                Some(Ending::Reset) => return Fault::Lost,
                Some(Ending::Silence) | None => changed.await,
            }
        }
    }
}
