//! Transactions, the write lock, cancellation, fences.

use std::time::Duration;

use super::*;

pub(super) const BOTH: [EngineKind; 2] = [EngineKind::Postgres, EngineKind::MySql];

pub(super) async fn with_table(engine: EngineKind) -> (Bench, Client) {
    let bench = Bench::new(engine);
    let mut client = bench.session();
    client
        .ok("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
        .await;
    (bench, client)
}

/// Lets everything run that can run now.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn uncommitted_rows_are_seen_by_their_session_alone() {
    for engine in BOTH {
        let (bench, mut one) = with_table(engine).await;
        let mut two = bench.session();
        one.ok("BEGIN; INSERT INTO t VALUES (1, 1)").await;
        assert_eq!(one.0.transaction(), TransactionState::Open);
        assert_eq!(one.number("SELECT count(*) FROM t").await, 1);
        assert_eq!(two.number("SELECT count(*) FROM t").await, 0);
        one.ok("COMMIT").await;
        assert_eq!(one.0.transaction(), TransactionState::Idle);
        assert_eq!(two.number("SELECT count(*) FROM t").await, 1);
    }
}

#[tokio::test]
async fn a_rollback_leaves_nothing_and_a_generated_number_stays_taken() {
    let bench = Bench::new(EngineKind::Postgres);
    let mut client = bench.session();
    client
        .ok("CREATE TABLE g (id serial PRIMARY KEY, v int)")
        .await;
    client
        .ok("BEGIN; INSERT INTO g (v) VALUES (1); ROLLBACK")
        .await;
    client.ok("INSERT INTO g (v) VALUES (2)").await;
    assert_eq!(client.number("SELECT id FROM g").await, 2);
    assert_eq!(bench.volume.ledger().expect("the ledger").len(), 2);
}

#[tokio::test]
async fn a_repeatable_read_keeps_its_snapshot_and_a_read_committed_one_does_not() {
    for (engine, begin, expected) in [
        (EngineKind::MySql, "BEGIN", 0),
        (
            EngineKind::MySql,
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN",
            1,
        ),
        (EngineKind::Postgres, "BEGIN", 1),
        (
            EngineKind::Postgres,
            "BEGIN ISOLATION LEVEL REPEATABLE READ",
            0,
        ),
    ] {
        let (bench, mut one) = with_table(engine).await;
        let mut two = bench.session();
        one.ok(begin).await;
        assert_eq!(one.number("SELECT count(*) FROM t").await, 0, "{begin}");
        two.ok("INSERT INTO t VALUES (1, 1)").await;
        assert_eq!(
            one.number("SELECT count(*) FROM t").await,
            expected,
            "{engine} {begin}"
        );
        one.ok("COMMIT").await;
        assert_eq!(one.number("SELECT count(*) FROM t").await, 1);
    }
}

#[tokio::test]
async fn a_postgres_snapshot_that_was_overtaken_cannot_write() {
    let (bench, mut one) = with_table(EngineKind::Postgres).await;
    let mut two = bench.session();
    one.ok("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT * FROM t")
        .await;
    two.ok("INSERT INTO t VALUES (1, 1)").await;
    let error = one.err("INSERT INTO t VALUES (2, 2)").await;
    assert_eq!(error.sqlstate, "40001");
    assert_eq!(one.0.transaction(), TransactionState::Failed);
    two.ok("INSERT INTO t VALUES (3, 3)").await;
}

#[tokio::test]
async fn a_mysql_transaction_writes_on_top_of_what_others_committed() {
    let (bench, mut one) = with_table(EngineKind::MySql).await;
    let mut two = bench.session();
    two.ok("INSERT INTO t VALUES (1, 10)").await;
    one.ok("BEGIN; SELECT * FROM t").await;
    two.ok("UPDATE t SET v = 20").await;
    one.ok("UPDATE t SET v = v + 1; COMMIT").await;
    assert_eq!(two.number("SELECT v FROM t").await, 21);
}

#[tokio::test]
async fn writers_wait_in_turn_for_the_end_of_the_transaction_before_them() {
    for engine in BOTH {
        let (bench, mut one) = with_table(engine).await;
        let mut two = bench.session();
        one.ok("BEGIN; INSERT INTO t VALUES (1, 1)").await;
        let waiting = tokio::spawn(async move {
            two.ok("INSERT INTO t VALUES (2, 2)").await;
            two
        });
        settle().await;
        assert!(!waiting.is_finished());
        one.ok("COMMIT").await;
        let mut two = waiting.await.expect("no panic");
        assert_eq!(two.number("SELECT count(*) FROM t").await, 2);
    }
}

