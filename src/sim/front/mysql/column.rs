//! SQL types as MySQL's column definitions.

use mysql_common::constants::{ColumnFlags, ColumnType};
use mysql_common::io::BufMutExt;

use crate::sim::sql::{Column, SqlType};

/// `utf8mb4_0900_ai_ci`.
const UTF8MB4: u16 = 255;
const BINARY: u16 = 63;

/// `NOT_FIXED_DEC`: a floating-point number has no fixed number of decimals.
const ANY_DECIMALS: u8 = 31;

/// What a type looks like in a definition.
struct Shape {
    /// In characters or digits, for display.
    length: u32,
    charset: u16,
    flags: ColumnFlags,
    decimals: u8,
}

/// The bytes of a column definition.
///
/// `mysql_common` reads this packet but writes length and character set in the wrong order
/// (0.37.3), so that it is put together here.
pub(super) fn definition(column: &Column, database: &str) -> Vec<u8> {
    let name = column.name.as_bytes();
    match &column.table {
        Some(table) => {
            let table = table.as_bytes();
            define([database.as_bytes(), table, table, name, name], column.kind)
        }
        None => define([b"", b"", b"", name, b""], column.kind),
    }
}

/// The same in the answer to COM_FIELD_LIST, where the column's default follows: NULL.
pub(super) fn field(column: &Column, database: &str) -> Vec<u8> {
    let mut bytes = definition(column, database);
    bytes.push(0xFB);
    bytes
}

/// The bytes of a parameter's definition.
pub(super) fn parameter(kind: SqlType) -> Vec<u8> {
    define([b"", b"", b"", b"?", b""], kind)
}

/// `names`: schema, table, original table, column, original column.
fn define(names: [&[u8]; 5], kind: SqlType) -> Vec<u8> {
    let shape = shape(kind);
    let mut bytes = Vec::new();
    bytes.put_lenenc_str(b"def");
    for name in names {
        bytes.put_lenenc_str(name);
    }
    // The length of the fields that follow.
    bytes.push(12);
    bytes.extend_from_slice(&shape.charset.to_le_bytes());
    bytes.extend_from_slice(&shape.length.to_le_bytes());
    bytes.push(wire_type(kind) as u8);
    bytes.extend_from_slice(&shape.flags.bits().to_le_bytes());
    bytes.push(shape.decimals);
    // A filler.
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// Display length, character set, flags and decimals as MySQL gives them.
fn shape(kind: SqlType) -> Shape {
    let number = ColumnFlags::BINARY_FLAG | ColumnFlags::NUM_FLAG;
    let plain = ColumnFlags::BINARY_FLAG;
    let blob = ColumnFlags::BINARY_FLAG | ColumnFlags::BLOB_FLAG;
    let (length, charset, flags, decimals) = match kind {
        SqlType::Bool => (1, BINARY, number, 0),
        SqlType::Int2 => (6, BINARY, number, 0),
        SqlType::Int4 => (11, BINARY, number, 0),
        SqlType::Int8 => (20, BINARY, number, 0),
        SqlType::UnsignedInt8 => (20, BINARY, number | ColumnFlags::UNSIGNED_FLAG, 0),
        SqlType::Float4 => (12, BINARY, number, ANY_DECIMALS),
        SqlType::Float8 => (22, BINARY, number, ANY_DECIMALS),
        // The scale is not known; the values carry theirs.
        SqlType::Numeric => (67, BINARY, number, ANY_DECIMALS),
        SqlType::Bytes => (65_535, BINARY, blob, 0),
        SqlType::Date => (10, BINARY, plain, 0),
        SqlType::Time => (17, BINARY, plain, 6),
        SqlType::Timestamp | SqlType::TimestampTz => (26, BINARY, plain, 6),
        SqlType::Json => (u32::MAX, BINARY, blob, 0),
        SqlType::Text
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
        | SqlType::Varchar
        | SqlType::Interval
        | SqlType::Uuid
        | SqlType::Oid
        | SqlType::Unknown => (262_140, UTF8MB4, ColumnFlags::empty(), ANY_DECIMALS),
    };
    Shape {
        length,
        charset,
        flags,
        decimals,
    }
}

fn wire_type(kind: SqlType) -> ColumnType {
    match kind {
        SqlType::Bool => ColumnType::MYSQL_TYPE_TINY,
        SqlType::Int2 => ColumnType::MYSQL_TYPE_SHORT,
        SqlType::Int4 => ColumnType::MYSQL_TYPE_LONG,
        SqlType::Int8 | SqlType::UnsignedInt8 => ColumnType::MYSQL_TYPE_LONGLONG,
        SqlType::Float4 => ColumnType::MYSQL_TYPE_FLOAT,
        SqlType::Float8 => ColumnType::MYSQL_TYPE_DOUBLE,
        SqlType::Numeric => ColumnType::MYSQL_TYPE_NEWDECIMAL,
        SqlType::Bytes => ColumnType::MYSQL_TYPE_BLOB,
        SqlType::Date => ColumnType::MYSQL_TYPE_DATE,
        SqlType::Time => ColumnType::MYSQL_TYPE_TIME,
        SqlType::Timestamp | SqlType::TimestampTz => ColumnType::MYSQL_TYPE_DATETIME,
        SqlType::Json => ColumnType::MYSQL_TYPE_JSON,
        // PostgreSQL's own types have no name here; as text they lose nothing.
        SqlType::Text
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
        | SqlType::Varchar
        | SqlType::Interval
        | SqlType::Uuid
        | SqlType::Oid
        | SqlType::Unknown => ColumnType::MYSQL_TYPE_VAR_STRING,
    }
}
