//! The errors that a simulated instance answers, with the true codes of both dialects.

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
    pub(crate) hint: Option<String>,
    /// 1-based character position in the statement (PostgreSQL's field `P`).
    pub(crate) position: Option<u32>,
    /// The session ends with this error (PostgreSQL's severity `FATAL`).
    pub(crate) fatal: bool,
}

impl SqlError {
    pub(crate) fn new(sqlstate: &'static str, number: u16, message: impl Into<String>) -> Self {
        Self {
            sqlstate,
            number,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            fatal: false,
        }
    }

    pub(crate) fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }
}
