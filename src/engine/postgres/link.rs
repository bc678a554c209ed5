//! What is known of one connection's state, shared by its client, its driving task and the
//! reader of its messages.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::faults::fault_of_sqlstate;
use super::read_only::Access;
use super::trace::Trace;
use crate::engine::faults::condemns;
use crate::engine::reporter::Reporter;
use crate::engine::residue::Residue;
use crate::observe::lens::Digest;
use crate::observe::site::Site;
use crate::topology::observation::Fault;

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Link {
    reporter: Reporter,
    trace: Trace,
    /// The status byte of the last `ReadyForQuery` (PostgreSQL protocol, section 55.7): `I`, `T`
    /// or `E`.
    status: AtomicU8,
    /// Requests sent whose `ReadyForQuery` has not come yet.
    unanswered: AtomicU32,
    /// Those of them up to the last that a user waits for.
    unanswered_to_users: AtomicU32,
    /// The last request sent was a `Sync`.
    synced_last: AtomicBool,
    /// The last command was completed with the tag `ROLLBACK`.
    rolled_back: AtomicBool,
    /// It met an error that says it must not be used again, or a call on it was cancelled.
    condemned: AtomicBool,
    /// Something was left in the session that a reset takes away.
    is_dirty: AtomicBool,
    /// Something was left in it that no reset takes away.
    is_spent: AtomicBool,
    /// The [`Access`] that its user asked for in the transaction that is open.
    access: AtomicU8,
    /// Since the login the session has become READ ONLY where a transaction says nothing else.
    is_session_read_only: AtomicBool,
    /// The last write that was refused as read-only was refused for one of these reasons.
    is_own_refusal: AtomicBool,
    /// The login is over.
    is_logged_in: AtomicBool,
    /// Nobody uses it any more: its end is no news.
    released: AtomicBool,
    abandoned: CancellationToken,
    /// Where its statements are told of, once it belongs to a pool.
    site: OnceLock<Arc<Site>>,
    /// How long its user had waited for it, in nanoseconds, until the first statement takes it.
    waited_nanos: AtomicU64,
    /// Whether a span asks which statement is run.
    is_asked: AtomicBool,
    /// The statement that was begun last while one asked.
    digest: Mutex<Option<Arc<Digest>>>,
    /// Why it ended, in words.
    end: Mutex<Option<String>>,
}

impl Link {
    pub(super) fn new(reporter: Reporter) -> Self {
        Self {
            reporter,
            trace: Trace::default(),
            status: AtomicU8::new(b'I'),
            unanswered: AtomicU32::new(0),
            unanswered_to_users: AtomicU32::new(0),
            synced_last: AtomicBool::new(false),
            rolled_back: AtomicBool::new(false),
            condemned: AtomicBool::new(false),
            is_dirty: AtomicBool::new(false),
            is_spent: AtomicBool::new(false),
            access: AtomicU8::new(Access::Default as u8),
            is_session_read_only: AtomicBool::new(false),
            is_own_refusal: AtomicBool::new(false),
            is_logged_in: AtomicBool::new(false),
            released: AtomicBool::new(false),
            abandoned: CancellationToken::new(),
            site: OnceLock::new(),
            waited_nanos: AtomicU64::new(0),
            is_asked: AtomicBool::new(false),
            digest: Mutex::new(None),
            end: Mutex::new(None),
        }
    }

    pub(super) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Its statements are told of there; the first word stands.
    pub(super) fn observe(&self, site: &Arc<Site>) {
        let _ = self.site.set(Arc::clone(site));
    }

    pub(super) fn site(&self) -> Option<&Arc<Site>> {
        self.site.get()
    }

    /// A text that is sent as it is, with the comment that it is to have.
    pub(super) fn commented(&self, text: Option<&str>) -> Option<String> {
        let comment = self.site()?.observer().comment()?;
        text.map(|text| text.to_owned() + &comment)
    }

    pub(super) fn waited(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.waited_nanos.store(nanos, Ordering::Relaxed);
    }

