//! Arrays of one dimension: PostgreSQL's text form, and its binary one (`array_send`).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Format, bytea, decode, encode, oid};
use crate::sim::front::postgres::failure::error;
use crate::sim::sql::{SqlError, SqlType, Value, array};

/// Before each element, and before an encoded value, stands its length.
const LENGTH: usize = 4;

/// More elements than this are not taken from a client.
const MOST_ELEMENTS: usize = 1_000_000;

pub(super) fn from_text(text: &str, kind: SqlType) -> Result<Value, SqlError> {
    let element = kind.element().unwrap_or(SqlType::Text);
    let Some(elements) = array::parse_literal(text) else {
        let shown: String = text.chars().take(100).collect();
        return Err(error(
            "22P02",
            format!("malformed array literal: \"{shown}\""),
        ));
    };
    let elements = elements.into_iter().map(|text| match text {
        None => Ok(Value::Null),
        Some(text) => decode::from_text(&text, element),
    });
    let elements: Vec<Value> = elements.collect::<Result<_, _>>()?;
    Ok(Value::Text(array::to_inner(elements)))
}

pub(super) fn from_binary(
    mut bytes: Bytes,
    kind: SqlType,
    number: usize,
) -> Result<Value, SqlError> {
    let malformed = || {
        let message = format!("incorrect binary data format in bind parameter {number}");
        error("22P03", message)
    };
    let element = kind.element().unwrap_or(SqlType::Text);
    if bytes.len() < 12 {
        return Err(malformed());
    }
    let (dimensions, _has_null, element_oid) = (bytes.get_i32(), bytes.get_i32(), bytes.get_u32());
    if dimensions == 0 {
        return Ok(Value::Text("[]".to_owned()));
    }
    if dimensions != 1 {
        return Err(error(
            "0A000",
            "arrays of several dimensions are not supported by the simulator",
        ));
    }
    if bytes.len() < 8 {
        return Err(malformed());
    }
    let (count, _lower_bound) = (bytes.get_i32(), bytes.get_i32());
    let count = usize::try_from(count).map_err(|_| malformed())?;
    if count > MOST_ELEMENTS {
        return Err(error("54000", "an array of so many elements"));
    }
    let mut elements = Vec::new();
    for _ in 0..count {
        if bytes.len() < LENGTH {
            return Err(malformed());
        }
        elements.push(match bytes.get_i32() {
            -1 => Value::Null,
            length => {
                let length = usize::try_from(length).map_err(|_| malformed())?;
                if bytes.len() < length {
                    return Err(malformed());
                }
                let bytes = bytes.split_to(length);
                decode(bytes, element, element_oid, Format::Binary, number)?
            }
        });
    }
    match bytes.is_empty() {
        true => Ok(Value::Text(array::to_inner(elements))),
        false => Err(malformed()),
    }
}

/// The elements of a list as values of their own.
fn elements(list: &str, element: SqlType) -> Option<Vec<Value>> {
    let values = array::from_inner(list)?.into_iter();
    let values = values.map(|value| match (element, value) {
        (SqlType::Bytes, Value::Text(hex)) => bytea::parse(&hex).map(Value::Bytes),
        (_, value) => Some(value),
    });
    values.collect()
}

pub(super) fn put_text(list: &str, kind: SqlType, out: &mut BytesMut) {
    let element = kind.element().unwrap_or(SqlType::Text);
    let values = elements(list, element).unwrap_or_default();
    let texts = values.iter().map(|value| {
        let mut text = BytesMut::new();
        // The text form of a value fails for none of these types.
        let encoded = encode(value, element, Format::Text, &mut text).is_ok();
        let is_null = *value == Value::Null || !encoded;
        (!is_null).then(|| String::from_utf8_lossy(&text[LENGTH..]).into_owned())
    });
    let texts: Vec<Option<String>> = texts.collect();
    let literal = array::literal(texts.iter().map(Option::as_deref));
    out.put_slice(literal.as_bytes());
}

pub(super) fn put_binary(list: &str, kind: SqlType, out: &mut BytesMut) -> Result<(), SqlError> {
    let element = kind.element().unwrap_or(SqlType::Text);
    let values =
        elements(list, element).ok_or_else(|| error("XX000", "a stored array is no list"))?;
    let has_null = values.contains(&Value::Null);
    out.put_i32(i32::from(!values.is_empty()));
    out.put_i32(has_null.into());
    out.put_u32(oid(element));
    if values.is_empty() {
        return Ok(());
    }
    let count = i32::try_from(values.len()).map_err(|_| error("54000", "an array too long"))?;
    out.put_i32(count);
    out.put_i32(1);
    for value in &values {
        encode(value, element, Format::Binary, out)?;
    }
    Ok(())
}
