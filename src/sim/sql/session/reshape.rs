//! Changes of a table that SQLite's `ALTER TABLE` does not know: the rows move into a table of the
//! new shape, under the old name.
//!
//! Foreign keys of other tables follow a table that is renamed, so they are led back to the new
//! one by a change of the schema's text. Only then is the old table dropped: nothing refers to it,
//! so no action of a foreign key runs.

use rusqlite::Connection;

use super::super::SqlError;
use super::super::catalog;
use super::super::compile::quote_name;
use super::super::shape::{Edit, Refusal, Shape};
use super::Session;

/// The table's name while its rows move; no user's table can have it.
const OLD: &str = "aurora_sim_old";

impl Session {
    pub(super) fn reshape(
        &mut self,
        table: &str,
        temporary: bool,
        edits: &[Edit],
    ) -> Result<(), SqlError> {
        let failed = |error| self.translate(error, "ALTER TABLE");
        let text = catalog::text(&self.connection, table, temporary).map_err(failed)?;
        let mut shape = Shape::read(&text)
            .ok_or_else(|| SqlError::internal(self.engine(), "a table's text cannot be read"))?;
        let mut dropped = Vec::new();
        for edit in edits {
            let applied = shape.apply(edit);
            applied.map_err(|refusal| self.refused(table, refusal))?;
            if let Edit::DropColumn(name) = edit {
                dropped.push(name.clone());
            }
        }
        let moving = Moving {
            connection: &self.connection,
            table,
            temporary,
            shape: &shape,
            dropped: &dropped,
        };
        moving.run().map_err(failed)
    }

    fn refused(&self, table: &str, refusal: Refusal) -> SqlError {
        let postgres = self.is_postgres();
        let (codes, message) = match refusal {
            Refusal::NoColumn(name) if postgres => (
                ("42703", (0, "")),
                format!("column \"{name}\" of relation \"{table}\" does not exist"),
            ),
            Refusal::NoColumn(name) => (
                ("", (1054, "42S22")),
                format!("Unknown column '{name}' in '{table}'"),
            ),
            Refusal::NoConstraint(name) if postgres => (
                ("42704", (0, "")),
                format!("constraint \"{name}\" of relation \"{table}\" does not exist"),
            ),
            Refusal::NoConstraint(name) => (
                ("", (1091, "42000")),
                format!("Can't DROP '{name}'; check that column/key exists"),
            ),
            Refusal::SecondKey if postgres => (
                ("42P16", (0, "")),
                format!("multiple primary keys for table \"{table}\" are not allowed"),
            ),
            Refusal::SecondKey => (
                ("", (1068, "42000")),
                "Multiple primary key defined".to_owned(),
            ),
        };
        SqlError::of(self.engine(), codes.0, codes.1, message)
    }
}

/// A table on its way into a new shape.
struct Moving<'a> {
    connection: &'a Connection,
    table: &'a str,
    temporary: bool,
    shape: &'a Shape,
    dropped: &'a [String],
}

impl Moving<'_> {
    fn run(&self) -> rusqlite::Result<()> {
        let (schema, create) = match self.temporary {
            true => ("temp", "CREATE TEMPORARY TABLE"),
            false => ("main", "CREATE TABLE"),
        };
        let (table, old) = (quote_name(self.table), quote_name(OLD));
        let indexes = self.indexes(schema)?;
        let batch = |sql: &str| self.connection.execute_batch(sql);
        batch(&format!("ALTER TABLE {schema}.{table} RENAME TO {old}"))?;
        batch(&format!("{create} {table} ({})", self.shape.text()))?;
        batch(&self.copy(&format!("{schema}.{table}"), &format!("{schema}.{old}")))?;
        self.lead_back(schema)?;
        batch(&format!("DROP TABLE {schema}.{old}"))?;
        for index in indexes {
            batch(&index)?;
        }
        Ok(())
    }

    /// The indexes to be made again: those without a dropped column.
    fn indexes(&self, schema: &str) -> rusqlite::Result<Vec<String>> {
        let sql = format!(
            "SELECT sql FROM {schema}.sqlite_master
             WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL ORDER BY rowid"
        );
        let mut select = self.connection.prepare(&sql)?;
        let found = select.query_map([self.table], |row| row.get::<_, String>(0))?;
        let mut indexes = found.collect::<rusqlite::Result<Vec<_>>>()?;
        let names_dropped = |index: &str| {
            let columns = index.split_once(" ON ").map_or("", |(_, columns)| columns);
            let mut dropped = self.dropped.iter();
            dropped.any(|name| columns.contains(&quote_name(name)))
        };
        indexes.retain(|index| !names_dropped(index));
        Ok(indexes)
    }

    fn copy(&self, table: &str, old: &str) -> String {
        let columns = &self.shape.columns;
        let names: Vec<String> = columns.iter().map(|it| quote_name(&it.name)).collect();
        let sources = columns.iter().zip(&names);
        let sources = sources.map(|(it, name)| it.source.as_ref().unwrap_or(name).clone());
        let sources: Vec<String> = sources.collect();
        // A column of that name hides the row's own number, and then a new one is given.
        let hidden = columns
            .iter()
            .any(|it| it.name.eq_ignore_ascii_case("rowid"));
        let (row, rowid) = if hidden {
            ("", "")
        } else {
            ("rowid, ", "rowid, ")
        };
        format!(
            "INSERT INTO {table} ({row}{}) SELECT {rowid}{} FROM {old}",
            names.join(", "),
            sources.join(", ")
        )
    }

    /// Leads the other tables' foreign keys from the old table to the new one.
    fn lead_back(&self, schema: &str) -> rusqlite::Result<()> {
        let (table, old) = (quote_name(self.table), quote_name(OLD));
        self.connection
            .execute_batch("PRAGMA writable_schema = ON")?;
        let changed = self.connection.execute(
            &format!(
                "UPDATE {schema}.sqlite_master SET sql = replace(sql, ?1, ?2)
                 WHERE type = 'table' AND name <> ?3"
            ),
            [
                &format!("REFERENCES {old}"),
                &format!("REFERENCES {table}"),
                OLD,
            ],
        );
        self.connection
            .execute_batch("PRAGMA writable_schema = RESET")?;
        changed.map(drop)
    }
}
