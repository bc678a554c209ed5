//! The parameters of COM_STMT_EXECUTE: bytes into values.
//!
//! Layout: MySQL client/server protocol, "COM_STMT_EXECUTE".

use mysql_common::Value as Wire;
use mysql_common::constants::{ColumnFlags, ColumnType};
use mysql_common::io::ParseBuf;
use mysql_common::value::{BinValue, ValueDeserializer};

use super::temporal;
use crate::sim::sql::{SqlType, Value};

/// The parameters of one prepared statement between its executions.
#[derive(Debug)]
pub(super) struct Parameters {
    /// What the statement expects, one type a parameter.
    expected: Vec<SqlType>,
    /// The types that the client bound last; it sends them again only when they change.
    bound: Vec<Bound>,
    /// What COM_STMT_SEND_LONG_DATA has brought for the next execution.
    long_data: Vec<Option<Vec<u8>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    kind: ColumnType,
    unsigned: bool,
}

/// Why parameters could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The packet is shorter than it says, or names a type that no parameter has.
    Malformed,
    /// No types have ever been bound.
    Unbound,
}

impl Parameters {
    pub(super) fn new(expected: Vec<SqlType>) -> Self {
        Self {
            bound: Vec::new(),
            long_data: vec![None; expected.len()],
            expected,
        }
    }

    /// Adds a piece of long data; `false`: there is no such parameter.
    pub(super) fn add_long_data(&mut self, parameter: u16, data: &[u8]) -> bool {
        let Some(slot) = self.long_data.get_mut(usize::from(parameter)) else {
            return false;
        };
        slot.get_or_insert_default().extend_from_slice(data);
        true
    }

    /// Throws the long data away and says how many bytes that were.
    pub(super) fn clear_long_data(&mut self) -> usize {
        self.long_data
            .iter_mut()
            .filter_map(Option::take)
            .map(|data| data.len())
            .sum()
    }

    /// Reads the part of the packet that follows the statement's id.
    pub(super) fn read(&mut self, rest: &[u8]) -> Result<Vec<Value>, Unreadable> {
        let mut buffer = ParseBuf(rest);
        // The cursor type and the iteration count. A cursor is never opened: the client gets all
        // rows at once, which it must be ready for.
        buffer.checked_eat(5).ok_or(Unreadable::Malformed)?;
        let count = self.expected.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let nulls = buffer
            .checked_eat(count.div_ceil(8))
            .ok_or(Unreadable::Malformed)?;
        if buffer.checked_eat_u8().ok_or(Unreadable::Malformed)? == 1 {
            self.bound = read_types(&mut buffer, count).ok_or(Unreadable::Malformed)?;
        }
        if self.bound.len() != count {
            return Err(Unreadable::Unbound);
        }
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            let is_null = nulls[index / 8] & (1 << (index % 8)) != 0;
            let expected = self.expected[index];
            let bound = self.bound[index];
            values.push(match self.long_data[index].take() {
                Some(data) => bytes(data, bound.kind, expected),
                None if is_null => Value::Null,
                None => read_value(&mut buffer, bound, expected).ok_or(Unreadable::Malformed)?,
            });
        }
        Ok(values)
    }
}

fn read_types(buffer: &mut ParseBuf<'_>, count: usize) -> Option<Vec<Bound>> {
    const UNSIGNED: u8 = 0x80;
    let mut types = ParseBuf(buffer.checked_eat(2 * count)?);
    let mut bound = Vec::with_capacity(count);
    for _ in 0..count {
        let kind = ColumnType::try_from(types.checked_eat_u8()?).ok()?;
        let unsigned = types.checked_eat_u8()? & UNSIGNED != 0;
        if !is_sent_by_clients(kind) {
            return None;
        }
        bound.push(Bound { kind, unsigned });
    }
    Some(bound)
}

/// The types whose values `mysql_common` can read; it panics at others.
fn is_sent_by_clients(kind: ColumnType) -> bool {
    use ColumnType as T;
    matches!(
        kind,
        T::MYSQL_TYPE_DECIMAL
            | T::MYSQL_TYPE_TINY
            | T::MYSQL_TYPE_SHORT
            | T::MYSQL_TYPE_LONG
            | T::MYSQL_TYPE_FLOAT
            | T::MYSQL_TYPE_DOUBLE
            | T::MYSQL_TYPE_NULL
            | T::MYSQL_TYPE_TIMESTAMP
            | T::MYSQL_TYPE_LONGLONG
            | T::MYSQL_TYPE_INT24
            | T::MYSQL_TYPE_DATE
            | T::MYSQL_TYPE_TIME
            | T::MYSQL_TYPE_DATETIME
            | T::MYSQL_TYPE_YEAR
            | T::MYSQL_TYPE_VARCHAR
            | T::MYSQL_TYPE_BIT
            | T::MYSQL_TYPE_JSON
            | T::MYSQL_TYPE_NEWDECIMAL
            | T::MYSQL_TYPE_ENUM
            | T::MYSQL_TYPE_SET
            | T::MYSQL_TYPE_TINY_BLOB
            | T::MYSQL_TYPE_MEDIUM_BLOB
            | T::MYSQL_TYPE_LONG_BLOB
            | T::MYSQL_TYPE_BLOB
            | T::MYSQL_TYPE_VAR_STRING
            | T::MYSQL_TYPE_STRING
            | T::MYSQL_TYPE_GEOMETRY
    )
}

