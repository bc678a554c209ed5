//! The errors that the protocol itself gives rise to, in MySQL's words.
//!
//! Numbers, SQLSTATEs and texts: MySQL 8.0 server error reference.

use std::io;

use crate::sim::fault::Cut;
use crate::sim::sql::SqlError;

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client has left or the socket broke: nobody is there to be told.
    Gone,
    /// The client is cut off, by a fault of the simulator's.
    Cut(Cut),
    /// The client is told, then the connection closes.
    Fatal(SqlError),
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

pub(super) fn too_many_connections() -> SqlError {
    SqlError::new("08004", 1040, "Too many connections")
}

pub(super) fn bad_handshake() -> SqlError {
    SqlError::new("08S01", 1043, "Bad handshake")
}

pub(super) fn access_denied(user: &str, host: &str, with_password: bool) -> SqlError {
    let with = if with_password { "YES" } else { "NO" };
    let message = format!("Access denied for user '{user}'@'{host}' (using password: {with})");
    SqlError::new("28000", 1045, message)
}

pub(super) fn insecure_transport() -> SqlError {
    let message = "Connections using insecure transport are prohibited while \
                   --require_secure_transport=ON.";
    SqlError::new("HY000", 3159, message)
}

pub(super) fn unknown_database(name: &str) -> SqlError {
    SqlError::new("42000", 1049, format!("Unknown database '{name}'"))
}

pub(super) fn unknown_command() -> SqlError {
    SqlError::new("08S01", 1047, "Unknown command")
}

pub(super) fn shutdown_in_progress() -> SqlError {
    SqlError::new("08S01", 1053, "Server shutdown in progress")
}

pub(super) fn empty_query() -> SqlError {
    SqlError::new("42000", 1065, "Query was empty")
}

pub(super) fn more_than_one_statement() -> SqlError {
    let message = "You have an error in your SQL syntax; check the manual that corresponds to your \
                   MySQL server version for the right syntax to use: one statement is allowed here";
    SqlError::new("42000", 1064, message)
}

pub(super) fn unknown_thread(id: u64) -> SqlError {
    SqlError::new("HY000", 1094, format!("Unknown thread id: {id}"))
}

pub(super) fn long_data_too_large() -> SqlError {
    let message = "Parameter of prepared statement which is set through \
                   mysql_send_long_data() is longer than 'max_allowed_packet' bytes";
    SqlError::new("HY000", 1105, message)
}

pub(super) fn packet_too_large() -> SqlError {
    let message = "Got a packet bigger than 'max_allowed_packet' bytes";
    SqlError::new("08S01", 1153, message)
}

pub(super) fn packets_out_of_order() -> SqlError {
    SqlError::new("08S01", 1156, "Got packets out of order")
}

pub(super) fn wrong_arguments(function: &str) -> SqlError {
    SqlError::new("HY000", 1210, format!("Incorrect arguments to {function}"))
}

pub(super) fn unknown_statement(id: u32, function: &str) -> SqlError {
    let message = format!("Unknown prepared statement handler ({id}) given to {function}");
    SqlError::new("HY000", 1243, message)
}

pub(super) fn not_utf8() -> SqlError {
    SqlError::new("HY000", 1300, "Invalid utf8mb4 character string")
}

pub(super) fn interrupted() -> SqlError {
    SqlError::new("70100", 1317, "Query execution was interrupted")
}

pub(super) fn too_many_placeholders() -> SqlError {
    let message = "Prepared statement contains too many placeholders";
    SqlError::new("HY000", 1390, message)
}

pub(super) fn no_open_cursor(id: u32) -> SqlError {
    let message = format!("The statement ({id}) has no open cursor.");
    SqlError::new("HY000", 1421, message)
}

pub(super) fn too_many_statements(limit: usize) -> SqlError {
    let message = format!(
        "Can't create more than max_prepared_stmt_count statements (current value: {limit})"
    );
    SqlError::new("42000", 1461, message)
}

pub(super) fn malformed_packet() -> SqlError {
    SqlError::new("HY000", 1835, "Malformed communication packet.")
}
