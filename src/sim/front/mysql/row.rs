//! Rows as bytes: the text protocol's and the binary protocol's.
//!
//! Layouts: MySQL client/server protocol, "Text Resultset Row" and "Binary Protocol Resultset Row".

use std::borrow::Cow;

use mysql_common::Value as Wire;
use mysql_common::io::BufMutExt;
use mysql_common::proto::MySerialize;

use super::temporal;
use crate::sim::sql::{Column, SqlType, Value};

const NULL: Value = Value::Null;

/// A row of a result set of COM_QUERY.
pub(super) fn text(columns: &[Column], values: &[Value]) -> Vec<u8> {
    let mut row = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        match values.get(index).unwrap_or(&NULL) {
            Value::Null => row.push(0xFB),
            value => row.put_lenenc_str(&as_text(column.kind, value)),
        }
    }
    row
}

/// A row of a result set of COM_STMT_EXECUTE.
pub(super) fn binary(columns: &[Column], values: &[Value]) -> Vec<u8> {
    // A bit for each NULL, of which the first two stay unused.
    let mut nulls = vec![0_u8; (columns.len() + 7 + 2) / 8];
    let mut row = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        match values.get(index).unwrap_or(&NULL) {
            Value::Null => nulls[(index + 2) / 8] |= 1 << ((index + 2) % 8),
            value => put_binary(&mut row, column.kind, value),
        }
    }
    let mut packet = vec![0x00];
    packet.append(&mut nulls);
    packet.append(&mut row);
    packet
}

fn as_text(kind: SqlType, value: &Value) -> Cow<'_, [u8]> {
    let text = match (kind, value) {
        (_, Value::Bytes(bytes)) => return Cow::Borrowed(bytes),
        (SqlType::Timestamp | SqlType::TimestampTz, Value::Text(text)) => {
            // The column says six decimals, and so many there are.
            match temporal::parse_datetime(text).and_then(|it| temporal::to_text(&it, true, 6)) {
                Some(text) => text,
                None => return Cow::Borrowed(text.as_bytes()),
            }
        }
        (SqlType::Time, Value::Text(text)) => {
            match temporal::parse_time(text).and_then(|it| temporal::to_text(&it, true, 6)) {
                Some(text) => text,
                None => return Cow::Borrowed(text.as_bytes()),
            }
        }
        (_, Value::Text(text)) => return Cow::Borrowed(text.as_bytes()),
        (_, Value::Null) => String::new(),
        (SqlType::Float4 | SqlType::Float8, Value::Integer(number)) => {
            float_text(kind, *number as f64)
        }
        (_, Value::Integer(number)) => number.to_string(),
        (
            SqlType::Bool
            | SqlType::Int2
            | SqlType::Int4
            | SqlType::Int8
            | SqlType::UnsignedInt8
            | SqlType::Numeric,
            Value::Real(number),
        ) => number.to_string(),
        (_, Value::Real(number)) => float_text(kind, *number),
    };
    Cow::Owned(text.into_bytes())
}

/// The shortest digits that read back as the same number, and an exponent where MySQL has one.
fn float_text(kind: SqlType, number: f64) -> String {
    let plain = number == 0.0 || (1e-15..1e15).contains(&number.abs());
    match (kind, plain) {
        (SqlType::Float4, true) => (number as f32).to_string(),
        (SqlType::Float4, false) => format!("{:e}", number as f32),
        (_, true) => number.to_string(),
        (_, false) => format!("{number:e}"),
    }
}

/// The value in the form that the column's type demands: SQLite's columns hold anything, but the
/// client reads as many bytes as the type has.
fn put_binary(row: &mut Vec<u8>, kind: SqlType, value: &Value) {
    match kind {
        SqlType::Bool => row.push(saturated::<i8>(value, i8::MIN, i8::MAX) as u8),
        SqlType::Int2 => {
            row.extend_from_slice(&saturated(value, i16::MIN, i16::MAX).to_le_bytes());
        }
        SqlType::Int4 => {
            row.extend_from_slice(&saturated(value, i32::MIN, i32::MAX).to_le_bytes());
        }
        SqlType::Int8 => row.extend_from_slice(&as_integer(value).to_le_bytes()),
        SqlType::UnsignedInt8 => row.extend_from_slice(&as_unsigned(value).to_le_bytes()),
        SqlType::Float4 => row.extend_from_slice(&(as_real(value) as f32).to_le_bytes()),
        SqlType::Float8 => row.extend_from_slice(&as_real(value).to_le_bytes()),
        SqlType::Date | SqlType::Timestamp | SqlType::TimestampTz => {
            let parsed = as_str(value).and_then(temporal::parse_datetime);
            // What is no date reads as MySQL's zero date.
            parsed
                .unwrap_or(Wire::Date(0, 0, 0, 0, 0, 0, 0))
                .serialize(row);
        }
        SqlType::Time => {
            let parsed = as_str(value).and_then(temporal::parse_time);
            parsed
                .unwrap_or(Wire::Time(false, 0, 0, 0, 0, 0))
                .serialize(row);
        }
        SqlType::Numeric
        | SqlType::BoolArray
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
        | SqlType::NameArray
        | SqlType::InternalChar
        | SqlType::Name
        | SqlType::Text
        | SqlType::Varchar
        | SqlType::Bytes
        | SqlType::Interval
        | SqlType::Uuid
        | SqlType::Json
        | SqlType::Oid
        | SqlType::Unknown => row.put_lenenc_str(&as_text(kind, value)),
    }
}

