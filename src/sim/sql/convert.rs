//! Values from one type to another: literals while a statement is compiled, parameters when
//! they are bound, everything else while it runs. One place, so that all three agree.

use super::decimal::Decimal;
use super::types::{self, Family, Type};
use super::{SqlError, SqlType, Value, array, datetime};
use crate::id::EngineKind;

/// Converts a value into the inner form of a type.
///
/// `from` is the type that the value has so far; [`SqlType::Unknown`] for text from outside.
pub(super) fn convert(
    engine: EngineKind,
    value: Value,
    from: SqlType,
    to: Type,
) -> Result<Value, SqlError> {
    if matches!(value, Value::Null) {
        return Ok(Value::Null);
    }
    match to.kind {
        // A number in quotes, as psql writes object ids; names of functions stay what they are.
        SqlType::Oid => Ok(match &value {
            Value::Text(text) => text.parse().map_or(value, Value::Integer),
            _ => value,
        }),
        SqlType::Unknown => Ok(value),
        SqlType::Bool => to_bool(engine, value),
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::UnsignedInt8 => {
            to_integer(engine, value, from, to.kind)
        }
        SqlType::Float4 | SqlType::Float8 => to_float(engine, value, to.kind),
        SqlType::Numeric => to_numeric(engine, value, to),
        SqlType::Text | SqlType::Varchar | SqlType::InternalChar | SqlType::Name => {
            to_text(engine, value, from, to)
        }
        SqlType::Json => to_json(engine, value),
        SqlType::BoolArray
        | SqlType::Int2Array
        | SqlType::Int4Array
        | SqlType::Int8Array
        | SqlType::Float8Array
        | SqlType::TextArray
        | SqlType::UuidArray
        | SqlType::Float4Array
        | SqlType::NumericArray
        | SqlType::BytesArray
        | SqlType::DateArray
        | SqlType::TimeArray
        | SqlType::TimestampArray
        | SqlType::TimestampTzArray
        | SqlType::IntervalArray
        | SqlType::JsonArray
        | SqlType::OidArray
        | SqlType::NameArray => to_array(engine, value, from, to.kind),
        SqlType::Bytes => to_bytes(engine, value),
        SqlType::Date | SqlType::Timestamp | SqlType::TimestampTz => to_moment(engine, value, to),
        SqlType::Time => to_time(engine, value, from),
        SqlType::Interval => to_interval(engine, value),
        SqlType::Uuid => to_uuid(engine, value),
    }
}

/// A list in its inner form, or a literal such as `{1,2}`.
fn to_array(
    engine: EngineKind,
    value: Value,
    from: SqlType,
    to: SqlType,
) -> Result<Value, SqlError> {
    let element = to.element().unwrap_or(SqlType::Text);
    let Value::Text(text) = &value else {
        return Err(invalid(engine, to, &value));
    };
    // A list of the same family; or one that a front has put into its inner form.
    let listed = match from.element().is_some() || text.starts_with('[') {
        true => array::from_inner(text),
        false => None,
    };
    let elements = listed.or_else(|| {
        let elements = array::parse_literal(text)?.into_iter();
        Some(
            elements
                .map(|it| it.map_or(Value::Null, Value::Text))
                .collect(),
        )
    });
    let Some(elements) = elements else {
        let shown: String = text.chars().take(100).collect();
        let message = format!("malformed array literal: \"{shown}\"");
        return Err(SqlError::of(engine, "22P02", (1366, "HY000"), message));
    };
    let converted = elements
        .into_iter()
        .map(|element_value| convert(engine, element_value, SqlType::Unknown, element.into()));
    let converted: Vec<Value> = converted.collect::<Result<_, _>>()?;
    Ok(Value::Text(array::to_inner(converted)))
}

fn invalid(engine: EngineKind, kind: SqlType, value: &Value) -> SqlError {
    SqlError::invalid_value(engine, kind.name(engine), &display(value))
}

