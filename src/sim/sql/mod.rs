//! The SQL engine of a simulated instance: sessions over the shared volume.

mod error;
mod value;

pub(crate) use error::SqlError;
pub(crate) use value::{
    Column, CommandTag, Description, Done, Reply, SqlType, TransactionState, Value,
};

use std::sync::Arc;

use super::host::Host;
use super::volume::Volume;

/// One client's session at one instance.
#[derive(Debug)]
pub(crate) struct Session {
    connection: rusqlite::Connection,
    #[allow(dead_code)]
    host: Arc<dyn Host>,
    state: TransactionState,
}

/// One parsed statement, ready to be described and executed any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    text: String,
}

impl Session {
    /// Opens a session for a user who has already been let in.
    pub(crate) fn open(
        host: Arc<dyn Host>,
        volume: &Arc<Volume>,
        _user: &str,
        _database: &str,
    ) -> Result<Self, SqlError> {
        let connection = rusqlite::Connection::open(volume.path())
            .map_err(|error| SqlError::new("58030", 1105, error.to_string()))?;
        Ok(Self {
            connection,
            host,
            state: TransactionState::Idle,
        })
    }

    /// Splits a script into statements. An empty script gives an empty list.
    pub(crate) fn parse(&mut self, script: &str) -> Result<Vec<Statement>, SqlError> {
        Ok(script
            .split(';')
            .filter(|part| !part.trim().is_empty())
            .map(|part| Statement {
                text: part.trim().to_owned(),
            })
            .collect())
    }

    /// What a statement takes and gives. `hints` are the parameter types that the client named
    /// (PostgreSQL's Parse message); a missing or `Unknown` hint is inferred.
    pub(crate) fn describe(
        &mut self,
        statement: &Statement,
        _hints: &[SqlType],
    ) -> Result<Description, SqlError> {
        let prepared = self
            .connection
            .prepare(&statement.text)
            .map_err(|error| SqlError::new("42601", 1064, error.to_string()))?;
        let columns: Vec<Column> = prepared
            .column_names()
            .map(|name| Column {
                name: name.to_owned(),
                table: None,
                kind: SqlType::Text,
            })
            .collect();
        Ok(Description {
            parameters: vec![SqlType::Text; prepared.parameter_count()],
            columns: (!columns.is_empty()).then(|| columns.into()),
        })
    }

    /// Runs a statement.
    ///
    /// May wait: for the write lock, or because the statement sleeps. Dropping the future is
    /// safe; the statement is then rolled back and the session stays usable.
    pub(crate) async fn execute(
        &mut self,
        statement: &Statement,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        let error = |error: rusqlite::Error| SqlError::new("42601", 1064, error.to_string());
        let mut prepared = self.connection.prepare(&statement.text).map_err(error)?;
        for (index, value) in parameters.iter().enumerate() {
            let bound: rusqlite::types::Value = match value {
                Value::Null => rusqlite::types::Value::Null,
                Value::Integer(number) => (*number).into(),
                Value::Real(number) => (*number).into(),
                Value::Text(text) => text.clone().into(),
                Value::Bytes(bytes) => bytes.clone().into(),
            };
            prepared
                .raw_bind_parameter(index + 1, bound)
                .map_err(error)?;
        }
        let columns: Arc<[Column]> = prepared
            .column_names()
            .map(|name| Column {
                name: name.to_owned(),
                table: None,
                kind: SqlType::Text,
            })
            .collect();
        let width = columns.len();
        let mut found = Vec::new();
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next().map_err(error)? {
            let mut values = Vec::with_capacity(width);
            for index in 0..width {
                let value: rusqlite::types::Value = row.get(index).map_err(error)?;
                values.push(match value {
                    rusqlite::types::Value::Null => Value::Null,
                    rusqlite::types::Value::Integer(number) => Value::Integer(number),
                    rusqlite::types::Value::Real(number) => Value::Real(number),
                    rusqlite::types::Value::Text(text) => Value::Text(text),
                    rusqlite::types::Value::Blob(bytes) => Value::Bytes(bytes),
                });
            }
            found.push(values);
        }
        if width == 0 {
            return Ok(Reply::Done {
                tag: CommandTag("OK".to_owned()),
                outcome: Done::default(),
            });
        }
        let tag = CommandTag(format!("SELECT {}", found.len()));
        Ok(Reply::Rows {
            columns,
            rows: found,
            tag,
        })
    }

    /// Whether a transaction is open; both protocols report it after each statement.
    pub(crate) fn transaction(&self) -> TransactionState {
        self.state
    }

    /// MySQL's `autocommit` flag, reported in the status flags. Always on for PostgreSQL.
    pub(crate) fn autocommit(&self) -> bool {
        true
    }

    /// Puts the session back to what it was after login (COM_RESET_CONNECTION): the transaction
    /// is rolled back, variables and temporary objects are gone.
    pub(crate) fn reset(&mut self) {
        self.state = TransactionState::Idle;
    }

    /// Changes the current database (COM_INIT_DB).
    pub(crate) fn use_database(&mut self, _database: &str) -> Result<(), SqlError> {
        Ok(())
    }

    /// The session parameters whose change the client is to be told of (PostgreSQL's
    /// ParameterStatus) since the last call; right after `open`, all of them.
    pub(crate) fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
