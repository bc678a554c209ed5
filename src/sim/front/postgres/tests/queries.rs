//! Statements through both protocols.

use futures_util::future::join_all;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::raw::{Raw, bind, close, describe, execute, message, parse, query, sync};
use super::{Server, code, soon, until};

/// A session in which the table `t` has the rows 1 to 3.
async fn raw_with_rows(server: &Server) -> Raw {
    let client = server.connect().await;
    client
        .batch_execute("create table t (id int primary key); insert into t values (1), (2), (3)")
        .await
        .expect("a table");
    Raw::log_in(server).await
}

#[tokio::test]
async fn a_script_answers_each_statement_and_stops_at_the_first_error() {
    let server = Server::start().await;
    let client = server.connect().await;
    let answers = client
        .simple_query("create table t (id int); insert into t values (1); select id from t")
        .await
        .expect("answers");
    let rows: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    assert_eq!(rows, ["1"]);

    let mut raw = Raw::log_in(&server).await;
    raw.send(&[query("select 1; select * from nowhere; select 2")])
        .await;
    assert_eq!(raw.until_ready().await, "TDCE(42P01)ZI");
    raw.send(&[query(" ; ")]).await;
    assert_eq!(raw.until_ready().await, "IZI");
}

#[tokio::test]
async fn a_session_goes_on_after_an_error() {
    let server = Server::start().await;
    let client = server.connect().await;
    for _ in 0..3 {
        let error = client.query("select * from nowhere", &[]).await;
        assert_eq!(code(&error.expect_err("no such table")), "42P01");
        client.query_one("select 1", &[]).await.expect("an answer");
    }
}

#[tokio::test]
async fn an_error_in_the_extended_protocol_skips_to_the_next_sync() {
    let server = Server::start().await;
    let mut raw = raw_with_rows(&server).await;
    raw.send(&[
        parse("", "select * from nowhere"),
        bind(""),
        execute(0),
        query("select 1"),
        parse("", "select 1"),
        sync(),
        parse("", "select 1"),
        bind(""),
        execute(0),
        sync(),
    ])
    .await;
    assert_eq!(raw.until_ready().await, "E(42P01)ZI");
    assert_eq!(raw.until_ready().await, "12DCZI");
}

#[tokio::test]
async fn a_portal_gives_its_rows_in_pieces() {
    let server = Server::start().await;
    let mut raw = raw_with_rows(&server).await;
    raw.send(&[query("begin")]).await;
    assert_eq!(raw.until_ready().await, "CZT");
    raw.send(&[
        parse("", "select id from t order by id"),
        bind(""),
        describe("P"),
        execute(2),
        sync(),
        execute(1),
        execute(1),
        sync(),
        query("commit"),
    ])
    .await;
    assert_eq!(raw.until_ready().await, "12TDDsZT");
    assert_eq!(raw.until_ready().await, "DsCZT");
    assert_eq!(raw.until_ready().await, "CZI");
    raw.send(&[execute(0), sync()]).await;
    assert_eq!(
        raw.until_ready().await,
        "E(34000)ZI",
        "it went with its transaction"
    );
}

#[tokio::test]
async fn a_real_client_reads_a_portal_in_pieces() {
    let server = Server::start().await;
    drop(raw_with_rows(&server).await);
    let mut client = server.connect().await;
    let transaction = client.transaction().await.expect("a transaction");
    let portal = transaction
        .bind("select id from t order by id", &[])
        .await
        .expect("a portal");
    let mut pieces = Vec::new();
    for _ in 0..2 {
        let rows = transaction.query_portal(&portal, 2).await.expect("rows");
        pieces.push(rows.len());
    }
    assert_eq!(pieces, [2, 1]);
    transaction.commit().await.expect("a commit");
}

#[tokio::test]
async fn prepared_statements_live_until_they_are_closed() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[parse("one", "select 1"), describe("Sone"), sync()])
        .await;
    assert_eq!(raw.until_ready().await, "1tTZI");
    raw.send(&[parse("one", "select 1"), sync()]).await;
    assert_eq!(raw.until_ready().await, "E(42P05)ZI");
    raw.send(&[bind("one"), execute(0), bind("one"), execute(0), sync()])
        .await;
    assert_eq!(raw.until_ready().await, "2DC2DCZI");
    raw.send(&[close("Sone"), close("Sone"), bind("one"), sync()])
        .await;
    assert_eq!(raw.until_ready().await, "33E(26000)ZI");
}

