//! What a fault means for the connection that met it and for the caller, whatever the engine.

use crate::error::ErrorKind;
use crate::topology::observation::Fault;

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

/// The kind of error for a server's answer that means this, and what to add to its message.
pub(super) fn kind_of_answer(fault: Fault) -> (ErrorKind, &'static str) {
    match fault {
        Fault::ReadOnly => (
            ErrorKind::ReadOnly,
            ": the instance takes no writes; take a new connection from `writer()`",
        ),
        Fault::Terminated | Fault::Crashed | Fault::Starting | Fault::Lost => (
            ErrorKind::ConnectionLost,
            ": the connection is over; take a new one",
        ),
        Fault::Full => (ErrorKind::Overloaded, ""),
        Fault::LoginRefused => (ErrorKind::Authentication, ""),
        Fault::Refused | Fault::Silent | Fault::TimedOut | Fault::Unresolved | Fault::Other => {
            (ErrorKind::Server, "")
        }
    }
}
