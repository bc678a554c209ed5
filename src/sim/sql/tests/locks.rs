//! Waiting for locks, and not waiting.

use super::transactions::{BOTH, with_table};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_lock_ends_after_its_timeout() {
    let (bench, mut one) = with_table(EngineKind::MySql).await;
    one.ok("BEGIN; INSERT INTO t VALUES (1, 1)").await;
    let mut two = bench.session();
    let started = tokio::time::Instant::now();
    let error = two.err("INSERT INTO t VALUES (2, 2)").await;
    assert_eq!((error.number, error.sqlstate), (1205, "HY000"));
    assert_eq!(started.elapsed().as_secs(), 50);
    two.ok("SET innodb_lock_wait_timeout = 2").await;
    two.err("INSERT INTO t VALUES (2, 2)").await;
    assert_eq!(started.elapsed().as_secs(), 52);

    let (bench, mut one) = with_table(EngineKind::Postgres).await;
    one.ok("BEGIN; INSERT INTO t VALUES (1, 1)").await;
    let mut two = bench.session();
    let error = two
        .err("SET lock_timeout = '100ms'; SELECT * FROM t FOR UPDATE")
        .await;
    assert_eq!(error.sqlstate, "55P03");
    let error = two.err("SELECT * FROM t FOR UPDATE NOWAIT").await;
    assert_eq!(error.sqlstate, "55P03");
    let error = two
        .err("SET statement_timeout = '50ms'; UPDATE t SET v = 1")
        .await;
    assert_eq!(error.sqlstate, "57014");
    one.ok("COMMIT").await;
    two.ok("UPDATE t SET v = 1").await;
}

#[tokio::test]
async fn locked_rows_are_skipped_or_refused_at_once_when_asked() {
    for engine in BOTH {
        let (bench, mut one) = with_table(engine).await;
        let mut two = bench.session();
        one.ok("INSERT INTO t VALUES (1, 1)").await;
        let skipping = "SELECT id FROM t FOR UPDATE SKIP LOCKED";
        assert_eq!(two.rows(skipping).await.len(), 1);
        one.ok("BEGIN; UPDATE t SET v = 2").await;
        assert_eq!(one.rows(skipping).await.len(), 1, "its own locks");
        assert!(two.rows(skipping).await.is_empty());
        let refused = two.err("SELECT id FROM t FOR UPDATE NOWAIT").await;
        match engine {
            EngineKind::Postgres => assert_eq!(refused.sqlstate, "55P03"),
            EngineKind::MySql => assert_eq!(refused.number, 3572),
        }
        one.ok("COMMIT").await;
        assert_eq!(two.rows(skipping).await.len(), 1);
    }
}

#[tokio::test]
async fn a_row_lock_is_held_until_the_transaction_ends() {
    for engine in BOTH {
        let (bench, mut one) = with_table(engine).await;
        one.ok("BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE")
            .await;
        assert!(bench.volume.try_lock_for_writing().is_none());
        one.ok("ROLLBACK").await;
        assert!(bench.volume.try_lock_for_writing().is_some());
        one.ok("SELECT * FROM t FOR UPDATE").await;
        assert!(bench.volume.try_lock_for_writing().is_some());
    }
}
