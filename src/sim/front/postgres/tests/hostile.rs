//! Clients that do not speak the protocol, or too much of it.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::message::{Frame, Message, session_limit};
use super::raw::{Raw, message, query, startup, sync};
use super::{Server, soon, until};

/// Whatever the server says to these bytes, until it hangs up.
async fn answer_to(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut socket = server.dial().await;
    socket.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    // A reset is an end like any other here.
    let _ = soon("the end", socket.read_to_end(&mut answer)).await;
    answer
}

#[tokio::test]
async fn garbage_instead_of_a_startup_packet_ends_the_connection() {
    let server = Server::start().await;
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: example\r\n\r\n".as_slice(),
        &[0; 64],
        &[0xff; 64],
        // Longer than a startup packet may be.
        b"\0\0\x27\x11\0\x03\0\0",
        b"\x7f\xff\xff\xff\0\x03\0\0",
    ] {
        assert!(answer_to(&server, garbage).await.is_empty());
    }
    // Without the terminator, and with bytes behind it.
    for body in [b"user\0app\0".as_slice(), b"user\0app\0\0more"] {
        let packet = super::raw::packet(3 << 16, body);
        assert!(answer_to(&server, &packet).await.ends_with(b"\0\0"));
    }
    until("all are gone", || server.served() == 0).await;
}

#[tokio::test]
async fn garbage_instead_of_a_password_ends_the_connection() {
    let server = Server::start().await;
    let hello = startup(3 << 16, &[("user", "app"), ("database", "main")]);
    for garbage in [
        query("select 1"),
        message('p', b""),
        message('p', b"SCRAM-SHA-256"),
        message('p', b"SCRAM-SHA-256\0\0\0\0\xffn,,n=,r=x"),
        message('p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
        message('p', b"SCRAM-SHA-256\0\0\0\0\x03n,,"),
        message('p', b"PLAIN\0\0\0\0\x03abc"),
        Bytes::from_static(b"p\x7f\xff\xff\xff"),
        Bytes::from_static(b"p\0\0\0\0"),
    ] {
        let answer = answer_to(&server, &[&hello[..], &garbage].concat()).await;
        assert!(answer.starts_with(b"R"), "{garbage:?}: {answer:?}");
    }
    until("all are gone", || server.served() == 0).await;
    assert_eq!(server.door.sessions.len(), 0);
}

#[tokio::test]
async fn an_unknown_message_or_an_impossible_length_ends_the_session() {
    let server = Server::start().await;
    for garbage in [
        b"!\0\0\0\x04".as_slice(),
        b"Q\0\0\0\x03",
        b"Q\xff\xff\xff\xff",
        b"Q\x7f\xff\xff\xff",
        // Too long for its kind.
        b"S\0\x01\0\0",
        b"p\0\0\0\x04",
    ] {
        let mut raw = Raw::log_in(&server).await;
        raw.send(&[Bytes::from_static(garbage)]).await;
        assert_eq!(raw.fatal_code().await, "08P01", "{garbage:?}");
    }
}

#[tokio::test]
async fn a_message_that_lies_about_its_insides_is_an_error_of_that_message() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    for (kind, body) in [
        ('P', b"".as_slice()),
        ('P', b"name"),
        ('P', b"\0select 1\0\xff\xff"),
        ('B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
        ('B', b"\0\0\0\0\0\x01\xff\xff\xff\xf0"),
        ('B', b"\0\0\0\x01\0\x07\0\0\0\0"),
        ('E', b"\0\0"),
        ('D', b"X\0"),
        ('C', b""),
        ('H', b"more"),
    ] {
        raw.send(&[message(kind, body), sync()]).await;
        assert_eq!(raw.until_ready().await, "E(08P01)ZI", "{kind} {body:?}");
    }
    raw.send(&[message('Q', b"no end")]).await;
    assert_eq!(raw.until_ready().await, "E(08P01)ZI");
    raw.send(&[message('Q', b"\xff\0")]).await;
    assert_eq!(raw.until_ready().await, "E(22021)ZI");
    raw.send(&[query("select 1")]).await;
    assert_eq!(raw.until_ready().await, "TDCZI");
}

#[tokio::test]
async fn a_message_in_single_bytes_is_put_together() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.0.set_nodelay(true).expect("an option");
    for byte in query("select 1") {
        raw.0.write_all(&[byte]).await.expect("sent");
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.until_ready().await, "TDCZI");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_connections_leave_nothing_behind() {
    let server = Server::start().await;
    // Few of them log in, for a client reckons long at its password without optimisation.
    for round in 0..3_000_u32 {
        let mut socket = server.dial().await;
        match round % 30 {
            0 => {
                let login = server
                    .config()
                    .connect_raw(socket, tokio_postgres::NoTls)
                    .await;
                drop(login.expect("a login"));
            }
            1..10 => {
                let hello = startup(3 << 16, &[("user", "app"), ("database", "main")]);
                socket.write_all(&hello).await.expect("sent");
            }
            _ => drop(socket),
        }
    }
    until("all are gone", || server.served() == 0).await;
    assert_eq!(server.door.sessions.len(), 0);
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic_or_go_beyond_its_message(
        kind in prop_oneof![Just(b'P'), Just(b'B'), Just(b'D'), Just(b'E'), Just(b'C'), any::<u8>()],
        body in proptest::collection::vec(prop_oneof![3 => Just(0_u8), 2 => any::<u8>()], 0..64),
        behind: Vec<u8>,
    ) {
        let mut input = BytesMut::from(&message(char::from(kind), &body)[..]);
        // `message` writes one byte for a kind, as all kinds here are.
        input.extend_from_slice(&behind);
        if let Ok(Some(frame)) = Frame::take(&mut input, session_limit) {
            prop_assert_eq!(&input[..], &behind[..]);
            let _ = Message::decode(frame);
        }
    }

    #[test]
    fn a_message_that_is_not_whole_is_waited_for(length in 0_usize..20) {
        let whole = query("select 'twenty and more bytes'");
        let mut input = BytesMut::from(&whole[..length]);
        prop_assert!(Frame::take(&mut input, session_limit).expect("no error").is_none());
        prop_assert_eq!(input.len(), length);
    }
}
