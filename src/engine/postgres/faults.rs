//! What PostgreSQL's error codes mean for the topology. Pure; see `fixtures/errors/`.

use crate::topology::observation::Fault;

/// The meaning of a SQLSTATE (PostgreSQL manual, appendix A).
pub(crate) fn fault_of_sqlstate(code: &str) -> Fault {
    match code {
        // read_only_sql_transaction: what a write on a reader is refused with.
        "25006" => Fault::ReadOnly,
        // admin_shutdown, crash_shutdown, cannot_connect_now.
        "57P01" => Fault::Terminated,
        "57P02" => Fault::Crashed,
        "57P03" => Fault::Starting,
        // too_many_connections.
        "53300" => Fault::Full,
        _ => match code.get(..2) {
            // Class 08, connection exception.
            Some("08") => Fault::Lost,
            // Class 28, invalid authorization specification.
            Some("28") => Fault::LoginRefused,
            _ => Fault::Other,
        },
    }
}

#[cfg(test)]
mod tests;
