//! An instance's signs of life: how many answers are awaited from it, and how many have come.
//!
//! Counted by every connection to it, read by whoever watches for silence. Two atomics, so that
//! no statement waits for another; no clock is read here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::Notify;

/// The signs of life of one instance.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    awaited: AtomicU32,
    beats: AtomicU64,
    /// Woken when the first answer is awaited; shared by all instances that one task watches.
    begun: Arc<Notify>,
}

/// An answer that is awaited until this is dropped.
#[derive(Debug)]
pub(crate) struct Awaited(Arc<Pulse>);

impl Pulse {
    pub(crate) fn new(begun: Arc<Notify>) -> Self {
        Self {
            begun,
            ..Self::default()
        }
    }

    /// An answer is awaited from now on.
    pub(crate) fn begin(&self) {
        if self.awaited.fetch_add(1, Ordering::AcqRel) == 0 {
            self.begun.notify_one();
        }
    }

    /// So many answers are awaited no more, whether they came or not.
    pub(crate) fn end(&self, count: u32) {
        self.awaited.fetch_sub(count, Ordering::AcqRel);
    }

    /// An answer is awaited for as long as the guard lives.
    pub(crate) fn awaiting(self: &Arc<Self>) -> Awaited {
        self.begin();
        Awaited(Arc::clone(self))
    }

    /// Something has come from the instance.
    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether any answer is awaited.
    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Acquire) > 0
    }

    /// How often something has come.
    pub(crate) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.end(1);
    }
}
