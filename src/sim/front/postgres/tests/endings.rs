//! How connections end when the instance does.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::NoTls;

use super::raw::{Raw, query, startup};
use super::{Ending, Server, code, soon, until};
use crate::sim::host::Count;

/// What a client reads at the end of a connection: how much, and the error if there was one.
async fn rest(raw: &mut Raw) -> (usize, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let outcome = soon("the end", raw.0.read_to_end(&mut bytes)).await;
    (bytes.len(), outcome.err().map(|error| error.kind()))
}

#[tokio::test]
async fn a_crash_resets_idle_sessions_and_those_that_have_not_logged_in() {
    let server = Server::start().await;
    let mut idle = Raw::log_in(&server).await;
    let mut silent = Raw(server.dial().await);
    let mut asked = Raw(server.dial().await);
    asked
        .send(&[startup(3 << 16, &[("user", "app"), ("database", "main")])])
        .await;
    assert_eq!(asked.next().await.expect("a request").0, 'R');
    until("all are served", || server.served() == 3).await;

    server.ending.send_replace(Some(Ending::Reset));
    for raw in [&mut idle, &mut silent, &mut asked] {
        assert_eq!(rest(raw).await, (0, Some(ErrorKind::ConnectionReset)));
    }
    until("all are gone", || server.served() == 0).await;
    assert_eq!(server.door.sessions.len(), 0);
}

#[tokio::test]
async fn a_crash_resets_a_session_in_the_middle_of_a_statement() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[query("select pg_sleep(600)")]).await;
    until("it sleeps", || server.count(Count::Statement) == 1).await;
    server.ending.send_replace(Some(Ending::Reset));
    assert_eq!(rest(&mut raw).await, (0, Some(ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn a_crash_resets_a_client_that_does_not_read() {
    let server = Server::start().await;
    let client = server.connect().await;
    client
        .batch_execute("create table t (filler text)")
        .await
        .expect("a table");
    let filler = "x".repeat(1_000_000);
    for _ in 0..16 {
        client
            .execute("insert into t values ($1)", &[&filler])
            .await
            .expect("an insert");
    }
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[query("select filler from t")]).await;
    soon("the first bytes", raw.0.readable())
        .await
        .expect("readable");
    server.ending.send_replace(Some(Ending::Reset));
    until("the session is gone", || server.served() == 0).await;
    assert_eq!(rest(&mut raw).await.1, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn an_orderly_stop_says_goodbye_whatever_a_session_does() {
    let server = Server::start().await;
    let mut idle = Raw::log_in(&server).await;
    let mut busy = Raw::log_in(&server).await;
    busy.send(&[query("select pg_sleep(600)")]).await;
    let mut asked = Raw(server.dial().await);
    asked
        .send(&[startup(3 << 16, &[("user", "app"), ("database", "main")])])
        .await;
    assert_eq!(asked.next().await.expect("a request").0, 'R');
    until("one sleeps", || server.count(Count::Statement) == 1).await;

    server.ending.send_replace(Some(Ending::Goodbye));
    for raw in [&mut idle, &mut busy, &mut asked] {
        assert_eq!(raw.fatal_code().await, "57P01");
    }
    drop((idle, busy, asked));
    until("all are gone", || server.served() == 0).await;
    assert_eq!(server.door.sessions.len(), 0);
}

#[tokio::test]
async fn a_real_client_hears_the_goodbye_in_its_running_statement() {
    let server = Server::start().await;
    let client = server.connect().await;
    let sleep = client.batch_execute("select pg_sleep(600)");
    let stop = async {
        until("it sleeps", || server.count(Count::Statement) == 1).await;
        server.ending.send_replace(Some(Ending::Goodbye));
    };
    let (slept, ()) = soon("the end", async { tokio::join!(sleep, stop) }).await;
    let error = slept.expect_err("the server has gone");
    assert!(error.is_closed() || code(&error) == "57P01", "{error:?}");
}

#[tokio::test]
async fn a_connection_that_comes_after_the_end_meets_the_same() {
    let server = Server::start().await;
    server.ending.send_replace(Some(Ending::Reset));
    let error = server.config().connect(NoTls).await.err();
    assert!(error.expect("no login").code().is_none());
}

#[tokio::test]
async fn a_silent_host_neither_answers_nor_hangs_up() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    server.ending.send_replace(Some(Ending::Silence));
    until("the session has gone", || server.door.sessions.len() == 0).await;

    raw.send(&[query("select 1")]).await;
    let mut byte = [0];
    let waited = std::time::Duration::from_millis(100);
    let read = tokio::time::timeout(waited, raw.0.read(&mut byte)).await;
    assert!(read.is_err(), "the silent host said {read:?}");
    assert_eq!(server.served(), 1, "the socket is held");

    server.ending.send_replace(Some(Ending::Reset));
    assert_eq!(rest(&mut raw).await, (0, Some(ErrorKind::ConnectionReset)));
    until("the socket is let go", || server.served() == 0).await;
}

#[tokio::test]
async fn a_silent_host_gives_up_the_transactions_it_had() {
    let server = Server::start().await;
    let client = server.connect().await;
    client
        .batch_execute("create table t (id int primary key)")
        .await
        .expect("a table");
    client
        .batch_execute("begin; insert into t values (1)")
        .await
        .expect("an open transaction");
    server.ending.send_replace(Some(Ending::Silence));
    until("the session has gone", || server.door.sessions.len() == 0).await;

    server.ending.send_replace(None);
    let next = server.connect().await;
    let inserted = next.execute("insert into t values (1)", &[]);
    let inserted = soon("the lock", inserted).await.expect("it is free");
    assert_eq!(inserted, 1);
}

#[tokio::test]
async fn a_killed_session_hears_why() {
    let server = Server::start().await;
    let mut idle = Raw::log_in(&server).await;
    let mut other = Raw::log_in(&server).await;
    let handle = server
        .door
        .sessions
        .find(1, None)
        .expect("the first session");
    handle.kill.notify_one();
    assert_eq!(idle.fatal_code().await, "57P01");
    other.send(&[query("select 1")]).await;
    assert_eq!(other.until_ready().await, "TDCZI", "the other one lives on");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_session_along() {
    let server = Server::start().await;
    let mut polite = Raw::log_in(&server).await;
    let rude = Raw::log_in(&server).await;
    assert_eq!(server.door.sessions.len(), 2);
    polite.0.write_all(b"X\0\0\0\x04").await.expect("sent");
    assert_eq!(rest(&mut polite).await, (0, None));
    drop(rude);
    until("both are gone", || server.served() == 0).await;
    assert_eq!(server.door.sessions.len(), 0);
}
