//! Functions behind MySQL's `information_schema`: types, defaults and keys in its words.

use super::{Arguments, Registry};
use crate::id::EngineKind;
use crate::sim::sql::context::Context;
use crate::sim::sql::types::{self, Family, Generation};
use crate::sim::sql::{SqlError, SqlType, Value};

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
        // 65 digits: the most that MySQL keeps; the declared number is not kept here.
        (SqlType::Numeric, scale) => format!("decimal(65,{})", scale.unwrap_or(0)),
        (SqlType::Timestamp, Some(digits)) if digits > 0 => format!("datetime({digits})"),
        _ => name.to_owned(),
    };
    Ok(match arguments.text(1).as_str() {
        "name" => Value::Text(name.to_owned()),
        "full" => Value::Text(full),
        "is text" => Value::Integer(is_text.into()),
        _ => match (is_text, of.modifier) {
            (true, Some(length)) => Value::Integer(length.into()),
            (true, None) => Value::Integer(65_535),
            (false, _) => Value::Null,
        },
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
