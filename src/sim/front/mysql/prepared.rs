//! The prepared statements of one session.

use std::collections::HashMap;
use std::sync::Arc;

use super::fault;
use super::parameters::{Parameters, Unreadable};
use super::wire::MAX_PACKET_BYTES;
use crate::sim::sql::{SqlError, SqlType, Statement, Value};

/// MySQL's default `max_prepared_stmt_count`, here for each session.
const MAX_STATEMENTS: usize = 16_382;

/// What the texts of a session's prepared statements, and its pending long data, may take.
const MAX_BYTES: usize = MAX_PACKET_BYTES;

/// The statements by their ids.
#[derive(Debug, Default)]
pub(super) struct Statements {
    last_id: u32,
    text_bytes: usize,
    long_data_bytes: usize,
    entries: HashMap<u32, Prepared>,
}

#[derive(Debug)]
struct Prepared {
    statement: Arc<Statement>,
    text_bytes: usize,
    parameters: Parameters,
    /// What went wrong with long data; the client hears of it when it executes.
    error: Option<SqlError>,
}

impl Statements {
    /// Keeps a statement and gives it an id.
    pub(super) fn add(
        &mut self,
        statement: Statement,
        text_bytes: usize,
        parameters: Vec<SqlType>,
    ) -> Result<u32, SqlError> {
        if self.entries.len() >= MAX_STATEMENTS || self.text_bytes + text_bytes > MAX_BYTES {
            return Err(fault::too_many_statements(self.entries.len()));
        }
        // Ids are not reused within a session before the number wraps round, and then only
        // those that are free.
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            if !self.entries.contains_key(&self.last_id) {
                break;
            }
        }
        self.text_bytes += text_bytes;
        self.entries.insert(
            self.last_id,
            Prepared {
                statement: Arc::new(statement),
                text_bytes,
                parameters: Parameters::new(parameters),
                error: None,
            },
        );
        Ok(self.last_id)
    }

    /// The statement and its parameters for one execution.
    pub(super) fn bind(
        &mut self,
        id: u32,
        rest: &[u8],
    ) -> Result<(Arc<Statement>, Vec<Value>), SqlError> {
        const FUNCTION: &str = "mysqld_stmt_execute";
        let prepared = self
            .entries
            .get_mut(&id)
            .ok_or_else(|| fault::unknown_statement(id, FUNCTION))?;
        let statement = Arc::clone(&prepared.statement);
        let read = match prepared.error.take() {
            Some(error) => Err(error),
            None => prepared.parameters.read(rest).map_err(|error| match error {
                Unreadable::Malformed => fault::malformed_packet().fatal(),
                Unreadable::Unbound => fault::wrong_arguments(FUNCTION),
            }),
        };
        self.forget_long_data(id);
        Ok((statement, read?))
    }

    /// Takes long data for a parameter. There is no answer to it: errors wait for the execution.
    pub(super) fn add_long_data(&mut self, id: u32, parameter: u16, data: &[u8]) {
        let Some(prepared) = self.entries.get_mut(&id) else {
            return;
        };
        if self.long_data_bytes + data.len() > MAX_BYTES {
            prepared.error = Some(fault::long_data_too_large());
        } else if prepared.parameters.add_long_data(parameter, data) {
            self.long_data_bytes += data.len();
        } else {
            prepared.error = Some(fault::wrong_arguments("mysqld_stmt_send_long_data"));
        }
    }

    /// Puts a statement back to what it was after it was prepared.
    pub(super) fn reset(&mut self, id: u32) -> Result<(), SqlError> {
        self.check(id, "mysqld_stmt_reset")?;
        self.forget_long_data(id);
        Ok(())
    }

    /// An error if there is no such statement.
    pub(super) fn check(&self, id: u32, function: &str) -> Result<(), SqlError> {
        if self.entries.contains_key(&id) {
            Ok(())
        } else {
            Err(fault::unknown_statement(id, function))
        }
    }

    pub(super) fn close(&mut self, id: u32) {
        self.forget_long_data(id);
        if let Some(prepared) = self.entries.remove(&id) {
            self.text_bytes -= prepared.text_bytes;
        }
    }

    fn forget_long_data(&mut self, id: u32) {
        if let Some(prepared) = self.entries.get_mut(&id) {
            self.long_data_bytes -= prepared.parameters.clear_long_data();
            prepared.error = None;
        }
    }
}
