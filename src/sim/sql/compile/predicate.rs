//! Tests that are more than an operator: `IS`, `IN`, `BETWEEN`, `LIKE`, `ANY`.

use sqlparser::ast::{self, Expr};

use super::super::{SqlError, SqlType};
use super::Compiler;
use super::coerce::Coercion;
use super::typed::{Typed, quote_name, quote_text};

impl Compiler<'_> {
    /// Compiles a test; `None` for any other expression.
    pub(super) fn predicate(&mut self, expr: &Expr) -> Result<Option<Typed>, SqlError> {
        let typed = match expr {
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => self.is_test(inner, "IS NULL"),
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => {
                self.is_test(inner, "IS NOT NULL")
            }
            Expr::IsTrue(inner) => self.truth_test(inner, "IS TRUE"),
            Expr::IsNotTrue(inner) => self.truth_test(inner, "IS NOT TRUE"),
            Expr::IsFalse(inner) => self.truth_test(inner, "IS FALSE"),
            Expr::IsNotFalse(inner) => self.truth_test(inner, "IS NOT FALSE"),
            Expr::IsDistinctFrom(left, right) => self.compare_operands("IS NOT", left, right),
            Expr::IsNotDistinctFrom(left, right) => self.compare_operands("IS", left, right),
            Expr::InList {
                expr,
                list,
                negated,
            } => self.in_list(expr, list, *negated),
            Expr::InSubquery {
                expr,
                subquery,
                negated,
            } => self.in_subquery(expr, subquery, *negated),
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => self.between(expr, low, high, *negated),
            Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => {
                let ignore_case = !self.is_postgres();
                self.like(expr, pattern, escape_char.as_deref(), ignore_case, *negated)
            }
            Expr::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like(expr, pattern, escape_char.as_deref(), true, *negated),
            Expr::RLike { .. } => self.regular(expr),
            Expr::Exists { subquery, negated } => self.exists(subquery, *negated),
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => self.any(left, compare_op, right),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } if self.is_postgres() => {
                let right = match &**right {
                    Expr::Nested(inner) => inner,
                    right => right,
                };
                self.any_of_array(left, compare_op, right, true)
            }
            _ => return Ok(None),
        };
        typed.map(Some)
    }

    fn exists(&mut self, query: &ast::Query, negated: bool) -> Result<Typed, SqlError> {
        let (sql, _) = self.subquery(query)?;
        let not = if negated { "NOT " } else { "" };
        Ok(Typed::new(
            format!("({not}EXISTS ({sql}))"),
            self.truth_type(),
        ))
    }

    fn is_test(&mut self, inner: &Expr, test: &str) -> Result<Typed, SqlError> {
        let inner = self.expression(inner)?;
        let inner = match inner.is_untyped() {
            true => self.coerce(inner, SqlType::Text.into(), Coercion::Implicit)?,
            false => inner,
        };
        Ok(Typed::new(
            format!("({} {test})", inner.sql),
            self.truth_type(),
        ))
    }

    fn truth_test(&mut self, inner: &Expr, test: &str) -> Result<Typed, SqlError> {
        let condition = self.condition(inner, test)?;
        Ok(Typed::new(
            format!("({condition} {test})"),
            self.truth_type(),
        ))
    }

    fn in_list(&mut self, expr: &Expr, list: &[Expr], negated: bool) -> Result<Typed, SqlError> {
        if let Expr::Tuple(_) = expr {
            return self.tuple_in_list(expr, list, negated);
        }
        let mut subject = self.expression(expr)?;
        let mut items = list
            .iter()
            .map(|item| self.expression(item))
            .collect::<Result<Vec<_>, _>>()?;
        let mut all: Vec<Typed> = std::iter::once(subject.clone())
            .chain(items.clone())
            .collect();
        let common = self.common_type(&all)?;
        all.clear();
        subject = self.unify(subject, common)?;
        for item in &mut items {
            *item = self.unify(item.clone(), common)?;
        }
        let list: Vec<&str> = items.iter().map(|item| item.sql.as_str()).collect();
        let not = if negated { "NOT " } else { "" };
        let collation = self.collation(common.kind);
        Ok(Typed::new(
            format!("({}{collation} {not}IN ({}))", subject.sql, list.join(", ")),
            self.truth_type(),
        ))
    }

    fn tuple_in_list(
        &mut self,
        expr: &Expr,
        list: &[Expr],
        negated: bool,
    ) -> Result<Typed, SqlError> {
        let mut alternatives = Vec::new();
        for item in list {
            alternatives.push(self.compare_operands("=", expr, item)?.sql);
        }
        let not = if negated { "NOT " } else { "" };
        Ok(Typed::new(
            format!("({not}({}))", alternatives.join(" OR ")),
            self.truth_type(),
        ))
    }

    fn in_subquery(
        &mut self,
        expr: &Expr,
        query: &ast::Query,
        negated: bool,
    ) -> Result<Typed, SqlError> {
        let subject = self.expression(expr)?;
        let (sql, output) = self.subquery(query)?;
        let [column] = output.as_slice() else {
            let message = "subquery has too many columns";
            return Err(SqlError::of(self.engine, "42601", (1241, "21000"), message));
        };
        let inner = Typed::new(quote_name("item"), column.of);
        let common = self.common_type(&[subject.clone(), inner.clone()])?;
        let subject = self.unify(subject, common)?;
        let inner = self.unify(inner, common)?;
        let not = if negated { "NOT " } else { "" };
        let collation = self.collation(common.kind);
        Ok(Typed::new(
            format!(
                "({}{collation} {not}IN (SELECT {} FROM (SELECT {} AS \"item\" FROM ({sql}))))",
                subject.sql,
                inner.sql,
                quote_name(&column.name),
            ),
            self.truth_type(),
        ))
    }

    /// `x = ANY (SELECT ...)`, `x = ANY (array)`.
    fn any(
        &mut self,
        left: &Expr,
        operator: &ast::BinaryOperator,
        right: &Expr,
    ) -> Result<Typed, SqlError> {
        match (operator, right) {
            (ast::BinaryOperator::Eq, Expr::Subquery(query)) => {
                self.in_subquery(left, query, false)
            }
            (ast::BinaryOperator::Eq, Expr::Array(array)) if !array.elem.is_empty() => {
                self.in_list(left, &array.elem, false)
            }
            (operator, Expr::Nested(inner)) => self.any(left, operator, inner),
            (ast::BinaryOperator::Eq, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
                let array = self.expression(right)?;
                match self.is_catalog_array(&array) {
                    true => self.any_of_catalog_array(left, &array),
                    false => self.any_of_array(left, operator, right, false),
                }
            }
            (_, Expr::Subquery(_)) => Err(self.unsupported(format!("{operator} ANY (SELECT ...)"))),
            _ if self.is_postgres() => self.any_of_array(left, operator, right, false),
            _ => Err(self.unsupported("ANY of an array")),
        }
    }

    fn between(
        &mut self,
        expr: &Expr,
        low: &Expr,
        high: &Expr,
        negated: bool,
    ) -> Result<Typed, SqlError> {
        let operands = [expr, low, high];
        let operands = operands
            .iter()
            .map(|operand| self.expression(operand))
            .collect::<Result<Vec<_>, _>>()?;
        let common = self.common_type(&operands)?;
        let mut sql = Vec::new();
        for operand in operands {
            sql.push(self.unify(operand, common)?.sql);
        }
        let not = if negated { "NOT " } else { "" };
        let collation = self.collation(common.kind);
        Ok(Typed::new(
            format!(
                "({}{collation} {not}BETWEEN {} AND {})",
                sql[0], sql[1], sql[2]
            ),
            self.truth_type(),
        ))
    }

    /// MySQL's `REGEXP`, under its collation, which ignores case.
    fn regular(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        let Expr::RLike {
            negated,
            expr: text,
            pattern,
            ..
        } = expr
        else {
            return Err(self.unsupported(format!("the expression {expr}")));
        };
        let text = self.expression(text)?;
        let pattern = self.expression(pattern)?;
        self.matches(text, pattern, true, *negated)
    }

    fn like(
        &mut self,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        ignore_case: bool,
        negated: bool,
    ) -> Result<Typed, SqlError> {
        let coercion = match self.is_postgres() {
            true => Coercion::Implicit,
            false => Coercion::Explicit,
        };
        let subject = self.expression_as(expr, SqlType::Text, coercion)?;
        let pattern = self.expression_as(pattern, SqlType::Text, coercion)?;
        let escape = match escape {
            Some(escape) => {
                self.expression_as(escape, SqlType::Text, Coercion::Implicit)?
                    .sql
            }
            None => quote_text("\\"),
        };
        let not = if negated { "NOT " } else { "" };
        let ignore_case = i32::from(ignore_case);
        Ok(Typed::new(
            format!(
                "({not}sim_like({}, {}, {escape}, {ignore_case}))",
                subject.sql, pattern.sql
            ),
            self.truth_type(),
        ))
    }
}
