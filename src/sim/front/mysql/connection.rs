//! One accepted socket from its greeting to its end, whichever way it ends.

use std::time::Duration;

use mysql_common::constants::StatusFlags;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::client::Client;
use super::fault::{self, Failure};
use super::greeting;
use super::packet;
use super::wire::Wire;
use crate::sim::fault::{Cut, Turned};
use crate::sim::front::{Door, Ending, Registration, strike};
use crate::sim::host::Count;
use crate::sim::sql::{Done, Session, SqlError};

/// MySQL's default `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One client's connection.
///
/// It owns what outlives the conversation: when the instance ends, the conversation's future is
/// dropped wherever it waits, with its SQL session, and the socket is still here to be reset, left
/// silent or closed.
pub(super) struct Connection {
    wire: Wire,
    door: Door,
    peer: String,
    registration: Registration,
    /// A statement is being executed.
    running: bool,
}

/// `ER_SERVER_SHUTDOWN` (MySQL 8.0 error reference).
const SHUTDOWN_IN_PROGRESS: u16 = 1053;

/// Why the conversation stopped.
enum Stop {
    Failure(Failure),
    Killed,
    Ending(Ending),
}

impl Connection {
    pub(super) fn new(socket: TcpStream, door: Door) -> Self {
        // Small packets go back and forth; a failure costs time only.
        let _ = socket.set_nodelay(true);
        let peer = socket
            .peer_addr()
            .map(|address| address.ip().to_string())
            .unwrap_or_default();
        Self {
            wire: Wire::new(socket),
            peer,
            registration: door.sessions.register(fastrand::i32(..)),
            door,
            running: false,
        }
    }

    pub(super) async fn serve(mut self) {
        if self.door.starting {
            // MySQL opens its port late: to the client this is as good as a refused connection.
            return self.wire.reset();
        }
        self.door.host.count(Count::Connect);
        let _place = match self.door.gate.enter() {
            Ok(place) => place,
            Err(turned) => return turn_away(self.wire, turned).await,
        };
        let mut ending = self.door.ending.clone();
        let handle = self.registration.handle.clone();
        // Cancelling the conversation here is what drops its SQL session, whatever comes next.
        let stop = tokio::select! {
            biased;
            ending = ended(&mut ending) => Stop::Ending(ending),
            () = handle.kill.notified() => Stop::Killed,
            failure = self.converse() => Stop::Failure(failure),
        };
        let Self {
            wire,
            running,
            registration,
            ..
        } = self;
        // From here on nobody can find the session; its socket may take longer to close.
        drop(registration);
        match stop {
            Stop::Failure(Failure::Gone) | Stop::Killed => wire.close().await,
            Stop::Failure(Failure::Cut(cut)) => cut_off(wire, cut, ending).await,
            // The storage has refused a commit of this boot, so the boot is about to end its
            // connections: a crash does so without a word, whoever comes first.
            Stop::Failure(Failure::Fatal(error)) if error.number == SHUTDOWN_IN_PROGRESS => {
                match timeout(CONNECT_TIMEOUT, ended(&mut ending)).await {
                    Ok(first) => end(wire, true, first, ending).await,
                    Err(_) => close_saying(wire, &error).await,
                }
            }
            Stop::Failure(Failure::Fatal(error)) => close_saying(wire, &error).await,
            Stop::Ending(first) => end(wire, running, first, ending).await,
        }
    }

    /// Talks to the client until it leaves or errs.
    async fn converse(&mut self) -> Failure {
        match self.log_in().await {
            Ok(client) => client.serve().await,
            Err(failure) => failure,
        }
    }

    async fn log_in(&mut self) -> Result<Client<'_>, Failure> {
        let greeting =
            greeting::greet(&mut self.wire, &self.door, self.registration.id, &self.peer);
        let login = timeout(CONNECT_TIMEOUT, greeting)
            .await
            .unwrap_or(Err(Failure::Gone))?;
        let mut session = Session::open(
            self.door.host.clone(),
            &self.door.volume,
            &login.user,
            &login.database,
        )
        .map_err(Failure::Fatal)?;
        session.set_connection_id(self.registration.id);
        self.door.host.count(Count::Login);
        let status = StatusFlags::SERVER_STATUS_AUTOCOMMIT;
        let ok = packet::ok(Done::default(), status, login.capabilities);
        self.wire.send(&ok).await?;
        self.wire.end_login();
        Ok(Client::new(
            &mut self.wire,
            &mut self.running,
            &self.door,
            &self.registration,
            &self.peer,
            session,
            login.capabilities,
        ))
    }
}

/// Ends a connection with its instance.
async fn end(
    wire: Wire,
    running: bool,
    first: Ending,
    mut ending: watch::Receiver<Option<Ending>>,
) {
    let how = match first {
        // The host may yet come back and answer with a reset.
        Ending::Silence => changed_from(&mut ending, Ending::Silence).await,
        other => other,
    };
    match how {
        Ending::Reset => wire.reset(),
        Ending::Goodbye if running => close_saying(wire, &fault::shutdown_in_progress()).await,
        Ending::Goodbye | Ending::Silence => wire.close().await,
    }
}

/// Ends a connection as a fault wants it.
async fn cut_off(mut wire: Wire, cut: Cut, mut ending: watch::Receiver<Option<Ending>>) {
    match cut {
        Cut::Reset => wire.reset(),
        Cut::Close => drop(wire),
        Cut::Truncate => wire.close_with(strike::HALF_A_PACKET).await,
        Cut::Garbage => wire.close_with(strike::GARBAGE).await,
        Cut::HalfClose => {
            tokio::select! {
                _ = ended(&mut ending) => {}
                () = wire.half_close() => {}
            }
        }
        Cut::Silence => {
            let first = ended(&mut ending).await;
            end(wire, false, first, ending).await;
        }
    }
}

/// Ends a connection that is not let in: with an error where the greeting would be.
async fn turn_away(mut wire: Wire, turned: Turned) {
    let error = match turned {
        Turned::Starting => return wire.reset(),
        Turned::Draining => fault::shutdown_in_progress(),
        Turned::Full => fault::too_many_connections(),
    };
    let told = timeout(CONNECT_TIMEOUT, wire.send(&packet::early_error(&error))).await;
    if matches!(told, Ok(Ok(()))) {
        wire.close().await;
    }
}

async fn close_saying(mut wire: Wire, error: &SqlError) {
    // The client may have left first; then there is nobody to tell.
    let told = timeout(CONNECT_TIMEOUT, wire.send(&packet::error(error))).await;
    if matches!(told, Ok(Ok(()))) {
        wire.close().await;
    }
}

async fn ended(ending: &mut watch::Receiver<Option<Ending>>) -> Ending {
    wait_for(ending, |_| true).await
}

async fn changed_from(ending: &mut watch::Receiver<Option<Ending>>, from: Ending) -> Ending {
    wait_for(ending, |ending| ending != from).await
}

/// Waits for an ending of some kind, for ever if nobody is left who could decide on one.
async fn wait_for(
    ending: &mut watch::Receiver<Option<Ending>>,
    wanted: impl Fn(Ending) -> bool,
) -> Ending {
    let wanted = |ending: &Option<Ending>| ending.is_some_and(&wanted);
    if let Ok(ending) = ending.wait_for(wanted).await
        && let Some(ending) = *ending
    {
        return ending;
    }
    std::future::pending().await
}
