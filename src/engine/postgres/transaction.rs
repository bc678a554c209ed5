//! An open transaction, with every call watched.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, SimpleQueryMessage, Statement};

use super::client::{Client, at_most_one_row, one_row, watch};
use super::explain::Phase;
use super::link::Link;
use super::text::StatementText;
use crate::engine::statement;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::id::InstanceId;

/// A `tokio_postgres::Transaction` whose calls say what their errors mean.
///
/// Dropped without [`commit`](Self::commit) it is rolled back. When the server refuses a call
/// other than `commit`, or the connection is lost in it, the outcome is [`Outcome::Rejected`]:
/// nothing of the transaction stays. A wrong number of rows is [`Outcome::Applied`] as ever: the
/// statement took effect within the transaction, which goes on. All else of the native
/// transaction is reached through `Deref`.
///
/// End it by `commit` or `rollback` and not by SQL, which the outcomes could not see in a
/// prepared statement.
pub struct Transaction<'a> {
    /// Leaves at the end alone.
    native: Option<tokio_postgres::Transaction<'a>>,
    link: &'a Link,
    /// Whoever began it ends it as well: it is left open when dropped.
    ended_by_owner: bool,
    /// A savepoint: its commit decides nothing for good.
    nested: bool,
    /// A script that may have ended the transaction was sent: nothing is sure any more.
    ended_by_hand: AtomicBool,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(native: tokio_postgres::Transaction<'a>, link: &'a Link) -> Self {
        Self {
            native: Some(native),
            link,
            ended_by_owner: false,
            nested: false,
            ended_by_hand: AtomicBool::new(false),
        }
    }

    /// Leaves it open when this is dropped.
    pub(super) fn ended_by_owner(mut self) -> Self {
        self.ended_by_owner = true;
        self
    }

    fn native(&self) -> &tokio_postgres::Transaction<'a> {
        self.native.as_ref().expect(LEAVES_AT_THE_END)
    }

    fn into_native(mut self) -> tokio_postgres::Transaction<'a> {
        self.native.take().expect(LEAVES_AT_THE_END)
    }

    async fn watch<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        watch(self.link, self.phase(), call).await
    }

    fn phase(&self) -> Phase {
        if self.ended_by_hand.load(Ordering::Relaxed) {
            Phase::Script
        } else {
            Phase::InTransaction
        }
    }

    fn note_script(&self, text: &str) {
        if statement::may_commit(text) {
            self.ended_by_hand.store(true, Ordering::Relaxed);
        }
    }

    /// The instance that it is on.
    pub fn instance(&self) -> &InstanceId {
        self.link.reporter().instance_in_use()
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// With [`Outcome::Unknown`] when the connection was lost before the answer: the transaction
    /// may have been committed. With [`Outcome::Rejected`] when the server refused, and also when
    /// an earlier statement of the transaction had failed: PostgreSQL answers such a COMMIT with
    /// a ROLLBACK that looks like success.
    pub async fn commit(self) -> Result<()> {
        if self.link.transaction_failed() {
            return Err(rolled_back());
        }
        let link = self.link;
        if self.nested {
            return watch(link, Phase::InTransaction, self.into_native().commit()).await;
        }
        watch(link, Phase::Committing, self.into_native().commit()).await?;
        refuse_rollback(link)
    }

    /// Rolls back.
    ///
    /// # Errors
    ///
    /// The loss of the connection; the transaction is rolled back all the same.
    pub async fn rollback(self) -> Result<()> {
        let link = self.link;
        watch(link, Phase::InTransaction, self.into_native().rollback()).await
    }

    /// Creates a prepared statement.
    ///
    /// # Errors
    ///
    /// The server's refusal, or the loss of the connection.
    pub async fn prepare(&self, query: &str) -> Result<Statement> {
        self.watch(self.native().prepare(query)).await
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn query<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>>
    where
        T: ?Sized + StatementText,
    {
        match self.link.commented(statement.text()) {
            None => self.watch(self.native().query(statement, params)).await,
            Some(text) => self.watch(self.native().query(&*text, params)).await,
        }
    }

    /// Runs a statement that gives exactly one row.
    ///
    /// # Errors
    ///
    /// Also [`ErrorKind::Usage`] for any other number of rows.
    pub async fn query_one<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Row>
    where
        T: ?Sized + StatementText,
    {
        one_row(self.query(statement, params).await?)
    }

    /// Runs a statement that gives at most one row.
    ///
    /// # Errors
    ///
    /// See [`query_one`](Self::query_one).
    pub async fn query_opt<T>(
        &self,
        statement: &T,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>>
    where
        T: ?Sized + StatementText,
    {
        at_most_one_row(self.query(statement, params).await?)
    }

    /// Runs a statement and returns how many rows it changed.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn execute<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<u64>
    where
        T: ?Sized + StatementText,
    {
        match self.link.commented(statement.text()) {
            None => self.watch(self.native().execute(statement, params)).await,
            Some(text) => self.watch(self.native().execute(&*text, params)).await,
        }
    }

    /// Runs a script in the simple protocol.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn batch_execute(&self, query: &str) -> Result<()> {
        self.note_script(query);
        let commented = self.link.commented(Some(query));
        let query = commented.as_deref().unwrap_or(query);
        self.watch(self.native().batch_execute(query)).await
    }

    /// Runs a script in the simple protocol and returns its rows as text.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn simple_query(&self, query: &str) -> Result<Vec<SimpleQueryMessage>> {
        self.note_script(query);
        let commented = self.link.commented(Some(query));
        let query = commented.as_deref().unwrap_or(query);
        self.watch(self.native().simple_query(query)).await
    }

    /// Begins a nested transaction by a savepoint.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn transaction(&mut self) -> Result<Transaction<'_>> {
        let link = self.link;
        let native = self.native.as_mut().expect(LEAVES_AT_THE_END);
        let native = watch(link, Phase::InTransaction, native.transaction()).await?;
        Ok(Transaction {
            native: Some(native),
            link,
            ended_by_owner: false,
            nested: true,
            ended_by_hand: AtomicBool::new(false),
        })
    }
}

const LEAVES_AT_THE_END: &str = "the native transaction leaves when this one is consumed";

/// Commits the transaction that is open on the client, whoever began it.
pub(super) async fn commit(client: &Client) -> Result<()> {
    let link = client.link();
    if link.transaction_failed() {
        return Err(rolled_back());
    }
    watch(
        link,
        Phase::Committing,
        client.native().batch_execute("COMMIT"),
    )
    .await?;
    refuse_rollback(link)
}

/// An earlier request, unanswered till the COMMIT was, may have failed the transaction.
fn refuse_rollback(link: &Link) -> Result<()> {
    if link.was_rolled_back() {
        return Err(rolled_back());
    }
    Ok(())
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.ended_by_owner {
            // Its own drop would roll back.
            std::mem::forget(self.native.take());
        }
    }
}

fn rolled_back() -> Error {
    Error::new(
        ErrorKind::Server,
        "an earlier statement of the transaction failed, so it cannot be committed and is rolled \
         back",
    )
    .with_outcome(Outcome::Rejected)
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// The native transaction, for what is not mirrored here.
impl<'a> Deref for Transaction<'a> {
    type Target = tokio_postgres::Transaction<'a>;

    fn deref(&self) -> &Self::Target {
        self.native()
    }
}
