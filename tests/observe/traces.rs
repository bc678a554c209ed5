//! Spans, the log of slow statements, comments.

use std::time::Duration;

use aurora_driver::observe::tagged;
use aurora_driver::sim::{FaultPoint, StatementFault};
use aurora_driver::{EngineKind, MySql, Postgres};
use mysql_async::prelude::Queryable;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::DefaultGuard;

use crate::listener::{Fields, Listener};
use crate::{PATIENCE, start};

const SPANS: &str = "aurora_driver::statement";
const SLOW: &str = "aurora_driver::slow";

/// Listens on this thread, which runs all tasks of a test.
fn listen(target: &'static str) -> (Listener, DefaultGuard) {
    let listener = Listener::to(target);
    let guard = tracing::subscriber::set_default(listener.clone());
    (listener, guard)
}

#[track_caller]
fn find(spans: &[Fields], summary: &str) -> Fields {
    let is_it = |span: &&Fields| span.get("db.query.summary").is_some_and(|it| it == summary);
    let found = spans.iter().find(is_it);
    found
        .unwrap_or_else(|| panic!("no {summary}: {spans:?}"))
        .clone()
}

#[track_caller]
fn assert_fields(span: &Fields, expected: &[(&str, Option<&str>)]) {
    for (key, value) in expected {
        assert_eq!(
            span.get(*key).map(String::as_str),
            *value,
            "{key} of {span:?}"
        );
    }
}

#[tokio::test]
async fn each_operation_on_postgres_has_a_span_after_opentelemetrys_conventions() {
    let (simulated, cluster) = start::<Postgres>(EngineKind::Postgres, "", |it| it).await;
    let (listener, _guard) = listen(SPANS);
    let writer = cluster.writer().await.unwrap();
    let query = "SELECT word FROM t WHERE n = $1 AND word <> 'secret'";
    writer.query(query, &[&7_i64]).await.unwrap();
    writer
        .execute("INSERT INTO t VALUES (1, 'a'), (1, 'b')", &[])
        .await
        .unwrap_err();
    let spans = listener.spans();
    let instance = writer.instance().to_string();
    assert_fields(
        &find(&spans, "SELECT t"),
        &[
            ("otel.kind", Some("client")),
            ("otel.name", Some("SELECT t")),
            ("otel.status_code", None),
            ("db.system.name", Some("postgresql")),
            ("db.operation.name", Some("SELECT")),
            ("db.query.text", None),
            ("error.type", None),
            ("aurora.instance", Some(&instance)),
            ("aurora.role", Some("writer")),
            ("server.port", Some(&simulated.port().to_string())),
        ],
    );
    assert_fields(
        &find(&spans, "INSERT t"),
        &[
            ("otel.status_code", Some("ERROR")),
            ("error.type", Some("23505")),
            ("db.response.status_code", Some("23505")),
        ],
    );
    assert!(!format!("{spans:?}").contains("secret"));
    drop(writer);
    simulated.stop().await;
}

#[tokio::test]
async fn each_operation_on_mysql_has_a_span_and_its_text_where_that_is_wanted() {
    let keys = "span_text=on";
    let (simulated, cluster) = start::<MySql>(EngineKind::MySql, keys, |it| it).await;
    let (listener, _guard) = listen(SPANS);
    let mut writer = cluster.writer().await.unwrap();
    let query = "SELECT word FROM t WHERE n = ? AND word <> 'secret'";
    writer.exec_drop(query, (7,)).await.unwrap();
    writer
        .query_drop("SELECT 1 FROM nowhere")
        .await
        .unwrap_err();
    let spans = listener.spans();
    assert_fields(
        &find(&spans, "SELECT t"),
        &[
            ("db.system.name", Some("mysql")),
            (
                "db.query.text",
                Some("SELECT word FROM t WHERE n = ? AND word <> ?"),
            ),
            ("otel.status_code", None),
        ],
    );
    assert_fields(
        &find(&spans, "SELECT nowhere"),
        &[
            ("otel.status_code", Some("ERROR")),
            ("error.type", Some("1146")),
        ],
    );
    drop(writer);
    simulated.stop().await;
}

