//! Values, their types, and what a statement answers: the currency between SQL and the fronts.

use std::sync::Arc;

/// A value as SQLite stores it. Types richer than this live in [`SqlType`] and are text inside.
///
/// Text forms: `DATE` `2026-01-31`; `TIME` `12:34:56.789012`; timestamps
/// `2026-01-31 12:34:56.789012` in UTC without an offset; `UUID` in lower-case hyphenated form;
/// `NUMERIC` in plain decimal notation; `JSON` as written. Booleans are the integers 0 and 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The SQL type of a column or parameter, in either dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SqlType {
    Bool,
    Int2,
    Int4,
    Int8,
    /// MySQL's `BIGINT UNSIGNED`.
    UnsignedInt8,
    Float4,
    Float8,
    Numeric,
    Text,
    Varchar,
    Bytes,
    Date,
    Time,
    /// Without a time zone; MySQL's `DATETIME(6)`.
    Timestamp,
    /// With a time zone; PostgreSQL only.
    TimestampTz,
    /// PostgreSQL's `interval`; inside: microseconds as an integer.
    Interval,
    Uuid,
    Json,
    /// PostgreSQL's `regproc`, `oid`, `xid` and their like; inside: text or an integer.
    Oid,
    /// PostgreSQL's arrays of one dimension; inside: a JSON list of the elements' inner forms.
    BoolArray,
    Int2Array,
    Int4Array,
    Int8Array,
    Float8Array,
    TextArray,
    UuidArray,
    Float4Array,
    NumericArray,
    BytesArray,
    DateArray,
    TimeArray,
    TimestampArray,
    TimestampTzArray,
    IntervalArray,
    JsonArray,
    OidArray,
    /// PostgreSQL's `"char"`, one byte of the catalogs.
    InternalChar,
    /// PostgreSQL's `name`, of the catalogs' objects.
    Name,
    NameArray,
    /// Not known: fronts send it as text.
    Unknown,
}

impl SqlType {
    /// The type of an array's elements.
    pub(crate) fn element(self) -> Option<Self> {
        Some(match self {
            Self::BoolArray => Self::Bool,
            Self::Int2Array => Self::Int2,
            Self::Int4Array => Self::Int4,
            Self::Int8Array => Self::Int8,
            Self::Float8Array => Self::Float8,
            Self::TextArray => Self::Text,
            Self::UuidArray => Self::Uuid,
            Self::Float4Array => Self::Float4,
            Self::NumericArray => Self::Numeric,
            Self::BytesArray => Self::Bytes,
            Self::DateArray => Self::Date,
            Self::TimeArray => Self::Time,
            Self::TimestampArray => Self::Timestamp,
            Self::TimestampTzArray => Self::TimestampTz,
            Self::IntervalArray => Self::Interval,
            Self::JsonArray => Self::Json,
            Self::OidArray => Self::Oid,
            Self::NameArray => Self::Name,
            _ => return None,
        })
    }

    /// The type of arrays of these elements.
    pub(crate) fn array_of(element: Self) -> Option<Self> {
        Some(match element {
            Self::Bool => Self::BoolArray,
            Self::Int2 => Self::Int2Array,
            Self::Int4 => Self::Int4Array,
            Self::Int8 => Self::Int8Array,
            Self::Float8 => Self::Float8Array,
            Self::Text | Self::Varchar | Self::InternalChar => Self::TextArray,
            Self::Uuid => Self::UuidArray,
            Self::Float4 => Self::Float4Array,
            Self::Numeric => Self::NumericArray,
            Self::Bytes => Self::BytesArray,
            Self::Date => Self::DateArray,
            Self::Time => Self::TimeArray,
            Self::Timestamp => Self::TimestampArray,
            Self::TimestampTz => Self::TimestampTzArray,
            Self::Interval => Self::IntervalArray,
            Self::Json => Self::JsonArray,
            Self::Oid => Self::OidArray,
            Self::Name => Self::NameArray,
            _ => return None,
        })
    }
}

/// One column of a result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    /// The name as the client is to see it.
    pub(crate) name: String,
    /// The table it comes from, where there is one.
    pub(crate) table: Option<String>,
    pub(crate) kind: SqlType,
}

/// What a statement takes and gives, known before it runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Description {
    /// One type a parameter.
    pub(crate) parameters: Vec<SqlType>,
    /// The columns of the result; `None` for a statement without rows.
    pub(crate) columns: Option<Arc<[Column]>>,
}

/// What a statement answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// A result set, also when it is empty.
    Rows {
        columns: Arc<[Column]>,
        rows: Vec<Vec<Value>>,
        tag: CommandTag,
    },
    /// A statement without a result set.
    Done { tag: CommandTag, outcome: Done },
}

/// The counts of a statement without a result set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Done {
    /// Rows changed (MySQL: `affected_rows`).
    pub(crate) affected: u64,
    /// Rows matched by an `UPDATE`, changed or not (MySQL's `CLIENT_FOUND_ROWS`).
    pub(crate) matched: u64,
    /// The first generated `AUTO_INCREMENT` value, else 0.
    pub(crate) last_insert_id: u64,
}

/// PostgreSQL's command tag, such as `INSERT 0 1` or `SELECT 3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandTag(pub(crate) String);

/// Whether a transaction is open in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionState {
    /// None is open; PostgreSQL's status `I`.
    Idle,
    /// One is open; status `T`.
    Open,
    /// One is open and has failed: only its end is accepted; status `E`. PostgreSQL only.
    Failed,
}

impl From<rusqlite::types::ValueRef<'_>> for Value {
    fn from(value: rusqlite::types::ValueRef<'_>) -> Self {
        use rusqlite::types::ValueRef;
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Bytes(bytes.to_vec()),
        }
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
