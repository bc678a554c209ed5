//! Hostile bytes for the MySQL front.
#![no_main]

use std::io::{Read, Write};
use std::net::TcpStream;

use aurora_driver::EngineKind;
use aurora_driver_fuzz::Target;
use libfuzzer_sys::fuzz_target;
use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, HandshakePacket, HandshakeResponse};
use mysql_common::proto::{MyDeserialize, MySerialize};
use mysql_common::scramble::scramble_native;

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else {
        return;
    };
    let target = Target::of(EngineKind::MySql);
    let mut stream = target.connect();
    if mode & 1 == 1 {
        log_in(target, &mut stream);
    }
    target.feed(stream, bytes);
});

fn log_in(target: &Target, stream: &mut TcpStream) {
    let greeting = read_packet(stream);
    let greeting = HandshakePacket::deserialize((), &mut ParseBuf(&greeting)).expect("a greeting");
    let proof = scramble_native(&greeting.nonce(), target.cluster.password().as_bytes());
    let response = HandshakeResponse::new(
        proof.as_ref().map(|proof| &proof[..]),
        (8, 0, 28),
        Some(target.cluster.user().as_bytes()),
        Some(target.cluster.database().as_bytes()),
        Some(AuthPlugin::MysqlNativePassword),
        CapabilityFlags::CLIENT_PROTOCOL_41
            | CapabilityFlags::CLIENT_SECURE_CONNECTION
            | CapabilityFlags::CLIENT_PLUGIN_AUTH
            | CapabilityFlags::CLIENT_CONNECT_WITH_DB
            | CapabilityFlags::CLIENT_MULTI_STATEMENTS,
        None,
        1 << 24,
    );
    let mut payload = Vec::new();
    response.serialize(&mut payload);
    let length = u32::try_from(payload.len()).expect("a small packet");
    let mut packet = length.to_le_bytes();
    packet[3] = 1;
    stream.write_all(&packet).expect("a listener");
    stream.write_all(&payload).expect("a listener");
    let answer = read_packet(stream);
    assert_eq!(answer.first(), Some(&0), "the login was refused");
}

fn read_packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).expect("a packet");
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).expect("a packet");
    payload
}
