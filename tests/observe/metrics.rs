//! What is exported, against the table in the documentation.

use std::collections::{BTreeMap, BTreeSet};

use aurora_driver::{EngineKind, Postgres};

use crate::recorder::Kept;
use crate::{PATIENCE, start};

const DOCUMENTED: &str = include_str!("../../docs/metrics.md");

/// Of each metric in the table its kind, its unit and its labels.
pub(crate) fn documented() -> BTreeMap<String, (String, String, BTreeSet<String>)> {
    let quoted = |cell: &str| -> BTreeSet<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let rows = DOCUMENTED.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = quoted(cells[1]).pop_first().expect("a name");
        let kind = (cells[2].to_owned(), cells[3].to_owned());
        (name, (kind.0, kind.1, quoted(cells[4])))
    })
    .collect()
}

/// Runs a workload through a failover on this thread alone, where the recorder is.
fn fail_over(kept: &Kept) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(kept, || {
        runtime.block_on(async {
            let keys = "pool_max=2";
            let (simulated, cluster) =
                start::<Postgres>(EngineKind::Postgres, keys, |it| it.readers(2)).await;
            let writer = cluster.writer().await.unwrap();
            // The first was the monitor's, which is open already.
            drop(cluster.writer().await.unwrap());
            writer
                .execute("INSERT INTO t VALUES (1, 'a')", &[])
                .await
                .unwrap();
            writer
                .execute("INSERT INTO t VALUES (1, 'a')", &[])
                .await
                .unwrap_err();
            drop(writer);
            cluster
                .reader()
                .await
                .unwrap()
                .query("SELECT n FROM t", &[])
                .await
                .unwrap();
            simulated.crash_writer().unwrap();
            simulated.failover_finished().await;
            let writer = cluster.writer().await.unwrap();
            writer
                .execute("INSERT INTO t VALUES (2, 'b')", &[])
                .await
                .unwrap();
            drop(writer);
            let told = async {
                while kept.sum("aurora.failover.phase.duration", &[("phase", "total")]) < 1.0
                    || kept.sum("aurora.instance.up", &[]) < 3.0
                {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(PATIENCE, told)
                .await
                .expect("the failover is told of");
            check_values(kept);
            cluster.close(PATIENCE).await;
            simulated.stop().await;
        });
    });
}

#[test]
fn the_causes_for_which_connections_end_are_told_apart() {
    let kept = Kept::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ended = |cause| kept.sum("aurora.connections.ended", &[("cause", cause)]);
    metrics::with_local_recorder(&kept, || {
        runtime.block_on(async {
            let keys = "max_lifetime=2s";
            let (simulated, cluster) =
                start::<Postgres>(EngineKind::Postgres, keys, |it| it.readers(0)).await;
            let writer = cluster.writer().await.unwrap();
            let given_up = writer.query("SELECT pg_sleep(60)", &[]);
            let soon = std::time::Duration::from_millis(50);
            tokio::time::timeout(soon, given_up).await.unwrap_err();
            assert_eq!(ended("it came back unfit"), 0.0);
            drop(writer);
            assert_eq!(ended("it came back unfit"), 1.0);
            let lives_long = async {
                while ended("it has lived long enough") < 1.0 {
                    drop(cluster.writer().await.unwrap());
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(PATIENCE, lives_long)
                .await
                .expect("what a successor replaces has ended");
            assert_eq!(ended("it came back unfit"), 1.0);
            let writer = cluster.writer().await.unwrap();
            simulated.crash_writer().unwrap();
            simulated.failover_finished().await;
            drop(cluster.writer().await.unwrap());
            drop(writer);
            // Those of an earlier generation were told of when it ended.
            assert_eq!(ended("it came back unfit"), 1.0);
            cluster.close(PATIENCE).await;
            simulated.stop().await;
        });
    });
}

fn check_values(kept: &Kept) {
    let is_writer = ("role", "writer");
    for (name, labels, least) in [
        ("db.client.operation.duration", vec![is_writer], 3.0),
        (
            "db.client.operation.duration",
            vec![("error.type", "23505")],
            1.0,
        ),
        (
            "db.client.operation.duration",
            vec![("role", "reader")],
            1.0,
        ),
        ("db.client.connection.wait_time", vec![is_writer], 2.0),
        ("db.client.connection.use_time", vec![is_writer], 2.0),
        ("db.client.connection.create_time", vec![], 1.0),
        ("db.client.connection.count", vec![], 1.0),
        ("db.client.connection.max", vec![is_writer], 2.0),
        ("aurora.routing.decisions", vec![("intent", "write")], 2.0),
        ("aurora.routing.decisions", vec![("intent", "read")], 1.0),
        ("aurora.failovers", vec![], 1.0),
        (
            "aurora.failover.phase.duration",
            vec![("phase", "election")],
            1.0,
        ),
        ("aurora.connections.ended", vec![], 1.0),
        ("aurora.instance.up", vec![], 3.0),
    ] {
        let value = kept.sum(name, &labels);
        assert!(
            value >= least,
            "{name} {labels:?} is {value}, less than {least}"
        );
    }
    assert_eq!(kept.sum("db.client.connection.timeouts", &[]), 0.0);
    assert!(kept.sum("aurora.topology.age", &[]) < 10.0);
}

#[test]
fn what_is_exported_through_a_failover_is_what_the_table_says() {
    let kept = Kept::default();
    fail_over(&kept);
    let (exported, documented) = (kept.exported(), documented());
    assert!(documented.len() > 15, "the table was not understood");
    assert_eq!(exported, documented);
    let left = kept.sum("db.client.connection.count", &[]);
    assert_eq!(left, 0.0, "a handle that is closed takes its levels back");
}