fn display(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn to_bool(engine: EngineKind, value: Value) -> Result<Value, SqlError> {
    let truth = match &value {
        // MySQL's BOOL is TINYINT(1): it keeps the number.
        Value::Integer(number) if engine == EngineKind::MySql => {
            return Ok(Value::Integer(*number));
        }
        Value::Integer(number) => Some(*number != 0),
        Value::Real(number) => Some(*number != 0.0),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
            "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    match truth {
        Some(truth) => Ok(Value::Integer(truth.into())),
        None => Err(invalid(engine, SqlType::Bool, &value)),
    }
}

fn to_integer(
    engine: EngineKind,
    value: Value,
    from: SqlType,
    to: SqlType,
) -> Result<Value, SqlError> {
    let number = match &value {
        Value::Integer(number) => Some(*number),
        Value::Real(number) if number.abs() < 9.3e18 => {
            // PostgreSQL rounds halves of floats to even, MySQL away from zero.
            let rounded = match engine {
                EngineKind::Postgres => number.round_ties_even(),
                EngineKind::MySql => number.round(),
            };
            Decimal::from_float(rounded).and_then(Decimal::to_integer)
        }
        Value::Real(_) => return Err(SqlError::out_of_range(engine, to.name(engine))),
        Value::Text(text) => {
            let whole = text.trim().parse::<i64>().ok();
            let rounds = from == SqlType::Numeric || engine == EngineKind::MySql;
            match (whole, Decimal::parse(text)) {
                (Some(number), _) => Some(number),
                (None, Some(decimal)) if rounds => decimal.to_integer(),
                (None, Some(_)) if looks_like_integer(text) => {
                    return Err(SqlError::out_of_range(engine, to.name(engine)));
                }
                _ => None,
            }
        }
        _ => None,
    };
    let Some(number) = number else {
        return Err(invalid(engine, to, &value));
    };
    let (low, high) = to.integer_range().unwrap_or((i64::MIN, i64::MAX));
    if (low..=high).contains(&number) {
        Ok(Value::Integer(number))
    } else {
        Err(SqlError::out_of_range(engine, to.name(engine)))
    }
}

fn looks_like_integer(text: &str) -> bool {
    let digits = text.trim().trim_start_matches(['-', '+']);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn to_float(engine: EngineKind, value: Value, to: SqlType) -> Result<Value, SqlError> {
    let number = match &value {
        Value::Integer(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        Value::Text(text) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    match number {
        // SQLite stores NaN as NULL, which would be a wrong answer.
        Some(number) if number.is_nan() => Err(SqlError::unsupported(engine, "NaN")),
        Some(number) if to == SqlType::Float4 => Ok(Value::Real(f64::from(number as f32))),
        Some(number) => Ok(Value::Real(number)),
        None => Err(invalid(engine, to, &value)),
    }
}

fn to_numeric(engine: EngineKind, value: Value, to: Type) -> Result<Value, SqlError> {
    let number = match &value {
        Value::Integer(number) => Some(Decimal::new((*number).into(), 0)),
        Value::Real(number) => Decimal::from_float(*number),
        Value::Text(text) => Decimal::parse(text),
        _ => None,
    };
    let Some(number) = number else {
        return Err(invalid(engine, SqlType::Numeric, &value));
    };
    let Some(modifier) = to.modifier else {
        return Ok(Value::Text(number.to_string()));
    };
    let (precision, scale) = types::precision_and_scale(modifier);
    let number = number.round(scale);
    if number.whole_digits() > precision.saturating_sub(scale) {
        let message = match engine {
            EngineKind::Postgres => "numeric field overflow",
            EngineKind::MySql => "Out of range value for column",
        };
        let detail = format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value \
             less than 10^{}.",
            precision.saturating_sub(scale)
        );
        let error = SqlError::of(engine, "22003", (1264, "22003"), message);
        return Err(error.with_detail(detail));
    }
    Ok(Value::Text(number.to_string()))
}

fn to_text(engine: EngineKind, value: Value, from: SqlType, to: Type) -> Result<Value, SqlError> {
    let text = match (value, from) {
        (Value::Integer(number), SqlType::Bool) if engine == EngineKind::Postgres => {
            if number == 0 { "false" } else { "true" }.to_owned()
        }
        (Value::Integer(micros), SqlType::Interval) => datetime::format_interval(micros),
        (Value::Text(text), SqlType::TimestampTz) => format!("{}+00", datetime::short(&text)),
        (Value::Text(text), SqlType::Timestamp | SqlType::Time) => {
            datetime::short(&text).to_owned()
        }
        (Value::Bytes(bytes), _) if engine == EngineKind::Postgres => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{hex}")
        }
        (Value::Text(text), _) => text,
        (other, _) => display(&other),
    };
    let Some(limit) = to.modifier else {
        return Ok(Value::Text(text));
    };
    if text.chars().count() <= limit as usize {
        return Ok(Value::Text(text));
    }
    let message = match engine {
        EngineKind::Postgres => format!("value too long for type character varying({limit})"),
        EngineKind::MySql => "Data too long for column".to_owned(),
    };
    Err(SqlError::of(engine, "22001", (1406, "22001"), message))
}

fn to_json(engine: EngineKind, value: Value) -> Result<Value, SqlError> {
    let text = display(&value);
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(_) => Ok(Value::Text(text)),
        Err(_) => Err(invalid(engine, SqlType::Json, &value)),
    }
}

fn to_bytes(engine: EngineKind, value: Value) -> Result<Value, SqlError> {
    match value {
        Value::Bytes(bytes) => Ok(Value::Bytes(bytes)),
        Value::Text(text) if engine == EngineKind::MySql => Ok(Value::Bytes(text.into_bytes())),
        Value::Text(text) => match text.strip_prefix("\\x") {
            Some(hex) => parse_hex(hex)
                .map(Value::Bytes)
                .ok_or_else(|| SqlError::invalid_value(engine, "bytea", &text)),
            // PostgreSQL's escape format, of which the doubled backslash is the common part.
            None => Ok(Value::Bytes(text.replace("\\\\", "\\").into_bytes())),
        },
        other => Ok(Value::Bytes(display(&other).into_bytes())),
    }
}

/// Pairs of hexadecimal digits as bytes.
pub(super) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

fn to_moment(engine: EngineKind, value: Value, to: Type) -> Result<Value, SqlError> {
    let Value::Text(text) = &value else {
        return Err(invalid(engine, to.kind, &value));
    };
    let Some(micros) = datetime::parse_timestamp(text) else {
        return Err(invalid(engine, to.kind, &value));
    };
    let micros = match to.modifier {
        // MySQL rounds to the column's digits.
        Some(digits) if digits < 6 => {
            let step = 10_i64.pow(6 - digits);
            (micros + step / 2).div_euclid(step) * step
        }
        _ => micros,
    };
    let text = datetime::format_timestamp(micros);
    Ok(Value::Text(match to.kind {
        SqlType::Date => text.chars().take(10).collect(),
        _ => text,
    }))
}

fn to_time(engine: EngineKind, value: Value, from: SqlType) -> Result<Value, SqlError> {
    let micros = match &value {
        Value::Text(text) if from.family() == Family::Moment => text
            .split_once(' ')
            .and_then(|(_, time)| datetime::parse_time(time)),
        Value::Text(text) => datetime::parse_time(text),
        _ => None,
    };
    match micros {
        Some(micros) => Ok(Value::Text(datetime::format_time(micros))),
        None => Err(invalid(engine, SqlType::Time, &value)),
    }
}

fn to_interval(engine: EngineKind, value: Value) -> Result<Value, SqlError> {
    match &value {
        Value::Integer(micros) => Ok(Value::Integer(*micros)),
        Value::Text(text) => match datetime::parse_interval(text) {
            Some(span) if span.months == 0 => Ok(Value::Integer(span.micros)),
            Some(_) => Err(SqlError::unsupported(engine, "a stored interval of months")),
            None => Err(invalid(engine, SqlType::Interval, &value)),
        },
        _ => Err(invalid(engine, SqlType::Interval, &value)),
    }
}

fn to_uuid(engine: EngineKind, value: Value) -> Result<Value, SqlError> {
    let bytes = match &value {
        Value::Text(text) => {
            let bare: String = text
                .trim()
                .trim_start_matches('{')
                .trim_end_matches('}')
                .chars()
                .filter(|char| *char != '-')
                .collect();
            parse_hex(&bare)
        }
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    };
    match bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()) {
        Some(bytes) => Ok(Value::Text(format_uuid(&bytes))),
        None => Err(invalid(engine, SqlType::Uuid, &value)),
    }
}

