//! What one user of a connection did on it, as far as it decides whether all of it may be done
//! again. The engines keep it, beside their calls; a closure's own error type plays no part.

use crate::error::{Error, ErrorKind, Outcome, ServerCode};

/// What has happened on a connection since its record was begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record {
    /// How the last call failed; `None` when it went well, or there was none.
    pub(crate) failed: Option<Met>,
    /// A statement outside of a transaction was done, or a transaction was committed, or either
    /// may be so: what was done on the connection cannot be done again as a whole.
    pub(crate) left_traces: bool,
}

/// An error, as far as it decides about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Met {
    pub(crate) kind: ErrorKind,
    pub(crate) outcome: Outcome,
    pub(crate) code: Option<ServerCode>,
}

impl Met {
    /// A connection that is over without an error that would say more.
    pub(crate) const UNEXPLAINED_LOSS: Self = Self {
        kind: ErrorKind::ConnectionLost,
        outcome: Outcome::Unknown,
        code: None,
    };
}

impl From<&Error> for Met {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            outcome: error.outcome(),
            code: error.code(),
        }
    }
}
