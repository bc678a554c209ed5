//! PostgreSQL's calls.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, SimpleQueryMessage};

use super::Session;
use crate::engine::postgres::{Postgres, Transaction};
use crate::error::Result;

/// Statements are given as texts.
impl Session<Postgres> {
    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn query(&mut self, text: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let client = self.connection_for(text).await?;
        let answer = client.query(text, params).await;
        self.done();
        answer
    }

    /// Runs a statement that gives exactly one row.
    ///
    /// # Errors
    ///
    /// Also [`Usage`](crate::ErrorKind::Usage) for any other number of rows; the statement has then
    /// been applied.
    pub async fn query_one(&mut self, text: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        let client = self.connection_for(text).await?;
        let answer = client.query_one(text, params).await;
        self.done();
        answer
    }

    /// Runs a statement that gives at most one row.
    ///
    /// # Errors
    ///
    /// See [`query_one`](Self::query_one).
    pub async fn query_opt(
        &mut self,
        text: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>> {
        let client = self.connection_for(text).await?;
        let answer = client.query_opt(text, params).await;
        self.done();
        answer
    }

    /// Runs a statement with typed parameters in one round trip, without preparing it first.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn query_typed(
        &mut self,
        text: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>> {
        let client = self.connection_for(text).await?;
        let answer = client.query_typed(text, params).await;
        self.done();
        answer
    }

    /// Runs a statement and returns how many rows it changed.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn execute(&mut self, text: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        let client = self.connection_for(text).await?;
        let answer = client.execute(text, params).await;
        self.done();
        answer
    }

    /// Runs a statement with typed parameters in one round trip and returns how many rows it
    /// changed.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn execute_typed(
        &mut self,
        text: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<u64> {
        let client = self.connection_for(text).await?;
        let answer = client.execute_typed(text, params).await;
        self.done();
        answer
    }

    /// Runs a script in the simple protocol and returns its rows as text. Several statements at
    /// once go to the writer.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn simple_query(&mut self, text: &str) -> Result<Vec<SimpleQueryMessage>> {
        let client = self.connection_for(text).await?;
        let answer = client.simple_query(text).await;
        self.done();
        answer
    }

    /// Runs a script in the simple protocol. Several statements at once go to the writer.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn batch_execute(&mut self, text: &str) -> Result<()> {
        let client = self.connection_for(text).await?;
        let answer = client.batch_execute(text).await;
        self.done();
        answer
    }

    /// Begins a transaction on the writer; it is rolled back when dropped without a commit.
    ///
    /// # Errors
    ///
    /// See [`Session`]; and [`Usage`](crate::ErrorKind::Usage) while one is open that was begun by
    /// SQL. Nothing has been changed then.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>> {
        self.connection_to_begin(false).await?.transaction().await
    }

    /// Begins a READ ONLY transaction, on a reader unless this session has written a moment ago.
    ///
    /// Its connection is given back with the next call on the session, or when that is dropped.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn read_only_transaction(&mut self) -> Result<Transaction<'_>> {
        let connection = self.connection_to_begin(true).await?;
        let transaction = connection.transaction().await?;
        transaction
            .batch_execute("SET TRANSACTION READ ONLY")
            .await?;
        Ok(transaction)
    }
}