fn as_str(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        Value::Null | Value::Integer(_) | Value::Real(_) => None,
    }
}

fn as_integer(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        Value::Real(number) => number.round() as i64,
        other => as_str(other)
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| as_real(other).round() as i64),
    }
}

/// Numbers beyond SQLite's integers are kept as digits.
fn as_unsigned(value: &Value) -> u64 {
    as_str(value)
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| as_integer(value) as u64)
}

fn as_real(value: &Value) -> f64 {
    match value {
        Value::Integer(number) => *number as f64,
        Value::Real(number) => *number,
        other => as_str(other)
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0.0),
    }
}

fn saturated<T: TryFrom<i64>>(value: &Value, lowest: T, highest: T) -> T {
    let number = as_integer(value);
    T::try_from(number).unwrap_or(if number < 0 { lowest } else { highest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: SqlType) -> Column {
        Column {
            name: "c".to_owned(),
            table: None,
            kind,
        }
    }

    fn shown(kind: SqlType, value: Value) -> String {
        String::from_utf8(as_text(kind, &value).into_owned()).expect("text")
    }

    #[test]
    fn floating_point_numbers_read_as_mysql_prints_them() {
        for (number, text) in [
            (0.0, "0"),
            (0.1, "0.1"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (1e14, "100000000000000"),
            (1e15, "1e15"),
            (1.5e-16, "1.5e-16"),
        ] {
            assert_eq!(shown(SqlType::Float8, Value::Real(number)), text);
        }
        assert_eq!(
            shown(SqlType::Float4, Value::Real(f64::from(1.1_f32))),
            "1.1"
        );
        assert_eq!(
            shown(SqlType::Numeric, Value::Real(1e15)),
            "1000000000000000"
        );
    }

    #[test]
    fn timestamps_have_the_six_decimals_that_their_column_announces() {
        let value = Value::Text("2026-01-31 12:34:56".to_owned());
        let text = shown(SqlType::Timestamp, value.clone());
        assert_eq!(text, "2026-01-31 12:34:56.000000");
        assert_eq!(shown(SqlType::Text, value), "2026-01-31 12:34:56");
    }

    #[test]
    fn nulls_stand_in_the_bitmap_of_a_binary_row_and_nowhere_else() {
        let columns: Vec<Column> = (0..7).map(|_| column(SqlType::Bool)).collect();
        let mut values = vec![Value::Integer(1); 7];
        values[0] = Value::Null;
        values[6] = Value::Null;
        let packet = binary(&columns, &values);
        assert_eq!(packet, [0, 0b0000_0100, 0b0000_0001, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_value_of_another_kind_still_fills_the_width_of_its_column() {
        for (kind, width) in [
            (SqlType::Bool, 1),
            (SqlType::Int2, 2),
            (SqlType::Int4, 4),
            (SqlType::Int8, 8),
            (SqlType::UnsignedInt8, 8),
            (SqlType::Float4, 4),
            (SqlType::Float8, 8),
            (SqlType::Date, 1),
            (SqlType::Time, 1),
        ] {
            for value in [
                Value::Integer(i64::MAX),
                Value::Real(1e300),
                Value::Text("no number".to_owned()),
                Value::Bytes(vec![0xFF]),
            ] {
                let packet = binary(&[column(kind)], std::slice::from_ref(&value));
                assert_eq!(packet.len(), 2 + width, "{kind:?} {value:?}");
            }
        }
        let most = Value::Text(u64::MAX.to_string());
        let packet = binary(&[column(SqlType::UnsignedInt8)], &[most]);
        assert_eq!(packet[2..], u64::MAX.to_le_bytes());
    }
}
