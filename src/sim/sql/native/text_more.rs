//! Further functions on texts: code points, encodings, lists. Positions count characters from 1.

use super::{Arguments, Registry};
use crate::sim::sql::context::Context;
use crate::sim::sql::convert::parse_hex;
use crate::sim::sql::{SqlError, Value};

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.pure("sim_capitals", |_, arguments| {
        of_text(arguments, |text| Value::Text(capitals(text)))
    })?;
    registry.pure("sim_code", |_, arguments| {
        of_text(arguments, |text| {
            Value::Integer(text.chars().next().map_or(0, |char| u32::from(char).into()))
        })
    })?;
    registry.pure("sim_translate", translate)?;
    registry.pure("sim_encode", encode)?;
    registry.pure("sim_decode", decode)?;
    registry.pure("sim_locate", locate)?;
    registry.pure("sim_find_in_set", find_in_set)?;
    registry.pure("sim_order", |_, arguments| {
        if arguments.any_null() {
            return Ok(Value::Null);
        }
        // Under MySQL's collation, which ignores case.
        let [left, right] = [0, 1].map(|place| arguments.text(place).to_lowercase());
        Ok(Value::Integer(left.cmp(&right) as i64))
    })
}

fn of_text(arguments: &Arguments<'_, '_>, answer: fn(&str) -> Value) -> Result<Value, SqlError> {
    Ok(match arguments.any_null() {
        true => Value::Null,
        false => answer(&arguments.text(0)),
    })
}

/// Each word with one capital.
fn capitals(text: &str) -> String {
    let mut within = false;
    let mut shown = String::new();
    for char in text.chars() {
        match within {
            true => shown.extend(char.to_lowercase()),
            false => shown.extend(char.to_uppercase()),
        }
        within = char.is_alphanumeric();
    }
    shown
}

fn translate(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let from: Vec<char> = arguments.text(1).chars().collect();
    let to: Vec<char> = arguments.text(2).chars().collect();
    let text = arguments.text(0);
    let changed =
        text.chars()
            .filter_map(|char| match from.iter().position(|known| *known == char) {
                Some(place) => to.get(place).copied(),
                None => Some(char),
            });
    Ok(Value::Text(changed.collect()))
}

fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::Bytes(bytes) => bytes,
        Value::Text(text) => text.into_bytes(),
        _ => Vec::new(),
    }
}

/// `encode(bytes, 'hex')`; other formats are refused.
fn encode(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let bytes = bytes(arguments.value(0));
    match arguments.text(1).as_str() {
        "hex" => Ok(Value::Text(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        )),
        other => Err(unknown_encoding(other)),
    }
}

fn decode(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    match arguments.text(1).as_str() {
        "hex" => match parse_hex(&arguments.text(0)) {
            Some(bytes) => Ok(Value::Bytes(bytes)),
            None => Err(SqlError::new("22023", 0, "invalid hexadecimal data")),
        },
        other => Err(unknown_encoding(other)),
    }
}

fn unknown_encoding(name: &str) -> SqlError {
    let message = format!("the encoding {name} is not supported by the simulator");
    SqlError::new("0A000", 0, message)
}

/// `locate(part, whole [, from])`.
fn locate(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let from = match arguments.len() {
        3 => arguments.integer(2),
        _ => 1,
    };
    let Some(skipped) = from.checked_sub(1).and_then(|it| usize::try_from(it).ok()) else {
        return Ok(Value::Integer(0));
    };
    let part = arguments.text(0).to_lowercase();
    let whole = arguments.text(1).to_lowercase();
    let rest: String = whole.chars().skip(skipped).collect();
    let found = rest.find(&part).map(|at| rest[..at].chars().count());
    let place = found.map_or(0, |at| at + skipped + 1);
    Ok(Value::Integer(i64::try_from(place).unwrap_or(i64::MAX)))
}

fn find_in_set(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let wanted = arguments.text(0).to_lowercase();
    let list = arguments.text(1).to_lowercase();
    let found = list.split(',').position(|item| item == wanted);
    let place = found.filter(|_| !list.is_empty()).map_or(0, |at| at + 1);
    Ok(Value::Integer(i64::try_from(place).unwrap_or(i64::MAX)))
}
