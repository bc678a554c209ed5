//! What the shared storage holds, for checks.

use std::sync::Arc;

use crate::sim::sql::{Session, SqlError, Value};
use crate::sim::volume::LedgerEntry;

use super::{SimCluster, SimError};

impl SimCluster {
    /// All that was applied to the storage and committed, in order: what, by whom, and when.
    ///
    /// It is the storage's own record, so it also knows of commits whose answer the client never
    /// got.
    ///
    /// # Errors
    ///
    /// The storage cannot be read.
    pub fn ledger(&self) -> Result<Vec<LedgerEntry>, SimError> {
        let read = self.shared.volume.ledger();
        read.map_err(|error| SimError::Query(format!("the ledger cannot be read: {error}")))
    }

    /// How many entries the ledger has, without reading them.
    ///
    /// # Errors
    ///
    /// The storage cannot be read.
    pub fn ledger_len(&self) -> Result<u64, SimError> {
        let read = self.shared.volume.ledger_len();
        read.map_err(|error| SimError::Query(format!("the ledger cannot be read: {error}")))
    }

    /// Runs statements on the writer, one after the other, as the cluster's first user would: to
    /// create and fill tables before a test. What was done before an error stays.
    ///
    /// ```
    /// use aurora_driver::EngineKind;
    /// use aurora_driver::sim::SimCluster;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = SimCluster::builder(EngineKind::Postgres).start().await?;
    /// cluster.run_sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)").await?;
    /// assert_eq!(cluster.query("SELECT count(*) FROM t")?[0][0], 2);
    /// # cluster.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No writer is up, or a statement fails: the error names it.
    pub async fn run_sql(&self, script: &str) -> Result<(), SimError> {
        let writer = self.writer().and_then(|id| {
            let machines = self.shared.machines();
            let running = machines.running(&id)?;
            Some(Arc::clone(&running.boot))
        });
        let Some(writer) = writer else {
            let next = "no writer is up: wait for `failover_finished`";
            return Err(SimError::Refused(next.into()));
        };
        let failed = |error: SqlError, text: &str| {
            let text: String = text.chars().take(200).collect();
            SimError::Query(format!("{error} in `{text}`"))
        };
        let volume = &self.shared.volume;
        let mut session = Session::open(writer, volume, self.user(), self.database())
            .map_err(|error| failed(error, ""))?;
        let statements = session
            .parse(script)
            .map_err(|error| failed(error, script))?;
        for statement in statements {
            let outcome = session.execute(&statement, &[]).await;
            outcome.map_err(|error| failed(error, statement.text()))?;
        }
        Ok(())
    }

    /// Reads committed rows past all instances, also when none is up. The SQL is SQLite's.
    ///
    /// # Errors
    ///
    /// The statement is wrong, or would write.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<serde_json::Value>>, SimError> {
        let rows = self.shared.volume.query(sql);
        let rows = rows.map_err(|error| SimError::Query(error.to_string()))?;
        Ok(rows
            .into_iter()
            .map(|row| row.into_iter().map(plain).collect())
            .collect())
    }
}

/// Bytes become hexadecimal text.
fn plain(value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => number.into(),
        Value::Real(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            hex.into()
        }
    }
}
