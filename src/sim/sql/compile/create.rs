//! `CREATE TABLE`.

use sqlparser::ast::{
    ColumnDef, ColumnOption, ColumnOptionDef, CreateTable, Expr, GeneratedAs, Ident, IndexColumn,
    TableConstraint,
};
use sqlparser::tokenizer::Token;

use super::super::SqlError;
use super::super::catalog::{self, Table};
use super::super::plan::{Action, Definition};
use super::super::shape::{self, ColumnShape, Shape};
use super::super::types::{self, Generation, Type};
use super::super::written_type;
use super::coerce::Coercion;
use super::scope::{Relation, RelationColumn, Scope};
use super::typed::quote_name;
use super::{Compiler, Draft, Output};

/// The parts of a table under construction.
#[derive(Debug, Default)]
pub(super) struct Blueprint {
    pub(super) name: String,
    temporary: bool,
    columns: Vec<RelationColumn>,
    pub(super) shape: Shape,
    /// `CREATE INDEX` statements that follow.
    pub(super) indexes: Vec<String>,
    checks: usize,
    pub(super) foreign_keys: usize,
}

impl Compiler<'_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Result<Draft, SqlError> {
        self.refuse_exotic_table(create)?;
        let (schema, name) = self.split_name(&create.name)?;
        if !self.is_user_schema(schema.as_deref()) {
            return Err(self.unknown_schema(schema.as_deref().unwrap_or_default()));
        }
        self.defines(create.temporary);
        let existing = catalog::table(self.connection, &name).map_err(|it| self.internal(&it))?;
        if existing.is_some_and(|existing| existing.temporary || !create.temporary)
            || catalog::is_reserved(&name)
            || self.refuse_view(&name).is_err()
        {
            if create.if_not_exists {
                return Ok(Draft::act(
                    "CREATE TABLE",
                    Action::Define(Definition::default()),
                ));
            }
            let message = match self.is_postgres() {
                true => format!("relation \"{name}\" already exists"),
                false => format!("Table '{name}' already exists"),
            };
            return Err(SqlError::of(self.engine, "42P07", (1050, "42S01"), message));
        }
        let mut blueprint = Blueprint {
            name: name.clone(),
            temporary: create.temporary,
            ..Blueprint::default()
        };
        if let Some(query) = &create.query {
            return self.create_table_as(blueprint, create, query);
        }
        self.plan_columns(&create.columns, &mut blueprint)?;
        for constraint in &create.constraints {
            self.table_constraint(constraint, &mut blueprint)?;
        }
        let definition = Definition {
            steps: blueprint.statements().into_iter().map(Into::into).collect(),
            forget_counters: vec![name],
            ..Definition::default()
        };
        Ok(Draft::act("CREATE TABLE", Action::Define(definition)))
    }

    pub(super) fn defines(&mut self, temporary: bool) {
        self.traits.writes = true;
        self.traits.defines = true;
        self.traits.only_temporary = temporary;
    }

    pub(super) fn unknown_schema(&self, schema: &str) -> SqlError {
        let message = match self.is_postgres() {
            true => format!("schema \"{schema}\" does not exist"),
            false => format!("Unknown database '{schema}'"),
        };
        SqlError::of(self.engine, "3F000", (1049, "42000"), message)
    }

    fn refuse_exotic_table(&self, create: &CreateTable) -> Result<(), SqlError> {
        let exotic = [
            (create.or_replace, "CREATE OR REPLACE TABLE"),
            (create.external, "CREATE EXTERNAL TABLE"),
            (create.like.is_some(), "CREATE TABLE ... LIKE"),
            (create.clone.is_some(), "CLONE"),
            (create.partition_by.is_some(), "PARTITION BY"),
            (create.inherits.is_some(), "INHERITS"),
            (create.partition_of.is_some(), "PARTITION OF"),
            (create.on_commit.is_some(), "ON COMMIT"),
        ];
        match exotic.iter().find(|(present, _)| *present) {
            Some((_, clause)) => Err(self.unsupported(clause)),
            None => Ok(()),
        }
    }

    fn create_table_as(
        &mut self,
        mut blueprint: Blueprint,
        create: &CreateTable,
        query: &sqlparser::ast::Query,
    ) -> Result<Draft, SqlError> {
        if !create.columns.is_empty() || !create.constraints.is_empty() {
            return Err(self.unsupported("CREATE TABLE with columns AS a query"));
        }
        let (sql, output) = self.subquery(query)?;
        if !self.parameters.is_empty() {
            return Err(self.unsupported("parameters in CREATE TABLE AS"));
        }
        for column in &output {
            let Output { name, of, .. } = column;
            let column = ColumnShape::new(name, types::declaration(*of, Generation::None));
            blueprint.shape.columns.push(column);
        }
        let mut statements = blueprint.statements();
        statements.push(format!("INSERT INTO {} {sql}", quote_name(&blueprint.name)));
        let definition = Definition {
            steps: statements.into_iter().map(Into::into).collect(),
            forget_counters: vec![blueprint.name],
            tag_is_count: true,
        };
        Ok(Draft::act("CREATE TABLE AS", Action::Define(definition)))
    }

    fn plan_columns(
        &mut self,
        columns: &[ColumnDef],
        blueprint: &mut Blueprint,
    ) -> Result<(), SqlError> {
        // First all types: a CHECK on one column may speak of another.
        for column in columns {
            let (of, _) = self.type_of(&column.data_type)?;
            let name = self.fold(&column.name);
            blueprint.columns.push(RelationColumn { name, of });
        }
        for column in columns {
            let column = self.column_shape(column, blueprint)?;
            blueprint.shape.columns.push(column);
        }
        Ok(())
    }

    /// One column as SQLite is to declare it; what else it brings goes to the blueprint.
    pub(super) fn column_shape(
        &mut self,
        column: &ColumnDef,
        blueprint: &mut Blueprint,
    ) -> Result<ColumnShape, SqlError> {
        let name = self.fold(&column.name);
        let (of, mut generation) = self.type_of(&column.data_type)?;
        let mut shape = ColumnShape::new(name.clone(), "");
        shape.not_null = generation != Generation::None;
        for option in &column.options {
            match &option.option {
                ColumnOption::Null => {}
                ColumnOption::NotNull => shape.not_null = true,
                ColumnOption::Default(expr) => shape.default = self.default_text(expr, of)?,
                ColumnOption::Generated {
                    generated_as,
                    generation_expr: None,
                    ..
                } => {
                    shape.not_null = true;
                    generation = match generated_as {
                        GeneratedAs::Always => Generation::Always,
                        _ => Generation::ByDefault,
                    };
                }
                ColumnOption::DialectSpecific(tokens) if is_auto_increment(tokens) => {
                    shape.not_null = true;
                    generation = Generation::ByDefault;
                }
                ColumnOption::OnUpdate(_) => generation = Generation::OnUpdate,
                _ => self.column_constraint(&name, option, blueprint)?,
            }
        }
        shape.declared = types::declaration(of, generation);
        let shown = written_type::mysql_name(&column.data_type);
        if let Some(shown) = shown.filter(|_| !self.is_postgres()) {
            shape.declared = written_type::with_shown_name(&shape.declared, &shown);
        }
        if let Some(labels) = self.labels_of(&column.data_type)? {
            let text = shape::label_check(&name, &labels);
            blueprint.shape.constraints.push(text);
        }
        let collation = self.column_collation(of).strip_prefix(" COLLATE ");
        shape.collation = collation.map(str::to_owned);
        Ok(shape)
    }

    /// An option of a column that is a constraint, or has no effect.
    fn column_constraint(
        &mut self,
        column: &str,
        option: &ColumnOptionDef,
        blueprint: &mut Blueprint,
    ) -> Result<(), SqlError> {
        match &option.option {
            ColumnOption::PrimaryKey(_) => blueprint.shape.key.push(column.to_owned()),
            ColumnOption::Unique(_) => {
                let index = option.name.as_ref().map(|it| self.fold(it));
                self.unique_index(index, &[column.to_owned()], blueprint);
            }
            ColumnOption::ForeignKey(reference) => {
                let name = option.name.as_ref().or(reference.name.as_ref());
                let columns = [column.to_owned()];
                let text = self.foreign_key(name, &columns, reference, blueprint)?;
                blueprint.shape.constraints.push(text);
            }
            ColumnOption::Check(check) => {
                let name = option.name.as_ref().or(check.name.as_ref());
                let text = self.check_text(name, Some(column), &check.expr, blueprint)?;
                blueprint.shape.constraints.push(text);
            }
            ColumnOption::Comment(_)
            | ColumnOption::CharacterSet(_)
            | ColumnOption::Collation(_) => {}
            other => return Err(self.unsupported(format!("the column option {other}"))),
        }
        Ok(())
    }

    pub(super) fn column_collation(&self, of: Type) -> &'static str {
        self.collation(of.kind)
    }

    pub(super) fn default_text(
        &mut self,
        expr: &Expr,
        of: Type,
    ) -> Result<Option<String>, SqlError> {
        if let Expr::Value(value) = expr
            && matches!(value.value, sqlparser::ast::Value::Null)
        {
            return Ok(None);
        }
        let parameters = self.parameters.len();
        let typed = self.expression(expr)?;
        let coercion = match self.is_postgres() {
            true => Coercion::Assignment,
            false => Coercion::Explicit,
        };
        let typed = self.coerce(typed, of, coercion)?;
        match self.parameters.len() == parameters {
            true => Ok(Some(typed.sql)),
            false => Err(self.unsupported("a parameter in DEFAULT")),
        }
    }

    pub(super) fn check_text(
        &mut self,
        name: Option<&Ident>,
        column: Option<&str>,
        expr: &Expr,
        blueprint: &mut Blueprint,
    ) -> Result<String, SqlError> {
        blueprint.checks += 1;
        let table = &blueprint.name;
        let name = match (name, self.is_postgres(), column) {
            (Some(name), _, _) => self.fold(name),
            (None, true, Some(column)) => format!("{table}_{column}_check"),
            (None, true, None) => format!("{table}_check"),
            (None, false, _) => format!("{table}_chk_{}", blueprint.checks),
        };
        self.scopes.push(Scope::of(Relation {
            name: table.clone(),
            table: Some(table.clone()),
            columns: blueprint.columns.clone(),
            bare: true,
            lateral: None,
        }));
        let condition = self.condition(expr, "CHECK");
        self.scopes.pop();
        Ok(format!(
            "CONSTRAINT {} CHECK ({}) {}",
            quote_name(&name),
            condition?,
            shape::comment(&expr.to_string())
        ))
    }

    pub(super) fn table_constraint(
        &mut self,
        constraint: &TableConstraint,
        blueprint: &mut Blueprint,
    ) -> Result<(), SqlError> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                blueprint.shape.key = self.index_columns(&key.columns)?;
            }
            TableConstraint::Unique(unique) => {
                let columns = self.index_columns(&unique.columns)?;
                let name = unique.name.as_ref().or(unique.index_name.as_ref());
                let name = name.map(|name| self.fold(name));
                self.unique_index(name, &columns, blueprint);
            }
            TableConstraint::ForeignKey(foreign) => {
                let columns: Vec<String> = foreign.columns.iter().map(|it| self.fold(it)).collect();
                let text = self.foreign_key(foreign.name.as_ref(), &columns, foreign, blueprint)?;
                blueprint.shape.constraints.push(text);
            }
            TableConstraint::Check(check) => {
                let text = self.check_text(check.name.as_ref(), None, &check.expr, blueprint)?;
                blueprint.shape.constraints.push(text);
            }
            TableConstraint::Index(index) => {
                let columns = self.index_columns(&index.columns)?;
                let name = match &index.name {
                    Some(name) => self.fold(name),
                    None => columns.join("_"),
                };
                let name = self.index_name(&blueprint.name, &name);
                let text = index_text("INDEX", &name, &blueprint.name, &columns);
                blueprint.indexes.push(text);
            }
            other => return Err(self.unsupported(format!("the constraint {other}"))),
        }
        Ok(())
    }

    pub(super) fn index_columns(&self, columns: &[IndexColumn]) -> Result<Vec<String>, SqlError> {
        let name = |column: &IndexColumn| match &column.column.expr {
            Expr::Identifier(name) => Ok(self.fold(name)),
            other => Err(self.unsupported(format!("an index on the expression {other}"))),
        };
        columns.iter().map(name).collect()
    }

    /// MySQL's index names belong to their table, SQLite's and PostgreSQL's to the database.
    pub(super) fn index_name(&self, table: &str, index: &str) -> String {
        match self.is_postgres() {
            true => index.to_owned(),
            false => format!("{table}.{index}"),
        }
    }

    fn unique_index(&self, name: Option<String>, columns: &[String], blueprint: &mut Blueprint) {
        let name = name.unwrap_or_else(|| match self.is_postgres() {
            true => format!("{}_{}_key", blueprint.name, columns.join("_")),
            false => columns.first().cloned().unwrap_or_default(),
        });
        let name = self.index_name(&blueprint.name, &name);
        let text = unique_text(&name, &blueprint.name, columns);
        blueprint.indexes.push(text);
    }

    /// A table that is there, for columns and constraints to be added to it.
    pub(super) fn blueprint_of(&self, table: &Table) -> Result<Blueprint, SqlError> {
        let constraints = catalog::constraints(self.connection, table);
        let constraints = constraints.map_err(|it| self.internal(&it))?;
        let known = table.columns.iter().map(|column| RelationColumn {
            name: column.name.clone(),
            of: column.of,
        });
        Ok(Blueprint {
            name: table.name.clone(),
            columns: known.collect(),
            checks: constraints.iter().filter(|it| it.check.is_some()).count(),
            foreign_keys: constraints.iter().filter(|it| it.foreign.is_some()).count(),
            ..Blueprint::default()
        })
    }
}

