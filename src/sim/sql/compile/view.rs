//! Views, which are kept as they were written and compiled anew into each query that names them.
//!
//! A view is a view of SQLite, of one row and column: the text of its `CREATE VIEW`. So it is a
//! part of the schema, with one name among tables, and comes and goes with its transaction.

use rusqlite::OptionalExtension;
use sqlparser::ast::{self, CreateView, ObjectName};

use super::super::plan::{Action, Definition};
use super::super::{SqlError, catalog, statement};
use super::scope::{Relation, RelationColumn};
use super::typed::{quote_name, quote_text};
use super::{Compiler, Draft};

/// Between the text of a view and the names that its columns had when it was made.
const SEPARATOR: &str = "\u{1f}";

impl Compiler<'_> {
    pub(super) fn create_view(&mut self, create: &CreateView) -> Result<Draft, SqlError> {
        let exotic = [
            (create.materialized, "CREATE MATERIALIZED VIEW"),
            (create.or_alter, "CREATE OR ALTER VIEW"),
            (create.temporary, "CREATE TEMPORARY VIEW"),
            (
                !create.cluster_by.is_empty() || create.to.is_some(),
                "CLUSTER BY or TO",
            ),
        ];
        if let Some((_, what)) = exotic.iter().find(|(present, _)| *present) {
            return Err(self.unsupported(what));
        }
        let (schema, name) = self.split_name(&create.name)?;
        if !self.is_user_schema(schema.as_deref()) {
            return Err(self.unknown_schema(schema.as_deref().unwrap_or_default()));
        }
        self.defines(false);
        let existing = self.view_text(&name)?;
        let taken = existing.is_none() && self.is_relation(&name)?;
        if taken || (existing.is_some() && !create.or_replace) {
            let message = match self.is_postgres() {
                true => format!("relation \"{name}\" already exists"),
                false => format!("Table '{name}' already exists"),
            };
            return Err(SqlError::of(self.engine, "42P07", (1050, "42S01"), message));
        }
        let (_, output) = self.subquery(&create.query)?;
        if !self.parameters.is_empty() {
            return Err(self.unsupported("parameters in CREATE VIEW"));
        }
        if create.columns.len() > output.len() {
            let message = "CREATE VIEW specifies more column names than columns";
            return Err(SqlError::of(self.engine, "42601", (1353, "HY000"), message));
        }
        let given = create.columns.iter().map(|column| self.fold(&column.name));
        let given: Vec<String> = given.collect();
        let names = output.iter().enumerate();
        let names = names.map(|(at, column)| given.get(at).unwrap_or(&column.name).clone());
        let names: Vec<String> = names.collect();
        let text = format!("{}{SEPARATOR}{}", create.query, names.join(SEPARATOR));
        let mut statements = Vec::new();
        if existing.is_some() {
            statements.push(format!("DROP VIEW {}", quote_name(&name)));
        }
        statements.push(format!(
            "CREATE VIEW {} AS SELECT {} AS definition",
            quote_name(&name),
            quote_text(&text)
        ));
        let definition = Definition {
            steps: statements.into_iter().map(Into::into).collect(),
            ..Definition::default()
        };
        Ok(Draft::act("CREATE VIEW", Action::Define(definition)))
    }

    pub(super) fn drop_views(
        &mut self,
        names: &[ObjectName],
        if_exists: bool,
    ) -> Result<Draft, SqlError> {
        self.defines(false);
        let mut statements = Vec::new();
        for name in names {
            let (_, bare) = self.split_name(name)?;
            match self.view_text(&bare)? {
                Some(_) => statements.push(format!("DROP VIEW {}", quote_name(&bare))),
                None if if_exists => {}
                None => {
                    let message = match self.is_postgres() {
                        true => format!("view \"{bare}\" does not exist"),
                        false => format!("Unknown table '{}.{bare}'", self.database),
                    };
                    return Err(SqlError::of(self.engine, "42P01", (1051, "42S02"), message));
                }
            }
        }
        let definition = Definition {
            steps: statements.into_iter().map(Into::into).collect(),
            ..Definition::default()
        };
        Ok(Draft::act("DROP VIEW", Action::Define(definition)))
    }

    /// A view in `FROM`, if there is one of that name.
    pub(super) fn view_factor(
        &mut self,
        name: &str,
        shown: &str,
        renamed: &[String],
    ) -> Result<Option<(String, Relation)>, SqlError> {
        let Some(text) = self.view_text(name)? else {
            return Ok(None);
        };
        let mut parts = text.split(SEPARATOR);
        let query = parts.next().unwrap_or_default();
        let names: Vec<String> = parts.map(str::to_owned).collect();
        let query = statement::parse_query(self.engine, query)?;
        // A view sees tables, and nothing of the query that names it.
        let scopes = std::mem::take(&mut self.scopes);
        let common_tables = std::mem::take(&mut self.common_tables);
        let compiled = self.subquery(&query);
        self.scopes = scopes;
        self.common_tables = common_tables;
        let (sql, output) = compiled?;
        let columns = output
            .iter()
            .zip(&names)
            .enumerate()
            .map(|(at, (column, name))| {
                let name = renamed.get(at).unwrap_or(name).clone();
                RelationColumn {
                    name,
                    of: column.of,
                }
            });
        let columns: Vec<RelationColumn> = columns.collect();
        Ok(Some(self.derived(&sql, shown.to_owned(), columns, None)))
    }

    /// Refuses a change of a view, which the real servers take in simple cases.
    pub(super) fn refuse_view(&self, name: &str) -> Result<(), SqlError> {
        match self.view_text(name)? {
            Some(_) => Err(self.unsupported(format!("a change of the view {name}"))),
            None => Ok(()),
        }
    }

    fn view_text(&self, name: &str) -> Result<Option<String>, SqlError> {
        if catalog::is_reserved(name) {
            return Ok(None);
        }
        let there = self.connection.query_row(
            "SELECT 1 FROM main.sqlite_master WHERE type = 'view' AND name = ?1",
            [name],
            |_| Ok(()),
        );
        let there = there.optional().map_err(|error| self.internal(&error))?;
        if there.is_none() {
            return Ok(None);
        }
        let sql = format!("SELECT definition FROM {}", quote_name(name));
        let text = self.connection.query_row(&sql, [], |row| row.get(0));
        text.optional().map_err(|error| self.internal(&error))
    }

    pub(super) fn is_relation(&self, name: &str) -> Result<bool, SqlError> {
        let table = catalog::table(self.connection, name).map_err(|it| self.internal(&it))?;
        Ok(table.is_some() || catalog::is_reserved(name))
    }
}

/// The query that a text consists of.
pub(in super::super) fn only_query(statement: ast::Statement) -> Option<ast::Query> {
    match statement {
        ast::Statement::Query(query) => Some(*query),
        _ => None,
    }
}
