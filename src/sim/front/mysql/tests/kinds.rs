//! Every type of column, read back by the code with which clients read it.

use std::sync::Arc;

use mysql_common::constants::{ColumnFlags, ColumnType};
use mysql_common::io::ParseBuf;
use mysql_common::packets::Column as Definition;
use mysql_common::proto::{Binary, MyDeserialize, Text};
use mysql_common::row::{Row, RowDeserializer};
use mysql_common::value::{ServerSide, Value as Read};

use super::super::{column, row};
use crate::sim::sql::{Column, SqlType, Value};

struct Kind {
    kind: SqlType,
    value: Value,
    wire: ColumnType,
    text: &'static str,
    binary: Read,
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn bytes(bytes: &[u8]) -> Read {
    Read::Bytes(bytes.to_vec())
}

fn kinds() -> Vec<Kind> {
    use ColumnType as T;
    let kind = |kind, value, wire, text, binary| Kind {
        kind,
        value,
        wire,
        text,
        binary,
    };
    let long = Value::Integer(i64::MIN);
    let unsigned = text("18446744073709551615");
    let date = text("2026-01-31");
    let time = text("-25:30:01.5");
    let moment = text("2026-01-31 12:34:56.789012");
    let clock = Read::Time(true, 1, 1, 30, 1, 500_000);
    let (at, decimal, json) = ("2026-01-31 12:34:56.789012", "12.30", "{\"a\": 1}");
    let wire_date = Read::Date(2026, 1, 31, 0, 0, 0, 0);
    let wire_moment = Read::Date(2026, 1, 31, 12, 34, 56, 789_012);
    vec![
        kind(
            SqlType::Bool,
            Value::Integer(1),
            T::MYSQL_TYPE_TINY,
            "1",
            Read::Int(1),
        ),
        kind(
            SqlType::Int2,
            Value::Integer(-7),
            T::MYSQL_TYPE_SHORT,
            "-7",
            Read::Int(-7),
        ),
        kind(
            SqlType::Int4,
            Value::Integer(-7),
            T::MYSQL_TYPE_LONG,
            "-7",
            Read::Int(-7),
        ),
        kind(
            SqlType::Int8,
            long,
            T::MYSQL_TYPE_LONGLONG,
            "-9223372036854775808",
            Read::Int(i64::MIN),
        ),
        kind(
            SqlType::UnsignedInt8,
            unsigned,
            T::MYSQL_TYPE_LONGLONG,
            "18446744073709551615",
            Read::UInt(u64::MAX),
        ),
        kind(
            SqlType::Float4,
            Value::Real(1.5),
            T::MYSQL_TYPE_FLOAT,
            "1.5",
            Read::Float(1.5),
        ),
        kind(
            SqlType::Float8,
            Value::Real(0.1),
            T::MYSQL_TYPE_DOUBLE,
            "0.1",
            Read::Double(0.1),
        ),
        kind(
            SqlType::Numeric,
            text(decimal),
            T::MYSQL_TYPE_NEWDECIMAL,
            decimal,
            bytes(b"12.30"),
        ),
        kind(
            SqlType::Text,
            text("né"),
            T::MYSQL_TYPE_VAR_STRING,
            "né",
            bytes("né".as_bytes()),
        ),
        kind(
            SqlType::Varchar,
            text("né"),
            T::MYSQL_TYPE_VAR_STRING,
            "né",
            bytes("né".as_bytes()),
        ),
        kind(
            SqlType::Bytes,
            Value::Bytes(b"\0\x01".to_vec()),
            T::MYSQL_TYPE_BLOB,
            "\0\x01",
            bytes(b"\0\x01"),
        ),
        kind(
            SqlType::Date,
            date,
            T::MYSQL_TYPE_DATE,
            "2026-01-31",
            wire_date,
        ),
        kind(
            SqlType::Time,
            time,
            T::MYSQL_TYPE_TIME,
            "-25:30:01.500000",
            clock,
        ),
        kind(
            SqlType::Timestamp,
            moment.clone(),
            T::MYSQL_TYPE_DATETIME,
            at,
            wire_moment.clone(),
        ),
        kind(
            SqlType::TimestampTz,
            moment,
            T::MYSQL_TYPE_DATETIME,
            at,
            wire_moment,
        ),
        kind(
            SqlType::Interval,
            Value::Integer(5),
            T::MYSQL_TYPE_VAR_STRING,
            "5",
            bytes(b"5"),
        ),
        kind(
            SqlType::Uuid,
            text("u"),
            T::MYSQL_TYPE_VAR_STRING,
            "u",
            bytes(b"u"),
        ),
        kind(
            SqlType::Json,
            text(json),
            T::MYSQL_TYPE_JSON,
            json,
            bytes(json.as_bytes()),
        ),
        kind(
            SqlType::Oid,
            Value::Integer(9),
            T::MYSQL_TYPE_VAR_STRING,
            "9",
            bytes(b"9"),
        ),
        kind(
            SqlType::Unknown,
            text("?"),
            T::MYSQL_TYPE_VAR_STRING,
            "?",
            bytes(b"?"),
        ),
    ]
}

fn column_of(kind: SqlType) -> Column {
    Column {
        name: "it".to_owned(),
        table: Some("things".to_owned()),
        kind,
    }
}

fn read_definition(column: &Column) -> Definition {
    let bytes = column::definition(column, "shop");
    Definition::deserialize((), &mut ParseBuf(&bytes)).expect("a definition")
}

fn values(row: Row) -> Vec<Read> {
    row.unwrap()
}

#[test]
fn every_type_is_announced_and_read_back_in_both_protocols() {
    for kind in kinds() {
        let column = column_of(kind.kind);
        let definition = read_definition(&column);
        assert_eq!(definition.column_type(), kind.wire, "{:?}", kind.kind);
        assert_eq!(definition.name_str(), "it");
        assert_eq!(definition.table_str(), "things");
        assert_eq!(definition.schema_str(), "shop");
        let definitions: Arc<[Definition]> = Arc::new([definition]);

        let columns = [column];
        let sent = row::text(&columns, std::slice::from_ref(&kind.value));
        let read: RowDeserializer<ServerSide, Text> =
            ParseBuf(&sent).parse(definitions.clone()).expect("a row");
        assert_eq!(
            values(read.into_inner()),
            [bytes(kind.text.as_bytes())],
            "{:?}",
            kind.kind
        );

        let sent = row::binary(&columns, std::slice::from_ref(&kind.value));
        let mut buffer = ParseBuf(&sent);
        let read: RowDeserializer<ServerSide, Binary> = buffer.parse(definitions).expect("a row");
        assert_eq!(values(read.into_inner()), [kind.binary], "{:?}", kind.kind);
        assert!(buffer.is_empty(), "{:?}", kind.kind);
    }
}

#[test]
fn a_row_of_all_types_is_read_back_with_every_other_value_null() {
    let kinds = kinds();
    let columns: Vec<Column> = kinds.iter().map(|kind| column_of(kind.kind)).collect();
    let definitions: Arc<[Definition]> = columns.iter().map(read_definition).collect();
    let sent: Vec<Value> = kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| match index % 2 {
            0 => kind.value.clone(),
            _ => Value::Null,
        })
        .collect();
    let row = row::binary(&columns, &sent);
    let read: RowDeserializer<ServerSide, Binary> =
        ParseBuf(&row).parse(definitions).expect("a row");
    for (index, read) in values(read.into_inner()).into_iter().enumerate() {
        match index % 2 {
            0 => assert_eq!(read, kinds[index].binary),
            _ => assert_eq!(read, Read::NULL),
        }
    }
}

#[test]
fn text_and_bytes_are_told_apart_by_their_character_set() {
    let text = read_definition(&column_of(SqlType::Varchar));
    assert_eq!(text.character_set(), 255);
    assert!(!text.flags().contains(ColumnFlags::BINARY_FLAG));
    let bytes = read_definition(&column_of(SqlType::Bytes));
    assert_eq!(bytes.character_set(), 63);
    assert!(
        bytes
            .flags()
            .contains(ColumnFlags::BLOB_FLAG | ColumnFlags::BINARY_FLAG)
    );
    let unsigned = read_definition(&column_of(SqlType::UnsignedInt8));
    assert!(unsigned.flags().contains(ColumnFlags::UNSIGNED_FLAG));
    let moment = read_definition(&column_of(SqlType::Timestamp));
    assert_eq!((moment.decimals(), moment.column_length()), (6, 26));
}
