//! What a client learns of its session: transactions, counts, types, interrupted statements.

use mysql_async::Value;
use mysql_async::consts::{ColumnType, StatusFlags};

use super::*;

/// Status flags after the last answer.
fn status(connection: &Conn) -> StatusFlags {
    connection
        .last_ok_packet()
        .expect("an OK or EOF")
        .status_flags()
}

fn in_transaction(connection: &Conn) -> bool {
    status(connection).contains(StatusFlags::SERVER_STATUS_IN_TRANS)
}

async fn run(connection: &mut Conn, statement: &str) {
    within(connection.query_drop(statement))
        .await
        .expect(statement);
}

/// Starts a statement that sleeps, on a connection of its own, and waits until it runs.
async fn sleeping(server: &Server) -> (u32, tokio::task::JoinHandle<mysql_async::Result<()>>) {
    let mut connection = server.connect().await;
    let id = connection.id();
    let before = server.counted(Count::Statement);
    let task = tokio::spawn(async move { connection.query_drop("SELECT SLEEP(600)").await });
    within(async {
        while server.counted(Count::Statement) == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    (id, task)
}

#[tokio::test]
async fn every_answer_tells_whether_a_transaction_is_open() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    run(&mut connection, "CREATE TABLE t (id BIGINT PRIMARY KEY)").await;
    assert!(!in_transaction(&connection));
    run(&mut connection, "BEGIN").await;
    assert!(in_transaction(&connection));
    run(&mut connection, "INSERT INTO t VALUES (1)").await;
    assert!(in_transaction(&connection));
    run(&mut connection, "SELECT * FROM t").await;
    assert!(in_transaction(&connection), "after rows");
    within(connection.exec_drop("SELECT ?", (1,)))
        .await
        .expect("an answer");
    assert!(in_transaction(&connection), "after binary rows");
    within(connection.ping()).await.expect("an answer");
    assert!(in_transaction(&connection), "after a ping");
    run(&mut connection, "COMMIT").await;
    assert!(!in_transaction(&connection));
}

#[tokio::test]
async fn autocommit_is_told_too() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    run(&mut connection, "SET autocommit = 0").await;
    assert!(!status(&connection).contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT));
    run(&mut connection, "SET autocommit = 1").await;
    assert!(status(&connection).contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT));
}

#[tokio::test]
async fn a_reset_rolls_back_and_keeps_the_connection() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    run(&mut connection, "CREATE TABLE t (id BIGINT PRIMARY KEY)").await;
    run(&mut connection, "BEGIN").await;
    run(&mut connection, "INSERT INTO t VALUES (1)").await;
    assert!(within(connection.reset()).await.expect("a reset"));
    within(connection.ping()).await.expect("an answer");
    assert!(!in_transaction(&connection));
    let count: Option<i64> = within(connection.query_first("SELECT COUNT(*) FROM t"))
        .await
        .expect("an answer");
    assert_eq!(count, Some(0));
}

#[tokio::test]
async fn affected_rows_are_those_changed_or_those_found_as_the_client_asked() {
    let server = Server::start().await;
    let mut changed = server.connect().await;
    let options = server.options().client_found_rows(true);
    let mut found = within(Conn::new(options)).await.expect("a login");
    run(
        &mut changed,
        "CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, n BIGINT)",
    )
    .await;
    run(&mut changed, "INSERT INTO t (n) VALUES (5), (6), (7)").await;
    assert_eq!(changed.affected_rows(), 3);
    assert_eq!(changed.last_insert_id(), Some(1));
    run(&mut changed, "UPDATE t SET n = 6 WHERE id <= 2").await;
    assert_eq!(changed.affected_rows(), 1);
    run(&mut found, "UPDATE t SET n = 6 WHERE id <= 2").await;
    assert_eq!(found.affected_rows(), 2);
    let upsert = "INSERT INTO t VALUES (1, 8) ON DUPLICATE KEY UPDATE n = 8";
    for (as_found, as_changed) in [(2, 0), (1, 0)] {
        run(&mut found, upsert).await;
        assert_eq!(found.affected_rows(), as_found);
        run(&mut changed, upsert).await;
        assert_eq!(changed.affected_rows(), as_changed);
    }
    run(&mut found, "DELETE FROM t").await;
    assert_eq!(found.affected_rows(), 3);
}

const CREATE_KINDS: &str = "CREATE TABLE kinds (b TINYINT(1), s SMALLINT, i INT, l BIGINT, \
     u BIGINT UNSIGNED, f FLOAT, d DOUBLE, n DECIMAL(10,2), v VARCHAR(50), t TEXT, x BLOB, \
     da DATE, ti TIME(6), dt DATETIME(6), j JSON)";

const COLUMN_TYPES: [ColumnType; 15] = [
    ColumnType::MYSQL_TYPE_TINY,
    ColumnType::MYSQL_TYPE_SHORT,
    ColumnType::MYSQL_TYPE_LONG,
    ColumnType::MYSQL_TYPE_LONGLONG,
    ColumnType::MYSQL_TYPE_LONGLONG,
    ColumnType::MYSQL_TYPE_FLOAT,
    ColumnType::MYSQL_TYPE_DOUBLE,
    ColumnType::MYSQL_TYPE_NEWDECIMAL,
    ColumnType::MYSQL_TYPE_VAR_STRING,
    ColumnType::MYSQL_TYPE_VAR_STRING,
    ColumnType::MYSQL_TYPE_BLOB,
    ColumnType::MYSQL_TYPE_DATE,
    ColumnType::MYSQL_TYPE_TIME,
    ColumnType::MYSQL_TYPE_DATETIME,
    ColumnType::MYSQL_TYPE_JSON,
];

