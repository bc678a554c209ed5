//! Parameters on their way from the client.

use bytes::{Buf, Bytes};

use super::encode::uuid;
use super::{Format, Type, array, bytea, datetime, interval, name, numeric};
use crate::sim::front::postgres::failure::error;
use crate::sim::sql::{SqlError, SqlType, Value};

/// Reads parameter number `number` (the first is 1) of a type, which the client knows by `oid`.
pub(in super::super) fn decode(
    bytes: Bytes,
    kind: SqlType,
    oid: u32,
    format: Format,
    number: usize,
) -> Result<Value, SqlError> {
    match format {
        Format::Text => from_text(utf8(&bytes)?, kind),
        Format::Binary => from_binary(bytes, kind, oid, number),
    }
}

pub(super) fn from_text(text: &str, kind: SqlType) -> Result<Value, SqlError> {
    let odd = || invalid(text, kind);
    let trimmed = text.trim();
    Ok(match kind {
        SqlType::Bool => Value::Integer(boolean(trimmed).ok_or_else(odd)?.into()),
        SqlType::Int2 => whole::<i16>(trimmed, kind)?,
        SqlType::Int4 => whole::<i32>(trimmed, kind)?,
        SqlType::Int8 | SqlType::UnsignedInt8 => whole::<i64>(trimmed, kind)?,
        // Names, such as those of functions, are identifiers too.
        SqlType::Oid => {
            whole::<u32>(trimmed, kind).unwrap_or_else(|_| Value::Text(text.to_owned()))
        }
        SqlType::Float4 | SqlType::Float8 => Value::Real(trimmed.parse().map_err(|_| odd())?),
        SqlType::Numeric => Value::Text(decimal(trimmed).ok_or_else(odd)?),
        SqlType::Text
        | SqlType::Varchar
        | SqlType::Name
        | SqlType::InternalChar
        | SqlType::Unknown => Value::Text(text.to_owned()),
        SqlType::Bytes => Value::Bytes(bytea::parse(text).ok_or_else(odd)?),
        SqlType::Date => {
            let days = datetime::date_days(trimmed).ok_or_else(odd)?;
            Value::Text(datetime::date_text(days).ok_or_else(odd)?)
        }
        SqlType::Time => {
            let micros = datetime::time_micros(trimmed).ok_or_else(odd)?;
            Value::Text(datetime::time_text(micros).ok_or_else(odd)?)
        }
        SqlType::Timestamp | SqlType::TimestampTz => {
            let zoned = kind == SqlType::TimestampTz;
            let micros = datetime::timestamp_micros(trimmed, zoned).ok_or_else(odd)?;
            Value::Text(datetime::timestamp_text(micros).ok_or_else(odd)?)
        }
        SqlType::Interval => Value::Integer(interval::parse(trimmed).ok_or_else(odd)?),
        SqlType::Uuid => Value::Text(uuid_text(uuid(trimmed).ok_or_else(odd)?)),
        SqlType::Json => json(text)?,
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
        | SqlType::NameArray => array::from_text(text, kind)?,
    })
}

fn from_binary(
    mut bytes: Bytes,
    kind: SqlType,
    oid: u32,
    number: usize,
) -> Result<Value, SqlError> {
    let malformed = || {
        let message = format!("incorrect binary data format in bind parameter {number}");
        error("22P03", message)
    };
    if expected_size(kind).is_some_and(|size| size != bytes.len()) {
        return Err(malformed());
    }
    Ok(match kind {
        SqlType::Bool => Value::Integer((bytes[0] != 0).into()),
        SqlType::Int2 => Value::Integer(bytes.get_i16().into()),
        SqlType::Int4 => Value::Integer(bytes.get_i32().into()),
        SqlType::Int8 | SqlType::UnsignedInt8 => Value::Integer(bytes.get_i64()),
        SqlType::Oid => Value::Integer(bytes.get_u32().into()),
        SqlType::Float4 => Value::Real(bytes.get_f32().into()),
        SqlType::Float8 => Value::Real(bytes.get_f64()),
        SqlType::Numeric => Value::Text(numeric::decode(bytes).ok_or_else(malformed)?),
        SqlType::Bytes => Value::Bytes(bytes.to_vec()),
        SqlType::Date => {
            Value::Text(datetime::date_text(bytes.get_i32()).ok_or_else(|| out_of_range(kind))?)
        }
        SqlType::Time => {
            Value::Text(datetime::time_text(bytes.get_i64()).ok_or_else(|| out_of_range(kind))?)
        }
        SqlType::Timestamp | SqlType::TimestampTz => Value::Text(
            datetime::timestamp_text(bytes.get_i64()).ok_or_else(|| out_of_range(kind))?,
        ),
        SqlType::Interval => interval_of(bytes)?,
        SqlType::Uuid => Value::Text(uuid_text(bytes.get_u128())),
        // The binary form of `jsonb` starts with its version.
        SqlType::Json if oid == Type::JSONB.oid() => match bytes.split_first() {
            Some((1, text)) => json(utf8(text)?)?,
            _ => return Err(malformed()),
        },
        SqlType::Json => json(utf8(&bytes)?)?,
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
        | SqlType::NameArray => array::from_binary(bytes, kind, number)?,
        SqlType::Text | SqlType::Varchar | SqlType::Name | SqlType::InternalChar => {
            Value::Text(utf8(&bytes)?.to_owned())
        }
        // Of a type that is not known the binary form is not known either.
        SqlType::Unknown if oid != Type::TEXT.oid() && oid != Type::UNKNOWN.oid() => {
            let message = format!("the binary format of type {oid} is not supported");
            return Err(error("0A000", message));
        }
        SqlType::Unknown => Value::Text(utf8(&bytes)?.to_owned()),
    })
}

