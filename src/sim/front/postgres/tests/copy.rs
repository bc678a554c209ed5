//! COPY in and out, by messages and by a client that knows it.

use bytes::Bytes;
use futures_util::{SinkExt, TryStreamExt, pin_mut};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::Type;

use super::raw::{Raw, message, query};
use super::*;

const TABLE: &str = "create table things (id int primary key, name text, price numeric(8, 2), \
    bought date, \"Flag\" boolean default true)";

async fn with_table(server: &Server) -> Client {
    let client = server.connect().await;
    client.batch_execute(TABLE).await.expect("a table");
    client
}

async fn copy_in(client: &Client, sql: &str, chunks: &[&[u8]]) -> Result<u64, SqlState> {
    let state = |error: tokio_postgres::Error| error.code().cloned().expect("a server's error");
    let sink = client.copy_in(sql).await.map_err(state)?;
    pin_mut!(sink);
    for chunk in chunks {
        let chunk = Bytes::copy_from_slice(chunk);
        // An error that the server has met already is told at the end.
        if sink.send(chunk).await.is_err() {
            break;
        }
    }
    sink.finish().await.map_err(state)
}

async fn copy_out(client: &Client, sql: &str) -> String {
    let stream = client.copy_out(sql).await.expect("a stream");
    let chunks: Vec<Bytes> = stream.try_collect().await.expect("rows");
    String::from_utf8(chunks.concat()).expect("a text")
}

#[tokio::test]
async fn what_is_copied_in_as_text_comes_out_the_same() {
    let server = Server::start().await;
    let client = with_table(&server).await;
    let text =
        "1\ta\\tb\\nc\\\\d\t1.50\t2026-11-24\tt\n2\t\\N\t\\N\t\\N\tf\n3\t\t-0.01\t\\N\t\\N\n";
    // Cut where it hurts: within an escape, and within a row.
    let (first, second) = text.as_bytes().split_at(4);
    let copied = copy_in(&client, "COPY things FROM STDIN", &[first, second]).await;
    assert_eq!(copied, Ok(3));
    let out = copy_out(&client, "COPY things TO STDOUT").await;
    assert_eq!(out, text);
    let row = client
        .query_one("select name from things where id = 1", &[])
        .await;
    assert_eq!(row.expect("a row").get::<_, &str>(0), "a\tb\nc\\d");
}

#[tokio::test]
async fn csv_has_quotes_headers_and_two_kinds_of_nothing() {
    let server = Server::start().await;
    let client = with_table(&server).await;
    let csv = "id,name\n1,\"a,\"\"b\"\"\nc\"\n2,\n3,\"\"\n";
    let sql = "COPY things (id, name) FROM STDIN CSV HEADER";
    let copied = copy_in(&client, sql, &[csv.as_bytes()]).await;
    assert_eq!(copied, Ok(3));
    let out = "COPY (SELECT id, name FROM things ORDER BY id) TO STDOUT (FORMAT csv, HEADER)";
    assert_eq!(copy_out(&client, out).await, csv);
    let row = client.query_one("select count(name), bool_and(\"Flag\") from things", &[]);
    let row = row.await.expect("a row");
    assert_eq!(row.get::<_, i64>(0), 2);
    assert!(
        row.get::<_, bool>(1),
        "columns that are not copied get their default"
    );
    let odd = "COPY things (id, name) FROM STDIN (FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'nil')";
    let copied = copy_in(&client, odd, &[b"4;'it\\'s'\r\n5;nil\r\n6;'nil'"]).await;
    assert_eq!(copied, Ok(3));
    let rows = client
        .query("select name from things where id > 3 order by id", &[])
        .await;
    let names: Vec<Option<String>> = rows.expect("rows").iter().map(|row| row.get(0)).collect();
    assert_eq!(
        names,
        [Some("it's".to_owned()), None, Some("nil".to_owned())]
    );
}

