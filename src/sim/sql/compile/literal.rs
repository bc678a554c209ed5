//! Constants and parameters.

use sqlparser::ast::{Value as Constant, ValueWithSpan};

use super::super::decimal::Decimal;
use super::super::{SqlError, SqlType, Value, convert};
use super::typed::{Origin, Typed};
use super::{Compiler, MAX_PARAMETERS};
use crate::id::EngineKind;

impl Compiler<'_> {
    pub(super) fn constant(&mut self, value: &ValueWithSpan) -> Result<Typed, SqlError> {
        match &value.value {
            Constant::Number(digits, _) => self.number(digits),
            Constant::SingleQuotedString(text)
            | Constant::NationalStringLiteral(text)
            | Constant::EscapedStringLiteral(text)
            | Constant::UnicodeStringLiteral(text)
            | Constant::DoubleQuotedString(text) => Ok(self.text(text)),
            Constant::DollarQuotedString(text) => Ok(self.text(&text.value)),
            Constant::HexStringLiteral(digits) => self.hex(digits),
            Constant::Boolean(truth) => Ok(self.boolean_constant(*truth)),
            Constant::Null => Ok(Typed::literal(Value::Null, SqlType::Unknown)),
            Constant::Placeholder(mark) => self.placeholder(mark, value),
            other => Err(self.unsupported(format!("the constant {other}"))),
        }
    }

    /// MySQL's TRUE and FALSE are the numbers 1 and 0.
    pub(super) fn boolean_constant(&self, truth: bool) -> Typed {
        Typed::literal(Value::Integer(truth.into()), self.truth_type())
    }

    /// The type of a comparison.
    pub(super) fn truth_type(&self) -> SqlType {
        match self.engine {
            EngineKind::Postgres => SqlType::Bool,
            EngineKind::MySql => SqlType::Int8,
        }
    }

    fn text(&self, text: &str) -> Typed {
        let kind = match self.engine {
            // PostgreSQL's text constants take on the type that is wanted.
            EngineKind::Postgres => SqlType::Unknown,
            EngineKind::MySql => SqlType::Varchar,
        };
        Typed::literal(Value::Text(text.to_owned()), kind)
    }

    fn number(&self, digits: &str) -> Result<Typed, SqlError> {
        if let Ok(number) = digits.parse::<i64>() {
            let small = self.is_postgres() && i32::try_from(number).is_ok();
            let kind = if small { SqlType::Int4 } else { SqlType::Int8 };
            return Ok(Typed::literal(Value::Integer(number), kind));
        }
        if digits.contains(['e', 'E']) && !self.is_postgres() {
            let number = digits.parse::<f64>().unwrap_or(0.0);
            return Ok(Typed::literal(Value::Real(number), SqlType::Float8));
        }
        match Decimal::parse(digits) {
            Some(number) => Ok(Typed::literal(
                Value::Text(number.to_string()),
                SqlType::Numeric,
            )),
            None => Err(self.unsupported(format!("the number {digits}"))),
        }
    }

    fn hex(&self, digits: &str) -> Result<Typed, SqlError> {
        match convert::parse_hex(digits) {
            Some(bytes) if !self.is_postgres() => {
                Ok(Typed::literal(Value::Bytes(bytes), SqlType::Bytes))
            }
            _ => Err(self.unsupported(format!("the constant X'{digits}'"))),
        }
    }

    fn placeholder(&mut self, mark: &str, value: &ValueWithSpan) -> Result<Typed, SqlError> {
        let index = match self.engine {
            EngineKind::Postgres => {
                let number = mark
                    .strip_prefix('$')
                    .and_then(|digits| digits.parse::<usize>().ok());
                match number.and_then(|number| number.checked_sub(1)) {
                    Some(index) if index < MAX_PARAMETERS => index,
                    _ => {
                        let message = format!("there is no parameter {mark}");
                        return Err(SqlError::new("42P02", 0, message));
                    }
                }
            }
            EngineKind::MySql => {
                let at = value.span.start;
                let marks = self.statement.placeholders();
                match marks.binary_search(&at) {
                    Ok(index) => index,
                    Err(_) => return Err(self.unsupported(format!("the parameter {mark}"))),
                }
            }
        };
        if self.parameters.len() <= index {
            self.parameters.resize(index + 1, None);
        }
        let of = self.parameters[index].unwrap_or(SqlType::Unknown.into());
        Ok(Typed {
            sql: format!("?{}", index + 1),
            of,
            origin: Origin::Parameter(index),
            months: 0,
        })
    }
}
