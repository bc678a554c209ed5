//! The application's three statements, for both engines.

use aurora_driver::{Cluster, Connection, Engine, Error, MySql, Postgres, Result};
use mysql_async::prelude::Queryable;
use tokio_postgres::types::Type;

/// What the application does with a connection.
pub(crate) trait Database: Engine + Sized {
    fn run(
        connection: &mut Connection<Self>,
        statement: &str,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Writes one number. The table has no key, so that a number written twice is there twice.
    fn write(
        connection: &mut Connection<Self>,
        number: i64,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Reads how many numbers there are.
    fn count(connection: &mut Connection<Self>) -> impl Future<Output = Result<i64>> + Send;
}

const CREATE: &str = "CREATE TABLE numbers (number BIGINT NOT NULL)";
const COUNT: &str = "SELECT count(*) FROM numbers";

pub(crate) async fn create_table<E: Database>(cluster: &Cluster<E>) -> Result<()> {
    let mut connection = cluster.writer().await?;
    E::run(&mut connection, CREATE).await
}

impl Database for Postgres {
    async fn run(connection: &mut Connection<Self>, statement: &str) -> Result<()> {
        connection.batch_execute(statement).await
    }

    async fn write(connection: &mut Connection<Self>, number: i64) -> Result<()> {
        connection
            .execute_typed(
                "INSERT INTO numbers (number) VALUES ($1)",
                &[(&number, Type::INT8)],
            )
            .await?;
        Ok(())
    }

    async fn count(connection: &mut Connection<Self>) -> Result<i64> {
        let row = connection.query_one(COUNT, &[]).await?;
        Ok(row.get(0))
    }
}

impl Database for MySql {
    async fn run(connection: &mut Connection<Self>, statement: &str) -> Result<()> {
        connection.query_drop(statement).await.map_err(Error::from)
    }

    async fn write(connection: &mut Connection<Self>, number: i64) -> Result<()> {
        connection
            .exec_drop("INSERT INTO numbers (number) VALUES (?)", (number,))
            .await
            .map_err(Error::from)
    }

    async fn count(connection: &mut Connection<Self>) -> Result<i64> {
        let count = connection.query_first(COUNT).await.map_err(Error::from)?;
        Ok(count.unwrap_or_default())
    }
}
