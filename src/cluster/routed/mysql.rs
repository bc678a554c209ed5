//! MySQL's calls.

use mysql_async::prelude::{AsQuery, FromRow, Queryable, StatementLike};
use mysql_async::{Error as Native, Params, TxOpts};

use super::Session;
use crate::engine::mysql::{MySql, StatementText, Transaction};
use crate::error::{Error, ErrorKind, Result};
use crate::pool::lease::Connection;

/// The names and arguments are those of `mysql_async`'s `Queryable`, and so are the errors:
/// [`Error::from`](crate::Error) explains them. Statements are given as texts, as one that was
/// prepared is of one connection; each connection keeps those that it has prepared for `exec_*`.
impl Session<MySql> {
    async fn connection_for_bytes(&mut self, text: &[u8]) -> Result<&mut Connection<MySql>> {
        // What is no UTF-8 does not parse either.
        let text = String::from_utf8_lossy(text);
        self.connection_for(&text).await
    }

    async fn connection_for_statement(
        &mut self,
        statement: &impl StatementText,
    ) -> Result<&mut Connection<MySql>> {
        let Some(text) = statement.text() else {
            return Err(Error::new(
                ErrorKind::Usage,
                "a prepared statement is of one connection: give the session its text",
            ));
        };
        self.connection_for_bytes(&text).await
    }

    /// Runs a text and returns the rows of its first result.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn query<T, Q>(&mut self, query: Q) -> Result<Vec<T>, Native>
    where
        Q: AsQuery,
        T: FromRow + Send + 'static,
    {
        let client = self.connection_for_bytes(&query.as_query()).await?;
        let answer = client.query(query).await;
        self.done();
        answer
    }

    /// Runs a text and returns the first row of its first result.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn query_first<T, Q>(&mut self, query: Q) -> Result<Option<T>, Native>
    where
        Q: AsQuery,
        T: FromRow + Send + 'static,
    {
        let client = self.connection_for_bytes(&query.as_query()).await?;
        let answer = client.query_first(query).await;
        self.done();
        answer
    }

    /// Runs a text and makes something of each row.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn query_map<T, F, Q, U>(&mut self, query: Q, f: F) -> Result<Vec<U>, Native>
    where
        Q: AsQuery,
        T: FromRow + Send + 'static,
        F: FnMut(T) -> U + Send,
        U: Send,
    {
        let client = self.connection_for_bytes(&query.as_query()).await?;
        let answer = client.query_map(query, f).await;
        self.done();
        answer
    }

    /// Runs a text and drops its rows.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn query_drop<Q>(&mut self, query: Q) -> Result<(), Native>
    where
        Q: AsQuery,
    {
        let client = self.connection_for_bytes(&query.as_query()).await?;
        let answer = client.query_drop(query).await;
        self.done();
        answer
    }

    /// Runs a statement with parameters and returns the rows of its first result.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn exec<T, S, P>(&mut self, statement: S, params: P) -> Result<Vec<T>, Native>
    where
        S: StatementLike + StatementText,
        P: Into<Params> + Send,
        T: FromRow + Send + 'static,
    {
        let client = self.connection_for_statement(&statement).await?;
        let answer = client.exec(statement, params).await;
        self.done();
        answer
    }

    /// Runs a statement with parameters and returns the first row of its first result.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn exec_first<T, S, P>(
        &mut self,
        statement: S,
        params: P,
    ) -> Result<Option<T>, Native>
    where
        S: StatementLike + StatementText,
        P: Into<Params> + Send,
        T: FromRow + Send + 'static,
    {
        let client = self.connection_for_statement(&statement).await?;
        let answer = client.exec_first(statement, params).await;
        self.done();
        answer
    }

    /// Runs a statement with parameters and makes something of each row.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn exec_map<T, S, P, U, F>(
        &mut self,
        statement: S,
        params: P,
        f: F,
    ) -> Result<Vec<U>, Native>
    where
        S: StatementLike + StatementText,
        P: Into<Params> + Send,
        T: FromRow + Send + 'static,
        U: Send,
        F: FnMut(T) -> U + Send,
    {
        let client = self.connection_for_statement(&statement).await?;
        let answer = client.exec_map(statement, params, f).await;
        self.done();
        answer
    }

    /// Runs a statement with parameters and drops its rows.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn exec_drop<S, P>(&mut self, statement: S, params: P) -> Result<(), Native>
    where
        S: StatementLike + StatementText,
        P: Into<Params> + Send,
    {
        let client = self.connection_for_statement(&statement).await?;
        let answer = client.exec_drop(statement, params).await;
        self.done();
        answer
    }

    /// Runs a statement once for each of several parameters.
    ///
    /// # Errors
    ///
    /// See [`Session`].
    pub async fn exec_batch<S, P, I>(&mut self, statement: S, params: I) -> Result<(), Native>
    where
        S: StatementLike + StatementText,
        I: IntoIterator<Item = P> + Send,
        I::IntoIter: Send,
        P: Into<Params> + Send,
    {
        let client = self.connection_for_statement(&statement).await?;
        let answer = client.exec_batch(statement, params).await;
        self.done();
        answer
    }

    /// Begins a transaction: on a reader where the options say `READ ONLY`, unless this session
    /// has written a moment ago; on the writer otherwise. It is rolled back when dropped without a
    /// commit, at the latest with the next call on the session.
    ///
    /// ```
    /// # use aurora_driver::sim::SimCluster;
    /// use aurora_driver::mysql::mysql_async::TxOpts;
    /// use aurora_driver::mysql::mysql_async::prelude::*;
    /// use aurora_driver::{Cluster, EngineKind, MySql};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let simulated = SimCluster::builder(EngineKind::MySql).readers(2).start().await?;
    /// # simulated.run_sql("CREATE TABLE orders (id bigint, item varchar(20))").await?;
    /// # let cluster = Cluster::<MySql>::connect(&simulated.url()).await?;
    /// let mut session = cluster.routed();
    /// let mut report = TxOpts::new();
    /// report.with_readonly(true);
    /// let mut transaction = session.start_transaction(report).await?;
    /// let count: Option<u64> = transaction.query_first("SELECT count(*) FROM orders").await?;
    /// let teas: Vec<u64> = transaction.exec("SELECT id FROM orders WHERE item = ?", ("tea",)).await?;
    /// assert!(teas.len() as u64 <= count.unwrap_or_default());
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Session`]; and [`Usage`](ErrorKind::Usage) while one is open that was begun by SQL.
    /// Nothing has been changed then.
    pub async fn start_transaction(&mut self, options: TxOpts) -> Result<Transaction<'_>, Native> {
        let read_only = options.readonly() == Some(true);
        let connection = self.connection_to_begin(read_only).await?;
        connection.start_transaction(options).await
    }

    /// The `AUTO_INCREMENT` value that the last statement on the writer generated first.
    pub fn last_insert_id(&self) -> Option<u64> {
        self.home.as_ref()?.last_insert_id()
    }

    /// How many rows the last statement on the writer changed.
    pub fn affected_rows(&self) -> u64 {
        self.home.as_ref().map_or(0, |home| home.affected_rows())
    }
}
