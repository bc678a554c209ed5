//! `CREATE TABLE`.

use sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, Expr, ForeignKeyConstraint, GeneratedAs, Ident,
    IndexColumn, ReferentialAction, TableConstraint,
};
use sqlparser::tokenizer::Token;

use super::super::SqlError;
use super::super::catalog::{self, Table};
use super::super::plan::{Action, Definition};
use super::super::types::{self, Generation, Type};
use super::coerce::Coercion;
use super::scope::{Relation, RelationColumn, Scope};
use super::typed::quote_name;
use super::{Compiler, Draft, Output};

/// The parts of a table under construction.
#[derive(Debug, Default)]
pub(super) struct Blueprint {
    name: String,
    temporary: bool,
    columns: Vec<RelationColumn>,
    column_texts: Vec<String>,
    constraints: Vec<String>,
    /// `CREATE INDEX` statements that follow.
    indexes: Vec<String>,
    key: Vec<String>,
    checks: usize,
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
            statements: blueprint.statements(),
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
            let text = format!(
                "{} {}",
                quote_name(name),
                types::declaration(*of, Generation::None)
            );
            blueprint.column_texts.push(text);
        }
        let mut statements = blueprint.statements();
        statements.push(format!("INSERT INTO {} {sql}", quote_name(&blueprint.name)));
        let definition = Definition {
            statements,
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
            let (of, _) = types::from_sql(self.engine, &column.data_type)?;
            let name = self.fold(&column.name);
            blueprint.columns.push(RelationColumn { name, of });
        }
        for column in columns {
            let text = self.column_text(column, blueprint)?;
            blueprint.column_texts.push(text);
        }
        Ok(())
    }

    /// One column as SQLite is to declare it.
    fn column_text(
        &mut self,
        column: &ColumnDef,
        blueprint: &mut Blueprint,
    ) -> Result<String, SqlError> {
        let name = self.fold(&column.name);
        let (of, mut generation) = types::from_sql(self.engine, &column.data_type)?;
        let mut not_null = generation != Generation::None;
        let mut rest = String::new();
        for option in &column.options {
            match &option.option {
                ColumnOption::Null => {}
                ColumnOption::NotNull => not_null = true,
                ColumnOption::Default(expr) => {
                    if let Some(default) = self.default_text(expr, of)? {
                        rest.push_str(&format!(" DEFAULT ({default})"));
                    }
                }
                ColumnOption::PrimaryKey(_) => blueprint.key.push(name.clone()),
                ColumnOption::Unique(_) => {
                    let index = option.name.as_ref().map(|it| self.fold(it));
                    self.unique_index(index, std::slice::from_ref(&name), blueprint);
                }
                ColumnOption::ForeignKey(reference) => {
                    let text = self.references(reference)?;
                    rest.push_str(&format!(" {text}"));
                }
                ColumnOption::Check(check) => {
                    let constraint = option.name.as_ref().or(check.name.as_ref());
                    let text = self.check_text(constraint, Some(&name), &check.expr, blueprint)?;
                    blueprint.constraints.push(text);
                }
                ColumnOption::Generated {
                    generated_as,
                    generation_expr: None,
                    ..
                } => {
                    not_null = true;
                    generation = match generated_as {
                        GeneratedAs::Always => Generation::Always,
                        _ => Generation::ByDefault,
                    };
                }
                ColumnOption::DialectSpecific(tokens) if is_auto_increment(tokens) => {
                    not_null = true;
                    generation = Generation::ByDefault;
                }
                ColumnOption::OnUpdate(_) => generation = Generation::OnUpdate,
                ColumnOption::Comment(_)
                | ColumnOption::CharacterSet(_)
                | ColumnOption::Collation(_) => {}
                other => return Err(self.unsupported(format!("the column option {other}"))),
            }
        }
        let declared = types::declaration(of, generation);
        let collation = self.column_collation(of);
        let not_null = if not_null { " NOT NULL" } else { "" };
        Ok(format!(
            "{} {declared}{collation}{not_null}{rest}",
            quote_name(&name)
        ))
    }

    fn column_collation(&self, of: Type) -> &'static str {
        self.collation(of.kind)
    }

    fn default_text(&mut self, expr: &Expr, of: Type) -> Result<Option<String>, SqlError> {
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

    fn references(&mut self, reference: &ForeignKeyConstraint) -> Result<String, SqlError> {
        let (schema, parent) = self.split_name(&reference.foreign_table)?;
        if !self.is_user_schema(schema.as_deref()) {
            return Err(self.unknown_schema(schema.as_deref().unwrap_or_default()));
        }
        let columns = self.name_list(&reference.referred_columns);
        let columns = if columns.is_empty() {
            columns
        } else {
            format!(" ({columns})")
        };
        let action = |event: &str, action: &Option<ReferentialAction>| match action {
            Some(action) => format!(" ON {event} {action}"),
            None => String::new(),
        };
        Ok(format!(
            "REFERENCES {}{columns}{}{}",
            quote_name(&parent),
            action("DELETE", &reference.on_delete),
            action("UPDATE", &reference.on_update)
        ))
    }

    fn name_list(&self, names: &[Ident]) -> String {
        let names: Vec<String> = names
            .iter()
            .map(|name| quote_name(&self.fold(name)))
            .collect();
        names.join(", ")
    }

    fn check_text(
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
        }));
        let condition = self.condition(expr, "CHECK");
        self.scopes.pop();
        Ok(format!(
            "CONSTRAINT {} CHECK ({})",
            quote_name(&name),
            condition?
        ))
    }

    fn table_constraint(
        &mut self,
        constraint: &TableConstraint,
        blueprint: &mut Blueprint,
    ) -> Result<(), SqlError> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                blueprint.key = self.index_columns(&key.columns)?;
            }
            TableConstraint::Unique(unique) => {
                let columns = self.index_columns(&unique.columns)?;
                let name = unique.name.as_ref().or(unique.index_name.as_ref());
                let name = name.map(|name| self.fold(name));
                self.unique_index(name, &columns, blueprint);
            }
            TableConstraint::ForeignKey(foreign) => {
                let columns = self.name_list(&foreign.columns);
                let references = self.references(foreign)?;
                let name = match &foreign.name {
                    Some(name) => format!("CONSTRAINT {} ", quote_name(&self.fold(name))),
                    None => String::new(),
                };
                let text = format!("{name}FOREIGN KEY ({columns}) {references}");
                blueprint.constraints.push(text);
            }
            TableConstraint::Check(check) => {
                let text = self.check_text(check.name.as_ref(), None, &check.expr, blueprint)?;
                blueprint.constraints.push(text);
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
        let text = index_text("UNIQUE INDEX", &name, &blueprint.name, columns);
        blueprint.indexes.push(text);
    }

    /// `ALTER TABLE ... ADD COLUMN` in SQLite's words.
    pub(super) fn added_column(
        &mut self,
        table: &Table,
        column: &ColumnDef,
    ) -> Result<Vec<String>, SqlError> {
        let mut blueprint = Blueprint {
            name: table.name.clone(),
            ..Blueprint::default()
        };
        let known = table.columns.iter().map(|column| RelationColumn {
            name: column.name.clone(),
            of: column.of,
        });
        blueprint.columns.extend(known);
        let (of, generation) = types::from_sql(self.engine, &column.data_type)?;
        if generation != Generation::None {
            return Err(self.unsupported("adding a column with a counter"));
        }
        let name = self.fold(&column.name);
        blueprint.columns.push(RelationColumn { name, of });
        let text = self.column_text(column, &mut blueprint)?;
        if !blueprint.key.is_empty() {
            return Err(self.unsupported("adding a primary key"));
        }
        let mut statement = format!("ALTER TABLE {} ADD COLUMN {text}", quote_name(&table.name));
        for constraint in &blueprint.constraints {
            statement.push_str(&format!(" {constraint}"));
        }
        let mut statements = vec![statement];
        statements.append(&mut blueprint.indexes);
        Ok(statements)
    }
}

