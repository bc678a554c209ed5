//! What a connection may be after use, and what its errors say.

use std::time::Duration;

use aurora_driver::{Cluster, EngineKind, ErrorKind, Events, Outcome};
use futures_util::FutureExt;

use crate::database::{Database, eventually, insert, on_both_engines, start, start_with};

on_both_engines!(
    a_write_on_a_reader_is_refused_with_its_meaning,
    a_write_in_a_read_only_transaction_is_its_users_own_matter,
    a_session_that_is_read_only_for_good_does_not_keep_others_waiting,
    an_ordinary_error_leaves_the_connection_usable,
    a_transaction_left_open_is_rolled_back_before_the_connection_is_shared,
    a_cancelled_call_never_answers_the_next_one,
    a_lost_connection_leaves_a_lone_write_unknown,
    no_more_connections_are_opened_than_the_pool_allows,
    only_callers_beyond_the_pool_count_as_waiting,
    a_minimum_of_connections_is_kept_ready_and_the_rest_idles_out,
    a_connection_that_was_used_as_it_should_is_used_again,
    connections_that_were_swapped_do_not_stay_in_each_others_pools,
);

const INSERT: &str = "INSERT INTO t (n) VALUES (0)";

/// A handle whose pools hold one connection, so that the next checkout must get the same one,
/// or a new one in its place.
async fn start_narrow<E: Database>() -> (aurora_driver::sim::SimCluster, Cluster<E>) {
    let (simulated, wide) = start_with::<E>(|builder| builder.readers(1)).await;
    let url = format!("{}&pool_max=1", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    wide.close(Duration::from_secs(5)).await;
    (simulated, cluster)
}

async fn a_write_on_a_reader_is_refused_with_its_meaning<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut reader = cluster.reader().await.unwrap();
    let error = E::run(&mut reader, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert!(error.to_string().contains("writer()"), "{error}");
    // A reader that refuses a write says nothing about the writer.
    insert(&cluster, 1).await.unwrap();
    assert_eq!(
        cluster
            .topology()
            .writer()
            .map(|writer| writer.id().clone()),
        simulated.writer()
    );
}

async fn a_write_in_a_read_only_transaction_is_its_users_own_matter<E: Database>() {
    const ROUNDS: usize = 20;
    let (simulated, cluster) = start_narrow::<E>().await;
    let mut events = cluster.events();
    let writer = simulated.writer().unwrap();
    let mut connection = cluster.writer().await.unwrap();
    let logins = simulated.counters(&writer).unwrap().logins;
    for _ in 0..ROUNDS {
        let begin = "START TRANSACTION READ ONLY";
        E::run(&mut connection, begin).await.unwrap();
        for _ in 0..2 {
            let refused = E::run(&mut connection, INSERT).await;
            let error = refused.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
            assert!(!error.to_string().contains("writer()"), "{error}");
        }
        E::run(&mut connection, "ROLLBACK").await.unwrap();
        E::run(&mut connection, INSERT).await.unwrap();
    }
    drop(connection);
    // The pool's one connection is fit for the next.
    insert(&cluster, 2).await.unwrap();
    let after = simulated.counters(&writer).unwrap().logins;
    assert!(after <= logins + 1, "{logins} logins became {after}");
    assert_eq!(doubts(&mut events), 0);
}

/// How often the writer has been doubted for that, by the events told so far.
fn doubts(events: &mut Events) -> usize {
    std::iter::from_fn(|| events.next().now_or_never().flatten())
        .filter(|event| event.kind.cause() == Some("it refused a write as read-only"))
        .count()
}

async fn a_session_that_is_read_only_for_good_does_not_keep_others_waiting<E: Database>() {
    const ROUNDS: i64 = 20;
    let (simulated, cluster) = start::<E>().await;
    let mut events = cluster.events();
    let began = std::time::Instant::now();
    let writer = simulated.writer().unwrap();
    let epoch = cluster.topology().epoch();
    let asked = simulated.counters(&writer).unwrap().statements;
    let make_read_only = match <E as Database>::KIND {
        // What stands behind a comment is not looked at.
        EngineKind::Postgres => "BEGIN /* a report */ READ ONLY",
        EngineKind::MySql => "SET SESSION TRANSACTION READ ONLY",
    };
    let offender = async {
        for _ in 0..ROUNDS {
            let mut connection = cluster.writer().await.unwrap();
            E::run(&mut connection, make_read_only).await.unwrap();
            let error = E::run(&mut connection, INSERT).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
            assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
        }
    };
    let others = async {
        for number in 1..=ROUNDS * 3 {
            let mut connection = cluster.writer().await.unwrap();
            let insert = format!("INSERT INTO t (n) VALUES ({number})");
            E::run(&mut connection, &insert).await.unwrap();
        }
    };
    tokio::time::timeout(crate::database::PATIENCE, async {
        tokio::join!(offender, others)
    })
    .await
    .unwrap();
    eventually("the end of the doubt", || {
        let topology = cluster.topology();
        topology.writer().map(|known| known.id().clone()) == Some(writer.clone())
    })
    .await;
    let doubts = doubts(&mut events);
    let seconds = began.elapsed().as_secs() as usize;
    assert!(
        (1..=seconds + 1).contains(&doubts),
        "{doubts} doubts in {seconds} s"
    );
    assert_eq!(cluster.topology().epoch(), epoch);
    assert_eq!(cluster.failovers(), [], "a doubt is no failover");
    // The statements of the two loops, logins' settings, and some questions for each offence.
    let asked = simulated.counters(&writer).unwrap().statements - asked;
    let own = u64::try_from(ROUNDS * 2 + ROUNDS * 3).unwrap();
    let offences = u64::try_from(ROUNDS).unwrap();
    assert!(asked <= own + offences * 10, "{asked} statements");
}

async fn an_ordinary_error_leaves_the_connection_usable<E: Database>() {
    let (simulated, cluster) = start_narrow::<E>().await;
    let id = simulated.writer().unwrap();
    let mut writer = cluster.writer().await.unwrap();
    let error = E::run(&mut writer, "INSERT INTO missing (n) VALUES (1)")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.outcome(), Outcome::Rejected);
    drop(writer);
    let logins = simulated.counters(&id).unwrap().logins;
    for number in 0..5 {
        insert(&cluster, number).await.unwrap();
    }
    let after = simulated.counters(&id).unwrap().logins;
    // The monitor may have opened its own connection meanwhile; the pool needed no new one.
    assert!(after <= logins + 1, "{logins} logins became {after}");
}

