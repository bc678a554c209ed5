//! One connection of the direct front: its statements are calls, and each takes a network's time.

use std::sync::Arc;

use tokio_util::sync::DropGuard;

use crate::engine::record::{Met, Record};
use crate::engine::reporter::Reporter;
use crate::engine::{Condition, Failure};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::sim::fault::{Place, StatementKind};
use crate::topology::observation::Fault;

use super::answer::{self, Upset};
use super::machine::Session;
use super::shell::{Commit, Shared};
use super::traffic::Attempt;
use super::trip::Statement;

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
    pub(super) transaction: Option<Pending>,
    /// A call is under way, or was dropped.
    pub(super) under_way: bool,
    pub(super) is_broken: bool,
    pub(super) attempt: Attempt,
    /// Its place among the connections of the instance.
    pub(super) _place: Place,
    pub(super) record: Record,
    /// Ends the task that watches the connection.
    pub(super) _open: DropGuard,
}

/// An open transaction.
#[derive(Debug, Default)]
pub(super) struct Pending {
    keys: Vec<u64>,
    /// A statement in it failed, so that it can only be rolled back.
    has_failed: bool,
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
        if self.transaction.is_none() {
            let statement = Statement::new("write", StatementKind::Write, Outcome::Unknown);
            let apply = move |shared: &Shared, session: &Session| commit(shared, session, &[key]);
            return self.ask(statement, apply).await;
        }
        self.refuse_if_failed()?;
        let statement = Statement::new(
            "write in transaction",
            StatementKind::Write,
            Outcome::Rejected,
        );
        let check = |shared: &Shared, session: &Session| commit(shared, session, &[]);
        let answer = self.ask(statement, check).await;
        if let Some(transaction) = &mut self.transaction {
            match &answer {
                Ok(()) => transaction.keys.push(key),
                Err(_) => transaction.has_failed = true,
            }
        }
        answer
    }

    /// Whether the instance shows a row with this key: a reader may lag behind.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConnectionLost`] when the connection ended first.
    pub async fn read(&mut self, key: u64) -> Result<bool> {
        let statement = Statement::new("read", StatementKind::Read, Outcome::Unknown);
        let look = move |shared: &Shared, session: &Session| Ok(shared.has(session, key));
        self.ask(statement, look).await
    }

    /// How many rows the instance shows: as many as the
    /// [`ledger`](super::DirectCluster::ledger) had when its data was as old as it is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConnectionLost`] when the connection ended first.
    pub async fn count(&mut self) -> Result<usize> {
        let statement = Statement::new("count", StatementKind::Read, Outcome::Unknown);
        let look = |shared: &Shared, session: &Session| Ok(shared.count(session));
        self.ask(statement, look).await
    }

    /// Opens a transaction; one that is open already is rolled back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConnectionLost`] when the connection ended first; nothing was done then.
    pub async fn begin(&mut self) -> Result<()> {
        self.transaction = None;
        let statement = Statement::new("begin", StatementKind::Begin, Outcome::Rejected);
        self.ask(statement, |_, _| Ok(())).await?;
        self.transaction = Some(Pending::default());
        Ok(())
    }

    /// Commits the open transaction: all of its keys are written, or none. Without one it does
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write) outside a transaction; after an error within the transaction
    /// nothing is written, and the answer says so: [`Outcome::Rejected`].
    pub async fn commit(&mut self) -> Result<()> {
        self.refuse_if_failed()?;
        let keys = self.transaction.take().unwrap_or_default().keys;
        if keys.is_empty() {
            return Ok(());
        }
        let statement = Statement::new("commit", StatementKind::Commit, Outcome::Unknown);
        let apply = move |shared: &Shared, session: &Session| commit(shared, session, &keys);
        self.ask(statement, apply).await
    }

    /// Whether a transaction is open.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    fn refuse_if_failed(&self) -> Result<()> {
        match &self.transaction {
            Some(transaction) if transaction.has_failed => Err(Error::new(
                ErrorKind::Server,
                "the transaction has failed: roll it back",
            )
            .with_outcome(Outcome::Rejected)),
            Some(_) | None => Ok(()),
        }
    }

    async fn ask<T>(
        &mut self,
        statement: Statement,
        run: impl FnOnce(&Shared, &Session) -> Result<T, Commit>,
    ) -> Result<T> {
        let answer = self.call(statement, run).await;
        answer.map_err(|failure| failure.error)
    }

    pub(super) fn record(&self) -> Record {
        let is_over = self.condition() == Condition::Broken;
        Record {
            failed: self
                .record
                .failed
                .or(is_over.then_some(Met::UNEXPLAINED_LOSS)),
            left_traces: self.record.left_traces || self.under_way,
        }
    }

    pub(super) fn condition(&self) -> Condition {
        let ended =
            self.session.fate.ending().is_some() || self.reporter.generation_end().has_ended();
        if self.is_broken || self.under_way || ended {
            Condition::Broken
        } else if self.transaction.is_some() {
            Condition::Unclean
        } else {
            Condition::Clean
        }
    }

    /// One round trip.
    pub(super) async fn call<T>(
        &mut self,
        statement: Statement,
        run: impl FnOnce(&Shared, &Session) -> Result<T, Commit>,
    ) -> Result<T, Failure> {
        if self.condition() == Condition::Broken {
            let lost = Upset::Fault(Fault::Lost);
            return Err(self.failed(statement.what, lost, Outcome::NotSent));
        }
        if self.under_way {
            // What comes next is the answer to the call that was dropped.
            self.shared.cross();
        }
        self.under_way = true;
        let awaited = self.reporter.pulse().awaiting();
        let answer = self.round_trip(statement, run).await;
        drop(awaited);
        self.reporter.pulse().beat();
        self.under_way = false;
        match answer {
            Ok(answer) => {
                self.record.failed = None;
                // What a read finds is forgotten with its answer.
                self.record.left_traces |= statement.leaves_traces();
                if statement.leaves_traces() {
                    self.reporter.has_written();
                }
                let instance = &self.session.instance;
                let what = statement.what;
                self.shared.note(format_args!("{instance}: {what}: done"));
                Ok(answer)
            }
            Err(upset) => Err(self.failed(statement.what, upset, statement.if_lost)),
        }
    }

    pub(super) async fn until_over(&self) -> Fault {
        tokio::select! {
            biased;
            () = self.reporter.generation_end().ended() => Fault::Lost,
            fault = self.session.fate.ended() => fault,
        }
    }

    fn failed(&mut self, what: &'static str, upset: Upset, if_lost: Outcome) -> Failure {
        let fault = upset.fault();
        self.is_broken |= answer::condemns(fault);
        self.reporter.trouble(fault);
        let instance = &self.session.instance;
        self.shared
            .note(format_args!("{instance}: {what}: {upset:?}"));
        let failure = upset.failure(if_lost, instance);
        self.record.failed = Some(Met::from(&failure.error));
        failure
    }
}

pub(super) fn commit(shared: &Shared, session: &Session, keys: &[u64]) -> Result<(), Commit> {
    match shared.commit(session, keys) {
        Commit::Applied => Ok(()),
        refused => Err(refused),
    }
}
