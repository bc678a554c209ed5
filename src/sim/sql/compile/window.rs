//! Window functions: `OVER (...)`, named windows, `DISTINCT ON`.

use sqlparser::ast::{
    self, Expr, Function, Ident, NamedWindowExpr, OrderBy, OrderByKind, Select, SelectItem,
    WindowFrameBound, WindowSpec, WindowType,
};

use super::super::functions;
use super::super::{SqlError, SqlType};
use super::Compiler;
use super::coerce::Coercion;
use super::query::{Body, ordinal};
use super::scope::Scope;
use super::typed::{Typed, quote_name};

/// The hidden columns of a `DISTINCT ON`, which no client can name.
const HIDDEN: &str = "aurora_sim_";

impl Compiler<'_> {
    /// A call with `OVER`.
    pub(super) fn window_call(
        &mut self,
        name: &str,
        function: &Function,
        over: &WindowType,
    ) -> Result<Typed, SqlError> {
        if !self.windows_allowed {
            let message = match self.is_postgres() {
                true => "window functions are not allowed here: use them in a select list or in \
                         ORDER BY"
                    .to_owned(),
                false => format!("You cannot use the window function '{name}' in this context.'"),
            };
            return Err(SqlError::of(self.engine, "42P20", (3593, "HY000"), message));
        }
        let call = match functions::is_aggregate(self.engine, name) {
            true => self.aggregate_call(name, function)?,
            false => self.ranking_call(name, function)?,
        };
        let window = self.window(over)?;
        Ok(Typed::new(format!("{} OVER {window}", call.sql), call.of))
    }

    /// A function that there is for windows only.
    fn ranking_call(&mut self, name: &str, function: &Function) -> Result<Typed, SqlError> {
        let (arguments, duplicates, clauses) = self.argument_list(name, &function.args)?;
        if duplicates.is_some() || !clauses.is_empty() || function.filter.is_some() {
            return Err(self.unsupported(format!("DISTINCT, FILTER or clauses in {name}()")));
        }
        let values = self.argument_values(name, arguments)?;
        let typed = match (name, values.as_slice()) {
            ("row_number" | "rank" | "dense_rank", []) => {
                Typed::new(format!("{name}()"), SqlType::Int8)
            }
            ("percent_rank" | "cume_dist", []) => Typed::new(format!("{name}()"), SqlType::Float8),
            ("ntile", [buckets]) => {
                let kind = match self.is_postgres() {
                    true => SqlType::Int4,
                    false => SqlType::Int8,
                };
                let buckets = self.coerce(buckets.clone(), kind.into(), Coercion::Implicit)?;
                Typed::new(format!("ntile({})", buckets.sql), kind)
            }
            ("first_value" | "last_value", [value]) => {
                let value = self.typed_or_text(value.clone())?;
                Typed::new(format!("{name}({})", value.sql), value.of)
            }
            ("nth_value", [value, place]) => {
                let value = self.typed_or_text(value.clone())?;
                let place = self.coerce(place.clone(), SqlType::Int8.into(), Coercion::Implicit)?;
                Typed::new(format!("nth_value({}, {})", value.sql, place.sql), value.of)
            }
            ("lag" | "lead", [value, rest @ ..]) if rest.len() <= 2 => {
                let mut value = self.typed_or_text(value.clone())?;
                let mut sql = vec![value.sql.clone()];
                if let Some(offset) = rest.first() {
                    let offset = offset.clone();
                    let offset = self.coerce(offset, SqlType::Int8.into(), Coercion::Implicit)?;
                    sql.push(offset.sql);
                }
                if let Some(default) = rest.get(1) {
                    let both = [value.clone(), default.clone()];
                    let common = self.common_type(&both)?;
                    value = self.unify(value, common)?;
                    sql[0].clone_from(&value.sql);
                    sql.push(self.unify(default.clone(), common)?.sql);
                }
                Typed::new(format!("{name}({})", sql.join(", ")), value.of)
            }
            _ => return Err(self.unknown_function(name, &values)),
        };
        Ok(typed)
    }

    fn window(&mut self, over: &WindowType) -> Result<String, SqlError> {
        let spec = match over {
            WindowType::WindowSpec(spec) => spec.clone(),
            WindowType::NamedWindow(name) => self.named_window(name)?,
        };
        let mut parts = Vec::new();
        // A window may build on another: its partition, and its order where it has none.
        let base = match &spec.window_name {
            Some(name) => Some(self.named_window(name)?),
            None => None,
        };
        let partition = match &base {
            Some(base) => &base.partition_by,
            None => &spec.partition_by,
        };
        let order = match &base {
            Some(base) if spec.order_by.is_empty() => &base.order_by,
            _ => &spec.order_by,
        };
        if !partition.is_empty() {
            let mut items = Vec::new();
            for expr in partition {
                let typed = self.expression(expr)?;
                items.push(format!("{}{}", typed.sql, self.collation(typed.kind())));
            }
            parts.push(format!("PARTITION BY {}", items.join(", ")));
        }
        if !order.is_empty() {
            parts.push(self.order_by_inside(order)?.trim_start().to_owned());
        }
        if let Some(frame) = &spec.window_frame {
            let start = self.frame_bound(&frame.start_bound)?;
            let end = match &frame.end_bound {
                Some(end) => self.frame_bound(end)?,
                None => "CURRENT ROW".to_owned(),
            };
            parts.push(format!("{} BETWEEN {start} AND {end}", frame.units));
        }
        Ok(format!("({})", parts.join(" ")))
    }

    fn frame_bound(&mut self, bound: &WindowFrameBound) -> Result<String, SqlError> {
        let (distance, word) = match bound {
            WindowFrameBound::CurrentRow => return Ok("CURRENT ROW".to_owned()),
            WindowFrameBound::Preceding(distance) => (distance, "PRECEDING"),
            WindowFrameBound::Following(distance) => (distance, "FOLLOWING"),
        };
        match distance {
            None => Ok(format!("UNBOUNDED {word}")),
            Some(distance) => {
                let distance = self.expression_as(distance, SqlType::Int8, Coercion::Implicit)?;
                Ok(format!("{} {word}", distance.sql))
            }
        }
    }

    fn named_window(&self, name: &Ident) -> Result<WindowSpec, SqlError> {
        let wanted = self.fold(name);
        let mut known = self.named_windows.iter().rev();
        let found = known.find(|(name, _)| name.eq_ignore_ascii_case(&wanted));
        found.map(|(_, spec)| spec.clone()).ok_or_else(|| {
            let message = match self.is_postgres() {
                true => format!("window \"{wanted}\" does not exist"),
                false => format!("Window name '{wanted}' is not defined."),
            };
            SqlError::of(self.engine, "42704", (3579, "HY000"), message)
        })
    }

    /// Brings a select's `WINDOW` clause into view.
    pub(super) fn define_windows(&mut self, select: &Select) -> Result<(), SqlError> {
        for definition in &select.named_window {
            let spec = match &definition.1 {
                NamedWindowExpr::WindowSpec(spec) => spec.clone(),
                NamedWindowExpr::NamedWindow(name) => self.named_window(name)?,
            };
            let name = self.fold(&definition.0);
            self.named_windows.push((name, spec));
        }
        Ok(())
    }

    /// `SELECT DISTINCT ON (...)`: of the rows that agree in these, the first in the order.
    pub(super) fn distinct_on(
        &mut self,
        select: &Select,
        on: &[Expr],
        order_by: Option<&OrderBy>,
    ) -> Result<Body, SqlError> {
        let order = match order_by.map(|order_by| &order_by.kind) {
            None => Vec::new(),
            Some(OrderByKind::Expressions(exprs)) => exprs.clone(),
            Some(OrderByKind::All(_)) => return Err(self.unsupported("ORDER BY ALL")),
        };
        let meant = |expr: &Expr| meant_by(expr, &select.projection);
        let on: Vec<Expr> = on.iter().map(meant).collect();
        let order: Vec<_> = order
            .into_iter()
            .map(|mut item| {
                item.expr = meant(&item.expr);
                item
            })
            .collect();
        let agrees = order
            .iter()
            .zip(&on)
            .all(|(item, _)| on.contains(&item.expr));
        if !agrees {
            let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
            return Err(SqlError::new("42P10", 0, message));
        }
        let mut inner = select.clone();
        inner.distinct = None;
        for (index, item) in order.iter().enumerate() {
            inner
                .projection
                .push(hidden(item.expr.clone(), &format!("order_{index}")));
        }
        let first = first_of_each(&on, &order);
        inner.projection.push(hidden(first, "number"));
        let body = self.select(&inner)?;
        Ok(first_rows(body, &order))
    }
}

