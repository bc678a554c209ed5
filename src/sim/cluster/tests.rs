//! The running cluster as raw sockets and a resolver meet it.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::sim::{InstanceState, Role, Timeline};

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

async fn start(engine: EngineKind, readers: usize) -> SimCluster {
    SimCluster::builder(engine)
        .readers(readers)
        .seed(3)
        .start()
        .await
        .expect("the cluster starts")
}

async fn connect(cluster: &SimCluster, id: &str) -> Result<TcpStream, ErrorKind> {
    let address = cluster.address_of(id).expect("an address");
    TcpStream::connect((address, cluster.port()))
        .await
        .map_err(|error| error.kind())
}

/// Waits until the cluster's state is as wanted, but not for ever.
async fn wait(cluster: &SimCluster, condition: impl FnMut(&ClusterState) -> bool) {
    timeout(LIMIT, cluster.wait_for(condition))
        .await
        .expect("the state is reached in time");
}

/// What a name resolves to at the moment.
async fn resolve(cluster: &SimCluster, name: &str) -> Option<Ipv4Addr> {
    let mut connection = ConnectionConfig::udp();
    connection.port = cluster.dns_address().port();
    let server = NameServerConfig::new(cluster.dns_address().ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    let resolver = builder.build().expect("a resolver");
    let answer = resolver
        .lookup(format!("{name}."), RecordType::A)
        .await
        .ok()?;
    answer
        .answers()
        .iter()
        .find_map(|record| match &record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        })
}

use hickory_resolver::proto::rr::{RData, RecordType};

#[tokio::test]
async fn every_instance_accepts_on_an_address_of_its_own() {
    let cluster = start(EngineKind::Postgres, 2).await;
    let instances = cluster.instances();
    assert_eq!(instances.len(), 3);
    let mut addresses: Vec<Ipv4Addr> = instances.iter().map(|it| it.address).collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 3);
    for instance in &instances {
        assert!(connect(&cluster, instance.id.as_str()).await.is_ok());
    }
    assert_eq!(cluster.writer(), Some("demo-instance-1".into()));
    assert_eq!(cluster.readers().len(), 2);
    cluster.stop().await;
}

#[tokio::test]
async fn a_cluster_starts_quickly() {
    let started = std::time::Instant::now();
    let cluster = start(EngineKind::MySql, 2).await;
    // The promise is 200 ms for a release build on an idle machine.
    assert!(started.elapsed() < Duration::from_secs(2));
    cluster.stop().await;
}

#[tokio::test]
async fn a_crashed_writer_refuses_at_once_and_accepts_again_as_a_reader() {
    let cluster = start(EngineKind::MySql, 1).await;
    let crashed = cluster.crash_writer().expect("accepted");
    assert_eq!(
        connect(&cluster, crashed.as_str()).await.err(),
        Some(ErrorKind::ConnectionRefused)
    );
    let promotion = timeout(LIMIT, cluster.failover_finished())
        .await
        .expect("in time")
        .expect("a promotion");
    assert_eq!(promotion.instance, "demo-instance-2".into());
    assert!(connect(&cluster, "demo-instance-2").await.is_ok());
    let outage = promotion.accepting_at - promotion.fault_at;
    assert!(outage >= Duration::from_millis(300), "{outage:?}");
    wait(&cluster, |state| state.readers().count() == 1).await;
    assert!(connect(&cluster, crashed.as_str()).await.is_ok());
    let state = cluster.state();
    let old = state.instance(&crashed).expect("it is still there");
    assert_eq!((old.role, old.state), (Role::Reader, InstanceState::Up));
    assert_eq!(state.epoch, 1);
    cluster.stop().await;
}

#[tokio::test]
async fn waiting_connections_of_a_crashed_instance_are_reset() {
    let cluster = start(EngineKind::Postgres, 1).await;
    // Not accepted yet on this single thread: it waits in the backlog.
    let address = cluster.address_of("demo-instance-1").expect("an address");
    let mut waiting = std::net::TcpStream::connect((address, cluster.port())).expect("a backlog");
    cluster.crash_writer().expect("accepted");
    waiting
        .set_read_timeout(Some(LIMIT))
        .expect("a valid timeout");
    let read = std::io::Read::read(&mut waiting, &mut [0; 1]);
    assert_eq!(
        read.map_err(|error| error.kind()),
        Err(ErrorKind::ConnectionReset)
    );
    cluster.stop().await;
}