async fn a_transaction_left_open_is_rolled_back_before_the_connection_is_shared<E: Database>() {
    let (_simulated, cluster) = start_narrow::<E>().await;
    let mut writer = cluster.writer().await.unwrap();
    E::run(&mut writer, "BEGIN").await.unwrap();
    E::run(&mut writer, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    drop(writer);
    // With one connection in the pool this is the same one, or one in its place.
    let mut next = cluster.writer().await.unwrap();
    let count = E::number(&mut next, "SELECT count(*) FROM t").await;
    assert_eq!(count.unwrap(), 0);
    E::run(&mut next, "INSERT INTO t (n) VALUES (2)")
        .await
        .unwrap();
    let mut reader = cluster.reader().await.unwrap();
    let count = E::number(&mut reader, "SELECT count(*) FROM t").await;
    assert_eq!(count.unwrap(), 1, "the second insert committed by itself");
}

async fn a_cancelled_call_never_answers_the_next_one<E: Database>() {
    let (_simulated, cluster) = start_narrow::<E>().await;
    let mut writer = cluster.writer().await.unwrap();
    let cancelled =
        tokio::time::timeout(Duration::from_millis(20), E::run(&mut writer, E::SLEEP)).await;
    assert!(cancelled.is_err(), "the call was still under way");
    if let Ok(number) = E::number(&mut writer, "SELECT count(*) + 222 FROM t").await {
        assert_eq!(number, 222);
    }
    drop(writer);
    let mut next = cluster.writer().await.unwrap();
    let answer = E::number(&mut next, "SELECT count(*) + 333 FROM t").await;
    assert_eq!(answer.unwrap(), 333);
}

async fn a_lost_connection_leaves_a_lone_write_unknown<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut writer = cluster.writer().await.unwrap();
    let id = writer.instance().clone();
    let call = tokio::spawn(async move {
        let answer = E::run(&mut writer, E::SLEEP).await;
        (answer, writer)
    });
    let busy = simulated.counters(&id).unwrap().statements;
    eventually("the statement on its way", || {
        simulated.counters(&id).unwrap().statements > busy
            || simulated.counters(&id).unwrap().open_sessions > 0
    })
    .await;
    tokio::task::yield_now().await;
    simulated.crash(&id).unwrap();
    let (answer, _writer) = call.await.unwrap();
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    assert_eq!(error.instance(), Some(&id), "{error}");
    assert!(error.is_retryable());
}

