//! The shop's data layer: what the application asks its database, and where each question goes.
//!
//! | question | goes to |
//! |---|---|
//! | what is for sale, what was ordered | a reader; where it knows nothing of it, the writer |
//! | an order, a payment | the writer, in one transaction |
//! | what was sold | the workload `reports`, with its own connections |
//!
//! `postgres` and `mysql` hold the SQL; nothing here knows which it is.

mod mysql;
mod postgres;
pub(crate) mod schema;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aurora_driver::{Cluster, Engine, Error, InstanceId, Outcome};
use serde::Serialize;

/// How often an order of unknown fate is sent, whose key decides whether it counts, and how often a
/// read is asked whose answer is lost.
const ATTEMPTS_MAX: u32 = 5;

/// Between two of them, so that a struggling database is not asked at once again.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// Something for sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Product {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) price_cents: i64,
    pub(crate) stock: i64,
}

/// What a customer wants. The key is the customer's own, so that an order sent twice counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) key: String,
    pub(crate) product: i64,
    pub(crate) quantity: i64,
}

impl Wish {
    /// What it is to an order that is there under its key.
    fn beside(&self, product: i64, quantity: i64) -> Result<Taken, ShopError> {
        match (self.product, self.quantity) == (product, quantity) {
            true => Ok(Taken::Before),
            false => Err(ShopError::OtherOrder),
        }
    }
}

/// An order that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Order {
    pub(crate) key: String,
    pub(crate) product: i64,
    pub(crate) quantity: i64,
    pub(crate) paid: bool,
}

/// What was sold of one product, of the last orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Sales {
    pub(crate) product: String,
    pub(crate) orders: i64,
    pub(crate) cents: i64,
}

/// An answer, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served<T> {
    pub(crate) value: T,
    pub(crate) by: InstanceId,
}

/// What became of an order that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Now,
    /// The same order under the same key had been taken already.
    Before,
}

/// Whom a question goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Reader,
    Writer,
}

/// Why the shop cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    #[error("there is no such {0}")]
    Missing(&'static str),
    #[error("there is not enough of it left")]
    SoldOut,
    #[error("another order was taken under this key")]
    OtherOrder,
    /// Whoever asked waits no longer; the outcome is what is known of it by then.
    #[error("it took longer than {limit:?}")]
    TooSlow { limit: Duration, outcome: Outcome },
    /// The outcome is that of the whole request, of which the error may be only the last part.
    #[error("{error}")]
    Database { error: Error, outcome: Outcome },
}

impl ShopError {
    /// As of a part of a request before which nothing was written.
    pub(crate) fn before_any_write(self) -> Self {
        match self {
            Self::Database { error, .. } => Self::Database {
                error,
                outcome: Outcome::NotSent,
            },
            other => other,
        }
    }

    /// As of the last of several attempts, the fate of one of which is unknown.
    fn in_doubt(self) -> Self {
        match self {
            Self::Database { error, .. } => Self::Database {
                error,
                outcome: Outcome::Unknown,
            },
            other => other,
        }
    }
}

impl From<Error> for ShopError {
    fn from(error: Error) -> Self {
        let outcome = error.outcome();
        Self::Database { error, outcome }
    }
}

impl From<aurora_driver::mysql::mysql_async::Error> for ShopError {
    fn from(error: aurora_driver::mysql::mysql_async::Error) -> Self {
        Error::from(error).into()
    }
}

/// How far a write has come, for whoever gets no answer to it or waits for none any longer.
///
/// Clones are the same mark, as each attempt owns what it needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mark(Arc<Passed>);

#[derive(Debug, Default)]
struct Passed {
    anything: AtomicBool,
    new_order: AtomicBool,
}

impl Mark {
    /// What is sent next may stay: a COMMIT, or a statement that commits by itself.
    fn pass(&self) {
        self.0.anything.store(true, Ordering::Relaxed);
    }

