//! One connection of the direct front: its statements are calls, and each takes a network's time.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use crate::engine::record::{Met, Record};
use crate::engine::reporter::Reporter;
use crate::engine::{Condition, Failure};
use crate::error::{Error, ErrorKind, Outcome, Result, ServerCode};
use crate::sim::front::Ending;
use crate::topology::observation::Fault;

use super::shell::{Commit, Session, Shared};

/// A connection to one instance of a [`DirectCluster`](super::DirectCluster).
///
/// Instead of SQL it takes keys: [`write`](Self::write) adds a row with that key, by itself or in
/// the transaction that [`begin`](Self::begin) opened. A call that is dropped half-way leaves the
/// connection unusable, and its key may have been written all the same.
#[derive(Debug)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Session,
    pub(super) reporter: Reporter,
    /// The keys of the open transaction.
    pub(super) pending: Option<Vec<u64>>,
    /// A call is under way, or was dropped.
    pub(super) under_way: bool,
    pub(super) is_broken: bool,
    pub(super) record: Record,
    /// Ends the task that watches the connection.
    pub(super) _open: DropGuard,
}

impl Client {
    /// Adds a row with this key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReadOnly`] (25006) on a reader, [`Outcome::Rejected`];
    /// [`ErrorKind::ConnectionLost`] when the connection ended first: [`Outcome::Unknown`], or
    /// [`Outcome::Rejected`] within a transaction, which ended uncommitted.
    pub async fn write(&mut self, key: u64) -> Result<()> {
        if self.pending.is_some() {
            let check = |shared: &Shared, session: &Session| commit(shared, session, &[]);
            let asked = self.call("write in transaction", Outcome::Rejected, check);
            asked.await.map_err(|failure| failure.error)?;
            self.pending.get_or_insert_default().push(key);
            return Ok(());
        }
        let apply = |shared: &Shared, session: &Session| commit(shared, session, &[key]);
        let asked = self.call("write", Outcome::Unknown, apply).await;
        asked.map_err(|failure| failure.error)
    }

    /// Whether a row with this key is in the storage.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConnectionLost`] when the connection ended first.
    pub async fn read(&mut self, key: u64) -> Result<bool> {
        let look = |shared: &Shared, _: &Session| Ok(shared.has(key));
        let asked = self.call("read", Outcome::Unknown, look).await;
        asked.map_err(|failure| failure.error)
    }

    /// Opens a transaction; one that is open already is rolled back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConnectionLost`] when the connection ended first; nothing was done then.
    pub async fn begin(&mut self) -> Result<()> {
        self.pending = None;
        let asked = self.call("begin", Outcome::Rejected, |_, _| Ok(())).await;
        asked.map_err(|failure| failure.error)?;
        self.pending = Some(Vec::new());
        Ok(())
    }

