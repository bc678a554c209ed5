//! Faults of single statements, as plain clients of both engines meet them.

use std::time::{Duration, Instant};

use aurora_driver::EngineKind;
use aurora_driver::sim::{FaultPoint, InstanceState, SimCluster, StatementFault, StatementKind};
use mysql_async::prelude::Queryable;

use super::{mysql, postgres, start, wait, within};

const BOTH: [EngineKind; 2] = [EngineKind::Postgres, EngineKind::MySql];

/// A plain client of either engine.
enum Client {
    Postgres(tokio_postgres::Client),
    MySql(mysql_async::Conn),
}

/// How a statement failed: the code that the server gave it, or none where it gave none.
type Failed = Option<String>;

async fn connect(cluster: &SimCluster) -> Result<Client, Failed> {
    let writer = cluster.writer().expect("a writer");
    match cluster.engine() {
        EngineKind::Postgres => {
            let client = postgres::try_connect(cluster, &writer).await;
            client
                .map(Client::Postgres)
                .map_err(|error| postgres_code(&error))
        }
        EngineKind::MySql => {
            let conn = mysql::try_connect(cluster, &writer).await;
            conn.map(Client::MySql).map_err(|error| mysql_code(&error))
        }
    }
}

fn postgres_code(error: &tokio_postgres::Error) -> Failed {
    error.code().map(|code| code.code().to_owned())
}

fn mysql_code(error: &mysql_async::Error) -> Failed {
    mysql::server_error(error).map(|code| code.to_string())
}

impl Client {
    async fn run(&mut self, sql: &str) -> Result<(), Failed> {
        match self {
            Self::Postgres(client) => {
                let done = client.batch_execute(sql).await;
                done.map_err(|error| postgres_code(&error))
            }
            Self::MySql(conn) => {
                let done = conn.query_drop(sql).await;
                done.map_err(|error| mysql_code(&error))
            }
        }
    }

    async fn prepare(&mut self, sql: &str) -> Result<(), Failed> {
        match self {
            Self::Postgres(client) => {
                let prepared = client.prepare(sql).await;
                prepared.map(drop).map_err(|error| postgres_code(&error))
            }
            Self::MySql(conn) => {
                let prepared = conn.prep(sql).await;
                prepared.map(drop).map_err(|error| mysql_code(&error))
            }
        }
    }
}

async fn with_table(engine: EngineKind) -> SimCluster {
    let cluster = start(engine).await;
    let table = cluster
        .run_sql("CREATE TABLE numbers (number BIGINT PRIMARY KEY)")
        .await;
    table.expect("a table");
    cluster
}

fn rows(cluster: &SimCluster) -> i64 {
    let rows = cluster
        .query("SELECT count(*) FROM numbers")
        .expect("a count");
    rows[0][0].as_i64().expect("a number")
}

#[tokio::test]
async fn a_cut_before_a_statement_leaves_nothing_and_one_after_it_leaves_its_rows() {
    for engine in BOTH {
        let cluster = with_table(engine).await;
        let cuts: [fn() -> StatementFault; 5] = [
            StatementFault::reset,
            StatementFault::close,
            StatementFault::half_close,
            StatementFault::truncate,
            StatementFault::garbage,
        ];
        for (number, cut) in cuts.iter().enumerate() {
            for (point, applied) in [(FaultPoint::Execute, 0), (FaultPoint::Answer, 1)] {
                let before = rows(&cluster);
                let fault = cut().at(point).containing("insert into NUMBERS");
                let guard = cluster.fault(fault.clone());
                let mut client = connect(&cluster).await.expect("a login");
                client.run("SELECT 1").await.expect("it fits no query");
                let insert = format!("INSERT INTO numbers VALUES ({number})");
                let failed = within(client.run(&insert)).await;
                // A client may give garbage a code of its own, never the server.
                assert!(failed.is_err(), "{engine}: {fault:?}");
                assert_eq!(guard.fired(), 1, "{engine}: {fault:?}");
                assert_eq!(rows(&cluster) - before, applied, "{engine}: {fault:?}");
            }
        }
        assert!(cluster.faults().is_empty());
        cluster.stop().await;
    }
}

#[tokio::test]
async fn an_error_has_the_code_that_was_asked_for_and_the_session_goes_on() {
    for (engine, code) in [(EngineKind::Postgres, "40001"), (EngineKind::MySql, "1213")] {
        let cluster = with_table(engine).await;
        let error = || StatementFault::error("40001", 1213, "try again");
        let guard = cluster.fault(error().kind(StatementKind::Commit).first(1));
        let mut client = connect(&cluster).await.expect("a login");
        client.run("BEGIN").await.expect("a transaction");
        client
            .run("INSERT INTO numbers VALUES (1)")
            .await
            .expect("a row");
        let failed = client.run("COMMIT").await;
        assert_eq!(failed, Err(Some(code.to_owned())), "{engine}");
        client.run("ROLLBACK").await.expect("it goes on");
        assert_eq!(rows(&cluster), 0, "{engine}");
        client.run("BEGIN; COMMIT").await.expect("the first alone");
        drop(guard);

        let _guard = cluster.fault(error().at(FaultPoint::Prepare).containing("from numbers"));
        let failed = client.prepare("SELECT number FROM numbers").await;
        assert_eq!(failed, Err(Some(code.to_owned())), "{engine}");
        client.prepare("SELECT 1").await.expect("another text");
        cluster.stop().await;
    }
}

