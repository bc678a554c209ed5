//! The users' tables as SQLite's schema describes them.

use rusqlite::{Connection, OptionalExtension};

use super::shape::{self, Constraint};
use super::types::{self, Generation, Type};
use crate::sim::volume::LEDGER_TABLE;

/// A table of the users.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) temporary: bool,
    pub(super) columns: Vec<TableColumn>,
}

/// One of its columns.
#[derive(Debug, Clone)]
pub(super) struct TableColumn {
    pub(super) name: String,
    pub(super) of: Type,
    pub(super) generation: Generation,
    pub(super) not_null: bool,
    /// The default as a SQLite expression.
    pub(super) default: Option<String>,
    /// Its place in the primary key, from 1; 0 outside of it.
    pub(super) key_place: i64,
}

/// A unique index and its columns.
#[derive(Debug, Clone)]
pub(super) struct UniqueIndex {
    /// `None` for the index of the primary key.
    pub(super) name: Option<String>,
    pub(super) columns: Vec<String>,
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<&TableColumn> {
        let mut columns = self.columns.iter();
        columns.find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The primary key's columns in order.
    pub(super) fn key(&self) -> Vec<&TableColumn> {
        let mut key: Vec<_> = self.columns.iter().filter(|it| it.key_place > 0).collect();
        key.sort_by_key(|column| column.key_place);
        key
    }
}

/// Names that are SQLite's or ours, never a user's.
pub(super) fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == LEDGER_TABLE || name.starts_with("sqlite_") || name.starts_with("aurora_sim_")
}

/// Looks a table up by its exact name; temporary tables hide others.
pub(super) fn table(connection: &Connection, name: &str) -> rusqlite::Result<Option<Table>> {
    if is_reserved(name) {
        return Ok(None);
    }
    let mut lookup = connection.prepare_cached(
        "SELECT 1 FROM temp.sqlite_master WHERE type = 'table' AND name = ?1
         UNION ALL
         SELECT 0 FROM main.sqlite_master WHERE type = 'table' AND name = ?1",
    )?;
    let Some(temporary) = lookup.query_row([name], |row| row.get(0)).optional()? else {
        return Ok(None);
    };
    let schema = if temporary { "temp" } else { "main" };
    let mut select = connection.prepare_cached(
        "SELECT name, type, \"notnull\", dflt_value, pk
         FROM pragma_table_xinfo(?1, ?2) WHERE hidden = 0 ORDER BY cid",
    )?;
    let columns = select.query_map([name, schema], |row| {
        let (of, generation) = types::from_declaration(&row.get::<_, String>(1)?);
        Ok(TableColumn {
            name: row.get(0)?,
            of,
            generation,
            not_null: row.get(2)?,
            default: row.get(3)?,
            key_place: row.get(4)?,
        })
    })?;
    Ok(Some(Table {
        name: name.to_owned(),
        temporary,
        columns: columns.collect::<rusqlite::Result<_>>()?,
    }))
}

/// The text of a table's `CREATE TABLE`.
pub(super) fn text(
    connection: &Connection,
    table: &str,
    temporary: bool,
) -> rusqlite::Result<String> {
    let schema = if temporary { "temp" } else { "main" };
    let sql = format!("SELECT sql FROM {schema}.sqlite_master WHERE type = 'table' AND name = ?1");
    connection
        .prepare_cached(&sql)?
        .query_row([table], |row| row.get(0))
}

/// The checks and foreign keys of a table.
pub(super) fn constraints(
    connection: &Connection,
    table: &Table,
) -> rusqlite::Result<Vec<Constraint>> {
    let text = text(connection, &table.name, table.temporary)?;
    Ok(shape::constraints(&text))
}

/// The unique indexes of a table, the primary key's among them.
pub(super) fn unique_indexes(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<UniqueIndex>> {
    let mut list = connection
        .prepare_cached("SELECT name, origin FROM pragma_index_list(?1) WHERE \"unique\" = 1")?;
    let mut columns = connection
        .prepare_cached("SELECT coalesce(name, '') FROM pragma_index_info(?1) ORDER BY seqno")?;
    let names = list.query_map([table], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut found = Vec::new();
    for entry in names {
        let (name, origin) = entry?;
        let of_index = columns.query_map([&name], |row| row.get(0))?;
        let of_index = of_index.collect::<rusqlite::Result<_>>()?;
        found.push(UniqueIndex {
            name: (origin != "pk").then_some(name),
            columns: of_index,
        });
    }
    Ok(found)
}
