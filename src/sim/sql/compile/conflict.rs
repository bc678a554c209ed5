//! What an `INSERT` does with rows that are there already: `ON CONFLICT`, `ON DUPLICATE KEY`.

use sqlparser::ast::{
    self, Assignment, ConflictTarget, Expr, Insert, OnConflictAction, OnInsert, SetExpr,
};

use super::super::SqlError;
use super::super::catalog::{self, Table};
use super::super::plan::Change;
use super::Compiler;
use super::from::relation_of;
use super::scope::{Relation, Scope};
use super::typed::quote_name;

/// How many rows a list of values has.
fn proposed_rows(insert: &Insert) -> u64 {
    let body = insert.source.as_ref().map(|source| &*source.body);
    match body {
        Some(SetExpr::Values(values)) => values.rows.len() as u64,
        Some(_) | None => 0,
    }
}

impl Compiler<'_> {
    pub(super) fn on_insert(
        &mut self,
        on: &OnInsert,
        insert: &Insert,
        table: &Table,
        shown: &str,
        change: &mut Change,
    ) -> Result<String, SqlError> {
        let (target, assignments, condition) = match on {
            OnInsert::DuplicateKeyUpdate(assignments) => {
                change.counts_updates = true;
                change.proposed = proposed_rows(insert);
                (String::new(), assignments, None)
            }
            OnInsert::OnConflict(conflict) => {
                let target = self.conflict_target(conflict.conflict_target.as_ref(), table)?;
                match &conflict.action {
                    OnConflictAction::DoNothing => {
                        return Ok(format!(" ON CONFLICT{target} DO NOTHING"));
                    }
                    OnConflictAction::DoUpdate(update) => {
                        (target, &update.assignments, update.selection.as_ref())
                    }
                }
            }
            other => return Err(self.unsupported(format!("{other}"))),
        };
        let own = relation_of(table, shown.to_owned(), false);
        let proposed = |name: &str| Relation {
            name: name.to_owned(),
            ..own.clone()
        };
        let mut scope = Scope::of(own.clone());
        scope.relations.push(proposed("excluded"));
        // A bare name means the row that is there.
        scope.merged = Vec::new();
        let row_alias = match &insert.insert_alias {
            Some(aliases) => Some(self.split_name(&aliases.row_alias)?.1),
            None => None,
        };
        self.scopes.push(scope);
        let result = self.conflict_update(assignments, condition, table, row_alias.as_deref());
        self.scopes.pop();
        let (set, condition) = result?;
        Ok(format!(
            " ON CONFLICT{target} DO UPDATE SET {set}{condition}"
        ))
    }

    fn conflict_update(
        &mut self,
        assignments: &[Assignment],
        condition: Option<&Expr>,
        table: &Table,
        row_alias: Option<&str>,
    ) -> Result<(String, String), SqlError> {
        let mut parts = Vec::new();
        let mut changes = Vec::new();
        for assignment in assignments {
            let name = self.assigned_column(assignment)?;
            let column = self.column_of(table, &name)?.clone();
            let mut value = assignment.value.clone();
            let new = match row_alias {
                Some(alias) => alias.to_owned(),
                None => "excluded".to_owned(),
            };
            name_columns(&mut value, table, &new, self.is_postgres());
            let value = self.assigned(&value, table, &column)?;
            let name = quote_name(&column.name);
            changes.push(format!("{name} COLLATE BINARY IS NOT {value}"));
            parts.push(format!("{name} = {value}"));
        }
        let condition = match condition {
            Some(condition) => {
                let mut condition = condition.clone();
                name_columns(&mut condition, table, "excluded", self.is_postgres());
                format!(" WHERE {}", self.condition(&condition, "WHERE")?)
            }
            // MySQL counts no row that is set to what it holds already.
            None if !self.is_postgres() => format!(" WHERE {}", changes.join(" OR ")),
            None => String::new(),
        };
        Ok((parts.join(", "), condition))
    }

    fn conflict_target(
        &mut self,
        target: Option<&ConflictTarget>,
        table: &Table,
    ) -> Result<String, SqlError> {
        let columns = match target {
            None => return Ok(String::new()),
            Some(ConflictTarget::Columns(columns)) => {
                columns.iter().map(|column| self.fold(column)).collect()
            }
            Some(ConflictTarget::OnConstraint(name)) => {
                let (_, name) = self.split_name(name)?;
                self.constraint_columns(table, &name)?
            }
        };
        let list: Vec<String> = columns.iter().map(|name| quote_name(name)).collect();
        Ok(format!(" ({})", list.join(", ")))
    }

    fn constraint_columns(&self, table: &Table, name: &str) -> Result<Vec<String>, SqlError> {
        if name == format!("{}_pkey", table.name) {
            return Ok(table
                .key()
                .iter()
                .map(|column| column.name.clone())
                .collect());
        }
        let indexes = catalog::unique_indexes(self.connection, &table.name);
        let indexes = indexes.map_err(|error| self.internal(&error))?;
        let found = indexes
            .into_iter()
            .find(|index| index.name.as_deref() == Some(name));
        found.map(|index| index.columns).ok_or_else(|| {
            let message = format!(
                "constraint \"{name}\" for table \"{}\" does not exist",
                table.name
            );
            SqlError::new("42704", 0, message)
        })
    }
}

/// Makes the names in a conflict's assignments unambiguous: a bare column is the existing
/// row's; MySQL's `VALUES(c)` and `new.c` are the proposed row's.
fn name_columns(expr: &mut Expr, table: &Table, new: &str, postgres: bool) {
    let own = ast::Ident::with_quote('"', &table.name);
    let excluded = ast::Ident::with_quote('"', "excluded");
    let _: std::ops::ControlFlow<()> = ast::visit_expressions_mut(expr, |expr| {
        let replacement = match expr {
            Expr::Identifier(name) if table.column(&name.value).is_some() => {
                Some(vec![own.clone(), name.clone()])
            }
            Expr::CompoundIdentifier(parts)
                if !postgres && parts.len() == 2 && parts[0].value.eq_ignore_ascii_case(new) =>
            {
                Some(vec![excluded.clone(), parts[1].clone()])
            }
            Expr::Function(function)
                if !postgres && function.name.to_string().eq_ignore_ascii_case("values") =>
            {
                argument_name(function).map(|name| vec![excluded.clone(), name])
            }
            _ => None,
        };
        if let Some(parts) = replacement {
            *expr = Expr::CompoundIdentifier(parts);
        }
        std::ops::ControlFlow::Continue(())
    });
}

fn argument_name(function: &ast::Function) -> Option<ast::Ident> {
    match &function.args {
        ast::FunctionArguments::List(list) => match list.args.as_slice() {
            [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(argument))] => match argument {
                Expr::Identifier(name) => Some(name.clone()),
                // Arguments are visited before their call: this one has its table by now.
                Expr::CompoundIdentifier(parts) => parts.last().cloned(),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}
