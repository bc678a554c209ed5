//! SQL types as MySQL's column definitions.

use mysql_common::constants::{ColumnFlags, ColumnType};
use mysql_common::packets::Column as Definition;
use mysql_common::proto::MySerialize;

use crate::sim::sql::{Column, SqlType};

/// `utf8mb4_0900_ai_ci`.
const UTF8MB4: u16 = 255;
const BINARY: u16 = 63;

/// `NOT_FIXED_DEC`: a floating-point number has no fixed number of decimals.
const ANY_DECIMALS: u8 = 31;

/// The bytes of a column definition.
pub(super) fn definition(column: &Column, database: &str) -> Vec<u8> {
    let mut definition = bare(column.kind)
        .with_name(column.name.as_bytes())
        .with_org_name(column.name.as_bytes());
    if let Some(table) = &column.table {
        definition = definition
            .with_schema(database.as_bytes())
            .with_table(table.as_bytes())
            .with_org_table(table.as_bytes());
    } else {
        definition = definition.with_org_name(b"");
    }
    serialized(&definition)
}

/// The same in the answer to COM_FIELD_LIST, where the column's default follows: NULL.
pub(super) fn field(column: &Column, database: &str) -> Vec<u8> {
    let mut bytes = definition(column, database);
    bytes.push(0xFB);
    bytes
}

/// The bytes of a parameter's definition.
pub(super) fn parameter(kind: SqlType) -> Vec<u8> {
    serialized(&bare(kind).with_name(b"?"))
}

fn serialized(definition: &Definition) -> Vec<u8> {
    let mut bytes = Vec::new();
    definition.serialize(&mut bytes);
    bytes
}

/// The type, with display length, character set, flags and decimals as MySQL gives them.
fn bare(kind: SqlType) -> Definition {
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
        | SqlType::Varchar
        | SqlType::Interval
        | SqlType::Uuid
        | SqlType::Oid
        | SqlType::Unknown => (262_140, UTF8MB4, ColumnFlags::empty(), ANY_DECIMALS),
    };
    Definition::new(wire_type(kind))
        .with_column_length(length)
        .with_character_set(charset)
        .with_flags(flags)
        .with_decimals(decimals)
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
        | SqlType::Varchar
        | SqlType::Interval
        | SqlType::Uuid
        | SqlType::Oid
        | SqlType::Unknown => ColumnType::MYSQL_TYPE_VAR_STRING,
    }
}
