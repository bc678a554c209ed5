//! The row in which callers wait for the writer: first come, first served, also through a
//! failover.
//!
//! Only the first of the row waits at a pool, or for a new writer to be found; when it has its
//! connection the next one steps up. So a promotion wakes one caller and not thousands, and which
//! of them is served next does not depend on who is woken first. Whoever comes while others wait
//! stands behind them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The row of one handle.
#[derive(Debug)]
pub(super) struct Line {
    turnstile: Semaphore,
    /// How many stand in it, the first included.
    length: AtomicUsize,
}

/// A place in the row; given up when dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    line: &'a Line,
}

/// The place at the head of the row; the next steps up when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    // Dropped before the place, so that the next finds the row as it will be.
    _permit: SemaphorePermit<'a>,
    place: Place<'a>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            turnstile: Semaphore::new(1),
            length: AtomicUsize::new(0),
        }
    }

    /// Whether nobody stands in it, so that a caller may pass.
    pub(super) fn is_empty(&self) -> bool {
        self.length.load(Ordering::Acquire) == 0
    }

    /// How many stand in it.
    pub(super) fn length(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// A place at its end, unless `max` stand in it already.
    pub(super) fn join(&self, max: usize) -> Option<Place<'_>> {
        let one_more = |length| (length < max).then_some(length + 1);
        let joined = self
            .length
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        joined.ok().map(|_| Place { line: self })
    }

    /// Sends everybody away, now and in future.
    pub(super) fn close(&self) {
        self.turnstile.close();
    }
}

impl<'a> Place<'a> {
    /// Waits for its turn; `None` when the row is closed.
    ///
    /// Dropping the future gives the place up; those behind move up.
    pub(super) async fn turn(self) -> Option<Turn<'a>> {
        let permit = self.line.turnstile.acquire().await.ok()?;
        Some(Turn {
            _permit: permit,
            place: self,
        })
    }
}

impl Turn<'_> {
    /// How many stand behind.
    pub(super) fn behind(&self) -> usize {
        self.place.line.length().saturating_sub(1)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.length.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn turns_come_in_the_order_of_joining_and_past_those_who_left() {
        let line = Line::new();
        let first = line.join(9).unwrap().turn().await.unwrap();
        let mut second = Box::pin(line.join(9).unwrap().turn());
        let mut third = Box::pin(line.join(9).unwrap().turn());
        let mut fourth = Box::pin(line.join(9).unwrap().turn());
        for waiting in [&mut second, &mut third, &mut fourth] {
            assert!(waiting.now_or_never().is_none());
        }
        assert_eq!(first.behind(), 3);
        drop(second);
        drop(first);
        assert!((&mut fourth).now_or_never().is_none(), "not its turn");
        let third = third.now_or_never().unwrap().unwrap();
        assert_eq!(third.behind(), 1);
        drop(third);
        drop(fourth.now_or_never().unwrap());
        assert!(line.is_empty());
    }

    #[tokio::test]
    async fn the_row_has_an_end_and_a_closed_one_sends_all_away() {
        let line = Line::new();
        let first = line.join(2).unwrap().turn().await.unwrap();
        let waiting = line.join(2).unwrap().turn();
        assert!(line.join(2).is_none());
        line.close();
        assert!(waiting.await.is_none());
        drop(first);
        assert!(line.is_empty());
        assert!(line.join(2).unwrap().turn().await.is_none());
    }
}