/// The sixteen bytes of an interval.
fn interval_of(mut bytes: Bytes) -> Result<Value, SqlError> {
    let (micros, days, months) = (bytes.get_i64(), bytes.get_i32(), bytes.get_i32());
    let total = interval::from_parts(micros, days, months);
    total
        .map(Value::Integer)
        .ok_or_else(|| out_of_range(SqlType::Interval))
}

/// The size of the binary form, where there is only one.
fn expected_size(kind: SqlType) -> Option<usize> {
    match super::size(kind) {
        // A name is shorter than the space that it has.
        _ if kind == SqlType::Name => None,
        size if size > 0 => Some(size.unsigned_abs().into()),
        _ => None,
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(error(
            "22021",
            "invalid byte sequence for encoding \"UTF8\"",
        )),
    }
}

/// A boolean, or the start of the word for one.
fn boolean(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let starts = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if starts("true", 1) || starts("yes", 1) || starts("on", 2) || text == "1" {
        Some(true)
    } else if starts("false", 1) || starts("no", 1) || starts("off", 2) || text == "0" {
        Some(false)
    } else {
        None
    }
}

fn whole<T: TryFrom<i64>>(text: &str, kind: SqlType) -> Result<Value, SqlError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(text, kind));
    }
    text.parse()
        .ok()
        .filter(|&number| T::try_from(number).is_ok())
        .map(Value::Integer)
        .ok_or_else(|| {
            error(
                "22003",
                format!("value \"{text}\" is out of range for type {}", name(kind)),
            )
        })
}

/// A number in plain decimal notation, as the binary form would give it back.
fn decimal(text: &str) -> Option<String> {
    let plain = match text.find(['e', 'E']) {
        None => text.to_owned(),
        Some(at) => shifted(&text[..at], text[at + 1..].parse().ok()?)?,
    };
    let mut binary = bytes::BytesMut::new();
    if !numeric::encode(&plain, &mut binary) {
        return None;
    }
    numeric::decode(binary.freeze())
}

/// A decimal number with its point moved to the right, or to the left where `by` is negative.
fn shifted(text: &str, by: i32) -> Option<String> {
    // PostgreSQL's greatest exponent is 131071; so many zeros are nobody's number.
    const GREATEST: i32 = 1_000;
    if !(-GREATEST..=GREATEST).contains(&by) {
        return None;
    }
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => text.split_at(text.len() - rest.len()),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (zeros_before, zeros_after) = if by < 0 {
        ((-by) as usize, 0)
    } else {
        (0, by as usize)
    };
    let all = format!(
        "{}{whole}{fraction}{}",
        "0".repeat(zeros_before),
        "0".repeat(zeros_after)
    );
    let point = usize::try_from((zeros_before + whole.len()) as i64 + i64::from(by)).ok()?;
    let (whole, rest) = all.split_at_checked(point)?;
    let rest = &rest[..rest
        .len()
        .min((fraction.len() as i64 - i64::from(by)).max(0) as usize)];
    Some(format!("{sign}{whole}.{rest}"))
}

fn json(text: &str) -> Result<Value, SqlError> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(_) => Ok(Value::Text(text.to_owned())),
        Err(_) => Err(error("22P02", "invalid input syntax for type json")),
    }
}

fn uuid_text(uuid: u128) -> String {
    let hex = format!("{uuid:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

fn invalid(text: &str, kind: SqlType) -> SqlError {
    let sqlstate = match kind {
        SqlType::Date
        | SqlType::Time
        | SqlType::Timestamp
        | SqlType::TimestampTz
        | SqlType::Interval => "22007",
        _ => "22P02",
    };
    error(
        sqlstate,
        format!("invalid input syntax for type {}: \"{text}\"", name(kind)),
    )
}

fn out_of_range(kind: SqlType) -> SqlError {
    error("22008", format!("{} out of range", name(kind)))
}
