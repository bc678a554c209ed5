//! What can go wrong in a conversation, and how a client is told.

use std::io;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ErrorResponse;

use crate::sim::fault::Cut;
use crate::sim::front::strike::Struck;
use crate::sim::sql::SqlError;

/// Why a step of the conversation did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client is to be told; a fatal error also ends the session.
    Sql(SqlError),
    /// The client is cut off, by a fault of the simulator's.
    Cut(Cut),
    /// There is nobody to tell: the socket failed, or what came over it is no PostgreSQL.
    Gone,
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<Struck> for Failure {
    fn from(struck: Struck) -> Self {
        match struck {
            Struck::Error(error) => Self::Sql(error),
            Struck::Cut(cut) => Self::Cut(cut),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// An error that only PostgreSQL knows.
pub(super) fn error(sqlstate: &'static str, message: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate, 0, message)
}

/// A client broke the rules of the protocol.
pub(super) fn protocol_violation(message: impl Into<String>) -> SqlError {
    error("08P01", message)
}

/// What a session hears when it is ended from outside (57P01, `admin_shutdown`).
pub(super) fn admin_shutdown() -> SqlError {
    error(
        "57P01",
        "terminating connection due to administrator command",
    )
    .fatal()
}

/// The error as a message (PostgreSQL protocol, section 55.8, error and notice message fields).
pub(super) fn error_response(error: SqlError) -> PgWireBackendMessage {
    let severity = if error.fatal { "FATAL" } else { "ERROR" };
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', error.sqlstate.to_owned()),
        (b'M', without_nul(error.message)),
    ];
    fields.extend(error.detail.map(|detail| (b'D', without_nul(detail))));
    fields.extend(error.hint.map(|hint| (b'H', without_nul(hint.into()))));
    fields.extend(
        error
            .context
            .map(|context| (b'W', without_nul(context.into()))),
    );
    fields.extend(error.position.map(|position| (b'P', position.to_string())));
    if let Some(object) = error.object {
        let named = [
            (b't', object.table),
            (b'c', object.column),
            (b'n', object.constraint),
        ];
        fields.push((b's', "public".to_owned()));
        let named = named.into_iter().filter(|(_, name)| !name.is_empty());
        fields.extend(named.map(|(field, name)| (field, without_nul(name))));
    }
    PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fields))
}

/// A NUL would end the field early and shift all that follows it.
fn without_nul(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}
