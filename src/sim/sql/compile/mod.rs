//! The compiler: from a parsed statement of either dialect to SQLite's SQL, with types.
//!
//! It writes the SQLite text itself, clause by clause, instead of passing the client's text on.
//! What it does not know it refuses by name, so that nothing is answered wrongly because SQLite
//! happens to read it differently.
//!
//! Here: names, types, rewriting. Not here: running anything (`session`), the functions that the
//! compiled text calls (`native`), and whether the client may do what it asks (`session`).

mod acknowledge;
mod aggregate;
mod alter;
mod array;
mod catalog_call;
mod change;
mod coerce;
mod conflict;
mod create;
mod cursor;
mod define;
mod expression;
mod foreign_key;
mod from;
mod from_function;
mod function;
mod grouping;
mod insert;
mod json;
mod lateral;
mod literal;
mod name;
mod named_object;
mod operator;
mod predicate;
mod query;
mod scope;
mod select;
mod set;
mod show;
mod show_schema;
mod temporal;
mod typed;
mod utility;
mod view;
mod window;
mod word_function;

use std::sync::Arc;

use rusqlite::Connection;
use sqlparser::ast::{self, Ident, ObjectName, ObjectNamePart};

use super::catalog::{self, Table};
use super::context::Context;
use super::plan::{Action, Plan, Traits};
use super::statement::{Statement, Syntax};
use super::types::Type;
use super::value::Column;
use super::{SqlError, SqlType, own_syntax};
use crate::id::EngineKind;
use scope::{RelationColumn, Scope};

pub(super) use create::UNIQUE_CONSTRAINT;
pub(super) use cursor::PreparedBySql;
pub(super) use typed::quote_name;
pub(super) use view::only_query;

/// Compiles a statement against the session's present catalog.
pub(super) fn compile(
    context: &Context,
    connection: &Connection,
    statement: &Statement,
    hints: &[SqlType],
) -> Result<Plan, SqlError> {
    let mut compiler = Compiler::new(context, connection, statement, hints);
    let draft = match statement.syntax() {
        Syntax::Standard(syntax) => compiler.statement(syntax)?,
        Syntax::Own(syntax) => compiler.own_statement(syntax)?,
    };
    Ok(compiler.finish(draft))
}

/// A plan without what the compiler itself keeps count of.
#[derive(Debug)]
struct Draft {
    verb: &'static str,
    action: Action,
    /// `None` for a statement without a result.
    output: Option<Vec<Output>>,
}

impl Draft {
    fn act(verb: &'static str, action: Action) -> Self {
        Self {
            verb,
            action,
            output: None,
        }
    }

    fn rows(verb: &'static str, action: Action, output: Vec<Output>) -> Self {
        Self {
            verb,
            action,
            output: Some(output),
        }
    }
}

/// A column of a result.
#[derive(Debug, Clone)]
struct Output {
    name: String,
    table: Option<String>,
    of: Type,
}

impl Output {
    fn new(name: impl Into<String>, of: impl Into<Type>) -> Self {
        Self {
            name: name.into(),
            table: None,
            of: of.into(),
        }
    }
}

/// The state of one compilation.
#[derive(Debug)]
struct Compiler<'a> {
    context: &'a Context,
    engine: EngineKind,
    connection: &'a Connection,
    statement: &'a Statement,
    database: String,
    /// The type of each parameter, as far as it is known.
    parameters: Vec<Option<Type>>,
    traits: Traits,
    /// From the outermost query inwards.
    scopes: Vec<Scope>,
    /// `WITH` names in view, the innermost last.
    common_tables: Vec<(String, Vec<RelationColumn>)>,
    depth: usize,
    /// Whether columns outside of `GROUP BY` are refused.
    strict_groups: bool,
    /// Columns named so far that are neither grouped by nor in an aggregate.
    ungrouped: Vec<String>,
    /// Whether window functions may be called here.
    windows_allowed: bool,
    /// Whether a select list is being compiled, and the arrays that it takes apart into rows.
    unnested: Option<Vec<String>>,
    /// The windows of `WINDOW` clauses in view, the innermost last.
    named_windows: Vec<(String, ast::WindowSpec)>,
}

/// Deeper nesting than this is refused; a level costs a few kilobytes of stack.
const MAX_DEPTH: usize = 120;

/// The protocols count parameters in 16 bits.
const MAX_PARAMETERS: usize = 65_535;

