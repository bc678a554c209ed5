//! PostgreSQL, through tokio-postgres.

use std::net::Ipv4Addr;
use std::sync::Arc;

use aurora_driver::sim::{
    CustomEndpointKind, CustomEndpointMembers, InstanceState, SimCluster, Tls,
};
use aurora_driver::{EngineKind, InstanceId};
use tokio::sync::Notify;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{applied, builder, place, resolve, start, wait, within};

fn config(cluster: &SimCluster, (name, address): (String, Ipv4Addr)) -> Config {
    let mut config = Config::new();
    config
        .host(name)
        .hostaddr(address.into())
        .port(cluster.port())
        .user(cluster.user())
        .password(cluster.password())
        .dbname(cluster.database());
    config
}

pub(super) async fn try_connect(cluster: &SimCluster, id: &InstanceId) -> Result<Client, Error> {
    let config = config(cluster, place(cluster, id));
    let (client, connection) = within(config.connect(NoTls)).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn connect(cluster: &SimCluster, id: &InstanceId) -> Client {
    try_connect(cluster, id).await.expect("a login")
}

async fn connect_writer(cluster: &SimCluster) -> Client {
    let writer = cluster.writer().expect("a writer");
    connect(cluster, &writer).await
}

async fn create_numbers(client: &Client) {
    client
        .batch_execute("CREATE TABLE numbers (number int8 PRIMARY KEY)")
        .await
        .expect("a table");
}

#[tokio::test]
async fn the_writer_takes_writes_and_the_readers_see_them_but_refuse_theirs() {
    let cluster = start(EngineKind::Postgres).await;
    let writer = connect_writer(&cluster).await;
    create_numbers(&writer).await;
    let insert = "INSERT INTO numbers VALUES ($1)";
    assert_eq!(writer.execute(insert, &[&7_i64]).await.expect("a row"), 1);

    for id in cluster.readers() {
        let reader = connect(&cluster, &id).await;
        let row = reader
            .query_one("SELECT number, pg_is_in_recovery() FROM numbers", &[])
            .await
            .expect("the row");
        assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (7, true));
        let refused = reader
            .execute(insert, &[&8_i64])
            .await
            .expect_err("a reader takes no writes");
        assert_eq!(refused.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
        let row = reader.query_one("SHOW transaction_read_only", &[]).await;
        assert_eq!(row.expect("it goes on").get::<_, &str>(0), "on");
    }
    assert_eq!(applied(&cluster, 7), 1);
    assert_eq!(applied(&cluster, 8), 0);
    cluster.stop().await;
}

#[tokio::test]
async fn the_topology_can_be_filtered_and_projected() {
    let cluster = start(EngineKind::Postgres).await;
    let client = connect(&cluster, &cluster.readers()[0]).await;
    // What the AWS drivers ask.
    let rows = client
        .query(
            "SELECT SERVER_ID, CASE WHEN SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' \
             THEN TRUE ELSE FALSE END, CPU, COALESCE(REPLICA_LAG_IN_MSEC, 0), \
             LAST_UPDATE_TIMESTAMP FROM pg_catalog.aurora_replica_status() WHERE \
             EXTRACT(EPOCH FROM(pg_catalog.NOW() OPERATOR(pg_catalog.-) LAST_UPDATE_TIMESTAMP)) \
             OPERATOR(pg_catalog.<=) 300 OR SESSION_ID OPERATOR(pg_catalog.=) \
             'MASTER_SESSION_ID' OR LAST_UPDATE_TIMESTAMP IS NULL",
            &[],
        )
        .await
        .expect("the topology");
    let mut found: Vec<(String, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    found.sort();
    let expected = [(1, true), (2, false), (3, false)]
        .map(|(number, writer)| (format!("demo-instance-{number}"), writer));
    assert_eq!(found, expected);

    let row = client
        .query_one(
            "SELECT server_id FROM aurora_replica_status() \
             WHERE session_id = 'MASTER_SESSION_ID'",
            &[],
        )
        .await
        .expect("one writer");
    assert_eq!(row.get::<_, &str>(0), "demo-instance-1");
    let row = client
        .query_one("SELECT aurora_db_instance_identifier()", &[])
        .await
        .expect("a name");
    assert_eq!(row.get::<_, &str>(0), cluster.readers()[0].as_str());
    let counters = cluster.counters(&cluster.readers()[0]).expect("counters");
    assert_eq!(counters.topology_queries, 2);
    cluster.stop().await;
}

#[tokio::test]
async fn a_crash_loses_no_acknowledged_commit() {
    let cluster = start(EngineKind::Postgres).await;
    let old = cluster.writer().expect("a writer");
    let client = connect_writer(&cluster).await;
    create_numbers(&client).await;

    let half_way = Notify::new();
    let writes = async {
        for number in 0.. {
            if number == 50 {
                half_way.notify_one();
            }
            let insert = "INSERT INTO numbers VALUES ($1)";
            if let Err(error) = within(client.execute(insert, &[&number])).await {
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
    assert!(error.is_closed() || error.code().is_none(), "{error:?}");

    let promotion = within(cluster.failover_finished())
        .await
        .expect("a promotion");
    let client = connect(&cluster, &promotion.instance).await;
    for number in 0..acknowledged {
        assert_eq!(applied(&cluster, number), 1);
    }
    assert!(applied(&cluster, acknowledged) <= 1, "its answer was lost");
    let row = client
        .query_one("SELECT count(*) FROM numbers", &[])
        .await
        .expect("a count");
    assert!(row.get::<_, i64>(0) >= acknowledged);
    client
        .execute("INSERT INTO numbers VALUES (1000)", &[])
        .await
        .expect("the new writer takes writes");
    let last = cluster.ledger().expect("a ledger").pop().expect("an entry");
    assert_eq!((last.instance, last.epoch), (promotion.instance, 1));

    wait(&cluster, |state| state.readers().count() == 2).await;
    let demoted = connect(&cluster, &old).await;
    let refused = demoted
        .execute("INSERT INTO numbers VALUES (1001)", &[])
        .await
        .expect_err("it is a reader now");
    assert_eq!(refused.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    cluster.stop().await;
}

#[tokio::test]
async fn a_planned_failover_says_goodbye_then_refuses_then_starts_up() {
    let cluster = start(EngineKind::Postgres).await;
    let client = connect_writer(&cluster).await;
    let target = cluster.readers()[1].clone();
    cluster.failover(Some(&target)).expect("accepted");
    let mut codes = Vec::new();
    let mut note = |code: Option<String>| {
        if codes.last() != Some(&code) {
            codes.push(code);
        }
    };
    let ended = loop {
        if let Err(error) = within(client.simple_query("SELECT 1")).await {
            break error;
        }
    };
    assert!(
        ended.is_closed() || ended.code() == Some(&SqlState::ADMIN_SHUTDOWN),
        "{ended:?}"
    );
    loop {
        match try_connect(&cluster, &target).await {
            Ok(_) => break,
            Err(error) => note(error.code().map(|code| code.code().to_owned())),
        }
    }
    assert_eq!(codes.last(), Some(&Some("57P03".to_owned())), "{codes:?}");
    assert_eq!(cluster.writer(), Some(target));
    cluster.stop().await;
}

#[tokio::test]
async fn the_names_lead_to_the_roles() {
    let cluster = start(EngineKind::Postgres).await;
    for (name, in_recovery) in [
        (cluster.cluster_endpoint(), false),
        (cluster.reader_endpoint(), true),
    ] {
        let address = resolve(&cluster, &name).await;
        let config = config(&cluster, (name, address));
        let (client, connection) = within(config.connect(NoTls)).await.expect("a login");
        tokio::spawn(connection);
        let row = client
            .query_one("SELECT pg_is_in_recovery()", &[])
            .await
            .expect("a role");
        assert_eq!(row.get::<_, bool>(0), in_recovery);
    }
    cluster.stop().await;
}

#[tokio::test]
async fn logins_with_the_wrong_password_are_refused_and_counted() {
    let cluster = start(EngineKind::Postgres).await;
    let writer = cluster.writer().expect("a writer");
    let mut wrong = config(&cluster, place(&cluster, &writer));
    wrong.password("wrong");
    let refused = within(wrong.connect(NoTls)).await.err().expect("refused");
    assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD));
    let counters = cluster.counters(&writer).expect("counters");
    assert_eq!((counters.logins, counters.logins_refused), (0, 1));
    cluster.stop().await;
}

/// A client's TLS that trusts nobody but the cluster's own authority.
fn verify_full(cluster: &SimCluster) -> MakeRustlsConnect {
    let pem = std::fs::read(cluster.ca_file().expect("a file")).expect("it is there");
    assert_eq!(Some(pem.as_slice()), cluster.ca_pem().map(str::as_bytes));
    let mut roots = rustls::RootCertStore::empty();
    let certificate = rustls::pki_types::pem::PemObject::from_pem_slice(&pem).expect("a PEM text");
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(tls)
}

#[tokio::test]
async fn the_certificate_carries_the_names_of_the_cluster_and_of_later_readers() {
    let builder = builder(EngineKind::Postgres).tls(Tls::Optional);
    let cluster = builder.start().await.expect("the cluster starts");
    let tls = verify_full(&cluster);
    let writer = cluster.writer().expect("a writer");
    let (own_name, address) = place(&cluster, &writer);
    let any = CustomEndpointMembers::all_except(Vec::<InstanceId>::new());
    let custom = cluster.custom_endpoint("any", CustomEndpointKind::Any, any);
    let added = cluster.add_reader().expect("a reader");
    wait(&cluster, |state| {
        let added = state.instance(&added);
        added.is_some_and(|instance| instance.state == InstanceState::Up)
    })
    .await;
    let (added_name, added_address) = place(&cluster, &added);
    for (name, address, accepted) in [
        (own_name, address, true),
        (address.to_string(), address, true),
        (cluster.cluster_endpoint(), address, true),
        (custom.expect("an endpoint"), address, true),
        (added_name, added_address, true),
        (added_address.to_string(), added_address, true),
        ("other.example.org".to_owned(), address, false),
    ] {
        let mut config = config(&cluster, (name.clone(), address));
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let login = within(config.connect(tls.clone())).await;
        assert_eq!(login.is_ok(), accepted, "{name}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn where_tls_is_required_nobody_is_let_in_without_it() {
    let builder = builder(EngineKind::Postgres).tls(Tls::Required);
    let cluster = builder.start().await.expect("the cluster starts");
    let writer = cluster.writer().expect("a writer");
    let refused = try_connect(&cluster, &writer).await.expect_err("refused");
    let error = refused.as_db_error().expect("the server's words");
    assert_eq!(error.code().code(), "28000");
    let (user, database) = (cluster.user(), cluster.database());
    let words = format!("user \"{user}\", database \"{database}\", no encryption");
    assert!(
        error
            .message()
            .starts_with("no pg_hba.conf entry for host \"127.")
    );
    assert!(error.message().ends_with(&words), "{error}");
    let mut config = config(&cluster, place(&cluster, &writer));
    config.ssl_mode(tokio_postgres::config::SslMode::Require);
    let login = within(config.connect(verify_full(&cluster))).await;
    assert!(login.is_ok(), "{:?}", login.err());
    cluster.stop().await;
}

#[tokio::test]
async fn two_clusters_do_not_meet() {
    let first = start(EngineKind::Postgres).await;
    let second = start(EngineKind::Postgres).await;
    create_numbers(&connect_writer(&first).await).await;
    let client = connect_writer(&second).await;
    let missing = client.query("SELECT * FROM numbers", &[]).await;
    let error = missing.expect_err("its own storage");
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_TABLE));
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_lagging_reader_shows_a_commit_when_the_lag_has_passed() {
    let cluster = start(EngineKind::Postgres).await;
    let writer = connect_writer(&cluster).await;
    create_numbers(&writer).await;
    let lagging = cluster.readers().remove(0);
    let reader = connect(&cluster, &lagging).await;
    let lag = std::time::Duration::from_millis(300);
    cluster.set_lag(lagging, lag).expect("a lag");
    let count = reader
        .prepare("SELECT count(*) FROM numbers WHERE number >= $1")
        .await
        .expect("a statement");
    let begun = cluster.now();
    let insert = "INSERT INTO numbers VALUES ($1)";
    writer.execute(insert, &[&7_i64]).await.expect("a row");
    let seen = within(async {
        loop {
            let row = reader.query_one(&count, &[&7_i64]).await.expect("a count");
            if row.get::<_, i64>(0) == 1 {
                return cluster.now();
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    let passed = seen.await - begun;
    assert!(passed >= lag, "seen after {passed:?}");
    cluster.stop().await;
}
