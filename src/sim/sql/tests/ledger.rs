//! What the volume records of what was applied, and what instances count.

use super::*;
use crate::sim::host::Count;

#[tokio::test]
async fn each_applied_change_has_one_entry_with_its_origin() {
    let bench = Bench::new(EngineKind::Postgres);
    let mut one = bench.session();
    let mut two = bench.session();
    one.ok("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let parameters = [Value::Integer(1), Value::Text("x".to_owned())];
    let insert = "INSERT INTO t VALUES ($1, $2)";
    one.run_with(insert, &parameters).await.expect("a row");
    two.ok("BEGIN; UPDATE t SET v = 'y'; DELETE FROM t; COMMIT")
        .await;
    one.err("INSERT INTO t VALUES (NULL, 'z')").await;
    one.ok("SELECT * FROM t").await;

    let ledger = bench.volume.ledger().expect("the ledger");
    let texts: Vec<&str> = ledger
        .iter()
        .map(|entry| entry.statement.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "CREATE TABLE t (id int PRIMARY KEY, v text)",
            insert,
            "UPDATE t SET v = 'y'",
            "DELETE FROM t"
        ]
    );
    let numbers: Vec<_> = ledger
        .iter()
        .map(|it| (it.sequence, it.rows_affected))
        .collect();
    assert_eq!(numbers, [(1, 0), (2, 1), (3, 1), (4, 1)]);
    assert_eq!(
        ledger[1].parameters,
        [serde_json::json!(1), serde_json::json!("x")]
    );
    assert_eq!(ledger[1].instance.as_str(), "instance-1");
    assert_eq!((ledger[1].epoch, ledger[1].elapsed_micros), (7, 5_000_000));
    assert_eq!(ledger[1].session, ledger[0].session);
    assert_ne!(ledger[1].session, ledger[2].session);
    assert_ne!(ledger[1].transaction, ledger[2].transaction);
    assert_eq!(ledger[2].transaction, ledger[3].transaction);
}

#[tokio::test]
async fn temporary_tables_are_no_business_of_the_ledger() {
    let bench = Bench::new(EngineKind::MySql);
    let mut client = bench.session();
    client
        .ok("CREATE TEMPORARY TABLE s (id INT); INSERT INTO s VALUES (1)")
        .await;
    assert_eq!(bench.volume.ledger_len().expect("the ledger"), 0);
}

#[tokio::test]
async fn an_instance_counts_what_it_was_asked() {
    let bench = Bench::new(EngineKind::Postgres);
    let mut client = bench.session();
    client.ok("CREATE TABLE t (id int)").await;
    client.ok("INSERT INTO t VALUES (1)").await;
    client.ok("SELECT * FROM t").await;
    client.ok("SELECT 1").await;
    client
        .ok("SELECT server_id FROM aurora_replica_status() s JOIN t ON true")
        .await;
    client.err("SELECT * FROM nope").await;
    assert_eq!(bench.writer.counted(Count::Statement), 6);
    assert_eq!(bench.writer.counted(Count::Write), 2);
    assert_eq!(bench.writer.counted(Count::Read), 2);
    assert_eq!(bench.writer.counted(Count::TopologyQuery), 1);
    let mut reader = bench.reader_session();
    reader.err("INSERT INTO t VALUES (1)").await;
    assert_eq!(bench.reader.counted(Count::Write), 0);
}

#[tokio::test]
async fn the_volume_outlives_its_sessions() {
    let bench = Bench::new(EngineKind::MySql);
    let mut client = bench.session();
    client
        .ok("CREATE TABLE t (id INT); INSERT INTO t VALUES (7)")
        .await;
    drop(client);
    let rows = bench.volume.query("SELECT id FROM t").expect("the table");
    assert_eq!(rows, [[Value::Integer(7)]]);
}

#[tokio::test]
async fn the_volume_reads_tables_whose_rules_call_functions_of_the_sessions() {
    let bench = Bench::new(EngineKind::Postgres);
    let mut client = bench.session();
    client
        .ok("CREATE TABLE t (v text CHECK (v LIKE 'a%'), n numeric(9,2) UNIQUE, at timestamptz DEFAULT now())")
        .await;
    client
        .ok("CREATE INDEX part ON t (v) WHERE v LIKE 'ab%'")
        .await;
    client.ok("INSERT INTO t VALUES ('abc', 1.5)").await;
    let rows = bench.volume.query("SELECT v FROM t WHERE n = '1.50'");
    assert_eq!(rows.expect("the row"), [[Value::Text("abc".to_owned())]]);
    assert_eq!(bench.volume.ledger().expect("the ledger").len(), 3);
}
