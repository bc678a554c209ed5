//! The first packets: what the server is, whether TLS comes, who the client says it is.
//!
//! Protocol: MySQL client/server protocol, "Connection Phase".

use mysql_common::constants::{CapabilityFlags, StatusFlags};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{HandshakePacket, HandshakeResponse, SslRequest};
use mysql_common::proto::MyDeserialize;

use super::auth::Plugin;
use super::fault::{self, Failure};
use super::login::{self, Attempt, Nonce, serialized};
use super::wire::Wire;
use crate::sim::fault::FaultPoint;
use crate::sim::front::Door;
use crate::sim::front::strike::Struck;
use crate::sim::host::Count;

/// Aurora MySQL 3.04 and later answer to this version of MySQL.
const SERVER_VERSION: &[u8] = b"8.0.28";

/// `utf8mb4_0900_ai_ci`.
const COLLATION: u8 = 255;

/// A client that has been let in.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) user: String,
    /// Empty: none was asked for.
    pub(super) database: String,
    /// What both sides can do.
    pub(super) capabilities: CapabilityFlags,
}

/// Greets a client and checks who it is. The OK that ends the phase is the caller's.
pub(super) async fn greet(
    wire: &mut Wire,
    door: &Door,
    id: u32,
    peer: &str,
) -> Result<Login, Failure> {
    let nonce = Nonce::fresh();
    door.gate.hold_back().await;
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
    if door.tls_required && !wire.is_tls() {
        door.host.count(Count::LoginRefused);
        return Err(Failure::Fatal(fault::insecure_transport()));
    }
    let attempt = Attempt {
        user: lossy(response.user()),
        database: response.db_name().map(lossy).unwrap_or_default(),
        plugin: response.auth_plugin().cloned(),
        proof: Some((nonce, response.scramble_buf().to_vec())),
    };
    door.gate.take_turn(door.host.elapsed_micros()).await;
    let (user, database) = login::admit(wire, door, attempt, peer).await?;
    door.meet(FaultPoint::Login, &user, None)
        .await
        .map_err(|struck| match struck {
            Struck::Error(error) => Failure::Fatal(error),
            Struck::Cut(cut) => Failure::Cut(cut),
        })?;
    Ok(Login {
        user,
        database,
        capabilities,
    })
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

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
