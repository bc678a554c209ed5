//! The native client with every call watched.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Buf;
use tokio_postgres::types::{BorrowToSql, ToSql, Type};
use tokio_postgres::{
    CopyInSink, CopyOutStream, Row, RowStream, SimpleQueryMessage, Statement, ToStatement,
};
use tracing::{Instrument, Span};

use super::explain::{self, Phase};
use super::link::Link;
use super::text::StatementText;
use super::transaction::Transaction;
use crate::engine::record::{Met, Record};
use crate::engine::residue;
use crate::engine::{Condition, Failure};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::observe::span;
use crate::time::Instant;

/// A `tokio_postgres::Client` whose calls say what their errors mean.
///
/// The methods have the names and arguments of the native client and return this crate's
/// [`Error`](struct@crate::Error): [`Error::outcome`] then says whether the statement may have been
/// applied. All else of the native client is reached through `Deref`; errors met there are
/// noticed as well, only not explained.
///
/// # Cancellation
///
/// Any call may be dropped. The connection then refuses every further call and is thrown away
/// when it is returned: the statement may still be running, and the next one would wait for it.
#[derive(Debug)]
pub struct Client {
    native: tokio_postgres::Client,
    link: Arc<Link>,
    /// Where the instance last said over this connection that it is a reader: from when on its table
    /// is asked for again.
    pub(super) readers_table_from: Option<Instant>,
    /// The server has said over this connection that it has none of Aurora's functions.
    pub(super) is_plain: bool,
}

impl Client {
    pub(super) fn new(native: tokio_postgres::Client, link: Arc<Link>) -> Self {
        Self {
            native,
            link,
            readers_table_from: None,
            is_plain: false,
        }
    }

    pub(super) fn native(&self) -> &tokio_postgres::Client {
        &self.native
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn failure(&self, error: tokio_postgres::Error) -> Failure {
        explain::failure(error, &self.link)
    }

    pub(super) fn condition(&self) -> Condition {
        if self.is_over() || self.link.is_spent() {
            Condition::Broken
        } else if self.link.in_transaction() || self.link.awaits_answers() || self.link.is_dirty() {
            Condition::Unclean
        } else {
            Condition::Clean
        }
    }

    #[cfg(feature = "router")]
    pub(super) fn standing(&self) -> crate::engine::Standing {
        crate::engine::Standing {
            is_over: self.is_over(),
            // The last word may be that from before an answer which is on its way.
            in_transaction: (!self.link.awaits_answers()).then(|| self.link.in_transaction()),
            may_hold_state: self.link.is_dirty() || self.link.is_spent(),
        }
    }

    fn is_over(&self) -> bool {
        self.native.is_closed() || self.link.is_condemned()
    }

    /// Makes the session fit for its next user: rolls back, and takes away what was left in it.
    /// One round trip.
    pub(super) async fn clean(&self) -> Result<(), tokio_postgres::Error> {
        let open = self.link.in_transaction() || self.link.awaits_answers();
        match (open, self.link.is_dirty()) {
            (false, false) => {}
            (true, false) => self.native.batch_execute("ROLLBACK").await?,
            (false, true) => self.native.batch_execute(residue::postgres::WASH).await?,
            (true, true) => {
                let wash = format!("ROLLBACK; {}", residue::postgres::WASH);
                self.native.batch_execute(&wash).await?;
            }
        }
        self.link.washed();
        Ok(())
    }

    pub(super) fn record(&self) -> Record {
        let trace = self.link.trace();
        let failed = trace.failure();
        let is_over = self.is_over();
        // Only a call on the bare native client ends without an explanation.
        let unexplained = failed.is_none() && trace.is_unanswered() && !self.link.in_transaction();
        Record {
            failed: failed.or(is_over.then_some(Met::UNEXPLAINED_LOSS)),
            left_traces: trace.is_left() || unexplained,
        }
    }

    /// Watches a call that may commit, which any statement outside of a [`Transaction`] may: even
    /// where the server's last word was that a transaction is open, a COMMIT may be on its way.
    async fn watch<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        watch(&self.link, Phase::Committing, call).await
    }

