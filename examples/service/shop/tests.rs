use std::sync::Arc;
use std::time::Instant;

use aurora_driver::sim::{
    FaultGuard, FaultPoint, SimCluster, StatementFault, StatementKind, Timeline,
};
use aurora_driver::{EngineKind, MySql, Postgres};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};

use super::*;
use crate::backend::{Backend, configuration};
use crate::testing::{Open, PATIENCE};

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
    let questions = questions(&open);
    assert_eq!(open.get("/orders/nobody's").await.status, 404);
    let asked = questions.each_ref().map(FaultGuard::fired);
    assert_eq!(asked, [0, 1], "the writer's word is enough");
    drop(questions);
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

/// A service whose one reader hears nothing new from the writer, and is asked all the same.
async fn with_a_reader_that_hears_nothing<E: Store>() -> Open<E> {
    let mut timeline = Timeline::fast();
    // It neither restarts nor is it left alone before the test is over.
    timeline.lag_limit = PATIENCE * 10;
    let simulated = SimCluster::builder(E::KIND).readers(1).timeline(timeline);
    let simulated = Arc::new(simulated.start().await.expect("a cluster"));
    let mut config = configuration(&simulated.url()).expect("a URL");
    config.max_reader_lag = Some(PATIENCE * 10);
    let backend = Backend::<E>::over(config, Some(simulated)).await;
    let open = Open::over(backend.expect("a cluster")).await;
    let reader = open.simulated().readers().remove(0);
    let is_asked = || {
        let counters = open.simulated().counters(&reader);
        counters.is_some_and(|counters| counters.reads > 0)
    };
    open.get_until("/products", |answer| answer.status == 200 && is_asked())
        .await;
    let paused = open.simulated().pause_replication(&reader);
    paused.expect("it can");
    open
}

/// Counts the questions for an order, at the readers and at the writer.
fn questions<E: Store>(open: &Open<E>) -> [FaultGuard; 2] {
    let asked = || StatementFault::delay(Duration::ZERO).containing("from orders where request");
    [asked().at_readers(), asked().at_the_writer()].map(|fault| open.simulated().fault(fault))
}

