//! Expressions: names, constants, conditions, casts.

use sqlparser::ast::{self, Expr, Ident, UnaryOperator};

use super::super::types::{self, Family, Type};
use super::super::{SqlError, SqlType, Value};
use super::Compiler;
use super::coerce::Coercion;
use super::scope::Relation;
use super::typed::{Origin, Typed, quote_name, quote_text};

impl Compiler<'_> {
    /// Compiles an expression. An untyped constant or parameter stays untyped.
    pub(super) fn expression(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        self.nested(|compiler| compiler.expression_inner(expr))
    }

    fn expression_inner(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Identifier(name) => self.name(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(parts) => self.name(parts),
            Expr::Value(value) => self.constant(value),
            Expr::TypedString(typed) => {
                let (of, _) = types::from_sql(self.engine, &typed.data_type)?;
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
            Expr::IsNull(inner) => self.is_test(inner, "IS NULL"),
            Expr::IsNotNull(inner) => self.is_test(inner, "IS NOT NULL"),
            Expr::IsUnknown(inner) => self.is_test(inner, "IS NULL"),
            Expr::IsNotUnknown(inner) => self.is_test(inner, "IS NOT NULL"),
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
            Expr::Cast {
                kind,
                expr,
                data_type,
                format: None,
            } => self.cast(kind, expr, data_type),
            Expr::Convert {
                expr,
                data_type: Some(data_type),
                is_try: false,
                ..
            } => self.cast(&ast::CastKind::Cast, expr, data_type),
            Expr::Convert {
                expr,
                data_type: None,
                charset: Some(_),
                ..
            } => {
                let inner = self.expression(expr)?;
                self.coerce(inner, SqlType::Text.into(), Coercion::Explicit)
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref()),
            Expr::Exists { subquery, negated } => {
                let (sql, _) = self.subquery(subquery)?;
                let not = if *negated { "NOT " } else { "" };
                Ok(Typed::new(
                    format!("({not}EXISTS ({sql}))"),
                    self.truth_type(),
                ))
            }
            Expr::Subquery(query) => self.scalar_subquery(query),
            Expr::Function(function) => self.function(function),
            Expr::Collate { expr, .. } => self.expression(expr),
            Expr::Extract { field, expr, .. } => self.extract(field, expr),
            Expr::Interval(interval) => self.interval(interval),
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => self.at_time_zone(timestamp, time_zone),
            Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. } => self.word_function(expr),
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => self.any(left, compare_op, right),
            // MySQL's character set introducer: all text is UTF-8 here.
            Expr::Prefixed { value, .. } => self.expression(value),
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
        let typed = self.expression(expr)?;
        self.as_condition(typed, clause)
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

    /// A column, an alias, a system variable or a word that is a function without parentheses.
    fn name(&mut self, parts: &[Ident]) -> Result<Typed, SqlError> {
        if !self.is_postgres() && parts[0].quote_style.is_none() && parts[0].value.starts_with('@')
        {
            return self.variable(parts);
        }
        let names: Vec<String> = parts.iter().map(|part| self.fold(part)).collect();
        let found = match names.as_slice() {
            [column] => self.find_bare_column(column)?,
            [relation, column] => self.find_qualified_column(relation, column)?,
            [_schema, relation, column] => self.find_qualified_column(relation, column)?,
            _ => None,
        };
        if let Some(found) = found {
            return Ok(found);
        }
        if let ([ident], [name]) = (parts, names.as_slice())
            && ident.quote_style.is_none()
            && let Some(typed) = self.word_without_parentheses(&name.to_ascii_lowercase())
        {
            return Ok(typed);
        }
        if self.is_postgres() && names.len() > 1 {
            let relation = &names[names.len() - 2];
            if !self.is_relation_in_view(relation) {
                let message = format!("missing FROM-clause entry for table \"{relation}\"");
                return Err(SqlError::new("42P01", 0, message));
            }
        }
        Err(SqlError::unknown_column(self.engine, &names.join(".")))
    }

    fn is_relation_in_view(&self, name: &str) -> bool {
        let mut relations = self.scopes.iter().flat_map(|scope| &scope.relations);
        relations.any(|relation| relation.name == name)
    }

    fn find_bare_column(&self, name: &str) -> Result<Option<Typed>, SqlError> {
        for scope in self.scopes.iter().rev() {
            let alias = scope.alias(name).map(|of| Typed::new(quote_name(name), of));
            if scope.aliases_first && alias.is_some() {
                return Ok(alias);
            }
            let mut found = None;
            for relation in &scope.relations {
                let Some(column) = relation.column(name) else {
                    continue;
                };
                if scope.is_merged(name) {
                    return Ok(Some(Typed::new(quote_name(&column.name), column.of)));
                }
                if found.is_some() {
                    let message = match self.is_postgres() {
                        true => format!("column reference \"{name}\" is ambiguous"),
                        false => format!("Column '{name}' in field list is ambiguous"),
                    };
                    return Err(SqlError::of(self.engine, "42702", (1052, "23000"), message));
                }
                found = Some(column_of(relation, &column.name, column.of));
            }
            if found.is_some() || alias.is_some() {
                return Ok(found.or(alias));
            }
        }
        Ok(None)
    }

    fn find_qualified_column(&self, relation: &str, name: &str) -> Result<Option<Typed>, SqlError> {
        for scope in self.scopes.iter().rev() {
            let mut relations = scope.relations.iter();
            let Some(found) = relations.find(|it| it.name.eq_ignore_ascii_case(relation)) else {
                continue;
            };
            let column = found.column(name);
            return Ok(column.map(|column| column_of(found, &column.name, column.of)));
        }
        Ok(None)
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
        subject = self.to_common(subject, common)?;
        for item in &mut items {
            *item = self.to_common(item.clone(), common)?;
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
        let subject = self.to_common(subject, common)?;
        let inner = self.to_common(inner, common)?;
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

    /// `x = ANY (SELECT ...)`; arrays are not supported.
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
            sql.push(self.to_common(operand, common)?.sql);
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

    pub(super) fn like(
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
            let result = self.to_common(result, common)?.sql;
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

    fn cast(
        &mut self,
        kind: &ast::CastKind,
        expr: &Expr,
        data_type: &ast::DataType,
    ) -> Result<Typed, SqlError> {
        if !matches!(kind, ast::CastKind::Cast | ast::CastKind::DoubleColon) {
            return Err(self.unsupported(format!("{kind:?}")));
        }
        let inner = self.expression(expr)?;
        let name = data_type.to_string().to_ascii_lowercase();
        let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
        if self.is_postgres() && matches!(name, "regproc" | "regprocedure" | "regclass") {
            return self.registered_name(inner, name);
        }
        let (mut of, _) = types::from_sql(self.engine, data_type)?;
        if !self.is_postgres() && of.kind == SqlType::Varchar {
            // `CAST(x AS CHAR)` has no length; a given one cuts instead of failing.
            of.modifier = None;
        }
        self.coerce(inner, of, Coercion::Explicit)
    }
}

fn column_of(relation: &Relation, column: &str, of: Type) -> Typed {
    let sql = match relation.bare {
        true => quote_name(column),
        false => format!("{}.{}", quote_name(&relation.name), quote_name(column)),
    };
    let origin = match &relation.table {
        Some(table) => Origin::Column {
            table: table.clone(),
        },
        None => Origin::Computed,
    };
    Typed {
        origin,
        ..Typed::new(sql, of)
    }
}