async fn no_more_connections_are_opened_than_the_pool_allows<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let id = simulated.writer().unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(cluster.writer().await.unwrap());
    }
    let waiting = tokio::time::timeout(Duration::from_millis(50), cluster.writer()).await;
    assert!(waiting.is_err(), "the eleventh waits");
    // Ten of the pool, and the monitor's one.
    assert!(simulated.counters(&id).unwrap().open_sessions <= 11);
    held.pop();
    cluster.writer().await.expect("a place became free");
}

async fn only_callers_beyond_the_pool_count_as_waiting<E: Database>() {
    let (simulated, _wide) = start::<E>().await;
    for max_waiting in [0, 3] {
        let mut config = aurora_driver::Config::from_url(&simulated.url()).unwrap();
        config.pool.max = 4;
        config.pool.max_waiting = max_waiting;
        let cluster = Cluster::<E>::new(config).unwrap();
        cluster.ready(Duration::from_secs(30)).await.unwrap();
        // None is open yet: opening one is not waiting.
        let calls = (0..4).map(|_| cluster.writer());
        let held = futures_util::future::try_join_all(calls).await.unwrap();
        let mut waiting: Vec<_> = (0..max_waiting)
            .map(|_| Box::pin(cluster.writer()))
            .collect();
        for call in &mut waiting {
            let early = tokio::time::timeout(Duration::from_millis(5), call).await;
            assert!(early.is_err(), "there is room to wait");
        }
        let refused = cluster.writer().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overloaded, "{refused}");
        drop(held);
    }
}

async fn a_minimum_of_connections_is_kept_ready_and_the_rest_idles_out<E: Database>() {
    let (simulated, wide) = start::<E>().await;
    wide.close(Duration::from_secs(5)).await;
    let url = format!("{}&pool_min_idle=2&idle_timeout=1s", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    let open = |id| simulated.counters(id).unwrap().open_sessions;
    let writer = simulated.writer().unwrap();
    let reader = simulated.readers().remove(0);
    eventually("two connections at the writer and at a reader", || {
        open(&writer) >= 2 && open(&reader) >= 2
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(cluster.writer().await.unwrap());
    }
    assert!(open(&writer) >= 6);
    drop(held);
    // The monitor holds one more.
    eventually("the end of the idle ones", || open(&writer) <= 3).await;
}

async fn connections_that_were_swapped_do_not_stay_in_each_others_pools<E: Database>() {
    let (_simulated, cluster) = start_narrow::<E>().await;
    let mut writer = cluster.writer().await.unwrap();
    let mut reader = cluster.reader().await.unwrap();
    std::mem::swap(&mut *writer, &mut *reader);
    drop((writer, reader));
    let mut writer = cluster.writer().await.unwrap();
    let written = E::run(&mut writer, "INSERT INTO t (n) VALUES (1)").await;
    assert!(written.is_ok(), "{written:?}");
}

/// The statements are prepared for one use, and closed behind their user.
async fn a_connection_that_was_used_as_it_should_is_used_again<E: Database>() {
    let (simulated, cluster) = start_narrow::<E>().await;
    drop(cluster.writer().await.unwrap());
    let writer = simulated.writer().unwrap();
    let logins = || simulated.counters(&writer).unwrap().logins;
    let before = logins();
    for number in 0..200 {
        let mut writer = cluster.writer().await.unwrap();
        E::insert_prepared(&mut writer, number).await.unwrap();
    }
    // The first checkout took the monitor's connection, which opens itself another one.
    assert!(logins() <= before + 1, "{} after {before}", logins());
}
