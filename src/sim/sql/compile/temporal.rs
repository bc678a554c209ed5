//! Dates, times and intervals in expressions.

use sqlparser::ast::{BinaryOperator as Op, DateTimeField, Expr, Interval};

use super::super::types::Family;
use super::super::{SqlError, SqlType, Value, datetime};
use super::Compiler;
use super::coerce::Coercion;
use super::typed::{Origin, Typed, quote_text};

impl Compiler<'_> {
    /// `INTERVAL '3 minutes'`, `INTERVAL 3 MINUTE`.
    pub(super) fn interval(&mut self, interval: &Interval) -> Result<Typed, SqlError> {
        if interval.last_field.is_some() {
            return Err(self.unsupported(format!("{interval}")));
        }
        let amount = self.expression(&interval.value)?;
        let Some(field) = &interval.leading_field else {
            return self.coerce(amount, SqlType::Interval.into(), Coercion::Explicit);
        };
        let unit = field.to_string();
        let per_unit = match datetime::span_of(1.0, &unit) {
            Some(span) => span,
            None => return Err(self.unsupported(format!("the interval unit {unit}"))),
        };
        if let Origin::Literal(value) = &amount.origin {
            let number = match value {
                Value::Integer(number) => Some(*number as f64),
                Value::Real(number) => Some(*number),
                Value::Text(text) => text.trim().parse().ok(),
                _ => None,
            };
            let span = number.and_then(|number| datetime::span_of(number, &unit));
            let Some(span) = span else {
                return Err(SqlError::invalid_value(
                    self.engine,
                    "interval",
                    &amount.sql,
                ));
            };
            let mut typed = Typed::literal(Value::Integer(span.micros), SqlType::Interval);
            typed.months = span.months;
            return Ok(typed);
        }
        if per_unit.months != 0 {
            return Err(self.unsupported("an interval of a computed number of months"));
        }
        let amount = self.coerce(amount, SqlType::Float8.into(), Coercion::Explicit)?;
        let sql = format!(
            "CAST(round({} * {}) AS INTEGER)",
            amount.sql, per_unit.micros
        );
        Ok(Typed::new(sql, SqlType::Interval))
    }

    /// Arithmetic with a moment, a time or an interval; `None` when neither side is one.
    pub(super) fn temporal_arithmetic(
        &mut self,
        operator: &Op,
        left: &Typed,
        right: &Typed,
    ) -> Result<Option<Typed>, SqlError> {
        use Family as F;
        let (a, b) = (left.kind().family(), right.kind().family());
        let is_temporal = |family| matches!(family, F::Moment | F::Time | F::Interval);
        if !is_temporal(a) && !is_temporal(b) {
            return Ok(None);
        }
        let minus = matches!(operator, Op::Minus);
        let typed = match (operator, a, b) {
            (Op::Plus | Op::Minus, F::Moment, F::Interval) => self.shift(left, right, minus),
            (Op::Plus, F::Interval, F::Moment) => self.shift(right, left, false),
            (Op::Minus, F::Moment, F::Moment) if self.is_postgres() => {
                self.difference(left, right)?
            }
            (Op::Plus | Op::Minus, F::Moment, F::Unknown) if right.is_untyped() => {
                self.shift_or_subtract(left, right.clone(), minus)?
            }
            (Op::Minus, F::Unknown, F::Moment) if left.is_untyped() => {
                let left = self.coerce(left.clone(), right.of, Coercion::Implicit)?;
                self.difference(&left, right)?
            }
            (Op::Plus | Op::Minus, F::Moment, F::Number)
                if left.kind() == SqlType::Date && right.kind().is_integer() =>
            {
                let sign = if minus { "-" } else { "" };
                let sql = format!("sim_add_days({}, {sign}{})", left.sql, right.sql);
                Typed::new(sql, SqlType::Date)
            }
            (Op::Plus | Op::Minus, F::Interval, F::Interval) => {
                self.no_months(&[left, right])?;
                let symbol = if minus { "-" } else { "+" };
                let sql = format!("({} {symbol} {})", left.sql, right.sql);
                Typed::new(sql, SqlType::Interval)
            }
            (Op::Multiply, F::Interval, F::Number) => self.scale(left, "*", right)?,
            (Op::Multiply, F::Number, F::Interval) => self.scale(right, "*", left)?,
            (Op::Divide, F::Interval, F::Number) => self.scale(left, "/", right)?,
            _ => {
                let (a, b) = (
                    left.kind().name(self.engine),
                    right.kind().name(self.engine),
                );
                return Err(self.unsupported(format!("{a} {operator} {b}")));
            }
        };
        Ok(Some(typed))
    }

    /// A moment and a constant or parameter: PostgreSQL takes the other side for an interval
    /// after `+`, and for a moment after `-`.
    fn shift_or_subtract(
        &mut self,
        moment: &Typed,
        other: Typed,
        minus: bool,
    ) -> Result<Typed, SqlError> {
        let text = other.constant_text().map(str::to_owned);
        let is_moment = text.is_none_or(|text| datetime::parse_timestamp(&text).is_some());
        if minus && is_moment {
            let other = self.coerce(other, moment.of, Coercion::Implicit)?;
            return self.difference(moment, &other);
        }
        let span = self.coerce(other, SqlType::Interval.into(), Coercion::Implicit)?;
        Ok(self.shift(moment, &span, minus))
    }

    /// A moment moved by an interval.
    pub(super) fn shift(&self, moment: &Typed, span: &Typed, minus: bool) -> Typed {
        let sign = if minus { "-" } else { "" };
        let months = if minus { -span.months } else { span.months };
        let kind = match (moment.kind(), self.is_postgres()) {
            (SqlType::Date, _) => SqlType::Timestamp,
            (kind, _) => kind,
        };
        let of = super::super::types::Type {
            kind,
            // A fraction in the interval shows in the sum.
            modifier: moment.of.modifier.filter(|_| {
                matches!(&span.origin, Origin::Literal(Value::Integer(micros))
                    if micros % 1_000_000 == 0)
            }),
        };
        Typed::new(
            format!("sim_shift({}, {months}, {sign}({}))", moment.sql, span.sql),
            of,
        )
    }

    fn difference(&mut self, left: &Typed, right: &Typed) -> Result<Typed, SqlError> {
        if left.kind() == SqlType::Date && right.kind() == SqlType::Date {
            let sql = format!(
                "(sim_difference({}, {}) / 86400000000)",
                left.sql, right.sql
            );
            return Ok(Typed::new(sql, SqlType::Int4));
        }
        let sql = format!("sim_difference({}, {})", left.sql, right.sql);
        Ok(Typed::new(sql, SqlType::Interval))
    }

    fn scale(&mut self, span: &Typed, symbol: &str, by: &Typed) -> Result<Typed, SqlError> {
        self.no_months(&[span])?;
        let by = self.coerce(by.clone(), SqlType::Float8.into(), Coercion::Implicit)?;
        let sql = match symbol {
            "/" => format!("sim_float('/', CAST({} AS REAL), {})", span.sql, by.sql),
            _ => format!("({} * {})", span.sql, by.sql),
        };
        Ok(Typed::new(
            format!("CAST(round({sql}) AS INTEGER)"),
            SqlType::Interval,
        ))
    }

    /// Months cannot be kept in an interval that is not added to a moment at once.
    pub(super) fn no_months(&self, spans: &[&Typed]) -> Result<(), SqlError> {
        match spans.iter().any(|span| span.months != 0) {
            true => Err(self.unsupported("arithmetic on an interval of months")),
            false => Ok(()),
        }
    }

    /// `EXTRACT(EPOCH FROM x)`.
    pub(super) fn extract(
        &mut self,
        field: &DateTimeField,
        expr: &Expr,
    ) -> Result<Typed, SqlError> {
        let part = field.to_string().to_ascii_lowercase();
        let typed = self.expression(expr)?;
        self.part(&part, typed)
    }

    pub(super) fn part(&mut self, part: &str, typed: Typed) -> Result<Typed, SqlError> {
        let singular = part.trim_end_matches('s');
        let known = [
            "epoch",
            "second",
            "millisecond",
            "microsecond",
            "year",
            "quarter",
            "month",
            "week",
            "day",
            "hour",
            "minute",
            "dow",
            "isodow",
            "doy",
        ];
        if !known.contains(&singular) {
            return Err(self.unsupported(format!("EXTRACT({part})")));
        }
        let typed = match typed.kind().family() {
            Family::Moment | Family::Interval | Family::Time => typed,
            _ => {
                let kind = match self.is_postgres() {
                    true => SqlType::TimestampTz,
                    false => SqlType::Timestamp,
                };
                self.coerce(typed, kind.into(), Coercion::Explicit)?
            }
        };
        self.no_months(&[&typed])?;
        let sql = format!(
            "sim_part({}, {}, {})",
            quote_text(singular),
            typed.sql,
            i32::from(self.is_postgres())
        );
        let kind = match self.is_postgres() {
            true => SqlType::Numeric,
            false => SqlType::Int8,
        };
        Ok(Typed::new(sql, kind))
    }

    /// Only UTC is known; there the two timestamp types change into each other.
    pub(super) fn at_time_zone(&mut self, moment: &Expr, zone: &Expr) -> Result<Typed, SqlError> {
        let moment = self.expression(moment)?;
        let zone = self.expression(zone)?;
        let name = zone
            .constant_text()
            .unwrap_or_default()
            .to_ascii_uppercase();
        if !matches!(
            name.as_str(),
            "UTC" | "GMT" | "Z" | "+00" | "+00:00" | "ETC/UTC"
        ) {
            return Err(self.unsupported("AT TIME ZONE other than UTC"));
        }
        let moment = match moment.kind().family() {
            Family::Moment => moment,
            _ => self.coerce(moment, SqlType::TimestampTz.into(), Coercion::Implicit)?,
        };
        let kind = match moment.kind() {
            SqlType::TimestampTz => SqlType::Timestamp,
            _ => SqlType::TimestampTz,
        };
        self.coerce(moment, kind.into(), Coercion::Explicit)
    }

    /// Functions on moments that are syntax in disguise; `None` for all others.
    pub(super) fn temporal_call(
        &mut self,
        name: &str,
        arguments: &[Typed],
    ) -> Result<Option<Typed>, SqlError> {
        let typed = match (name, arguments) {
            ("date_part", [part, from]) if self.is_postgres() => {
                let Some(part) = part.constant_text().map(str::to_ascii_lowercase) else {
                    return Err(self.unsupported("date_part() with a computed part"));
                };
                let number = self.part(&part, from.clone())?;
                self.coerce(number, SqlType::Float8.into(), Coercion::Explicit)?
            }
            ("year" | "month" | "day" | "hour" | "minute" | "second" | "quarter", [from])
                if !self.is_postgres() =>
            {
                self.part(name, from.clone())?
            }
            ("date_add" | "adddate" | "date_sub" | "subdate", [moment, span])
                if !self.is_postgres() =>
            {
                let moment = match moment.kind().family() {
                    Family::Moment => moment.clone(),
                    _ => self.coerce(
                        moment.clone(),
                        SqlType::Timestamp.into(),
                        Coercion::Explicit,
                    )?,
                };
                if span.kind() != SqlType::Interval {
                    return Err(self.unsupported(format!("{name}() without INTERVAL")));
                }
                self.shift(&moment, span, name.contains("sub"))
            }
            _ => return Ok(None),
        };
        Ok(Some(typed))
    }
}