#[tokio::test]
async fn a_login_is_refused_or_cut_off() {
    for (engine, code) in [(EngineKind::Postgres, "53300"), (EngineKind::MySql, "1040")] {
        let cluster = start(engine).await;
        let full = StatementFault::error("53300", 1040, "no room").at(FaultPoint::Login);
        let guard = cluster.fault(full.first(1));
        assert_eq!(connect(&cluster).await.err(), Some(Some(code.to_owned())));
        assert!(connect(&cluster).await.is_ok(), "the first alone");
        drop(guard);
        let _guard = cluster.fault(StatementFault::reset().at(FaultPoint::Login));
        assert_eq!(connect(&cluster).await.err(), Some(None), "{engine}");
        cluster.stop().await;
    }
}

#[tokio::test]
async fn a_delay_is_waited_out_and_a_silence_lasts_until_the_instance_ends() {
    for engine in BOTH {
        let cluster = with_table(engine).await;
        let delay = Duration::from_millis(120);
        let guard = cluster.fault(StatementFault::delay(delay).kind(StatementKind::Read));
        let mut client = connect(&cluster).await.expect("a login");
        let began = Instant::now();
        client
            .run("SELECT number FROM numbers")
            .await
            .expect("late, and right");
        assert!(began.elapsed() >= delay, "{engine}");
        drop(guard);

        let silent = StatementFault::silence()
            .at(FaultPoint::Answer)
            .kind(StatementKind::Write);
        let guard = cluster.fault(silent);
        let insert = client.run("INSERT INTO numbers VALUES (1)");
        let mut insert = std::pin::pin!(insert);
        let quiet = tokio::time::timeout(delay, &mut insert).await;
        assert!(quiet.is_err(), "{engine}: {quiet:?}");
        assert_eq!(rows(&cluster), 1, "{engine}");
        drop(guard);
        cluster.crash_writer().expect("a crash");
        assert!(within(insert).await.is_err(), "{engine}");
        cluster.stop().await;
    }
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_commit_leaves_it_applied_or_not_as_its_point_says() {
    for engine in BOTH {
        for (point, applied) in [(FaultPoint::Execute, 0), (FaultPoint::Answer, 1)] {
            let cluster = with_table(engine).await;
            let fault = StatementFault::crash()
                .at(point)
                .kind(StatementKind::Commit);
            let guard = cluster.fault(fault.at_the_writer());
            let before = cluster.writer();
            let mut client = connect(&cluster).await.expect("a login");
            client.run("BEGIN").await.expect("a transaction");
            client
                .run("INSERT INTO numbers VALUES (1)")
                .await
                .expect("a row");
            assert_eq!(within(client.run("COMMIT")).await, Err(None), "{engine}");
            assert_eq!(guard.fired(), 1);
            within(cluster.failover_finished())
                .await
                .expect("a promotion");
            assert_ne!(cluster.writer(), before, "{engine}");
            assert_eq!(rows(&cluster), applied, "{engine}: {point:?}");
            cluster.stop().await;
        }
    }
}

#[tokio::test]
async fn aurora_s_own_sql_crashes_an_instance_which_comes_back_in_its_role() {
    for (engine, sql) in [
        (
            EngineKind::Postgres,
            "SELECT aurora_inject_crash('instance')",
        ),
        (EngineKind::MySql, "ALTER SYSTEM CRASH INSTANCE"),
    ] {
        let cluster = with_table(engine).await;
        let before = cluster.state();
        let mut client = connect(&cluster).await.expect("a login");
        assert_eq!(within(client.run(sql)).await, Err(None), "{engine}");
        wait(&cluster, |state| {
            let writer = state.instance(before.writer.clone().expect("a writer"));
            !state.failing_over && writer.is_some_and(|it| it.state == InstanceState::Up)
        })
        .await;
        let after = cluster.state();
        assert_eq!(
            (after.writer, after.epoch),
            (before.writer, before.epoch),
            "{engine}"
        );
        connect(&cluster).await.expect("it is back");
        cluster.stop().await;
    }
}

#[tokio::test]
async fn aurora_s_own_sql_blocks_replication_and_delays_the_storage_for_a_time() {
    for (engine, replica, congestion) in [
        (
            EngineKind::Postgres,
            "SELECT aurora_inject_replica_failure(100, 1, '')",
            "SELECT aurora_inject_disk_congestion(100, 1, false, 1, 100, 100)",
        ),
        (
            EngineKind::MySql,
            "ALTER SYSTEM SIMULATE 100 PERCENT READ REPLICA FAILURE TO ALL FOR INTERVAL 1 SECOND",
            "ALTER SYSTEM SIMULATE 100 PERCENT DISK CONGESTION BETWEEN 100 AND 100 MILLISECONDS \
             FOR INTERVAL 1 SECOND",
        ),
    ] {
        let cluster = with_table(engine).await;
        let mut client = connect(&cluster).await.expect("a login");
        client.run(replica).await.expect("it is the writer");
        // A paused reader's lag grows, and falls to nothing when the interval is over.
        let lagging = || {
            cluster
                .instances()
                .iter()
                .filter(|it| !it.lag.is_zero())
                .count()
        };
        eventually(|| lagging() == 2).await;
        eventually(|| lagging() == 0).await;

        client.run(congestion).await.expect("accepted");
        if engine == EngineKind::MySql {
            eventually(|| !cluster.faults().is_empty()).await;
            let began = Instant::now();
            client
                .run("SELECT number FROM numbers")
                .await
                .expect("late, and right");
            assert!(began.elapsed() >= Duration::from_millis(100), "{engine}");
        }
        eventually(|| cluster.faults().is_empty()).await;
        cluster.stop().await;
    }
}

async fn eventually(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