#[tokio::test]
async fn rows_are_copied_in_binary_form_both_ways() {
    let server = Server::start().await;
    let client = with_table(&server).await;
    let types = [Type::INT4, Type::TEXT];
    let sink = client
        .copy_in("COPY things (id, name) FROM STDIN BINARY")
        .await
        .expect("a sink");
    let writer = BinaryCopyInWriter::new(sink, &types);
    pin_mut!(writer);
    for id in 0..1000_i32 {
        let name = (id % 2 == 0).then(|| format!("thing {id}"));
        writer.as_mut().write(&[&id, &name]).await.expect("room");
    }
    assert_eq!(writer.finish().await.expect("an end"), 1000);
    let out = "COPY (SELECT id, name FROM things ORDER BY id) TO STDOUT (FORMAT binary)";
    let stream = client.copy_out(out).await.expect("a stream");
    let rows: Vec<_> = BinaryCopyOutStream::new(stream, &types)
        .try_collect()
        .await
        .expect("rows");
    assert_eq!(rows.len(), 1000);
    assert_eq!(rows[998].get::<Option<&str>>(1), Some("thing 998"));
    assert_eq!(rows[999].get::<Option<&str>>(1), None);
}

#[tokio::test]
async fn a_copy_is_taken_in_as_a_whole_or_not_at_all() {
    let server = Server::start().await;
    let client = with_table(&server).await;
    let columns = "COPY things (id, name) FROM STDIN";
    for (data, sqlstate) in [
        ("1\ta\n1\tb\n", "23505"),
        ("1\ta\nx\tb\n", "22P02"),
        ("1\ta\n2\n", "22P04"),
        ("1\ta\n2\tb\tc\n", "22P04"),
    ] {
        let error = copy_in(&client, columns, &[data.as_bytes()])
            .await
            .expect_err(data);
        assert_eq!(error.code(), sqlstate, "{data}");
        assert_eq!(
            copy_out(&client, "COPY things TO STDOUT").await,
            "",
            "{data}"
        );
    }
    let csv = format!("{columns} CSV");
    let error = copy_in(&client, &csv, &[b"1,\"a"])
        .await
        .expect_err("an open quote");
    assert_eq!(error.code(), "22P04");
    let binary = format!("{columns} BINARY");
    let error = copy_in(&client, &binary, &[b"1\ta\n2\tbbbbbbbbb\n"])
        .await
        .expect_err("no signature");
    assert_eq!(error.code(), "22P04");
    // What comes after the end mark does not count.
    let copied = copy_in(&client, columns, &[b"7\ta\n\\.\nnonsense\n"]).await;
    assert_eq!(copied, Ok(1));
}

#[tokio::test]
async fn an_error_of_a_copy_says_where_and_the_session_goes_on() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[query("create table t (id int)")]).await;
    assert_eq!(raw.until_ready().await, "CZI");
    raw.send(&[
        query("copy t from stdin"),
        message('d', b"5\nfive\n"),
        message('d', b"6\n"),
        message('c', b""),
        query("select 1"),
    ])
    .await;
    assert_eq!(raw.until_ready().await, "GE(22P02)ZI");
    assert_eq!(raw.until_ready().await, "TDCZI");
    // The client changes its mind, and a transaction of its own is failed by that.
    raw.send(&[
        query("begin"),
        query("copy t from stdin"),
        message('f', b"no\0"),
    ])
    .await;
    assert_eq!(raw.until_ready().await, "CZT");
    assert_eq!(raw.until_ready().await, "GE(57014)ZE");
    raw.send(&[query("rollback"), query("copy nowhere from stdin")])
        .await;
    assert_eq!(raw.until_ready().await, "CZI");
    assert_eq!(raw.until_ready().await, "E(42P01)ZI");
    raw.send(&[
        query("copy t from '/etc/passwd'"),
        query("copy t to stdout"),
    ])
    .await;
    assert_eq!(raw.until_ready().await, "E(42501)ZI");
    assert_eq!(raw.until_ready().await, "HcCZI");
}

#[tokio::test]
async fn a_parameter_that_is_not_of_its_type_fails_the_transaction() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.batch_execute("begin").await.expect("a transaction");
    let statement = client.prepare("select $1::int").await.expect("a statement");
    let error = client
        .query(&statement, &[&super::values::Text("five")])
        .await
        .expect_err("no number");
    assert_eq!(error.code(), Some(&SqlState::INVALID_TEXT_REPRESENTATION));
    let error = client
        .query("select 1", &[])
        .await
        .expect_err("a failed transaction");
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
}