#[tokio::test]
async fn slow_statements_are_logged_without_their_literals_and_not_too_many() {
    let keys = "slow_statement=100ms&slow_per_second=2";
    let (simulated, cluster) = start::<Postgres>(EngineKind::Postgres, keys, |it| it).await;
    let (listener, _guard) = listen(SLOW);
    let writer = cluster.writer().await.unwrap();
    let fault =
        simulated.fault(StatementFault::delay(Duration::from_millis(150)).containing("slow"));
    writer
        .query("SELECT word FROM t WHERE word = 'slow'", &[])
        .await
        .unwrap();
    drop(fault);
    writer
        .query("SELECT word FROM t WHERE word = 'fast'", &[])
        .await
        .unwrap();
    let lines = listener.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_fields(
        &lines[0],
        &[
            ("level", Some("WARN")),
            ("message", Some("slow statement")),
            ("statement", Some("SELECT word FROM t WHERE word = ?")),
            ("role", Some("writer")),
        ],
    );
    let took: f64 = lines[0]["duration_ms"].parse().unwrap();
    assert!(took >= 100.0, "{took}");
    drop(writer);
    simulated.stop().await;
}

#[tokio::test]
async fn statements_carry_a_comment_where_that_is_wanted_and_it_makes_no_digest_of_its_own() {
    let keys = "sqlcommenter=on&application_name=shop";
    let (simulated, cluster) = start::<Postgres>(EngineKind::Postgres, keys, |it| it).await;
    let commented = |tag: &str| {
        let fault = StatementFault::delay(Duration::ZERO).at(FaultPoint::Prepare);
        simulated.fault(fault.containing(tag))
    };
    let by_application = commented("application='shop'");
    let by_tag = commented("traceparent='00-1'");
    let writer = cluster.writer().await.unwrap();
    let prepared = writer.prepare("SELECT n FROM t").await.unwrap();
    writer.query(&prepared, &[]).await.unwrap();
    assert_eq!(
        by_application.fired(),
        0,
        "its text must be the same each time"
    );
    for number in 1..=2 {
        tagged([("traceparent", format!("00-{number}"))], async {
            writer.query("SELECT word FROM t", &[]).await.unwrap();
            writer.batch_execute("DELETE FROM t").await.unwrap();
        })
        .await;
    }
    assert_eq!((by_tag.fired(), by_application.fired()), (1, 2));
    let statements = cluster.insights().snapshot().statements;
    let texts: Vec<_> = statements
        .iter()
        .map(|row| (&*row.text, row.calls))
        .collect();
    assert!(texts.contains(&("SELECT word FROM t", 2)), "{texts:?}");
    drop(writer);
    simulated.stop().await;
}

#[tokio::test]
async fn a_span_is_the_child_of_the_callers() {
    let (simulated, cluster) = start::<Postgres>(EngineKind::Postgres, "", |it| it).await;
    let listener = Listener::to(SPANS);
    let work = async {
        let writer = cluster.writer().await.unwrap();
        writer.query("SELECT n FROM t", &[]).await.unwrap();
    };
    // Only the caller's task has this subscriber: a span that the connection's task made would
    // not be seen.
    work.with_subscriber(listener.clone()).await;
    find(&listener.spans(), "SELECT t");
    simulated.stop().await;
}

#[tokio::test]
async fn an_outage_and_its_cause_are_logged_as_warnings_once() {
    let (listener, _guard) = listen("aurora_driver::event");
    let (simulated, cluster) =
        start::<Postgres>(EngineKind::Postgres, "pool_max=2", |it| it.readers(0)).await;
    let warnings = |event: &str| -> Vec<Fields> {
        let lines = listener.lines().into_iter();
        lines
            .filter(|line| line["level"] == "WARN" && line["event"] == event)
            .collect()
    };
    let writer = simulated.writer().unwrap();
    simulated.refuse(&writer).unwrap();
    simulated.crash_writer().unwrap();
    until("the loss is logged", || !warnings("writer_lost").is_empty()).await;
    let refusal = StatementFault::error("28P01", 1045, "password authentication failed");
    let fault = simulated.fault(refusal.at(FaultPoint::Login));
    simulated.restore(&writer).unwrap();
    until("five logins are refused", || fault.fired() >= 5).await;
    assert_eq!(warnings("writer_lost").len(), 1);
    let refused = warnings("refused");
    // A seed may be asked as well as the instance.
    assert!((1..=2).contains(&refused.len()), "{refused:?}");
    assert!(
        refused[0]["message"].contains("password authentication failed"),
        "{refused:?}"
    );
    drop(fault);
    let writer = tokio::time::timeout(PATIENCE, cluster.writer())
        .await
        .unwrap();
    drop(writer.unwrap());
    simulated.stop().await;
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waits = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect(what);
}