/// The visible columns of the rows that are the first of their kind, in the order asked for.
fn first_rows(body: Body, order: &[ast::OrderByExpr]) -> Body {
    // A wildcard stands for several columns, so the hidden ones are counted from the end.
    let visible = body.output.len() - order.len() - 1;
    let names = (0..body.output.len()).map(|at| quote_name(&format!("{HIDDEN}{at}")));
    let names: Vec<String> = names.collect();
    let mut sql = format!(
        "SELECT {} FROM (WITH q({}) AS ({}) SELECT * FROM q) WHERE {} = 1",
        names[..visible].join(", "),
        names.join(", "),
        body.sql,
        names[names.len() - 1]
    );
    for (index, item) in order.iter().enumerate() {
        let word = if index == 0 { " ORDER BY " } else { ", " };
        let descending = matches!(item.options.sort, Some(ast::OrderBySort::Desc));
        let direction = if descending { " DESC" } else { "" };
        let nulls = match item.options.nulls_first.unwrap_or(descending) {
            true => " NULLS FIRST",
            false => " NULLS LAST",
        };
        let name = &names[visible + index];
        sql.push_str(&format!("{word}{name}{direction}{nulls}"));
    }
    Body {
        sql,
        output: body.output.into_iter().take(visible).collect(),
        scope: Scope::default(),
    }
}

/// What an item of `ORDER BY` or `DISTINCT ON` means: an ordinal and an alias stand for others.
fn meant_by(expr: &Expr, projection: &[SelectItem]) -> Expr {
    let item = match (ordinal(expr), expr) {
        (Some(place), _) => projection.get(place.wrapping_sub(1)),
        (None, Expr::Identifier(name)) => projection.iter().find(|item| {
            matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value == name.value)
        }),
        _ => None,
    };
    match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            expr.clone()
        }
        _ => expr.clone(),
    }
}

fn hidden(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias {
        expr,
        alias: Ident::with_quote('"', format!("{HIDDEN}{name}")),
    }
}

/// `row_number() OVER (PARTITION BY ... ORDER BY ...)`.
fn first_of_each(on: &[Expr], order: &[ast::OrderByExpr]) -> Expr {
    Expr::Function(Function {
        name: vec![Ident::new("row_number")].into(),
        uses_odbc_syntax: false,
        parameters: ast::FunctionArguments::None,
        args: ast::FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: Vec::new(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: Some(WindowType::WindowSpec(WindowSpec {
            window_name: None,
            partition_by: on.to_vec(),
            order_by: order.to_vec(),
            window_frame: None,
        })),
        within_group: Vec::new(),
    })
}
