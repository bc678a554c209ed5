//! The ledger: what was applied to the volume, by whom, when. It is a table of the volume
//! itself, written in the same transaction as the change, so that it is true by construction:
//! what was rolled back left no entry, and what was committed has one.

use rusqlite::Connection;

use crate::id::InstanceId;
use crate::sim::sql::Value;

/// The ledger's table; the sessions' catalog does not show it.
pub(crate) const LEDGER_TABLE: &str = "aurora_sim_ledger";

/// Longer statement texts are cut here.
const MAX_TEXT_CHARS: usize = 1000;
/// Longer text and byte parameters are cut here.
const MAX_PARAMETER_BYTES: usize = 256;
/// Further parameters of one statement are left out.
const MAX_PARAMETERS: usize = 256;

/// One statement that changed data or the schema and was committed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LedgerEntry {
    /// The entry's place in the order of application, from 1 without gaps.
    pub sequence: u64,
    /// When it was applied, in microseconds since the simulated cluster started.
    pub elapsed_micros: u64,
    /// The instance that applied it.
    pub instance: InstanceId,
    /// The cluster's promotion count at that moment.
    pub epoch: u64,
    /// The session, numbered from 1 over all instances of the cluster.
    pub session: u64,
    /// The transaction, numbered from 1 over all sessions of the cluster.
    pub transaction: u64,
    /// The statement as the client sent it; very long ones are cut.
    pub statement: String,
    /// The parameters in order; very long texts are cut, bytes are hexadecimal text.
    pub parameters: Vec<serde_json::Value>,
    /// How many rows it inserted, changed or removed.
    pub rows_affected: u64,
}

/// Who applies a statement.
#[derive(Debug)]
pub(crate) struct EntryOrigin<'a> {
    pub(crate) elapsed_micros: u64,
    pub(crate) instance: &'a InstanceId,
    pub(crate) epoch: u64,
    pub(crate) session: u64,
    pub(crate) transaction: u64,
}

pub(super) fn create_table(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TABLE {LEDGER_TABLE} (
            sequence INTEGER PRIMARY KEY,
            elapsed_micros INTEGER NOT NULL,
            instance TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            session INTEGER NOT NULL,
            transaction_number INTEGER NOT NULL,
            statement TEXT NOT NULL,
            parameters TEXT NOT NULL,
            rows_affected INTEGER NOT NULL
        )"
    ))
}

/// Adds an entry inside the transaction that is open on the connection.
pub(crate) fn append(
    connection: &Connection,
    origin: &EntryOrigin<'_>,
    statement: &str,
    parameters: &[Value],
    rows_affected: u64,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO {LEDGER_TABLE} (elapsed_micros, instance, epoch, session,
            transaction_number, statement, parameters, rows_affected)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    ))?;
    let text = match statement.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => &statement[..end],
        None => statement,
    };
    let parameters: Vec<_> = parameters.iter().take(MAX_PARAMETERS).map(json).collect();
    insert.execute(rusqlite::params![
        signed(origin.elapsed_micros),
        origin.instance.as_str(),
        signed(origin.epoch),
        signed(origin.session),
        signed(origin.transaction),
        text,
        serde_json::Value::from(parameters).to_string(),
        signed(rows_affected),
    ])?;
    Ok(())
}

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<LedgerEntry>> {
    let mut select = connection.prepare(&format!(
        "SELECT sequence, elapsed_micros, instance, epoch, session, transaction_number,
            statement, parameters, rows_affected
         FROM {LEDGER_TABLE} ORDER BY sequence"
    ))?;
    let entries = select.query_map([], |row| {
        let parameters: String = row.get(7)?;
        Ok(LedgerEntry {
            sequence: unsigned(row.get(0)?),
            elapsed_micros: unsigned(row.get(1)?),
            instance: InstanceId::new(row.get::<_, String>(2)?),
            epoch: unsigned(row.get(3)?),
            session: unsigned(row.get(4)?),
            transaction: unsigned(row.get(5)?),
            statement: row.get(6)?,
            parameters: serde_json::from_str(&parameters).unwrap_or_default(),
            rows_affected: unsigned(row.get(8)?),
        })
    })?;
    entries.collect()
}

pub(super) fn len(connection: &Connection) -> rusqlite::Result<u64> {
    let count = format!("SELECT count(*) FROM {LEDGER_TABLE}");
    connection.query_row(&count, [], |row| row.get(0).map(unsigned))
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => (*number).into(),
        Value::Real(number) => (*number).into(),
        Value::Text(text) => {
            let mut end = text.len().min(MAX_PARAMETER_BYTES);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text[..end].into()
        }
        Value::Bytes(bytes) => {
            let bytes = &bytes[..bytes.len().min(MAX_PARAMETER_BYTES)];
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            hex.into()
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
