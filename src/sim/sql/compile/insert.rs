//! `INSERT` and `REPLACE`.

use sqlparser::ast::{
    self, Assignment, AssignmentTarget, ConflictTarget, Expr, Insert, OnConflictAction, OnInsert,
    SetExpr, TableObject,
};

use super::super::catalog::{self, Table, TableColumn};
use super::super::plan::{Action, Change, GeneratedColumn};
use super::super::types::Generation;
use super::super::{SqlError, Value};
use super::coerce::Coercion;
use super::from::relation_of;
use super::scope::{Relation, Scope};
use super::typed::{Origin, Typed, quote_name, quote_text};
use super::{Compiler, Draft};
use crate::sim::volume::Sequences;

impl Compiler<'_> {
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<Draft, SqlError> {
        self.refuse_exotic_insert(insert)?;
        let TableObject::TableName(name) = &insert.table else {
            return Err(self.unsupported(format!("INSERT INTO {}", insert.table)));
        };
        let table = self.user_table(name)?;
        self.writes(&table);
        let targets = self.insert_targets(insert, &table)?;
        let mut change = Change {
            generated: self.generated_column(&table, &targets),
            ..Change::default()
        };
        let verb = match (insert.replace_into, insert.ignore) {
            (true, _) => "INSERT OR REPLACE",
            (false, true) => "INSERT OR IGNORE",
            _ => "INSERT",
        };
        if insert.replace_into {
            let name = quote_name(&table.name);
            change.count_rows = Some(format!("SELECT count(*) FROM {name}"));
        }
        self.check_left_out(insert, &table, &targets)?;
        let alias = match &insert.table_alias {
            Some(alias) => Some(self.fold(&alias.alias)),
            None => None,
        };
        let source = self.insert_source(insert, &table, &targets)?;
        let mut columns: Vec<String> = targets.iter().map(|it| quote_name(&it.name)).collect();
        if let Some(generated) = change.generated.as_ref().filter(|it| !it.explicit) {
            columns.push(quote_name(&generated.column));
        }
        let shown = alias.unwrap_or_else(|| table.name.clone());
        let mut sql = format!(
            "{verb} INTO {} AS {}",
            quote_name(&table.name),
            quote_name(&shown)
        );
        match columns.is_empty() {
            true => sql.push_str(" DEFAULT VALUES"),
            false => sql.push_str(&format!(" ({}) {source}", columns.join(", "))),
        }
        if let Some(on) = &insert.on {
            sql.push_str(&self.on_insert(on, insert, &table, &shown, &mut change)?);
        }
        let output = match &insert.returning {
            None => None,
            Some(items) => {
                let (items, output) = self.returning(items, &table, shown)?;
                sql.push_str(&format!(" RETURNING {items}"));
                Some(output)
            }
        };
        change.sql = sql;
        Ok(Draft {
            verb: if insert.replace_into {
                "REPLACE"
            } else {
                "INSERT"
            },
            action: Action::Change(Box::new(change)),
            output,
        })
    }

    fn refuse_exotic_insert(&self, insert: &Insert) -> Result<(), SqlError> {
        let exotic = [
            (insert.or.is_some(), "INSERT OR"),
            (insert.overwrite, "INSERT OVERWRITE"),
            (insert.partitioned.is_some(), "PARTITION"),
            (insert.output.is_some(), "OUTPUT"),
            (insert.multi_table_insert_type.is_some(), "INSERT ALL"),
            (insert.settings.is_some(), "SETTINGS"),
            (insert.format_clause.is_some(), "FORMAT"),
        ];
        match exotic.iter().find(|(present, _)| *present) {
            Some((_, clause)) => Err(self.unsupported(clause)),
            None => Ok(()),
        }
    }

    /// The columns that the statement gives values for.
    fn insert_targets(&self, insert: &Insert, table: &Table) -> Result<Vec<TableColumn>, SqlError> {
        let mut names = Vec::new();
        for column in &insert.columns {
            names.push(self.split_name(column)?.1);
        }
        for assignment in &insert.assignments {
            names.push(self.assigned_column(assignment)?);
        }
        if !names.is_empty() {
            return names
                .iter()
                .map(|name| self.column_of(table, name).cloned())
                .collect();
        }
        let width = match insert.source.as_ref().map(|source| &*source.body) {
            Some(SetExpr::Values(values)) => values.rows.first().map_or(0, |row| row.content.len()),
            Some(_) if self.is_postgres() => table.columns.len(),
            Some(_) => table.columns.len(),
            None => 0,
        };
        // PostgreSQL fills the first columns when there are fewer values.
        let fits = match self.is_postgres() {
            true => width <= table.columns.len(),
            false => width == table.columns.len() || width == 0,
        };
        match fits {
            true => Ok(table.columns.iter().take(width).cloned().collect()),
            false => Err(self.wrong_count(width > table.columns.len())),
        }
    }

    /// MySQL's strict mode: a column without a default must be given a value.
    fn check_left_out(
        &self,
        insert: &Insert,
        table: &Table,
        targets: &[TableColumn],
    ) -> Result<(), SqlError> {
        if self.is_postgres() || insert.ignore {
            return Ok(());
        }
        let left_out = table.columns.iter().find(|column| {
            column.not_null
                && column.default.is_none()
                && matches!(column.generation, Generation::None | Generation::OnUpdate)
                && !targets.iter().any(|target| target.name == column.name)
        });
        match left_out {
            Some(column) => Err(without_default(column)),
            None => Ok(()),
        }
    }

    fn wrong_count(&self, more_values: bool) -> SqlError {
        let message = match (self.is_postgres(), more_values) {
            (true, true) => "INSERT has more expressions than target columns",
            (true, false) => "INSERT has more target columns than expressions",
            (false, _) => "Column count doesn't match value count at row 1",
        };
        SqlError::of(self.engine, "42601", (1136, "21S01"), message)
    }

    pub(super) fn column_of<'b>(
        &self,
        table: &'b Table,
        name: &str,
    ) -> Result<&'b TableColumn, SqlError> {
        table.column(name).ok_or_else(|| match self.is_postgres() {
            true => {
                let message = format!(
                    "column \"{name}\" of relation \"{}\" does not exist",
                    table.name
                );
                SqlError::new("42703", 0, message)
            }
            false => SqlError::unknown_column(self.engine, name),
        })
    }

    fn generated_column(&self, table: &Table, targets: &[TableColumn]) -> Option<GeneratedColumn> {
        let is_generated =
            |it: &&TableColumn| matches!(it.generation, Generation::ByDefault | Generation::Always);
        let column = table.columns.iter().find(is_generated)?;
        Some(GeneratedColumn {
            table: table.name.clone(),
            column: column.name.clone(),
            key: Sequences::key(&table.name, &column.name),
            explicit: targets.iter().any(|target| target.name == column.name),
        })
    }

    fn next_number(&self, table: &Table, column: &TableColumn) -> String {
        let key = Sequences::key(&table.name, &column.name);
        format!("sim_next({})", quote_text(&key))
    }

    fn insert_source(
        &mut self,
        insert: &Insert,
        table: &Table,
        targets: &[TableColumn],
    ) -> Result<String, SqlError> {
        let generated = self
            .generated_column(table, targets)
            .filter(|it| !it.explicit);
        let extra = generated
            .and_then(|it| table.column(&it.column))
            .map(|column| self.next_number(table, column));
        if !insert.assignments.is_empty() {
            let values: Vec<&Expr> = insert.assignments.iter().map(|it| &it.value).collect();
            let row = self.insert_row(&values, table, targets, extra.as_deref())?;
            return Ok(format!("VALUES {row}"));
        }
        let Some(source) = &insert.source else {
            return Ok(extra
                .map(|extra| format!("VALUES ({extra})"))
                .unwrap_or_default());
        };
        if let SetExpr::Values(values) = &*source.body
            && source.with.is_none()
            && source.order_by.is_none()
            && source.limit_clause.is_none()
        {
            let mut rows = Vec::new();
            for row in &values.rows {
                let row: Vec<&Expr> = row.content.iter().collect();
                rows.push(self.insert_row(&row, table, targets, extra.as_deref())?);
            }
            return Ok(format!("VALUES {}", rows.join(", ")));
        }
        self.insert_query(source, table, targets, extra)
    }

    fn insert_row(
        &mut self,
        row: &[&Expr],
        table: &Table,
        targets: &[TableColumn],
        extra: Option<&str>,
    ) -> Result<String, SqlError> {
        // MySQL: `VALUES ()` is a row of defaults.
        if row.is_empty() && !self.is_postgres() {
            let defaults = targets.iter().map(|column| self.default_of(table, column));
            let mut cells = defaults.collect::<Result<Vec<_>, _>>()?;
            cells.extend(extra.map(str::to_owned));
            return Ok(format!("({})", cells.join(", ")));
        }
        if row.len() != targets.len() {
            return Err(self.wrong_count(row.len() > targets.len()));
        }
        let mut cells = Vec::new();
        for (expr, column) in row.iter().zip(targets) {
            cells.push(self.assigned(expr, table, column)?);
        }
        cells.extend(extra.map(str::to_owned));
        Ok(format!("({})", cells.join(", ")))
    }

    /// A value on its way into a column.
    pub(super) fn assigned(
        &mut self,
        expr: &Expr,
        table: &Table,
        column: &TableColumn,
    ) -> Result<String, SqlError> {
        if is_default(expr) {
            return self.default_of(table, column);
        }
        if column.generation == Generation::Always {
            let message = format!(
                "cannot insert a non-DEFAULT value into column \"{}\"",
                column.name
            );
            return Err(SqlError::new("428C9", 0, message).with_detail(format!(
                "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                column.name
            )));
        }
        let typed = self.expression(expr)?;
        let typed = self.coerce_into(typed, column)?;
        // MySQL: NULL and 0 ask for the next number, too.
        if column.generation == Generation::ByDefault && !self.is_postgres() {
            return Ok(match &typed.origin {
                Origin::Literal(Value::Integer(number)) if *number != 0 => typed.sql,
                _ => format!(
                    "coalesce(nullif({}, 0), {})",
                    typed.sql,
                    self.next_number(table, column)
                ),
            });
        }
        Ok(typed.sql)
    }

    fn coerce_into(&mut self, typed: Typed, column: &TableColumn) -> Result<Typed, SqlError> {
        self.no_months(&[&typed])?;
        let kind = typed.kind();
        let result = match self.is_postgres() {
            true => self.coerce(typed, column.of, Coercion::Assignment),
            false => self.coerce(typed, column.of, Coercion::Explicit),
        };
        result.map_err(|mut error| {
            if error.sqlstate == "42804" {
                error.message = format!(
                    "column \"{}\" is of type {} but expression is of type {}",
                    column.name,
                    column.of.kind.name(self.engine),
                    kind.name(self.engine)
                );
            } else if !self.is_postgres() {
                error.message = match error.number {
                    1264 => format!("Out of range value for column '{}' at row 1", column.name),
                    1406 => format!("Data too long for column '{}' at row 1", column.name),
                    _ => format!("{} for column '{}' at row 1", error.message, column.name),
                };
            }
            error
        })
    }

    fn default_of(&self, table: &Table, column: &TableColumn) -> Result<String, SqlError> {
        if matches!(
            column.generation,
            Generation::ByDefault | Generation::Always
        ) {
            return Ok(self.next_number(table, column));
        }
        match &column.default {
            Some(default) => Ok(format!("({default})")),
            None if column.not_null && !self.is_postgres() => Err(without_default(column)),
            None => Ok("NULL".to_owned()),
        }
    }

    fn insert_query(
        &mut self,
        source: &ast::Query,
        table: &Table,
        targets: &[TableColumn],
        extra: Option<String>,
    ) -> Result<String, SqlError> {
        let (sql, output) = self.subquery(source)?;
        if output.len() > targets.len() || output.len() < targets.len() && !self.is_postgres() {
            return Err(self.wrong_count(output.len() > targets.len()));
        }
        let names: Vec<String> = (0..output.len())
            .map(|index| format!("\"c{index}\""))
            .collect();
        let mut items = Vec::new();
        for ((name, column), have) in names.iter().zip(targets).zip(&output) {
            let typed = Typed::new(name, have.of);
            items.push(self.coerce_into(typed, column)?.sql);
        }
        items.extend(extra);
        let _ = table;
        // The condition keeps SQLite from reading a following ON CONFLICT as a join's.
        Ok(format!(
            "SELECT {} FROM (WITH q({}) AS ({sql}) SELECT * FROM q) WHERE true",
            items.join(", "),
            names.join(", ")
        ))
    }

    fn on_insert(
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
            parts.push(format!("{} = {value}", quote_name(&column.name)));
        }
        let condition = match condition {
            Some(condition) => {
                let mut condition = condition.clone();
                name_columns(&mut condition, table, "excluded", self.is_postgres());
                format!(" WHERE {}", self.condition(&condition, "WHERE")?)
            }
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

    pub(super) fn assigned_column(&self, assignment: &Assignment) -> Result<String, SqlError> {
        match &assignment.target {
            AssignmentTarget::ColumnName(name) => Ok(self.split_name(name)?.1),
            AssignmentTarget::Tuple(_) => Err(self.unsupported("SET (a, b) = ...")),
        }
    }
}

fn without_default(column: &TableColumn) -> SqlError {
    let message = format!("Field '{}' doesn't have a default value", column.name);
    SqlError::new("HY000", 1364, message)
}

fn is_default(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => {
            name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default")
        }
        Expr::Function(function) => function.name.to_string().eq_ignore_ascii_case("default"),
        _ => false,
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
