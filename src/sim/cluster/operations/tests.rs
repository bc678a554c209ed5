//! Operations on a running cluster: what SQL, sockets and names show of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::id::EngineKind;
use crate::sim::host::Host;
use crate::sim::sql::{Reply, Session, Value};
use crate::sim::{InstanceState, Timeline};

const BOTH: [EngineKind; 2] = [EngineKind::MySql, EngineKind::Postgres];

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

async fn start(engine: EngineKind, timeline: Timeline) -> SimCluster {
    let builder = SimCluster::builder(engine).readers(1).seed(3);
    let started = builder.timeline(timeline).start().await;
    started.expect("the cluster starts")
}

async fn wait(cluster: &SimCluster, condition: impl FnMut(&ClusterState) -> bool) {
    timeout(LIMIT, cluster.wait_for(condition))
        .await
        .expect("the state is reached in time");
}

fn is_up(state: &ClusterState, id: &str) -> bool {
    let instance = state.instance(id);
    instance.is_some_and(|instance| instance.state == InstanceState::Up)
}

/// What a statement answers at an instance, each value as text.
async fn ask(cluster: &SimCluster, id: &str, statement: &str) -> Vec<Vec<String>> {
    let host = {
        let machines = cluster.shared.machines();
        let running = machines.running(&id.into()).expect("the instance is up");
        Arc::clone(&running.boot) as Arc<dyn Host>
    };
    let session = Session::open(host, &cluster.shared.volume, "app", "app");
    let mut session = session.expect("a session");
    let statements = session.parse(statement).expect("it parses");
    let reply = session.execute(&statements[0], &[]).await;
    let text = |value| match value {
        Value::Text(text) => text,
        Value::Null => "NULL".into(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
    };
    match reply.expect("an answer") {
        Reply::Rows { rows, .. } => rows
            .into_iter()
            .map(|row| row.into_iter().map(text).collect())
            .collect(),
        other => panic!("{statement}: expected rows, got {other:?}"),
    }
}

fn topology(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::MySql => {
            "SELECT SERVER_ID FROM information_schema.replica_host_status \
             WHERE SESSION_ID = 'MASTER_SESSION_ID' ORDER BY SERVER_ID"
        }
        EngineKind::Postgres => {
            "SELECT server_id FROM aurora_replica_status() \
             WHERE session_id = 'MASTER_SESSION_ID' ORDER BY server_id"
        }
    }
}

#[tokio::test]
async fn sql_shows_an_instance_s_wrong_view_and_no_other_s() {
    for engine in BOTH {
        let cluster = start(engine, Timeline::fast()).await;
        let (writer, reader) = ("demo-instance-1", "demo-instance-2");
        let foreign = "previous-cluster-instance-one";
        for (anomaly, expected) in [
            (ViewAnomaly::NoWriter, vec![]),
            (ViewAnomaly::OneRow, vec![]),
            (ViewAnomaly::StaleClaim(reader.into()), vec![reader]),
            (
                ViewAnomaly::SecondWriter(reader.into()),
                vec![writer, reader],
            ),
            (ViewAnomaly::ForeignRows, vec![writer, foreign]),
        ] {
            let claimed = |rows: Vec<Vec<String>>| rows.concat();
            cluster
                .set_view(reader, anomaly.clone())
                .expect("it exists");
            let seen = claimed(ask(&cluster, reader, topology(engine)).await);
            assert_eq!(seen, expected, "{engine}: {anomaly:?}");
            let elsewhere = claimed(ask(&cluster, writer, topology(engine)).await);
            assert_eq!(elsewhere, [writer], "{engine}: {anomaly:?}");
            cluster.clear_view(reader).expect("it exists");
            let seen = claimed(ask(&cluster, reader, topology(engine)).await);
            assert_eq!(seen, [writer], "{engine}: {anomaly:?}");
        }
        cluster.stop().await;
    }
}

#[tokio::test]
async fn sql_shows_garbage_in_the_lag_and_a_dead_instance_s_row() {
    let cluster = start(EngineKind::MySql, Timeline::fast()).await;
    let reader = "demo-instance-2";
    for anomaly in [
        ViewAnomaly::GarbageLag,
        ViewAnomaly::Lingering("gone".into()),
    ] {
        cluster.set_view(reader, anomaly).expect("it exists");
    }
    let rows = ask(
        &cluster,
        reader,
        "SELECT SERVER_ID FROM information_schema.replica_host_status \
         WHERE REPLICA_LAG_IN_MILLISECONDS >= 900000 ORDER BY SERVER_ID",
    )
    .await;
    assert_eq!(rows.concat(), ["demo-instance-1", "gone"]);
    cluster.stop().await;
}