impl Blueprint {
    fn statements(&self) -> Vec<String> {
        let mut parts = self.column_texts.clone();
        if !self.key.is_empty() {
            let list: Vec<String> = self.key.iter().map(|name| quote_name(name)).collect();
            parts.push(format!("PRIMARY KEY ({})", list.join(", ")));
            for name in &list {
                let prefix = format!("{name} ");
                let column = parts.iter_mut().find(|text| text.starts_with(&prefix));
                // SQLite lets key columns be NULL unless told otherwise.
                if let Some(column) = column.filter(|text| !text.contains(" NOT NULL")) {
                    column.push_str(" NOT NULL");
                }
            }
        }
        parts.extend(self.constraints.iter().cloned());
        let temporary = if self.temporary { "TEMPORARY " } else { "" };
        let table = quote_name(&self.name);
        let mut statements = vec![format!(
            "CREATE {temporary}TABLE {table} ({})",
            parts.join(", ")
        )];
        statements.extend(self.indexes.iter().cloned());
        statements
    }
}

pub(super) fn index_text(what: &str, name: &str, table: &str, columns: &[String]) -> String {
    let list: Vec<String> = columns.iter().map(|name| quote_name(name)).collect();
    format!(
        "CREATE {what} {} ON {} ({})",
        quote_name(name),
        quote_name(table),
        list.join(", ")
    )
}

fn is_auto_increment(tokens: &[Token]) -> bool {
    matches!(tokens, [Token::Word(word)] if word.value.eq_ignore_ascii_case("auto_increment"))
}
