//! Expressions: names, constants, conditions, casts.

use sqlparser::ast::{self, Expr, UnaryOperator};

use super::super::types::{Family, Type};
use super::super::{SqlError, SqlType, Value};
use super::Compiler;
use super::coerce::Coercion;
use super::typed::{Origin, Typed};

impl Compiler<'_> {
    /// Compiles an expression. An untyped constant or parameter stays untyped.
    pub(super) fn expression(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        let mark = self.ungrouped.len();
        let typed = self.nested(|compiler| compiler.expression_inner(expr))?;
        self.forgive_grouped(&typed.sql, mark);
        Ok(typed)
    }

    fn expression_inner(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Identifier(name) => self.name(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(parts) => self.name(parts),
            Expr::Value(value) => self.constant(value),
            Expr::TypedString(typed) => {
                let (of, _) = self.type_of(&typed.data_type)?;
                let text = self.constant(&typed.value)?;
                self.coerce(text, of, Coercion::Explicit)
            }
            Expr::Nested(inner) => {
                let inner = self.expression(inner)?;
                Ok(Typed {
                    sql: format!("({})", inner.sql),
                    ..inner
                })
            }
            Expr::BinaryOp { .. } => self.binary_chain(expr),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref()),
            Expr::Array(array) if self.is_postgres() => self.array(&array.elem),
            Expr::Subquery(query) => self.scalar_subquery(query),
            Expr::Function(function) => self.function(function),
            Expr::Extract { field, expr, .. } => self.extract(field, expr),
            Expr::Interval(interval) => self.interval(interval),
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => self.at_time_zone(timestamp, time_zone),
            Expr::Cast { .. } | Expr::Convert { .. } => self.any_cast(expr),
            // All text is UTF-8 under the engine's one collation here.
            Expr::Prefixed { value: inner, .. } | Expr::Collate { expr: inner, .. } => {
                self.expression(inner)
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.array_item(root, access_chain),
            other => match self.predicate(other)? {
                Some(typed) => Ok(typed),
                None => self.word_function(other),
            },
        }
    }

    fn any_cast(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
            } => self.cast(expr, data_type),
            Expr::Convert {
                expr,
                data_type: Some(data_type),
                is_try: false,
                ..
            } => self.cast(expr, data_type),
            Expr::Convert {
                expr,
                data_type: None,
                charset: Some(_),
                ..
            } => {
                let inner = self.expression(expr)?;
                self.coerce(inner, SqlType::Text.into(), Coercion::Explicit)
            }
            other => Err(self.unsupported(format!("the expression {other}"))),
        }
    }

    /// Compiles an expression that is to have a type, as far as it can be led to it.
    pub(super) fn expression_as(
        &mut self,
        expr: &Expr,
        of: impl Into<Type>,
        coercion: Coercion,
    ) -> Result<Typed, SqlError> {
        let typed = self.expression(expr)?;
        self.coerce(typed, of.into(), coercion)
    }

    /// A condition, as `WHERE` and `AND` take it.
    pub(super) fn condition(&mut self, expr: &Expr, clause: &str) -> Result<String, SqlError> {
        let allowed = std::mem::replace(&mut self.windows_allowed, false);
        let typed = self.expression(expr);
        self.windows_allowed = allowed;
        self.as_condition(typed?, clause)
    }

    pub(super) fn as_condition(&mut self, typed: Typed, clause: &str) -> Result<String, SqlError> {
        let typed = match typed.is_untyped() {
            true => self.coerce(typed, self.truth_type().into(), Coercion::Implicit)?,
            false => typed,
        };
        match typed.kind().family() {
            Family::Bool | Family::Unknown => Ok(typed.sql),
            family if self.is_postgres() => {
                let _ = family;
                let kind = typed.kind().name(self.engine);
                let message = format!("argument of {clause} must be type boolean, not type {kind}");
                Err(SqlError::new("42804", 0, message))
            }
            // MySQL: a number is true unless it is zero, a text goes by the number in it.
            Family::Number if typed.kind() != SqlType::Numeric => Ok(typed.sql),
            _ => Ok(format!("(CAST({} AS REAL) <> 0)", typed.sql)),
        }
    }

    fn unary(&mut self, operator: UnaryOperator, expr: &Expr) -> Result<Typed, SqlError> {
        match operator {
            UnaryOperator::Not | UnaryOperator::BangNot => {
                let condition = self.condition(expr, "NOT")?;
                Ok(Typed::new(format!("(NOT {condition})"), self.truth_type()))
            }
            UnaryOperator::Plus => self.expression(expr),
            UnaryOperator::Minus => {
                let inner = self.expression(expr)?;
                self.negate(inner)
            }
            UnaryOperator::BitwiseNot => {
                let inner = self.expression_as(expr, SqlType::Int8, Coercion::Implicit)?;
                Ok(Typed::new(format!("(~{})", inner.sql), SqlType::Int8))
            }
            other => Err(self.unsupported(format!("the operator {other}"))),
        }
    }

    fn negate(&mut self, inner: Typed) -> Result<Typed, SqlError> {
        let inner = match inner.is_untyped() {
            true => self.coerce(inner, SqlType::Float8.into(), Coercion::Implicit)?,
            false => inner,
        };
        match (&inner.origin, inner.kind()) {
            (Origin::Literal(Value::Integer(number)), _) => {
                let negative = Value::Integer(number.checked_neg().unwrap_or(*number));
                Ok(Typed {
                    months: -inner.months,
                    ..Typed::literal(negative, inner.of)
                })
            }
            (Origin::Literal(Value::Text(digits)), SqlType::Numeric) => {
                // The one number whose absolute value has no place in 64 bits.
                if digits == "9223372036854775808" {
                    return Ok(Typed::literal(Value::Integer(i64::MIN), SqlType::Int8));
                }
                let negative = match digits.strip_prefix('-') {
                    Some(digits) => digits.to_owned(),
                    None => format!("-{digits}"),
                };
                Ok(Typed::literal(Value::Text(negative), inner.of))
            }
            (_, SqlType::Numeric) => Ok(Typed::new(
                format!("sim_decimal('-', '0', {})", inner.sql),
                inner.of.kind,
            )),
            (_, kind) if kind.family() == Family::Number || kind == SqlType::Interval => {
                Ok(Typed::new(format!("(-{})", inner.sql), kind))
            }
            (_, kind) => {
                Err(self.unsupported(format!("minus before a {}", kind.name(self.engine))))
            }
        }
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Typed, SqlError> {
        let mut tests = Vec::new();
        let mut results = Vec::new();
        for when in conditions {
            tests.push(match operand {
                Some(operand) => self.compare_operands("=", operand, &when.condition)?.sql,
                None => self.condition(&when.condition, "CASE/WHEN")?,
            });
            results.push(self.expression(&when.result)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.expression(otherwise)?);
        }
        let common = self.common_type(&results)?;
        let mut sql = String::from("(CASE");
        for (index, result) in results.into_iter().enumerate() {
            let result = self.unify(result, common)?.sql;
            match tests.get(index) {
                Some(test) => sql.push_str(&format!(" WHEN {test} THEN {result}")),
                None => sql.push_str(&format!(" ELSE {result}")),
            }
        }
        sql.push_str(" END)");
        Ok(Typed::new(sql, common))
    }

    fn scalar_subquery(&mut self, query: &ast::Query) -> Result<Typed, SqlError> {
        let (sql, output) = self.subquery(query)?;
        let [column] = output.as_slice() else {
            let message = match self.is_postgres() {
                true => "subquery must return only one column",
                false => "Operand should contain 1 column(s)",
            };
            return Err(SqlError::of(self.engine, "42601", (1241, "21000"), message));
        };
        Ok(Typed {
            origin: Origin::Subquery,
            ..Typed::new(format!("({sql})"), column.of)
        })
    }

    fn cast(&mut self, expr: &Expr, data_type: &ast::DataType) -> Result<Typed, SqlError> {
        if let Expr::Array(array) = expr
            && array.elem.is_empty()
            && let (of, _) = self.type_of(data_type)?
            && of.kind.element().is_some()
        {
            return Ok(Typed::new("'[]'", of));
        }
        let inner = self.expression(expr)?;
        let name = data_type.to_string().to_ascii_lowercase();
        let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
        let name = match name {
            "\"regtype\"" => "regtype",
            "\"regclass\"" => "regclass",
            name => name,
        };
        if name == "int2[]" && self.is_catalog_array(&inner) {
            return Ok(inner);
        }
        if self.is_postgres()
            && inner.constant_text().is_none()
            && let Some(typed) = self.name_of_object(&inner, name)
        {
            return Ok(typed);
        }
        if self.is_postgres() && name == "regtype" {
            let written = self.coerce(inner, SqlType::Text.into(), Coercion::Explicit)?;
            return Ok(Typed::type_name(format!(
                "sim_type_of_name({}, 1)",
                written.sql
            )));
        }
        if self.is_postgres() && matches!(name, "regproc" | "regprocedure" | "regclass") {
            return self.registered_name(inner, name);
        }
        let (mut of, _) = self.type_of(data_type)?;
        self.check_label(data_type, &inner)?;
        if !self.is_postgres() && of.kind == SqlType::Varchar {
            // `CAST(x AS CHAR)` has no length; a given one cuts instead of failing.
            of.modifier = None;
        }
        let inner = match (&inner.origin, of.kind.family()) {
            // The number itself, no longer shown by its name.
            (Origin::TypeName, Family::Oid | Family::Number) => Typed::new(inner.sql, SqlType::Oid),
            _ => inner,
        };
        self.coerce(inner, of, Coercion::Explicit)
    }
}
