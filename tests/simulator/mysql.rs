//! MySQL, through mysql_async.

use std::net::Ipv4Addr;

use aurora_driver::sim::{InstanceState, SimCluster, Tls};
use aurora_driver::{EngineKind, InstanceId};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, SslOpts};
use tokio::sync::Notify;

use super::{applied, builder, place, resolve, start, wait, within};

fn options(cluster: &SimCluster, (name, address): (String, Ipv4Addr)) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(name)
        .resolved_ips(Some(vec![address.into()]))
        .tcp_port(cluster.port())
        .user(Some(cluster.user()))
        .pass(Some(cluster.password()))
        .db_name(Some(cluster.database()))
        .prefer_socket(false)
}

pub(super) async fn try_connect(cluster: &SimCluster, id: &InstanceId) -> Result<Conn, Error> {
    within(Conn::new(options(cluster, place(cluster, id)))).await
}

async fn connect(cluster: &SimCluster, id: &InstanceId) -> Conn {
    try_connect(cluster, id).await.expect("a login")
}

async fn connect_writer(cluster: &SimCluster) -> Conn {
    let writer = cluster.writer().expect("a writer");
    connect(cluster, &writer).await
}

async fn create_numbers(conn: &mut Conn) {
    conn.query_drop("CREATE TABLE numbers (number BIGINT PRIMARY KEY)")
        .await
        .expect("a table");
}

pub(super) fn server_error(error: &Error) -> Option<u16> {
    match error {
        Error::Server(error) => Some(error.code),
        _ => None,
    }
}

#[tokio::test]
async fn the_writer_takes_writes_and_the_readers_see_them_but_refuse_theirs() {
    let cluster = start(EngineKind::MySql).await;
    let mut writer = connect_writer(&cluster).await;
    create_numbers(&mut writer).await;
    let insert = "INSERT INTO numbers VALUES (?)";
    writer.exec_drop(insert, (7,)).await.expect("a row");
    assert_eq!(writer.affected_rows(), 1);

    for id in cluster.readers() {
        let mut reader = connect(&cluster, &id).await;
        let row: Option<(i64, i64)> = reader
            .query_first("SELECT number, @@innodb_read_only FROM numbers")
            .await
            .expect("the row");
        assert_eq!(row, Some((7, 1)));
        let refused = reader
            .exec_drop(insert, (8,))
            .await
            .expect_err("a reader takes no writes");
        assert_eq!(server_error(&refused), Some(1290), "{refused}");
        reader.ping().await.expect("it goes on");
    }
    assert_eq!(applied(&cluster, 7), 1);
    assert_eq!(applied(&cluster, 8), 0);
    cluster.stop().await;
}

#[tokio::test]
async fn the_topology_can_be_filtered_and_projected() {
    let cluster = start(EngineKind::MySql).await;
    let id = cluster.readers()[0].clone();
    let mut conn = connect(&cluster, &id).await;
    // What the AWS drivers ask.
    let mut found: Vec<(String, bool)> = conn
        .query_map(
            "SELECT SERVER_ID, CASE WHEN SESSION_ID = 'MASTER_SESSION_ID' THEN TRUE ELSE FALSE \
             END, CPU, REPLICA_LAG_IN_MILLISECONDS, LAST_UPDATE_TIMESTAMP FROM \
             information_schema.replica_host_status WHERE time_to_sec(timediff(now(), \
             LAST_UPDATE_TIMESTAMP)) <= 300 OR SESSION_ID = 'MASTER_SESSION_ID'",
            |(id, writer, _cpu, _lag, _at): (String, bool, f64, f64, mysql_async::Value)| {
                (id, writer)
            },
        )
        .await
        .expect("the topology");
    found.sort();
    let expected = [(1, true), (2, false), (3, false)]
        .map(|(number, writer)| (format!("demo-instance-{number}"), writer));
    assert_eq!(found, expected);

    let writer: Option<String> = conn
        .query_first(
            "select server_id from information_schema.replica_host_status where session_id = \
             'MASTER_SESSION_ID' and last_update_timestamp > now() - INTERVAL 3 MINUTE ORDER BY \
             last_update_timestamp DESC LIMIT 1",
        )
        .await
        .expect("one writer");
    assert_eq!(writer.as_deref(), Some("demo-instance-1"));
    let own: Option<String> = conn
        .query_first("SELECT @@aurora_server_id")
        .await
        .expect("a name");
    assert_eq!(own.as_deref(), Some(id.as_str()));
    let counters = cluster.counters(&id).expect("counters");
    assert_eq!(counters.topology_queries, 2);
    cluster.stop().await;
}

