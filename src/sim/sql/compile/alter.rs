//! `ALTER TABLE`: which steps make each of its operations.

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption,
    ColumnOptionDef, GeneratedAs, Ident, MySQLColumnPosition, RenameTableNameKind, TableConstraint,
};

use super::super::SqlError;
use super::super::catalog::{Table, TableColumn};
use super::super::plan::{Action, Definition, Step};
use super::super::shape::{ColumnShape, Edit, Place};
use super::super::types::{self, Family, Generation, Type};
use super::coerce::Coercion;
use super::create::{Blueprint, index_text, unique_text};
use super::from::relation_of;
use super::scope::Scope;
use super::typed::{Typed, quote_name};
use super::{Compiler, Draft};

/// The table as it is after the operations so far, and the steps that take it there.
#[derive(Debug)]
struct Alteration {
    table: Table,
    steps: Vec<Step>,
}

impl Alteration {
    /// Changes that follow each other are made in one go.
    fn edit(&mut self, edit: Edit) {
        if let Some(Step::Reshape { edits, .. }) = self.steps.last_mut() {
            edits.push(edit);
            return;
        }
        self.steps.push(Step::Reshape {
            table: self.table.name.clone(),
            temporary: self.table.temporary,
            edits: vec![edit],
        });
    }

    fn run(&mut self, sql: String) {
        self.steps.push(sql.into());
    }
}

