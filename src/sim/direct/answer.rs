//! What went wrong with a call, and what that means for the connection and the caller.

use crate::engine::Failure;
use crate::error::{Error, ErrorKind, Outcome, ServerCode};
use crate::id::InstanceId;
use crate::sim::fault::FaultError;
use crate::topology::observation::Fault;

/// Why a call has no answer, or not the one that was wanted.
#[derive(Debug)]
pub(super) enum Upset {
    Fault(Fault),
    /// The server refused it, by a fault of statements.
    Refused(FaultError),
}

impl From<Fault> for Upset {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Upset {
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Fault(fault) => *fault,
            Self::Refused(error) => match error.sqlstate {
                "25006" => Fault::ReadOnly,
                "28000" | "28P01" => Fault::LoginRefused,
                "53300" => Fault::Full,
                "57P01" => Fault::Terminated,
                "57P03" => Fault::Starting,
                _ => Fault::Other,
            },
        }
    }

    /// `if_lost` is what is known of a statement that was sent and has no answer.
    pub(super) fn failure(&self, if_lost: Outcome, instance: &InstanceId) -> Failure {
        let fault = self.fault();
        let (kind, code, message) = match fault {
            Fault::ReadOnly => (
                ErrorKind::ReadOnly,
                Some("25006"),
                "the instance takes no writes; take a new connection from `writer()`",
            ),
            Fault::Terminated => (
                ErrorKind::ConnectionLost,
                Some("57P01"),
                "the server ended the connection; take a new one",
            ),
            Fault::Starting => (
                ErrorKind::Connect,
                Some("57P03"),
                "the database system is starting up",
            ),
            Fault::Full => (
                ErrorKind::Overloaded,
                Some("53300"),
                "the server takes no more connections",
            ),
            Fault::LoginRefused => (
                ErrorKind::Authentication,
                Some("28P01"),
                "the login was refused",
            ),
            Fault::Other => (ErrorKind::Server, None, "the server refused it"),
            Fault::Crashed
            | Fault::Lost
            | Fault::Refused
            | Fault::Silent
            | Fault::TimedOut
            | Fault::Unresolved => (
                ErrorKind::ConnectionLost,
                None,
                "the connection is over; take a new one",
            ),
        };
        let code = match self {
            Self::Refused(error) => Some(error.sqlstate),
            Self::Fault(_) => code,
        };
        let outcome = if fault == Fault::ReadOnly || !condemns(fault) {
            Outcome::Rejected
        } else {
            if_lost
        };
        // Nothing of a login that failed can have been applied.
        let outcome = match if_lost {
            Outcome::NotSent => Outcome::NotSent,
            Outcome::Applied | Outcome::Rejected | Outcome::Unknown => outcome,
        };
        let error = Error::new(kind, message).with_code(code.and_then(ServerCode::sqlstate));
        Failure {
            fault,
            error: error.with_outcome(outcome).with_instance(instance),
        }
    }
}

/// Whether a connection that met this must not be used again.
pub(super) fn condemns(fault: Fault) -> bool {
    match fault {
        Fault::ReadOnly
        | Fault::Terminated
        | Fault::Crashed
        | Fault::Starting
        | Fault::Refused
        | Fault::Lost
        | Fault::Silent
        | Fault::TimedOut => true,
        Fault::Unresolved | Fault::Full | Fault::LoginRefused | Fault::Other => false,
    }
}
