//! Bytes that no client should send.

use std::io::Write;

use mysql_common::constants::{CapabilityFlags, StatusFlags};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse};
use mysql_common::proto::{MyDeserialize, MySerialize};
use mysql_common::scramble::scramble_native;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// The least that the server asks for.
pub(super) const CAPABILITIES: CapabilityFlags =
    CapabilityFlags::CLIENT_PROTOCOL_41.union(CapabilityFlags::CLIENT_SECURE_CONNECTION);

fn nonce(greeting: &[u8]) -> Vec<u8> {
    HandshakePacket::deserialize((), &mut ParseBuf(greeting))
        .expect("a greeting")
        .nonce()
}

/// A client that writes what it likes.
pub(super) struct Bare {
    socket: TcpStream,
}

impl Bare {
    /// Connects and returns the greeting too.
    async fn connect(server: &Server) -> (Self, Vec<u8>) {
        let socket = TcpStream::connect(server.address)
            .await
            .expect("a connection");
        let mut bare = Self { socket };
        let (_, greeting) = bare.read().await.expect("a greeting");
        (bare, greeting)
    }

    /// Logs in by `mysql_native_password` as MariaDB's clients do.
    pub(super) async fn log_in(server: &Server) -> Self {
        let (mut bare, greeting) = Self::connect(server).await;
        let proof = scramble_native(&nonce(&greeting), b"secret").expect("a password");
        let response = HandshakeResponse::new(
            Some(&proof[..]),
            (8, 0, 28),
            Some(&b"app"[..]),
            Some(&b"shop"[..]),
            Some(AuthPlugin::MysqlNativePassword),
            CAPABILITIES,
            None,
            1 << 24,
        );
        let mut bytes = Vec::new();
        response.serialize(&mut bytes);
        bare.send(1, &bytes).await;
        let (sequence, ok) = bare.read().await.expect("an answer");
        assert_eq!((sequence, ok[0]), (2, 0), "{ok:?}");
        bare
    }

    pub(super) async fn send(&mut self, sequence: u8, payload: &[u8]) {
        let mut bytes = (payload.len() as u32).to_le_bytes();
        bytes[3] = sequence;
        self.socket.write_all(&bytes).await.expect("written");
        self.socket.write_all(payload).await.expect("written");
    }

    /// Sequence number and payload of the next packet; `None` at the end.
    pub(super) async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 4];
        within(self.socket.read_exact(&mut head)).await.ok()?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
        let mut payload = vec![0; length];
        within(self.socket.read_exact(&mut payload)).await.ok()?;
        Some((head[3], payload))
    }

    /// The next packet is that error.
    async fn expect_error(&mut self, number: u16, state: &str) {
        let (_, packet) = self.read().await.expect("an error");
        assert_eq!(packet[0], 0xFF, "{packet:?}");
        assert_eq!(u16::from_le_bytes([packet[1], packet[2]]), number);
        assert_eq!(&packet[3..9], format!("#{state}").as_bytes());
    }
}

#[tokio::test]
async fn garbage_instead_of_a_login_ends_the_connection() {
    let server = Server::start().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 1],
        &[3, 0, 0, 1, 1, 2, 3],
        &[0xFF; 300],
        &[32, 0, 0, 1, 0, 8, 0, 0],
    ] {
        let (mut bare, _) = Bare::connect(&server).await;
        bare.socket.write_all(garbage).await.expect("written");
        bare.socket.shutdown().await.expect("said");
        while bare.read().await.is_some() {}
    }
    server.sessions_left(0).await;
    assert_usable(&mut server.connect().await).await;
}

#[tokio::test]
async fn garbage_instead_of_tls_ends_the_connection() {
    let server = Server::start().await;
    let (mut bare, _) = Bare::connect(&server).await;
    let capabilities = CapabilityFlags::CLIENT_SSL | CapabilityFlags::CLIENT_PROTOCOL_41;
    let mut request = capabilities.bits().to_le_bytes().to_vec();
    request.resize(32, 0);
    bare.send(1, &request).await;
    bare.socket.write_all(&[b'x'; 64]).await.expect("written");
    while bare.read().await.is_some() {}
    server.sessions_left(0).await;
}

