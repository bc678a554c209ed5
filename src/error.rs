//! The one public error: what happened, to whom, and whether the statement may have run.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use crate::id::InstanceId;

/// A shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Anything that went wrong, with the cause and the next step in its message.
///
/// It is one pointer wide. [`kind`](Self::kind) says what happened, [`outcome`](Self::outcome)
/// whether a statement may have been applied, [`instance`](Self::instance) where;
/// [`source`](StdError::source) leads to the native client's own error.
///
/// ```
/// use aurora_driver::{Error, Outcome};
///
/// fn may_send_again(error: &Error) -> bool {
///     matches!(error.outcome(), Outcome::NotSent | Outcome::Rejected) && error.is_retryable()
/// }
/// # let _ = may_send_again;
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    outcome: Outcome,
    message: Cow<'static, str>,
    instance: Option<InstanceId>,
    code: Option<ServerCode>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The user name, password or token was refused.
    Authentication,
    /// The [`Cluster`](crate::Cluster) was closed.
    Closed,
    /// A URL, a builder value or a host name makes no sense.
    Config,
    /// A connection could not be opened.
    Connect,
    /// The connection ended, was reset or fell silent while it was in use.
    ConnectionLost,
    /// No reader is up within the time given.
    NoReader,
    /// No writer was confirmed within the time given.
    NoWriter,
    /// The server answers, but not as an Aurora cluster does, and the configuration speaks of one:
    /// by an endpoint of a cluster, or by `instance_pattern`.
    NotAurora,
    /// Too many callers wait already, or the server takes no more connections.
    Overloaded,
    /// A write reached an instance that takes none: it has been demoted, or something else than its
    /// user made the session read-only, such as a role's default. In a transaction that its user
    /// began READ ONLY, or a PostgreSQL session that it set so, a lone write is an error of kind
    /// [`Server`](Self::Server).
    ReadOnly,
    /// A host name could not be resolved.
    Resolve,
    /// The server refused the statement for a reason of its own.
    Server,
    /// The time given ran out.
    Timeout,
    /// The call itself is wrong: a parameter of the wrong type or number, another number of rows
    /// than asked for.
    Usage,
}

impl ErrorKind {
    /// The name of the kind, as programs read it: `connection_lost`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Closed => "closed",
            Self::Config => "config",
            Self::Connect => "connect",
            Self::ConnectionLost => "connection_lost",
            Self::NoReader => "no_reader",
            Self::NoWriter => "no_writer",
            Self::NotAurora => "not_aurora",
            Self::Overloaded => "overloaded",
            Self::ReadOnly => "read_only",
            Self::Resolve => "resolve",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Usage => "usage",
        }
    }
}

/// What is known of a statement after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The statement took effect; only something after it failed.
    Applied,
    /// Nothing reached the server: it is safe to send it again, anywhere.
    NotSent,
    /// The server answered that it did not do it: it is safe to send it again.
    Rejected,
    /// It may have been applied, in whole or in part: it was sent and not answered, or it had
    /// several parts and failed after the first.
    Unknown,
}

/// The server's own code of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerCode {
    /// MySQL's error number, as in the MySQL server error reference.
    MySql(u16),
    /// PostgreSQL's SQLSTATE, as in appendix A of its manual.
    SqlState([u8; 5]),
}

impl fmt::Display for ServerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(number) => number.fmt(f),
            Self::SqlState(state) => f.write_str(&String::from_utf8_lossy(state)),
        }
    }
}

impl ServerCode {
    /// Whether the server gave a statement up for the sake of others that ran at the same time:
    /// serialization_failure, deadlock_detected; ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK.
    pub(crate) fn is_conflict(self) -> bool {
        match self {
            Self::MySql(number) => matches!(number, 1205 | 1213),
            Self::SqlState(state) => matches!(&state, b"40001" | b"40P01"),
        }
    }

    /// A SQLSTATE from its five characters; `None` for anything else.
    pub(crate) fn sqlstate(state: &str) -> Option<Self> {
        state.as_bytes().try_into().ok().map(Self::SqlState)
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            outcome: Outcome::NotSent,
            message: message.into(),
            instance: None,
            code: None,
            source: None,
        }))
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    pub(crate) fn with_instance(mut self, instance: &InstanceId) -> Self {
        self.0.instance = Some(instance.clone());
        self
    }

    pub(crate) fn with_code(mut self, code: Option<ServerCode>) -> Self {
        self.0.code = code;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The message alone, without the instance and the code that `Display` adds.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is known of the statement that the call was for.
    ///
    /// Errors that come before any statement was sent (configuration, checkout, connect) are
    /// [`Outcome::NotSent`].
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The instance it happened on, where there is one.
    pub fn instance(&self) -> Option<&InstanceId> {
        self.0.instance.as_ref()
    }

    /// The server's own code, where the server answered.
    pub fn code(&self) -> Option<ServerCode> {
        self.0.code
    }

    /// Whether the same call, made again, may well succeed without any change by the caller.
    ///
    /// It says nothing about safety: look at [`outcome`](Self::outcome) before a write is
    /// repeated.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connect
            | ErrorKind::ConnectionLost
            | ErrorKind::NoReader
            | ErrorKind::NoWriter
            | ErrorKind::Overloaded
            | ErrorKind::ReadOnly
            | ErrorKind::Resolve
            | ErrorKind::Timeout => true,
            ErrorKind::Server => self.0.code.is_some_and(ServerCode::is_conflict),
            ErrorKind::Authentication
            | ErrorKind::Closed
            | ErrorKind::Config
            | ErrorKind::NotAurora
            | ErrorKind::Usage => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(instance) = &self.0.instance {
            write!(f, "{instance}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(code) = self.0.code {
            write!(f, " (code {code})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("outcome", &self.0.outcome)
            .field("message", &self.to_string())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn a_message_names_the_instance_the_cause_and_the_servers_code() {
        let error = Error::new(ErrorKind::ReadOnly, "the instance takes no writes")
            .with_instance(&InstanceId::new("instance-1"))
            .with_code(ServerCode::sqlstate("25006"));
        assert_eq!(
            error.to_string(),
            "instance-1: the instance takes no writes (code 25006)"
        );
    }

    #[test]
    fn a_sqlstate_of_the_wrong_length_is_no_code() {
        assert_eq!(ServerCode::sqlstate("2500"), None);
    }
}
