//! Functions behind MySQL's `information_schema`: types, defaults and keys in its words.

use super::{Arguments, Registry};
use crate::id::EngineKind;
use crate::sim::sql::context::Context;
use crate::sim::sql::types::{self, Family, Generation};
use crate::sim::sql::{SqlError, SqlType, Value, written_type};

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.pure("sim_column_type", column_type)?;
    registry.pure("sim_column_default", |_, arguments| {
        Ok(default(arguments).map_or(Value::Null, Value::Text))
    })?;
    registry.pure("sim_column_default_text", |_, arguments| {
        Ok(default(arguments).map_or(Value::Null, |it| Value::Text(as_written(&it))))
    })?;
    registry.pure("sim_column_extra", column_extra)?;
    registry.pure("sim_key_name", key_name)
}

/// `sim_column_type(declared, what)`: the type's name, its length, or both.
fn column_type(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (of, _) = types::from_declaration(&arguments.text(0));
    let name = match of.kind {
        SqlType::Bool => "tinyint",
        SqlType::Int4 => "int",
        SqlType::Int8 | SqlType::UnsignedInt8 => "bigint",
        kind => kind.name(EngineKind::MySql),
    };
    let is_text = of.kind.family() == Family::Text;
    let full = match (of.kind, of.modifier) {
        (SqlType::Bool, _) => "tinyint(1)".to_owned(),
        (SqlType::UnsignedInt8, _) => "bigint unsigned".to_owned(),
        (SqlType::Varchar, Some(length)) => format!("varchar({length})"),
        (SqlType::Numeric, digits) => {
            let (precision, scale) = digits.map_or((65, 0), types::precision_and_scale);
            format!("decimal({precision},{scale})")
        }
        (SqlType::Timestamp, Some(digits)) if digits > 0 => format!("datetime({digits})"),
        _ => name.to_owned(),
    };
    let shown = written_type::shown_name(&arguments.text(0));
    let full = shown.clone().unwrap_or(full);
    let name = match &shown {
        Some(shown) => shown.split(['(', ' ']).next().unwrap_or(name),
        None => name,
    };
    let digits = of.modifier.map(types::precision_and_scale);
    Ok(match arguments.text(1).as_str() {
        "name" => Value::Text(name.to_owned()),
        "precision" => numeric_precision(of, digits),
        "scale" => match (of.kind, digits) {
            (SqlType::Numeric, Some((_, scale))) => Value::Integer(scale.into()),
            (kind, _) if kind.is_integer() => Value::Integer(0),
            _ => Value::Null,
        },
        "fraction" => match (of.kind, of.modifier) {
            (SqlType::Timestamp | SqlType::Time, digits) => {
                Value::Integer(digits.unwrap_or(0).into())
            }
            _ => Value::Null,
        },
        "full" => Value::Text(full),
        "is text" => Value::Integer(is_text.into()),
        _ => match (is_text, of.modifier) {
            (true, Some(length)) => Value::Integer(length.into()),
            (true, None) => Value::Integer(65_535),
            (false, _) => Value::Null,
        },
    })
}

/// `NUMERIC_PRECISION` of `information_schema.columns`.
fn numeric_precision(of: types::Type, digits: Option<(u32, u32)>) -> Value {
    Value::Integer(match of.kind {
        SqlType::Numeric => digits.map_or(65, |(precision, _)| precision.into()),
        SqlType::Bool => 3,
        SqlType::Int2 => 5,
        SqlType::Int4 => 10,
        SqlType::Int8 => 19,
        SqlType::UnsignedInt8 => 20,
        SqlType::Float4 => 12,
        SqlType::Float8 => 22,
        _ => return Value::Null,
    })
}

/// A default as `CREATE TABLE` has it: MySQL quotes numbers, too.
fn as_written(default: &str) -> String {
    match default {
        text if text.starts_with("CURRENT_TIMESTAMP") => text.to_owned(),
        text => format!("'{}'", text.replace('\'', "''")),
    }
}

/// A column's default, without quotes.
fn default(arguments: &Arguments<'_, '_>) -> Option<String> {
    if arguments.is_null(0) {
        return None;
    }
    let text = arguments.text(0);
    let bare = text.trim();
    let quoted = bare.strip_prefix('\'').and_then(|it| it.strip_suffix('\''));
    Some(match quoted {
        Some(inner) => inner.replace("''", "'"),
        None if bare.contains("sim_now") => "CURRENT_TIMESTAMP".to_owned(),
        None if bare.eq_ignore_ascii_case("null") => return None,
        None => bare.to_owned(),
    })
}

/// `sim_column_extra(declared, default)`.
fn column_extra(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (_, generation) = types::from_declaration(&arguments.text(0));
    let generated = arguments.text(1).contains("sim_now");
    Ok(Value::Text(
        match generation {
            Generation::ByDefault | Generation::Always => "auto_increment",
            Generation::OnUpdate if generated => "DEFAULT_GENERATED on update CURRENT_TIMESTAMP",
            Generation::OnUpdate => "on update CURRENT_TIMESTAMP",
            Generation::None if generated => "DEFAULT_GENERATED",
            Generation::None => "",
        }
        .to_owned(),
    ))
}

/// `sim_key_name(index, table, origin)`: the name within its table.
fn key_name(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let name = arguments.text(0);
    let prefix = format!("{}.", arguments.text(1));
    Ok(Value::Text(match arguments.text(2).as_str() {
        "pk" => "PRIMARY".to_owned(),
        _ => name.strip_prefix(&prefix).unwrap_or(&name).to_owned(),
    }))
}
