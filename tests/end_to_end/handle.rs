//! Opening and closing.

use std::time::{Duration, Instant};

use aurora_driver::sim::{SimCluster, Tls};
use aurora_driver::{Cluster, ErrorKind};

use crate::database::{Database, PATIENCE, eventually, insert, on_both_engines, start, start_with};

on_both_engines!(
    closing_leaves_nothing_open,
    closing_reports_a_connection_that_is_still_held,
    a_connection_that_is_still_held_is_ended_by_closing,
    a_checkout_under_way_is_refused_by_closing,
    no_connection_is_given_that_outlives_the_handle,
    a_limit_of_for_ever_is_a_long_time_and_no_panic,
    a_wrong_password_is_said_at_once,
    a_handle_for_another_engine_is_refused,
    a_server_that_is_not_there_is_named_in_the_error,
    a_cluster_with_tls_is_reached_by_its_names,
    a_database_or_a_setting_that_does_not_exist_is_said_at_once,
    tls_that_cannot_come_about_is_said_at_once,
);

async fn closing_leaves_nothing_open<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    insert(&cluster, 1).await.unwrap();
    drop(cluster.reader().await.unwrap());
    let report = cluster.close(PATIENCE).await;
    assert!(report.is_clean(), "{report:?}");
    eventually("the end of all sessions", || {
        let instances = simulated.instances();
        instances
            .iter()
            .filter_map(|instance| simulated.counters(&instance.id))
            .all(|counters| counters.open_sessions == 0)
    })
    .await;
}

async fn closing_reports_a_connection_that_is_still_held<E: Database>() {
    let (_simulated, cluster) = start::<E>().await;
    let _held = cluster.writer().await.unwrap();
    let report = cluster.close(Duration::from_millis(10)).await;
    assert_eq!(report.connections_in_use, 1);
    let refused = cluster.reader().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

async fn a_connection_that_is_still_held_is_ended_by_closing<E: Database>() {
    let (_simulated, cluster) = start::<E>().await;
    let mut held = cluster.writer().await.unwrap();
    let report = cluster.close(Duration::from_millis(10)).await;
    assert_eq!(report.connections_in_use, 1);
    let refused = E::run(&mut held, "INSERT INTO t (n) VALUES (1)").await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    assert!(error.to_string().contains("closed"), "{error}");
}

async fn a_checkout_under_way_is_refused_by_closing<E: Database>() {
    let (simulated, wide) = start::<E>().await;
    wide.close(PATIENCE).await;
    let url = format!("{}&pool_max=1", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    let _held = cluster.writer().await.unwrap();
    let mut waiting = Box::pin(cluster.writer());
    let early = tokio::time::timeout(Duration::from_millis(20), &mut waiting).await;
    assert!(early.is_err(), "it waits for the only connection");
    let (refused, report) = tokio::join!(waiting, cluster.close(Duration::from_millis(50)));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(report.connections_in_use, 1);
}

async fn no_connection_is_given_that_outlives_the_handle<E: Database>() {
    let (simulated, _cluster) = start::<E>().await;
    for _ in 0..5 {
        let cluster = Cluster::<E>::connect(&simulated.url()).await.unwrap();
        drop(cluster.writer().await.unwrap());
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let cluster = cluster.clone();
                tokio::spawn(async move { cluster.writer().await })
            })
            .collect();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        cluster.close(Duration::from_millis(50)).await;
        for call in calls {
            if let Ok(mut writer) = call.await.unwrap() {
                let insert = E::run(&mut writer, "INSERT INTO t (n) VALUES (1)").await;
                insert.expect_err("the handle is closed");
            }
        }
    }
}

async fn a_limit_of_for_ever_is_a_long_time_and_no_panic<E: Database>() {
    let (_simulated, cluster) = start::<E>().await;
    cluster.ready(Duration::MAX).await.unwrap();
    assert!(cluster.close(Duration::MAX).await.is_clean());
}

fn drop_in_a_transaction_outside_the_runtime<E: Database>() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (simulated, cluster, writer) = runtime.block_on(async {
        let (simulated, cluster) = start::<E>().await;
        let mut writer = cluster.writer().await.unwrap();
        E::run(&mut writer, "BEGIN").await.unwrap();
        E::run(&mut writer, "INSERT INTO t (n) VALUES (1)")
            .await
            .unwrap();
        (simulated, cluster, writer)
    });
    drop(writer);
    runtime.block_on(async {
        let report = cluster.close(PATIENCE).await;
        assert!(
            report.is_clean(),
            "it was cleaned and came back: {report:?}"
        );
        simulated.stop().await;
    });
}

#[test]
fn a_postgres_transaction_may_be_dropped_outside_the_runtime() {
    drop_in_a_transaction_outside_the_runtime::<aurora_driver::Postgres>();
}