impl<'a> Compiler<'a> {
    fn new(
        context: &'a Context,
        connection: &'a Connection,
        statement: &'a Statement,
        hints: &[SqlType],
    ) -> Self {
        let database = context.state().database.clone();
        let hinted = hints.iter().map(|kind| match kind {
            SqlType::Unknown => None,
            kind => Some(Type::from(*kind)),
        });
        let mut parameters: Vec<Option<Type>> = hinted.take(MAX_PARAMETERS).collect();
        if context.engine == EngineKind::MySql {
            parameters.resize(statement.placeholders().len(), None);
        }
        Self {
            context,
            engine: context.engine,
            connection,
            statement,
            database,
            parameters,
            traits: Traits::default(),
            scopes: Vec::new(),
            common_tables: Vec::new(),
            depth: 0,
            strict_groups: match context.engine {
                EngineKind::Postgres => true,
                EngineKind::MySql => context
                    .variable("sql_mode")
                    .is_some_and(|mode| mode.contains("ONLY_FULL_GROUP_BY")),
            },
            ungrouped: Vec::new(),
            windows_allowed: true,
            unnested: None,
            named_windows: Vec::new(),
        }
    }

    fn statement(&mut self, statement: &ast::Statement) -> Result<Draft, SqlError> {
        use ast::Statement as S;
        match statement {
            S::Query(query) => self.top_query(query),
            S::Insert(insert) => self.insert(insert),
            S::Update(update) => self.update(update),
            S::Delete(delete) => self.delete(delete),
            S::Truncate(truncate) => self.truncate(truncate),
            S::CreateTable(create) => self.create_table(create),
            S::CreateView(create) => self.create_view(create),
            S::CreateIndex(create) => self.create_index(create),
            S::AlterTable(alter) => self.alter_table(alter),
            S::Drop {
                object_type: ast::ObjectType::Sequence | ast::ObjectType::Type,
                ..
            } if self.is_postgres() => self.other_statement(statement),
            S::Drop { .. } => self.drop_objects(statement),
            S::RenameTable(renames) => self.rename_tables(renames),
            S::Set(set) => self.set(set),
            S::Reset(reset) => Ok(self.reset(reset)),
            S::Lock(lock) if self.is_postgres() => self.lock_tables(lock),
            other => self.other_statement(other),
        }
    }

    fn other_statement(&mut self, statement: &ast::Statement) -> Result<Draft, SqlError> {
        if let Some(draft) = self.show(statement)? {
            return Ok(draft);
        }
        if let Some(draft) = self.named_object(statement)? {
            return Ok(draft);
        }
        if let Some(draft) = self.by_name(statement)? {
            return Ok(draft);
        }
        match self.acknowledge(statement)? {
            Some(draft) => Ok(draft),
            None => self.utility(statement),
        }
    }

    fn own_statement(&mut self, statement: &own_syntax::Statement) -> Result<Draft, SqlError> {
        use super::plan::TransactionModes;
        Ok(match statement {
            own_syntax::Statement::StartWithSnapshot { read_only } => Draft::act(
                "START TRANSACTION",
                Action::Begin(TransactionModes {
                    read_only: *read_only,
                    isolation: None,
                    snapshot: true,
                }),
            ),
            own_syntax::Statement::Inject(injection) => {
                Draft::act("ALTER SYSTEM", Action::Inject(injection.clone()))
            }
            own_syntax::Statement::TableOption { table } => {
                let name = ObjectName::from(vec![Ident::new(table)]);
                self.user_table(&name)?;
                Draft::act("ALTER TABLE", Action::Nothing)
            }
            own_syntax::Statement::ShowVolumeStatus => volume_status(),
            own_syntax::Statement::FetchNext(name) => {
                self.fetch(name.clone(), super::plan::Distance::Rows(1))?
            }
            own_syntax::Statement::Do(None) => {
                return Err(self.unsupported("DO of more than one definition with its exceptions"));
            }
            own_syntax::Statement::Do(Some(block)) => match self.statement(&block.definition) {
                Ok(draft) => Draft {
                    verb: "DO",
                    ..draft
                },
                Err(error) if block.passed_over.contains(&error.sqlstate) => {
                    Draft::act("DO", Action::Nothing)
                }
                Err(error) => return Err(error),
            },
            own_syntax::Statement::Vacuum => Draft::act("VACUUM", Action::Vacuum),
            own_syntax::Statement::Abort => Draft::act("ROLLBACK", Action::Rollback),
            own_syntax::Statement::SessionCharacteristics { read_only } => Draft::act(
                "SET",
                Action::SetTransaction {
                    modes: TransactionModes {
                        read_only: Some(*read_only),
                        ..TransactionModes::default()
                    },
                    session: true,
                },
            ),
        })
    }