#[tokio::test]
async fn a_simple_query_takes_the_place_of_the_unnamed_statement() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[
        parse("", "select 1"),
        sync(),
        query("select 2"),
        bind(""),
        sync(),
    ])
    .await;
    assert_eq!(raw.until_ready().await, "1ZI");
    assert_eq!(raw.until_ready().await, "TDCZI");
    assert_eq!(raw.until_ready().await, "E(26000)ZI");
}

#[tokio::test]
async fn an_empty_statement_and_one_without_rows_describe_themselves() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[parse("", ""), bind(""), describe("P"), execute(0), sync()])
        .await;
    assert_eq!(raw.until_ready().await, "12nIZI");
    raw.send(&[
        parse("", "create table t (id int)"),
        bind(""),
        describe("P"),
        execute(0),
        execute(0),
        sync(),
    ])
    .await;
    assert_eq!(raw.until_ready().await, "12nCE(55000)ZI");
}

#[tokio::test]
async fn a_prepared_statement_is_one_command() {
    let server = Server::start().await;
    let client = server.connect().await;
    let error = client.prepare("select 1; select 2").await;
    assert_eq!(code(&error.expect_err("two commands")), "42601");
}

#[tokio::test]
async fn a_bind_with_the_wrong_number_of_things_is_refused() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[parse("", "select 1"), sync()]).await;
    raw.until_ready().await;
    // One parameter too many, then two result formats for one column.
    for counts in [
        b"\0\0\0\0\0\x01\xff\xff\xff\xff\0\0".as_slice(),
        b"\0\0\0\0\0\0\0\x02\0\0\0\0",
    ] {
        raw.send(&[message('B', counts), sync()]).await;
        assert_eq!(raw.until_ready().await, "E(08P01)ZI");
    }
}

#[tokio::test]
async fn pipelined_statements_answer_in_order() {
    let server = Server::start().await;
    let client = server.connect().await;
    client
        .batch_execute("create table t (id int primary key)")
        .await
        .expect("a table");
    let insert = client
        .prepare("insert into t values ($1)")
        .await
        .expect("prepared");
    let numbers: Vec<i32> = (0..200).collect();
    let inserts = numbers.iter().map(|number| {
        let (client, insert) = (&client, &insert);
        async move { client.execute(insert, &[number]).await }
    });
    for inserted in join_all(inserts).await {
        assert_eq!(inserted.expect("an insert"), 1);
    }
    let row = client.query_one("select count(*) from t", &[]).await;
    assert_eq!(row.expect("a row").get::<_, i64>(0), 200);
}

#[tokio::test]
async fn a_large_result_arrives_whole() {
    let server = Server::start().await;
    let client = server.connect().await;
    client
        .batch_execute("create table t (id int primary key, filler text)")
        .await
        .expect("a table");
    let filler = "x".repeat(100_000);
    for id in 0..20_i32 {
        client
            .execute("insert into t values ($1, $2)", &[&id, &filler])
            .await
            .expect("an insert");
    }
    let rows = client
        .query("select filler from t", &[])
        .await
        .expect("rows");
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| row.get::<_, &str>(0) == filler));
}

#[tokio::test]
async fn the_status_follows_the_transaction() {
    let server = Server::start().await;
    let mut raw = raw_with_rows(&server).await;
    for (sql, answer) in [
        ("begin", "CZT"),
        ("insert into t values (4)", "CZT"),
        ("select * from nowhere", "E(42P01)ZE"),
        ("select 1", "E(25P02)ZE"),
        ("rollback", "CZI"),
        ("select id from t where id = 4", "TCZI"),
    ] {
        raw.send(&[query(sql)]).await;
        assert_eq!(raw.until_ready().await, answer, "{sql}");
    }
}

#[tokio::test]
async fn a_script_is_one_transaction_unless_it_says_otherwise() {
    let server = Server::start().await;
    let mut raw = raw_with_rows(&server).await;
    for (script, answer, rows) in [
        (
            "insert into t values (11); insert into t values (1)",
            "CE(23505)ZI",
            3,
        ),
        (
            "insert into t values (11); commit; select * from nowhere",
            "CCE(42P01)ZI",
            4,
        ),
        (
            "begin; insert into t values (12); commit; insert into t values (13); rollback",
            "CCCCCZI",
            5,
        ),
        ("insert into t values (14); begin", "CCZT", 6),
        ("rollback", "CZI", 5),
        (
            "begin; insert into t values (15); select * from nowhere",
            "CCE(42P01)ZE",
            0,
        ),
        ("rollback", "CZI", 5),
    ] {
        raw.send(&[query(script)]).await;
        assert_eq!(raw.until_ready().await, answer, "{script}");
        if rows == 0 {
            continue;
        }
        raw.send(&[query("select id from t")]).await;
        let seen = raw.until_ready().await;
        assert_eq!(seen.matches('D').count(), rows, "after {script}");
    }
}

