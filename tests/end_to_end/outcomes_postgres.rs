//! What PostgreSQL errors say of the statement: `Rejected` only where nothing can have stayed.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;

use aurora_driver::{Cluster, ErrorKind, Outcome, Postgres};

use crate::database::{Database, eventually, start, start_with};

async fn rows(cluster: &Cluster<Postgres>) -> i64 {
    let mut writer = cluster.writer().await.unwrap();
    Postgres::number(&mut writer, "SELECT count(*) FROM t")
        .await
        .unwrap()
}

#[tokio::test]
async fn a_commit_by_hand_whose_answer_is_lost_is_unknown() {
    let (simulated, cluster) = start::<Postgres>().await;
    let writer = cluster.writer().await.unwrap();
    let id = writer.instance().clone();
    writer.batch_execute("BEGIN").await.unwrap();
    writer
        .batch_execute("INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    let call =
        tokio::spawn(async move { writer.batch_execute("COMMIT; SELECT pg_sleep(60)").await });
    eventually("the commit in the ledger", || {
        let ledger = simulated.ledger().unwrap();
        ledger
            .iter()
            .any(|entry| entry.statement.starts_with("INSERT"))
    })
    .await;
    simulated.crash(&id).unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(rows(&cluster).await, 1);
}

#[tokio::test]
async fn a_script_that_committed_a_part_before_it_failed_is_unknown() {
    let (_simulated, cluster) = start::<Postgres>().await;
    let writer = cluster.writer().await.unwrap();
    let script = "BEGIN; INSERT INTO t (n) VALUES (1); COMMIT; INSERT INTO missing VALUES (1)";
    let error = writer.batch_execute(script).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(rows(&cluster).await, 1);
}

#[tokio::test]
async fn a_script_that_fails_as_a_whole_is_rejected() {
    let (_simulated, cluster) = start::<Postgres>().await;
    let writer = cluster.writer().await.unwrap();
    let script = "INSERT INTO t (n) VALUES (1); INSERT INTO missing VALUES (1)";
    let error = writer.batch_execute(script).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
    drop(writer);
    assert_eq!(rows(&cluster).await, 0);
}

#[tokio::test]
async fn a_commit_answered_with_a_rollback_is_an_error() {
    let (_simulated, cluster) = start::<Postgres>().await;
    let mut writer = cluster.writer().await.unwrap();
    let transaction = writer.transaction().await.unwrap();
    transaction
        .execute("INSERT INTO t (n) VALUES (1)", &[])
        .await
        .unwrap();
    // A call on the bare client, dropped half-way, fails the transaction unseen.
    let native: &tokio_postgres::Transaction<'_> = &transaction;
    let script = "SELECT pg_sleep(0.3); INSERT INTO missing VALUES (1)";
    let dropped =
        tokio::time::timeout(Duration::from_millis(50), native.batch_execute(script)).await;
    assert!(dropped.is_err());
    let error = transaction.commit().await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
    drop(writer);
    assert_eq!(rows(&cluster).await, 0);
}

#[tokio::test]
async fn a_stream_that_outlives_its_connection_holds_up_nobody() {
    let (simulated, wide) = start_with::<Postgres>(|builder| builder.readers(1)).await;
    let url = format!("{}&pool_max=1", simulated.url());
    let cluster = Cluster::<Postgres>::connect(&url).await.unwrap();
    wide.close(Duration::from_secs(5)).await;
    let writer = cluster.writer().await.unwrap();
    for number in 0..20 {
        let insert = format!("INSERT INTO t (n) VALUES ({number})");
        writer.batch_execute(&insert).await.unwrap();
    }
    let wide_rows = "SELECT a.n, repeat('x', 2000) FROM t a, t b, t c";
    let stream = writer
        .query_raw(wide_rows, Vec::<i32>::new())
        .await
        .unwrap();
    drop(writer);
    assert_eq!(rows(&cluster).await, 20);
    drop(stream);
}

#[tokio::test]
async fn a_copy_leaves_its_connection_for_the_next_user() {
    let (_simulated, cluster) = start::<Postgres>().await;
    let writer = cluster.writer().await.unwrap();
    let copy = "COPY t (n) FROM STDIN";
    let sink = writer.copy_in(copy).await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);

    // One that is left half way takes nothing in, and one that fails says so.
    {
        let sink = writer.copy_in(copy).await.unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(Bytes::from_static(b"3\n")).await.unwrap();
    }
    let sink = writer.copy_in(copy).await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"four\n")).await.unwrap();
    let error = sink.finish().await.unwrap_err();
    let code = error.code().map(|code| code.code());
    assert_eq!(code, Some("22P02"), "{error}");
    drop(writer);
    assert_eq!(rows(&cluster).await, 2);
    let refused = cluster.writer().await.unwrap();
    let refused = refused.copy_in::<_, Bytes>("COPY nowhere FROM STDIN").await;
    let error = refused.err().expect("there is no such table");
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
    assert_eq!(rows(&cluster).await, 2);
}

#[tokio::test]
async fn a_call_that_is_wrong_in_itself_was_never_sent() {
    let (_simulated, cluster) = start::<Postgres>().await;
    let mut writer = cluster.writer().await.unwrap();
    let nul = writer
        .execute("INSERT INTO t (n) VALUES (1)\0", &[])
        .await
        .unwrap_err();
    assert_eq!(nul.kind(), ErrorKind::Usage, "{nul}");
    assert_eq!(nul.outcome(), Outcome::NotSent, "{nul}");
    let transaction = writer.transaction().await.unwrap();
    let mistyped = transaction
        .execute("INSERT INTO t (n) VALUES ($1)", &[&"text"])
        .await
        .unwrap_err();
    assert_eq!(mistyped.kind(), ErrorKind::Usage, "{mistyped}");
    assert_eq!(mistyped.outcome(), Outcome::NotSent, "{mistyped}");
    let two = "INSERT INTO t (n) VALUES (1), (2) RETURNING n";
    let counted = transaction.query_one(two, &[]).await.unwrap_err();
    assert_eq!(counted.outcome(), Outcome::Applied, "{counted}");
    transaction.commit().await.unwrap();
    drop(writer);
    assert_eq!(rows(&cluster).await, 2);
}
