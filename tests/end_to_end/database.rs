//! The few statements the tests need, for both engines, and a cluster to send them to.

use std::time::Duration;

use aurora_driver::sim::{SimCluster, SimClusterBuilder};
use aurora_driver::{Cluster, Connection, Engine, Error, MySql, Postgres, Result};
use mysql_async::prelude::Queryable;

/// Far beyond what any condition takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An engine with the statements of the tests.
pub(crate) trait Database: Engine + Sized {
    const KIND: aurora_driver::EngineKind;

    /// A call that the server takes far longer to answer than any test waits.
    const SLEEP: &'static str;

    fn run(
        connection: &mut Connection<Self>,
        statement: &str,
    ) -> impl Future<Output = Result<()>> + Send;

    fn number(
        connection: &mut Connection<Self>,
        query: &str,
    ) -> impl Future<Output = Result<i64>> + Send;

    /// Runs a statement with a number in a transaction, prepared.
    fn execute_in(
        transaction: &mut Self::Transaction<'_>,
        statement: &str,
        number: i64,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Runs `INSERT INTO t (n) VALUES` with this number, prepared.
    fn insert_prepared(
        connection: &mut Connection<Self>,
        number: i64,
    ) -> impl Future<Output = Result<()>> + Send;
}

impl Database for Postgres {
    const KIND: aurora_driver::EngineKind = aurora_driver::EngineKind::Postgres;
    const SLEEP: &'static str = "SELECT pg_sleep(60)";

    async fn run(connection: &mut Connection<Self>, statement: &str) -> Result<()> {
        connection.batch_execute(statement).await
    }

    async fn number(connection: &mut Connection<Self>, query: &str) -> Result<i64> {
        Ok(connection.query_one(query, &[]).await?.get(0))
    }

    async fn execute_in(
        transaction: &mut Self::Transaction<'_>,
        statement: &str,
        number: i64,
    ) -> Result<()> {
        let statement = statement.replace('?', "$1");
        transaction.execute(&statement, &[&number]).await.map(drop)
    }

    async fn insert_prepared(connection: &mut Connection<Self>, number: i64) -> Result<()> {
        let insert = "INSERT INTO t (n) VALUES ($1)";
        connection.execute(insert, &[&number]).await.map(drop)
    }
}

impl Database for MySql {
    const KIND: aurora_driver::EngineKind = aurora_driver::EngineKind::MySql;
    const SLEEP: &'static str = "SELECT SLEEP(60)";

    async fn run(connection: &mut Connection<Self>, statement: &str) -> Result<()> {
        connection.query_drop(statement).await.map_err(Error::from)
    }

    async fn number(connection: &mut Connection<Self>, query: &str) -> Result<i64> {
        let number: Option<i64> = connection.query_first(query).await.map_err(Error::from)?;
        Ok(number.expect("the query gives a row"))
    }

    async fn execute_in(
        transaction: &mut Self::Transaction<'_>,
        statement: &str,
        number: i64,
    ) -> Result<()> {
        let done = transaction.exec_drop(statement, (number,)).await;
        done.map_err(Error::from)
    }

    async fn insert_prepared(connection: &mut Connection<Self>, number: i64) -> Result<()> {
        let insert = "INSERT INTO t (n) VALUES (?)";
        let done = connection.exec_drop(insert, (number,)).await;
        done.map_err(Error::from)
    }
}

/// A simulated cluster with two readers, and a handle to it, with a table `t (n BIGINT)`.
pub(crate) async fn start<E: Database>() -> (SimCluster, Cluster<E>) {
    start_with(|builder| builder.readers(2)).await
}

pub(crate) async fn start_with<E: Database>(
    configure: impl FnOnce(SimClusterBuilder) -> SimClusterBuilder,
) -> (SimCluster, Cluster<E>) {
    let simulated = configure(SimCluster::builder(<E as Database>::KIND))
        .start()
        .await
        .expect("the simulated cluster starts");
    let cluster = Cluster::<E>::connect(&simulated.url())
        .await
        .expect("the driver finds the cluster");
    let mut writer = cluster.writer().await.expect("there is a writer");
    E::run(&mut writer, "CREATE TABLE t (n BIGINT NOT NULL)")
        .await
        .expect("the table is made");
    drop(writer);
    (simulated, cluster)
}

/// Inserts a number, again and again until it is known to be there: only a write that certainly
/// had no effect is repeated.
pub(crate) async fn insert<E: Database>(cluster: &Cluster<E>, number: i64) -> Result<()> {
    loop {
        let mut writer = cluster.writer().await?;
        let statement = format!("INSERT INTO t (n) VALUES ({number})");
        match E::run(&mut writer, &statement).await {
            Err(error)
                if error.is_retryable()
                    && matches!(
                        error.outcome(),
                        aurora_driver::Outcome::NotSent | aurora_driver::Outcome::Rejected
                    ) => {}
            answer => return answer,
        }
    }
}

/// Waits for a condition, with a limit far beyond what it takes.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let mut look_again = tokio::time::interval(Duration::from_millis(2));
    let waiting = async {
        while !condition() {
            look_again.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come about"));
}

/// Makes one test for each engine of a generic function.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod postgres {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name::<aurora_driver::Postgres>().await;
                }
            )+
        }
        mod mysql {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name::<aurora_driver::MySql>().await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;
