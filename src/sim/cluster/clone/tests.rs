use std::sync::Arc;

use super::*;
use crate::id::EngineKind;
use crate::sim::host::Host;
use crate::sim::sql::Session;

async fn run(cluster: &SimCluster, script: &str) {
    let writer = cluster.writer().expect("a writer");
    let mut session = {
        let machines = cluster.shared.machines();
        let host = Arc::clone(&machines.running(&writer).expect("up").boot) as Arc<dyn Host>;
        Session::open(host, &cluster.shared.volume, "app", "app").expect("a session")
    };
    for statement in session.parse(script).expect("a script") {
        let done = session.execute(&statement, &[]).await;
        done.expect("the statement");
    }
}

fn count(cluster: &SimCluster) -> i64 {
    let rows = cluster.query("SELECT count(*) FROM t").expect("the table");
    rows[0][0].as_i64().expect("a number")
}

#[tokio::test]
async fn a_clone_begins_with_what_is_committed_and_goes_its_own_way() {
    for engine in [EngineKind::MySql, EngineKind::Postgres] {
        let source = SimCluster::builder(engine)
            .start()
            .await
            .expect("a cluster");
        run(&source, "CREATE TABLE t (id int); INSERT INTO t VALUES (1)").await;
        let described = SimCluster::builder(engine).cluster_id("clone").seed(2);
        let clone = source.clone_cluster(described).await.expect("a clone");
        assert_eq!(clone.ledger().expect("one"), source.ledger().expect("one"));
        run(&source, "INSERT INTO t VALUES (2)").await;
        run(&clone, "INSERT INTO t VALUES (3), (4)").await;
        assert_eq!((count(&source), count(&clone)), (2, 3));
        let entries = clone.ledger().expect("a ledger");
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.transaction).collect();
        assert_eq!(numbers, [1, 2, 3], "numbering goes on");
        source.stop().await;
        assert_eq!(count(&clone), 3);
        clone.stop().await;
    }
}

#[tokio::test]
async fn a_clone_has_the_engine_of_its_source() {
    let builder = SimCluster::builder(EngineKind::MySql);
    let source = builder.start().await.expect("a cluster");
    let other = SimCluster::builder(EngineKind::Postgres).cluster_id("clone");
    let refused = source
        .clone_cluster(other)
        .await
        .expect_err("another engine");
    assert!(refused.to_string().contains("name the same engine"));
    source.stop().await;
}
