//! What the shared storage holds, for checks.

use crate::sim::sql::Value;
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