#[tokio::test]
async fn the_first_bytes_of_tls_may_come_with_the_request_for_it() {
    let server = Server::start().await;
    let (bare, _) = Bare::connect(&server).await;
    let mut socket = bare.socket.into_std().expect("a socket");
    socket.set_nonblocking(false).expect("blocking");
    let mut client = server.tls_client();
    let done = tokio::task::spawn_blocking(move || {
        let capabilities = CapabilityFlags::CLIENT_SSL | CAPABILITIES;
        let mut flight = vec![32, 0, 0, 1];
        flight.extend_from_slice(&capabilities.bits().to_le_bytes());
        flight.resize(36, 0);
        client.write_tls(&mut flight).expect("a ClientHello");
        socket.write_all(&flight).expect("written");
        client.complete_io(&mut socket).expect("a handshake");
        client.is_handshaking()
    });
    assert!(!within(done).await.expect("no panic"));
}

#[tokio::test]
async fn a_client_with_an_unknown_plugin_is_switched_to_one_that_it_must_know() {
    let server = Server::start().await;
    // In clear text nobody is asked for a password over an open line.
    for plugin in [
        AuthPlugin::Other((&b"dialog"[..]).into()),
        AuthPlugin::MysqlClearPassword,
    ] {
        let (mut bare, _) = Bare::connect(&server).await;
        let response = HandshakeResponse::new(
            Some(&b"secret\0"[..]),
            (8, 0, 28),
            Some(&b"app"[..]),
            None::<&[u8]>,
            Some(plugin),
            CAPABILITIES,
            None,
            1 << 24,
        );
        let mut bytes = Vec::new();
        response.serialize(&mut bytes);
        bare.send(1, &bytes).await;
        let (_, packet) = bare.read().await.expect("a switch");
        let switch = AuthSwitchRequest::deserialize((), &mut ParseBuf(&packet)).expect("a switch");
        assert_eq!(switch.auth_plugin(), AuthPlugin::MysqlNativePassword);
        let proof = scramble_native(switch.plugin_data(), b"secret").expect("a password");
        bare.send(3, &proof).await;
        let (sequence, ok) = bare.read().await.expect("an answer");
        assert_eq!((sequence, ok[0]), (4, 0), "{ok:?}");
    }
}

#[tokio::test]
async fn scripts_are_refused_until_the_client_asks_for_them() {
    let server = Server::start().await;
    let mut bare = Bare::log_in(&server).await;
    let script = b"\x03SELECT 1; SELECT 2";
    bare.send(0, script).await;
    bare.expect_error(1064, "42000").await;
    bare.send(0, b"\x1b\0\0").await;
    let (_, end) = bare.read().await.expect("an answer");
    assert_eq!(end[0], 0xFE);
    bare.send(0, script).await;
    let mut packets = Vec::new();
    // For each: the count, a column, an EOF, a row, an EOF.
    for _ in 0..10 {
        packets.push(bare.read().await.expect("a packet of a result").1);
    }
    assert_eq!(
        (&packets[3][..], &packets[8][..]),
        (&b"\x011"[..], &b"\x012"[..])
    );
    let more = StatusFlags::SERVER_MORE_RESULTS_EXISTS.bits() as u8;
    assert_eq!((packets[4][3] & more, packets[9][3] & more), (more, 0));
    bare.send(0, b"\x1b\x01\0").await;
    bare.read().await.expect("an answer");
    bare.send(0, script).await;
    bare.expect_error(1064, "42000").await;
}

#[tokio::test]
async fn random_commands_never_hurt_the_server() {
    let server = Server::start().await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let mut bare = Bare::log_in(&server).await;
        for _ in 0..4 {
            let mut packet = vec![random.u8(0..0x20)];
            packet.extend((0..random.usize(0..24)).map(|_| random.u8(..)));
            let mut head = (packet.len() as u32).to_le_bytes().to_vec();
            head.extend_from_slice(&packet);
            // The server may have had enough already.
            let _ = bare.socket.write_all(&head).await;
        }
        let _ = bare.socket.shutdown().await;
        while bare.read().await.is_some() {}
    }
    server.sessions_left(0).await;
    assert_usable(&mut server.connect().await).await;
}