#[tokio::test]
async fn every_type_goes_in_as_a_parameter_and_comes_back_in_both_protocols() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    run(&mut connection, CREATE_KINDS).await;
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let values = vec![
        Value::Int(1),
        Value::Int(-7),
        Value::Int(i32::MAX.into()),
        Value::Int(i64::MIN),
        Value::UInt(7),
        Value::Float(1.5),
        Value::Double(0.1),
        bytes(b"12.30"),
        bytes("né".as_bytes()),
        bytes(b"text"),
        bytes(&[0, 0xFF, b'x']),
        Value::Date(2026, 1, 31, 0, 0, 0, 0),
        Value::Time(false, 0, 12, 34, 56, 789_012),
        Value::Date(2026, 1, 31, 12, 34, 56, 789_012),
        bytes(b"{\"a\": 1}"),
    ];
    let places = ["?"; 15].join(", ");
    let insert = format!("INSERT INTO kinds VALUES ({places})");
    within(connection.exec_drop(insert, values.clone()))
        .await
        .expect("a row");

    let row: mysql_async::Row = within(connection.exec_first("SELECT * FROM kinds", ()))
        .await
        .expect("an answer")
        .expect("a row");
    let types: Vec<ColumnType> = row
        .columns_ref()
        .iter()
        .map(|it| it.column_type())
        .collect();
    assert_eq!(types, COLUMN_TYPES);
    let mut expected = values;
    expected[4] = Value::Int(7);
    assert_eq!(row.unwrap(), expected);

    let row: mysql_async::Row = within(connection.query_first("SELECT * FROM kinds"))
        .await
        .expect("an answer")
        .expect("a row");
    let texts: Vec<Value> = [
        &b"1"[..],
        b"-7",
        b"2147483647",
        b"-9223372036854775808",
        b"7",
        b"1.5",
        b"0.1",
        b"12.30",
        "né".as_bytes(),
        b"text",
        &[0, 0xFF, b'x'],
        b"2026-01-31",
        b"12:34:56.789012",
        b"2026-01-31 12:34:56.789012",
        b"{\"a\": 1}",
    ]
    .into_iter()
    .map(bytes)
    .collect();
    assert_eq!(row.unwrap(), texts);
}

#[tokio::test]
async fn a_killed_query_says_so_and_its_session_goes_on() {
    let server = Server::start().await;
    let mut killer = server.connect().await;
    let mut victim = server.connect().await;
    let id = victim.id();
    let before = server.counted(Count::Statement);
    let sleep = async {
        let error = victim
            .query_drop("SELECT SLEEP(600)")
            .await
            .expect_err("killed");
        let expected = (1317, "70100", "Query execution was interrupted");
        assert_eq!(server_error(&error), expected);
    };
    let kill = async {
        while server.counted(Count::Statement) == before {
            tokio::task::yield_now().await;
        }
        killer
            .query_drop(format!("KILL QUERY {id}"))
            .await
            .expect("killed");
    };
    within(async { tokio::join!(sleep, kill) }).await;
    assert_usable(&mut victim).await;
}

#[tokio::test]
async fn a_killed_connection_closes_while_its_statement_runs() {
    let server = Server::start().await;
    let (id, sleeping) = sleeping(&server).await;
    let mut killer = server.connect().await;
    run(&mut killer, &format!("KILL {id}")).await;
    let error = within(sleeping)
        .await
        .expect("no panic")
        .expect_err("closed");
    assert!(matches!(error, mysql_async::Error::Io(_)), "{error:?}");
    server.sessions_left(1).await;
}

#[tokio::test]
async fn a_goodbye_interrupts_a_running_statement_in_mysqls_words() {
    let server = Server::start().await;
    let (_, sleeping) = sleeping(&server).await;
    server.ending.send_replace(Some(Ending::Goodbye));
    let error = within(sleeping)
        .await
        .expect("no panic")
        .expect_err("closed");
    let expected = (1053, "08S01", "Server shutdown in progress");
    assert_eq!(server_error(&error), expected);
    server.sessions_left(0).await;
}

#[tokio::test]
async fn a_reset_reaches_a_running_statement() {
    let server = Server::start().await;
    let (_, sleeping) = sleeping(&server).await;
    server.ending.send_replace(Some(Ending::Reset));
    let error = within(sleeping)
        .await
        .expect("no panic")
        .expect_err("a reset");
    assert!(error.to_string().contains("reset"), "{error}");
}

#[tokio::test]
async fn a_crash_that_a_write_notices_first_still_ends_without_a_word() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    run(&mut connection, "CREATE TABLE t (id BIGINT PRIMARY KEY)").await;
    server
        .host
        .fenced
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let (error, ()) = within(async {
        tokio::join!(connection.query_drop("INSERT INTO t VALUES (1)"), async {
            tokio::task::yield_now().await;
            server.ending.send_replace(Some(Ending::Reset));
        })
    })
    .await;
    let error = error.expect_err("a reset");
    assert!(matches!(error, mysql_async::Error::Io(_)), "{error:?}");
}

#[tokio::test]
async fn silence_gives_up_the_locks_of_a_session_but_not_its_socket() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    run(&mut connection, "CREATE TABLE t (id BIGINT PRIMARY KEY)").await;
    run(&mut connection, "BEGIN").await;
    run(&mut connection, "INSERT INTO t VALUES (1)").await;
    let (_, sleeping) = sleeping(&server).await;
    server.ending.send_replace(Some(Ending::Silence));
    server.sessions_left(0).await;
    // Another instance writes to the same volume.
    let mut session = server.session();
    for statement in session.parse("INSERT INTO t VALUES (2)").expect("parsed") {
        within(session.execute(&statement, &[]))
            .await
            .expect("no lock in the way");
    }
    assert!(!sleeping.is_finished());
}
