//! Values on the wire: which OID a type has, and its text and binary forms.
//!
//! The binary forms are those of PostgreSQL's `*send` and `*recv` functions (`src/backend/utils/adt`).

mod array;
mod bytea;
mod datetime;
mod decode;
mod encode;
mod float;
mod interval;
mod numeric;
#[cfg(test)]
mod tests;

pub(super) use decode::decode;
pub(super) use encode::encode;

use pgwire::api::Type;

use crate::sim::sql::SqlType;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Binary,
}

impl Format {
    /// The format code of the protocol.
    pub(super) fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }

    /// The format of item number `index` where `formats` holds one for each, one for all, or
    /// none, which means text.
    pub(super) fn of(formats: &[Self], index: usize) -> Self {
        match formats {
            [] => Self::Text,
            [one] => *one,
            many => many.get(index).copied().unwrap_or(Self::Text),
        }
    }
}

/// The type's object identifier.
pub(super) fn oid(kind: SqlType) -> u32 {
    wire_type(kind).oid()
}

/// The type's size in the row description; negative for a variable one.
pub(super) fn size(kind: SqlType) -> i16 {
    match kind {
        SqlType::Bool | SqlType::InternalChar => 1,
        SqlType::Int2 => 2,
        SqlType::Int4 | SqlType::Float4 | SqlType::Date | SqlType::Oid => 4,
        SqlType::Int8
        | SqlType::UnsignedInt8
        | SqlType::Float8
        | SqlType::Time
        | SqlType::Timestamp
        | SqlType::TimestampTz => 8,
        SqlType::Interval | SqlType::Uuid => 16,
        SqlType::Name => 64,
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
        | SqlType::Text
        | SqlType::Varchar
        | SqlType::Bytes
        | SqlType::Json
        | SqlType::Unknown => -1,
    }
}

/// The type behind an object identifier that a client named for a parameter.
pub(super) fn from_oid(oid: u32) -> SqlType {
    match Type::from_oid(oid) {
        Some(Type::BOOL) => SqlType::Bool,
        Some(Type::INT2) => SqlType::Int2,
        Some(Type::INT4) => SqlType::Int4,
        Some(Type::INT8) => SqlType::Int8,
        Some(Type::FLOAT4) => SqlType::Float4,
        Some(Type::FLOAT8) => SqlType::Float8,
        Some(Type::NUMERIC) => SqlType::Numeric,
        Some(Type::TEXT) => SqlType::Text,
        Some(Type::NAME) => SqlType::Name,
        Some(Type::NAME_ARRAY) => SqlType::NameArray,
        Some(Type::VARCHAR | Type::BPCHAR) => SqlType::Varchar,
        Some(Type::BYTEA) => SqlType::Bytes,
        Some(Type::DATE) => SqlType::Date,
        Some(Type::TIME) => SqlType::Time,
        Some(Type::TIMESTAMP) => SqlType::Timestamp,
        Some(Type::TIMESTAMPTZ) => SqlType::TimestampTz,
        Some(Type::INTERVAL) => SqlType::Interval,
        Some(Type::UUID) => SqlType::Uuid,
        Some(Type::JSON | Type::JSONB) => SqlType::Json,
        Some(Type::BOOL_ARRAY) => SqlType::BoolArray,
        Some(Type::INT2_ARRAY) => SqlType::Int2Array,
        Some(Type::INT4_ARRAY) => SqlType::Int4Array,
        Some(Type::INT8_ARRAY) => SqlType::Int8Array,
        Some(Type::FLOAT8_ARRAY) => SqlType::Float8Array,
        Some(Type::TEXT_ARRAY | Type::VARCHAR_ARRAY) => SqlType::TextArray,
        Some(Type::UUID_ARRAY) => SqlType::UuidArray,
        Some(Type::FLOAT4_ARRAY) => SqlType::Float4Array,
        Some(Type::NUMERIC_ARRAY) => SqlType::NumericArray,
        Some(Type::BYTEA_ARRAY) => SqlType::BytesArray,
        Some(Type::DATE_ARRAY) => SqlType::DateArray,
        Some(Type::TIME_ARRAY) => SqlType::TimeArray,
        Some(Type::TIMESTAMP_ARRAY) => SqlType::TimestampArray,
        Some(Type::TIMESTAMPTZ_ARRAY) => SqlType::TimestampTzArray,
        Some(Type::INTERVAL_ARRAY) => SqlType::IntervalArray,
        Some(Type::JSON_ARRAY | Type::JSONB_ARRAY) => SqlType::JsonArray,
        Some(Type::OID_ARRAY) => SqlType::OidArray,
        Some(Type::CHAR) => SqlType::InternalChar,
        Some(
            Type::OID | Type::XID | Type::CID | Type::REGPROC | Type::REGCLASS | Type::REGTYPE,
        ) => SqlType::Oid,
        _ => SqlType::Unknown,
    }
}