#[tokio::test]
async fn an_unknown_command_is_refused_and_the_session_goes_on() {
    let server = Server::start().await;
    let mut bare = Bare::log_in(&server).await;
    for code in [0x00, 0x05, 0x12, 0x1e, 0x7f, 0xfa] {
        bare.send(0, &[code]).await;
        bare.expect_error(1047, "08S01").await;
    }
    bare.send(0, &[0x0e]).await;
    let (sequence, ok) = bare.read().await.expect("an answer to a ping");
    assert_eq!((sequence, ok[0]), (1, 0));
}

#[tokio::test]
async fn a_malformed_or_misnumbered_packet_ends_the_session() {
    let server = Server::start().await;
    let mut bare = Bare::log_in(&server).await;
    bare.send(0, &[]).await;
    bare.expect_error(1835, "HY000").await;
    assert_eq!(bare.read().await, None);
    let mut bare = Bare::log_in(&server).await;
    bare.send(5, &[0x0e]).await;
    bare.expect_error(1156, "08S01").await;
    assert_eq!(bare.read().await, None);
}

#[tokio::test]
async fn a_packet_beyond_the_limit_is_refused_while_the_client_still_writes_it() {
    let server = Server::start().await;
    let mut bare = Bare::log_in(&server).await;
    let chunk = vec![b'x'; 0xFF_FFFF];
    for sequence in 0..4 {
        bare.send(sequence, &chunk).await;
    }
    // The fifth chunk would make it more than 64 MiB; its head is enough.
    bare.socket
        .write_all(&[0xFF, 0xFF, 0xFF, 4])
        .await
        .expect("written");
    bare.expect_error(1153, "08S01").await;
}

#[tokio::test]
async fn a_list_of_fields_ends_as_the_client_expects() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    within(connection.query_drop("CREATE TABLE item (id BIGINT, name VARCHAR(50))"))
        .await
        .expect("a table");
    let mut bare = Bare::log_in(&server).await;
    bare.send(0, b"\x04item\0").await;
    for name in ["id", "name"] {
        let (_, field) = bare.read().await.expect("a field");
        let found = field
            .windows(name.len())
            .any(|part| part == name.as_bytes());
        assert!(found, "{field:?}");
        assert_eq!(field.last(), Some(&0xFB));
    }
    let (_, end) = bare.read().await.expect("an end");
    assert_eq!((end[0], end.len()), (0xFE, 5));
    bare.send(0, b"\x04nowhere\0").await;
    let (_, error) = bare.read().await.expect("an error");
    assert_eq!(error[0], 0xFF);
}

#[tokio::test]
async fn statistics_are_a_line_of_text() {
    let server = Server::start().await;
    let mut bare = Bare::log_in(&server).await;
    bare.send(0, &[0x09]).await;
    let (_, line) = bare.read().await.expect("a line");
    assert_eq!(line, b"Uptime: 7  Threads: 1  Questions: 1");
}

#[tokio::test]
async fn long_data_becomes_the_parameter_of_the_next_execution() {
    let server = Server::start().await;
    let mut bare = Bare::log_in(&server).await;
    bare.send(0, b"\x16SELECT ?").await;
    let (_, prepared) = bare.read().await.expect("prepared");
    assert_eq!(prepared[0], 0);
    let id = &prepared[1..5];
    // A parameter, a column, and an EOF after each.
    for _ in 0..4 {
        bare.read().await.expect("a definition");
    }
    for piece in [&b"long "[..], b"data"] {
        bare.send(0, &[&[0x18][..], id, &[0, 0], piece].concat())
            .await;
    }
    let execute = [&[0x17][..], id, &[0, 1, 0, 0, 0, 0, 1, 253, 0]].concat();
    bare.send(0, &execute).await;
    let mut packets = Vec::new();
    for _ in 0..5 {
        packets.push(bare.read().await.expect("a packet of the result").1);
    }
    assert_eq!(packets[3], b"\0\0\x09long data");
}