impl Compiler<'_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Result<Draft, SqlError> {
        let mut steps = Vec::new();
        match self.user_table(&alter.name) {
            Err(_) if alter.if_exists => self.defines(false),
            found => {
                let table = found?;
                self.defines(table.temporary);
                let mut altered = Alteration { table, steps };
                for operation in &alter.operations {
                    self.alteration(&mut altered, operation)?;
                }
                steps = altered.steps;
            }
        }
        let definition = Definition {
            steps,
            ..Definition::default()
        };
        Ok(Draft::act("ALTER TABLE", Action::Define(definition)))
    }

    fn alteration(
        &mut self,
        altered: &mut Alteration,
        operation: &AlterTableOperation,
    ) -> Result<(), SqlError> {
        use AlterTableOperation as Op;
        match operation {
            Op::AddColumn {
                if_not_exists,
                column_def,
                column_position,
                ..
            } => self.add_column(
                altered,
                column_def,
                *if_not_exists,
                column_position.as_ref(),
            ),
            Op::DropColumn {
                column_names,
                if_exists,
                ..
            } => self.drop_columns(altered, column_names, *if_exists),
            Op::RenameColumn {
                old_column_name,
                new_column_name,
            } => self.rename_column(altered, old_column_name, new_column_name),
            Op::RenameTable { table_name } => {
                let (RenameTableNameKind::As(new) | RenameTableNameKind::To(new)) = table_name;
                let (_, new) = self.split_name(new)?;
                let old = std::mem::replace(&mut altered.table.name, new.clone());
                let (old, new) = (quote_name(&old), quote_name(&new));
                altered.run(format!("ALTER TABLE {old} RENAME TO {new}"));
                Ok(())
            }
            Op::ModifyColumn {
                col_name,
                data_type,
                options,
                column_position,
            } => {
                let column = redefinition(col_name, data_type, options);
                self.redefine(altered, &column, column_position.as_ref())
            }
            Op::ChangeColumn {
                old_name,
                new_name,
                data_type,
                options,
                column_position,
            } => {
                if self.fold(old_name) != self.fold(new_name) {
                    self.rename_column(altered, old_name, new_name)?;
                }
                let column = redefinition(new_name, data_type, options);
                self.redefine(altered, &column, column_position.as_ref())
            }
            Op::AlterColumn { column_name, op } => self.alter_column(altered, column_name, op),
            // They change what no client can see here.
            Op::OwnerTo { .. }
            | Op::SetOptionsParens { .. }
            | Op::ValidateConstraint { .. }
            | Op::ReplicaIdentity { .. }
            | Op::SetLogged
            | Op::Algorithm { .. }
            | Op::Lock { .. } => Ok(()),
            other => self.constraint_alteration(altered, other),
        }
    }

    fn constraint_alteration(
        &mut self,
        altered: &mut Alteration,
        operation: &AlterTableOperation,
    ) -> Result<(), SqlError> {
        use AlterTableOperation as Op;
        match operation {
            Op::AddConstraint { constraint, .. } => self.add_constraint(altered, constraint),
            Op::DropPrimaryKey { .. } => {
                altered.edit(Edit::SetKey(Vec::new()));
                Ok(())
            }
            Op::DropForeignKey { name, .. } => {
                altered.edit(Edit::DropConstraint {
                    name: self.fold(name),
                    if_exists: false,
                });
                Ok(())
            }
            Op::DropConstraint {
                name, if_exists, ..
            } => self.drop_constraint(altered, name, *if_exists),
            Op::DropIndex { name } => {
                let index = self.index_name(&altered.table.name, &self.fold(name));
                match self.index_exists(&index)? {
                    true => altered.run(format!("DROP INDEX {}", quote_name(&index))),
                    false => return Err(self.cannot_drop(&self.fold(name))),
                }
                Ok(())
            }
            Op::RenameConstraint { old_name, new_name } => {
                altered.edit(Edit::RenameConstraint {
                    old: self.fold(old_name),
                    new: self.fold(new_name),
                });
                Ok(())
            }
            other => Err(self.unsupported(format!("ALTER TABLE ... {other}"))),
        }
    }

    fn cannot_drop(&self, name: &str) -> SqlError {
        let message = format!("Can't DROP '{name}'; check that column/key exists");
        SqlError::of(self.engine, "42704", (1091, "42000"), message)
    }

    fn add_column(
        &mut self,
        altered: &mut Alteration,
        definition: &ColumnDef,
        if_not_exists: bool,
        position: Option<&MySQLColumnPosition>,
    ) -> Result<(), SqlError> {
        let name = self.fold(&definition.name);
        if altered.table.column(&name).is_some() {
            if if_not_exists {
                return Ok(());
            }
            let table = &altered.table.name;
            let message = match self.is_postgres() {
                true => format!("column \"{name}\" of relation \"{table}\" already exists"),
                false => format!("Duplicate column name '{name}'"),
            };
            return Err(SqlError::of(self.engine, "42701", (1060, "42S21"), message));
        }
        let (of, _) = self.type_of(&definition.data_type)?;
        let mut blueprint = self.blueprint_of(&altered.table)?;
        blueprint.add_column(name.clone(), of);
        let mut column = self.column_shape(definition, &mut blueprint)?;
        let (_, generation) = types::from_declaration(&column.declared);
        column.source = Some(match generation {
            Generation::ByDefault | Generation::Always => {
                "row_number() OVER (ORDER BY rowid)".to_owned()
            }
            _ => self.first_value(&column, of),
        });
        altered.table.columns.push(TableColumn {
            name,
            of,
            generation,
            not_null: column.not_null,
            default: column.default.clone(),
            key_place: 0,
        });
        let place = self.place(position).unwrap_or(Place::Last);
        altered.edit(Edit::AddColumn(column, place));
        Self::take_over(altered, blueprint);
        Ok(())
    }

    /// What the rows that are there get in a new column.
    fn first_value(&self, column: &ColumnShape, of: Type) -> String {
        match &column.default {
            Some(default) => format!("({default})"),
            // MySQL's implicit defaults.
            None if column.not_null && !self.is_postgres() => match of.kind.family() {
                Family::Number | Family::Bool => "0".to_owned(),
                _ => "''".to_owned(),
            },
            None => "NULL".to_owned(),
        }
    }

    /// Keys, constraints and indexes that came with a column.
    fn take_over(altered: &mut Alteration, blueprint: Blueprint) {
        if !blueprint.shape.key.is_empty() {
            altered.edit(Edit::SetKey(blueprint.shape.key));
        }
        for text in blueprint.shape.constraints {
            altered.edit(Edit::AddConstraint(text));
        }
        for index in blueprint.indexes {
            altered.run(index);
        }
    }

    fn place(&self, position: Option<&MySQLColumnPosition>) -> Option<Place> {
        Some(match position? {
            MySQLColumnPosition::First => Place::First,
            MySQLColumnPosition::After(name) => Place::After(self.fold(name)),
        })
    }

    fn drop_columns(
        &mut self,
        altered: &mut Alteration,
        names: &[Ident],
        if_exists: bool,
    ) -> Result<(), SqlError> {
        for name in names {
            let name = self.fold(name);
            if altered.table.column(&name).is_none() {
                match (if_exists, self.is_postgres()) {
                    (true, _) => continue,
                    (false, true) => drop(self.column_of(&altered.table, &name)?),
                    (false, false) => return Err(self.cannot_drop(&name)),
                }
            }
            let name = self.column_of(&altered.table, &name)?.name.clone();
            altered.table.columns.retain(|column| column.name != name);
            altered.edit(Edit::DropColumn(name));
        }
        Ok(())
    }

    fn rename_column(
        &mut self,
        altered: &mut Alteration,
        old: &Ident,
        new: &Ident,
    ) -> Result<(), SqlError> {
        let old = self
            .column_of(&altered.table, &self.fold(old))?
            .name
            .clone();
        let new = self.fold(new);
        for column in &mut altered.table.columns {
            if column.name == old {
                column.name.clone_from(&new);
            }
        }
        let table = quote_name(&altered.table.name);
        let (old, new) = (quote_name(&old), quote_name(&new));
        altered.run(format!("ALTER TABLE {table} RENAME COLUMN {old} TO {new}"));
        Ok(())
    }

    /// `MODIFY` and `CHANGE` give a column another definition; its keys stay.
    fn redefine(
        &mut self,
        altered: &mut Alteration,
        definition: &ColumnDef,
        position: Option<&MySQLColumnPosition>,
    ) -> Result<(), SqlError> {
        let name = self.fold(&definition.name);
        let old = self.column_of(&altered.table, &name)?.clone();
        let (of, _) = self.type_of(&definition.data_type)?;
        let mut blueprint = self.blueprint_of(&altered.table)?;
        let mut column = self.column_shape(definition, &mut blueprint)?;
        column.name = old.name.clone();
        column.not_null |= old.key_place > 0;
        column.source = Some(self.converted(&old, of)?);
        for known in &mut altered.table.columns {
            if known.name == old.name {
                known.of = of;
            }
        }
        altered.edit(Edit::Redefine(column, self.place(position)));
        Self::take_over(altered, blueprint);
        Ok(())
    }

    /// A column's values as values of another type.
    fn converted(&mut self, column: &TableColumn, to: Type) -> Result<String, SqlError> {
        let values = Typed::new(quote_name(&column.name), column.of);
        let coercion = match self.is_postgres() {
            true => Coercion::Assignment,
            false => Coercion::Explicit,
        };
        let converted = self.coerce(values, to, coercion);
        let converted = converted.map_err(|error| match error.sqlstate {
            "42804" => {
                let (name, kind) = (&column.name, to.kind.name(self.engine));
                let message =
                    format!("column \"{name}\" cannot be cast automatically to type {kind}");
                let hint = format!("You might need to specify \"USING {name}::{kind}\".");
                SqlError::new("42804", 0, message).with_hint(hint)
            }
            _ => error,
        })?;
        Ok(converted.sql)
    }

    fn alter_column(
        &mut self,
        altered: &mut Alteration,
        name: &Ident,
        operation: &AlterColumnOperation,
    ) -> Result<(), SqlError> {
        let column = self.column_of(&altered.table, &self.fold(name))?.clone();
        let name = column.name.clone();
        let edit = match operation {
            AlterColumnOperation::SetNotNull => Edit::SetNotNull(name, true),
            AlterColumnOperation::DropNotNull => Edit::SetNotNull(name, false),
            AlterColumnOperation::SetDefault { value } => {
                Edit::SetDefault(name, self.default_text(value, column.of)?)
            }
            AlterColumnOperation::DropDefault => Edit::SetDefault(name, None),
            AlterColumnOperation::SetDataType {
                data_type, using, ..
            } => {
                let (to, _) = self.type_of(data_type)?;
                let source = match using {
                    Some(expr) => {
                        let table = altered.table.name.clone();
                        self.scopes
                            .push(Scope::of(relation_of(&altered.table, table, true)));
                        let typed = self.expression(expr);
                        self.scopes.pop();
                        self.coerce(typed?, to, Coercion::Assignment)?.sql
                    }
                    None => self.converted(&column, to)?,
                };
                return self.set_type(altered, &name, to, column.generation, source);
            }
            AlterColumnOperation::AddGenerated { generated_as, .. } => {
                let generation = match generated_as {
                    Some(GeneratedAs::Always) => Generation::Always,
                    _ => Generation::ByDefault,
                };
                let source = quote_name(&name);
                return self.set_type(altered, &name, column.of, generation, source);
            }
        };
        altered.edit(edit);
        Ok(())
    }

    fn set_type(
        &mut self,
        altered: &mut Alteration,
        name: &str,
        of: Type,
        generation: Generation,
        source: String,
    ) -> Result<(), SqlError> {
        for column in &mut altered.table.columns {
            if column.name == name {
                (column.of, column.generation) = (of, generation);
            }
        }
        let collation = self.column_collation(of).strip_prefix(" COLLATE ");
        altered.edit(Edit::SetType {
            name: name.to_owned(),
            declared: types::declaration(of, generation),
            collation: collation.map(str::to_owned),
            source,
        });
        Ok(())
    }

    fn add_constraint(
        &mut self,
        altered: &mut Alteration,
        constraint: &TableConstraint,
    ) -> Result<(), SqlError> {
        let table = altered.table.name.clone();
        let mut blueprint = self.blueprint_of(&altered.table)?;
        let (name, columns) = match constraint {
            TableConstraint::Unique(unique) => {
                let name = unique.name.as_ref().or(unique.index_name.as_ref());
                (name, &unique.columns)
            }
            TableConstraint::Index(index) => (index.name.as_ref(), &index.columns),
            TableConstraint::PrimaryKey(_)
            | TableConstraint::ForeignKey(_)
            | TableConstraint::Check(_) => {
                self.refuse_known_constraint(&altered.table, constraint)?;
                self.table_constraint(constraint, &mut blueprint)?;
                Self::take_over(altered, blueprint);
                return Ok(());
            }
            other => return Err(self.unsupported(format!("ALTER TABLE ... ADD {other}"))),
        };
        let columns = self.index_columns(columns)?;
        for column in &columns {
            self.column_of(&altered.table, column)?;
        }
        let name = match (name, self.is_postgres()) {
            (Some(name), _) => self.fold(name),
            (None, true) => format!("{table}_{}_key", columns.join("_")),
            (None, false) => columns.join("_"),
        };
        let name = self.index_name(&table, &name);
        altered.run(match constraint {
            TableConstraint::Unique(_) => unique_text(&name, &table, &columns),
            _ => index_text("INDEX", &name, &table, &columns),
        });
        Ok(())
    }

    fn drop_constraint(
        &mut self,
        altered: &mut Alteration,
        name: &Ident,
        if_exists: bool,
    ) -> Result<(), SqlError> {
        let name = self.fold(name);
        let table = &altered.table.name;
        let index = self.index_name(table, &name);
        let of_key = match self.is_postgres() {
            true => name == format!("{table}_pkey"),
            false => name.eq_ignore_ascii_case("primary"),
        };
        if self.index_exists(&index)? {
            altered.run(format!("DROP INDEX {}", quote_name(&index)));
        } else if of_key {
            altered.edit(Edit::SetKey(Vec::new()));
        } else {
            altered.edit(Edit::DropConstraint { name, if_exists });
        }
        Ok(())
    }
}

fn redefinition(
    name: &Ident,
    data_type: &sqlparser::ast::DataType,
    options: &[ColumnOption],
) -> ColumnDef {
    let options = options.iter().map(|option| ColumnOptionDef {
        name: None,
        option: option.clone(),
    });
    ColumnDef {
        name: name.clone(),
        data_type: data_type.clone(),
        options: options.collect(),
    }
}
