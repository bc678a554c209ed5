//! Prepared statements: COM_STMT_* and the binary protocol.

use mysql_async::{Params, Value};

use super::super::prepared::Statements;
use super::*;
use crate::sim::sql::SqlType;

#[tokio::test]
async fn a_statement_is_prepared_once_and_executed_with_other_values() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let statement = within(connection.prep("SELECT ? + 1"))
        .await
        .expect("prepared");
    assert_eq!(statement.num_params(), 1);
    for number in [1_i64, -7, i64::from(u32::MAX)] {
        let sum: Option<i64> = within(connection.exec_first(&statement, (number,)))
            .await
            .expect("an answer");
        assert_eq!(sum, Some(number + 1));
    }
}

#[tokio::test]
async fn nulls_are_told_from_values_in_any_position() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    within(connection.query_drop(
        "CREATE TABLE t (a BIGINT, b BIGINT, c BIGINT, d BIGINT, e BIGINT, f BIGINT, g BIGINT, \
         h BIGINT, i BIGINT)",
    ))
    .await
    .expect("a table");
    let values: Vec<Value> = (0..9)
        .map(|number| match number % 3 {
            0 => Value::NULL,
            _ => Value::Int(number),
        })
        .collect();
    let insert = "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    within(connection.exec_drop(insert, Params::Positional(values)))
        .await
        .expect("a row");
    let select = "SELECT a, b, c, d, e, f, g, h, i FROM t";
    let row: mysql_async::Row = within(connection.exec_first(select, ()))
        .await
        .expect("an answer")
        .expect("a row");
    let found: Vec<Option<i64>> = (0..9)
        .map(|index| row.get(index).expect("a column"))
        .collect();
    let expected: Vec<Option<i64>> = (0..9).map(|n| (n % 3 != 0).then_some(n)).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_closed_or_unknown_statement_is_told_by_its_number() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let statement = within(connection.prep("SELECT 1")).await.expect("prepared");
    within(connection.exec_drop(&statement, ()))
        .await
        .expect("an answer");
    assert!(within(connection.reset()).await.expect("a reset"));
    let id = statement.id();
    let error = within(connection.exec_drop(&statement, ()))
        .await
        .expect_err("a forgotten statement");
    let message = format!("Unknown prepared statement handler ({id}) given to mysqld_stmt_execute");
    assert_eq!(server_error(&error), (1243, "HY000", message.as_str()));
    assert_usable(&mut connection).await;
}

#[tokio::test]
async fn several_statements_cannot_be_prepared_together() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let error = within(connection.prep("SELECT 1; SELECT 2"))
        .await
        .expect_err("two");
    assert_eq!(server_error(&error).0, 1064);
    assert_usable(&mut connection).await;
}

#[tokio::test]
async fn the_number_and_size_of_prepared_statements_are_limited() {
    let server = Server::start().await;
    let mut session = server.session();
    let statement = session
        .parse("SELECT 1")
        .expect("parsed")
        .pop()
        .expect("one");
    let mut statements = Statements::default();
    let first = statements
        .add(statement.clone(), 8, Vec::new())
        .expect("room");
    for _ in 1..16_382 {
        statements
            .add(statement.clone(), 8, Vec::new())
            .expect("room");
    }
    let error = statements
        .add(statement.clone(), 8, Vec::new())
        .expect_err("no room");
    assert_eq!((error.number, error.sqlstate), (1461, "42000"));
    statements.close(first);
    let half = 40 * 1024 * 1024;
    statements
        .add(statement.clone(), 8, Vec::new())
        .expect("room again");
    let mut statements = Statements::default();
    let large = statements
        .add(statement.clone(), half, Vec::new())
        .expect("room");
    let error = statements
        .add(statement.clone(), half, Vec::new())
        .expect_err("no room");
    assert_eq!(error.number, 1461);
    statements.close(large);
    statements
        .add(statement, half, Vec::new())
        .expect("room again");
}

#[tokio::test]
async fn pending_long_data_is_limited_and_the_execution_says_so() {
    let server = Server::start().await;
    let mut session = server.session();
    let statement = session
        .parse("SELECT ?")
        .expect("parsed")
        .pop()
        .expect("one");
    let mut statements = Statements::default();
    let id = statements
        .add(statement, 8, vec![SqlType::Text])
        .expect("room");
    let piece = vec![b'x'; 40 * 1024 * 1024];
    let execution = [0, 1, 0, 0, 0, 0, 1, 253, 0];
    statements.add_long_data(id, 0, &piece);
    statements.add_long_data(id, 0, &piece);
    let error = statements.bind(id, &execution).expect_err("too much");
    assert_eq!(error.number, 1105);
    statements.add_long_data(id, 0, &piece);
    let (_, values) = statements.bind(id, &execution).expect("room again");
    assert_eq!(values.len(), 1);
    statements.add_long_data(id, 7, b"x");
    let error = statements
        .bind(id, &execution)
        .expect_err("no such parameter");
    assert_eq!(error.number, 1210);
}
