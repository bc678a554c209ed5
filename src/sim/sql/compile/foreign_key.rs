//! Foreign keys of tables: what they refer to, and under which name.

use sqlparser::ast::{self, ForeignKeyConstraint, Ident, ReferentialAction, TableConstraint};

use super::super::catalog::Table;
use super::super::shape;
use super::super::{SqlError, catalog};
use super::Compiler;
use super::create::Blueprint;
use super::typed::quote_name;

impl Compiler<'_> {
    /// A constraint of a name that the table has already.
    pub(super) fn refuse_known_constraint(
        &self,
        table: &Table,
        constraint: &TableConstraint,
    ) -> Result<(), SqlError> {
        let (name, number, what) = match constraint {
            TableConstraint::ForeignKey(key) => (&key.name, 1826, "foreign key"),
            TableConstraint::Check(check) => (&check.name, 3822, "check"),
            _ => return Ok(()),
        };
        let Some(name) = name.as_ref().map(|name| self.fold(name)) else {
            return Ok(());
        };
        let known = catalog::constraints(self.connection, table);
        let known = known.map_err(|it| self.internal(&it))?;
        if !known.iter().any(|constraint| constraint.name == name) {
            return Ok(());
        }
        let message = match self.is_postgres() {
            true => format!(
                "constraint \"{name}\" for relation \"{}\" already exists",
                table.name
            ),
            false => format!("Duplicate {what} constraint name '{name}'"),
        };
        Err(SqlError::of(
            self.engine,
            "42710",
            (number, "HY000"),
            message,
        ))
    }

    fn references(
        &self,
        reference: &ForeignKeyConstraint,
        blueprint: &Blueprint,
    ) -> Result<String, SqlError> {
        let (schema, parent) = self.split_name(&reference.foreign_table)?;
        if !self.is_user_schema(schema.as_deref()) {
            return Err(self.unknown_schema(schema.as_deref().unwrap_or_default()));
        }
        self.check_parent(&parent, blueprint)?;
        let mut columns = self.name_list(&reference.referred_columns);
        if columns.is_empty() {
            columns = shape::name_list(&self.referred_key(&parent, blueprint)?);
        }
        if !columns.is_empty() {
            columns = format!(" ({columns})");
        }
        let action = |event: &str, action: &Option<ReferentialAction>| match action {
            Some(action) => format!(" ON {event} {action}"),
            None => String::new(),
        };
        let deferred = reference
            .characteristics
            .as_ref()
            .is_some_and(|it| matches!(it.initially, Some(ast::DeferrableInitial::Deferred)));
        let deferred = if deferred {
            " DEFERRABLE INITIALLY DEFERRED"
        } else {
            ""
        };
        Ok(format!(
            "REFERENCES {}{columns}{}{}{deferred}",
            quote_name(&parent),
            action("DELETE", &reference.on_delete),
            action("UPDATE", &reference.on_update)
        ))
    }

    /// The primary key of the table that a foreign key refers to, which must be there.
    fn referred_key(&self, parent: &str, blueprint: &Blueprint) -> Result<Vec<String>, SqlError> {
        let table = catalog::table(self.connection, parent).map_err(|it| self.internal(&it))?;
        match table {
            Some(table) => Ok(table.key().iter().map(|it| it.name.clone()).collect()),
            None => Ok(blueprint.shape.key.clone()),
        }
    }

    fn check_parent(&self, parent: &str, blueprint: &Blueprint) -> Result<(), SqlError> {
        // MySQL takes dumps, whose tables come in any order, with the checks switched off.
        let checks = self.is_postgres()
            || self.context.variable("foreign_key_checks").as_deref() != Some("0");
        let known = blueprint.name == parent || self.is_relation(parent)?;
        match (known || !checks, self.is_postgres()) {
            (true, _) => Ok(()),
            (false, true) => Err(self.unknown_table(None, parent)),
            (false, false) => {
                let message = format!("Failed to open the referenced table '{parent}'");
                Err(SqlError::new("HY000", 1824, message))
            }
        }
    }

    /// A foreign key of a table, under the name that the client or the database gives it.
    pub(super) fn foreign_key(
        &mut self,
        name: Option<&Ident>,
        columns: &[String],
        reference: &ForeignKeyConstraint,
        blueprint: &mut Blueprint,
    ) -> Result<String, SqlError> {
        blueprint.foreign_keys += 1;
        let table = &blueprint.name;
        let name = match (name, self.is_postgres()) {
            (Some(name), _) => self.fold(name),
            (None, true) => format!("{table}_{}_fkey", columns.join("_")),
            (None, false) => format!("{table}_ibfk_{}", blueprint.foreign_keys),
        };
        let references = self.references(reference, blueprint)?;
        Ok(format!(
            "CONSTRAINT {} FOREIGN KEY ({}) {references}",
            quote_name(&name),
            shape::name_list(columns)
        ))
    }

    fn name_list(&self, names: &[Ident]) -> String {
        let names: Vec<String> = names
            .iter()
            .map(|name| quote_name(&self.fold(name)))
            .collect();
        names.join(", ")
    }
}
