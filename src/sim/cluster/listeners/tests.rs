//! Listeners and limits as plain drivers and raw sockets meet them.

use std::io::ErrorKind;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::id::{EngineKind, InstanceId};
use crate::sim::world::InstanceState;
use crate::sim::{ListenerState, SimCluster, SimClusterBuilder};

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// How long a connect that succeeds or is refused may take at most.
const PROMPT: Duration = Duration::from_millis(300);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("it happens in time")
}

async fn start(builder: SimClusterBuilder) -> (SimCluster, InstanceId) {
    let cluster = builder.seed(5).start().await.expect("the cluster starts");
    let writer = cluster.writer().expect("a writer");
    (cluster, writer)
}

async fn connect(cluster: &SimCluster, id: &InstanceId) -> std::io::Result<TcpStream> {
    let address = cluster.address_of(id.clone()).expect("an address");
    TcpStream::connect((address, cluster.port())).await
}

async fn mysql(cluster: &SimCluster, id: &InstanceId) -> mysql_async::Result<mysql_async::Conn> {
    let address = cluster.address_of(id.clone()).expect("an address");
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname(address.to_string())
        .tcp_port(cluster.port())
        .prefer_socket(false)
        .max_allowed_packet(Some(1024 * 1024))
        .wait_timeout(Some(28_800))
        .user(Some(cluster.user()))
        .pass(Some(cluster.password()))
        .db_name(Some(cluster.database()));
    within(mysql_async::Conn::new(options)).await
}

async fn postgres(
    cluster: &SimCluster,
    id: &InstanceId,
) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let address = cluster.address_of(id.clone()).expect("an address");
    let (client, connection) = within(
        tokio_postgres::Config::new()
            .host(address.to_string())
            .port(cluster.port())
            .user(cluster.user())
            .password(cluster.password())
            .dbname(cluster.database())
            .connect(tokio_postgres::NoTls),
    )
    .await?;
    tokio::spawn(connection);
    Ok(client)
}

fn sqlstate(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("", |code| code.code())
}

#[tokio::test]
async fn a_refusing_instance_refuses_until_restored_and_keeps_its_connections() {
    let (cluster, writer) = start(SimCluster::builder(EngineKind::MySql)).await;
    let mut connection = mysql(&cluster, &writer).await.expect("a login");
    cluster.refuse(&writer).expect("refused");
    let refused = connect(&cluster, &writer).await.expect_err("no listener");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let one: Option<u8> = within(connection.query_first("SELECT 1"))
        .await
        .expect("an answer");
    assert_eq!(one, Some(1));
    let state = cluster.state();
    let status = state.instance(&writer).expect("it is there");
    assert_eq!(status.listener, ListenerState::Refusing);
    assert_eq!(status.state, InstanceState::Up);
    cluster.restore(&writer).expect("restored");
    mysql(&cluster, &writer).await.expect("a login");
    cluster.stop().await;
}

#[tokio::test]
async fn a_port_that_refuses_goes_on_refusing_after_a_restart() {
    let (cluster, writer) = start(SimCluster::builder(EngineKind::Postgres).readers(0)).await;
    cluster.refuse(&writer).expect("refused");
    cluster.crash(&writer).expect("crashed");
    within(cluster.failover_finished()).await;
    let refused = connect(&cluster, &writer).await.expect_err("no listener");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    cluster.restore(&writer).expect("restored");
    postgres(&cluster, &writer).await.expect("a login");
    cluster.stop().await;
}

