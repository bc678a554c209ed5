//! SQLite's errors as the errors of the dialects.

use rusqlite::ffi;

use super::super::catalog;
use super::super::error::Object;
use super::super::shape::LABEL_CHECK;
use super::super::{SqlError, nesting};
use super::Session;

impl Session {
    /// The error that the client sees for one of SQLite's.
    pub(super) fn translate(&self, error: rusqlite::Error, verb: &str) -> SqlError {
        // A function's own error comes with its codes.
        if let Some(failure) = self.context.state().failure.take() {
            return failure;
        }
        let engine = self.engine();
        let rusqlite::Error::SqliteFailure(code, message) = &error else {
            return self.translate_text(&error.to_string());
        };
        let message = message.clone().unwrap_or_default();
        match code.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => self.unique_violation(&message),
            ffi::SQLITE_CONSTRAINT_NOTNULL => self.not_null_violation(&message),
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => self.foreign_key_violation(verb),
            ffi::SQLITE_CONSTRAINT_CHECK => self.check_violation(&message),
            ffi::SQLITE_CONSTRAINT_COMMITHOOK => self.fenced_off(),
            ffi::SQLITE_BUSY_SNAPSHOT => {
                let message = match self.is_postgres() {
                    true => "could not serialize access due to concurrent update",
                    false => "Deadlock found when trying to get lock; try restarting transaction",
                };
                SqlError::of(engine, "40001", (1213, "40001"), message)
            }
            ffi::SQLITE_BUSY => {
                let message = "Lock wait timeout exceeded; try restarting transaction";
                SqlError::of(engine, "55P03", (1205, "HY000"), message)
            }
            ffi::SQLITE_INTERRUPT => self.statement_timed_out(),
            ffi::SQLITE_READONLY => {
                let message = match self.is_postgres() {
                    true => format!("cannot execute {verb} in a read-only transaction"),
                    false => "The MySQL server is running with the --read-only option so it \
                              cannot execute this statement"
                        .to_owned(),
                };
                SqlError::of(engine, "25006", (1290, "HY000"), message)
            }
            ffi::SQLITE_FULL => {
                SqlError::of(engine, "53100", (1114, "HY000"), "the volume is full")
            }
            ffi::SQLITE_TOOBIG => {
                SqlError::of(engine, "54000", (1301, "HY000"), "a value is too large")
            }
            _ => self.translate_text(&message),
        }
    }

    /// Errors that SQLite tells apart by their text only.
    fn translate_text(&self, message: &str) -> SqlError {
        let engine = self.engine();
        if message.contains("Expression tree is too large") || message.contains("parser stack") {
            return nesting::too_deep(engine);
        }
        if message.contains("misuse of aggregate") {
            let message = "aggregate functions are not allowed here";
            return SqlError::of(engine, "42803", (1111, "HY000"), message);
        }
        if message.contains("numeric overflow") || message.contains("integer overflow") {
            return SqlError::out_of_range(engine, "bigint");
        }
        if message.contains("non-constant default") {
            return SqlError::unsupported(engine, "adding a column with a computed default");
        }
        if message.contains("ON CONFLICT clause does not match") {
            let message = "there is no unique or exclusion constraint matching the ON CONFLICT \
                           specification";
            return SqlError::of(engine, "42P10", (1105, "HY000"), message);
        }
        if message.contains("foreign key mismatch") {
            let message = "there is no unique constraint matching given keys for referenced table";
            return SqlError::of(engine, "42830", (1822, "HY000"), message);
        }
        SqlError::internal(engine, message)
    }

    /// `UNIQUE constraint failed: t.a, t.b`, or `... failed: index 'name'`.
    fn unique_violation(&self, message: &str) -> SqlError {
        let failed = message.split_once("failed: ").map_or("", |(_, rest)| rest);
        let mut table = "";
        let mut columns = Vec::new();
        for part in failed.split(", ") {
            if let Some((of, column)) = part.split_once('.') {
                table = of;
                columns.push(column.to_owned());
            }
        }
        let index = self.index_of(table, &columns);
        match self.is_postgres() {
            true => {
                let name = index.unwrap_or_else(|| format!("{table}_pkey"));
                let message = format!("duplicate key value violates unique constraint \"{name}\"");
                let detail = format!("Key ({}) already exists.", columns.join(", "));
                let object = Object {
                    table: table.to_owned(),
                    constraint: name,
                    ..Object::default()
                };
                let error = SqlError::new("23505", 0, message);
                error.with_detail(detail).about(object)
            }
            false => {
                let name = index.unwrap_or_else(|| format!("{table}.PRIMARY"));
                let message = format!("Duplicate entry for key '{name}'");
                SqlError::new("23000", 1062, message)
            }
        }
    }

    fn index_of(&self, table: &str, columns: &[String]) -> Option<String> {
        let indexes = catalog::unique_indexes(&self.connection, table).ok()?;
        indexes
            .into_iter()
            .find(|index| index.columns == columns)?
            .name
    }

    fn not_null_violation(&self, message: &str) -> SqlError {
        let failed = message.split_once("failed: ").map_or("", |(_, rest)| rest);
        let (table, column) = failed.split_once('.').unwrap_or(("", failed));
        let message = match self.is_postgres() {
            true => format!(
                "null value in column \"{column}\" of relation \"{table}\" violates not-null \
                 constraint"
            ),
            false => format!("Column '{column}' cannot be null"),
        };
        let object = Object {
            table: table.to_owned(),
            column: column.to_owned(),
            ..Object::default()
        };
        SqlError::of(self.engine(), "23502", (1048, "23000"), message).about(object)
    }

    /// SQLite does not say which constraint it was.
    fn foreign_key_violation(&self, verb: &str) -> SqlError {
        let of_parent = verb == "DELETE";
        let message = match (self.is_postgres(), of_parent) {
            (true, true) => "update or delete on table violates foreign key constraint",
            (true, false) => "insert or update on table violates foreign key constraint",
            (false, true) => "Cannot delete or update a parent row: a foreign key constraint fails",
            (false, false) => "Cannot add or update a child row: a foreign key constraint fails",
        };
        let number = if of_parent { 1451 } else { 1452 };
        SqlError::of(self.engine(), "23503", (number, "23000"), message)
    }

    fn check_violation(&self, message: &str) -> SqlError {
        let name = message.split_once("failed: ").map_or("", |(_, rest)| rest);
        if let Some(column) = name.strip_prefix(LABEL_CHECK) {
            let message = match self.is_postgres() {
                true => format!("invalid input value for enum in column \"{column}\""),
                false => format!("Data truncated for column '{column}' at row 1"),
            };
            return SqlError::of(self.engine(), "22P02", (1265, "01000"), message);
        }
        let message = match self.is_postgres() {
            true => format!("new row for relation violates check constraint \"{name}\""),
            false => format!("Check constraint '{name}' is violated."),
        };
        let object = Object {
            constraint: name.to_owned(),
            ..Object::default()
        };
        SqlError::of(self.engine(), "23514", (3819, "HY000"), message).about(object)
    }

    /// The storage takes no more commits from this boot: it has crashed or been demoted.
    fn fenced_off(&self) -> SqlError {
        let message = match self.is_postgres() {
            true => "terminating connection because of crash of another server process",
            false => "Server shutdown in progress",
        };
        SqlError::of(self.engine(), "57P02", (1053, "08S01"), message).fatal()
    }
}
