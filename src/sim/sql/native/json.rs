//! What JSON operators call.

use serde_json::Value as Json;

use super::{Arguments, Registry};
use crate::sim::sql::context::Context;
use crate::sim::sql::{SqlError, Value};

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.pure("sim_json_item", item)?;
    registry.pure("sim_json_path", path)?;
    registry.pure("sim_json_at", at)?;
    registry.pure("sim_json_contains", |_, arguments| {
        Ok(match (json(arguments, 0), json(arguments, 1)) {
            (Some(whole), Some(part)) => Value::Integer(contains(&whole, &part, true).into()),
            _ => Value::Null,
        })
    })?;
    registry.pure("sim_json_has", |_, arguments| {
        let key = arguments.text(1);
        Ok(match json(arguments, 0) {
            Some(_) if arguments.is_null(1) => Value::Null,
            Some(Json::Object(object)) => Value::Integer(object.contains_key(&key).into()),
            Some(Json::Array(list)) => {
                let found = list.iter().any(|item| item.as_str() == Some(&key));
                Value::Integer(found.into())
            }
            Some(other) => Value::Integer((other.as_str() == Some(&key)).into()),
            None => Value::Null,
        })
    })
}

fn json(arguments: &Arguments<'_, '_>, place: usize) -> Option<Json> {
    match arguments.is_null(place) {
        true => None,
        false => serde_json::from_str(&arguments.text(place)).ok(),
    }
}

/// `(as text?, json, key or index)`.
fn item(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let Some(whole) = json(arguments, 1) else {
        return Ok(Value::Null);
    };
    let found = match arguments.value(2) {
        Value::Integer(index) => by_index(&whole, index),
        Value::Text(key) => whole.get(&key),
        _ => None,
    };
    Ok(shown(found, arguments.integer(0) != 0))
}

/// `(as text?, json, list of keys)`.
fn path(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (Some(whole), Some(Json::Array(keys))) = (json(arguments, 1), json(arguments, 2)) else {
        return Ok(Value::Null);
    };
    let mut found = Some(&whole);
    for key in &keys {
        let key = key.as_str().unwrap_or_default();
        found = found.and_then(|found| match found {
            Json::Array(_) => key.parse().ok().and_then(|index| by_index(found, index)),
            other => other.get(key),
        });
    }
    Ok(shown(found, arguments.integer(0) != 0))
}

/// MySQL: `(unquoted?, json, path)`, the path being `$` with `.key`, `."key"` and `[index]`.
fn at(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let Some(whole) = json(arguments, 1) else {
        return Ok(Value::Null);
    };
    let path = arguments.text(2);
    let wrong = || {
        let message = format!(
            "Invalid JSON path expression. The error is around character position 1 in '{path}'."
        );
        SqlError::of(context.engine, "2203C", (3143, "42000"), message)
    };
    let mut rest = path.trim().strip_prefix('$').ok_or_else(wrong)?;
    let mut found = Some(&whole);
    while !rest.is_empty() {
        let (step, after) = match (rest.strip_prefix('.'), rest.strip_prefix('[')) {
            (Some(quoted), _) if quoted.starts_with('"') => {
                let (key, after) = quoted[1..].split_once('"').ok_or_else(wrong)?;
                (found.and_then(|found| found.get(key)), after)
            }
            (Some(bare), _) => {
                let end = bare.find(['.', '[']).unwrap_or(bare.len());
                let key = bare[..end].trim();
                if key.is_empty() || key.contains('*') {
                    return Err(wrong());
                }
                (found.and_then(|found| found.get(key)), &bare[end..])
            }
            (None, Some(indexed)) => {
                let (index, after) = indexed.split_once(']').ok_or_else(wrong)?;
                let index: usize = index.trim().parse().map_err(|_| wrong())?;
                (found.and_then(|found| found.get(index)), after)
            }
            (None, None) => return Err(wrong()),
        };
        (found, rest) = (step, after);
    }
    // MySQL's `->>` keeps the word null, which PostgreSQL's makes NULL.
    Ok(match (found, arguments.integer(0) != 0) {
        (Some(Json::Null), true) => Value::Text("null".to_owned()),
        (found, as_text) => shown(found, as_text),
    })
}

/// Negative indexes count from the end.
fn by_index(whole: &Json, index: i64) -> Option<&Json> {
    let list = whole.as_array()?;
    let index = match index {
        index if index < 0 => i64::try_from(list.len()).ok()?.checked_add(index)?,
        index => index,
    };
    list.get(usize::try_from(index).ok()?)
}

fn shown(found: Option<&Json>, as_text: bool) -> Value {
    match (found, as_text) {
        (None, _) | (Some(Json::Null), true) => Value::Null,
        (Some(Json::String(text)), true) => Value::Text(text.clone()),
        (Some(found), _) => Value::Text(found.to_string()),
    }
}

/// PostgreSQL manual, 8.14.3: all of the part is somewhere in the whole, at the same level.
fn contains(whole: &Json, part: &Json, top: bool) -> bool {
    match (whole, part) {
        (Json::Object(whole), Json::Object(part)) => part.iter().all(|(key, part)| {
            whole
                .get(key)
                .is_some_and(|whole| contains(whole, part, false))
        }),
        (Json::Array(whole), Json::Array(part)) => part
            .iter()
            .all(|part| whole.iter().any(|whole| contains(whole, part, false))),
        // An array may contain a primitive value, at the top alone.
        (Json::Array(whole), part) if top && !part.is_object() => whole.contains(part),
        (whole, part) => whole == part,
    }
}
