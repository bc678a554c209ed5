//! Advisory locks of PostgreSQL, `GET_LOCK` of MySQL.

use super::*;

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_advisory_lock_is_waited_for_until_its_session_gives_it_back() {
    let bench = Bench::new(EngineKind::Postgres);
    let (mut one, mut two) = (bench.session(), bench.session());
    one.ok("SELECT pg_advisory_lock(7)").await;
    assert_eq!(
        two.rows("SELECT pg_try_advisory_lock(7)").await,
        [[Value::Integer(0)]]
    );
    let error = two
        .err("SET lock_timeout = '2s'; SELECT pg_advisory_lock(7)")
        .await;
    assert_eq!(error.sqlstate, "55P03");
    two.ok("SET lock_timeout = 0").await;
    {
        let mut waiting = std::pin::pin!(two.rows("SELECT 5, pg_advisory_lock(7)"));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the lock is held"),
            () = settle() => {}
        }
        assert_eq!(
            one.rows("SELECT pg_advisory_unlock(7)").await,
            [[Value::Integer(1)]]
        );
        assert_eq!(waiting.await.len(), 1);
    }
    assert_eq!(
        one.rows("SELECT pg_try_advisory_lock(7)").await,
        [[Value::Integer(0)]]
    );
    drop(two);
    assert_eq!(
        one.rows("SELECT pg_try_advisory_lock(7)").await,
        [[Value::Integer(1)]]
    );
    // A reader's locks are its own.
    let mut reader = bench.reader_session();
    assert_eq!(
        reader.rows("SELECT pg_try_advisory_lock(7)").await,
        [[Value::Integer(1)]]
    );
}

#[tokio::test]
async fn a_lock_of_a_transaction_ends_with_it() {
    let bench = Bench::new(EngineKind::Postgres);
    let (mut one, mut two) = (bench.session(), bench.session());
    let held = "SELECT pg_try_advisory_xact_lock(1, 2)";
    for end in ["COMMIT", "ROLLBACK"] {
        one.ok("BEGIN; SELECT pg_advisory_xact_lock(1, 2)").await;
        assert_eq!(two.rows(held).await, [[Value::Integer(0)]]);
        one.ok(end).await;
        assert_eq!(two.rows(held).await, [[Value::Integer(1)]]);
    }
    assert_eq!(
        one.rows(held).await,
        [[Value::Integer(1)]],
        "alone, for a statement"
    );
}

#[tokio::test]
async fn sessions_that_wait_for_each_other_end_in_a_deadlock() {
    for (engine, take, code) in [
        (
            EngineKind::Postgres,
            "SELECT pg_advisory_lock",
            ("40P01", 0),
        ),
        (EngineKind::MySql, "SELECT get_lock", ("HY000", 3058)),
    ] {
        let bench = Bench::new(engine);
        let (mut one, mut two) = (bench.session(), bench.session());
        let lock = |name: u8| match engine {
            EngineKind::Postgres => format!("{take}({name})"),
            EngineKind::MySql => format!("{take}('{name}', -1)"),
        };
        one.ok(&lock(1)).await;
        two.ok(&lock(2)).await;
        let wanted = lock(2);
        let mut waiting = std::pin::pin!(one.rows(&wanted));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the lock is held"),
            () = settle() => {}
        }
        let error = two.err(&lock(1)).await;
        assert_eq!((error.sqlstate, error.number), code);
        drop(two);
        waiting.await;
    }
}

#[tokio::test(start_paused = true)]
async fn get_lock_answers_0_when_its_time_is_up() {
    let bench = Bench::new(EngineKind::MySql);
    let (mut one, mut two) = (bench.session(), bench.session());
    let one_row = |number| [[Value::Integer(number)]];
    assert_eq!(
        one.rows("SELECT GET_LOCK('Migrations', 10)").await,
        one_row(1)
    );
    let started = tokio::time::Instant::now();
    assert_eq!(
        two.rows("SELECT GET_LOCK('migrations', 10)").await,
        one_row(0)
    );
    assert_eq!(started.elapsed().as_secs(), 10);
    assert_eq!(
        two.rows("SELECT IS_FREE_LOCK('migrations')").await,
        one_row(0)
    );
    assert_eq!(
        two.rows("SELECT RELEASE_LOCK('migrations')").await,
        one_row(0)
    );
    assert_eq!(
        two.rows("SELECT RELEASE_LOCK('other')").await,
        [[Value::Null]]
    );
    assert_eq!(
        one.rows("SELECT RELEASE_LOCK('migrations')").await,
        one_row(1)
    );
    assert_eq!(
        two.rows("SELECT GET_LOCK('migrations', 0)").await,
        one_row(1)
    );
    assert_eq!(two.rows("SELECT RELEASE_ALL_LOCKS()").await, one_row(1));
    let error = two.err("SELECT GET_LOCK('', 1)").await;
    assert_eq!(error.number, 3057);
}
