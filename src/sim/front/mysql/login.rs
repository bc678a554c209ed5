//! The proof of who a client is, at its first packets or at COM_CHANGE_USER.
//!
//! Protocol: MySQL client/server protocol, "Connection Phase".

use mysql_common::packets::{AuthMoreData, AuthPlugin, AuthSwitchRequest};
use mysql_common::proto::MySerialize;

use super::auth::Plugin;
use super::fault::{self, Failure};
use super::wire::Wire;
use crate::sim::front::{Door, Users};
use crate::sim::host::Count;

const NONCE_BYTES: usize = 20;

/// Second bytes of AuthMoreData in `caching_sha2_password`.
const FAST_AUTH_SUCCESS: u8 = 3;
const PERFORM_FULL_AUTHENTICATION: u8 = 4;

/// One attempt to come in: by the first packets or by COM_CHANGE_USER.
pub(super) struct Attempt<'a> {
    pub(super) user: String,
    pub(super) database: String,
    /// The plugin that the client names.
    pub(super) plugin: Option<AuthPlugin<'a>>,
    /// The client's proof and what it was asked with, if it has been asked.
    pub(super) proof: Option<(Nonce, Vec<u8>)>,
}

/// What a client mixes into its proof, so that no proof is good twice.
#[derive(Clone, Copy)]
pub(super) struct Nonce(pub(super) [u8; NONCE_BYTES]);

impl Nonce {
    /// Seven-bit characters and no NUL, as MySQL's own: clients treat it as a string.
    pub(super) fn fresh() -> Self {
        Self(std::array::from_fn(|_| fastrand::u8(1..=127)))
    }
}

/// Checks a proof, which may take another round of packets, and the database.
pub(super) async fn admit(
    wire: &mut Wire,
    door: &Door,
    attempt: Attempt<'_>,
    peer: &str,
) -> Result<(String, String), Failure> {
    let offered = Plugin::offered(attempt.plugin.as_ref(), wire.is_tls());
    let (plugin, nonce, proof) = match (offered, attempt.proof) {
        (Some(plugin), Some((nonce, proof))) => (plugin, nonce, proof),
        // Every client of this protocol knows the native plugin.
        (offered, _) => ask_again(wire, offered.unwrap_or(Plugin::Native)).await?,
    };
    let refused = |error| {
        door.host.count(Count::LoginRefused);
        Err(Failure::Fatal(error))
    };
    if !is_proven(wire, door, &attempt.user, plugin, nonce, &proof).await? {
        let with_password = !proof.is_empty();
        return refused(fault::access_denied(&attempt.user, peer, with_password));
    }
    if !has_database(&door.users, &attempt.database) {
        return refused(fault::unknown_database(&attempt.database));
    }
    door.sessions.remember(&attempt.user);
    Ok((attempt.user, attempt.database))
}

/// Asks for a proof by another plugin or with another nonce.
async fn ask_again(wire: &mut Wire, plugin: Plugin) -> Result<(Plugin, Nonce, Vec<u8>), Failure> {
    let nonce = Nonce::fresh();
    let mut data = nonce.0.to_vec();
    data.push(0);
    wire.send(&serialized(&AuthSwitchRequest::new(
        plugin.name().as_bytes(),
        data,
    )))
    .await?;
    let proof = wire.read().await?;
    Ok((plugin, nonce, proof))
}

async fn is_proven(
    wire: &mut Wire,
    door: &Door,
    user: &str,
    plugin: Plugin,
    nonce: Nonce,
    proof: &[u8],
) -> Result<bool, Failure> {
    let password = door.users.passwords.get(user);
    let proven = password.is_some_and(|password| plugin.proves(password, &nonce.0, proof));
    let empty = matches!(proof, [] | [0]);
    if plugin != Plugin::CachingSha2 || empty {
        return Ok(proven);
    }
    // The server checks a scramble against its cache, which a boot begins empty: the first login
    // of each user must show the password itself. Without TLS MySQL takes it encrypted with the
    // server's RSA key; this server has none, and lets the scramble do.
    if proven && (!wire.is_tls() || door.sessions.remembers(user)) {
        wire.queue(&serialized(&AuthMoreData::new(&[FAST_AUTH_SUCCESS][..])))?;
        return Ok(true);
    }
    if !wire.is_tls() {
        return Ok(false);
    }
    let request = AuthMoreData::new(&[PERFORM_FULL_AUTHENTICATION][..]);
    wire.send(&serialized(&request)).await?;
    let clear = wire.read().await?;
    Ok(password.is_some_and(|password| Plugin::Clear.proves(password, &nonce.0, &clear)))
}

/// Whether a client may ask for that database. MySQL's own are always there; the empty name asks
/// for none.
fn has_database(users: &Users, name: &str) -> bool {
    const OWN: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];
    name.is_empty()
        || name == users.database
        || OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
}

pub(super) fn serialized(packet: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    bytes
}
