//! Aurora's fault-injection SQL, as far as a session decides it.

use std::time::Duration;

use super::*;
use crate::sim::host::{Order, StorageTrouble};

#[tokio::test]
async fn injections_are_handed_to_the_cluster_as_they_were_written() {
    let seconds = Duration::from_secs;
    let blocked = |percent, replica: Option<&str>, interval| Order::BlockReplication {
        percent,
        replica: replica.map(str::to_owned),
        interval: seconds(interval),
    };
    let trouble = |probability, trouble, interval| Order::TroubleStorage {
        probability,
        trouble,
        interval: seconds(interval),
    };
    let delay = StorageTrouble::Delay(Duration::from_millis(20), Duration::from_millis(40));
    for (engine, sql, order) in [
        (
            EngineKind::MySql,
            "ALTER SYSTEM SIMULATE 25 PERCENT READ REPLICA FAILURE TO \"instance-2\" FOR INTERVAL 2 MINUTE",
            blocked(25.0, Some("instance-2"), 120),
        ),
        (
            EngineKind::MySql,
            "alter system simulate 100 percent read replica failure to all for interval 1 day",
            blocked(100.0, None, 86_400),
        ),
        (
            EngineKind::MySql,
            "ALTER SYSTEM SIMULATE 50 PERCENT DISK FAILURE FOR INTERVAL 5 SECOND",
            trouble(0.5, StorageTrouble::Block, 5),
        ),
        (
            EngineKind::MySql,
            "ALTER SYSTEM SIMULATE 100 PERCENT DISK CONGESTION BETWEEN 20 AND 40 MILLISECONDS IN NODE 4 FOR INTERVAL 1 HOUR",
            trouble(0.05, delay, 3600),
        ),
        (
            EngineKind::Postgres,
            "SELECT aurora_inject_replica_failure(25, 60, 'instance-2')",
            blocked(25.0, Some("instance-2"), 60),
        ),
        (
            EngineKind::Postgres,
            "SELECT aurora_inject_replica_failure(100, 5, '')",
            blocked(100.0, None, 5),
        ),
        (
            EngineKind::Postgres,
            "SELECT aurora_inject_disk_failure(100, 3, false, 9)",
            trouble(0.05, StorageTrouble::Block, 9),
        ),
        (
            EngineKind::Postgres,
            "SELECT aurora_inject_disk_congestion(100, 3, false, 9, 20, 40)",
            trouble(0.05, delay, 9),
        ),
    ] {
        let bench = Bench::new(engine);
        bench.session().ok(sql).await;
        assert_eq!(bench.writer.orders(), [order], "{sql}");
    }
}

#[tokio::test]
async fn an_injection_that_cannot_be_is_refused_with_the_reason() {
    for (engine, sql, words) in [
        (
            EngineKind::MySql,
            "ALTER SYSTEM SIMULATE 101 PERCENT DISK FAILURE FOR INTERVAL 1 SECOND",
            "percentage",
        ),
        (
            EngineKind::MySql,
            "ALTER SYSTEM SIMULATE 10 PERCENT DISK FAILURE IN DISK 60 FOR INTERVAL 1 SECOND",
            "highest index is 59",
        ),
        (
            EngineKind::MySql,
            "ALTER SYSTEM SIMULATE 10 PERCENT READ REPLICA FAILURE TO 'nobody' FOR INTERVAL 1 SECOND",
            "no replica",
        ),
        (EngineKind::MySql, "ALTER SYSTEM EXPLODE", "SQL syntax"),
        (
            EngineKind::Postgres,
            "SELECT aurora_inject_crash('everything')",
            "use instance, dispatcher or node",
        ),
        (
            EngineKind::Postgres,
            "SELECT aurora_inject_disk_failure(10, 20, false, 1)",
            "highest index is 19",
        ),
        (
            EngineKind::Postgres,
            "SELECT aurora_inject_disk_congestion(10, 1, true, 1, 40, 20)",
            "at most its maximum",
        ),
    ] {
        let bench = Bench::new(engine);
        let error = bench.session().err(sql).await;
        assert!(error.message.contains(words), "{sql}: {error}");
        assert!(bench.writer.orders().is_empty(), "{sql}");
        if words == "no replica" {
            let mut reader = bench.reader_session();
            let on_a_reader = reader.err(&sql.replace("'nobody'", "ALL")).await;
            assert!(
                on_a_reader.message.contains("on the writer"),
                "{on_a_reader}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_crashes_its_instance_never_answers() {
    for (engine, crashes) in [
        (
            EngineKind::MySql,
            ["ALTER SYSTEM CRASH", "ALTER SYSTEM CRASH NODE"],
        ),
        (
            EngineKind::Postgres,
            [
                "SELECT aurora_inject_crash('instance')",
                "SELECT aurora_inject_crash('NODE')",
            ],
        ),
    ] {
        for sql in crashes {
            let bench = Bench::new(engine);
            let mut session = bench.session();
            let long = Duration::from_secs(3600);
            assert!(
                tokio::time::timeout(long, session.run(sql)).await.is_err(),
                "{sql}"
            );
            assert_eq!(bench.writer.orders(), [Order::CrashInPlace], "{sql}");
        }
        let bench = Bench::new(engine);
        let sql = match engine {
            EngineKind::MySql => "ALTER SYSTEM CRASH DISPATCHER",
            EngineKind::Postgres => "SELECT aurora_inject_crash('dispatcher')",
        };
        let error = bench.reader_session().err(sql).await;
        assert!(error.message.contains("only the writer"), "{error}");
    }
}

#[tokio::test]
async fn the_volume_tells_its_disks_and_nodes() {
    let bench = Bench::new(EngineKind::MySql);
    let rows = bench.session().rows("SHOW VOLUME STATUS").await;
    assert_eq!(rows[0][0], Value::Text("Disks".into()));
    let bench = Bench::new(EngineKind::Postgres);
    let sql = "SELECT disks > 0, nodes > 0 FROM aurora_show_volume_status()";
    assert_eq!(
        bench.session().rows(sql).await,
        [[Value::Integer(1), Value::Integer(1)]]
    );
}
