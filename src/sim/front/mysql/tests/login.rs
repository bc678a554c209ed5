//! Who comes in and who does not.

use std::io::{self, Read, Write};

use mysql_async::{ChangeUserOpts, Conn};
use mysql_common::constants::CapabilityFlags;
use mysql_common::packets::{AuthPlugin, HandshakeResponse};
use mysql_common::proto::MySerialize;
use tokio_rustls::rustls::StreamOwned;

use super::*;

#[tokio::test]
async fn the_right_password_comes_in_by_the_fast_path_without_tls() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    assert_usable(&mut connection).await;
    assert_eq!(connection.server_version(), (8, 0, 28));
    assert_eq!(server.counted(Count::Connect), 1);
    assert_eq!(server.counted(Count::Login), 1);
    assert_eq!(server.counted(Count::LoginRefused), 0);
}

#[tokio::test]
async fn over_tls_the_first_login_shows_the_password_and_the_next_need_not() {
    let server = Server::start().await;
    assert!(!server.sessions.remembers("app"));
    for _ in 0..2 {
        let options = server.tls_options("db.example");
        let mut connection = within(Conn::new(options)).await.expect("a login");
        assert_usable(&mut connection).await;
        assert!(server.sessions.remembers("app"));
    }
    assert_eq!(server.counted(Count::Login), 2);
}

#[tokio::test]
async fn a_client_that_checks_the_name_refuses_another_server() {
    let server = Server::start().await;
    let options = server.tls_options("another.example");
    let error = within(Conn::new(options)).await.expect_err("a wrong name");
    assert!(error.to_string().contains("not valid for name"), "{error}");
    server.sessions_left(0).await;
    assert_eq!(server.counted(Count::Login), 0);
}

#[tokio::test]
async fn a_server_without_tls_says_so() {
    let server = Server::start_with(|door| door.tls = None).await;
    let options = server.tls_options("db.example");
    within(Conn::new(options)).await.expect_err("no TLS");
    assert_usable(&mut server.connect().await).await;
}

#[tokio::test]
async fn a_wrong_password_or_name_is_refused_in_mysqls_words() {
    let server = Server::start().await;
    for (options, message) in [
        (
            server.options().pass(Some("guess")),
            "Access denied for user 'app'@'127.0.0.1' (using password: YES)",
        ),
        (
            server.options().pass(None::<String>),
            "Access denied for user 'app'@'127.0.0.1' (using password: NO)",
        ),
        (
            server.options().user(Some("nobody")),
            "Access denied for user 'nobody'@'127.0.0.1' (using password: YES)",
        ),
        (
            server.tls_options("db.example").pass(Some("guess")),
            "Access denied for user 'app'@'127.0.0.1' (using password: YES)",
        ),
    ] {
        let error = within(Conn::new(options)).await.expect_err("a refusal");
        assert_eq!(server_error(&error), (1045, "28000", message));
    }
    assert_eq!(server.counted(Count::LoginRefused), 4);
    assert_eq!(server.counted(Count::Login), 0);
    server.sessions_left(0).await;
}

#[tokio::test]
async fn an_empty_password_is_proven_by_nothing() {
    let server = Server::start().await;
    let options = server.options().user(Some("open")).pass(None::<String>);
    assert_usable(&mut within(Conn::new(options)).await.expect("a login")).await;
}

#[tokio::test]
async fn an_unknown_database_is_refused() {
    let server = Server::start().await;
    let options = server.options().db_name(Some("elsewhere"));
    let error = within(Conn::new(options)).await.expect_err("a refusal");
    let expected = (1049, "42000", "Unknown database 'elsewhere'");
    assert_eq!(server_error(&error), expected);
}

#[tokio::test]
async fn a_starting_server_closes_at_once() {
    let server = Server::start_with(|door| door.starting = true).await;
    let error = within(Conn::new(server.options()))
        .await
        .expect_err("closed");
    assert!(matches!(error, mysql_async::Error::Io(_)), "{error:?}");
    assert_eq!(server.counted(Count::Connect), 0);
}

#[tokio::test]
async fn a_change_of_user_logs_in_anew_and_resets_the_session() {
    let server = Server::start().await;
    for options in [server.options(), server.tls_options("db.example")] {
        let mut connection = within(Conn::new(options)).await.expect("a login");
        let statement = within(connection.prep("SELECT 1")).await.expect("prepared");
        let other = ChangeUserOpts::new()
            .with_user(Some("other".to_owned()))
            .with_pass(Some("also secret".to_owned()));
        within(connection.change_user(other))
            .await
            .expect("a login");
        assert_usable(&mut connection).await;
        let error = within(connection.exec_drop(statement, ()))
            .await
            .expect_err("a forgotten statement");
        assert_eq!(server_error(&error).0, 1243);
    }
    assert_eq!(server.counted(Count::Login), 4);
}

#[tokio::test]
async fn a_refused_change_of_user_ends_the_connection() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let wrong = ChangeUserOpts::new().with_pass(Some("guess".to_owned()));
    let error = within(connection.change_user(wrong))
        .await
        .expect_err("a refusal");
    assert_eq!(server_error(&error).0, 1045);
    server.sessions_left(0).await;
}

#[tokio::test]
async fn over_tls_a_token_is_taken_in_clear_text() {
    let server = Server::start().await;
    let address = server.address;
    for (token, header) in [("secret", 0x00), ("stolen", 0xFF)] {
        let client = server.tls_client();
        let answer = tokio::task::spawn_blocking(move || log_in_by_token(address, client, token));
        let answer = within(answer).await.expect("no panic").expect("an answer");
        assert_eq!(answer[4], header, "{answer:?}");
    }
    assert_eq!(server.counted(Count::Login), 1);
    assert_eq!(server.counted(Count::LoginRefused), 1);
}

/// Logs in by `mysql_clear_password` and returns the first bytes of the server's answer.
fn log_in_by_token(
    address: SocketAddr,
    client: ClientConnection,
    token: &str,
) -> io::Result<Vec<u8>> {
    let capabilities = CapabilityFlags::CLIENT_SSL | hostile::CAPABILITIES;
    let mut socket = std::net::TcpStream::connect(address)?;
    let mut greeting = [0; 256];
    let _ = socket.read(&mut greeting)?;
    let mut request = vec![32, 0, 0, 1];
    request.extend_from_slice(&capabilities.bits().to_le_bytes());
    request.resize(36, 0);
    socket.write_all(&request)?;
    let response = HandshakeResponse::new(
        Some(format!("{token}\0").into_bytes()),
        (8, 0, 28),
        Some(&b"app"[..]),
        Some(&b"shop"[..]),
        Some(AuthPlugin::MysqlClearPassword),
        capabilities,
        None,
        1 << 24,
    );
    let mut payload = Vec::new();
    response.serialize(&mut payload);
    let mut packet = vec![payload.len() as u8, 0, 0, 2];
    packet.append(&mut payload);
    let mut stream = StreamOwned::new(client, socket);
    stream.write_all(&packet)?;
    let mut answer = vec![0; 256];
    let count = stream.read(&mut answer)?;
    answer.truncate(count);
    Ok(answer)
}