    pub(super) fn take_waited(&self) -> Duration {
        if self.waited_nanos.load(Ordering::Relaxed) == 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.waited_nanos.swap(0, Ordering::Relaxed))
    }

    /// A span asks which statement is begun next.
    pub(super) fn ask_for_digest(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// The statement that was begun since.
    pub(super) fn take_digest(&self) -> Option<Arc<Digest>> {
        self.is_asked.store(false, Ordering::Relaxed);
        let digest = self.digest.lock();
        digest.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A statement is begun.
    pub(super) fn runs(&self, digest: &Arc<Digest>) {
        if self.is_asked.load(Ordering::Relaxed) {
            let mut kept = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Some(Arc::clone(digest));
        }
    }

    /// What the connection's user may have left behind.
    pub(super) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The server is ready for a query, in this transaction status.
    pub(super) fn ready(&self, status: u8) {
        self.status.store(status, Ordering::Release);
        self.is_logged_in.store(true, Ordering::Release);
        self.answered();
        let all = !self.awaits_answers();
        // Another request that is under way may have begun the next transaction.
        if status == b'I' && all {
            self.transaction_is(Access::Default);
        }
        if self.trace.ready(self.in_transaction(), all) {
            self.reporter.has_written();
        }
    }

    /// A statement is on its way that says what its transaction may do.
    pub(super) fn transaction_is(&self, access: Access) {
        self.access.store(access as u8, Ordering::Release);
    }

    /// Whether the user of the connection asked that writes be refused.
    fn is_read_only(&self) -> bool {
        let access = self.access.load(Ordering::Acquire);
        access == Access::ReadOnly as u8
            || access == Access::Default as u8 && self.is_session_read_only.load(Ordering::Acquire)
    }

    /// What an error of this SQLSTATE, which has been met, means on this connection: a write that is
    /// refused where its user asked for that is nobody else's business.
    pub(super) fn fault_of(&self, sqlstate: &str) -> Fault {
        match fault_of_sqlstate(sqlstate) {
            Fault::ReadOnly if self.is_own_refusal.load(Ordering::Acquire) => Fault::Other,
            fault => fault,
        }
    }

    /// A statement is on its way that may leave this in the session.
    pub(super) fn leaves(&self, residue: Residue) {
        match residue {
            Residue::Nothing => {}
            Residue::Washable => self.is_dirty.store(true, Ordering::Release),
            Residue::Indelible => self.is_spent.store(true, Ordering::Release),
        }
    }

    /// The server says what a setting is: at the login, and when it has changed; by a function, if
    /// no statement told of it.
    pub(super) fn setting_is(&self, name: &[u8], value: &[u8]) {
        // What holds from the login on may be how the instance is.
        let is_logged_in = self.is_logged_in.load(Ordering::Acquire);
        if is_logged_in && name == b"default_transaction_read_only" {
            self.is_session_read_only
                .store(value == b"on", Ordering::Release);
        }
        // This one changes by itself, when a reader is promoted.
        if is_logged_in && name != b"in_hot_standby" {
            self.leaves(Residue::Washable);
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty.load(Ordering::Acquire)
    }

    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Acquire)
    }

    /// The session was reset.
    pub(super) fn washed(&self) {
        self.is_dirty.store(false, Ordering::Release);
    }

    /// A request that the server answers with a `ReadyForQuery` is on its way.
    pub(super) fn asked(&self, by_sync: bool) {
        self.synced_last.store(by_sync, Ordering::Release);
        let before = self.unanswered.fetch_add(1, Ordering::AcqRel);
        self.unanswered_to_users
            .store(before + 1, Ordering::Release);
        self.reporter.pulse().begin();
    }

    /// The client library tidies up behind a user, by a request that the server answers too: it
    /// closes prepared statements that were dropped. Nobody holds a stream of it.
    pub(super) fn tidied(&self) {
        self.synced_last.store(true, Ordering::Release);
        self.unanswered.fetch_add(1, Ordering::AcqRel);
        self.reporter.pulse().begin();
    }

    /// The server takes data now. It ignores the `Sync` that came with the command; another one
    /// follows the data (PostgreSQL protocol, section 55.2.6).
    pub(super) fn copy_begins(&self) {
        if self.synced_last.load(Ordering::Acquire) {
            self.answered();
        }
    }

    /// A command was completed with this tag.
    pub(super) fn completed(&self, tag: &[u8]) {
        self.trace.completed(tag, self.in_transaction());
        self.rolled_back
            .store(tag.starts_with(b"ROLLBACK"), Ordering::Release);
    }

    /// Whether the last command ended as a rollback.
    pub(super) fn was_rolled_back(&self) -> bool {
        self.rolled_back.load(Ordering::Acquire)
    }

    /// Whether requests are under way: somebody may still hold a stream of their rows.
    pub(super) fn awaits_answers(&self) -> bool {
        self.unanswered_to_users.load(Ordering::Acquire) > 0
    }

    fn answered(&self) {
        let one_less = |count: u32| count.checked_sub(1);
        let counted = self
            .unanswered
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        // None was awaited after the login's own `ReadyForQuery`.
        if counted.is_ok() {
            let relaxed = Ordering::Relaxed;
            // Answers come in the order of the requests.
            let _ = self
                .unanswered_to_users
                .fetch_update(Ordering::AcqRel, relaxed, one_less);
            self.reporter.pulse().end(1);
        }
    }

    /// Something has come from the server.
    pub(super) fn heard(&self) {
        self.reporter.pulse().beat();
    }

    /// No answer is awaited any more.
    fn give_up_answers(&self) {
        let count = self.unanswered.swap(0, Ordering::AcqRel);
        self.unanswered_to_users.store(0, Ordering::Release);
        self.reporter.pulse().end(count);
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.status.load(Ordering::Acquire) != b'I'
    }

    pub(super) fn transaction_failed(&self) -> bool {
        self.status.load(Ordering::Acquire) == b'E'
    }

    /// The server sent an error with this SQLSTATE. Seen for every statement, however it was
    /// sent.
    pub(super) fn met(&self, sqlstate: &str) {
        self.trace.errs();
        // As it is now: the transaction may be over before the error is explained.
        self.is_own_refusal
            .store(self.is_read_only(), Ordering::Release);
        let fault = self.fault_of(sqlstate);
        if condemns(fault) {
            self.condemn();
            self.reporter.trouble(fault);
        }
    }

    pub(super) fn condemn(&self) {
        self.condemned.store(true, Ordering::Release);
    }

    pub(super) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }

    /// The connection is over. The first cause stands.
    pub(super) fn ended(&self, cause: String) {
        self.condemn();
        self.give_up_answers();
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.get_or_insert(cause);
    }

    /// Why the connection is over, if it is.
    pub(super) fn end(&self) -> Option<String> {
        if let Some(cause) = self.reporter.generation_end().cause() {
            return Some(format!("the driver ended it because {cause}"));
        }
        self.end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The server ended the connection while somebody still held it.
    pub(super) fn lost(&self) {
        if !self.released.load(Ordering::Acquire) && !self.is_condemned() {
            self.reporter.trouble(Fault::Lost);
        }
    }

    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
    }

    /// Closes the socket now, whatever is under way.
    pub(super) fn abandon(&self) {
        self.release();
        self.abandoned.cancel();
    }

    pub(super) async fn abandoned(&self) {
        self.abandoned.cancelled().await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.give_up_answers();
    }
}