#[tokio::test]
async fn a_dropped_session_rolls_back_and_lets_the_next_one_write() {
    let (bench, mut one) = with_table(EngineKind::MySql).await;
    one.ok("BEGIN; INSERT INTO t VALUES (1, 1)").await;
    drop(one);
    let mut two = bench.session();
    two.ok("INSERT INTO t VALUES (1, 2)").await;
    assert_eq!(two.number("SELECT v FROM t").await, 2);
}

#[tokio::test]
async fn an_error_fails_a_postgres_transaction_until_its_end() {
    let (bench, mut client) = with_table(EngineKind::Postgres).await;
    client.ok("BEGIN; INSERT INTO t VALUES (1, 1)").await;
    client.err("INSERT INTO t VALUES (1, 1)").await;
    assert_eq!(client.0.transaction(), TransactionState::Failed);
    assert!(
        bench.volume.try_lock_for_writing().is_some(),
        "nobody need wait for a failed one"
    );
    for refused in [
        "SELECT 1",
        "INSERT INTO t VALUES (2, 2)",
        "BEGIN",
        "SELECT nope",
    ] {
        assert_eq!(client.err(refused).await.sqlstate, "25P02", "{refused}");
    }
    let Reply::Done { tag, .. } = client.ok("COMMIT").await else {
        panic!("COMMIT has no rows");
    };
    assert_eq!(tag.0, "ROLLBACK");
    assert_eq!(client.0.transaction(), TransactionState::Idle);
    assert_eq!(client.number("SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn a_syntax_error_fails_a_postgres_transaction_too() {
    let (_bench, mut client) = with_table(EngineKind::Postgres).await;
    client.ok("BEGIN").await;
    client.err("SELEC 1").await;
    assert_eq!(client.0.transaction(), TransactionState::Failed);
    client.ok("ABORT").await;
    assert_eq!(client.0.transaction(), TransactionState::Idle);
}

#[tokio::test]
async fn an_error_leaves_a_mysql_transaction_as_it_was() {
    let (_bench, mut client) = with_table(EngineKind::MySql).await;
    client
        .ok("START TRANSACTION; INSERT INTO t VALUES (1, 1)")
        .await;
    client.err("INSERT INTO t VALUES (2, 2), (1, 1)").await;
    assert_eq!(client.0.transaction(), TransactionState::Open);
    client.ok("INSERT INTO t VALUES (3, 3); COMMIT").await;
    assert_eq!(client.number("SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn savepoints_undo_a_part_and_heal_a_failed_transaction() {
    for engine in BOTH {
        let (bench, mut client) = with_table(engine).await;
        client
            .ok("BEGIN; SAVEPOINT early; INSERT INTO t VALUES (1, 1)")
            .await;
        client.ok("SAVEPOINT a; INSERT INTO t VALUES (2, 2)").await;
        client.err("INSERT INTO t VALUES (1, 1)").await;
        client.ok("ROLLBACK TO SAVEPOINT a").await;
        assert_eq!(client.0.transaction(), TransactionState::Open);
        assert_eq!(client.number("SELECT count(*) FROM t").await, 1);
        client
            .ok("INSERT INTO t VALUES (3, 3); RELEASE SAVEPOINT a")
            .await;
        let unknown = client.err("ROLLBACK TO SAVEPOINT a").await;
        let expected = if engine == EngineKind::Postgres {
            "3B001"
        } else {
            "42000"
        };
        assert_eq!(unknown.sqlstate, expected);
        client.ok("ROLLBACK TO SAVEPOINT early").await;
        assert_eq!(client.number("SELECT count(*) FROM t").await, 0);
        client.ok("INSERT INTO t VALUES (4, 4); COMMIT").await;
        assert_eq!(client.number("SELECT id FROM t").await, 4);
        let ledger = bench.volume.ledger().expect("the ledger");
        assert_eq!(ledger.len(), 2, "the table and the last row: {ledger:?}");
    }
}

#[tokio::test]
async fn mysql_definitions_commit_what_is_open_and_postgres_ones_can_be_rolled_back() {
    let (bench, mut client) = with_table(EngineKind::MySql).await;
    client
        .ok("BEGIN; INSERT INTO t VALUES (1, 1); CREATE TABLE u (id INT)")
        .await;
    assert_eq!(client.0.transaction(), TransactionState::Idle);
    client.ok("ROLLBACK").await;
    assert_eq!(bench.session().number("SELECT count(*) FROM t").await, 1);

    let (bench, mut client) = with_table(EngineKind::Postgres).await;
    let mut other = bench.session();
    client
        .ok("BEGIN; CREATE TABLE u (id int); INSERT INTO u VALUES (1)")
        .await;
    assert_eq!(client.number("SELECT count(*) FROM u").await, 1);
    assert_eq!(other.err("SELECT * FROM u").await.sqlstate, "42P01");
    client.ok("ROLLBACK").await;
    assert_eq!(client.err("SELECT * FROM u").await.sqlstate, "42P01");
}

#[tokio::test]
async fn without_autocommit_mysql_opens_a_transaction_by_itself() {
    let (bench, mut client) = with_table(EngineKind::MySql).await;
    let mut other = bench.session();
    client.ok("SET autocommit = 0").await;
    assert!(!client.0.autocommit());
    client.ok("SELECT 1").await;
    assert_eq!(client.0.transaction(), TransactionState::Idle);
    client.ok("INSERT INTO t VALUES (1, 1)").await;
    assert_eq!(client.0.transaction(), TransactionState::Open);
    assert_eq!(other.number("SELECT count(*) FROM t").await, 0);
    client.ok("SET @@session.autocommit = ON").await;
    assert!(client.0.autocommit());
    assert_eq!(other.number("SELECT count(*) FROM t").await, 1);
}

#[tokio::test(start_paused = true)]
async fn sleeping_takes_its_time_without_holding_anybody_up() {
    for (engine, sleep) in [
        (EngineKind::Postgres, "SELECT pg_sleep(2.5)"),
        (EngineKind::MySql, "SELECT SLEEP(2.5)"),
    ] {
        let (bench, mut client) = with_table(engine).await;
        let started = tokio::time::Instant::now();
        client.ok(sleep).await;
        assert_eq!(started.elapsed(), Duration::from_millis(2500));
        drop(bench);
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_dropped_on_its_way_leaves_nothing_behind() {
    for (engine, sleeper) in [
        (
            EngineKind::Postgres,
            "INSERT INTO t SELECT 1, length(pg_sleep(60)::text)",
        ),
        (EngineKind::MySql, "INSERT INTO t SELECT 1, SLEEP(60)"),
    ] {
        let (bench, mut client) = with_table(engine).await;
        let second = Duration::from_secs(1);
        assert!(
            tokio::time::timeout(second, client.run(sleeper))
                .await
                .is_err()
        );
        assert!(bench.volume.try_lock_for_writing().is_some());
        assert_eq!(client.number("SELECT count(*) FROM t").await, 0);
        client.ok("INSERT INTO t VALUES (1, 1)").await;

        // In a transaction, PostgreSQL gives all of it up, MySQL the statement.
        client.ok("BEGIN; INSERT INTO t VALUES (2, 2)").await;
        let sleeper = sleeper.replace("SELECT 1", "SELECT 3");
        assert!(
            tokio::time::timeout(second, client.run(&sleeper))
                .await
                .is_err()
        );
        let (state, rows) = match engine {
            EngineKind::Postgres => (TransactionState::Failed, 1),
            EngineKind::MySql => (TransactionState::Open, 2),
        };
        assert_eq!(client.0.transaction(), state);
        client.ok("COMMIT").await;
        assert_eq!(client.number("SELECT count(*) FROM t").await, rows);
        let ledger = bench.volume.ledger().expect("the ledger");
        assert_eq!(i64::try_from(ledger.len()), Ok(1 + rows), "{ledger:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_gives_up_waiting_does_not_hold_up_the_queue() {
    let (bench, mut one) = with_table(EngineKind::Postgres).await;
    one.ok("BEGIN; INSERT INTO t VALUES (1, 1)").await;
    let mut two = bench.session();
    let wait = two.run("INSERT INTO t VALUES (2, 2)");
    assert!(
        tokio::time::timeout(Duration::from_secs(1), wait)
            .await
            .is_err()
    );
    one.ok("COMMIT").await;
    two.ok("INSERT INTO t VALUES (3, 3)").await;
    assert_eq!(two.number("SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn no_commit_gets_past_a_fence() {
    for engine in BOTH {
        let (bench, mut client) = with_table(engine).await;
        client.ok("BEGIN; INSERT INTO t VALUES (1, 1)").await;
        let mut lone = bench.session();
        bench.writer.fence();
        for statement in ["COMMIT", "INSERT INTO t VALUES (2, 2)"] {
            let client = if statement == "COMMIT" {
                &mut client
            } else {
                &mut lone
            };
            let error = client.err(statement).await;
            assert!(error.fatal, "{statement}: {error}");
            let expected = if engine == EngineKind::Postgres {
                "57P02"
            } else {
                "08S01"
            };
            assert_eq!(error.sqlstate, expected);
        }
        assert_eq!(lone.number("SELECT count(*) FROM t").await, 0);
        assert_eq!(bench.volume.ledger_len().expect("the ledger"), 1);
        assert!(bench.volume.try_lock_for_writing().is_some());
    }
}

#[tokio::test]
async fn a_demoted_writers_sessions_are_read_only_at_once() {
    let (bench, mut client) = with_table(EngineKind::Postgres).await;
    client.ok("INSERT INTO t VALUES (1, 1)").await;
    bench.writer.demote();
    assert_eq!(
        client.err("INSERT INTO t VALUES (2, 2)").await.sqlstate,
        "25006"
    );
    assert_eq!(client.number("SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn a_reader_sees_what_the_writer_committed() {
    for engine in BOTH {
        let (bench, mut writer) = with_table(engine).await;
        let mut reader = bench.reader_session();
        writer.ok("INSERT INTO t VALUES (1, 1)").await;
        assert_eq!(reader.number("SELECT count(*) FROM t").await, 1);
    }
}

#[tokio::test]
async fn time_stands_still_in_a_postgres_transaction() {
    let bench = Bench::new(EngineKind::Postgres);
    let mut client = bench.session();
    client.ok("BEGIN").await;
    let before = client.rows("SELECT now()").await;
    bench.writer.advance(1_000_000);
    assert_eq!(client.rows("SELECT now()").await, before);
    assert_ne!(client.rows("SELECT clock_timestamp()").await, before);
    client.ok("COMMIT").await;
    assert_ne!(client.rows("SELECT now()").await, before);
}

#[tokio::test]
async fn settings_made_in_a_transaction_end_with_it_as_postgres_has_it() {
    let bench = Bench::new(EngineKind::Postgres);
    let mut client = bench.session();
    let shown = |rows: Vec<Vec<Value>>| rows[0][0].clone();
    client
        .ok("BEGIN; SET LOCAL application_name = 'local'; SET search_path = 'a'")
        .await;
    let name = shown(client.rows("SHOW application_name").await);
    assert_eq!(name, Value::Text("local".to_owned()));
    client.ok("ROLLBACK").await;
    let name = shown(client.rows("SHOW application_name").await);
    assert_eq!(name, Value::Text(String::new()));
    let path = shown(client.rows("SHOW search_path").await);
    assert_eq!(path, Value::Text("\"$user\", public".to_owned()));
    client.ok("BEGIN READ ONLY").await;
    let error = client.err("CREATE TABLE t (id int)").await;
    assert_eq!(error.sqlstate, "25006");
}

#[tokio::test]
async fn a_reset_session_is_as_after_login() {
    let (bench, mut client) = with_table(EngineKind::MySql).await;
    client
        .ok("CREATE TEMPORARY TABLE scratch (id INT); SET @x = 1, wait_timeout = 5")
        .await;
    client
        .ok("SET autocommit = 0; INSERT INTO t VALUES (1, 1)")
        .await;
    client.0.reset();
    assert_eq!(client.0.transaction(), TransactionState::Idle);
    assert!(client.0.autocommit());
    assert_eq!(client.err("SELECT * FROM scratch").await.number, 1146);
    assert_eq!(client.number("SELECT count(*) FROM t").await, 0);
    assert_eq!(client.number("SELECT @@wait_timeout").await, 28_800);
    assert_eq!(client.number("SELECT @x IS NULL").await, 1);
    assert!(bench.volume.try_lock_for_writing().is_some());
}

#[tokio::test]
async fn a_transaction_that_began_with_temporary_tables_takes_the_lock_when_it_needs_it() {
    let (bench, mut client) = with_table(EngineKind::MySql).await;
    client.ok("CREATE TEMPORARY TABLE s (id INT)").await;
    client.ok("BEGIN; INSERT INTO s VALUES (1)").await;
    assert!(bench.volume.try_lock_for_writing().is_some());
    let mut other = bench.session();
    other.ok("INSERT INTO t VALUES (1, 1)").await;
    client.ok("INSERT INTO t VALUES (2, 2)").await;
    assert!(bench.volume.try_lock_for_writing().is_none());
    client.ok("COMMIT").await;
    assert_eq!(other.number("SELECT count(*) FROM t").await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_statement_that_may_sleep_takes_no_later_one_with_it() {
    let (_bench, mut client) = with_table(EngineKind::MySql).await;
    client.ok("INSERT INTO t VALUES (1, 1); BEGIN").await;
    client.err("INSERT INTO t SELECT 1, SLEEP(0)").await;
    client.ok("INSERT INTO t VALUES (2, 2)").await;
    let sleeper = client.run("INSERT INTO t SELECT 3, SLEEP(60)");
    let second = Duration::from_secs(1);
    assert!(tokio::time::timeout(second, sleeper).await.is_err());
    client.ok("COMMIT").await;
    assert_eq!(client.number("SELECT max(id) FROM t").await, 2);
}