#[tokio::test]
async fn a_renamed_instance_knows_its_new_name_and_keeps_its_address() {
    for (engine, statement) in [
        (EngineKind::MySql, "SELECT @@aurora_server_id"),
        (
            EngineKind::Postgres,
            "SELECT aurora_db_instance_identifier()",
        ),
    ] {
        let cluster = start(engine, Timeline::fast()).await;
        let address = cluster.address_of("demo-instance-2");
        cluster
            .rename_instance("demo-instance-2", "analytics")
            .expect("accepted");
        wait(&cluster, |state| is_up(state, "analytics")).await;
        assert_eq!(cluster.address_of("analytics"), address);
        assert_eq!(cluster.address_of("demo-instance-2"), None);
        let answer = ask(&cluster, "analytics", statement).await;
        assert_eq!(answer.concat(), ["analytics"]);
        let place = (address.expect("an address"), cluster.port());
        let connected = TcpStream::connect(place).await;
        assert!(connected.is_ok(), "{engine}: {connected:?}");

        let refused = cluster.rename_instance("analytics", "no.label");
        assert!(matches!(refused, Err(SimError::Refused(_))));
        cluster.stop().await;
    }
}

#[tokio::test]
async fn after_an_upgrade_every_instance_shows_the_new_version() {
    for (engine, version) in [
        (EngineKind::MySql, "3.05.2"),
        (EngineKind::Postgres, "15.5.0"),
    ] {
        let cluster = start(engine, Timeline::fast().scaled(0.3)).await;
        cluster.upgrade(version).expect("accepted");
        let ids = ["demo-instance-1", "demo-instance-2"];
        let ended = || cluster.events().iter().any(|it| it.id == "RDS-EVENT-0173");
        wait(&cluster, |_| ended()).await;
        for id in ids {
            let answer = ask(&cluster, id, "SELECT aurora_version()").await;
            assert_eq!(answer.concat(), [version], "{engine}: {id}");
        }
        assert_eq!(cluster.state().epoch, 0, "nobody was promoted");
        cluster.stop().await;
    }
}

#[tokio::test]
async fn scaling_names_the_readers_that_came_and_those_that_went() {
    let cluster = start(EngineKind::MySql, Timeline::fast()).await;
    let added = cluster.scale_out(2).expect("there is room");
    assert_eq!(added.len(), 2);
    for id in &added {
        assert!(id.as_str().starts_with("application-autoscaling-"));
        let tier = cluster.state().instance(id).map(|status| status.tier);
        assert_eq!(tier, Some(15));
    }
    wait(&cluster, |state| state.readers().count() == 3).await;
    let mut deleted = cluster.scale_in(5).expect("two are there");
    deleted.sort();
    let mut expected = added;
    expected.sort();
    assert_eq!(deleted, expected);
    assert!(matches!(cluster.scale_in(1), Err(SimError::Refused(_))));
    cluster.stop().await;
}

#[tokio::test]
async fn a_fenced_old_writer_s_sockets_are_silent_until_they_are_reset() {
    for engine in BOTH {
        let mut timeline = Timeline::fast();
        timeline.fenced_hold = Duration::from_millis(400);
        let cluster = start(engine, timeline).await;
        let place = (
            cluster.address_of("demo-instance-1").expect("an address"),
            cluster.port(),
        );
        cluster.failover(None).expect("accepted");
        wait(&cluster, |state| {
            let old = state.instance("demo-instance-1");
            old.is_some_and(|old| old.state == InstanceState::Fenced)
        })
        .await;
        let fenced = cluster.now();
        let mut late = TcpStream::connect(place).await.expect("it is accepted");
        let mut byte = [0];
        let read = timeout(LIMIT, late.read(&mut byte)).await;
        let read = read.expect("it ends with the hold");
        assert!(matches!(read, Ok(0) | Err(_)), "{engine}: not a word");
        assert!(
            cluster.now() - fenced > Duration::from_millis(200),
            "{engine}: and not at once"
        );
        wait(&cluster, |state| is_up(state, "demo-instance-1")).await;
        cluster.stop().await;
    }
}