    /// Commits the open transaction: all of its keys are written, or none. Without one it does
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write) outside a transaction.
    pub async fn commit(&mut self) -> Result<()> {
        let keys = self.pending.take().unwrap_or_default();
        if keys.is_empty() {
            return Ok(());
        }
        let apply = |shared: &Shared, session: &Session| commit(shared, session, &keys);
        let asked = self.call("commit", Outcome::Unknown, apply).await;
        asked.map_err(|failure| failure.error)
    }

    pub(super) fn record(&self) -> Record {
        let is_over = self.condition() == Condition::Broken;
        Record {
            failed: self.record.failed.or(is_over.then_some(Met::UNEXPLAINED_LOSS)),
            left_traces: self.record.left_traces || self.under_way,
        }
    }

    pub(super) fn condition(&self) -> Condition {
        let ended = self.session.ending.borrow().is_some()
            || self.session.ending.has_changed().is_err()
            || self.reporter.generation_end().has_ended();
        if self.is_broken || self.under_way || ended {
            Condition::Broken
        } else if self.pending.is_some() {
            Condition::Unclean
        } else {
            Condition::Clean
        }
    }

    /// One round trip. `if_lost` is what is known of the statement once it has been sent.
    pub(super) async fn call<T>(
        &mut self,
        what: &'static str,
        if_lost: Outcome,
        run: impl FnOnce(&Shared, &Session) -> Result<T, Commit>,
    ) -> Result<T, Failure> {
        if self.condition() == Condition::Broken {
            return Err(self.failed(what, Fault::Lost, Outcome::NotSent));
        }
        self.under_way = true;
        let awaited = self.reporter.pulse().awaiting();
        let answer = self.round_trip(run).await;
        drop(awaited);
        self.reporter.pulse().beat();
        self.under_way = false;
        match answer {
            Ok(answer) => {
                self.record.failed = None;
                // What a read finds is forgotten with its answer.
                self.record.left_traces |= matches!(what, "write" | "commit");
                let instance = &self.session.instance;
                self.shared.note(format_args!("{instance}: {what}: done"));
                Ok(answer)
            }
            Err(Fault::ReadOnly) => Err(self.failed(what, Fault::ReadOnly, Outcome::Rejected)),
            Err(fault) => Err(self.failed(what, fault, if_lost)),
        }
    }

    async fn round_trip<T>(
        &self,
        run: impl FnOnce(&Shared, &Session) -> Result<T, Commit>,
    ) -> Result<T, Fault> {
        self.travel().await?;
        match run(&self.shared, &self.session) {
            Ok(answer) => self.travel().await.map(|()| answer),
            Err(Commit::ReadOnly) => self.travel().await.and(Err(Fault::ReadOnly)),
            Err(Commit::Applied | Commit::Fenced) => Err(self.until_over().await),
        }
    }

    /// One way through the network, unless the connection ends before.
    async fn travel(&self) -> Result<(), Fault> {
        let arrival = tokio::time::sleep(self.shared.latency());
        tokio::select! {
            biased;
            fault = self.until_over() => return Err(fault),
            () = arrival => {}
        }
        if *self.session.ending.borrow() == Some(Ending::Silence) {
            return Err(self.until_over().await);
        }
        Ok(())
    }

    async fn until_over(&self) -> Fault {
        tokio::select! {
            biased;
            () = self.reporter.generation_end().ended() => Fault::Lost,
            fault = ended(self.session.ending.clone()) => fault,
        }
    }

    fn failed(&mut self, what: &'static str, fault: Fault, outcome: Outcome) -> Failure {
        self.is_broken = true;
        self.reporter.trouble(fault);
        let instance = &self.session.instance;
        self.shared
            .note(format_args!("{instance}: {what}: {fault:?}, {outcome:?}"));
        let (kind, code, message) = match fault {
            Fault::ReadOnly => (
                ErrorKind::ReadOnly,
                ServerCode::sqlstate("25006"),
                "the instance takes no writes; take a new connection from `writer()`",
            ),
            Fault::Terminated => (
                ErrorKind::ConnectionLost,
                ServerCode::sqlstate("57P01"),
                "the server ended the connection; take a new one",
            ),
            _ => (
                ErrorKind::ConnectionLost,
                None,
                "the connection is over; take a new one",
            ),
        };
        let error = Error::new(kind, message).with_code(code);
        let error = error.with_outcome(outcome).with_instance(instance);
        self.record.failed = Some(Met::from(&error));
        Failure { fault, error }
    }
}

fn commit(shared: &Shared, session: &Session, keys: &[u64]) -> Result<(), Commit> {
    match shared.commit(session, keys) {
        Commit::Applied => Ok(()),
        refused => Err(refused),
    }
}

/// Waits until the connection is over; silence is not its end.
pub(super) async fn ended(mut ending: watch::Receiver<Option<Ending>>) -> Fault {
    loop {
        match *ending.borrow_and_update() {
            Some(Ending::Goodbye) => return Fault::Terminated,
            Some(Ending::Reset) => return Fault::Lost,
            Some(Ending::Silence) | None => {}
        }
        if ending.changed().await.is_err() {
            return Fault::Lost;
        }
    }
}
