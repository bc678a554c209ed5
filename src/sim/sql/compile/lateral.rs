//! `JOIN LATERAL` of a subquery that has one row at most, which is what object mappers load
//! related rows by. SQLite has no `LATERAL`; such a subquery is one in an expression.

use std::ops::ControlFlow;

use sqlparser::ast::{
    self, Expr, Join, JoinConstraint, JoinOperator, LimitClause, Query, Select, SetExpr,
    TableFactor, Value,
};

use super::super::SqlError;
use super::Compiler;
use super::query::rename;
use super::scope::{Lateral, Relation, Scope};
use super::typed::quote_name;
use crate::sim::sql::functions;

/// How many rows a subquery is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    One,
    OneAtMost,
    Any,
}

impl Compiler<'_> {
    /// Brings a lateral subquery into view; false for any other join.
    pub(super) fn lateral(&mut self, join: &Join, scope: &mut Scope) -> Result<bool, SqlError> {
        let TableFactor::Derived {
            lateral: true,
            subquery,
            alias: Some(alias),
            sample: None,
        } = &join.relation
        else {
            return Ok(false);
        };
        let fits = match &join.join_operator {
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => {
                is_always(on) && self.rows_of(subquery) != Rows::Any
            }
            JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => {
                is_always(on) && self.rows_of(subquery) == Rows::One
            }
            _ => false,
        };
        if !fits {
            return Err(self.unsupported("LATERAL of a subquery that may have several rows"));
        }
        self.scopes.push(std::mem::take(scope));
        let compiled = self.subquery(subquery);
        *scope = self.scopes.pop().unwrap_or_default();
        let (sql, output) = compiled?;
        let columns = rename(&output, &self.alias_columns(Some(alias)));
        let list: Vec<String> = columns.iter().map(|it| quote_name(&it.name)).collect();
        scope.relations.push(Relation {
            name: self.fold(&alias.name),
            table: None,
            columns,
            bare: false,
            lateral: Some(Lateral::Query(format!(
                "WITH q({}) AS ({sql}) SELECT * FROM q",
                list.join(", ")
            ))),
        });
        Ok(true)
    }

    fn rows_of(&self, query: &Query) -> Rows {
        let limit = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, .. }) => limit.as_ref(),
            _ => None,
        };
        let one = limit.is_some_and(|limit| matches!(number(limit), Some("0" | "1")));
        match &*query.body {
            SetExpr::Select(select) if query.limit_clause.is_none() => self.rows_of_select(select),
            _ if one => Rows::OneAtMost,
            _ => Rows::Any,
        }
    }

    fn rows_of_select(&self, select: &Select) -> Rows {
        let groups = match &select.group_by {
            ast::GroupByExpr::Expressions(exprs, _) => !exprs.is_empty(),
            ast::GroupByExpr::All(_) => true,
        };
        if !groups && select.having.is_none() && self.aggregates(select) {
            return Rows::One;
        }
        match select.from.as_slice() {
            [from] => match &from.relation {
                TableFactor::Derived { subquery, .. }
                    if from.joins.iter().all(is_lateral) && self.rows_of(subquery) != Rows::Any =>
                {
                    Rows::OneAtMost
                }
                _ => Rows::Any,
            },
            _ => Rows::Any,
        }
    }

    /// Whether an aggregate function stands in the select list itself.
    fn aggregates(&self, select: &Select) -> bool {
        select.projection.iter().any(|item| match item {
            ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => {
                self.has_aggregate(expr)
            }
            _ => false,
        })
    }

    fn has_aggregate(&self, expr: &Expr) -> bool {
        let found = ast::visit_expressions(expr, |expr| match expr {
            // Whose aggregate it is within a subquery is not looked into.
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                ControlFlow::Break(false)
            }
            Expr::Function(function) => {
                let name = self.function_name(&function.name).unwrap_or_default();
                match functions::is_aggregate(self.engine, &name) && function.over.is_none() {
                    true => ControlFlow::Break(true),
                    false => ControlFlow::Continue(()),
                }
            }
            _ => ControlFlow::Continue(()),
        });
        found == ControlFlow::Break(true)
    }
}

fn is_lateral(join: &Join) -> bool {
    matches!(join.relation, TableFactor::Derived { lateral: true, .. })
}

fn is_always(constraint: &JoinConstraint) -> bool {
    match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(Expr::Value(value)) => match &value.value {
            Value::Boolean(truth) => *truth,
            Value::Number(digits, _) => digits == "1",
            _ => false,
        },
        _ => false,
    }
}

fn number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        _ => None,
    }
}
