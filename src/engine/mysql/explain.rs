//! From `mysql_async` errors to ours: what happened, and whether the statement may have run.

use std::error::Error as _;
use std::io;

use mysql_async::{DriverError, Error as Native, IoError, ServerError};

use super::faults::fault_of_number;
use crate::engine::faults::{kind_of_answer, of_login};
use crate::engine::record::Met;
use crate::engine::{Failure, socket, tls};
use crate::error::{Error, ErrorKind, Outcome, ServerCode};
use crate::topology::observation::Fault;

/// What a native error says about the instance.
pub(super) fn fault(error: &Native) -> Fault {
    match error {
        Native::Server(answer) => fault_of_number(answer.code, &answer.state),
        Native::Io(IoError::Io(error)) => socket::fault_of(error),
        Native::Io(IoError::Tls(_)) => Fault::Other,
        Native::Driver(error) => match error {
            DriverError::ConnectionClosed
            | DriverError::UnexpectedPacket { .. }
            | DriverError::PacketOutOfOrder => Fault::Lost,
            _ => Fault::Other,
        },
        // The watched calls carry the explanation, and the native error within it.
        Native::Other(other) => other
            .downcast_ref::<Error>()
            .and_then(|explained| explained.source()?.downcast_ref::<Native>())
            .map_or(Fault::Other, |native| match native {
                Native::Other(_) => Fault::Other,
                native => fault(native),
            }),
        Native::Url(_) => Fault::Other,
    }
}

/// A failed login.
pub(super) fn login_failure(error: Native) -> Failure {
    let refusal = match &error {
        Native::Driver(DriverError::NoClientSslFlagFromServer) => Some(error.to_string()),
        Native::Io(IoError::Io(cause)) => tls::refusal(cause).map(ToString::to_string),
        Native::Io(IoError::Tls(cause)) => Some(cause.to_string()),
        Native::Driver(_) | Native::Other(_) | Native::Server(_) | Native::Url(_) => None,
    };
    match refusal {
        Some(refusal) => Failure {
            fault: Fault::Other,
            error: tls::refused(refusal).with_source(error),
        },
        None => of_login(failure(error)),
    }
}

/// A failed connect or probe.
pub(super) fn failure(error: Native) -> Failure {
    Failure {
        fault: fault(&error),
        error: Error::from(error).with_outcome(Outcome::NotSent),
    }
}

/// The calls of MySQL connections return `mysql_async`'s error, as its `Queryable` demands; this
/// turns it into this crate's, with the outcome and the instance.
///
/// ```
/// use aurora_driver::{Error, Outcome};
///
/// fn may_send_again(error: mysql_async::Error) -> bool {
///     matches!(Error::from(error).outcome(), Outcome::NotSent | Outcome::Rejected)
/// }
/// # let _ = may_send_again;
/// ```
impl From<Native> for Error {
    fn from(error: Native) -> Self {
        match error {
            Native::Server(answer) => of_server(answer),
            // The watched calls carry the explanation in here already.
            Native::Other(other) => match other.downcast::<Self>() {
                Ok(explained) => *explained,
                Err(other) => Error::new(ErrorKind::Usage, other.to_string())
                    .with_outcome(Outcome::Unknown)
                    .with_source(other),
            },
            Native::Io(_) => Error::new(ErrorKind::ConnectionLost, error.to_string())
                .with_outcome(Outcome::Unknown)
                .with_source(error),
            // Found out before anything of the statement was sent.
            Native::Driver(DriverError::StmtParamsMismatch { .. })
            | Native::Driver(DriverError::StmtParamsNumberExceedsLimit { .. })
            | Native::Driver(DriverError::Params(_)) => {
                Error::new(ErrorKind::Usage, error.to_string()).with_source(error)
            }
            // A parameter or a row of the wrong type: nothing says whether it was sent.
            Native::Driver(_) => Error::new(ErrorKind::Usage, error.to_string())
                .with_outcome(Outcome::Unknown)
                .with_source(error),
            Native::Url(_) => Error::new(ErrorKind::Config, error.to_string()).with_source(error),
        }
    }
}

/// The way back, for closures whose errors are `mysql_async`'s: nothing is lost by it.
impl From<Error> for Native {
    fn from(error: Error) -> Self {
        Self::Other(Box::new(error))
    }
}

/// ER_ERROR_DURING_COMMIT: how far the COMMIT came, the answer does not say.
const ERROR_DURING_COMMIT: u16 = 1180;

fn of_server(answer: ServerError) -> Error {
    let (kind, advice) = kind_of_answer(fault_of_number(answer.code, &answer.state));
    let outcome = outcome_of_answer(kind, answer.code);
    answered(kind, format!("{}{advice}", answer.message), answer).with_outcome(outcome)
}

fn outcome_of_answer(kind: ErrorKind, number: u16) -> Outcome {
    // 1053: the server was going down; at which point of the statement it does not say.
    match kind {
        ErrorKind::ConnectionLost => Outcome::Unknown,
        _ if number == ERROR_DURING_COMMIT => Outcome::Unknown,
        _ => Outcome::Rejected,
    }
}

/// The server answered in the midst of a transaction: without its COMMIT nothing of it stays.
pub(super) fn refused(answer: ServerError) -> Error {
    of_server(answer).with_outcome(Outcome::Rejected)
}

/// A write within a transaction that its user began as READ ONLY.
pub(super) fn refused_as_asked(answer: ServerError) -> Error {
    let message = answer.message.clone();
    answered(ErrorKind::Server, message, answer).with_outcome(Outcome::Rejected)
}

/// An error as it decides about another attempt.
pub(super) fn met(error: &Native) -> Met {
    match error {
        Native::Server(answer) => {
            let (kind, _) = kind_of_answer(fault_of_number(answer.code, &answer.state));
            Met {
                kind,
                outcome: outcome_of_answer(kind, answer.code),
                code: Some(ServerCode::MySql(answer.code)),
            }
        }
        Native::Other(other) => match other.downcast_ref::<Error>() {
            Some(explained) => Met::from(explained),
            None => Met {
                kind: ErrorKind::Usage,
                outcome: Outcome::Unknown,
                code: None,
            },
        },
        Native::Io(_) => Met::UNEXPLAINED_LOSS,
        Native::Driver(_) | Native::Url(_) => Met {
            kind: ErrorKind::Usage,
            outcome: Outcome::Unknown,
            code: None,
        },
    }
}

/// The server refused one part of a call; those before it may be committed.
pub(super) fn after_parts(answer: ServerError) -> Error {
    let (kind, advice) = kind_of_answer(fault_of_number(answer.code, &answer.state));
    let message = format!(
        "{}{advice} (what the call did before this may have been applied)",
        answer.message
    );
    answered(kind, message, answer).with_outcome(Outcome::Unknown)
}

fn answered(kind: ErrorKind, message: String, answer: ServerError) -> Error {
    Error::new(kind, message)
        .with_code(Some(ServerCode::MySql(answer.code)))
        .with_source(Native::Server(answer))
}

/// Whether the connection is gone with this error.
pub(super) fn ends_connection(error: &Native) -> bool {
    match error {
        Native::Io(_) => true,
        Native::Driver(_) => fault(error) == Fault::Lost,
        Native::Other(_) | Native::Server(_) | Native::Url(_) => false,
    }
}

/// The error of a call whose connection was ended from outside.
pub(super) fn ended(cause: &str) -> Native {
    Native::Io(IoError::Io(io::Error::new(
        io::ErrorKind::ConnectionAborted,
        format!("the driver ended the connection because {cause}"),
    )))
}