#[tokio::test]
async fn a_function_call_is_refused_and_the_session_goes_on() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[message('F', &[0; 12]), query("select 1")]).await;
    assert_eq!(raw.until_ready().await, "E(0A000)ZI");
    assert_eq!(raw.until_ready().await, "TDCZI");
}

#[tokio::test]
async fn a_cancel_request_ends_the_running_statement_only() {
    let server = Server::start().await;
    let client = server.connect().await;
    let cancel = client.cancel_token();

    // A cancel without a running statement is forgotten.
    cancel.cancel_query(NoTls).await.expect("a request");
    until("the request is served", || server.served() == 1).await;
    client.query_one("select 1", &[]).await.expect("an answer");

    let sleep = client.batch_execute("select pg_sleep(600)");
    let cancelling = async {
        // The statement is known to run only by its effect, so the request is repeated.
        loop {
            cancel.cancel_query(NoTls).await.expect("a request");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let error = soon("the end of the statement", async {
        tokio::select! {
            slept = sleep => slept.expect_err("it was cancelled"),
            () = cancelling => unreachable!("it never ends"),
        }
    })
    .await;
    assert_eq!(code(&error), "57014");
    // Requests still under way may meet no further statement.
    until("the requests are served", || server.served() == 1).await;
    client.query_one("select 1", &[]).await.expect("an answer");
}

#[tokio::test]
async fn a_cancelled_statement_fails_its_transaction() {
    let server = Server::start().await;
    let mut raw = raw_with_rows(&server).await;
    raw.send(&[query("begin"), query("select pg_sleep(600)")])
        .await;
    assert_eq!(raw.until_ready().await, "CZT");
    let handle = server.door.sessions.find(2, None).expect("the session");
    let cancelling = async {
        loop {
            handle.cancel.notify_waiters();
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::select! {
        answer = raw.until_ready() => answer,
        () = cancelling => unreachable!("it never ends"),
    };
    assert_eq!(answer, "E(57014)ZE");
    raw.send(&[query("rollback")]).await;
    assert_eq!(raw.until_ready().await, "CZI");
}

#[tokio::test]
async fn discard_all_reaches_what_the_protocol_prepared() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[parse("one", "select 1"), sync(), query("discard all")])
        .await;
    assert_eq!(raw.until_ready().await, "1ZI");
    assert_eq!(raw.until_ready().await, "CZI");
    raw.send(&[bind("one"), sync()]).await;
    assert_eq!(raw.until_ready().await, "E(26000)ZI");
}

#[tokio::test]
async fn a_cancel_request_with_the_wrong_secret_does_nothing() {
    let server = Server::start().await;
    let client = server.connect().await;
    // The first session's id with a secret that it has by chance once in four thousand million.
    let body = [0, 0, 0, 1, 0, 0, 0, 7];
    let sleep = client.batch_execute("select pg_sleep(0.3)");
    let wrong = async {
        let mut raw = Raw(server.dial().await);
        raw.send(&[super::raw::packet(80_877_102, &body)]).await;
        assert!(raw.next().await.is_none(), "a cancel request has no answer");
    };
    let (slept, ()) = tokio::join!(sleep, wrong);
    slept.expect("nobody cancelled it");
}

#[tokio::test]
async fn a_cursor_declared_by_sql_is_a_portal_that_can_be_described() {
    let server = Server::start().await;
    let mut raw = Raw::log_in(&server).await;
    raw.send(&[query("begin")]).await;
    assert_eq!(raw.until_ready().await, "CZT");
    let declaration = parse("", "declare walk cursor for select 1");
    let messages = [declaration, bind(""), describe("P"), execute(0), sync()];
    raw.send(&messages).await;
    assert_eq!(raw.until_ready().await, "12nCZT");
    raw.send(&[describe("Pwalk"), sync()]).await;
    assert_eq!(raw.until_ready().await, "TZT");
    raw.send(&[query("commit"), describe("Pwalk"), sync()])
        .await;
    assert_eq!(raw.until_ready().await, "CZI");
    assert_eq!(raw.until_ready().await, "E(34000)ZI");
}
