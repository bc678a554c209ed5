//! How connections end: with their instance, by a kill, or by nobody's will.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::hostile::Bare;

use super::*;

/// A bare client that has read the greeting.
async fn greeted(server: &Server) -> TcpStream {
    let mut socket = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    let mut greeting = [0; 256];
    let count = within(socket.read(&mut greeting))
        .await
        .expect("a greeting");
    assert!(count > 0);
    socket
}

#[tokio::test]
async fn a_reset_is_a_reset_on_the_wire() {
    let server = Server::start().await;
    let mut socket = greeted(&server).await;
    server.ending.send_replace(Some(Ending::Reset));
    let error = within(socket.read(&mut [0; 16]))
        .await
        .expect_err("a reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    server.sessions_left(0).await;
}

#[tokio::test]
async fn a_reset_reaches_idle_sessions_with_and_without_tls() {
    for tls in [false, true] {
        let server = Server::start().await;
        let options = if tls {
            server.tls_options("db.example")
        } else {
            server.options()
        };
        let mut connection = within(Conn::new(options)).await.expect("a login");
        server.ending.send_replace(Some(Ending::Reset));
        server.sessions_left(0).await;
        let error = within(connection.ping()).await.expect_err("a reset");
        assert!(matches!(error, mysql_async::Error::Io(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_goodbye_closes_an_idle_session() {
    let server = Server::start().await;
    let mut socket = greeted(&server).await;
    server.ending.send_replace(Some(Ending::Goodbye));
    let count = within(socket.read(&mut [0; 16]))
        .await
        .expect("an orderly end");
    assert_eq!(count, 0);
    server.sessions_left(0).await;
}

#[tokio::test]
async fn silence_answers_nothing_and_closes_nothing_until_it_ends() {
    let server = Server::start().await;
    let mut socket = greeted(&server).await;
    let mut connection = server.connect().await;
    server.ending.send_replace(Some(Ending::Silence));
    // The conversations are gone, with their sessions and locks.
    server.sessions_left(0).await;
    let patience = Duration::from_millis(300);
    let ping = tokio::time::timeout(patience, connection.ping()).await;
    assert!(ping.is_err(), "an answer: {ping:?}");
    let read = tokio::time::timeout(patience, socket.read(&mut [0; 16])).await;
    assert!(read.is_err(), "an answer: {read:?}");
    server.ending.send_replace(Some(Ending::Reset));
    let error = within(socket.read(&mut [0; 16]))
        .await
        .expect_err("a reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_door_that_has_ended_lets_nobody_in() {
    let server = Server::start().await;
    server.ending.send_replace(Some(Ending::Reset));
    let error = within(Conn::new(server.options()))
        .await
        .expect_err("a reset");
    assert!(matches!(error, mysql_async::Error::Io(_)), "{error:?}");
    assert_eq!(server.counted(Count::Login), 0);
}

#[tokio::test]
async fn a_killed_connection_closes_and_the_killer_goes_on() {
    let server = Server::start().await;
    let mut victim = server.connect().await;
    let mut killer = server.connect().await;
    let kill = format!("KILL {}", victim.id());
    within(killer.query_drop(kill.as_str()))
        .await
        .expect("killed");
    server.sessions_left(1).await;
    let error = within(victim.ping()).await.expect_err("closed");
    assert!(matches!(error, mysql_async::Error::Io(_)), "{error:?}");
    let error = within(killer.query_drop(kill))
        .await
        .expect_err("nobody there");
    let message = format!("Unknown thread id: {}", victim.id());
    assert_eq!(server_error(&error), (1094, "HY000", message.as_str()));
    assert_usable(&mut killer).await;
}

#[tokio::test]
async fn a_kill_of_a_query_that_does_not_run_hurts_nobody() {
    let server = Server::start().await;
    let mut victim = server.connect().await;
    let mut killer = server.connect().await;
    let kill = format!("KILL QUERY {}", victim.id());
    within(killer.query_drop(kill))
        .await
        .expect("nothing to kill");
    assert_usable(&mut victim).await;
}

#[tokio::test]
async fn a_client_that_kills_itself_hears_of_it_and_is_closed() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let kill = format!("KILL CONNECTION {}", connection.id());
    let error = within(connection.query_drop(kill))
        .await
        .expect_err("killed");
    let expected = (1317, "70100", "Query execution was interrupted");
    assert_eq!(server_error(&error), expected);
    server.sessions_left(0).await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_session_along() {
    let server = Server::start().await;
    let connection = server.connect().await;
    within(connection.disconnect()).await.expect("a farewell");
    server.sessions_left(0).await;
    drop(greeted(&server).await);
    server.sessions_left(0).await;
}

#[tokio::test]
async fn a_reset_reaches_a_session_whose_client_does_not_read() {
    let server = Server::start().await;
    let mut bare = Bare::log_in(&server).await;
    let query = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                 SELECT i, 'a row of some length, so that the buffers between the two fill up' FROM n";
    bare.send(0, &[b"\x03", query.as_bytes()].concat()).await;
    let (_, count) = bare.read().await.expect("the first packet");
    assert_eq!(count, [2]);
    server.ending.send_replace(Some(Ending::Reset));
    server.sessions_left(0).await;
    let mut packets = 0;
    while bare.read().await.is_some() {
        packets += 1;
    }
    assert!(packets < 100_000, "the whole result arrived");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_logs_in_is_closed_in_time() {
    let server = Server::start().await;
    let mut socket = greeted(&server).await;
    let start = tokio::time::Instant::now();
    let count = within(socket.read(&mut [0; 16]))
        .await
        .expect("an orderly end");
    assert_eq!(count, 0);
    assert_eq!(start.elapsed().as_secs(), 10);
}
