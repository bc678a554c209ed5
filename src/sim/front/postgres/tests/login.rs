//! Who is let in, and what they are told.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Buf;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::raw::{Raw, field, message, packet, startup};
use super::{PASSWORD, Server, Setup, code, soon};
use crate::sim::certificates::Certificates;
use crate::sim::host::Count;

const PROTOCOL_3_0: u32 = 3 << 16;

#[tokio::test]
async fn the_right_password_lets_in_and_is_counted() {
    let server = Server::start().await;
    let client = server.connect().await;
    let row = client.query_one("select 1", &[]).await.expect("an answer");
    assert_eq!(row.len(), 1);
    assert_eq!(server.count(Count::Connect), 1);
    assert_eq!(server.count(Count::Login), 1);
    assert_eq!(server.count(Count::LoginRefused), 0);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_get_the_same_words() {
    let server = Server::start().await;
    for (user, password) in [("app", "wrong"), ("nobody", PASSWORD)] {
        let mut config = server.config();
        config.user(user).password(password);
        let error = config.connect(NoTls).await.err().expect("no login");
        let refusal = error.as_db_error().expect("words of the server");
        assert_eq!(refusal.code().code(), "28P01");
        assert_eq!(refusal.severity(), "FATAL");
        assert_eq!(
            refusal.message(),
            format!("password authentication failed for user \"{user}\"")
        );
    }
    assert_eq!(server.count(Count::LoginRefused), 2);
    assert_eq!(server.count(Count::Login), 0);
}

#[tokio::test]
async fn an_unknown_database_is_refused_after_the_password() {
    let server = Server::start().await;
    let mut config = server.config();
    config.dbname("other");
    let error = config.connect(NoTls).await.err().expect("no login");
    assert_eq!(code(&error), "3D000");
    config.password("wrong");
    let error = config.connect(NoTls).await.err().expect("no login");
    assert_eq!(code(&error), "28P01", "a stranger learns of no database");
}

#[tokio::test]
async fn an_engine_that_is_starting_says_so() {
    let server = Server::start_with(Setup {
        starting: true,
        ..Setup::default()
    })
    .await;
    let error = server
        .config()
        .connect(NoTls)
        .await
        .err()
        .expect("no login");
    assert_eq!(code(&error), "57P03");
    assert_eq!(server.count(Count::LoginRefused), 1);
}

#[tokio::test]
async fn settings_of_the_startup_packet_hold_in_the_session() {
    let server = Server::start().await;
    let mut config = server.config();
    config
        .application_name("it's a test")
        .options("-c search_path=other");
    let (client, connection) = config.connect(NoTls).await.expect("a login");
    assert_eq!(
        connection.parameter("application_name"),
        Some("it's a test")
    );
    tokio::spawn(connection);
    for (name, value) in [
        ("application_name", "it's a test"),
        ("search_path", "other"),
    ] {
        let row = client.query_one(&format!("show {name}"), &[]).await;
        assert_eq!(row.expect("a setting").get::<_, &str>(0), value);
    }

    config.options("-c no_such_setting=1");
    let error = config.connect(NoTls).await.err().expect("no login");
    assert_eq!(code(&error), "42704");
}

#[tokio::test]
async fn a_client_is_told_the_parameters_at_login_and_when_they_change() {
    let server = Server::start().await;
    let (client, mut connection) = server.config().connect(NoTls).await.expect("a login");
    assert!(connection.parameter("server_version").is_some());
    assert_eq!(connection.parameter("in_hot_standby"), Some("off"));
    assert_eq!(connection.parameter("TimeZone"), Some("UTC"));
    let set = client.batch_execute("set application_name to 'renamed'");
    tokio::select! {
        set = set => set.expect("it is set"),
        _ = &mut connection => panic!("the server hung up"),
    }
    assert_eq!(connection.parameter("application_name"), Some("renamed"));
}

fn trusting(ca: &str) -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM");
    roots.add(ca).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(tls)
}

