//! Indexes, `DROP`, renames.

use sqlparser::ast::{CreateIndex, ObjectName, ObjectType, RenameTable, Statement};

use super::super::SqlError;
use super::super::catalog;
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

    pub(super) fn index_exists(&self, name: &str) -> Result<bool, SqlError> {
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
                    let sql = format!("DROP TABLE {}", quote_name(&table.name));
                    found.steps.push(sql.into());
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
        self.defines(all_temporary && !found.steps.is_empty());
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
        steps: statements.into_iter().map(Into::into).collect(),
        ..Definition::default()
    };
    Draft::act(verb, Action::Define(definition))
}
