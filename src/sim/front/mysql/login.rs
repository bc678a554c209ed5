//! The connection phase: greeting, TLS, and the proof of who the client is.
//!
//! Protocol: MySQL client/server protocol, "Connection Phase".

use mysql_common::constants::{CapabilityFlags, StatusFlags};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{
    AuthMoreData, AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse, SslRequest,
};
use mysql_common::proto::{MyDeserialize, MySerialize};

use super::auth::Plugin;
use super::fault::{self, Failure};
use super::wire::Wire;
use crate::sim::front::Door;
use crate::sim::host::Count;

/// Aurora MySQL 3.04 and later answer to this version of MySQL.
const SERVER_VERSION: &[u8] = b"8.0.28";

/// `utf8mb4_0900_ai_ci`.
const COLLATION: u8 = 255;

const NONCE_BYTES: usize = 20;

/// Second bytes of AuthMoreData in `caching_sha2_password`.
const FAST_AUTH_SUCCESS: u8 = 3;
const PERFORM_FULL_AUTHENTICATION: u8 = 4;

/// A client that has been let in.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) user: String,
    /// Empty: none was asked for.
    pub(super) database: String,
    /// What both sides can do.
    pub(super) capabilities: CapabilityFlags,
}

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
pub(super) struct Nonce([u8; NONCE_BYTES]);

impl Nonce {
    /// Seven-bit characters and no NUL, as MySQL's own: clients treat it as a string.
    fn fresh() -> Self {
        Self(std::array::from_fn(|_| fastrand::u8(1..=127)))
    }
}

/// Greets a client and checks who it is. The OK that ends the phase is the caller's.
pub(super) async fn greet(
    wire: &mut Wire,
    door: &Door,
    id: u32,
    peer: &str,
) -> Result<Login, Failure> {
    let nonce = Nonce::fresh();
    wire.send(&greeting(id, nonce, capabilities(door))).await?;
    let mut packet = wire.read().await?;
    if let Some(tls) = door.tls.as_ref().filter(|_| asks_for_tls(&packet)) {
        wire.start_tls(tls).await?;
        packet = wire.read().await?;
    }
    let response = HandshakeResponse::deserialize((), &mut ParseBuf(&packet))
        .map_err(|_| Failure::Fatal(fault::bad_handshake()))?;
    let capabilities = capabilities(door) & response.capabilities();
    if !capabilities.contains(CapabilityFlags::CLIENT_PROTOCOL_41) {
        return Err(Failure::Fatal(fault::bad_handshake()));
    }
    let attempt = Attempt {
        user: lossy(response.user()),
        database: response.db_name().map(lossy).unwrap_or_default(),
        plugin: response.auth_plugin().cloned(),
        proof: Some((nonce, response.scramble_buf().to_vec())),
    };
    let (user, database) = admit(wire, door, attempt, peer).await?;
    Ok(Login {
        user,
        database,
        capabilities,
    })
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
    if !door.users.has_database(&attempt.database) {
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

fn capabilities(door: &Door) -> CapabilityFlags {
    let mut capabilities = CapabilityFlags::CLIENT_LONG_PASSWORD
        | CapabilityFlags::CLIENT_FOUND_ROWS
        | CapabilityFlags::CLIENT_LONG_FLAG
        | CapabilityFlags::CLIENT_CONNECT_WITH_DB
        | CapabilityFlags::CLIENT_NO_SCHEMA
        | CapabilityFlags::CLIENT_ODBC
        | CapabilityFlags::CLIENT_IGNORE_SPACE
        | CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_INTERACTIVE
        | CapabilityFlags::CLIENT_IGNORE_SIGPIPE
        | CapabilityFlags::CLIENT_TRANSACTIONS
        | CapabilityFlags::CLIENT_RESERVED
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_MULTI_STATEMENTS
        | CapabilityFlags::CLIENT_MULTI_RESULTS
        | CapabilityFlags::CLIENT_PS_MULTI_RESULTS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH
        | CapabilityFlags::CLIENT_CONNECT_ATTRS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
        | CapabilityFlags::CLIENT_DEPRECATE_EOF;
    if door.tls.is_some() {
        capabilities |= CapabilityFlags::CLIENT_SSL;
    }
    capabilities
}

fn greeting(id: u32, nonce: Nonce, capabilities: CapabilityFlags) -> Vec<u8> {
    let mut first = [0; 8];
    first.copy_from_slice(&nonce.0[..8]);
    let mut second = nonce.0[8..].to_vec();
    second.push(0);
    serialized(&HandshakePacket::new(
        10,
        SERVER_VERSION,
        id,
        first,
        Some(second),
        capabilities,
        COLLATION,
        StatusFlags::SERVER_STATUS_AUTOCOMMIT,
        Some(Plugin::CachingSha2.name().as_bytes()),
    ))
}

/// An SSLRequest is a handshake response that stops before the user's name.
fn asks_for_tls(packet: &[u8]) -> bool {
    Some(packet.len()) == SslRequest::SIZE
        && SslRequest::deserialize((), &mut ParseBuf(packet))
            .is_ok_and(|request| request.capabilities().contains(CapabilityFlags::CLIENT_SSL))
}

fn serialized(packet: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    bytes
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
