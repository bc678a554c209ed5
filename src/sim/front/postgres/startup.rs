//! The first words of a connection: a request for encryption, to cancel, or to start a session.

use std::collections::BTreeMap;

use bytes::{Buf, BytesMut};

use super::failure::{Failure, error, protocol_violation};
use super::message::Fields;
use super::wire::Wire;
use crate::sim::front::Door;
use crate::sim::sql::SqlError;

/// PostgreSQL's limit for these packets (`MAX_STARTUP_PACKET_LENGTH`).
const STARTUP_PACKET_LIMIT: usize = 10_000;

/// Codes which stand where a protocol version would (PostgreSQL protocol, section 55.7).
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_ENCRYPTION_REQUEST: u32 = 80_877_104;

/// The newest minor version of protocol 3 that is spoken.
pub(super) const NEWEST_MINOR: u16 = 2;

/// What a client wants, after any encryption is settled.
#[derive(Debug)]
pub(super) enum Request {
    /// A new session.
    Start(Startup),
    /// The end of another session's statement.
    Cancel { id: u32, secret: i32 },
}

/// A startup packet.
#[derive(Debug)]
pub(super) struct Startup {
    /// The minor version of protocol 3 that the client asked for.
    pub(super) minor: u16,
    pub(super) parameters: BTreeMap<String, String>,
}

/// One packet without a kind.
#[derive(Debug)]
enum Packet {
    Ssl,
    GssEncryption,
    Request(Request),
}

/// Settles encryption and reads what the client wants; `None` when it hung up.
pub(super) async fn receive(wire: &mut Wire, door: &Door) -> Result<Option<Request>, Failure> {
    // Each kind of encryption may be asked for once, as in PostgreSQL, so this ends.
    let (mut ssl_settled, mut gss_settled) = (false, false);
    loop {
        let Some(packet) = next_packet(wire).await? else {
            return Ok(None);
        };
        match packet {
            Packet::Request(request) => return Ok(Some(request)),
            Packet::Ssl if !ssl_settled && !wire.is_secure() => {
                ssl_settled = true;
                encrypt(wire, door).await?;
            }
            Packet::GssEncryption if !gss_settled && !wire.is_secure() => {
                gss_settled = true;
                wire.put_byte(b'N');
                wire.flush().await?;
            }
            Packet::Ssl | Packet::GssEncryption => {
                return Err(unsupported_version(1234, 5679).into());
            }
        }
    }
}

async fn encrypt(wire: &mut Wire, door: &Door) -> Result<(), Failure> {
    let Some(acceptor) = &door.tls else {
        wire.put_byte(b'N');
        return Ok(wire.flush().await?);
    };
    // What follows the request in plain text did not come from the client that will be
    // authenticated (CVE-2021-23214).
    if !wire.input().is_empty() {
        return Err(
            protocol_violation("received unencrypted data after SSL request")
                .fatal()
                .into(),
        );
    }
    wire.put_byte(b'S');
    wire.flush().await?;
    Ok(wire.secure(acceptor).await?)
}

async fn next_packet(wire: &mut Wire) -> Result<Option<Packet>, Failure> {
    loop {
        if let Some(packet) = take_packet(wire.input())? {
            return Ok(Some(packet));
        }
        if wire.fill().await? == 0 {
            return Ok(None);
        }
    }
}

/// Takes one packet from the front of `input`, when it is there as a whole.
fn take_packet(input: &mut BytesMut) -> Result<Option<Packet>, Failure> {
    let Some(mut length) = input.get(..4) else {
        return Ok(None);
    };
    // As in PostgreSQL, no words are spent on a peer that does not speak the protocol.
    let length = usize::try_from(length.get_i32()).map_err(|_| Failure::Gone)?;
    if !(8..=STARTUP_PACKET_LIMIT).contains(&length) {
        return Err(Failure::Gone);
    }
    if input.len() < length {
        return Ok(None);
    }
    let mut body = input.split_to(length).freeze();
    body.advance(4);
    let code = body.get_u32();
    let mut fields = Fields(body);
    Ok(Some(match code {
        SSL_REQUEST => Packet::Ssl,
        GSS_ENCRYPTION_REQUEST => Packet::GssEncryption,
        CANCEL_REQUEST => Packet::Request(Request::Cancel {
            id: fields.i32()?.cast_unsigned(),
            secret: fields.i32()?,
        }),
        version => Packet::Request(Request::Start(startup(version, fields)?)),
    }))
}

fn startup(version: u32, mut fields: Fields) -> Result<Startup, SqlError> {
    let [major, minor] = [version >> 16, version & 0xffff];
    if major != 3 {
        return Err(unsupported_version(major, minor));
    }
    let mut parameters = BTreeMap::new();
    loop {
        let name = fields.string().map_err(SqlError::fatal)?;
        if name.is_empty() {
            break;
        }
        let value = fields.string().map_err(SqlError::fatal)?;
        parameters.insert(name, value);
    }
    if !fields.is_empty() {
        return Err(protocol_violation(
            "invalid startup packet layout: expected terminator as last byte",
        )
        .fatal());
    }
    Ok(Startup {
        minor: minor as u16,
        parameters,
    })
}

fn unsupported_version(major: u32, minor: u32) -> SqlError {
    error(
        "0A000",
        format!(
            "unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{NEWEST_MINOR}"
        ),
    )
    .fatal()
}
