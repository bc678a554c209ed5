//! `UPDATE`, `DELETE`, `TRUNCATE`, and what `RETURNING` answers.

use sqlparser::ast::{
    self, Assignment, Delete, Expr, FromTable, OrderByExpr, SelectItem, TableFactor,
    TableWithJoins, Truncate, Update, UpdateTableFromKind,
};

use super::super::catalog::Table;
use super::super::plan::{Action, Change};
use super::super::types::Generation;
use super::super::{SqlError, SqlType};
use super::coerce::Coercion;
use super::from::relation_of;
use super::scope::Scope;
use super::typed::quote_name;
use super::{Compiler, Draft, Output};

impl Compiler<'_> {
    pub(super) fn update(&mut self, update: &Update) -> Result<Draft, SqlError> {
        if update.or.is_some() || update.output.is_some() {
            return Err(self.unsupported("UPDATE OR, OUTPUT"));
        }
        let (table, shown) = self.target(&update.table)?;
        self.writes(&table);
        let (from, mut scope) = match &update.from {
            None => (String::new(), Scope::default()),
            Some(UpdateTableFromKind::AfterSet(tables)) => self.from(tables)?,
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Err(self.unsupported("UPDATE ... FROM before SET"));
            }
        };
        scope
            .relations
            .insert(0, relation_of(&table, shown.clone(), false));
        self.scopes.push(scope);
        let result = self.update_in_scope(update, &table, &shown, &from);
        self.scopes.pop();
        let mut change = result?;
        let output = match &update.returning {
            None => None,
            Some(items) => {
                let (items, output) = self.returning(items, &table, shown)?;
                change.sql.push_str(&format!(" RETURNING {items}"));
                Some(output)
            }
        };
        Ok(Draft {
            verb: "UPDATE",
            action: Action::Change(Box::new(change)),
            output,
        })
    }

    /// The one table that a change names, and the name it goes by.
    fn target(&mut self, target: &TableWithJoins) -> Result<(Table, String), SqlError> {
        if !target.joins.is_empty() {
            return Err(self.unsupported("a change of joined tables"));
        }
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = &target.relation
        else {
            return Err(self.unsupported(format!("a change of {}", target.relation)));
        };
        let table = self.user_table(name)?;
        let shown = match alias {
            Some(alias) => self.fold(&alias.name),
            None => table.name.clone(),
        };
        Ok((table, shown))
    }

    fn update_in_scope(
        &mut self,
        update: &Update,
        table: &Table,
        shown: &str,
        from: &str,
    ) -> Result<Change, SqlError> {
        let (set, differs) = self.assignments(&update.assignments, table, shown)?;
        let condition = match &update.selection {
            Some(condition) => self.condition(condition, "WHERE")?,
            None => "true".to_owned(),
        };
        let name = quote_name(&table.name);
        let alias = quote_name(shown);
        let condition = self.limited(
            &condition,
            table,
            shown,
            &update.order_by,
            update.limit.as_ref(),
        )?;
        let count_changed = (!self.is_postgres() && from.is_empty()).then(|| {
            format!("SELECT count(*) FROM {name} AS {alias} WHERE ({condition}) AND ({differs})")
        });
        Ok(Change {
            sql: format!("UPDATE {name} AS {alias} SET {set}{from} WHERE {condition}"),
            count_changed,
            ..Change::default()
        })
    }

    /// The `SET` list, and a condition that holds for the rows that it really changes.
    fn assignments(
        &mut self,
        assignments: &[Assignment],
        table: &Table,
        shown: &str,
    ) -> Result<(String, String), SqlError> {
        let mut parts = Vec::new();
        let mut differs = Vec::new();
        let mut named = Vec::new();
        for assignment in assignments {
            let name = self.assigned_column(assignment)?;
            let column = self.column_of(table, &name)?.clone();
            let mut value = self.assigned_in_update(&assignment.value, table, &column)?;
            if value.is_empty() {
                value = "NULL".to_owned();
            }
            let quoted = quote_name(&column.name);
            parts.push(format!("{quoted} = {value}"));
            differs.push(format!(
                "{}.{quoted} COLLATE BINARY IS NOT {value}",
                quote_name(shown)
            ));
            named.push(column.name);
        }
        for column in &table.columns {
            if column.generation == Generation::OnUpdate && !named.contains(&column.name) {
                let digits = column.of.modifier.unwrap_or(0);
                parts.push(format!(
                    "{} = sim_now_to({digits})",
                    quote_name(&column.name)
                ));
            }
        }
        Ok((parts.join(", "), differs.join(" OR ")))
    }

    fn assigned_in_update(
        &mut self,
        expr: &Expr,
        table: &Table,
        column: &super::super::catalog::TableColumn,
    ) -> Result<String, SqlError> {
        // In an UPDATE, MySQL takes 0 and NULL for a generated column as they are.
        let mut plain = column.clone();
        if plain.generation == Generation::ByDefault {
            plain.generation = Generation::None;
        }
        self.assigned(expr, table, &plain)
    }

    /// A condition that holds for the first so many rows only (MySQL's `LIMIT` on changes).
    fn limited(
        &mut self,
        condition: &str,
        table: &Table,
        shown: &str,
        order_by: &[OrderByExpr],
        limit: Option<&Expr>,
    ) -> Result<String, SqlError> {
        let Some(limit) = limit else {
            return Ok(condition.to_owned());
        };
        let limit = self.expression_as(limit, SqlType::Int8, Coercion::Explicit)?;
        let mut order = Vec::new();
        for item in order_by {
            order.push(self.order_item(item, None)?);
        }
        let order = match order.is_empty() {
            true => String::new(),
            false => format!(" ORDER BY {}", order.join(", ")),
        };
        let (name, alias) = (quote_name(&table.name), quote_name(shown));
        Ok(format!(
            "{alias}._rowid_ IN (SELECT {alias}._rowid_ FROM {name} AS {alias} \
             WHERE {condition}{order} LIMIT {})",
            limit.sql
        ))
    }

    pub(super) fn delete(&mut self, delete: &Delete) -> Result<Draft, SqlError> {
        if !delete.tables.is_empty() || delete.output.is_some() {
            return Err(self.unsupported("DELETE from several tables"));
        }
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let [target] = from.as_slice() else {
            return Err(self.unsupported("DELETE from several tables"));
        };
        let (table, shown) = self.target(target)?;
        self.writes(&table);
        let (using, mut scope) = match &delete.using {
            Some(tables) => self.from(tables)?,
            None => (String::new(), Scope::default()),
        };
        scope
            .relations
            .insert(0, relation_of(&table, shown.clone(), false));
        self.scopes.push(scope);
        let condition = self.delete_condition(delete, &table, &shown, &using);
        self.scopes.pop();
        let (name, alias) = (quote_name(&table.name), quote_name(&shown));
        let mut sql = format!("DELETE FROM {name} AS {alias} WHERE {}", condition?);
        let output = match &delete.returning {
            None => None,
            Some(items) => {
                let (items, output) = self.returning(items, &table, shown)?;
                sql.push_str(&format!(" RETURNING {items}"));
                Some(output)
            }
        };
        let change = Change {
            sql,
            ..Change::default()
        };
        Ok(Draft {
            verb: "DELETE",
            action: Action::Change(Box::new(change)),
            output,
        })
    }

    fn delete_condition(
        &mut self,
        delete: &Delete,
        table: &Table,
        shown: &str,
        using: &str,
    ) -> Result<String, SqlError> {
        let condition = match &delete.selection {
            Some(condition) => self.condition(condition, "WHERE")?,
            None => "true".to_owned(),
        };
        let condition = self.limited(
            &condition,
            table,
            shown,
            &delete.order_by,
            delete.limit.as_ref(),
        )?;
        let Some(others) = using.strip_prefix(" FROM ") else {
            return Ok(condition);
        };
        Ok(format!("EXISTS (SELECT 1 FROM {others} WHERE {condition})"))
    }

    pub(super) fn truncate(&mut self, truncate: &Truncate) -> Result<Draft, SqlError> {
        if truncate.partitions.is_some() || truncate.on_cluster.is_some() {
            return Err(self.unsupported("TRUNCATE of partitions"));
        }
        let mut change = Change::default();
        for target in &truncate.table_names {
            let table = self.user_table(&target.name)?;
            self.writes(&table);
            let sql = format!("DELETE FROM {}", quote_name(&table.name));
            match change.sql.is_empty() {
                true => change.sql = sql,
                false => change.more.push(sql),
            }
            let restarts = matches!(
                truncate.identity,
                Some(ast::TruncateIdentityOption::Restart)
            );
            if restarts || !self.is_postgres() {
                change.forget_counters.push(table.name);
            }
        }
        // MySQL counts it as a definition: it commits what is open.
        self.traits.defines = !self.is_postgres();
        Ok(Draft::act(
            "TRUNCATE TABLE",
            Action::Change(Box::new(change)),
        ))
    }

    /// `RETURNING`: SQLite knows the table's columns there by their bare names.
    pub(super) fn returning(
        &mut self,
        items: &[SelectItem],
        table: &Table,
        shown: String,
    ) -> Result<(String, Vec<Output>), SqlError> {
        self.scopes.push(Scope::of(relation_of(table, shown, true)));
        let result = self.projection(items);
        self.scopes.pop();
        result
    }
}
