//! What MySQL's errors say of calls with several parts, and in what state a connection comes back.

use std::time::Duration;

use aurora_driver::sim::SimCluster;
use aurora_driver::{Cluster, Connection, Error, ErrorKind, MySql, Outcome, ServerCode};
use mysql_async::TxOpts;
use mysql_async::prelude::Queryable;

use crate::database::{Database, start, start_with};

/// A handle whose pools hold one connection, with a table `u` that takes a number once.
async fn start_narrow() -> (SimCluster, Cluster<MySql>) {
    let (simulated, wide) = start_with::<MySql>(|builder| builder.readers(1)).await;
    let url = format!("{}&pool_max=1", simulated.url());
    let cluster = Cluster::<MySql>::connect(&url).await.unwrap();
    wide.close(Duration::from_secs(5)).await;
    let mut writer = cluster.writer().await.unwrap();
    run(&mut writer, "CREATE TABLE u (n BIGINT PRIMARY KEY)").await;
    run(&mut writer, "INSERT INTO u VALUES (1)").await;
    drop(writer);
    (simulated, cluster)
}

async fn run(connection: &mut Connection<MySql>, statement: &str) {
    MySql::run(connection, statement).await.unwrap();
}

async fn count(connection: &mut Connection<MySql>, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    MySql::number(connection, &query).await.unwrap()
}

/// The next user of the connection finds nothing of the last one, and commits for itself.
async fn expect_fit_for_use(cluster: &Cluster<MySql>) {
    let mut next = cluster.writer().await.unwrap();
    assert_eq!(count(&mut next, "t").await, 0, "rows of the earlier user");
    run(&mut next, "INSERT INTO t (n) VALUES (2)").await;
    let mut reader = cluster.reader().await.unwrap();
    assert_eq!(count(&mut reader, "t").await, 1, "it committed by itself");
}

#[tokio::test]
async fn a_statement_closed_after_an_error_does_not_hide_the_open_transaction() {
    let (_simulated, cluster) = start_narrow().await;
    let mut writer = cluster.writer().await.unwrap();
    let mut transaction = writer.start_transaction(TxOpts::default()).await.unwrap();
    let insert = "INSERT INTO t (n) VALUES (?)";
    transaction.exec_drop(insert, (100,)).await.unwrap();
    let statement = transaction.prep("INSERT INTO u VALUES (?)").await.unwrap();
    transaction.exec_drop(&statement, (1,)).await.unwrap_err();
    transaction.close(statement).await.unwrap();
    drop(transaction);
    drop(writer);
    expect_fit_for_use(&cluster).await;
}

#[tokio::test]
async fn a_cached_statement_after_an_error_does_not_hide_the_open_transaction() {
    let (_simulated, cluster) = start_narrow().await;
    let mut writer = cluster.writer().await.unwrap();
    run(&mut writer, "BEGIN").await;
    let insert = "INSERT INTO t (n) VALUES (?)";
    writer.exec_drop(insert, (100,)).await.unwrap();
    MySql::run(&mut writer, "INSERT INTO u VALUES (1)")
        .await
        .unwrap_err();
    writer.prep(insert).await.unwrap();
    writer
        .exec_batch(insert, Vec::<(i64,)>::new())
        .await
        .unwrap();
    drop(writer);
    expect_fit_for_use(&cluster).await;
}

#[tokio::test]
async fn an_empty_batch_or_a_new_statement_does_not_hide_the_open_transaction() {
    let (_simulated, cluster) = start_narrow().await;
    let mut writer = cluster.writer().await.unwrap();
    run(&mut writer, "BEGIN").await;
    run(&mut writer, "INSERT INTO t (n) VALUES (100)").await;
    writer.prep("SELECT n FROM t WHERE n = ?").await.unwrap();
    let insert = "INSERT INTO t (n) VALUES (?)";
    writer
        .exec_batch(insert, Vec::<(i64,)>::new())
        .await
        .unwrap();
    drop(writer);
    expect_fit_for_use(&cluster).await;
}

#[tokio::test]
async fn autocommit_switched_off_is_on_again_for_the_next_user() {
    let (_simulated, cluster) = start_narrow().await;
    let mut writer = cluster.writer().await.unwrap();
    let number = writer.id();
    run(&mut writer, "SET autocommit = 0").await;
    run(&mut writer, "INSERT INTO t (n) VALUES (100)").await;
    drop(writer);
    expect_fit_for_use(&cluster).await;
    let kept = cluster.writer().await.unwrap();
    assert_eq!(kept.id(), number, "a reset is enough");
}

#[tokio::test]
async fn a_connection_straight_after_login_is_clean() {
    let (_simulated, cluster) = start::<MySql>().await;
    let mut held = Vec::new();
    // The first may have been used before; the pool has to log in for the others.
    for _ in 0..3 {
        let writer = cluster.writer().await.unwrap();
        assert!(format!("{writer:?}").contains("Clean"), "{writer:?}");
        held.push(writer);
    }
}

#[tokio::test]
async fn a_connection_is_kept_when_a_call_on_it_was_refused() {
    let (_simulated, cluster) = start_narrow().await;
    let mut writer = cluster.writer().await.unwrap();
    let number = writer.id();
    MySql::run(&mut writer, "INSERT INTO missing VALUES (1)")
        .await
        .unwrap_err();
    assert!(
        format!("{writer:?}").contains("Unclean"),
        "no status came with it"
    );
    drop(writer);
    assert_eq!(cluster.writer().await.unwrap().id(), number);
}

#[tokio::test]
async fn a_script_that_fails_half_way_is_unknown() {
    let (_simulated, cluster) = start::<MySql>().await;
    let mut writer = cluster.writer().await.unwrap();
    let script = "INSERT INTO t (n) VALUES (1); INSERT INTO missing VALUES (1)";
    let error = MySql::run(&mut writer, script).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.code(), Some(ServerCode::MySql(1146)));
    assert_eq!(error.instance(), Some(writer.instance()));
    assert_eq!(count(&mut writer, "t").await, 1, "its first part stays");
    let lone = "INSERT INTO missing VALUES (1);";
    let error = MySql::run(&mut writer, lone).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
}

#[tokio::test]
async fn a_batch_that_fails_half_way_is_unknown_and_at_its_first_row_rejected() {
    let (_simulated, cluster) = start_narrow().await;
    let mut writer = cluster.writer().await.unwrap();
    let insert = "INSERT INTO u VALUES (?)";
    let batch = writer.exec_batch(insert, vec![(2,), (3,), (2,)]).await;
    let error = Error::from(batch.unwrap_err());
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(error.code(), Some(ServerCode::MySql(1062)));
    assert_eq!(count(&mut writer, "u").await, 3, "two rows were added");
    let batch = writer.exec_batch(insert, vec![(1,), (4,)]).await;
    let error = Error::from(batch.unwrap_err());
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
    assert_eq!(count(&mut writer, "u").await, 3, "nothing was added");
}

#[tokio::test]
async fn a_connection_printed_for_debugging_holds_no_password() {
    let (simulated, cluster) = start::<MySql>().await;
    let mut writer = cluster.writer().await.unwrap();
    let number = writer.id().to_string();
    let printed = format!("{writer:?} {:#?}", *writer);
    assert!(!printed.contains(simulated.password()), "{printed}");
    assert!(printed.contains(&number), "{printed}");
    let transaction = writer.start_transaction(TxOpts::default()).await.unwrap();
    let printed = format!("{transaction:?}");
    assert!(!printed.contains(simulated.password()), "{printed}");
    assert!(printed.contains(&number), "{printed}");
}
