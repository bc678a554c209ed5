//! Logging in with a password (SCRAM-SHA-256, RFC 5802 and RFC 7677).
//!
//! Channel binding (SCRAM-SHA-256-PLUS) is not offered.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth, gen_salted_password};
use pgwire::error::PgWireError;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::Authentication;

use super::failure::{Failure, error, protocol_violation};
use super::message::{Fields, authentication_limit};
use super::wire::Wire;
use crate::sim::front::Users;
use crate::sim::sql::SqlError;

const MECHANISM: &str = "SCRAM-SHA-256";
const SALT_LENGTH: usize = 16;
const KEY_LENGTH: usize = 32;

/// How often a password is hashed at a login, if the builder says nothing else: as often as
/// PostgreSQL does (RFC 7677), but in unoptimised programs, where that would take each login 0.2 s
/// of a core, and the logins of a test that fails over longer than the driver waits for them.
pub(crate) const ITERATIONS: usize = if cfg!(debug_assertions) { 128 } else { 4_096 };

/// The passwords of a cluster's users in the form in which a server keeps them, each derived at
/// its user's first login.
///
/// The derivation is slow on purpose; done at each login it would be most of its time.
#[derive(Default)]
pub(crate) struct Verifiers(Mutex<HashMap<String, Arc<Verifier>>>);

struct Verifier {
    salt: Vec<u8>,
    salted_password: Vec<u8>,
}

impl Verifiers {
    fn secret(&self, user: &str, password: &str, iterations: usize) -> ScramSecret {
        let mut verifiers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let verifier = match verifiers.get(user) {
            Some(verifier) => Arc::clone(verifier),
            None => {
                let verifier = Arc::new(Verifier::derive(password, iterations));
                verifiers.insert(user.to_owned(), Arc::clone(&verifier));
                verifier
            }
        };
        ScramSecret::verifier_from_salted_password(
            verifier.salt.clone(),
            verifier.salted_password.clone(),
            iterations,
        )
    }
}

impl Verifier {
    fn derive(password: &str, iterations: usize) -> Self {
        let salt = random_bytes(SALT_LENGTH);
        let salted_password = gen_salted_password(password, &salt, iterations);
        Self {
            salt,
            salted_password,
        }
    }
}

/// A clone starts empty: its owner may have other passwords.
impl Clone for Verifiers {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Verifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifiers").finish_non_exhaustive()
    }
}

/// Has the client prove that it knows the password of `user`.
///
/// The last message of a success is left in the output buffer: more is to follow it.
pub(super) async fn authenticate(
    wire: &mut Wire,
    users: &Users,
    user: &str,
) -> Result<(), Failure> {
    send(wire, Authentication::SASL(vec![MECHANISM.to_owned()])).await?;

    let mut fields = Fields(answer(wire).await?);
    let mechanism = fields.string().map_err(SqlError::fatal)?;
    let client_first = fields.value().map_err(SqlError::fatal)?;
    if mechanism != MECHANISM {
        return Err(
            protocol_violation("client selected an invalid SASL authentication mechanism")
                .fatal()
                .into(),
        );
    }
    let secret = match users.passwords.get(user) {
        Some(password) => users
            .verifiers
            .secret(user, password, users.scram_iterations),
        None => nobody(users.scram_iterations),
    };
    let refused = |cause: PgWireError| refusal(user, &cause);
    let (server_first, exchange) = ScramServerAuth::new()
        .on_client_first_message_with_secret(&client_first.unwrap_or_default(), secret)
        .map_err(refused)?;
    send(wire, Authentication::SASLContinue(server_first.into())).await?;

    let client_final = answer(wire).await?;
    let server_final = exchange
        .on_client_final_message(&client_final)
        .map_err(refused)?;
    wire.put(&PgWireBackendMessage::Authentication(
        Authentication::SASLFinal(server_final.into()),
    ))?;
    Ok(())
}

async fn send(wire: &mut Wire, request: Authentication) -> Result<(), Failure> {
    wire.put(&PgWireBackendMessage::Authentication(request))?;
    Ok(wire.flush().await?)
}

/// The body of the client's next message of the exchange.
async fn answer(wire: &mut Wire) -> Result<Bytes, Failure> {
    match wire.frame(authentication_limit).await? {
        Some(frame) if frame.kind == b'p' => Ok(frame.body),
        // A client that has no password hangs up here to ask its user for one.
        _ => Err(Failure::Gone),
    }
}

/// A verifier that no password fits, so that a stranger learns nothing of which users exist.
fn nobody(iterations: usize) -> ScramSecret {
    ScramSecret::Verifier {
        salt: random_bytes(SALT_LENGTH),
        iterations,
        stored_key: random_bytes(KEY_LENGTH),
        server_key: random_bytes(KEY_LENGTH),
    }
}

fn refusal(user: &str, cause: &PgWireError) -> SqlError {
    match cause {
        PgWireError::InvalidPassword(_) => error(
            "28P01",
            format!("password authentication failed for user \"{user}\""),
        )
        .fatal(),
        // The cause quotes the client's message and is of no use to anybody else.
        _ => protocol_violation("malformed SCRAM message").fatal(),
    }
}

fn random_bytes(length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..))
        .take(length)
        .collect()
}
