//! The errors that a simulated instance answers, with the true codes of both dialects.

use crate::id::EngineKind;

/// An error as both protocols can send it.
///
/// Codes: PostgreSQL appendix A (SQLSTATE), MySQL 8.0 server error reference (number, SQLSTATE).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sqlstate} ({number}): {message}")]
pub(crate) struct SqlError {
    /// Five characters.
    pub(crate) sqlstate: &'static str,
    /// MySQL's error number; 0 where PostgreSQL alone knows the error.
    pub(crate) number: u16,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<Box<str>>,
    /// What was under way (PostgreSQL's field `W`).
    pub(crate) context: Option<Box<str>>,
    /// 1-based character position in the statement (PostgreSQL's field `P`).
    pub(crate) position: Option<u32>,
    /// What of the schema it is about (PostgreSQL's fields `t`, `c` and `n`).
    pub(crate) object: Option<Box<Object>>,
    /// The session ends with this error (PostgreSQL's severity `FATAL`).
    pub(crate) fatal: bool,
}

/// The parts of the schema that an error names to programs; those not known are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Object {
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) constraint: String,
}

impl SqlError {
    pub(super) fn about(mut self, object: Object) -> Self {
        self.object = Some(Box::new(object));
        self
    }

    pub(crate) fn new(sqlstate: &'static str, number: u16, message: impl Into<String>) -> Self {
        Self {
            sqlstate,
            number,
            message: message.into(),
            detail: None,
            hint: None,
            context: None,
            position: None,
            object: None,
            fatal: false,
        }
    }

    pub(crate) fn with_context(mut self, context: impl Into<Box<str>>) -> Self {
        self.context = Some(context.into());
        self
    }

    pub(crate) fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }
}

/// The errors of both dialects side by side, for the meanings that both know.
impl SqlError {
    /// The code of one dialect; the other's is left out.
    pub(super) fn of(
        engine: EngineKind,
        postgres: &'static str,
        mysql: (u16, &'static str),
        message: impl Into<String>,
    ) -> Self {
        match engine {
            EngineKind::Postgres => Self::new(postgres, 0, message),
            EngineKind::MySql => Self::new(mysql.1, mysql.0, message),
        }
    }

    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into());
        self
    }

    /// SQL that the real database has and the simulator has not.
    pub(super) fn unsupported(engine: EngineKind, what: impl std::fmt::Display) -> Self {
        let message = match engine {
            EngineKind::Postgres => format!("{what} is not supported by the simulator"),
            EngineKind::MySql => {
                format!("This version of the simulator doesn't yet support '{what}'")
            }
        };
        Self::of(engine, "0A000", (1235, "42000"), message)
    }

    pub(super) fn unknown_table(engine: EngineKind, database: &str, table: &str) -> Self {
        let message = match engine {
            EngineKind::Postgres => format!("relation \"{table}\" does not exist"),
            EngineKind::MySql if table.contains('.') => format!("Table '{table}' doesn't exist"),
            EngineKind::MySql => format!("Table '{database}.{table}' doesn't exist"),
        };
        Self::of(engine, "42P01", (1146, "42S02"), message)
    }

    pub(super) fn unknown_column(engine: EngineKind, column: &str) -> Self {
        let message = match engine {
            EngineKind::Postgres if column.contains('.') => {
                format!("column {column} does not exist")
            }
            EngineKind::Postgres => format!("column \"{column}\" does not exist"),
            EngineKind::MySql => format!("Unknown column '{column}' in 'field list'"),
        };
        Self::of(engine, "42703", (1054, "42S22"), message)
    }

    /// A value that is not of the type it is meant for.
    pub(super) fn invalid_value(engine: EngineKind, kind: &str, value: &str) -> Self {
        let shown: String = value.chars().take(100).collect();
        let datetime = kind.starts_with("timestamp") || kind.starts_with("dat") || kind == "time";
        match engine {
            EngineKind::Postgres => Self::new(
                if datetime { "22007" } else { "22P02" },
                0,
                format!("invalid input syntax for type {kind}: \"{shown}\""),
            ),
            EngineKind::MySql if datetime => {
                Self::new("22007", 1292, format!("Incorrect {kind} value: '{shown}'"))
            }
            EngineKind::MySql => {
                Self::new("HY000", 1366, format!("Incorrect {kind} value: '{shown}'"))
            }
        }
    }

    pub(super) fn out_of_range(engine: EngineKind, what: &str) -> Self {
        let message = match engine {
            EngineKind::Postgres => format!("{what} out of range"),
            EngineKind::MySql => format!("Out of range value for {what}"),
        };
        Self::of(engine, "22003", (1264, "22003"), message)
    }

    pub(super) fn division_by_zero(engine: EngineKind) -> Self {
        Self::of(engine, "22012", (1365, "22012"), "division by zero")
    }

    /// The storage or SQLite itself failed.
    pub(super) fn internal(engine: EngineKind, message: impl Into<String>) -> Self {
        Self::of(engine, "XX000", (1105, "HY000"), message)
    }
}