/// The type's name in PostgreSQL's messages.
fn name(kind: SqlType) -> &'static str {
    match kind {
        SqlType::Bool => "boolean",
        SqlType::Int2 => "smallint",
        SqlType::Int4 => "integer",
        SqlType::Int8 | SqlType::UnsignedInt8 => "bigint",
        SqlType::Float4 => "real",
        SqlType::Float8 => "double precision",
        SqlType::Numeric => "numeric",
        SqlType::Text | SqlType::Unknown => "text",
        SqlType::Varchar => "character varying",
        SqlType::Bytes => "bytea",
        SqlType::Date => "date",
        SqlType::Time => "time",
        SqlType::Timestamp => "timestamp",
        SqlType::TimestampTz => "timestamp with time zone",
        SqlType::Interval => "interval",
        SqlType::Uuid => "uuid",
        SqlType::Json => "json",
        SqlType::BoolArray => "boolean[]",
        SqlType::Int2Array => "smallint[]",
        SqlType::Int4Array => "integer[]",
        SqlType::Int8Array => "bigint[]",
        SqlType::Float8Array => "double precision[]",
        SqlType::TextArray => "text[]",
        SqlType::UuidArray => "uuid[]",
        SqlType::Float4Array => "real[]",
        SqlType::NumericArray => "numeric[]",
        SqlType::BytesArray => "bytea[]",
        SqlType::DateArray => "date[]",
        SqlType::TimeArray => "time without time zone[]",
        SqlType::TimestampArray => "timestamp without time zone[]",
        SqlType::TimestampTzArray => "timestamp with time zone[]",
        SqlType::IntervalArray => "interval[]",
        SqlType::JsonArray => "json[]",
        SqlType::OidArray => "oid[]",
        SqlType::InternalChar => "\"char\"",
        SqlType::Name => "name",
        SqlType::NameArray => "name[]",
        SqlType::Oid => "oid",
    }
}

fn wire_type(kind: SqlType) -> Type {
    match kind {
        SqlType::Bool => Type::BOOL,
        SqlType::Int2 => Type::INT2,
        SqlType::Int4 => Type::INT4,
        SqlType::Int8 | SqlType::UnsignedInt8 => Type::INT8,
        SqlType::Float4 => Type::FLOAT4,
        SqlType::Float8 => Type::FLOAT8,
        SqlType::Numeric => Type::NUMERIC,
        // PostgreSQL too shows a literal of unknown type as text.
        SqlType::Text | SqlType::Unknown => Type::TEXT,
        SqlType::Varchar => Type::VARCHAR,
        SqlType::Bytes => Type::BYTEA,
        SqlType::Date => Type::DATE,
        SqlType::Time => Type::TIME,
        SqlType::Timestamp => Type::TIMESTAMP,
        SqlType::TimestampTz => Type::TIMESTAMPTZ,
        SqlType::Interval => Type::INTERVAL,
        SqlType::Uuid => Type::UUID,
        SqlType::Json => Type::JSON,
        SqlType::BoolArray => Type::BOOL_ARRAY,
        SqlType::Int2Array => Type::INT2_ARRAY,
        SqlType::Int4Array => Type::INT4_ARRAY,
        SqlType::Int8Array => Type::INT8_ARRAY,
        SqlType::Float8Array => Type::FLOAT8_ARRAY,
        SqlType::TextArray => Type::TEXT_ARRAY,
        SqlType::UuidArray => Type::UUID_ARRAY,
        SqlType::Float4Array => Type::FLOAT4_ARRAY,
        SqlType::NumericArray => Type::NUMERIC_ARRAY,
        SqlType::BytesArray => Type::BYTEA_ARRAY,
        SqlType::DateArray => Type::DATE_ARRAY,
        SqlType::TimeArray => Type::TIME_ARRAY,
        SqlType::TimestampArray => Type::TIMESTAMP_ARRAY,
        SqlType::TimestampTzArray => Type::TIMESTAMPTZ_ARRAY,
        SqlType::IntervalArray => Type::INTERVAL_ARRAY,
        SqlType::JsonArray => Type::JSON_ARRAY,
        SqlType::OidArray => Type::OID_ARRAY,
        SqlType::InternalChar => Type::CHAR,
        SqlType::Name => Type::NAME,
        SqlType::NameArray => Type::NAME_ARRAY,
        SqlType::Oid => Type::OID,
    }
}
