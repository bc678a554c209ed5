//! The PostgreSQL front: protocol 3 (PostgreSQL manual, chapter 55) over `pgwire`'s messages.
//!
//! - [`wire`]: the socket and its buffers; [`message`] and [`startup`]: what clients send;
//! - [`login`] with [`scram`] and [`settings`]: who is let in, and how their session begins;
//! - [`conversation`]: a session's messages in turn; [`script`]: simple queries; [`extended`]:
//!   prepared statements and portals; [`copy`]: tables in and out as a stream;
//! - [`engine`]: the SQL session behind, [`answer`], [`failure`] and [`types`]: what it says.
//!
//! Not here: LISTEN and NOTIFY, replication connections, function calls, and SCRAM with
//! channel binding. What SQL means is in `sim::sql`.

mod answer;
mod conversation;
mod copy;
mod engine;
mod extended;
mod failure;
mod login;
mod message;
mod scram;
mod script;
mod settings;
mod startup;
#[cfg(test)]
mod tests;
mod types;
mod wire;

pub(crate) use scram::{ITERATIONS as SCRAM_ITERATIONS, Verifiers};

use std::future::pending;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use self::conversation::Conversation;
use self::failure::{Failure, admin_shutdown, error, error_response};
use self::login::Guest;
use self::startup::Request;
use self::wire::Wire;
use super::{Door, Ending, strike};
use crate::sim::fault::Cut;
use crate::sim::host::Count;
use crate::sim::sql::SqlError;

/// How long a client may take to log in; the default of PostgreSQL's `authentication_timeout`.
const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves one accepted socket until the client leaves or the door closes.
///
/// Dropping the future closes the socket and ends the session.
pub(crate) async fn serve(socket: TcpStream, door: Door) {
    serve_within(socket, door, AUTHENTICATION_TIMEOUT).await;
}

async fn serve_within(socket: TcpStream, door: Door, login_timeout: Duration) {
    door.host.count(Count::Connect);
    let mut wire = Wire::new(socket);
    let mut ending = door.ending.clone();
    // Whether the client has said that it speaks the protocol, and so can be spoken to.
    let mut greeted = false;

    // The session goes with the conversation, so that by the time the last words are said its
    // transaction is rolled back and it has left the table.
    let (outcome, ended) = tokio::select! {
        biased;
        ended = ended(&mut ending) => (Ok(()), Some(ended)),
        outcome = converse(&mut wire, &door, &mut greeted, login_timeout) => (outcome, None),
    };
    match (ended, outcome) {
        (Some(Ending::Reset), _) => wire.reset(),
        (Some(Ending::Silence), _) => keep_silent(wire, greeted, &mut ending).await,
        (Some(Ending::Goodbye), _) => say_and_close(wire, greeted, admin_shutdown()).await,
        (None, Err(Failure::Sql(error))) => say_and_close(wire, true, error).await,
        (None, Err(Failure::Cut(cut))) => cut_off(wire, cut, &mut ending).await,
        (None, Ok(()) | Err(Failure::Gone)) => {}
    }
}

/// All that is said with a client, from its first byte on.
async fn converse(
    wire: &mut Wire,
    door: &Door,
    greeted: &mut bool,
    login_timeout: Duration,
) -> Result<(), Failure> {
    let login = tokio::time::timeout(login_timeout, enter(wire, door, greeted));
    let guest = match login.await {
        Ok(entered) => entered?,
        Err(_) if *greeted => {
            return Err(error("57014", "canceling authentication due to timeout")
                .fatal()
                .into());
        }
        Err(_) => return Err(Failure::Gone),
    };
    let Some(Guest {
        engine,
        registration,
        place: _place,
    }) = guest
    else {
        return Ok(());
    };
    let conversation = Conversation::new(wire, engine, door);
    tokio::select! {
        biased;
        () = registration.handle.kill.notified() => Err(admin_shutdown().into()),
        outcome = conversation.run() => outcome,
    }
}

/// Reads what the client wants; there is no guest if it only wanted to cancel, or left.
async fn enter(wire: &mut Wire, door: &Door, greeted: &mut bool) -> Result<Option<Guest>, Failure> {
    match startup::receive(wire, door).await? {
        None => Ok(None),
        Some(Request::Cancel { id, secret }) => {
            if let Some(handle) = door.sessions.find(id, Some(secret)) {
                // Only a statement that runs now: no permit is left for the next one.
                handle.cancel.notify_waiters();
            }
            Ok(None)
        }
        Some(Request::Start(startup)) => {
            *greeted = true;
            login::log_in(wire, door, startup).await.map(Some)
        }
    }
}

/// Waits until this boot of the instance ends its connections.
async fn ended(ending: &mut watch::Receiver<Option<Ending>>) -> Ending {
    match ending.wait_for(Option::is_some).await.map(|value| *value) {
        Ok(Some(ending)) => ending,
        // Nobody is left who could end them.
        Ok(None) | Err(_) => pending().await,
    }
}

/// Holds the socket open, without a word, until the ending is another one.
async fn keep_silent(wire: Wire, greeted: bool, ending: &mut watch::Receiver<Option<Ending>>) {
    let other = ending
        .wait_for(|value| *value != Some(Ending::Silence))
        .await
        .map(|value| *value);
    match other {
        Ok(Some(Ending::Reset)) => wire.reset(),
        Ok(Some(Ending::Goodbye)) => say_and_close(wire, greeted, admin_shutdown()).await,
        // The host is back and knows nothing of the connection, or nobody holds it any more.
        _ => drop(wire),
    }
}

/// Ends a connection as a fault wants it.
async fn cut_off(mut wire: Wire, cut: Cut, ending: &mut watch::Receiver<Option<Ending>>) {
    match cut {
        Cut::Reset => wire.reset(),
        Cut::Close => drop(wire),
        Cut::Truncate => wire.close_with(strike::HALF_A_ROW).await,
        Cut::Garbage => wire.close_with(strike::GARBAGE).await,
        Cut::HalfClose => {
            tokio::select! {
                _ = ended(ending) => {}
                () = wire.half_close() => {}
            }
        }
        Cut::Silence => match ended(ending).await {
            Ending::Silence => keep_silent(wire, false, ending).await,
            Ending::Reset => wire.reset(),
            Ending::Goodbye => drop(wire),
        },
    }
}

async fn say_and_close(mut wire: Wire, greeted: bool, error: SqlError) {
    if greeted && wire.put(&error_response(error)).is_ok() {
        wire.close().await;
    }
}