async fn an_order_is_found_at_once<E: Store>() {
    let open = with_a_reader_that_hears_nothing::<E>().await;
    assert_eq!(open.post("/orders", &order("k", 1)).await.status, 201);
    let questions = questions(&open);
    let asked = || questions.each_ref().map(FaultGuard::fired);
    let found = open.get("/orders/k").await;
    assert_eq!(found.status, 200, "{}", found.body);
    assert_eq!(asked(), [1, 1], "first the reader, and then the writer");
    assert_eq!(open.get("/orders/nobody's").await.status, 404);
    assert_eq!(asked(), [2, 2]);
    drop(questions);
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

async fn the_writer_is_asked_again_when_its_connection_breaks<E: Store>() {
    let open = with_a_reader_that_hears_nothing::<E>().await;
    assert_eq!(open.post("/orders", &order("k", 1)).await.status, 201);
    let add = "INSERT INTO products VALUES (77, 'Sieve', 650, 10)";
    open.simulated().run_sql(add).await.expect("a table");
    for (path, question) in [
        ("/orders/k", "from orders where request"),
        ("/products/77", "from products where id"),
    ] {
        let lost = StatementFault::reset().at(FaultPoint::Answer).first(2);
        let lost = lost.at_the_writer().containing(question);
        let fault = open.simulated().fault(lost);
        let found = open.get(path).await;
        assert_eq!((found.status, fault.fired()), (200, 2), "{}", found.body);
    }
    open.close().await;
}

#[tokio::test]
async fn a_read_at_the_writer_is_asked_again_over_postgresql_when_its_connection_breaks() {
    the_writer_is_asked_again_when_its_connection_breaks::<Postgres>().await;
}

#[tokio::test]
async fn a_read_at_the_writer_is_asked_again_over_mysql_when_its_connection_breaks() {
    the_writer_is_asked_again_when_its_connection_breaks::<MySql>().await;
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

async fn an_order_of_yesterday_is_a_repeated_one<E: Store>() {
    let open = Open::<E>::start(&["--readers", "0"]).await;
    let before = stock(&open).await;
    let lose = |count| {
        let lost = StatementFault::reset().at(FaultPoint::Answer).first(count);
        open.simulated().fault(lost.kind(StatementKind::Commit))
    };
    // The second attempt is in doubt as well, but has found what the first one has left.
    let fault = lose(2);
    let taken = open.post("/orders", &order("k", 3)).await;
    assert_eq!((taken.status, fault.fired()), (201, 2), "{}", taken.body);
    drop(fault);
    // This one has changed nothing, whatever became of its COMMIT.
    let fault = lose(1);
    let again = open.post("/orders", &order("k", 3)).await;
    assert_eq!((again.status, fault.fired()), (200, 1), "{}", again.body);
    assert_eq!(again.json()["repeated"], true);
    assert_eq!(stock(&open).await, before - 3);
    drop(fault);
    open.close().await;
}

#[tokio::test]
async fn an_order_of_yesterday_is_a_repeated_one_over_postgresql_though_its_commit_is_lost() {
    an_order_of_yesterday_is_a_repeated_one::<Postgres>().await;
}

#[tokio::test]
async fn an_order_of_yesterday_is_a_repeated_one_over_mysql_though_its_commit_is_lost() {
    an_order_of_yesterday_is_a_repeated_one::<MySql>().await;
}

/// Polls until the fault has struck.
async fn struck(fault: &FaultGuard) {
    let began = Instant::now();
    while fault.fired() == 0 {
        assert!(began.elapsed() < PATIENCE, "nothing has met the fault");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn a_write_that_is_given_up<E: Store>() {
    let open = Open::<E>::start(&["--readers", "0"]).await;
    let before = stock(&open).await;
    let wish = Wish {
        key: "k".into(),
        product: 2,
        quantity: 3,
    };
    let block = StatementFault::block;
    for (fault, outcome) in [
        (block().containing("insert into orders"), Outcome::NotSent),
        (block().containing("update products"), Outcome::NotSent),
        (block().kind(StatementKind::Commit), Outcome::Unknown),
    ] {
        let (mark, fault) = (Mark::default(), open.simulated().fault(fault));
        tokio::select! {
            taken = open.backend.shop.take_order(wish.clone(), &mark) => panic!("{taken:?}"),
            () = struck(&fault) => assert_eq!(mark.outcome(), outcome),
        }
        drop(fault);
        if outcome == Outcome::NotSent {
            assert_eq!(open.get("/orders/k").await.status, 404);
            assert_eq!(stock(&open).await, before);
        }
    }
    let mark = Mark::default();
    let pay = StatementFault::block().containing("update orders");
    let pay = open.simulated().fault(pay);
    let taken = open.backend.shop.take_order(wish, &Mark::default()).await;
    taken.expect("it is taken");
    tokio::select! {
        paid = open.backend.shop.pay("k".into(), &mark) => panic!("{paid:?}"),
        () = struck(&pay) => {}
    }
    // PostgreSQL's commits by itself.
    let is_alone = E::KIND == EngineKind::Postgres;
    assert_eq!(mark.outcome() == Outcome::Unknown, is_alone);
    drop(pay);
    open.close().await;
}

#[tokio::test]
async fn a_write_given_up_before_its_commit_is_certainly_not_applied_over_postgresql() {
    a_write_that_is_given_up::<Postgres>().await;
}

#[tokio::test]
async fn a_write_given_up_before_its_commit_is_certainly_not_applied_over_mysql() {
    a_write_that_is_given_up::<MySql>().await;
}

#[tokio::test]
async fn an_order_that_took_too_long_says_whether_anything_of_it_can_have_stayed() {
    let open = Open::<Postgres>::start(&["--readers", "0"]).await;
    let block = StatementFault::block;
    let check = block().containing("from products where id").first(1);
    let check = open.simulated().fault(check);
    let commit = open.simulated().fault(block().kind(StatementKind::Commit));
    let checked = order("checked", 1);
    let committed = async {
        struck(&check).await;
        open.post("/orders", &order("committed", 1)).await
    };
    let (checked, committed) = tokio::join!(open.post("/orders", &checked), committed);
    for (answer, outcome) in [
        (checked, "not applied: it was not sent"),
        (committed, "unknown: it may have been applied"),
    ] {
        assert_eq!(answer.status, 504, "{}", answer.body);
        assert_eq!(answer.json()["outcome"], outcome);
    }
    assert_eq!(commit.fired(), 1);
    drop((check, commit));
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
            assert_eq!(read["outcome"], Value::Null);
            let next = read["next"].as_str().unwrap_or_default();
            assert!(next.starts_with("ask again; GET /readyz"), "{next}");
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