#[tokio::test]
async fn a_client_verifies_the_name_under_tls() {
    let name = "instance-1.abc.eu-west-1.rds.amazonaws.com";
    let certificates = Certificates::new().expect("an authority");
    let (acceptor, ca) = certificates
        .issue(&[name.to_owned()], &[IpAddr::V4(Ipv4Addr::LOCALHOST)])
        .expect("a certificate");
    let server = Server::start_with(Setup {
        tls: Some(acceptor),
        ..Setup::default()
    })
    .await;

    // Another cluster's authority, which goes by the same name.
    let stranger = Certificates::new().expect("an authority");
    let (_, foreign) = stranger.issue(&[], &[]).expect("a certificate");
    let (tls, foreign) = (trusting(&ca), trusting(&foreign));

    for (tls, host, accepted) in [
        (&tls, name, true),
        (&tls, "127.0.0.1", true),
        (&tls, "instance-2.abc.eu-west-1.rds.amazonaws.com", false),
        (&foreign, name, false),
    ] {
        let mut config = tokio_postgres::Config::new();
        config
            .host(host)
            .hostaddr(server.address.ip())
            .port(server.address.port())
            .ssl_mode(SslMode::Require)
            .user("app")
            .password(PASSWORD)
            .dbname("main");
        match config.connect(tls.clone()).await {
            Ok((client, connection)) => {
                assert!(accepted, "{host} is not proven");
                tokio::spawn(connection);
                client.query_one("select 1", &[]).await.expect("an answer");
            }
            Err(error) => assert!(!accepted, "{host}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn encryption_that_is_not_there_is_declined_and_the_session_starts_without() {
    let server = Server::start().await;
    let mut socket = server.dial().await;
    for code in [80_877_104, 80_877_103] {
        socket.write_all(&packet(code, &[])).await.expect("sent");
        assert_eq!(socket.read_u8().await.expect("an answer"), b'N');
    }
    let hello = startup(PROTOCOL_3_0, &[("user", "app"), ("database", "main")]);
    socket.write_all(&hello).await.expect("sent");
    let (kind, body) = Raw(socket).next().await.expect("a request");
    assert_eq!(kind, 'R');
    assert_eq!(&body[..], b"\0\0\0\x0aSCRAM-SHA-256\0\0");
}

#[tokio::test]
async fn a_client_of_a_newer_protocol_is_told_what_there_is() {
    let server = Server::start().await;
    for (version, negotiated) in [(PROTOCOL_3_0 | 2, false), (PROTOCOL_3_0 | 9999, true)] {
        let mut raw = Raw(server.dial().await);
        raw.send(&[startup(version, &[("user", "app"), ("database", "main")])])
            .await;
        let (kind, mut body) = raw.next().await.expect("an answer");
        assert_eq!(kind == 'v', negotiated);
        if negotiated {
            assert_eq!(body.get_u32(), PROTOCOL_3_0 | 2);
        }
    }
    let mut raw = Raw(server.dial().await);
    raw.send(&[startup(2 << 16, &[("user", "app")])]).await;
    assert_eq!(raw.fatal_code().await, "0A000");
}

#[tokio::test]
async fn a_startup_packet_without_a_user_is_refused() {
    let server = Server::start().await;
    let mut raw = Raw(server.dial().await);
    raw.send(&[startup(PROTOCOL_3_0, &[("database", "main")])])
        .await;
    assert_eq!(raw.fatal_code().await, "28000");
}

#[tokio::test]
async fn a_client_that_does_not_log_in_in_time_is_sent_away() {
    let server = Server::start_with(Setup {
        login_timeout: std::time::Duration::from_millis(50),
        ..Setup::default()
    })
    .await;
    let mut silent = server.dial().await;
    let mut rest = Vec::new();
    let read = silent.read_to_end(&mut rest);
    soon("the end", read).await.expect("a quiet end");
    assert!(rest.is_empty(), "nothing is said to who says nothing");

    let mut raw = Raw(server.dial().await);
    raw.send(&[startup(PROTOCOL_3_0, &[("user", "app")])]).await;
    assert_eq!(raw.next().await.expect("a request").0, 'R');
    let (kind, body) = raw.next().await.expect("last words");
    assert_eq!((kind, field(&body, b'C').as_str()), ('E', "57014"));
}

#[tokio::test]
async fn words_in_plain_text_behind_a_request_for_tls_end_the_connection() {
    let certificates = Certificates::new().expect("an authority");
    let (acceptor, _) = certificates.issue(&[], &[]).expect("a certificate");
    let server = Server::start_with(Setup {
        tls: Some(acceptor),
        ..Setup::default()
    })
    .await;
    let mut raw = Raw(server.dial().await);
    raw.send(&[packet(80_877_103, &[]), startup(PROTOCOL_3_0, &[])])
        .await;
    assert_eq!(raw.fatal_code().await, "08P01");
}

#[tokio::test]
async fn a_password_is_hashed_as_often_as_was_asked_for() {
    for (scram_iterations, expected) in [(1, "i=1"), (4_096, "i=4096")] {
        let server = Server::start_with(Setup {
            scram_iterations,
            ..Setup::default()
        })
        .await;
        server.connect().await;
        for user in ["app", "nobody"] {
            let mut raw = Raw(server.dial().await);
            raw.send(&[startup(PROTOCOL_3_0, &[("user", user)])]).await;
            assert_eq!(raw.next().await.expect("a request").0, 'R');
            let first = b"SCRAM-SHA-256\0\0\0\0\x0dn,,n=,r=nonce";
            raw.send(&[message('p', first)]).await;
            let (kind, body) = raw.next().await.expect("the server's first message");
            let said = String::from_utf8_lossy(&body);
            assert!(kind == 'R' && said.ends_with(expected), "{user}: {said}");
        }
    }
}

#[test]
fn passwords_are_not_shown() {
    let passwords = [("app".to_owned(), PASSWORD.to_owned())].into();
    let users = super::Users::new(passwords, "main");
    let shown = format!("{users:?}");
    assert!(
        shown.contains("app") && !shown.contains(PASSWORD),
        "{shown}"
    );
}