#[tokio::test]
async fn a_silent_writer_neither_answers_nor_accepts_and_is_replaced() {
    for engine in [EngineKind::MySql, EngineKind::Postgres] {
        let (cluster, writer) = start(SimCluster::builder(engine)).await;
        let mut established = connect(&cluster, &writer).await.expect("a listener");
        within(async {
            while cluster.counters(&writer).is_none_or(|it| it.connects == 0) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        if engine == EngineKind::MySql {
            // The greeting came before the silence.
            within(established.read(&mut [0; 4096]))
                .await
                .expect("read");
        }
        cluster.silence(&writer).expect("silenced");
        let connecting = timeout(PROMPT, connect(&cluster, &writer)).await;
        assert!(connecting.is_err(), "{engine:?}: {connecting:?}");
        let mut byte = [0; 1];
        let reading = timeout(PROMPT, established.read(&mut byte)).await;
        assert!(reading.is_err(), "{engine:?}: {reading:?}");

        let promotion = within(cluster.failover_finished()).await;
        assert_ne!(promotion.expect("a promotion").instance, writer);
        let connecting = timeout(PROMPT, connect(&cluster, &writer)).await;
        assert!(connecting.is_err(), "{engine:?}: {connecting:?}");

        cluster.restore(&writer).expect("restored");
        let ended = timeout(LIMIT, established.read(&mut byte))
            .await
            .unwrap_or_else(|_| panic!("{engine:?}: the old connection is never reset"));
        assert_eq!(
            ended.map_err(|error| error.kind()),
            Err(ErrorKind::ConnectionReset)
        );
        within(cluster.wait_for(|state| state.readers().any(|it| it.id == writer))).await;
        connect(&cluster, &writer).await.expect("a listener");
        cluster.stop().await;
    }
}

#[tokio::test]
async fn a_slow_instance_answers_late() {
    let (cluster, writer) = start(SimCluster::builder(EngineKind::Postgres)).await;
    let client = postgres(&cluster, &writer).await.expect("a login");
    let delay = Duration::from_millis(120);
    cluster.slow(&writer, delay).expect("slowed");
    let asked = cluster.now();
    within(client.simple_query("SELECT 1"))
        .await
        .expect("an answer");
    assert!(cluster.now() - asked >= delay);
    cluster.stop().await;
}

#[tokio::test]
async fn logins_are_turned_away_in_the_words_of_the_engine() {
    let (cluster, writer) = start(SimCluster::builder(EngineKind::Postgres)).await;
    let client = postgres(&cluster, &writer).await.expect("a login");
    for (state, expected) in [
        (ListenerState::Full, "53300"),
        (ListenerState::Draining, "57P03"),
        (ListenerState::Starting, "57P03"),
    ] {
        cluster.set_listener(&writer, state).expect("set");
        let error = postgres(&cluster, &writer).await.expect_err("no login");
        assert_eq!(sqlstate(&error), expected, "{state}");
        within(client.simple_query("SELECT 1"))
            .await
            .expect("an answer");
    }
    cluster.stop().await;

    let (cluster, writer) = start(SimCluster::builder(EngineKind::MySql)).await;
    for (state, expected) in [(ListenerState::Full, 1040), (ListenerState::Draining, 1053)] {
        cluster.set_listener(&writer, state).expect("set");
        match mysql(&cluster, &writer).await.expect_err("no login") {
            mysql_async::Error::Server(error) => assert_eq!(error.code, expected),
            other => panic!("{state}: {other:?}"),
        }
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_full_instance_has_room_again_when_a_client_leaves() {
    let (cluster, writer) =
        start(SimCluster::builder(EngineKind::Postgres).max_connections(1)).await;
    let client = postgres(&cluster, &writer).await.expect("a login");
    let connections =
        |state: &crate::sim::ClusterState| state.instance(&writer).map(|it| it.connections);
    assert_eq!(connections(&cluster.state()), Some(1));
    let error = postgres(&cluster, &writer).await.expect_err("no login");
    assert_eq!(sqlstate(&error), "53300");
    drop(client);
    within(cluster.wait_for(|state| connections(state) == Some(0))).await;
    postgres(&cluster, &writer).await.expect("a login");
    cluster.stop().await;
}

#[tokio::test]
async fn an_unknown_instance_is_refused() {
    let (cluster, _) = start(SimCluster::builder(EngineKind::MySql)).await;
    let error = cluster.silence("nobody").expect_err("unknown");
    assert!(error.to_string().contains("nobody"), "{error}");
    cluster.stop().await;
}