fn read_value(buffer: &mut ParseBuf<'_>, bound: Bound, expected: SqlType) -> Option<Value> {
    let flags = if bound.unsigned {
        ColumnFlags::UNSIGNED_FLAG
    } else {
        ColumnFlags::empty()
    };
    let read: ValueDeserializer<BinValue> = buffer.parse((bound.kind, flags)).ok()?;
    let with_clock = bound.kind != ColumnType::MYSQL_TYPE_DATE;
    Some(match read.0 {
        Wire::NULL => Value::Null,
        Wire::Int(number) => Value::Integer(number),
        // Beyond SQLite's integers.
        Wire::UInt(number) => Value::Text(number.to_string()),
        Wire::Float(number) => Value::Real(f64::from(number)),
        Wire::Double(number) => Value::Real(number),
        Wire::Bytes(data) => bytes(data, bound.kind, expected),
        date @ (Wire::Date(..) | Wire::Time(..)) => {
            Value::Text(temporal::to_text(&date, with_clock, 6)?)
        }
    })
}

/// Clients bind text and bytes by the same types, so that what the statement expects decides, and
/// where that is not known, whether the bytes are text.
fn bytes(data: Vec<u8>, kind: ColumnType, expected: SqlType) -> Value {
    use ColumnType as T;
    let is_blob = matches!(
        kind,
        T::MYSQL_TYPE_TINY_BLOB
            | T::MYSQL_TYPE_MEDIUM_BLOB
            | T::MYSQL_TYPE_LONG_BLOB
            | T::MYSQL_TYPE_BLOB
            | T::MYSQL_TYPE_BIT
            | T::MYSQL_TYPE_GEOMETRY
    );
    let wants_text = !matches!(expected, SqlType::Bytes | SqlType::Unknown);
    if expected == SqlType::Bytes || (is_blob && !wants_text) {
        return Value::Bytes(data);
    }
    match String::from_utf8(data) {
        Ok(text) => Value::Text(text),
        Err(error) => Value::Bytes(error.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [u8; 5] = [0, 1, 0, 0, 0];

    fn packet(rest: &[u8]) -> Vec<u8> {
        [&HEAD, rest].concat()
    }

    #[test]
    fn types_are_kept_for_executions_that_do_not_send_them_again() {
        let mut parameters = Parameters::new(vec![SqlType::Int4]);
        let first = packet(&[0, 1, ColumnType::MYSQL_TYPE_TINY as u8, 0x80, 200]);
        assert_eq!(parameters.read(&first), Ok(vec![Value::Integer(200)]));
        let second = packet(&[0, 0, 201]);
        assert_eq!(parameters.read(&second), Ok(vec![Value::Integer(201)]));
    }

    #[test]
    fn an_execution_without_any_types_is_told_from_a_malformed_one() {
        let mut parameters = Parameters::new(vec![SqlType::Int4]);
        let unbound = packet(&[0, 0, 1]);
        assert_eq!(parameters.read(&unbound), Err(Unreadable::Unbound));
    }

    #[test]
    fn every_truncation_of_an_execution_is_malformed() {
        let types = [
            ColumnType::MYSQL_TYPE_LONGLONG as u8,
            0,
            ColumnType::MYSQL_TYPE_VAR_STRING as u8,
            0,
            ColumnType::MYSQL_TYPE_DATETIME as u8,
            0,
        ];
        let values = [
            8, 7, 6, 5, 4, 3, 2, 1, 3, b'a', b'b', b'c', 4, 0xEA, 7, 1, 31,
        ];
        let whole = packet(&[&[0, 1][..], &types, &values].concat());
        let expected = vec![SqlType::Int8, SqlType::Text, SqlType::Timestamp];
        for length in 0..whole.len() {
            let mut parameters = Parameters::new(expected.clone());
            let read = parameters.read(&whole[..length]);
            assert_eq!(read, Err(Unreadable::Malformed), "{length} bytes");
        }
        let read = Parameters::new(expected).read(&whole).expect("whole");
        assert_eq!(read[1], Value::Text("abc".to_owned()));
        assert_eq!(
            read[2],
            Value::Text("2026-01-31 00:00:00.000000".to_owned())
        );
    }

    #[test]
    fn any_type_byte_is_read_or_refused() {
        for kind in 0..=u8::MAX {
            let mut parameters = Parameters::new(vec![SqlType::Unknown]);
            let _ = parameters.read(&packet(&[&[0, 1, kind, 0][..], &[0xFF; 32]].concat()));
        }
    }

    #[test]
    fn long_data_takes_the_place_of_a_value_once() {
        let mut parameters = Parameters::new(vec![SqlType::Text]);
        assert!(parameters.add_long_data(0, b"long "));
        assert!(parameters.add_long_data(0, b"data"));
        assert!(!parameters.add_long_data(1, b"beyond"));
        let bound = packet(&[0, 1, ColumnType::MYSQL_TYPE_VAR_STRING as u8, 0]);
        let text = Value::Text("long data".to_owned());
        assert_eq!(parameters.read(&bound), Ok(vec![text]));
        assert_eq!(parameters.read(&bound), Err(Unreadable::Malformed));
    }
}
