//! COM_QUERY and the small commands.

use mysql_async::consts::StatusFlags;
use mysql_async::{Row, Value};

use super::*;

#[tokio::test]
async fn rows_come_back_as_they_went_in() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    within(connection.query_drop("CREATE TABLE item (id BIGINT PRIMARY KEY, name VARCHAR(50))"))
        .await
        .expect("a table");
    within(connection.query_drop("INSERT INTO item VALUES (1, 'né'), (2, NULL), (3, '')"))
        .await
        .expect("three rows");
    let rows: Vec<(i64, Option<String>)> =
        within(connection.query("SELECT id, name FROM item ORDER BY id"))
            .await
            .expect("rows");
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(rows, [(1, named("né")), (2, None), (3, named(""))]);
}

#[tokio::test]
async fn an_error_leaves_the_connection_usable() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    for _ in 0..3 {
        let error = within(connection.query_drop("SELECT * FROM nowhere"))
            .await
            .expect_err("no such table");
        assert!(server_error(&error).0 > 0);
        assert_usable(&mut connection).await;
    }
}

#[tokio::test]
async fn an_empty_query_is_an_error_of_its_own() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let error = within(connection.query_drop(""))
        .await
        .expect_err("nothing");
    assert_eq!(server_error(&error), (1065, "42000", "Query was empty"));
    assert_usable(&mut connection).await;
}

#[tokio::test]
async fn every_statement_of_a_script_has_its_own_result() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let mut result = within(connection.query_iter("SELECT 1; SELECT 2, 3; SELECT 4"))
        .await
        .expect("results");
    let mut found = Vec::new();
    while !result.is_empty() {
        let rows: Vec<Row> = within(result.collect()).await.expect("rows");
        found.push(rows.first().expect("a row").len());
    }
    drop(result);
    assert_eq!(found, [1, 2, 1]);
    let status = connection.last_ok_packet().expect("an end").status_flags();
    assert!(!status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS));
    assert_usable(&mut connection).await;
}

#[tokio::test]
async fn a_script_stops_at_its_first_error() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    within(connection.query_drop("CREATE TABLE t (id BIGINT)"))
        .await
        .expect("a table");
    let script = "INSERT INTO t VALUES (1); SELECT * FROM nowhere; INSERT INTO t VALUES (2)";
    within(connection.query_drop(script))
        .await
        .expect_err("no such table");
    let ids: Vec<i64> = within(connection.query("SELECT id FROM t"))
        .await
        .expect("rows");
    assert_eq!(ids, [1]);
}

#[tokio::test]
async fn a_large_result_set_arrives_whole() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let rows: Vec<(i64, String)> = within(connection.query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
         SELECT i, 'abcdefghijklmnopqrstuvwxyz' FROM n",
    ))
    .await
    .expect("rows");
    assert_eq!(rows.len(), 20_000);
    assert!(rows.iter().zip(1..).all(|(row, number)| row.0 == number));
}

#[tokio::test]
async fn a_packet_of_more_than_sixteen_megabytes_goes_both_ways() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let text = "x".repeat(17 * 1024 * 1024);
    let echoed: Option<Value> = within(connection.query_first(format!("SELECT '{text}'")))
        .await
        .expect("an answer");
    assert_eq!(echoed, Some(Value::Bytes(text.into_bytes())));
    assert_usable(&mut connection).await;
}

#[tokio::test]
async fn a_ping_tells_the_state_of_the_session() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    within(connection.ping()).await.expect("an answer");
    let status = connection.last_ok_packet().expect("an OK").status_flags();
    assert!(status.contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT));
    assert!(!status.contains(StatusFlags::SERVER_STATUS_IN_TRANS));
}