impl Blueprint {
    pub(super) fn add_column(&mut self, name: String, of: Type) {
        self.columns.push(RelationColumn { name, of });
    }

    fn statements(&self) -> Vec<String> {
        let temporary = if self.temporary { "TEMPORARY " } else { "" };
        let table = quote_name(&self.name);
        let text = self.shape.text();
        let mut statements = vec![format!("CREATE {temporary}TABLE {table} ({text})")];
        statements.extend(self.indexes.iter().cloned());
        statements
    }
}

pub(super) fn index_text(what: &str, name: &str, table: &str, columns: &[String]) -> String {
    let (name, table) = (quote_name(name), quote_name(table));
    format!(
        "CREATE {what} {name} ON {table} ({})",
        shape::name_list(columns)
    )
}

/// The index behind a `UNIQUE` constraint, which is told from others by a remark.
pub(super) fn unique_text(name: &str, table: &str, columns: &[String]) -> String {
    let (name, table) = (quote_name(name), quote_name(table));
    let columns = shape::name_list(columns);
    format!("CREATE UNIQUE INDEX {name} ON {table} ({columns} {UNIQUE_CONSTRAINT})")
}

/// SQLite keeps it in the text of the index.
pub(in crate::sim::sql) const UNIQUE_CONSTRAINT: &str = "/*constraint*/";

fn is_auto_increment(tokens: &[Token]) -> bool {
    matches!(tokens, [Token::Word(word)] if word.value.eq_ignore_ascii_case("auto_increment"))
}
