//! Bringing an expression to the type that its surroundings want.

use super::super::types::{Family, Type};
use super::super::{SqlError, SqlType, Value, convert};
use super::Compiler;
use super::typed::{Origin, Typed};

/// How much an expression may be changed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coercion {
    /// Between operands: only without loss.
    Implicit,
    /// Into a column: what the dialect allows in assignments.
    Assignment,
    /// `CAST`: all that has a meaning.
    Explicit,
}

impl Compiler<'_> {
    pub(super) fn coerce(
        &mut self,
        typed: Typed,
        to: Type,
        coercion: Coercion,
    ) -> Result<Typed, SqlError> {
        if typed.is_untyped() {
            return self.decide(typed, to);
        }
        let typed = match to.kind.family() {
            Family::Text => typed.shown(),
            _ => typed,
        };
        let from = typed.of;
        if to.kind == SqlType::Unknown || from == to {
            return Ok(typed);
        }
        if let Origin::Literal(value) = &typed.origin {
            if self.is_postgres() {
                self.check_coercion(from.kind, to.kind, coercion)?;
            }
            let value = convert::convert(self.engine, value.clone(), from.kind, to)?;
            return Ok(Typed::literal(value, to));
        }
        if self.is_postgres() {
            self.check_coercion(from.kind, to.kind, coercion)?;
        }
        if let Some(sql) = self.cheap_cast(&typed, to) {
            return Ok(Typed {
                of: to,
                sql,
                ..typed
            });
        }
        Ok(self.cast_at_run_time(&typed, to))
    }

    /// Gives an untyped constant or parameter its type.
    fn decide(&mut self, typed: Typed, to: Type) -> Result<Typed, SqlError> {
        match &typed.origin {
            Origin::Literal(value) if to.kind == SqlType::Interval => self.interval_constant(value),
            Origin::Literal(value) => {
                let to = match to.kind {
                    SqlType::Unknown => SqlType::Text.into(),
                    _ => to,
                };
                let value = convert::convert(self.engine, value.clone(), SqlType::Unknown, to)?;
                Ok(Typed::literal(value, to))
            }
            Origin::Parameter(index) => {
                if to.kind != SqlType::Unknown {
                    self.parameters[*index] = Some(Type::from(to.kind));
                }
                let decided = Typed {
                    of: to.kind.into(),
                    ..typed
                };
                match to.modifier {
                    Some(_) => Ok(self.cast_at_run_time(&decided, to)),
                    None => Ok(decided),
                }
            }
            _ => Ok(typed),
        }
    }

    fn interval_constant(&mut self, value: &Value) -> Result<Typed, SqlError> {
        let Value::Text(text) = value else {
            return Ok(Typed::literal(Value::Null, SqlType::Interval));
        };
        match super::super::datetime::parse_interval(text) {
            Some(span) => {
                let mut typed = Typed::literal(Value::Integer(span.micros), SqlType::Interval);
                typed.months = span.months;
                Ok(typed)
            }
            None => Err(SqlError::invalid_value(self.engine, "interval", text)),
        }
    }

    /// Conversions that SQLite does itself, or that need nothing at all.
    fn cheap_cast(&self, typed: &Typed, to: Type) -> Option<String> {
        let from = typed.of;
        let sql = &typed.sql;
        let unlimited = to.modifier.is_none() || to.modifier == from.modifier;
        match (from.kind, to.kind) {
            (a, b) if a == b && unlimited => Some(sql.clone()),
            (SqlType::Int2, SqlType::Int4 | SqlType::Int8) | (SqlType::Int4, SqlType::Int8) => {
                Some(sql.clone())
            }
            (SqlType::Float4, SqlType::Float8) => Some(sql.clone()),
            (a, b) if a.element().is_some() && b.element().is_some() => Some(sql.clone()),
            (a, SqlType::Float8) if a.is_integer() || a == SqlType::Numeric => {
                Some(format!("CAST({sql} AS REAL)"))
            }
            (a, SqlType::Numeric) if a.is_integer() && to.modifier.is_none() => {
                Some(format!("CAST({sql} AS TEXT)"))
            }
            (
                SqlType::Text | SqlType::Varchar | SqlType::InternalChar | SqlType::Name,
                SqlType::Text | SqlType::Varchar | SqlType::Name,
            ) if unlimited => Some(sql.clone()),
            (SqlType::Timestamp, SqlType::TimestampTz)
            | (SqlType::TimestampTz, SqlType::Timestamp)
                if unlimited =>
            {
                Some(sql.clone())
            }
            (SqlType::Date, SqlType::Timestamp | SqlType::TimestampTz) => {
                Some(format!("({sql} || ' 00:00:00.000000')"))
            }
            _ => None,
        }
    }

    pub(super) fn cast_at_run_time(&self, typed: &Typed, to: Type) -> Typed {
        let modifier = to.modifier.map_or(-1, i64::from);
        Typed::new(
            format!(
                "sim_cast({}, {}, {}, {modifier})",
                typed.sql, typed.of.kind as i64, to.kind as i64
            ),
            to,
        )
    }

    fn check_coercion(
        &self,
        from: SqlType,
        to: SqlType,
        coercion: Coercion,
    ) -> Result<(), SqlError> {
        let allowed = match coercion {
            Coercion::Implicit => is_lossless(from, to),
            Coercion::Assignment => is_lossless(from, to) || is_assignable(from, to),
            Coercion::Explicit => {
                is_lossless(from, to) || is_assignable(from, to) || is_castable(from, to)
            }
        };
        if allowed {
            return Ok(());
        }
        let (from, to) = (from.name(self.engine), to.name(self.engine));
        Err(match coercion {
            Coercion::Explicit => {
                SqlError::new("42846", 0, format!("cannot cast type {from} to {to}"))
            }
            _ => SqlError::new(
                "42804",
                0,
                format!("expression is of type {from} but type {to} is wanted"),
            )
            .with_hint("You will need to rewrite or cast the expression."),
        })
    }
}

