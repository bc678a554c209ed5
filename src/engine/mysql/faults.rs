//! What MySQL's error numbers mean for the topology. Pure; see `fixtures/errors/`.

use crate::topology::observation::Fault;

/// ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION.
pub(super) const READ_ONLY_TRANSACTION: u16 = 1792;

/// The meaning of an error number (MySQL 8.0 error reference) and its SQLSTATE.
pub(crate) fn fault_of_number(number: u16, sqlstate: &str) -> Fault {
    match number {
        // ER_OPTION_PREVENTS_STATEMENT (--read-only), ER_READ_ONLY_MODE (innodb_read_only): what a
        // write on a reader is refused with, or where a session takes none.
        1290 | READ_ONLY_TRANSACTION | 1836 => Fault::ReadOnly,
        // ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED.
        1040 | 1203 | 1226 => Fault::Full,
        // ER_NORMAL_SHUTDOWN, ER_SERVER_SHUTDOWN, and the server's own kill of a connection.
        1053 | 1077 | 3169 => Fault::Terminated,
        // ER_DBACCESS_DENIED_ERROR, ER_ACCESS_DENIED_ERROR and without a password,
        // ER_HOST_NOT_PRIVILEGED, ER_MUST_CHANGE_PASSWORD_LOGIN, ER_ACCOUNT_HAS_BEEN_LOCKED.
        1044 | 1045 | 1130 | 1698 | 1862 | 3118 => Fault::LoginRefused,
        _ if sqlstate.starts_with("08") => Fault::Lost,
        _ => Fault::Other,
    }
}

#[cfg(test)]
mod tests;
