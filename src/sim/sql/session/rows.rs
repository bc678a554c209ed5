//! Rows out of SQLite.

use std::sync::Arc;

use super::super::convert;
use super::super::plan::Plan;
use super::super::types::Type;
use super::super::value::{Column, CommandTag, Reply};
use super::super::{SqlError, SqlType, Value};
use super::Session;

/// The rows of a result.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) rows: Vec<Vec<Value>>,
}

/// A larger result is refused: it is held in memory as a whole.
const MAX_RESULT_BYTES: usize = 256 * 1024 * 1024;

impl Session {
    /// Runs one SQLite statement to its end.
    pub(super) fn fetch(
        &self,
        sql: &str,
        parameters: &[Value],
        plan: &Plan,
    ) -> Result<Fetched, SqlError> {
        let mut failed = None;
        let result = self.fetch_rows(sql, parameters, |values| {
            let types = plan.column_types.iter().copied();
            let types = types.chain(std::iter::repeat(Type::from(SqlType::Unknown)));
            let values = values.into_iter().zip(types);
            let values = values.map(|(value, of)| convert::finish(self.engine(), value, of));
            match values.collect() {
                Ok(values) => values,
                Err(error) => {
                    failed = Some(error);
                    Vec::new()
                }
            }
        });
        let rows = result.map_err(|error| self.translate(error, plan.verb))?;
        match (failed, rows) {
            (Some(error), _) => Err(error),
            (None, Some(rows)) => Ok(Fetched { rows }),
            (None, None) => {
                let message = "the result is too large for the simulator's memory";
                Err(SqlError::of(
                    self.engine(),
                    "54000",
                    (1038, "HY001"),
                    message,
                ))
            }
        }
    }

    fn fetch_rows(
        &self,
        sql: &str,
        parameters: &[Value],
        mut finish: impl FnMut(Vec<Value>) -> Vec<Value>,
    ) -> rusqlite::Result<Option<Vec<Vec<Value>>>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let count = statement.parameter_count();
        for (index, value) in parameters.iter().take(count).enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        let width = statement.column_count();
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(width);
            for index in 0..width {
                let value = Value::from(row.get_ref(index)?);
                bytes += size_of::<Value>() + heap_bytes(&value);
                values.push(value);
            }
            if bytes > MAX_RESULT_BYTES {
                return Ok(None);
            }
            found.push(finish(values));
        }
        Ok(Some(found))
    }

    /// The one number that a query answers.
    pub(super) fn single_number(&self, sql: &str, parameters: &[Value]) -> Result<u64, SqlError> {
        let rows = self.fetch_rows(sql, parameters, |values| values);
        let rows = rows.map_err(|error| self.translate(error, ""))?;
        let first = rows.unwrap_or_default().into_iter().flatten().next();
        Ok(match first {
            Some(Value::Integer(number)) => u64::try_from(number).unwrap_or(0),
            _ => 0,
        })
    }

    /// The one value that a query answers.
    pub(super) fn single_value(&self, sql: &str) -> Result<Value, SqlError> {
        let rows = self.fetch_rows(sql, &[], |values| values);
        let rows = rows.map_err(|error| self.translate(error, ""))?;
        let first = rows.unwrap_or_default().into_iter().flatten().next();
        Ok(first.unwrap_or(Value::Null))
    }
}

fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

impl Fetched {
    pub(super) fn into_reply(self, plan: &Plan, tag: CommandTag) -> Reply {
        let columns = plan.columns.clone().unwrap_or_else(|| Vec::new().into());
        let columns = match plan.traits.open_types {
            true => self.settle(&columns),
            false => columns,
        };
        Reply::Rows {
            columns,
            rows: self.rows,
            tag,
        }
    }

    /// Columns of an unknown type take that of their first value.
    fn settle(&self, columns: &[Column]) -> Arc<[Column]> {
        let settled = columns.iter().enumerate().map(|(index, column)| {
            let mut values = self.rows.iter().filter_map(|row| row.get(index));
            let first = values.find(|value| !matches!(value, Value::Null));
            match (column.kind, first) {
                (SqlType::Unknown, Some(value)) => Column {
                    kind: convert::kind_of(value),
                    ..column.clone()
                },
                _ => column.clone(),
            }
        });
        settled.collect()
    }
}
