//! Work that is given as a closure, so that it can be done again.
//!
//! Whether it is, [`retry`](super::retry) decides, from what the connection has met and not from
//! the closure's error: that may be of any type.

use std::time::Duration;

use super::Cluster;
use super::retry::{self, Attempt, Intent, Verdict};
use crate::engine::record::Record;
use crate::engine::{Condition, Engine};
use crate::error::{Error, ErrorKind};
use crate::id::{Generation, InstanceId};
use crate::pool::lease::Connection;
use crate::rng::Rng;
use crate::time::{self, Instant};
use crate::topology::Instance;

/// So that callers which met in one conflict do not meet in the next.
const JITTER_PERCENT: u32 = 50;

/// How long a rollback between two attempts may take before the connection is left to the pool.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(1);

impl<E: Engine> Cluster<E> {
    /// Runs a closure on a connection to a reader, and runs it again on another instance when it
    /// fails because of the first.
    ///
    /// The closure must only read, as it may be run up to five times. It is run again when its
    /// last call on the connection failed and the failure says nothing against another instance:
    /// the connection was lost, the instance is silent, starting, shutting down or full, or the
    /// server gave the query up for the sake of others (40001, 40P01, 1205, 1213). A query that
    /// is wrong, was cancelled or took too long is not asked again, nor is anything after an
    /// error of the closure's own.
    ///
    /// Repetitions come out of a budget of the handle: at most one for five calls, and a hundred
    /// that may be saved up for the moment at which an instance dies with many calls under way.
    ///
    /// ```
    /// # use aurora_driver::sim::SimCluster;
    /// use aurora_driver::{Cluster, EngineKind, Error, Postgres};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let simulated = SimCluster::builder(EngineKind::Postgres).readers(2).start().await?;
    /// # let cluster = Cluster::<Postgres>::connect(&simulated.url()).await?;
    /// let sum = cluster
    ///     .read(async |reader| {
    ///         let row = reader.query_one("SELECT 1 + 1", &[]).await?;
    ///         Ok::<i32, Error>(row.get(0))
    ///     })
    ///     .await?;
    /// assert_eq!(sum, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The closure's own, of its last run: of any type that this crate's error can be turned
    /// into, such as `anyhow::Error`, `Box<dyn std::error::Error + Send + Sync>`, `mysql_async`'s
    /// error, or an enum of yours with a `#[from]`. And those of [`reader`](Self::reader). No
    /// attempt begins later than the `checkout_timeout` (30 s by default) after the first; one
    /// that has begun is not cut short.
    ///
    /// # In a task of its own
    ///
    /// Where the future must be `Send`, as in `tokio::spawn` and in a web framework's handlers,
    /// let the closure own what it uses: `async move |reader| ...`. With captured references the
    /// compiler calls `Send` "not general enough" (rust-lang/rust issue 110338).
    ///
    /// # Cancellation
    ///
    /// Safe: a call that is under way on the connection is given up with it.
    pub async fn read<T, Err>(
        &self,
        mut work: impl AsyncFnMut(&mut Connection<E>) -> Result<T, Err>,
    ) -> Result<T, Err>
    where
        Err: From<Error>,
    {
        let mut attempts = Attempts::begin(self, Intent::Read);
        loop {
            let mut connection = self.reader_by(attempts.deadline, &attempts.avoided).await?;
            E::begin_record(&mut connection);
            match work(&mut connection).await {
                Ok(value) => return Ok(value),
                Err(error) => {
                    let record = E::record(&connection);
                    if !attempts.go_on(record, connection).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Runs a closure on a connection to the writer, and runs it again only when certainly
    /// nothing of it has stayed.
    ///
    /// That is so when its last call on the connection failed with
    /// [`NotSent`](crate::Outcome::NotSent) or [`Rejected`](crate::Outcome::Rejected), and no
    /// earlier call of the closure succeeded outside of a transaction or committed one. And it is
    /// of use when the connection was lost, the writer has been demoted (25006, 1290, 1836), or
    /// the server gave the statement up for the sake of others (40001, 40P01, 1205, 1213). A
    /// write whose answer was lost is never sent again: its error says
    /// [`Unknown`](crate::Outcome::Unknown).
    ///
    /// So it is for single statements, and for closures that begin and commit a transaction of
    /// their own; [`transaction`](Self::transaction) does the latter for you. Each attempt waits
    /// for the writer as [`writer`](Self::writer) does, through a failover if need be. The budget
    /// is that of [`read`](Self::read).
    ///
    /// ```
    /// # use aurora_driver::sim::SimCluster;
    /// use aurora_driver::mysql::mysql_async::prelude::*;
    /// use aurora_driver::{Cluster, EngineKind, Error, MySql, Outcome};
    ///
    /// /// Any error will do that this crate's can be turned into.
    /// #[derive(Debug, thiserror::Error)]
    /// enum ShopError {
    ///     #[error("we have no {0}")]
    ///     NoSuchItem(String),
    ///     #[error(transparent)]
    ///     Database(#[from] Error),
    /// }
    /// # impl From<aurora_driver::mysql::mysql_async::Error> for ShopError {
    /// #     fn from(error: aurora_driver::mysql::mysql_async::Error) -> Self { Self::Database(error.into()) }
    /// # }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let simulated = SimCluster::builder(EngineKind::MySql).readers(1).start().await?;
    /// # let cluster = Cluster::<MySql>::connect(&simulated.url()).await?;
    /// # cluster.writer().await?.query_drop("CREATE TABLE orders (item varchar(20))").await?;
    /// let item = "tea".to_owned();
    /// let sold: Result<(), ShopError> = cluster
    ///     .write(async |writer| {
    ///         if item.is_empty() {
    ///             return Err(ShopError::NoSuchItem(item.clone()));
    ///         }
    ///         writer.exec_drop("INSERT INTO orders (item) VALUES (?)", (&item,)).await?;
    ///         Ok(())
    ///     })
    ///     .await;
    /// match sold {
    ///     Ok(()) => {}
    ///     Err(ShopError::Database(error)) if error.outcome() == Outcome::Unknown => {
    ///         // It may be there: look before it is sent again.
    ///     }
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The closure's own, of its last run, and those of [`writer`](Self::writer). The deadline is
    /// that of [`read`](Self::read).
    ///
    /// # Cancellation
    ///
    /// As [`read`](Self::read); a statement under way may then have been applied.
    pub async fn write<T, Err>(
        &self,
        mut work: impl AsyncFnMut(&mut Connection<E>) -> Result<T, Err>,
    ) -> Result<T, Err>
    where
        Err: From<Error>,
    {
        let mut attempts = Attempts::begin(self, Intent::Write);
        loop {
            let mut connection = self.writer_by(attempts.deadline).await?;
            E::begin_record(&mut connection);
            match work(&mut connection).await {
                Ok(value) => return Ok(value),
                Err(error) => {
                    let record = E::record(&connection);
                    if !attempts.go_on(record, connection).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Runs a closure in a transaction on the writer and commits it; all of it is run again when
    /// it failed and certainly was not committed.
    ///
    /// Begun with the session's isolation level. When the closure returns an error the
    /// transaction is rolled back; by the rules of [`write`](Self::write) the closure is then run
    /// again, in a new transaction, or its error is returned. So after a lost connection, a
    /// demotion or a conflict it is run again, up to the moment at which the COMMIT is sent; a
    /// COMMIT whose answer is lost is [`Unknown`](crate::Outcome::Unknown) and returned as such.
    ///
    /// The closure gets the engine's own transaction:
    /// [`postgres::Transaction`](crate::postgres::Transaction) or
    /// [`mysql::Transaction`](crate::mysql::Transaction). It stays open when that value is
    /// dropped. A closure that commits by itself is not run again after that.
    ///
    /// ```
    /// # use aurora_driver::sim::SimCluster;
    /// use aurora_driver::{Cluster, EngineKind, Postgres};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> anyhow::Result<()> {
    /// # let simulated = SimCluster::builder(EngineKind::Postgres).readers(1).start().await?;
    /// # let cluster = Cluster::<Postgres>::connect(&simulated.url()).await?;
    /// # cluster.writer().await?.batch_execute("CREATE TABLE accounts (id integer, balance bigint);
    /// #     INSERT INTO accounts VALUES (1, 10), (2, 0)").await?;
    /// let left = cluster
    ///     .transaction(async |transaction| {
    ///         let take = "UPDATE accounts SET balance = balance - 7 WHERE id = 1 RETURNING balance";
    ///         let left: i64 = transaction.query_one(take, &[]).await?.get(0);
    ///         anyhow::ensure!(left >= 0, "there is not enough left");
    ///         let give = "UPDATE accounts SET balance = balance + 7 WHERE id = 2";
    ///         transaction.execute(give, &[]).await?;
    ///         Ok(left)
    ///     })
    ///     .await?;
    /// assert_eq!(left, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The closure's own, of its last run, the commit's, and those of [`writer`](Self::writer).
    /// The deadline is that of [`read`](Self::read).
    ///
    /// # Cancellation
    ///
    /// Safe: the transaction is rolled back before anybody else gets the connection, unless the
    /// COMMIT was on its way.
    pub async fn transaction<T, Err>(
        &self,
        mut work: impl AsyncFnMut(E::Transaction<'_>) -> Result<T, Err>,
    ) -> Result<T, Err>
    where
        Err: From<Error>,
    {
        let mut attempts = Attempts::begin(self, Intent::Write);
        loop {
            let mut connection = self.writer_by(attempts.deadline).await?;
            E::begin_record(&mut connection);
            let done = {
                let begun = E::begin(&mut connection).await;
                match begun {
                    Ok(transaction) => work(transaction).await,
                    Err(error) => Err(Err::from(error)),
                }
            };
            let error = match done {
                Err(error) => error,
                Ok(value) => match E::commit(&mut connection).await {
                    Ok(()) => return Ok(value),
                    Err(error) => Err::from(error),
                },
            };
            let record = E::record(&connection);
            if !attempts.go_on(record, connection).await {
                return Err(error);
            }
        }
    }
}

/// The runs of one closure.
struct Attempts<'a, E: Engine> {
    cluster: &'a Cluster<E>,
    intent: Intent,
    made: u32,
    deadline: Instant,
    /// Where it failed, as far as another instance is to be preferred.
    avoided: Vec<InstanceId>,
    /// The last that refused a write, and when it first did.
    refused_by: Option<(InstanceId, Generation, Instant)>,
}

impl<'a, E: Engine> Attempts<'a, E> {
    fn begin(cluster: &'a Cluster<E>, intent: Intent) -> Self {
        cluster.inner.budget.deposit();
        Self {
            cluster,
            intent,
            made: 0,
            deadline: cluster.checkout_deadline(),
            avoided: Vec::new(),
            refused_by: None,
        }
    }

    /// Takes note of a write that was refused, and says whether the same life of the instance had
    /// refused one before it was asked whether it is the writer, and has said so.
    fn was_refused_by(&mut self, instance: &InstanceId, generation: Generation) -> bool {
        let before = self.refused_by.take();
        let first_at = before
            .filter(|(refuser, life, _)| (refuser, *life) == (instance, generation))
            .map(|(_, _, at)| at);
        let since = first_at.unwrap_or_else(time::now);
        self.refused_by = Some((instance.clone(), generation, since));
        let topology = self.cluster.topology();
        let asked = topology.instance(instance).and_then(Instance::last_asked);
        first_at.is_some() && asked > first_at
    }

    /// After a run that failed: gives the connection back, waits as long as is due, and says
    /// whether to run it again.
    async fn go_on(&mut self, record: Record, mut connection: Connection<E>) -> bool {
        self.made += 1;
        let instance = connection.instance().clone();
        let read_only = record
            .failed
            .is_some_and(|met| met.kind == ErrorKind::ReadOnly);
        let refused_before = read_only && self.was_refused_by(&instance, connection.generation());
        let verdict = retry::judge(&Attempt {
            intent: self.intent,
            number: self.made,
            record,
            refused_before,
        });
        // The locks of what it left open are gone before its caller, or the next run, goes on.
        if E::condition(&connection) == Condition::Unclean {
            let _ = tokio::time::timeout(ROLLBACK_TIMEOUT, E::clean(&mut connection)).await;
        }
        drop(connection);
        let Verdict::Again { elsewhere, after } = verdict else {
            return false;
        };
        let after = Rng::from_entropy().jitter(after, JITTER_PERCENT);
        let begin_at = time::now() + after;
        if begin_at >= self.deadline || !self.cluster.inner.budget.withdraw() {
            return false;
        }
        tracing::debug!(%instance, failed = ?record.failed, "a closure is run again");
        if elsewhere && !self.avoided.contains(&instance) {
            self.avoided.push(instance);
        }
        if after > Duration::ZERO {
            time::sleep_until(Some(begin_at)).await;
        }
        true
    }
}