    /// As [`pass`](Self::pass), before the COMMIT of an order.
    fn pass_with(&self, taken: Taken) {
        self.pass();
        if taken == Taken::Now {
            self.0.new_order.store(true, Ordering::Relaxed);
        }
    }

    /// What becomes of a write that is given up now: a transaction that has not come to its COMMIT
    /// is rolled back.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.0.anything.load(Ordering::Relaxed) {
            true => Outcome::Unknown,
            false => Outcome::NotSent,
        }
    }

    /// Whether any attempt that may have stayed had an order of its own to commit, and not one that
    /// it had found there.
    fn is_of_new_order(&self) -> bool {
        self.0.new_order.load(Ordering::Relaxed)
    }
}

/// What differs between the engines: the SQL, and how it is sent.
///
/// Each call owns what it needs, as its future moves between threads.
pub(crate) trait Store: Engine + Sized {
    /// What may fail while a schema is brought up to date, each in words of its own.
    fn run_script(
        cluster: &Cluster<Self>,
        script: &'static str,
    ) -> impl Future<Output = Result<(), ShopError>> + Send;

    /// The number of the last migration that was applied; 0 in a new database.
    fn schema_version(
        cluster: &Cluster<Self>,
    ) -> impl Future<Output = Result<i64, ShopError>> + Send;

    /// The migrations of this engine, in order.
    fn migrations() -> &'static [&'static str];

    fn products(
        cluster: &Cluster<Self>,
    ) -> impl Future<Output = Result<Served<Vec<Product>>, ShopError>> + Send;

    fn product(
        cluster: &Cluster<Self>,
        asked: Asked,
        id: i64,
    ) -> impl Future<Output = Result<Served<Option<Product>>, ShopError>> + Send;

    fn order(
        cluster: &Cluster<Self>,
        asked: Asked,
        key: String,
    ) -> impl Future<Output = Result<Served<Option<Order>>, ShopError>> + Send;

    /// Takes an order in one transaction; one that is there already is left as it is, and refuses
    /// another one under its key. Passes the mark right before the COMMIT.
    fn take_order(
        cluster: &Cluster<Self>,
        wish: Wish,
        mark: Mark,
    ) -> impl Future<Output = Result<Served<Taken>, ShopError>> + Send;

    /// Notes that an order is paid; twice is as good as once. Passes the mark as
    /// [`take_order`](Self::take_order) does.
    fn pay(
        cluster: &Cluster<Self>,
        key: String,
        mark: Mark,
    ) -> impl Future<Output = Result<Served<bool>, ShopError>> + Send;

    fn sales(
        cluster: &Cluster<Self>,
    ) -> impl Future<Output = Result<Served<Vec<Sales>>, ShopError>> + Send;
}

/// The workload of the reports.
pub(crate) const REPORTS: &str = "reports";

/// The shop over one cluster.
#[derive(Debug)]
pub(crate) struct Shop<E: Store> {
    cluster: Cluster<E>,
    /// A workload of it, with connections and limits of its own: a report never takes the last
    /// connection of a customer.
    reports: Cluster<E>,
}

impl<E: Store> Clone for Shop<E> {
    fn clone(&self) -> Self {
        Self {
            cluster: self.cluster.clone(),
            reports: self.reports.clone(),
        }
    }
}

impl<E: Store> Shop<E> {
    pub(crate) fn new(cluster: Cluster<E>, reports: Cluster<E>) -> Self {
        Self { cluster, reports }
    }

    pub(crate) fn cluster(&self) -> &Cluster<E> {
        &self.cluster
    }