#[tokio::test]
async fn a_starting_postgres_instance_accepts_sockets_before_it_is_up() {
    let mut timeline = Timeline::fast();
    timeline.starting = Duration::from_millis(250);
    let cluster = SimCluster::builder(EngineKind::Postgres)
        .readers(0)
        .timeline(timeline)
        .start()
        .await
        .expect("the cluster starts");
    let id = cluster.crash_writer().expect("accepted");
    assert!(connect(&cluster, id.as_str()).await.is_err());
    wait(&cluster, |state| {
        state.instances[0].state == InstanceState::Starting
    })
    .await;
    assert!(connect(&cluster, id.as_str()).await.is_ok());
    wait(&cluster, |state| state.writer.is_some()).await;
    assert!(connect(&cluster, id.as_str()).await.is_ok());
    assert_eq!(cluster.last_promotion(), None);
    cluster.stop().await;
}

#[tokio::test]
async fn the_cluster_endpoint_follows_a_failover_a_little_later() {
    let cluster = start(EngineKind::MySql, 1).await;
    let endpoint = cluster.cluster_endpoint();
    let first = cluster.address_of("demo-instance-1");
    let second = cluster.address_of("demo-instance-2");
    assert_eq!(resolve(&cluster, &endpoint).await, first);
    assert_eq!(resolve(&cluster, &cluster.reader_endpoint()).await, second);
    let target = InstanceId::new("demo-instance-2");
    cluster.failover(Some(&target)).expect("accepted");
    timeout(LIMIT, async {
        while resolve(&cluster, &endpoint).await != second {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the record flips");
    let promotion = cluster.last_promotion().expect("a promotion");
    assert!(cluster.now() > promotion.accepting_at);
    cluster.stop().await;
}

#[tokio::test]
async fn a_removed_reader_has_no_name_and_an_added_one_has() {
    let cluster = start(EngineKind::Postgres, 1).await;
    let name = cluster.instance_endpoint("demo-instance-2");
    assert!(resolve(&cluster, &name).await.is_some());
    cluster
        .remove_instance("demo-instance-2")
        .expect("accepted");
    assert_eq!(resolve(&cluster, &name).await, None);
    assert!(connect(&cluster, "demo-instance-2").await.is_err());

    let added = cluster.add_reader().expect("accepted");
    assert_eq!(added, "demo-instance-3".into());
    wait(&cluster, |state| {
        state.readers().any(|reader| reader.id == added)
    })
    .await;
    let address = cluster.address_of(&added);
    assert_ne!(address, cluster.address_of("demo-instance-2"));
    let name = cluster.instance_endpoint(&added);
    assert_eq!(resolve(&cluster, &name).await, address);
    assert!(connect(&cluster, added.as_str()).await.is_ok());
    timeout(LIMIT, async {
        while cluster.counters(&added).is_some_and(|it| it.connects != 1) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the connect is counted");
    assert!(cluster.counters("demo-instance-2").is_some());
    assert_eq!(cluster.counters("demo-instance-9"), None);
    cluster.stop().await;
}

#[tokio::test]
async fn instances_can_be_named_and_placed() {
    let cluster = SimCluster::builder(EngineKind::MySql)
        .cluster_id("shop")
        .domain("abc123xyz.eu-west-1.rds.amazonaws.com")
        .instance("a", Ipv4Addr::new(127, 77, 3, 21))
        .instance("b", Ipv4Addr::new(127, 77, 3, 22))
        .promotion_tier("b", 0)
        .start()
        .await
        .expect("the cluster starts");
    assert_eq!(cluster.writer(), Some("a".into()));
    assert_eq!(cluster.address_of("b"), Some(Ipv4Addr::new(127, 77, 3, 22)));
    assert_eq!(
        cluster.reader_endpoint(),
        "shop.cluster-ro-abc123xyz.eu-west-1.rds.amazonaws.com"
    );
    cluster.stop().await;
}

#[tokio::test]
async fn values_that_cannot_be_used_are_refused() {
    let builder = || SimCluster::builder(EngineKind::MySql);
    let local = Ipv4Addr::new(127, 78, 1, 1);
    for (described, wrong) in [
        ("too many readers", builder().readers(16)),
        ("a bad name", builder().cluster_id("a b")),
        (
            "no loopback",
            builder().instance("a", Ipv4Addr::new(10, 0, 0, 1)),
        ),
        (
            "twice the same",
            builder().instance("a", local).instance("b", local),
        ),
        ("a tier of nobody", builder().promotion_tier("x", 1)),
        (
            "a tier too high",
            builder().promotion_tier("demo-instance-1", 16),
        ),
    ] {
        let refused = wrong.start().await;
        assert!(
            matches!(refused, Err(SimError::Config(_))),
            "{described}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_taken_address_is_an_error_that_names_it() {
    let address = Ipv4Addr::new(127, 79, 1, 1);
    let taken = std::net::TcpListener::bind((address, 0)).expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let refused = SimCluster::builder(EngineKind::MySql)
        .instance("a", address)
        .port(port)
        .start()
        .await;
    let message = refused.expect_err("the port is taken").to_string();
    let place = SocketAddr::from((address, port)).to_string();
    assert!(message.contains(&place), "{message}");
}

#[tokio::test]
async fn the_url_escapes_what_it_must_and_debug_hides_the_password() {
    let cluster = SimCluster::builder(EngineKind::Postgres)
        .user("me@home", "p:w/d%")
        .start()
        .await
        .expect("the cluster starts");
    let url = cluster.url();
    let config = crate::Config::from_url(&url).expect("the driver takes it");
    assert_eq!(config.dns_server, Some(cluster.dns_address()));
    assert!(
        url.starts_with("postgres://me%40home:p%3Aw%2Fd%25@demo.cluster-"),
        "{url}"
    );
    assert!(!format!("{cluster:?}").contains("p:w/d%"));
    cluster.stop().await;
}

#[tokio::test]
async fn nothing_listens_after_the_end() {
    for stopped in [false, true] {
        let cluster = start(EngineKind::MySql, 1).await;
        let place = (
            cluster.address_of("demo-instance-1").expect("an address"),
            cluster.port(),
        );
        if stopped {
            timeout(LIMIT, cluster.stop()).await.expect("in time");
        } else {
            drop(cluster);
        }
        let refused = TcpStream::connect(place)
            .await
            .map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused));
    }
}

#[test]
fn operations_work_from_a_thread_without_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cluster = runtime.block_on(start(EngineKind::MySql, 1));
    cluster.restart("demo-instance-2").expect("accepted");
    cluster.add_reader().expect("accepted");
    runtime.block_on(wait(&cluster, |state| state.readers().count() == 2));
    runtime.block_on(cluster.stop());
}

#[tokio::test]
async fn after_any_number_of_faults_every_socket_and_name_is_where_it_belongs() {
    let cluster = SimCluster::builder(EngineKind::Postgres)
        .readers(3)
        .timeline(Timeline::fast().scaled(0.02))
        .start()
        .await
        .expect("the cluster starts");
    let mut random = fastrand::Rng::with_seed(9);
    for _ in 0..60 {
        let instances = cluster.instances();
        let id = &instances[random.usize(..instances.len())].id;
        // A refusal is an answer too.
        let _ = match random.usize(..5) {
            0 => cluster.crash(id),
            1 => cluster.failover(None),
            2 => cluster.restart(id),
            3 => cluster.add_reader().map(|_| ()),
            _ if instances.len() > 3 => cluster.remove_instance(id),
            _ => cluster.crash(id),
        };
        tokio::time::sleep(Duration::from_millis(random.u64(..8))).await;
    }
    wait(&cluster, |state| {
        let up = |it: &InstanceStatus| it.state == InstanceState::Up;
        !state.failing_over && state.instances.iter().all(up)
    })
    .await;
    for instance in cluster.instances() {
        let accepted = connect(&cluster, instance.id.as_str()).await;
        assert!(accepted.is_ok(), "{instance:?}: {accepted:?}");
    }
    let writer = cluster.writer().expect("a writer");
    let endpoint = cluster.cluster_endpoint();
    timeout(LIMIT, async {
        while resolve(&cluster, &endpoint).await != cluster.address_of(&writer) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the record follows");
    timeout(LIMIT, cluster.stop()).await.expect("in time");
}
