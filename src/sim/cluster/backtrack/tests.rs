use std::sync::Arc;

use super::*;
use crate::sim::host::Host;
use crate::sim::sql::{Session, SqlError};

fn session(cluster: &SimCluster) -> Session {
    let machines = cluster.shared.machines();
    let running = machines.running(&"demo-instance-1".into()).expect("up");
    let host = Arc::clone(&running.boot) as Arc<dyn Host>;
    Session::open(host, &cluster.shared.volume, "app", "app").expect("a session")
}

async fn run(session: &mut Session, script: &str) -> Result<(), SqlError> {
    for statement in session.parse(script)? {
        session.execute(&statement, &[]).await?;
    }
    Ok(())
}

fn ids(cluster: &SimCluster) -> Vec<i64> {
    let rows = cluster.query("SELECT id FROM t ORDER BY id");
    let rows = rows.expect("the table").into_iter();
    rows.map(|row| row[0].as_i64().expect("a number")).collect()
}

async fn start(window: Option<Duration>) -> SimCluster {
    let mut builder = SimCluster::builder(EngineKind::MySql).readers(1);
    if let Some(window) = window {
        builder = builder.backtrack_window(window);
    }
    builder.start().await.expect("the cluster starts")
}

#[tokio::test(start_paused = true)]
async fn the_cluster_goes_back_and_the_undone_is_on_record() {
    let cluster = start(Some(Duration::from_secs(6))).await;
    let mut writer = session(&cluster);
    run(
        &mut writer,
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY)",
    )
    .await
    .expect("a table");
    let mut moments = Vec::new();
    for _ in 0..5 {
        run(&mut writer, "INSERT INTO t VALUES (NULL)")
            .await
            .expect("a row");
        tokio::time::advance(Duration::from_millis(200)).await;
        moments.push(cluster.now());
    }
    run(&mut writer, "CREATE TABLE later (id INT)")
        .await
        .expect("a table");
    let before = cluster.ledger().expect("a ledger");
    drop(writer);

    cluster.backtrack(moments[2]).await.expect("the way back");
    assert_eq!(ids(&cluster), [1, 2, 3]);
    cluster
        .query("SELECT * FROM later")
        .expect_err("not there yet");
    let ledger = cluster.ledger().expect("a ledger");
    assert_eq!(ledger, before[..4]);
    assert_eq!(cluster.undone(), before[4..]);
    let told = |message: &str| {
        cluster
            .events()
            .iter()
            .any(|it| it.message.contains(message))
    };
    assert!(told("backtracked"));

    cluster.failover_finished().await;
    assert_eq!(
        cluster.writer(),
        Some("demo-instance-1".into()),
        "the roles stay"
    );
    let mut writer = session(&cluster);
    run(&mut writer, "INSERT INTO t VALUES (NULL)")
        .await
        .expect("a row");
    drop(writer);
    assert_eq!(ids(&cluster), [1, 2, 3, 4]);
    cluster.backtrack(moments[0]).await.expect("further back");
    assert_eq!(ids(&cluster), [1]);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_committed_is_gone_and_cannot_be_committed() {
    let cluster = start(Some(Duration::from_secs(6))).await;
    let mut writer = session(&cluster);
    run(&mut writer, "CREATE TABLE t (id INT)")
        .await
        .expect("a table");
    tokio::time::advance(Duration::from_millis(300)).await;
    let moment = cluster.now();
    run(&mut writer, "BEGIN; INSERT INTO t VALUES (1)")
        .await
        .expect("a row");
    let (back, ended) = tokio::join!(cluster.backtrack(moment), async {
        tokio::task::yield_now().await;
        let ended = run(&mut writer, "COMMIT").await;
        drop(writer);
        ended
    });
    back.expect("the way back");
    ended.expect_err("the boot has been fenced off");
    assert!(ids(&cluster).is_empty());
    assert!(cluster.undone().is_empty());
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_backtrack_that_cannot_be_is_refused_with_the_reason() {
    let refused = |result: Result<(), SimError>| result.expect_err("refused").to_string();
    let cluster = start(None).await;
    let message = refused(cluster.backtrack(cluster.now()).await);
    assert!(message.contains("backtrack_window"), "{message}");
    cluster.stop().await;
    let cluster = start(Some(Duration::from_secs(1))).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    for to in [Duration::from_secs(3), Duration::from_secs(60)] {
        let message = refused(cluster.backtrack(to).await);
        assert!(message.contains("backtrack_window"), "{message}");
    }
    cluster.stop().await;
    let builder = SimCluster::builder(EngineKind::Postgres);
    let cluster = builder.clone().start().await.expect("a cluster");
    let message = refused(cluster.backtrack(cluster.now()).await);
    assert!(
        message.contains("Aurora PostgreSQL has no backtrack"),
        "{message}"
    );
    cluster.stop().await;
    let refused = builder
        .backtrack_window(Duration::from_secs(1))
        .start()
        .await;
    let message = refused.expect_err("no such thing").to_string();
    assert!(
        message.contains("Aurora PostgreSQL has no backtrack"),
        "{message}"
    );
}
