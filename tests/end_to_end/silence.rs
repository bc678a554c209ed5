//! Instances that stop answering and close nothing.

use std::time::Duration;

use aurora_driver::sim::SimCluster;
use aurora_driver::{Cluster, ErrorKind, EventKind, Outcome};

use crate::database::{Database, PATIENCE, insert, on_both_engines, start, start_with};

on_both_engines!(
    a_call_on_a_silent_writer_ends_with_an_error_that_says_so,
    a_read_on_a_silent_reader_ends_with_an_error_that_says_so,
    a_checkout_does_not_wait_for_a_silent_writer_to_let_it_in,
    a_long_statement_is_not_taken_for_silence,
    slow_logins_are_not_taken_for_silence,
);

async fn a_call_on_a_silent_writer_ends_with_an_error_that_says_so<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut heard = cluster.events();
    let mut writer = cluster.writer().await.unwrap();
    let silent = writer.instance().clone();
    simulated.silence(&silent).unwrap();
    let call = E::run(&mut writer, "INSERT INTO t (n) VALUES (1)");
    let error = tokio::time::timeout(PATIENCE, call)
        .await
        .expect("the call ends")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(error.to_string().contains("fell silent"), "{error}");
    let lost = async {
        while let Some(event) = heard.next().await {
            match event.kind {
                // The successor's connections end too.
                EventKind::InstanceDown { instance, cause } if instance == silent => return cause,
                _ => {}
            }
        }
        panic!("the handle is open");
    };
    let cause = tokio::time::timeout(PATIENCE, lost).await.unwrap();
    assert!(cause.contains("silent"), "{cause}");
    insert(&cluster, 2).await.unwrap();
    assert_ne!(*cluster.writer().await.unwrap().instance(), silent);
}

async fn a_read_on_a_silent_reader_ends_with_an_error_that_says_so<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut reader = cluster.reader().await.unwrap();
    let silent = reader.instance().clone();
    simulated.silence(&silent).unwrap();
    let call = E::number(&mut reader, "SELECT COUNT(*) FROM t");
    let error = tokio::time::timeout(PATIENCE, call)
        .await
        .expect("the call ends")
        .unwrap_err();
    assert!(error.to_string().contains("fell silent"), "{error}");
    for _ in 0..10 {
        let mut reader = cluster.reader().await.unwrap();
        assert_ne!(*reader.instance(), silent);
        E::number(&mut reader, "SELECT COUNT(*) FROM t")
            .await
            .unwrap();
    }
    insert(&cluster, 1)
        .await
        .expect("the writer is not affected");
}

async fn a_checkout_does_not_wait_for_a_silent_writer_to_let_it_in<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    // All that are open are held, so that the next one must be opened.
    let held = cluster.writer().await.unwrap();
    let silent = held.instance().clone();
    simulated.silence(&silent).unwrap();
    let began = simulated.now();
    let writer = cluster.writer().await.unwrap();
    assert_ne!(*writer.instance(), silent);
    // The connect alone would be given five seconds.
    assert!(simulated.now() - began < Duration::from_secs(4));
}

async fn a_long_statement_is_not_taken_for_silence<E: Database>() {
    let (_simulated, cluster) = start::<E>().await;
    let mut heard = cluster.events();
    let mut writer = cluster.writer().await.unwrap();
    let nap = E::SLEEP.replace("60", "1");
    E::run(&mut writer, &nap).await.unwrap();
    assert!(!writer.is_outdated());
    drop(writer);
    assert_eq!(down_events(&cluster, &mut heard).await, 0);
}

async fn slow_logins_are_not_taken_for_silence<E: Database>() {
    let (_simulated, cluster) =
        start_with::<E>(|builder| builder.readers(1).login_cost(Duration::from_millis(150))).await;
    let mut heard = cluster.events();
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(cluster.writer().await.unwrap());
    }
    assert!(held.iter().all(|connection| !connection.is_outdated()));
    assert_eq!(down_events(&cluster, &mut heard).await, 0);
}

/// How many instances went down until now.
async fn down_events<E: Database>(
    cluster: &Cluster<E>,
    heard: &mut aurora_driver::Events,
) -> usize {
    cluster.close(Duration::ZERO).await;
    let mut down = 0;
    while let Some(event) = heard.next().await {
        down += usize::from(matches!(event.kind, EventKind::InstanceDown { .. }));
    }
    down
}

/// A process that is stopped, starved or at a breakpoint sees all its time limits pass at once.
fn a_pause_of_this_process_condemns_nobody<E: Database>() {
    let servers = tokio::runtime::Runtime::new().unwrap();
    let simulated = servers
        .block_on(
            SimCluster::builder(<E as Database>::KIND)
                .readers(2)
                .start(),
        )
        .unwrap();
    let client = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    client.block_on(async {
        let cluster = Cluster::<E>::connect(&simulated.url()).await.unwrap();
        let mut heard = cluster.events();
        let mut writer = cluster.writer().await.unwrap();
        let mut reader = cluster.reader().await.unwrap();
        let nap = E::SLEEP.replace("60", "1");
        for _ in 0..2 {
            let calls = async {
                let writing = E::run(&mut writer, &nap);
                let reading = E::run(&mut reader, &nap);
                tokio::try_join!(writing, reading).map(drop)
            };
            // On this thread nothing else runs meanwhile: neither I/O nor timers.
            let pause = async { std::thread::sleep(Duration::from_secs(2)) };
            let (called, ()) = tokio::join!(calls, pause);
            called.unwrap();
        }
        assert!(!writer.is_outdated() && !reader.is_outdated());
        drop((writer, reader));
        assert_eq!(down_events(&cluster, &mut heard).await, 0);
    });
    servers.block_on(simulated.stop());
}

#[test]
fn a_pause_of_a_postgres_client_condemns_nobody() {
    a_pause_of_this_process_condemns_nobody::<aurora_driver::Postgres>();
}

#[test]
fn a_pause_of_a_mysql_client_condemns_nobody() {
    a_pause_of_this_process_condemns_nobody::<aurora_driver::MySql>();
}