/// The hyphenated lower-case form.
pub(super) fn format_uuid(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[0..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32]
    )
}

/// The form in which a value of a result leaves the session.
///
/// Values that came from a column or a typed expression have it already; the rest (what SQLite
/// computed in a wider type) is brought into line here, and nothing fails but a number that is
/// out of its type's range.
pub(super) fn finish(engine: EngineKind, value: Value, of: Type) -> Result<Value, SqlError> {
    match (of.kind, value) {
        (_, Value::Null) => Ok(Value::Null),
        (SqlType::Numeric, Value::Integer(number)) => Ok(Value::Text(number.to_string())),
        (SqlType::Numeric, Value::Real(number)) => Ok(Value::Text(
            Decimal::from_float(number).map_or_else(|| number.to_string(), |it| it.to_string()),
        )),
        (SqlType::Float4 | SqlType::Float8, Value::Integer(number)) => {
            Ok(Value::Real(number as f64))
        }
        (kind, Value::Integer(number)) if kind.is_integer() => match kind.integer_range() {
            Some((low, high)) if number < low || number > high => {
                Err(SqlError::out_of_range(engine, kind.name(engine)))
            }
            _ => Ok(Value::Integer(number)),
        },
        // SQLite goes over to floats when an integer overflows.
        (kind, Value::Real(_)) if kind.is_integer() => {
            Err(SqlError::out_of_range(engine, kind.name(engine)))
        }
        (SqlType::Text | SqlType::Varchar, Value::Integer(number)) => {
            Ok(Value::Text(number.to_string()))
        }
        (SqlType::Text | SqlType::Varchar, Value::Real(number)) => {
            Ok(Value::Text(number.to_string()))
        }
        (SqlType::Timestamp | SqlType::Time, Value::Text(text)) => {
            Ok(Value::Text(match of.modifier {
                Some(digits) => cut_fraction(&text, digits),
                None => text,
            }))
        }
        (_, value) => Ok(value),
    }
}

/// A time or timestamp with so many digits of a fraction, of the six that it has inside.
fn cut_fraction(text: &str, digits: u32) -> String {
    let Some((whole, fraction)) = text.split_once('.') else {
        return text.to_owned();
    };
    match fraction.get(..digits as usize) {
        Some("") => whole.to_owned(),
        Some(fraction) => format!("{whole}.{fraction}"),
        None => text.to_owned(),
    }
}

/// The type of a value whose column's type could not be inferred.
pub(super) fn kind_of(value: &Value) -> SqlType {
    match value {
        Value::Null => SqlType::Unknown,
        Value::Integer(_) => SqlType::Int8,
        Value::Real(_) => SqlType::Float8,
        Value::Text(_) => SqlType::Text,
        Value::Bytes(_) => SqlType::Bytes,
    }
}
