//! Whole queries: `WITH`, set operations, `ORDER BY`, `LIMIT`, locks.

use sqlparser::ast::{
    self, Expr, LimitClause, OrderByExpr, OrderByKind, Query, SetExpr, SetOperator, SetQuantifier,
};

use super::super::plan::Action;
use super::super::types::Type;
use super::super::{SqlError, SqlType};
use super::coerce::Coercion;
use super::scope::{RelationColumn, Scope};
use super::typed::quote_name;
use super::{Compiler, Draft, Output};

/// A compiled body of a query, with what its `ORDER BY` may refer to.
pub(super) struct Body {
    pub(super) sql: String,
    pub(super) output: Vec<Output>,
    /// The relations of a plain select; none for set operations.
    pub(super) scope: Scope,
}

impl Compiler<'_> {
    /// A query as a statement of its own.
    pub(super) fn top_query(&mut self, query: &Query) -> Result<Draft, SqlError> {
        let (sql, mut output) = self.query(query)?;
        if !self.is_postgres() && !matches!(*query.body, SetExpr::Values(_)) {
            self.name_by_text(query, &mut output);
        }
        Ok(Draft::rows("SELECT", Action::Query(sql), output))
    }

    /// MySQL names a column without an alias by the text of its expression.
    fn name_by_text(&self, query: &Query, output: &mut [Output]) {
        let SetExpr::Select(select) = &*query.body else {
            return;
        };
        let texts = self.statement.item_texts();
        if texts.len() != select.projection.len() || output.len() != texts.len() {
            return;
        }
        for ((item, text), column) in select.projection.iter().zip(texts).zip(output) {
            if let ast::SelectItem::UnnamedExpr(expr) = item
                && !matches!(expr, Expr::CompoundIdentifier(parts) if !parts[0].value.starts_with('@'))
                && !matches!(expr, Expr::Identifier(name) if name.quote_style.is_some())
            {
                column.name = match expr {
                    Expr::Value(value) => match &value.value {
                        ast::Value::SingleQuotedString(text)
                        | ast::Value::DoubleQuotedString(text) => text.clone(),
                        _ => text.clone(),
                    },
                    _ => text.clone(),
                };
            }
        }
    }

    /// A query within another statement.
    pub(super) fn subquery(&mut self, query: &Query) -> Result<(String, Vec<Output>), SqlError> {
        self.nested(|compiler| compiler.query(query))
    }

    pub(super) fn query(&mut self, query: &Query) -> Result<(String, Vec<Output>), SqlError> {
        if query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return Err(self.unsupported(format!("the query {query}")));
        }
        let common_tables = self.common_tables.len();
        let with = match &query.with {
            Some(with) => self.with(with)?,
            None => String::new(),
        };
        let first_of_each = distinct_on(query).filter(|_| self.is_postgres());
        let body = match first_of_each {
            Some((select, on)) => self.distinct_on(select, on, query.order_by.as_ref())?,
            None => self.body(&query.body)?,
        };
        let mut sql = format!("{with}{}", body.sql);
        if let Some(order_by) = &query.order_by
            && first_of_each.is_none()
        {
            sql.push_str(&self.order_by(order_by, &body)?);
        }
        sql.push_str(&self.limit(query)?);
        for lock in &query.locks {
            self.traits.locks |=
                matches!(lock.lock_type, ast::LockType::Update | ast::LockType::Share);
            self.traits.no_wait |= matches!(lock.nonblock, Some(ast::NonBlock::Nowait));
            self.traits.skip_locked |= matches!(lock.nonblock, Some(ast::NonBlock::SkipLocked));
        }
        self.common_tables.truncate(common_tables);
        Ok((sql, body.output))
    }

    fn with(&mut self, with: &ast::With) -> Result<String, SqlError> {
        let mut parts = Vec::new();
        for table in &with.cte_tables {
            let name = self.fold(&table.alias.name);
            let columns: Vec<String> = table
                .alias
                .columns
                .iter()
                .map(|it| self.fold(&it.name))
                .collect();
            let (sql, output) = match with.recursive {
                true => self.recursive_table(&name, &columns, &table.query)?,
                false => self.subquery(&table.query)?,
            };
            let columns = rename(&output, &columns);
            let list: Vec<String> = columns.iter().map(|it| quote_name(&it.name)).collect();
            parts.push(format!(
                "{}({}) AS ({sql})",
                quote_name(&name),
                list.join(", ")
            ));
            self.common_tables.push((name, columns));
        }
        let recursive = if with.recursive { "RECURSIVE " } else { "" };
        Ok(format!("WITH {recursive}{} ", parts.join(", ")))
    }

    /// In `WITH RECURSIVE` the left branch of the union gives the types that the right one sees.
    fn recursive_table(
        &mut self,
        name: &str,
        columns: &[String],
        query: &Query,
    ) -> Result<(String, Vec<Output>), SqlError> {
        let SetExpr::SetOperation {
            left,
            op: SetOperator::Union,
            ..
        } = &*query.body
        else {
            return self.subquery(query);
        };
        let depth = self.common_tables.len();
        let start = self.nested(|compiler| compiler.body(left))?;
        self.common_tables
            .push((name.to_owned(), rename(&start.output, columns)));
        let whole = self.subquery(query);
        self.common_tables.truncate(depth);
        whole
    }

    pub(super) fn body(&mut self, body: &SetExpr) -> Result<Body, SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => {
                let (sql, output) = self.subquery(query)?;
                let list = select_list(&output);
                Ok(Body {
                    sql: format!("SELECT {list} FROM ({sql})"),
                    output,
                    scope: Scope::default(),
                })
            }
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => self.nested(|compiler| compiler.set_operation(left, *op, *set_quantifier, right)),
            SetExpr::Values(values) => self.values(values),
            other => Err(self.unsupported(format!("{other}"))),
        }
    }

    fn set_operation(
        &mut self,
        left: &SetExpr,
        operator: SetOperator,
        quantifier: SetQuantifier,
        right_side: &SetExpr,
    ) -> Result<Body, SqlError> {
        let left = self.body(left)?;
        let right = self.body(right_side)?;
        if left.output.len() != right.output.len() {
            let message = match self.is_postgres() {
                true => format!("each {operator} query must have the same number of columns"),
                false => "The used SELECT statements have a different number of columns".to_owned(),
            };
            return Err(SqlError::of(self.engine, "42601", (1222, "21000"), message));
        }
        let word = match (operator, quantifier) {
            (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
            (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => "UNION",
            (SetOperator::Except, SetQuantifier::None | SetQuantifier::Distinct) => "EXCEPT",
            (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => "INTERSECT",
            _ => return Err(self.unsupported(format!("{operator} {quantifier}"))),
        };
        let mut output = Vec::new();
        for (a, b) in left.output.iter().zip(&right.output) {
            let operands = [
                super::typed::Typed::new("", a.of),
                super::typed::Typed::new("", b.of),
            ];
            output.push(Output {
                name: a.name.clone(),
                table: None,
                of: self.common_type(&operands)?,
            });
        }
        let left = self.widen(&left, &output)?;
        // SQLite knows no precedence among set operators: it goes from left to right.
        let is_chain = matches!(right_side, SetExpr::SetOperation { .. });
        let mut right = self.widen(&right, &output)?;
        if is_chain {
            right = format!("SELECT * FROM ({right})");
        }
        Ok(Body {
            sql: format!("{left} {word} {right}"),
            output,
            scope: Scope::default(),
        })
    }

    /// A branch of a set operation with its columns brought to the common types.
    fn widen(&mut self, branch: &Body, wanted: &[Output]) -> Result<String, SqlError> {
        let mut items = Vec::new();
        let mut changed = false;
        for (index, (have, want)) in branch.output.iter().zip(wanted).enumerate() {
            let name = quote_name(&format!("c{index}"));
            let typed = super::typed::Typed::new(name.clone(), have.of);
            let typed = self.unify(typed, want.of)?;
            changed |= typed.sql != name;
            items.push(format!("{} AS {}", typed.sql, quote_name(&want.name)));
        }
        // A recursive branch must name its table in its own FROM, not in one further in.
        if !changed {
            return Ok(branch.sql.clone());
        }
        // Names of our own, as those of the client may occur twice.
        let names: Vec<String> = (0..wanted.len())
            .map(|index| format!("\"c{index}\""))
            .collect();
        Ok(format!(
            "SELECT {} FROM (WITH b({}) AS ({}) SELECT * FROM b)",
            items.join(", "),
            names.join(", "),
            branch.sql
        ))
    }

    fn values(&mut self, values: &ast::Values) -> Result<Body, SqlError> {
        let mut rows = Vec::new();
        for row in &values.rows {
            let row: Result<Vec<_>, _> = row
                .content
                .iter()
                .map(|expr| self.expression(expr))
                .collect();
            rows.push(row?);
        }
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != width) {
            let message = "VALUES lists must all be the same length";
            return Err(SqlError::of(self.engine, "42601", (1136, "21S01"), message));
        }
        let mut types = Vec::new();
        for column in 0..width {
            let cells: Vec<_> = rows.iter().map(|row| row[column].clone()).collect();
            types.push(self.common_type(&cells)?);
        }
        let mut texts = Vec::new();
        for row in rows {
            let mut cells = Vec::new();
            for (cell, of) in row.into_iter().zip(&types) {
                cells.push(self.unify(cell, *of)?.sql);
            }
            texts.push(format!("({})", cells.join(", ")));
        }
        let output = types.iter().enumerate().map(|(index, of)| {
            let name = match self.is_postgres() {
                true => format!("column{}", index + 1),
                false => format!("column_{index}"),
            };
            Output::new(name, *of)
        });
        let output: Vec<Output> = output.collect();
        let names: Vec<String> = output.iter().map(|it| quote_name(&it.name)).collect();
        Ok(Body {
            sql: format!(
                "SELECT * FROM (WITH v({}) AS (VALUES {}) SELECT * FROM v)",
                names.join(", "),
                texts.join(", ")
            ),
            output,
            scope: Scope::default(),
        })
    }

    fn order_by(&mut self, order_by: &ast::OrderBy, body: &Body) -> Result<String, SqlError> {
        let OrderByKind::Expressions(exprs) = &order_by.kind else {
            return Err(self.unsupported("ORDER BY ALL"));
        };
        let mut scope = body.scope.clone();
        scope.aliases = aliases(&body.output);
        scope.aliases_first = true;
        self.scopes.push(scope);
        let items = exprs
            .iter()
            .map(|expr| self.order_item(expr, Some(&body.output)));
        let items = items.collect::<Result<Vec<_>, _>>();
        self.scopes.pop();
        Ok(format!(" ORDER BY {}", items?.join(", ")))
    }

    /// `ORDER BY` inside of an aggregate's parentheses.
    pub(super) fn order_by_inside(&mut self, exprs: &[OrderByExpr]) -> Result<String, SqlError> {
        let items = exprs.iter().map(|expr| self.order_item(expr, None));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        Ok(format!(" ORDER BY {}", items.join(", ")))
    }

    pub(super) fn order_item(
        &mut self,
        item: &OrderByExpr,
        output: Option<&[Output]>,
    ) -> Result<String, SqlError> {
        if item.with_fill.is_some() {
            return Err(self.unsupported(format!("{item}")));
        }
        let (sql, kind) = match (ordinal(&item.expr), output) {
            (Some(place), Some(output)) => match output.get(place.wrapping_sub(1)) {
                Some(column) => (place.to_string(), column.of.kind),
                None => {
                    let message = match self.is_postgres() {
                        true => format!("ORDER BY position {place} is not in select list"),
                        false => format!("Unknown column '{place}' in 'order clause'"),
                    };
                    return Err(SqlError::of(self.engine, "42P10", (1054, "42S22"), message));
                }
            },
            _ => {
                let typed = self.expression(&item.expr)?;
                if output.is_some() {
                    self.refuse_ungrouped()?;
                }
                (typed.sql.clone(), typed.kind())
            }
        };
        let descending = matches!(item.options.sort, Some(ast::OrderBySort::Desc));
        if matches!(item.options.sort, Some(ast::OrderBySort::Using(_))) {
            return Err(self.unsupported(format!("{item}")));
        }
        // NULL is the greatest value in PostgreSQL and the smallest in MySQL and SQLite.
        let nulls_first = match item.options.nulls_first {
            Some(first) => Some(first),
            None => self.is_postgres().then_some(descending),
        };
        let direction = if descending { " DESC" } else { "" };
        let nulls = match nulls_first {
            Some(true) => " NULLS FIRST",
            Some(false) => " NULLS LAST",
            None => "",
        };
        Ok(format!("{sql}{}{direction}{nulls}", self.collation(kind)))
    }

    fn limit(&mut self, query: &Query) -> Result<String, SqlError> {
        let (mut limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(LimitClause::LimitOffset {
                limit,
                offset,
                limit_by,
            }) => {
                if !limit_by.is_empty() {
                    return Err(self.unsupported("LIMIT BY"));
                }
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
        };
        let one = Expr::value(ast::Value::Number("1".to_owned(), false));
        if let Some(fetch) = &query.fetch {
            if fetch.with_ties || fetch.percent {
                return Err(self.unsupported(format!("{fetch}")));
            }
            limit = Some(fetch.quantity.as_ref().unwrap_or(&one));
        }
        let limit = match limit {
            // `LIMIT ALL` and `LIMIT NULL`: no limit.
            Some(Expr::Identifier(word)) if word.value.eq_ignore_ascii_case("all") => None,
            other => other,
        };
        if limit.is_none() && offset.is_none() {
            return Ok(String::new());
        }
        let limit = match limit {
            // NULL is no limit in PostgreSQL; a negative one is none in SQLite.
            Some(limit) => {
                let limit = self.expression_as(limit, SqlType::Int8, Coercion::Explicit)?;
                format!("coalesce({}, -1)", limit.sql)
            }
            None => "-1".to_owned(),
        };
        let mut sql = format!(" LIMIT {limit}");
        if let Some(offset) = offset {
            let offset = self.expression_as(offset, SqlType::Int8, Coercion::Explicit)?;
            sql.push_str(&format!(" OFFSET coalesce({}, 0)", offset.sql));
        }
        Ok(sql)
    }
}

/// The number that stands for a column of the select list.
pub(super) fn ordinal(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn aliases(output: &[Output]) -> Vec<(String, Type)> {
    output
        .iter()
        .map(|column| (column.name.clone(), column.of))
        .collect()
}

/// The names of a result as a select list.
pub(super) fn select_list(output: &[Output]) -> String {
    let names: Vec<String> = output
        .iter()
        .map(|column| quote_name(&column.name))
        .collect();
    names.join(", ")
}

/// The columns of a subquery under the names that its alias gives them.
pub(super) fn rename(output: &[Output], names: &[String]) -> Vec<RelationColumn> {
    let columns = output
        .iter()
        .enumerate()
        .map(|(index, column)| RelationColumn {
            name: names.get(index).unwrap_or(&column.name).clone(),
            of: column.of,
        });
    columns.collect()
}

/// The select and the expressions of a `SELECT DISTINCT ON`.
fn distinct_on(query: &Query) -> Option<(&ast::Select, &[Expr])> {
    match &*query.body {
        SetExpr::Select(select) => match &select.distinct {
            Some(ast::Distinct::On(on)) => Some((select, on)),
            _ => None,
        },
        _ => None,
    }
}
