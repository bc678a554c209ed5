//! Statements by their digests.

use aurora_driver::observe::{By, StatementInsight};
use aurora_driver::{Cluster, EngineKind, MySql, Postgres, Role};
use mysql_async::prelude::Queryable;

use crate::start;

/// The statement with this text, at an instance in this role.
fn find<'a>(
    statements: &'a [StatementInsight],
    text: &str,
    role: Role,
) -> Option<&'a StatementInsight> {
    let mut statements = statements.iter();
    statements.find(|row| row.text == text && row.role == Some(role))
}

async fn use_postgres(cluster: &Cluster<Postgres>) {
    let mut writer = cluster.writer().await.unwrap();
    let insert = writer
        .prepare("INSERT INTO t (n, word) VALUES ($1, $2)")
        .await
        .unwrap();
    for n in 0..3_i64 {
        writer.execute(&insert, &[&n, &"secret"]).await.unwrap();
    }
    writer
        .execute(&insert, &[&1_i64, &"twice"])
        .await
        .unwrap_err();
    let transaction = writer.transaction().await.unwrap();
    transaction
        .execute("UPDATE t SET word = 'a' WHERE n IN (0, 1)", &[])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    drop(writer);
    let reader = cluster.reader().await.unwrap();
    for n in 0..2 {
        let query = format!("select word from t where n >= {n}");
        reader.query(&query, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn statements_on_postgres_are_counted_by_digest_instance_and_role() {
    let (simulated, cluster) = start(EngineKind::Postgres, "", |it| it.readers(1)).await;
    use_postgres(&cluster).await;
    let seen = cluster.insights().snapshot().statements;
    let insert = find(&seen, "INSERT INTO t(n, word) VALUES (?)", Role::Writer).unwrap();
    assert_eq!(
        (insert.calls, insert.errors, insert.rows, insert.prepared),
        (4, 1, 3, 1)
    );
    assert_eq!(insert.latency.count(), 4);
    assert_eq!(
        (&*insert.operation, &*insert.summary),
        ("INSERT", "INSERT t")
    );
    assert!(insert.server_time >= insert.latency.quantile(1.0).mul_f64(0.9));
    let writer = cluster.topology().writer().unwrap().id().clone();
    assert_eq!(insert.instance, Some(writer));
    let update = find(&seen, "UPDATE t SET word = ? WHERE n IN (?)", Role::Writer).unwrap();
    assert_eq!((update.calls, update.rows, update.prepared), (1, 2, 1));
    let select = find(&seen, "SELECT word FROM t WHERE n >= ?", Role::Reader).unwrap();
    assert_eq!((select.calls, select.prepared), (2, 2));
    for text in ["START TRANSACTION", "COMMIT"] {
        assert!(
            seen.iter().any(|row| row.text.starts_with(text)),
            "{text}: {seen:?}"
        );
    }
    let json = cluster.insights().snapshot().to_json();
    assert!(!json.contains("secret") && !json.contains("'a'"), "{json}");
    simulated.stop().await;
}

#[tokio::test]
async fn statements_on_mysql_are_counted_by_digest_instance_and_role() {
    let (simulated, cluster) = start::<MySql>(EngineKind::MySql, "", |it| it.readers(1)).await;
    let mut writer = cluster.writer().await.unwrap();
    let insert = writer
        .prep("INSERT INTO t (n, word) VALUES (?, ?)")
        .await
        .unwrap();
    for n in 0..3_i64 {
        writer.exec_drop(&insert, (n, "secret")).await.unwrap();
    }
    writer.exec_drop(&insert, (1, "twice")).await.unwrap_err();
    let update = "UPDATE t SET word = ? WHERE n IN (0, 1)";
    writer.exec_drop(update, ("a",)).await.unwrap();
    writer
        .exec_batch("DELETE FROM t WHERE n = ?", [(7,), (8,)])
        .await
        .unwrap();
    drop(writer);
    let mut reader = cluster.reader().await.unwrap();
    for n in 0..2 {
        let query = format!("select word from t where n >= {n}");
        let words: Vec<String> = reader.query(query).await.unwrap();
        assert!(!words.is_empty());
    }
    let mut found = 0;
    for n in 0..3_i64 {
        // The first is prepared with it.
        let by_key = "SELECT word FROM t WHERE n = ?";
        let word: Option<String> = reader.exec_first(by_key, (n,)).await.unwrap();
        found += u64::from(word.is_some());
    }
    reader
        .query_drop("SELECT absent FROM nowhere")
        .await
        .unwrap_err();
    let seen = cluster.insights().snapshot().statements;
    let insert = find(&seen, "INSERT INTO t(n, word) VALUES (?)", Role::Writer).unwrap();
    assert_eq!(
        (insert.calls, insert.errors, insert.rows, insert.prepared),
        (4, 1, 3, 1)
    );
    let update = find(&seen, "UPDATE t SET word = ? WHERE n IN (?)", Role::Writer).unwrap();
    assert_eq!((update.calls, update.rows), (1, 2));
    let by_key = find(&seen, "SELECT word FROM t WHERE n = ?", Role::Reader).unwrap();
    assert_eq!((by_key.calls, by_key.rows), (3, found));
    let delete = find(&seen, "DELETE FROM t WHERE n = ?", Role::Writer).unwrap();
    assert_eq!(delete.calls, 1, "a batch is one");
    let select = find(&seen, "SELECT word FROM t WHERE n >= ?", Role::Reader).unwrap();
    assert_eq!((select.calls, select.errors), (2, 0));
    assert!(select.rows >= 2);
    let failed = find(&seen, "SELECT absent FROM nowhere", Role::Reader).unwrap();
    assert_eq!((failed.calls, failed.errors), (1, 1));
    assert!(!cluster.insights().snapshot().to_json().contains("secret"));
    drop(reader);
    simulated.stop().await;
}

#[tokio::test]
async fn a_difference_holds_what_came_since_the_baseline_and_a_reset_forgets_all() {
    let (simulated, cluster) = start::<Postgres>(EngineKind::Postgres, "", |it| it).await;
    let insights = cluster.insights();
    let writer = cluster.writer().await.unwrap();
    let prepared = writer.prepare("SELECT word FROM t").await.unwrap();
    writer.query("SELECT 1", &[]).await.unwrap();
    let baseline = insights.snapshot();
    for _ in 0..4 {
        writer.query("SELECT 2", &[]).await.unwrap();
    }
    writer.query("SELECT n FROM t", &[]).await.unwrap();
    let since = insights.snapshot().diff(&baseline);
    assert_eq!(since.since, baseline.taken_at);
    let counted = since.top(10, By::Calls);
    let calls: Vec<_> = counted.iter().map(|row| (&*row.text, row.calls)).collect();
    assert_eq!(calls, [("SELECT ?", 4), ("SELECT n FROM t", 1)]);
    assert_eq!(counted[0].latency.count(), 4);
    assert_eq!(insights.top(1, By::Calls)[0].calls, 5);
    let nothing = insights.snapshot().diff(&insights.snapshot());
    assert_eq!(nothing.statements, []);

    insights.reset();
    assert_eq!(insights.snapshot().statements, []);
    writer.query("SELECT 3", &[]).await.unwrap();
    let after = insights.snapshot();
    assert_eq!(after.statements[0].calls, 1);
    assert_eq!(after.diff(&baseline), after, "the baseline is void");
    writer.query(&prepared, &[]).await.unwrap();
    let rows = insights.snapshot().by_statement();
    let known = rows.iter().find(|row| row.text == "SELECT word FROM t");
    assert_eq!(known.unwrap().calls, 1, "it was prepared before the reset");
    drop(writer);
    simulated.stop().await;
}

#[tokio::test]
async fn kinds_of_statements_beyond_the_limit_are_counted_together() {
    let keys = "insights_max=3";
    let (simulated, cluster) = start::<Postgres>(EngineKind::Postgres, keys, |it| it).await;
    let writer = cluster.writer().await.unwrap();
    for name in 0..10 {
        writer
            .query(&format!("SELECT n AS a{name} FROM t"), &[])
            .await
            .unwrap();
    }
    let rows = cluster.insights().top(100, By::Calls);
    assert_eq!(rows.len(), 4);
    assert_eq!((rows[0].calls, rows[0].digest), (7, 0));
    assert!(
        rows[0].text.contains("other statements"),
        "{}",
        rows[0].text
    );
    drop(writer);
    simulated.stop().await;
}

#[tokio::test]
async fn nothing_is_counted_where_it_is_not_wanted_and_literals_are_kept_where_they_are() {
    let keys = "insights=off&metrics=off";
    let (simulated, cluster) = start::<Postgres>(EngineKind::Postgres, keys, |it| it).await;
    cluster
        .writer()
        .await
        .unwrap()
        .query("SELECT 1", &[])
        .await
        .unwrap();
    assert!(!cluster.insights().is_on());
    assert_eq!(cluster.insights().snapshot().statements, []);
    simulated.stop().await;

    let keys = "keep_literals=on";
    let (simulated, cluster) = start::<Postgres>(EngineKind::Postgres, keys, |it| it).await;
    let query = "SELECT word FROM t WHERE word = 'kept'";
    cluster
        .writer()
        .await
        .unwrap()
        .query(query, &[])
        .await
        .unwrap();
    let rows = cluster.insights().top(9, By::TotalTime);
    let row = rows.iter().find(|row| row.operation == "SELECT").unwrap();
    assert_eq!(row.text, "SELECT word FROM t WHERE word = ?");
    assert_eq!(row.slowest.as_ref().unwrap().text, query);
    simulated.stop().await;
}

#[tokio::test]
async fn a_snapshot_is_json_for_programs() {
    let (simulated, cluster) = start(EngineKind::Postgres, "", |it| it.readers(1)).await;
    use_postgres(&cluster).await;
    let snapshot = cluster.insights().snapshot();
    let json: serde_json::Value = serde_json::from_str(&snapshot.to_json()).unwrap();
    let rows = json["statements"].as_array().unwrap();
    assert_eq!(rows.len(), snapshot.statements.len());
    let insert = rows
        .iter()
        .find(|row| row["operation"] == "INSERT")
        .unwrap();
    assert_eq!(insert["calls"], 4);
    assert_eq!(insert["role"], "writer");
    assert_eq!(insert["digest"].as_str().unwrap().len(), 16);
    assert!(insert["p99_ms"].as_f64().unwrap() > 0.0);
    assert!(insert["slowest"]["took_ms"].as_f64().unwrap() > 0.0);
    let counted: u64 = insert["latency"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| bucket[1].as_u64().unwrap())
        .sum();
    assert_eq!(counted, 4);
    simulated.stop().await;
}