/// The order in which number types contain each other.
pub(super) fn number_rank(kind: SqlType) -> u8 {
    match kind {
        SqlType::Int2 => 1,
        SqlType::Int4 => 2,
        SqlType::Int8 => 3,
        SqlType::UnsignedInt8 => 4,
        SqlType::Numeric => 5,
        SqlType::Float4 => 6,
        SqlType::Float8 => 7,
        _ => 0,
    }
}

fn is_lossless(from: SqlType, to: SqlType) -> bool {
    let (family, wanted) = (from.family(), to.family());
    if from == to || family == Family::Unknown || wanted == Family::Unknown {
        return true;
    }
    match (family, wanted) {
        (Family::Number, Family::Number) => number_rank(from) <= number_rank(to),
        (Family::Text, Family::Text) | (Family::Oid, Family::Oid) => true,
        (Family::Moment, Family::Moment) => to != SqlType::Date,
        (Family::Number, Family::Oid) => from.is_integer(),
        // Arrays of numbers are kept alike whatever the numbers' type.
        (Family::Array, Family::Array) => match (from.element(), to.element()) {
            (Some(from), Some(to)) => from.is_integer() && is_lossless(from, to),
            _ => false,
        },
        _ => false,
    }
}

/// PostgreSQL's assignment casts (documentation of `CREATE CAST`; table `pg_cast`).
fn is_assignable(from: SqlType, to: SqlType) -> bool {
    matches!(
        (from.family(), to.family()),
        (Family::Number | Family::Oid, Family::Number)
            | (Family::Moment, Family::Moment)
            | (_, Family::Text)
    )
}

/// PostgreSQL's explicit casts, and those through text.
fn is_castable(from: SqlType, to: SqlType) -> bool {
    match (from.family(), to.family()) {
        (Family::Text, _) => true,
        (Family::Number, Family::Bool) => from == SqlType::Int4,
        (Family::Bool, Family::Number) => to == SqlType::Int4,
        (Family::Moment, Family::Time) => from != SqlType::Date,
        (Family::Json, Family::Json) => true,
        (Family::Array, Family::Array) => {
            let whole = |kind: SqlType| kind.element().is_some_and(SqlType::is_integer);
            whole(from) && whole(to)
        }
        _ => false,
    }
}
