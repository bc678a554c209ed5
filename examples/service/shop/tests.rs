use std::sync::Arc;
use std::time::Instant;

use aurora_driver::sim::{FaultPoint, SimCluster, StatementFault, StatementKind};
use aurora_driver::{EngineKind, MySql, Postgres};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};

use super::*;
use crate::backend::{Backend, configuration};
use crate::testing::Open;

fn order(key: &str, quantity: i64) -> Value {
    json!({ "key": key, "product": 2, "quantity": quantity })
}

async fn stock<E: Store>(open: &Open<E>) -> i64 {
    let rows = open
        .simulated()
        .query("SELECT stock FROM products WHERE id = 2");
    rows.expect("a table")[0][0].as_i64().expect("a number")
}

async fn a_key_is_of_one_order<E: Store>() {
    let open = Open::<E>::start(&["--readers", "0"]).await;
    let before = stock(&open).await;
    let taken = open.post("/orders", &order("k", 3)).await;
    assert_eq!(
        (taken.status, taken.json()["repeated"].clone()),
        (201, json!(false))
    );
    let again = open.post("/orders", &order("k", 3)).await;
    assert_eq!(
        (again.status, again.json()["repeated"].clone()),
        (200, json!(true))
    );
    let other = open.post("/orders", &order("k", 4)).await;
    assert_eq!(other.status, 409, "{}", other.body);
    assert!(other.body.contains("another order"), "{}", other.body);
    assert_eq!(open.get("/orders/k").await.json()["quantity"], 3);
    assert_eq!(stock(&open).await, before - 3);
    open.close().await;
}

#[tokio::test]
async fn a_key_is_of_one_order_over_postgresql() {
    a_key_is_of_one_order::<Postgres>().await;
}

#[tokio::test]
async fn a_key_is_of_one_order_over_mysql() {
    a_key_is_of_one_order::<MySql>().await;
}

async fn an_order_is_found_at_once<E: Store>() {
    let open = Open::<E>::start(&["--readers", "1"]).await;
    let reader = open.simulated().readers().remove(0);
    // Less than what keeps reads away from it.
    let lag = Duration::from_millis(900);
    open.simulated().set_lag(&reader, lag).expect("it can");
    let asked = || {
        open.simulated()
            .counters(&reader)
            .map(|counters| counters.reads)
    };
    let before = asked();
    assert_eq!(open.post("/orders", &order("k", 1)).await.status, 201);
    let found = open.get("/orders/k").await;
    assert_eq!(found.status, 200, "{}", found.body);
    assert!(asked() > before, "no reader was asked");
    assert_eq!(open.get("/orders/nobody's").await.status, 404);
    open.close().await;
}

#[tokio::test]
async fn an_order_is_found_at_once_over_postgresql_though_the_reader_lags() {
    an_order_is_found_at_once::<Postgres>().await;
}

#[tokio::test]
async fn an_order_is_found_at_once_over_mysql_though_the_reader_lags() {
    an_order_is_found_at_once::<MySql>().await;
}

#[tokio::test]
async fn an_order_whose_commit_was_not_answered_is_taken_once() {
    let open = Open::<Postgres>::start(&["--readers", "0"]).await;
    let before = stock(&open).await;
    let lost = StatementFault::reset().at(FaultPoint::Answer);
    let fault = open
        .simulated()
        .fault(lost.kind(StatementKind::Commit).first(1));
    assert_eq!(open.post("/orders", &order("k", 3)).await.status, 201);
    assert_eq!((fault.fired(), stock(&open).await), (1, before - 3));
    open.close().await;
}

#[tokio::test]
async fn a_later_refusal_does_not_make_the_first_attempts_unknown_outcome_certain() {
    let open = Open::<Postgres>::start(&["--readers", "0"]).await;
    let lost = StatementFault::reset().at(FaultPoint::Answer);
    let _lost = open
        .simulated()
        .fault(lost.kind(StatementKind::Commit).first(1));
    let refused = StatementFault::error("42501", 1142, "not any more");
    let _refused = open
        .simulated()
        .fault(refused.containing("insert into orders").nth(2));
    let answer = open.post("/orders", &order("k", 3)).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    let outcome = answer.json()["outcome"].clone();
    assert_eq!(outcome, "unknown: it may have been applied");
    open.close().await;
}

#[test]
fn the_drivers_own_timeout_reaches_the_caller_the_metrics_and_the_totals() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let builder = SimCluster::builder(EngineKind::Postgres).readers(1);
            let simulated = Arc::new(builder.start().await.expect("a cluster"));
            let mut config = configuration(&simulated.url()).expect("a URL");
            // As the default does, only sooner.
            config.timing.checkout_timeout = Duration::from_millis(300);
            let backend = Backend::<Postgres>::over(config, Some(simulated)).await;
            let open = Open::over(backend.expect("a cluster")).await;
            let ids = open.simulated().instances().into_iter();
            for id in ids.map(|instance| instance.id) {
                open.simulated().silence(&id).expect("it is up");
            }
            open.get_until("/readyz", |answer| answer.status == 503)
                .await;
            let began = Instant::now();
            let answer = open.post("/orders", &order("k", 1)).await;
            assert_eq!(answer.status, 503, "{}", answer.body);
            let told = answer.json();
            assert_eq!(told["outcome"], "not applied: it was not sent");
            assert!(
                told["next"]
                    .as_str()
                    .is_some_and(|next| next.contains("again"))
            );
            let read = open.get("/products").await.json();
            assert_eq!(
                (&read["outcome"], &read["next"]),
                (&Value::Null, &json!("ask again"))
            );
            assert!(began.elapsed() < Duration::from_secs(5));
            assert_eq!(open.traffic.totals().errors, 2);
            open.close().await;
        });
    });
    let metrics = handle.render();
    let timeouts = metrics
        .lines()
        .filter(|line| line.starts_with("db_client_connection_timeouts"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    assert!(timeouts.sum::<u64>() >= 2, "{metrics}");
}
