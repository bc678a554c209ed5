//! Follows what a connection's statements may have left behind, by the messages that pass.
//!
//! Fed by the reader of the messages, and so also by calls on the bare native client.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::engine::record::Met;

/// See [`Record`](crate::engine::record::Record).
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// How the last watched call failed.
    failed: Mutex<Option<Met>>,
    /// Whether there is something in `failed`, so that calls that go well need no lock.
    has_failed: AtomicBool,
    left: AtomicBool,
    /// A command was completed and is not known to be committed yet.
    uncommitted: AtomicBool,
    /// Something was committed by the request under way.
    committed: AtomicBool,
    /// The request under way met an error.
    has_erred: AtomicBool,
    /// Commands sent to be run, ever.
    sent: AtomicU64,
    /// A command was sent to be run and not answered yet.
    unanswered: AtomicBool,
}

/// What the completion of a command means for what stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It changed nothing that outlives the session.
    Nothing,
    /// All that was not committed yet is.
    Commit,
    /// All that was not committed yet is gone.
    Rollback,
    /// It may have changed something: even a SELECT may call a function that writes.
    Something,
}

impl Trace {
    pub(super) fn begin(&self) {
        self.succeeded();
        self.left.store(false, Ordering::Release);
    }

    pub(super) fn succeeded(&self) {
        if self.has_failed.swap(false, Ordering::AcqRel) {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    pub(super) fn failed(&self, met: Met) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
        self.has_failed.store(true, Ordering::Release);
    }

    pub(super) fn failure(&self) -> Option<Met> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call was given up half-way outside of a transaction: what became of it is not known.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// A command is sent to be run.
    pub(super) fn sends_command(&self) {
        self.sent.fetch_add(1, Ordering::AcqRel);
        self.unanswered.store(true, Ordering::Release);
    }

    /// How many commands were sent to be run: where it stands still, nothing was.
    pub(super) fn commands_sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// A command was completed with this tag, in or outside of a transaction.
    pub(super) fn completed(&self, tag: &[u8], in_transaction: bool) {
        match effect(tag) {
            Effect::Nothing => {}
            Effect::Commit => {
                self.uncommitted.store(false, Ordering::Release);
                self.committed.store(true, Ordering::Release);
                self.leave();
            }
            Effect::Rollback if in_transaction => self.uncommitted.store(false, Ordering::Release),
            // In a script it may come after a part that was committed.
            Effect::Rollback => {}
            Effect::Something => self.uncommitted.store(true, Ordering::Release),
        }
    }

    /// The request under way met an error.
    pub(super) fn errs(&self) {
        self.has_erred.store(true, Ordering::Release);
    }

    /// The server is ready for the next request; with `all`, everything sent is answered. Whether
    /// the request succeeded, and may have changed what lasts.
    pub(super) fn ready(&self, in_transaction: bool, all: bool) -> bool {
        let mut lasts = self.committed.swap(false, Ordering::AcqRel);
        if !in_transaction && self.uncommitted.swap(false, Ordering::AcqRel) {
            self.leave();
            lasts = true;
        }
        if all {
            self.unanswered.store(false, Ordering::Release);
        }
        let has_erred = self.has_erred.swap(false, Ordering::AcqRel);
        lasts && !has_erred
    }

    /// Whether anything may have been left behind.
    pub(super) fn is_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// Whether a command is under way that nobody has explained.
    pub(super) fn is_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::Acquire)
    }
}

/// The tags are those of the PostgreSQL protocol, section 55.7, `CommandComplete`.
fn effect(tag: &[u8]) -> Effect {
    let end = tag.iter().position(|byte| *byte == 0).unwrap_or(tag.len());
    let tag = &tag[..end];
    let word = tag.split(|byte| *byte == b' ').next().unwrap_or(tag);
    match word {
        b"COMMIT" => Effect::Commit,
        b"PREPARE" if tag.len() > word.len() => Effect::Commit,
        b"ROLLBACK" => Effect::Rollback,
        b"BEGIN" | b"START" | b"SET" | b"RESET" | b"SHOW" | b"SAVEPOINT" | b"RELEASE"
        | b"DEALLOCATE" | b"PREPARE" => Effect::Nothing,
        _ => Effect::Something,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left after these tags, each with whether a transaction is open once it is done.
    fn left(tags: &[(&str, bool)]) -> bool {
        let trace = Trace::default();
        let mut in_transaction = false;
        for (tag, then_in_transaction) in tags {
            trace.completed(format!("{tag}\0").as_bytes(), in_transaction);
            in_transaction = *then_in_transaction;
            trace.ready(in_transaction, true);
        }
        trace.is_left()
    }

    #[test]
    fn what_a_transaction_did_is_left_by_its_commit_alone() {
        assert!(!left(&[("BEGIN", true), ("INSERT 0 1", true)]));
        assert!(!left(&[
            ("BEGIN", true),
            ("INSERT 0 1", true),
            ("ROLLBACK", false)
        ]));
        assert!(left(&[
            ("BEGIN", true),
            ("INSERT 0 1", true),
            ("COMMIT", false)
        ]));
        assert!(left(&[("BEGIN", true), ("PREPARE TRANSACTION", false)]));
    }

    #[test]
    fn what_stands_alone_is_left_unless_it_concerns_the_session_alone() {
        assert!(left(&[("INSERT 0 1", false)]));
        assert!(left(&[("SELECT 1", false)]), "it may call anything");
        assert!(left(&[("CALL", false)]));
        assert!(!left(&[
            ("SET", false),
            ("PREPARE", false),
            ("SHOW", false)
        ]));
        assert!(!left(&[("ROLLBACK", false), ("BEGIN", true)]));
    }
}