#[tokio::test]
async fn a_crash_loses_no_acknowledged_commit() {
    let cluster = start(EngineKind::MySql).await;
    let old = cluster.writer().expect("a writer");
    let mut conn = connect_writer(&cluster).await;
    create_numbers(&mut conn).await;

    let half_way = Notify::new();
    let writes = async {
        for number in 0.. {
            if number == 50 {
                half_way.notify_one();
            }
            let insert = "INSERT INTO numbers VALUES (?)";
            if let Err(error) = within(conn.exec_drop(insert, (number,))).await {
                return (number, error);
            }
        }
        unreachable!("the numbers do not end");
    };
    let fault = async {
        half_way.notified().await;
        cluster.crash(&old).expect("accepted");
    };
    let ((acknowledged, error), ()): ((i64, Error), ()) = tokio::join!(writes, fault);
    assert!(acknowledged >= 50);
    assert!(
        matches!(error, Error::Io(_) | Error::Driver(_)),
        "{error:?}"
    );

    let promotion = within(cluster.failover_finished())
        .await
        .expect("a promotion");
    let mut conn = connect(&cluster, &promotion.instance).await;
    for number in 0..acknowledged {
        assert_eq!(applied(&cluster, number), 1);
    }
    assert!(applied(&cluster, acknowledged) <= 1, "its answer was lost");
    let count: Option<i64> = conn
        .query_first("SELECT count(*) FROM numbers")
        .await
        .expect("a count");
    assert!(count >= Some(acknowledged));
    conn.query_drop("INSERT INTO numbers VALUES (1000)")
        .await
        .expect("the new writer takes writes");
    let last = cluster.ledger().expect("a ledger").pop().expect("an entry");
    assert_eq!((last.instance, last.epoch), (promotion.instance, 1));

    wait(&cluster, |state| state.readers().count() == 2).await;
    let mut demoted = connect(&cluster, &old).await;
    let refused = demoted
        .query_drop("INSERT INTO numbers VALUES (1001)")
        .await
        .expect_err("it is a reader now");
    assert_eq!(server_error(&refused), Some(1290), "{refused}");
    cluster.stop().await;
}

#[tokio::test]
async fn a_planned_failover_ends_the_writers_sessions_and_refuses_until_it_is_over() {
    let cluster = start(EngineKind::MySql).await;
    let mut conn = connect_writer(&cluster).await;
    let target = cluster.readers()[1].clone();
    let mut survivor = connect(&cluster, &cluster.readers()[0]).await;
    cluster.failover(Some(&target)).expect("accepted");
    while within(conn.ping()).await.is_ok() {}
    loop {
        match try_connect(&cluster, &target).await {
            Ok(_) if cluster.writer().as_ref() == Some(&target) => break,
            Ok(_) => {}
            Err(error) => assert!(server_error(&error).is_none(), "{error}"),
        }
    }
    survivor.ping().await.expect("the other reader survives");
    cluster.stop().await;
}

#[tokio::test]
async fn the_names_lead_to_the_roles() {
    let cluster = start(EngineKind::MySql).await;
    for (name, read_only) in [
        (cluster.cluster_endpoint(), 0),
        (cluster.reader_endpoint(), 1),
    ] {
        let address = resolve(&cluster, &name).await;
        let mut conn = within(Conn::new(options(&cluster, (name, address))))
            .await
            .expect("a login");
        let found: Option<i64> = conn
            .query_first("SELECT @@innodb_read_only")
            .await
            .expect("a role");
        assert_eq!(found, Some(read_only));
    }
    cluster.stop().await;
}

#[tokio::test]
async fn logins_with_the_wrong_password_are_refused_and_counted() {
    let cluster = start(EngineKind::MySql).await;
    let writer = cluster.writer().expect("a writer");
    let wrong = options(&cluster, place(&cluster, &writer)).pass(Some("wrong"));
    let refused = within(Conn::new(wrong)).await.expect_err("refused");
    assert_eq!(server_error(&refused), Some(1045), "{refused}");
    let counters = cluster.counters(&writer).expect("counters");
    assert_eq!((counters.logins, counters.logins_refused), (0, 1));
    cluster.stop().await;
}

/// A client's TLS that trusts nobody but the cluster's own authority.
fn verify_full(cluster: &SimCluster) -> SslOpts {
    // mysql_async takes the provider that the process has installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = cluster.ca_pem().expect("a certificate").as_bytes().to_vec();
    SslOpts::default()
        .with_root_certs(vec![pem.into()])
        .with_disable_built_in_roots(true)
}

