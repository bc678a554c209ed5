//! What the next user of a connection finds in its session: nothing of the last one's.

use std::time::Duration;

use aurora_driver::sim::SimCluster;
use aurora_driver::{Cluster, MySql, Postgres};
use mysql_async::prelude::Queryable;

use crate::database::{Database, eventually, insert, on_both_engines, start_with};

on_both_engines!(a_clean_connection_costs_nothing_when_it_comes_back);

/// A handle whose pools hold one connection, with settings of its own.
async fn start_narrow<E: Database>(keys: &str) -> (SimCluster, Cluster<E>) {
    let (simulated, wide) = start_with::<E>(|builder| builder.readers(0)).await;
    let url = format!("{}&pool_max=1{keys}", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    wide.close(Duration::from_secs(5)).await;
    // The first one may be the monitor's, in whose place it opens itself another.
    drop(cluster.writer().await.unwrap());
    (simulated, cluster)
}

fn counters(simulated: &SimCluster) -> aurora_driver::sim::Counters {
    simulated.counters(simulated.writer().unwrap()).unwrap()
}

async fn a_clean_connection_costs_nothing_when_it_comes_back<E: Database>() {
    let (simulated, cluster) = start_narrow::<E>("&probe_interval=60s").await;
    insert(&cluster, 0).await.unwrap();
    eventually("the monitor's own connection", || {
        counters(&simulated).open_sessions == 2
    })
    .await;
    let mut before = counters(&simulated).statements;
    // Its question comes after it.
    let mut quiet = 0;
    eventually("a quiet server", || {
        let now = counters(&simulated).statements;
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
        quiet > 50
    })
    .await;
    for number in 1..=100 {
        insert(&cluster, number).await.unwrap();
    }
    assert_eq!(counters(&simulated).statements - before, 100);
}

async fn postgres_text(cluster: &Cluster<Postgres>, query: &str) -> String {
    let writer = cluster.writer().await.unwrap();
    writer.query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_later_user_of_a_postgres_session_finds_nothing_of_an_earlier_one() {
    let (simulated, cluster) =
        start_narrow::<Postgres>("&set.search_path=public&application_name=shop").await;
    let writer = cluster.writer().await.unwrap();
    let kept = writer.prepare("SELECT $1::int8 + 1").await.unwrap();
    writer
        .batch_execute("SET search_path = other, public")
        .await
        .unwrap();
    writer
        .batch_execute("SET application_name = 'mine'")
        .await
        .unwrap();
    let set = "SELECT set_config('app.tenant', $1, false)";
    writer.query(set, &[&"seven"]).await.unwrap();
    writer
        .batch_execute("CREATE TEMP TABLE mine (n int)")
        .await
        .unwrap();
    writer
        .batch_execute("SELECT pg_advisory_lock(7)")
        .await
        .unwrap();
    writer
        .batch_execute("BEGIN; INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    let logins = counters(&simulated).logins;
    drop(writer);

    assert_eq!(postgres_text(&cluster, "SHOW search_path").await, "public");
    assert_eq!(
        postgres_text(&cluster, "SHOW application_name").await,
        "shop"
    );
    let tenant = "SELECT coalesce(current_setting('app.tenant', true), '')";
    assert_eq!(postgres_text(&cluster, tenant).await, "");
    let writer = cluster.writer().await.unwrap();
    writer.query("SELECT n FROM mine", &[]).await.unwrap_err();
    // Prepared by the library under a name of its own: still there.
    let answer = writer.query_one(&kept, &[&41_i64]).await.unwrap();
    assert_eq!(answer.get::<_, i64>(0), 42);
    let rows = writer
        .query_one("SELECT count(*) FROM t", &[])
        .await
        .unwrap();
    assert_eq!(rows.get::<_, i64>(0), 0, "rolled back");
    drop(writer);
    assert!(
        counters(&simulated).logins <= logins + 1,
        "it is the same session"
    );
    // Another session gets the lock.
    let other = Cluster::<Postgres>::connect(&simulated.url())
        .await
        .unwrap();
    let writer = other.writer().await.unwrap();
    let row = writer
        .query_one("SELECT pg_try_advisory_lock(7)", &[])
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0));
}

#[tokio::test]
async fn a_prepared_statement_that_changes_the_session_counts_for_whoever_runs_it() {
    let (_simulated, cluster) = start_narrow::<Postgres>("").await;
    let set = {
        let writer = cluster.writer().await.unwrap();
        let set = "SELECT set_config('app.tenant', $1, false)";
        writer.prepare(set).await.unwrap()
    };
    let writer = cluster.writer().await.unwrap();
    writer.query(&set, &[&"seven"]).await.unwrap();
    drop(writer);
    let tenant = "SELECT coalesce(current_setting('app.tenant', true), '')";
    assert_eq!(postgres_text(&cluster, tenant).await, "");
}

#[tokio::test]
async fn a_session_that_no_reset_makes_new_is_not_shared_again() {
    let (_simulated, cluster) = start_narrow::<Postgres>("").await;
    let pid = "SELECT pg_backend_pid()::text";
    let writer = cluster.writer().await.unwrap();
    let before: String = writer.query_one(pid, &[]).await.unwrap().get(0);
    writer
        .batch_execute("PREPARE mine AS SELECT 1")
        .await
        .unwrap();
    drop(writer);
    assert_ne!(postgres_text(&cluster, pid).await, before);
}

#[tokio::test]
async fn a_later_user_of_a_mysql_session_finds_nothing_of_an_earlier_one() {
    let (simulated, cluster) = start_narrow::<MySql>("&set.max_execution_time=777").await;
    let mut writer = cluster.writer().await.unwrap();
    writer
        .query_drop("SET SESSION max_execution_time = 5")
        .await
        .unwrap();
    writer.query_drop("SET @tenant = 'seven'").await.unwrap();
    writer
        .query_drop("CREATE TEMPORARY TABLE mine (n INT)")
        .await
        .unwrap();
    let locked: Option<i64> = writer
        .query_first("SELECT GET_LOCK('mine', 1)")
        .await
        .unwrap();
    assert_eq!(locked, Some(1));
    let logins = counters(&simulated).logins;
    drop(writer);

    let mut writer = cluster.writer().await.unwrap();
    let limit: Option<i64> = writer
        .query_first("SELECT @@max_execution_time")
        .await
        .unwrap();
    assert_eq!(limit, Some(777), "as the configuration says");
    let tenant: Option<Option<String>> = writer.query_first("SELECT @tenant").await.unwrap();
    assert_eq!(tenant, Some(None));
    writer.query_drop("SELECT n FROM mine").await.unwrap_err();
    drop(writer);
    assert!(
        counters(&simulated).logins <= logins + 1,
        "it is the same session"
    );
    let other = Cluster::<MySql>::connect(&simulated.url()).await.unwrap();
    let mut writer = other.writer().await.unwrap();
    let locked: Option<i64> = writer
        .query_first("SELECT GET_LOCK('mine', 0)")
        .await
        .unwrap();
    assert_eq!(locked, Some(1));
}

#[tokio::test]
async fn variables_and_locks_of_prepared_mysql_statements_are_taken_away_too() {
    let (_simulated, cluster) = start_narrow::<MySql>("").await;
    let mut writer = cluster.writer().await.unwrap();
    writer
        .exec_drop("SET @tenant = ?", ("seven",))
        .await
        .unwrap();
    drop(writer);
    let mut writer = cluster.writer().await.unwrap();
    let tenant: Option<Option<String>> = writer.query_first("SELECT @tenant").await.unwrap();
    assert_eq!(tenant, Some(None));
    let locked: Option<i64> = writer
        .exec_first("SELECT GET_LOCK(?, 1)", ("mine",))
        .await
        .unwrap();
    assert_eq!(locked, Some(1));
    drop(writer);
    // With one connection in the pool the next checkout waits until it was reset.
    let mut writer = cluster.writer().await.unwrap();
    let free: Option<i64> = writer
        .query_first("SELECT IS_FREE_LOCK('mine')")
        .await
        .unwrap();
    assert_eq!(free, Some(1));
    let before = writer.id();
    writer.query_drop("USE information_schema").await.unwrap();
    drop(writer);
    let writer = cluster.writer().await.unwrap();
    assert_ne!(writer.id(), before, "no reset leads back to the database");
}
