//! What a fault means for the connection that met it and for the caller, whatever the engine.

use super::Failure;
use crate::error::{ErrorKind, ServerCode};
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
            ": the instance takes no writes, or a default of the role forbids them; take a new connection from `writer()`",
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

/// A failure of a login: of one that will be refused for ever it says that the configuration is
/// wrong, so that nobody waits for it to get better.
pub(super) fn of_login(mut failure: Failure) -> Failure {
    if failure.error.code().is_some_and(is_misconfiguration) {
        failure.error = failure.error.with_kind(ErrorKind::Config);
    }
    failure
}

fn is_misconfiguration(code: ServerCode) -> bool {
    match code {
        // invalid_catalog_name; undefined_object (a setting), invalid_parameter_value,
        // cant_change_runtime_param, insufficient_privilege (to set it).
        ServerCode::SqlState(state) => {
            matches!(&state, b"3D000" | b"42704" | b"22023" | b"55P02" | b"42501")
        }
        // ER_BAD_DB_ERROR; ER_UNKNOWN_SYSTEM_VARIABLE, ER_WRONG_VALUE_FOR_VAR,
        // ER_WRONG_TYPE_FOR_VAR, ER_INCORRECT_GLOBAL_LOCAL_VAR, ER_SPECIFIC_ACCESS_DENIED_ERROR
        // (to set it); ER_SECURE_TRANSPORT_REQUIRED.
        ServerCode::MySql(number) => {
            matches!(number, 1049 | 1193 | 1231 | 1232 | 1238 | 1227 | 3159)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::topology::observation::Fault;

    #[test]
    fn a_login_that_will_be_refused_for_ever_is_a_matter_of_the_configuration() {
        let kind = |code| {
            let error = Error::new(ErrorKind::Server, "refused").with_code(code);
            let fault = Fault::Other;
            of_login(Failure { fault, error }).error.kind()
        };
        for code in [ServerCode::sqlstate("3D000"), Some(ServerCode::MySql(1049))] {
            assert_eq!(kind(code), ErrorKind::Config, "{code:?}");
        }
        for code in [
            ServerCode::sqlstate("53300"),
            Some(ServerCode::MySql(1040)),
            None,
        ] {
            assert_eq!(kind(code), ErrorKind::Server, "{code:?}");
        }
    }
}