#[tokio::test]
async fn the_certificate_carries_the_names_of_the_cluster_and_of_later_readers() {
    let builder = builder(EngineKind::MySql).tls(Tls::Optional);
    let cluster = builder.start().await.expect("the cluster starts");
    let tls = verify_full(&cluster);
    let writer = cluster.writer().expect("a writer");
    let (own_name, address) = place(&cluster, &writer);
    let added = cluster.add_reader().expect("a reader");
    wait(&cluster, |state| {
        let added = state.instance(&added);
        added.is_some_and(|instance| instance.state == InstanceState::Up)
    })
    .await;
    let (added_name, added_address) = place(&cluster, &added);
    for (name, address, accepted) in [
        (own_name, address, true),
        (cluster.cluster_endpoint(), address, true),
        (added_name, added_address, true),
        (added_address.to_string(), added_address, true),
        ("other.example.org".to_owned(), address, false),
    ] {
        let options = options(&cluster, (name.clone(), address)).ssl_opts(Some(tls.clone()));
        let login = within(Conn::new(options)).await;
        assert_eq!(login.is_ok(), accepted, "{name}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn where_tls_is_required_nobody_is_let_in_without_it() {
    let builder = builder(EngineKind::MySql).tls(Tls::Required);
    let cluster = builder.start().await.expect("the cluster starts");
    let writer = cluster.writer().expect("a writer");
    let refused = try_connect(&cluster, &writer).await.expect_err("refused");
    assert_eq!(server_error(&refused), Some(3159), "{refused}");
    let tls = verify_full(&cluster);
    let options = options(&cluster, place(&cluster, &writer)).ssl_opts(Some(tls));
    let login = within(Conn::new(options)).await;
    assert!(login.is_ok(), "{:?}", login.err());
    cluster.stop().await;
}

#[tokio::test]
async fn a_paused_reader_goes_on_serving_what_it_has() {
    let cluster = start(EngineKind::MySql).await;
    let mut writer = connect_writer(&cluster).await;
    create_numbers(&mut writer).await;
    let paused = cluster.readers().remove(0);
    let mut reader = connect(&cluster, &paused).await;
    let count = reader.prep("SELECT COUNT(*) FROM numbers WHERE number >= ?");
    let count = count.await.expect("a statement");
    cluster.pause_replication(&paused).expect("a pause");
    writer
        .query_drop("INSERT INTO numbers VALUES (7)")
        .await
        .expect("a row");
    let mut late = connect(&cluster, &paused).await;
    let stale: Option<i64> = late
        .query_first("SELECT COUNT(*) FROM numbers")
        .await
        .expect("it");
    assert_eq!(stale, Some(0));
    let stale: Option<i64> = reader.exec_first(&count, (1,)).await.expect("a count");
    assert_eq!(stale, Some(0));
    cluster.resume_replication(&paused).expect("an end");
    let fresh: Option<i64> = reader.exec_first(&count, (1,)).await.expect("a count");
    assert_eq!(fresh, Some(1));
    cluster.stop().await;
}

#[tokio::test]
async fn a_backtrack_ends_all_connections_and_takes_the_data_back() {
    let builder = builder(EngineKind::MySql).backtrack_window(std::time::Duration::from_secs(60));
    let cluster = builder.start().await.expect("the cluster starts");
    let mut writer = connect_writer(&cluster).await;
    create_numbers(&mut writer).await;
    let mut reader = connect(&cluster, &cluster.readers()[0]).await;
    // Longer than the tick of such a window.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let moment = cluster.now();
    let insert = "INSERT INTO numbers VALUES (7)";
    writer.query_drop(insert).await.expect("a row");
    writer.query_drop("BEGIN").await.expect("a transaction");
    writer
        .query_drop("INSERT INTO numbers VALUES (8)")
        .await
        .expect("a row");
    within(cluster.backtrack(moment))
        .await
        .expect("the way back");
    writer.query_drop("COMMIT").await.expect_err("it has ended");
    reader
        .query_drop("SELECT 1")
        .await
        .expect_err("it has ended");
    within(cluster.wait_for(|state| !state.failing_over && state.readers().count() == 2)).await;
    let mut writer = connect_writer(&cluster).await;
    let left: Option<i64> = writer
        .query_first("SELECT COUNT(*) FROM numbers")
        .await
        .expect("it");
    assert_eq!(left, Some(0));
    let undone = cluster.undone();
    assert_eq!(undone.len(), 1);
    assert_eq!(undone[0].statement, insert);
    cluster.stop().await;
}