    /// The handles over which statements go: the customers', and by its name that of the reports.
    pub(crate) fn workloads(&self) -> [(Option<&'static str>, &Cluster<E>); 2] {
        [(None, &self.cluster), (Some(REPORTS), &self.reports)]
    }

    pub(crate) async fn products(&self) -> Result<Served<Vec<Product>>, ShopError> {
        E::products(&self.cluster).await
    }

    pub(crate) async fn product(&self, id: i64) -> Result<Served<Product>, ShopError> {
        let found = E::product(&self.cluster, Asked::Reader, id).await?;
        let found = match self.may_be_behind(&found) {
            true => {
                let attempt = || E::product(&self.cluster, Asked::Writer, id);
                until_certain(attempt).await?.0
            }
            false => found,
        };
        found.or(ShopError::Missing("product"))
    }

    pub(crate) async fn order(&self, key: String) -> Result<Served<Order>, ShopError> {
        let found = E::order(&self.cluster, Asked::Reader, key.clone()).await?;
        let found = match self.may_be_behind(&found) {
            true => {
                let attempt = || E::order(&self.cluster, Asked::Writer, key.clone());
                until_certain(attempt).await?.0
            }
            false => found,
        };
        found.or(ShopError::Missing("order"))
    }

    /// Whether the answer is "no" and came from a reader: what was written a moment ago may not
    /// have reached it, so only the writer can say that there is no such thing.
    fn may_be_behind<T>(&self, found: &Served<Option<T>>) -> bool {
        let topology = self.cluster.topology();
        let is_writer = topology
            .writer()
            .is_some_and(|writer| *writer.id() == found.by);
        found.value.is_none() && !is_writer
    }

    /// Takes an order once, whatever happens to the writer meanwhile.
    pub(crate) async fn take_order(
        &self,
        wish: Wish,
        mark: &Mark,
    ) -> Result<Served<Taken>, ShopError> {
        let attempt = || E::take_order(&self.cluster, wish.clone(), mark.clone());
        let (mut served, in_doubt) = until_certain(attempt).await?;
        if in_doubt && mark.is_of_new_order() {
            // What was found there is, as good as certainly, what the attempt in doubt has left. One
            // that had found it itself has left nothing.
            served.value = Taken::Now;
        }
        Ok(served)
    }

    pub(crate) async fn pay(&self, key: String, mark: &Mark) -> Result<Served<()>, ShopError> {
        let attempt = || E::pay(&self.cluster, key.clone(), mark.clone());
        let (Served { value, by }, _) = until_certain(attempt).await?;
        match value {
            true => Ok(Served { value: (), by }),
            false => Err(ShopError::Missing("order")),
        }
    }

    pub(crate) async fn sales(&self) -> Result<Served<Vec<Sales>>, ShopError> {
        E::sales(&self.reports).await
    }

    /// Ends the cluster's handle, and with it that of the reports: calls under way get that long.
    pub(crate) async fn close(&self, within: Duration) {
        let report = self.cluster.close(within).await;
        if !report.is_clean() {
            tracing::warn!(?report, "connections were still in use and have been ended");
        }
    }
}

impl<T> Served<Option<T>> {
    fn or(self, error: ShopError) -> Result<Served<T>, ShopError> {
        let value = self.value.ok_or(error)?;
        Ok(Served { value, by: self.by })
    }
}

/// Does something that counts once until its fate is known; also whether it ever was not.
///
/// The driver sends again by itself what certainly was not applied. Where the answer to a COMMIT
/// was lost nobody knows, so an order goes out again under the same key: one that was applied is
/// found there and left alone. To the driver all that goes to the writer is a write; a question
/// whose answer was lost has left nothing there, and is asked again here.
async fn until_certain<T, F>(mut attempt: impl FnMut() -> F) -> Result<(T, bool), ShopError>
where
    F: Future<Output = Result<T, ShopError>>,
{
    let mut in_doubt = false;
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(ShopError::Database {
                outcome: Outcome::Unknown,
                ..
            }) => {
                in_doubt = true;
                tokio::time::sleep(RETRY_DELAY).await;
            }
            Ok(value) => return Ok((value, in_doubt)),
            // That this attempt was not applied says nothing of the ones before it.
            Err(error) if in_doubt => return Err(error.in_doubt()),
            Err(error) => return Err(error),
        }
    }
    let last = attempt().await.map(|value| (value, in_doubt));
    last.map_err(|error| if in_doubt { error.in_doubt() } else { error })
}