    /// Creates a prepared statement.
    ///
    /// # Errors
    ///
    /// As all calls here: the server's refusal, or the loss of the connection.
    pub async fn prepare(&self, query: &str) -> Result<Statement> {
        self.watch(self.native.prepare(query)).await
    }

    /// Creates a prepared statement with the types of its parameters named.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn prepare_typed(&self, query: &str, types: &[Type]) -> Result<Statement> {
        self.watch(self.native.prepare_typed(query, types)).await
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
            None => self.watch(self.native.query(statement, params)).await,
            Some(text) => self.watch(self.native.query(&*text, params)).await,
        }
    }

    /// Runs a statement that gives exactly one row.
    ///
    /// # Errors
    ///
    /// Also [`ErrorKind::Usage`] for any other number of rows; the statement has then been
    /// applied.
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

    /// Runs a statement and returns its rows as a stream, whose own errors are native.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn query_raw<T, P, I>(&self, statement: &T, params: I) -> Result<RowStream>
    where
        T: ?Sized + StatementText,
        P: BorrowToSql,
        I: IntoIterator<Item = P>,
        I::IntoIter: ExactSizeIterator,
    {
        match self.link.commented(statement.text()) {
            None => self.watch(self.native.query_raw(statement, params)).await,
            Some(text) => self.watch(self.native.query_raw(&*text, params)).await,
        }
    }

    /// Runs a statement with typed parameters in one round trip, without preparing it first.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn query_typed(
        &self,
        query: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>> {
        let commented = self.link.commented(Some(query));
        let query = commented.as_deref().unwrap_or(query);
        self.watch(self.native.query_typed(query, params)).await
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
            None => self.watch(self.native.execute(statement, params)).await,
            Some(text) => self.watch(self.native.execute(&*text, params)).await,
        }
    }

    /// Runs a statement with typed parameters in one round trip and returns how many rows it
    /// changed.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn execute_typed(
        &self,
        query: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<u64> {
        let commented = self.link.commented(Some(query));
        let query = commented.as_deref().unwrap_or(query);
        self.watch(self.native.execute_typed(query, params)).await
    }

    /// Runs a statement with parameters from an iterator.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn execute_raw<T, P, I>(&self, statement: &T, params: I) -> Result<u64>
    where
        T: ?Sized + StatementText,
        P: BorrowToSql,
        I: IntoIterator<Item = P>,
        I::IntoIter: ExactSizeIterator,
    {
        match self.link.commented(statement.text()) {
            None => self.watch(self.native.execute_raw(statement, params)).await,
            Some(text) => self.watch(self.native.execute_raw(&*text, params)).await,
        }
    }

    /// Begins `COPY ... FROM STDIN`; the sink's own errors are native.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn copy_in<T, U>(&self, statement: &T) -> Result<CopyInSink<U>>
    where
        T: ?Sized + ToStatement,
        U: Buf + 'static + Send,
    {
        self.watch(self.native.copy_in(statement)).await
    }

    /// Begins `COPY ... TO STDOUT`; the stream's own errors are native.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn copy_out<T>(&self, statement: &T) -> Result<CopyOutStream>
    where
        T: ?Sized + ToStatement,
    {
        self.watch(self.native.copy_out(statement)).await
    }

    /// Runs a script in the simple protocol and returns its rows as text.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn simple_query(&self, query: &str) -> Result<Vec<SimpleQueryMessage>> {
        let phase = Phase::of_script(query);
        let commented = self.link.commented(Some(query));
        let query = commented.as_deref().unwrap_or(query);
        watch(&self.link, phase, self.native.simple_query(query)).await
    }

    /// Runs a script in the simple protocol.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn batch_execute(&self, query: &str) -> Result<()> {
        let phase = Phase::of_script(query);
        let commented = self.link.commented(Some(query));
        let query = commented.as_deref().unwrap_or(query);
        watch(&self.link, phase, self.native.batch_execute(query)).await
    }

    /// Asks the server for a sign of life: one round trip.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare).
    pub async fn check_connection(&self) -> Result<()> {
        self.watch(self.native.check_connection()).await
    }

    /// Begins a transaction; it is rolled back when dropped without a commit.
    ///
    /// # Errors
    ///
    /// See [`prepare`](Self::prepare). Nothing has been changed then.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>> {
        let link = &*self.link;
        let native = watch(link, Phase::InTransaction, self.native.transaction()).await?;
        Ok(Transaction::new(native, link))
    }
}

