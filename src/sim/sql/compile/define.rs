//! Indexes, `ALTER TABLE`, `DROP`, renames.

use sqlparser::ast::{
    AlterTable, AlterTableOperation, ColumnDef, CreateIndex, Ident, ObjectName, ObjectType,
    RenameTable, RenameTableNameKind, Statement, TableConstraint,
};

use super::super::SqlError;
use super::super::catalog::{self, Table};
use super::super::plan::{Action, Definition};
use super::create::index_text;
use super::typed::quote_name;
use super::{Compiler, Draft};

impl Compiler<'_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Result<Draft, SqlError> {
        let table = self.user_table(&create.table_name)?;
        self.defines(table.temporary);
        let columns = self.index_columns(&create.columns)?;
        for column in &columns {
            self.column_of(&table, column)?;
        }
        let name = match &create.name {
            Some(name) => self.split_name(name)?.1,
            None => format!("{}_{}_idx", table.name, columns.join("_")),
        };
        let name = self.index_name(&table.name, &name);
        if self.index_exists(&name)? {
            if create.if_not_exists {
                return Ok(Draft::act(
                    "CREATE INDEX",
                    Action::Define(Definition::default()),
                ));
            }
            let message = match self.is_postgres() {
                true => format!("relation \"{name}\" already exists"),
                false => format!("Duplicate key name '{name}'"),
            };
            return Err(SqlError::of(self.engine, "42P07", (1061, "42000"), message));
        }
        let what = if create.unique {
            "UNIQUE INDEX"
        } else {
            "INDEX"
        };
        let mut sql = index_text(what, &name, &table.name, &columns);
        if let Some(predicate) = &create.predicate {
            let relation = super::from::relation_of(&table, table.name.clone(), true);
            self.scopes.push(super::scope::Scope::of(relation));
            let condition = self.condition(predicate, "WHERE");
            self.scopes.pop();
            sql.push_str(&format!(" WHERE {}", condition?));
        }
        Ok(definition("CREATE INDEX", vec![sql]))
    }

    fn index_exists(&self, name: &str) -> Result<bool, SqlError> {
        let found = self.connection.query_row(
            "SELECT count(*) FROM (SELECT name, type FROM main.sqlite_master
             UNION ALL SELECT name, type FROM temp.sqlite_master)
             WHERE type = 'index' AND name = ?1",
            [name],
            |row| row.get::<_, i64>(0),
        );
        found
            .map(|count| count > 0)
            .map_err(|error| self.internal(&error))
    }

    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Result<Draft, SqlError> {
        let table = match self.user_table(&alter.name) {
            Err(_) if alter.if_exists => return Ok(definition("ALTER TABLE", Vec::new())),
            other => other?,
        };
        self.defines(table.temporary);
        let mut statements = Vec::new();
        let mut name = table.name.clone();
        for operation in &alter.operations {
            statements.extend(self.alteration(&table, &mut name, operation)?);
        }
        Ok(definition("ALTER TABLE", statements))
    }

    fn alteration(
        &mut self,
        table: &Table,
        name: &mut String,
        operation: &AlterTableOperation,
    ) -> Result<Vec<String>, SqlError> {
        let quoted = quote_name(name);
        match operation {
            AlterTableOperation::AddColumn {
                if_not_exists,
                column_def,
                column_position: None,
                ..
            } => self.add_column(table, column_def, *if_not_exists),
            AlterTableOperation::DropColumn {
                column_names,
                if_exists,
                ..
            } => self.drop_columns(table, column_names, *if_exists),
            AlterTableOperation::RenameColumn {
                old_column_name,
                new_column_name,
            } => {
                let old = self.fold(old_column_name);
                let old = quote_name(&self.column_of(table, &old)?.name);
                let new = quote_name(&self.fold(new_column_name));
                Ok(vec![format!(
                    "ALTER TABLE {quoted} RENAME COLUMN {old} TO {new}"
                )])
            }
            AlterTableOperation::RenameTable { table_name } => {
                let (RenameTableNameKind::As(new) | RenameTableNameKind::To(new)) = table_name;
                let (_, new) = self.split_name(new)?;
                *name = new;
                let new = quote_name(name);
                Ok(vec![format!("ALTER TABLE {quoted} RENAME TO {new}")])
            }
            AlterTableOperation::AddConstraint { constraint, .. } => {
                self.added_constraint(name, constraint)
            }
            AlterTableOperation::DropConstraint { name: index, .. }
            | AlterTableOperation::DropIndex { name: index } => {
                let index = self.index_name(name, &self.fold(index));
                match self.index_exists(&index)? {
                    true => Ok(vec![format!("DROP INDEX {}", quote_name(&index))]),
                    false => Err(self.unsupported(format!("ALTER TABLE ... {operation}"))),
                }
            }
            other => Err(self.unsupported(format!("ALTER TABLE ... {other}"))),
        }
    }

    fn add_column(
        &mut self,
        table: &Table,
        definition: &ColumnDef,
        if_not_exists: bool,
    ) -> Result<Vec<String>, SqlError> {
        let column = self.fold(&definition.name);
        if table.column(&column).is_none() {
            return self.added_column(table, definition);
        }
        if if_not_exists {
            return Ok(Vec::new());
        }
        let name = &table.name;
        let message = match self.is_postgres() {
            true => format!("column \"{column}\" of relation \"{name}\" already exists"),
            false => format!("Duplicate column name '{column}'"),
        };
        Err(SqlError::of(self.engine, "42701", (1060, "42S21"), message))
    }

    fn drop_columns(
        &mut self,
        table: &Table,
        names: &[Ident],
        if_exists: bool,
    ) -> Result<Vec<String>, SqlError> {
        let mut statements = Vec::new();
        for name in names {
            let name = self.fold(name);
            if table.column(&name).is_none() && if_exists {
                continue;
            }
            let column = quote_name(&self.column_of(table, &name)?.name);
            let table = quote_name(&table.name);
            statements.push(format!("ALTER TABLE {table} DROP COLUMN {column}"));
        }
        Ok(statements)
    }

    fn added_constraint(
        &mut self,
        table: &str,
        constraint: &TableConstraint,
    ) -> Result<Vec<String>, SqlError> {
        let (what, name, columns) = match constraint {
            TableConstraint::Unique(unique) => {
                let name = unique.name.as_ref().or(unique.index_name.as_ref());
                ("UNIQUE INDEX", name, &unique.columns)
            }
            TableConstraint::Index(index) => ("INDEX", index.name.as_ref(), &index.columns),
            other => return Err(self.unsupported(format!("ALTER TABLE ... ADD {other}"))),
        };
        let columns = self.index_columns(columns)?;
        let name = match (name, self.is_postgres()) {
            (Some(name), _) => self.fold(name),
            (None, true) => format!("{table}_{}_key", columns.join("_")),
            (None, false) => columns.join("_"),
        };
        let name = self.index_name(table, &name);
        Ok(vec![index_text(what, &name, table, &columns)])
    }

    pub(super) fn rename_tables(&mut self, renames: &[RenameTable]) -> Result<Draft, SqlError> {
        let mut statements = Vec::new();
        for rename in renames {
            let table = self.user_table(&rename.old_name)?;
            self.defines(table.temporary);
            let (_, new) = self.split_name(&rename.new_name)?;
            statements.push(format!(
                "ALTER TABLE {} RENAME TO {}",
                quote_name(&table.name),
                quote_name(&new)
            ));
        }
        Ok(definition("ALTER TABLE", statements))
    }

    pub(super) fn drop_objects(&mut self, statement: &Statement) -> Result<Draft, SqlError> {
        let Statement::Drop {
            object_type,
            if_exists,
            names,
            table,
            ..
        } = statement
        else {
            return Err(self.unsupported(statement));
        };
        match object_type {
            ObjectType::Table => self.drop_tables(names, *if_exists),
            ObjectType::View => self.drop_views(names, *if_exists),
            ObjectType::Index => self.drop_indexes(names, table.as_ref(), *if_exists),
            other => Err(self.unsupported(format!("DROP {other}"))),
        }
    }

    fn drop_tables(&mut self, names: &[ObjectName], if_exists: bool) -> Result<Draft, SqlError> {
        let mut found = Definition::default();
        let mut all_temporary = true;
        self.defines(false);
        for name in names {
            let (schema, bare) = self.split_name(name)?;
            let table = match self.is_user_schema(schema.as_deref()) {
                true => catalog::table(self.connection, &bare).map_err(|it| self.internal(&it))?,
                false => None,
            };
            match table {
                Some(table) => {
                    all_temporary &= table.temporary;
                    found
                        .statements
                        .push(format!("DROP TABLE {}", quote_name(&table.name)));
                    found.forget_counters.push(table.name);
                }
                None if if_exists => all_temporary = false,
                None => {
                    let message = match self.is_postgres() {
                        true => format!("table \"{bare}\" does not exist"),
                        false => format!("Unknown table '{}.{bare}'", self.database),
                    };
                    return Err(SqlError::of(self.engine, "42P01", (1051, "42S02"), message));
                }
            }
        }
        self.defines(all_temporary && !found.statements.is_empty());
        Ok(Draft::act("DROP TABLE", Action::Define(found)))
    }

    fn drop_indexes(
        &mut self,
        names: &[ObjectName],
        table: Option<&ObjectName>,
        if_exists: bool,
    ) -> Result<Draft, SqlError> {
        self.defines(false);
        let mut statements = Vec::new();
        for name in names {
            let (_, mut name) = self.split_name(name)?;
            if let Some(table) = table {
                let table = self.user_table(table)?;
                name = self.index_name(&table.name, &name);
            }
            if self.index_exists(&name)? {
                statements.push(format!("DROP INDEX {}", quote_name(&name)));
            } else if !if_exists {
                let message = match self.is_postgres() {
                    true => format!("index \"{name}\" does not exist"),
                    false => format!("Can't DROP '{name}'; check that column/key exists"),
                };
                return Err(SqlError::of(self.engine, "42704", (1091, "42000"), message));
            }
        }
        Ok(definition("DROP INDEX", statements))
    }
}

fn definition(verb: &'static str, statements: Vec<String>) -> Draft {
    let definition = Definition {
        statements,
        ..Definition::default()
    };
    Draft::act(verb, Action::Define(definition))
}
