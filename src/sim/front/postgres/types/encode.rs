//! Values of a result on their way to the client.

use bytes::{BufMut, BytesMut};

use super::{Format, array, bytea, datetime, float, interval, name, numeric};
use crate::sim::front::postgres::failure::error;
use crate::sim::sql::{SqlError, SqlType, Value};

/// Appends a value with its length before it, as a data row holds it.
pub(in super::super) fn encode(
    value: &Value,
    kind: SqlType,
    format: Format,
    out: &mut BytesMut,
) -> Result<(), SqlError> {
    if *value == Value::Null {
        out.put_i32(-1);
        return Ok(());
    }
    let start = out.len();
    out.put_i32(0);
    match format {
        Format::Text => put_text(value, kind, out),
        Format::Binary => put_binary(value, kind, out)?,
    }
    let length = i32::try_from(out.len() - start - 4)
        .map_err(|_| error("54000", "a value of the result is too long"))?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn put_text(value: &Value, kind: SqlType, out: &mut BytesMut) {
    match (kind, value) {
        (SqlType::Bool, Value::Integer(number)) => {
            out.put_u8(if *number == 0 { b'f' } else { b't' });
        }
        (SqlType::Bytes, Value::Bytes(bytes)) => out.put_slice(bytea::text(bytes).as_bytes()),
        (SqlType::Bytes, Value::Text(text)) => {
            out.put_slice(bytea::text(text.as_bytes()).as_bytes());
        }
        (SqlType::Float4, Value::Real(number)) => {
            out.put_slice(float::float4_text(*number as f32).as_bytes());
        }
        (kind, Value::Text(list)) if kind.element().is_some() => {
            array::put_text(list, kind, out);
        }
        (SqlType::Interval, Value::Integer(micros)) => {
            out.put_slice(interval::text(*micros).as_bytes());
        }
        (SqlType::Time | SqlType::Timestamp, Value::Text(text)) => {
            out.put_slice(short_fraction(text).as_bytes());
        }
        (SqlType::TimestampTz, Value::Text(text)) => {
            out.put_slice(short_fraction(text).as_bytes());
            if !text.ends_with("infinity") {
                out.put_slice(b"+00");
            }
        }
        _ => out.put_slice(plain(value, kind).as_bytes()),
    }
}

/// The value as text where its type adds nothing to it.
fn plain(value: &Value, kind: SqlType) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        // A numeric has no exponent.
        Value::Real(number) if kind == SqlType::Numeric => number.to_string(),
        Value::Real(number) => float::float8_text(*number),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytea::text(bytes),
        },
    }
}

/// PostgreSQL writes no zeros at the end of a second's fraction.
fn short_fraction(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

fn put_binary(value: &Value, kind: SqlType, out: &mut BytesMut) -> Result<(), SqlError> {
    let odd = || unfit(value, kind);
    match kind {
        SqlType::Bool => out.put_u8((integer(value, kind)? != 0).into()),
        SqlType::Int2 => out.put_i16(narrow(value, kind)?),
        SqlType::Int4 => out.put_i32(narrow(value, kind)?),
        SqlType::Int8 | SqlType::UnsignedInt8 => out.put_i64(integer(value, kind)?),
        SqlType::Oid => out.put_u32(narrow(value, kind)?),
        SqlType::Float4 => out.put_f32(real(value, kind)? as f32),
        SqlType::Float8 => out.put_f64(real(value, kind)?),
        SqlType::Numeric => {
            if !numeric::encode(&plain(value, kind), out) {
                return Err(odd());
            }
        }
        // One byte always, which is zero for the empty one (`charsend`).
        SqlType::InternalChar => {
            let text = plain(value, kind);
            out.put_u8(text.as_bytes().first().copied().unwrap_or(0));
        }
        SqlType::Text | SqlType::Varchar | SqlType::Name | SqlType::Json | SqlType::Unknown => {
            out.put_slice(plain(value, kind).as_bytes());
        }
        SqlType::Bytes => match value {
            Value::Bytes(bytes) => out.put_slice(bytes),
            other => out.put_slice(plain(other, kind).as_bytes()),
        },
        SqlType::Date => out.put_i32(datetime::date_days(text(value, kind)?).ok_or_else(odd)?),
        SqlType::Time => out.put_i64(datetime::time_micros(text(value, kind)?).ok_or_else(odd)?),
        SqlType::Timestamp | SqlType::TimestampTz => {
            out.put_i64(datetime::timestamp_micros(text(value, kind)?, true).ok_or_else(odd)?)
        }
        SqlType::Interval => {
            out.put_i64(match value {
                Value::Text(text) => interval::parse(text).ok_or_else(odd)?,
                other => integer(other, kind)?,
            });
            // Days and months are reckoned among the microseconds.
            out.put_i32(0);
            out.put_i32(0);
        }
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
        | SqlType::NameArray => array::put_binary(text(value, kind)?, kind, out)?,
        SqlType::Uuid => out.put_u128(uuid(text(value, kind)?).ok_or_else(odd)?),
    }
    Ok(())
}

/// The 16 bytes of a UUID, with or without hyphens.
pub(super) fn uuid(text: &str) -> Option<u128> {
    let digits: String = text
        .trim()
        .trim_start_matches('{')
        .trim_end_matches('}')
        .chars()
        .filter(|&character| character != '-')
        .collect();
    let hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u128::from_str_radix(&digits, 16).ok())
        .flatten()
}

fn integer(value: &Value, kind: SqlType) -> Result<i64, SqlError> {
    match value {
        Value::Integer(number) => Ok(*number),
        Value::Text(text) => text.trim().parse().map_err(|_| unfit(value, kind)),
        _ => Err(unfit(value, kind)),
    }
}

fn narrow<T: TryFrom<i64>>(value: &Value, kind: SqlType) -> Result<T, SqlError> {
    T::try_from(integer(value, kind)?)
        .map_err(|_| error("22003", format!("{} out of range", name(kind))))
}

fn real(value: &Value, kind: SqlType) -> Result<f64, SqlError> {
    match value {
        Value::Real(number) => Ok(*number),
        Value::Integer(number) => Ok(*number as f64),
        Value::Text(text) => text.trim().parse().map_err(|_| unfit(value, kind)),
        _ => Err(unfit(value, kind)),
    }
}

fn text(value: &Value, kind: SqlType) -> Result<&str, SqlError> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(unfit(value, kind)),
    }
}

/// The volume holds something in a column which the column's type cannot show.
fn unfit(value: &Value, kind: SqlType) -> SqlError {
    error(
        "22P02",
        format!(
            "invalid input syntax for type {}: \"{}\"",
            name(kind),
            plain(value, kind)
        ),
    )
}
