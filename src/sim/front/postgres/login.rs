//! From a startup packet to a session that is ready for queries.

use std::sync::Arc;

use bytes::Bytes;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey,
};

use super::engine::Engine;
use super::failure::{Failure, error};
use super::scram;
use super::settings;
use super::startup::{NEWEST_MINOR, Startup};
use super::wire::Wire;
use crate::sim::fault::{FaultPoint, Place, Turned};
use crate::sim::front::strike::Struck;
use crate::sim::front::{Door, Registration};
use crate::sim::host::Count;
use crate::sim::sql::{Session, SqlError};

/// A client that has been let in.
pub(super) struct Guest {
    pub(super) engine: Engine,
    pub(super) registration: Registration,
    pub(super) place: Place,
}

/// Lets a client in, or says why not.
pub(super) async fn log_in(
    wire: &mut Wire,
    door: &Door,
    startup: Startup,
) -> Result<Guest, Failure> {
    let outcome = admit(wire, door, startup).await;
    match &outcome {
        Ok(_) => door.host.count(Count::Login),
        Err(Failure::Sql(_)) => door.host.count(Count::LoginRefused),
        // Whoever hung up was neither let in nor refused.
        Err(Failure::Gone | Failure::Cut(_)) => {}
    }
    outcome
}

async fn admit(wire: &mut Wire, door: &Door, startup: Startup) -> Result<Guest, Failure> {
    // PostgreSQL says this before it asks who is there.
    if door.starting {
        return Err(turned_away(Turned::Starting).into());
    }
    let place = door.gate.enter().map_err(turned_away)?;
    door.gate.hold_back().await;
    negotiate_version(wire, &startup)?;
    let mut parameters = startup.parameters;
    let user = parameters
        .remove("user")
        .filter(|user| !user.is_empty())
        .ok_or_else(|| {
            error(
                "28000",
                "no PostgreSQL user name specified in startup packet",
            )
            .fatal()
        })?;
    let database = parameters
        .remove("database")
        .filter(|database| !database.is_empty())
        .unwrap_or_else(|| user.clone());
    if parameters
        .get("replication")
        .is_some_and(|kind| asks_for_replication(kind))
    {
        return Err(error("0A000", "replication connections are not supported")
            .fatal()
            .into());
    }

    prove(wire, door, &user, &database).await?;
    if database != door.users.database {
        return Err(
            error("3D000", format!("database \"{database}\" does not exist"))
                .fatal()
                .into(),
        );
    }

    let mut session = Session::open(Arc::clone(&door.host), &door.volume, &user, &database)
        .map_err(SqlError::fatal)?;
    let registration = door.sessions.register(fastrand::i32(..));
    session.set_connection_id(registration.id);
    let handle = Arc::clone(&registration.handle);
    let mut engine = Engine::new(session, handle, door.clone(), user.clone());
    settings::apply(&mut engine, &parameters).await?;
    let key = if startup.minor >= 2 {
        SecretKey::Bytes(Bytes::copy_from_slice(&registration.secret.to_be_bytes()))
    } else {
        SecretKey::I32(registration.secret)
    };
    tell_parameters(wire, engine.session())?;
    wire.put(&PgWireBackendMessage::BackendKeyData(BackendKeyData::new(
        registration.id.cast_signed(),
        key,
    )))?;
    Ok(Guest {
        engine,
        registration,
        place,
    })
}

/// Lets a client prove who it is, by a way that is allowed.
async fn prove(wire: &mut Wire, door: &Door, user: &str, database: &str) -> Result<(), Failure> {
    if door.tls_required && !wire.is_secure() {
        return Err(no_encryption(wire, user, database).into());
    }
    door.gate.take_turn(door.host.elapsed_micros()).await;
    scram::authenticate(wire, &door.users, user).await?;
    match door.meet(FaultPoint::Login, user, None).await {
        Err(Struck::Error(error)) => return Err(error.fatal().into()),
        met => met?,
    }
    wire.put(&PgWireBackendMessage::Authentication(Authentication::Ok))?;
    Ok(())
}

/// A login in plain text where TLS is required (PostgreSQL manual, 21.14, authentication
/// problems).
fn no_encryption(wire: &Wire, user: &str, database: &str) -> SqlError {
    let host = wire.peer();
    let message = format!(
        "no pg_hba.conf entry for host \"{host}\", user \"{user}\", database \"{database}\", \
         no encryption"
    );
    error("28000", message).fatal()
}

/// Why a client is not let in (PostgreSQL manual, appendix A, and `postmaster.c`).
fn turned_away(turned: Turned) -> SqlError {
    let (sqlstate, message) = match turned {
        Turned::Starting => ("57P03", "the database system is starting up"),
        Turned::Draining => ("57P03", "the database system is shutting down"),
        Turned::Full => ("53300", "sorry, too many clients already"),
    };
    error(sqlstate, message).fatal()
}

/// Tells the client of session parameters that have changed.
pub(super) fn tell_parameters(wire: &mut Wire, session: &mut Session) -> Result<(), SqlError> {
    for (name, value) in session.take_parameter_changes() {
        wire.put(&PgWireBackendMessage::ParameterStatus(
            ParameterStatus::new(name.to_owned(), value),
        ))?;
    }
    Ok(())
}

/// Tells a client that asked for more of the protocol than there is what it gets.
fn negotiate_version(wire: &mut Wire, startup: &Startup) -> Result<(), SqlError> {
    let unknown: Vec<String> = startup
        .parameters
        .keys()
        .filter(|name| name.starts_with("_pq_."))
        .cloned()
        .collect();
    if startup.minor <= NEWEST_MINOR && unknown.is_empty() {
        return Ok(());
    }
    wire.put(&PgWireBackendMessage::NegotiateProtocolVersion(
        NegotiateProtocolVersion::new((3 << 16) | i32::from(NEWEST_MINOR), unknown),
    ))
}

/// Whether a value of the startup parameter `replication` asks for it.
fn asks_for_replication(kind: &str) -> bool {
    !matches!(kind, "false" | "off" | "no" | "0")
}
