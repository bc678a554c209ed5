//! The databases' own tables and table functions: the replica status, variables, catalogs.
//!
//! Each is a relation inside SQL, so that any projection, filter, join or order over it works. A
//! relation's rows come as JSON from a function of the session (`sim_rows`) and are unfolded by
//! SQLite's `json_each`, or from SQLite's own schema tables.

mod mysql;
mod mysql_schema;
mod postgres;
mod postgres_absent;
mod postgres_catalog;
mod postgres_schema;
mod replica_status;

pub(super) use postgres_catalog::INDEX_DEFINITIONS;
use serde_json::{Value as Json, json};

use super::SqlType;
use super::context::Context;
use crate::id::EngineKind;

/// A table or table function that is not the users'.
#[derive(Debug)]
pub(super) struct SystemRelation {
    /// Whether it is called, with parentheses.
    is_function: bool,
    schema: &'static str,
    pub(super) name: &'static str,
    pub(super) is_topology: bool,
    pub(super) columns: &'static [SystemColumn],
    source: Source,
}

#[derive(Debug)]
pub(super) struct SystemColumn {
    pub(super) name: &'static str,
    pub(super) kind: SqlType,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    /// Rows of JSON values in the order of the columns.
    Rows(fn(&Context) -> Vec<Vec<Json>>),
    /// A query on SQLite's schema.
    Query(&'static str),
}

impl SystemRelation {
    /// The SQLite query that answers its rows.
    pub(super) fn query(&self) -> String {
        match self.source {
            Source::Query(query) => query.to_owned(),
            Source::Rows(_) => {
                let items = (0..self.columns.len()).map(|index| format!("value ->> {index}"));
                let items: Vec<String> = items.collect();
                let name = self.name;
                format!(
                    "SELECT {} FROM json_each(sim_rows('{name}'))",
                    items.join(", ")
                )
            }
        }
    }
}

/// A table by schema and name. MySQL's system names are not case sensitive.
pub(super) fn find(
    engine: EngineKind,
    schema: Option<&str>,
    name: &str,
) -> Option<&'static SystemRelation> {
    let schema = schema.unwrap_or("pg_catalog");
    all(engine).iter().find(|relation| {
        !relation.is_function
            && relation.schema.eq_ignore_ascii_case(schema)
            && relation.name.eq_ignore_ascii_case(name)
    })
}

/// A table function by name.
pub(super) fn find_function(engine: EngineKind, name: &str) -> Option<&'static SystemRelation> {
    let mut functions = all(engine).iter().filter(|relation| relation.is_function);
    functions.find(|relation| relation.name == name)
}

/// The rows of a relation, as the function `sim_rows` answers them.
pub(super) fn rows(context: &Context, name: &str) -> Option<Json> {
    if name == SYSTEM_TABLES {
        return Some(system_tables(context.engine).into());
    }
    let mut relations = all(context.engine).iter();
    let relation = relations.find(|relation| relation.name == name)?;
    match relation.source {
        Source::Rows(rows) => Some(rows(context).into()),
        Source::Query(_) => None,
    }
}

fn all(engine: EngineKind) -> &'static [SystemRelation] {
    match engine {
        EngineKind::Postgres => postgres::TABLE,
        EngineKind::MySql => mysql::TABLE,
    }
}

const fn column(name: &'static str, kind: SqlType) -> SystemColumn {
    SystemColumn { name, kind }
}

/// By this name the catalogs ask for the system tables themselves.
const SYSTEM_TABLES: &str = "system_tables";

fn system_tables(engine: EngineKind) -> Vec<Vec<Json>> {
    let tables = all(engine).iter().filter(|relation| !relation.is_function);
    let rows = tables.map(|relation| {
        let name = match (engine, relation.schema) {
            (EngineKind::MySql, "information_schema") => relation.name.to_ascii_uppercase(),
            _ => relation.name.to_owned(),
        };
        vec![json!(relation.schema), json!(name)]
    });
    rows.collect()
}