#[test]
fn a_mysql_transaction_may_be_dropped_outside_the_runtime() {
    drop_in_a_transaction_outside_the_runtime::<aurora_driver::MySql>();
}

async fn a_wrong_password_is_said_at_once<E: Database>() {
    let simulated = SimCluster::builder(<E as Database>::KIND)
        .start()
        .await
        .unwrap();
    let url = simulated.url().replacen(":app@", ":wrong@", 1);
    let began = Instant::now();
    let error = Cluster::<E>::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(
        !format!("{error} {error:?}").contains("wrong@"),
        "{error:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "it did not wait in vain"
    );
}

async fn a_handle_for_another_engine_is_refused<E: Database>() {
    let simulated = SimCluster::builder(<E as Database>::KIND)
        .start()
        .await
        .unwrap();
    let url = match <E as Database>::KIND {
        aurora_driver::EngineKind::Postgres => simulated.url().replacen("postgres", "mysql", 1),
        aurora_driver::EngineKind::MySql => simulated.url().replacen("mysql", "postgres", 1),
    };
    let error = Cluster::<E>::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

async fn a_server_that_is_not_there_is_named_in_the_error<E: Database>() {
    let scheme = <E as Database>::KIND.name();
    // Port 1 of an address of this machine that nobody uses.
    let url = format!(
        "{scheme}://app:app@127.200.1.1:1/app?instance_pattern=127.200.1.%3F&failover_timeout=200ms"
    );
    let error = Cluster::<E>::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoWriter);
    assert!(error.to_string().contains("127.200.1.1"), "{error}");
}

async fn a_cluster_with_tls_is_reached_by_its_names<E: Database>() {
    let (simulated, cluster) = start_with::<E>(|builder| builder.tls(Tls::Optional)).await;
    insert(&cluster, 1).await.unwrap();
    drop(cluster);

    // Another cluster's authority is not to be trusted, whatever names its certificates carry.
    let stranger = SimCluster::builder(<E as Database>::KIND)
        .tls(Tls::Optional)
        .start()
        .await
        .unwrap();
    let name = |simulated: &SimCluster| {
        let file = simulated.ca_file().expect("TLS is on").file_name();
        file.expect("a file has a name")
            .to_str()
            .unwrap()
            .to_owned()
    };
    let foreign = simulated.url().replace(&name(&simulated), &name(&stranger));
    let url = foreign + "&failover_timeout=500ms";
    let error = Cluster::<E>::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// Far less than the 30 s for which a cluster that may come back is waited for.
async fn refused_at_once<E: Database>(url: &str, word: &str) {
    let began = Instant::now();
    let error = Cluster::<E>::connect(url).await.unwrap_err();
    // PostgreSQL refuses an unencrypted login as any other that its rules do not allow.
    let kinds = [ErrorKind::Config, ErrorKind::Authentication];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(error.to_string().contains(word), "{error}");
    assert!(began.elapsed() < Duration::from_secs(15), "{error}");
}

async fn a_database_or_a_setting_that_does_not_exist_is_said_at_once<E: Database>() {
    let simulated = SimCluster::builder(<E as Database>::KIND)
        .readers(1)
        .start()
        .await
        .unwrap();
    let database = format!("/{}?", simulated.database());
    let elsewhere = simulated.url().replacen(&database, "/nowhere?", 1);
    refused_at_once::<E>(&elsewhere, "nowhere").await;
    let setting = format!("{}&set.nonsense=1", simulated.url());
    refused_at_once::<E>(&setting, "nonsense").await;
}

async fn tls_that_cannot_come_about_is_said_at_once<E: Database>() {
    let start = async |tls| {
        let builder = SimCluster::builder(<E as Database>::KIND).readers(1);
        builder.tls(tls).start().await.unwrap()
    };
    let (plain, secure) = (start(Tls::Off).await, start(Tls::Required).await);
    let stranger = start(Tls::Required).await;
    let trusting = |of: &SimCluster| {
        let file = of.ca_file().unwrap().display().to_string();
        format!("sslmode=verify-full&sslrootcert={file}")
    };
    let none = plain
        .url()
        .replacen("sslmode=disable", &trusting(&secure), 1);
    refused_at_once::<E>(&none, "TLS").await;
    let distrusted = secure
        .url()
        .replacen(&trusting(&secure), &trusting(&stranger), 1);
    assert_ne!(distrusted, secure.url());
    refused_at_once::<E>(&distrusted, "certificate").await;
    let unencrypted = secure
        .url()
        .replacen(&trusting(&secure), "sslmode=disable", 1);
    refused_at_once::<E>(&unencrypted, "").await;
}