    fn finish(self, draft: Draft) -> Plan {
        let undecided = match self.engine {
            // What nothing decides is text in PostgreSQL; MySQL takes the client's own type.
            EngineKind::Postgres => SqlType::Text,
            EngineKind::MySql => SqlType::Unknown,
        };
        let parameters = self.parameters.iter();
        let parameters = parameters
            .map(|of| of.unwrap_or(undecided.into()))
            .collect();
        let mut traits = self.traits;
        let mut column_types = Vec::new();
        let columns = draft.output.map(|output| {
            let columns = output.into_iter().map(|output| {
                let mut output = output;
                if output.of.kind == SqlType::Unknown && self.engine == EngineKind::Postgres {
                    output.of = SqlType::Text.into();
                }
                column_types.push(output.of);
                traits.open_types |= output.of.kind == SqlType::Unknown;
                Column {
                    name: output.name,
                    table: output.table,
                    kind: shown_kind(self.engine, output.of.kind),
                }
            });
            columns.collect::<Arc<[Column]>>()
        });
        Plan {
            action: draft.action,
            verb: draft.verb,
            parameters,
            columns,
            column_types,
            traits,
        }
    }

    fn unsupported(&self, what: impl std::fmt::Display) -> SqlError {
        SqlError::unsupported(self.engine, what)
    }

    fn is_postgres(&self) -> bool {
        self.engine == EngineKind::Postgres
    }

    fn internal(&self, error: &rusqlite::Error) -> SqlError {
        SqlError::internal(self.engine, error.to_string())
    }

    /// The name that an identifier means: PostgreSQL folds what is not quoted.
    fn fold(&self, ident: &Ident) -> String {
        match (self.engine, ident.quote_style) {
            (EngineKind::Postgres, None) => ident.value.to_lowercase(),
            _ => ident.value.clone(),
        }
    }

    /// A possibly qualified name as schema and name.
    fn split_name(&self, name: &ObjectName) -> Result<(Option<String>, String), SqlError> {
        let mut parts = Vec::new();
        for part in &name.0 {
            match part {
                ObjectNamePart::Identifier(ident) => parts.push(self.fold(ident)),
                ObjectNamePart::Function(_) => return Err(self.unsupported(name)),
            }
        }
        if self.is_postgres() && parts.len() == 3 && parts[0] == self.database {
            parts.remove(0);
        }
        match parts.as_slice() {
            [name] => Ok((None, name.clone())),
            [schema, name] => Ok((Some(schema.clone()), name.clone())),
            _ => Err(self.unsupported(format!("the name {name}"))),
        }
    }

    /// Whether a schema holds the users' tables.
    fn is_user_schema(&self, schema: Option<&str>) -> bool {
        match (self.engine, schema) {
            (EngineKind::Postgres, schema) => matches!(schema, None | Some("public" | "pg_temp")),
            (EngineKind::MySql, None) => !is_mysql_system_schema(&self.database),
            (EngineKind::MySql, Some(schema)) => schema == self.database,
        }
    }

    /// A table of the users, which must exist.
    fn user_table(&self, name: &ObjectName) -> Result<Table, SqlError> {
        let (schema, table) = self.split_name(name)?;
        let found = match self.is_user_schema(schema.as_deref()) {
            true => catalog::table(self.connection, &table).map_err(|it| self.internal(&it))?,
            false => None,
        };
        if found.is_none() {
            self.refuse_view(&table)?;
        }
        found.ok_or_else(|| self.unknown_table(schema.as_deref(), &table))
    }

    fn unknown_table(&self, schema: Option<&str>, table: &str) -> SqlError {
        let shown = match schema {
            Some(schema) => format!("{schema}.{table}"),
            None => table.to_owned(),
        };
        SqlError::unknown_table(self.engine, &self.database, &shown)
    }

    /// Runs a nested step of the compilation, unless it nests too deeply.
    fn nested<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if self.depth >= MAX_DEPTH {
            return Err(super::nesting::too_deep(self.engine));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    fn writes(&mut self, table: &Table) {
        self.traits.writes = true;
        self.traits.only_temporary = table.temporary;
    }
}

/// `SHOW VOLUME STATUS` (Aurora User Guide, "Displaying volume status for an Aurora MySQL DB
/// cluster").
fn volume_status() -> Draft {
    let columns = ["Variable_name", "Value"].map(|name| Output::new(name, SqlType::Varchar));
    let (disks, nodes) = (super::injection::DISKS, super::injection::NODES);
    let sql = format!("SELECT 'Disks', '{disks}' UNION ALL SELECT 'Nodes', '{nodes}'");
    Draft::rows("SHOW", Action::Query(sql), columns.into())
}

/// The type that the front is told: inner distinctions that the wire has not are dropped.
fn shown_kind(engine: EngineKind, kind: SqlType) -> SqlType {
    match (engine, kind) {
        (EngineKind::MySql, SqlType::TimestampTz) => SqlType::Timestamp,
        (EngineKind::MySql, SqlType::Uuid) => SqlType::Varchar,
        (_, kind) => kind,
    }
}

fn is_mysql_system_schema(schema: &str) -> bool {
    ["information_schema", "mysql", "performance_schema", "sys"]
        .iter()
        .any(|system| schema.eq_ignore_ascii_case(system))
}