/// The native client, for what is not mirrored here.
impl Deref for Client {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &Self::Target {
        &self.native
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The native client's end is what ends the connection; from here on that is no news.
        self.link.release();
    }
}

/// Awaits a call on a connection and explains its error. A call that is dropped half-way condemns
/// the connection, as the statement may still be running; a condemned one takes no more calls.
pub(super) async fn watch<T>(
    link: &Link,
    phase: Phase,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    if link.is_condemned() || link.reporter().generation_end().has_ended() {
        let refused = already_over(link);
        link.trace().failed(Met::from(&refused));
        return Err(refused);
    }
    let sent_before = link.trace().commands_sent();
    let guard = CondemnIfDropped(link, phase);
    let span = begin_span(link);
    let answer = call.instrument(span.clone()).await;
    std::mem::forget(guard);
    tell_span(link, &span);
    match answer {
        Ok(value) => {
            link.trace().succeeded();
            Ok(value)
        }
        Err(error) => {
            // Of a call that only prepared its statement, nothing was run.
            let phase = match phase {
                Phase::Committing | Phase::Script
                    if link.trace().commands_sent() == sent_before =>
                {
                    Phase::Preparing
                }
                phase => phase,
            };
            let explained = explain::explain(error, link, phase);
            fail_span(&span, &explained);
            link.trace().failed(Met::from(&explained));
            Err(explained)
        }
    }
}

/// The span of a call, which asks for its statement if anybody wants to see it.
fn begin_span(link: &Link) -> Span {
    let span = span::operation(link.site().map(Arc::as_ref));
    if !span.is_disabled() {
        link.ask_for_digest();
    }
    span
}

fn tell_span(link: &Link, span: &Span) {
    if !span.is_disabled()
        && let Some(digest) = link.take_digest()
        && let Some(site) = link.site()
    {
        span::is_about(span, &digest, site);
    }
}

fn fail_span(span: &Span, error: &Error) {
    if !span.is_disabled() {
        let code = error.code().map(|code| code.to_string());
        span::failed(span, code.as_deref(), error.kind().name());
    }
}

struct CondemnIfDropped<'a>(&'a Link, Phase);

impl Drop for CondemnIfDropped<'_> {
    fn drop(&mut self) {
        let Self(link, phase) = self;
        link.condemn();
        match phase {
            Phase::InTransaction | Phase::Preparing => {}
            Phase::Committing | Phase::Script => link.trace().leave(),
        }
    }
}

pub(super) fn one_row(rows: Vec<Row>) -> Result<Row> {
    at_most_one_row(rows)?.ok_or_else(|| wrong_count("none"))
}

pub(super) fn at_most_one_row(rows: Vec<Row>) -> Result<Option<Row>> {
    let mut rows = rows.into_iter();
    let first = rows.next();
    match rows.next() {
        None => Ok(first),
        Some(_) => Err(wrong_count("several")),
    }
}

fn wrong_count(found: &str) -> Error {
    Error::new(
        ErrorKind::Usage,
        format!("one row was expected and {found} came"),
    )
    .with_outcome(Outcome::Applied)
}

fn already_over(link: &Link) -> Error {
    let cause = link
        .end()
        .unwrap_or_else(|| "an earlier call on it was cancelled, or its error ended it".to_owned());
    let error = Error::new(
        ErrorKind::ConnectionLost,
        format!("the connection is over ({cause}) and nothing was sent: take a new one"),
    );
    match link.reporter().instance() {
        Some(instance) => error.with_instance(instance),
        None => error,
    }
}
