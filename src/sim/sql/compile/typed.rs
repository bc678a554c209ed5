//! A compiled expression: its SQLite text and its type.

use super::super::types::Type;
use super::super::{SqlType, Value};

/// A compiled expression.
#[derive(Debug, Clone)]
pub(in super::super) struct Typed {
    pub(in super::super) sql: String,
    pub(in super::super) of: Type,
    pub(in super::super) origin: Origin,
    /// The months of an interval, which its microseconds cannot hold. Literals only.
    pub(in super::super) months: i64,
}

/// What an expression is, where that matters to those around it.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Origin {
    Computed,
    /// A constant; a text or NULL takes the type that its surroundings want.
    Literal(Value),
    /// A parameter, by index from 0.
    Parameter(usize),
    /// A column of a table of the users.
    Column {
        table: String,
    },
    /// A subquery in parentheses.
    Subquery,
    /// A type's object id, which shows as the type's name (PostgreSQL's `regtype`).
    TypeName,
}

impl Typed {
    pub(super) fn new(sql: impl Into<String>, of: impl Into<Type>) -> Self {
        Self {
            sql: sql.into(),
            of: of.into(),
            origin: Origin::Computed,
            months: 0,
        }
    }

    pub(super) fn literal(value: Value, of: impl Into<Type>) -> Self {
        Self {
            sql: literal(&value),
            of: of.into(),
            origin: Origin::Literal(value),
            months: 0,
        }
    }

    pub(super) fn kind(&self) -> SqlType {
        self.of.kind
    }

    /// Whether the surroundings decide on the type.
    pub(super) fn is_untyped(&self) -> bool {
        self.of.kind == SqlType::Unknown
            && matches!(self.origin, Origin::Literal(_) | Origin::Parameter(_))
    }

    /// The object id of a type, by which types compare.
    pub(super) fn type_name(oid: impl Into<String>) -> Self {
        Self {
            origin: Origin::TypeName,
            ..Self::new(oid, SqlType::Oid)
        }
    }

    /// What a client sees of it.
    pub(super) fn shown(self) -> Self {
        match self.origin {
            Origin::TypeName => {
                Self::new(format!("sim_format_type({}, -1)", self.sql), SqlType::Text)
            }
            _ => self,
        }
    }

    /// The constant text, if it is one.
    pub(super) fn constant_text(&self) -> Option<&str> {
        match &self.origin {
            Origin::Literal(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// A value as SQLite writes it.
pub(in super::super) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(i64::MIN) => "(-9223372036854775807 - 1)".to_owned(),
        Value::Integer(number) if *number < 0 => format!("({number})"),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) if number.is_infinite() && *number > 0.0 => "9e999".to_owned(),
        Value::Real(number) if number.is_infinite() => "(-9e999)".to_owned(),
        Value::Real(number) if number.is_sign_negative() => format!("({number:?})"),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) if text.contains('\0') => {
            format!("CAST(x'{}' AS TEXT)", hex(text.as_bytes()))
        }
        Value::Text(text) => quote_text(text),
        Value::Bytes(bytes) => format!("x'{}'", hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text constant.
pub(in super::super) fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// An identifier.
pub(in super::super) fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
