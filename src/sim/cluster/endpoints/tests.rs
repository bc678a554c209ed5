//! The DNS of a running cluster, as a resolver meets it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};
use tokio::time::{Instant, timeout};

use super::*;
use crate::id::EngineKind;
use crate::sim::Timeline;

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);
/// No answer within this is no answer.
const PATIENCE: Duration = Duration::from_millis(300);

async fn start(engine: EngineKind, readers: usize) -> SimCluster {
    let cluster = SimCluster::builder(engine).readers(readers).seed(3);
    cluster.start().await.expect("the cluster starts")
}

fn resolver(
    server: SocketAddr,
    patience: Duration,
    connections: &[ConnectionConfig],
) -> TokioResolver {
    let mut connections = connections.to_vec();
    for connection in &mut connections {
        connection.port = server.port();
    }
    let server = NameServerConfig::new(server.ip(), true, connections);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.cache_size = 0;
    options.timeout = patience;
    options.attempts = 0;
    builder.build().expect("a resolver")
}

/// What a name resolves to now, or how it fails.
async fn resolve(cluster: &SimCluster, host: &str) -> Result<Ipv4Addr, String> {
    let both = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let resolver = resolver(cluster.dns_address(), LIMIT, &both);
    first_address(&resolver, host).await
}

async fn first_address(resolver: &TokioResolver, host: &str) -> Result<Ipv4Addr, String> {
    let answer = timeout(LIMIT, resolver.ipv4_lookup(format!("{host}.")))
        .await
        .expect("the resolver gives up in time")
        .map_err(|error| match error.is_nx_domain() {
            true => "NXDOMAIN".to_owned(),
            false => error.to_string(),
        })?;
    let addresses = answer.answers().iter();
    let mut addresses = addresses.filter_map(|record| match &record.data {
        hickory_resolver::proto::rr::RData::A(address) => Some(address.0),
        _ => None,
    });
    addresses.next().ok_or_else(|| "no address".to_owned())
}

fn answer_for(cluster: &SimCluster, host: &str) -> DnsAnswer {
    let answers = cluster.dns_answers();
    let found = answers.into_iter().find(|answer| answer.name == host);
    found.expect("the name is listed")
}

/// Waits until a name leads to an instance, as its health check or flip decides.
async fn leads_to(cluster: &SimCluster, host: &str, id: Option<&InstanceId>) {
    let target = id.map(|id| cluster.instance_endpoint(id));
    let reached = async {
        while answer_for(cluster, host).target != target {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, reached)
        .await
        .expect("the name leads there in time");
}

#[tokio::test]
async fn a_custom_endpoint_follows_its_members_health_and_role() {
    for engine in [EngineKind::Postgres, EngineKind::MySql] {
        let cluster = start(engine, 2).await;
        let reader: InstanceId = "demo-instance-2".into();
        let members = || CustomEndpointMembers::fixed([&reader]);
        let host = cluster
            .custom_endpoint("Reports", CustomEndpointKind::Reader, members())
            .expect("an endpoint");
        assert!(host.starts_with("reports.cluster-custom-"), "{host}");
        assert_eq!(
            resolve(&cluster, &host).await.ok(),
            cluster.address_of(&reader)
        );

        cluster.crash(&reader).expect("it is up");
        leads_to(&cluster, &host, None).await;
        let nothing = resolve(&cluster, &host).await.expect_err("no member is up");
        assert_ne!(nothing, "NXDOMAIN", "the name still exists");
        leads_to(&cluster, &host, Some(&reader)).await;

        cluster.failover(Some(&reader)).expect("it is a reader");
        leads_to(&cluster, &host, None).await;
        timeout(LIMIT, cluster.failover_finished())
            .await
            .expect("the failover finishes");
        leads_to(&cluster, &cluster.cluster_endpoint(), Some(&reader)).await;
        assert_eq!(answer_for(&cluster, &host).target, None, "it is the writer");
        cluster
            .remove_custom_endpoint("reports")
            .expect("it exists");
        assert_eq!(resolve(&cluster, &host).await, Err("NXDOMAIN".into()));
        cluster.stop().await;
    }
}

#[tokio::test]
async fn a_custom_endpoint_that_cannot_be_is_refused_with_the_reason() {
    let cluster = start(EngineKind::MySql, 1).await;
    let long = "a".repeat(64);
    for (name, member, reason) in [
        ("", "demo-instance-1", "63 letters"),
        ("a.b", "demo-instance-1", "63 letters"),
        (long.as_str(), "demo-instance-1", "63 letters"),
        ("fine", "demo-instance-9", "no instance `demo-instance-9`"),
    ] {
        let members = CustomEndpointMembers::fixed([member]);
        let refused = cluster.custom_endpoint(name, CustomEndpointKind::Any, members);
        let error = refused.expect_err(name).to_string();
        assert!(error.contains(reason), "{name}: {error}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn names_are_stale_until_the_flip_whose_delay_can_be_set() {
    let timeline = Timeline::fast().scaled(0.2);
    let cluster = SimCluster::builder(EngineKind::Postgres)
        .readers(1)
        .timeline(timeline)
        .start()
        .await
        .expect("the cluster starts");
    // Far longer than the failover, far shorter than the limit.
    cluster
        .set_dns_flip(Duration::from_secs(2))
        .expect("any delay will do");
    let old = cluster.crash_writer().expect("there is a writer");
    let promotion = timeout(LIMIT, cluster.failover_finished())
        .await
        .expect("in time")
        .expect("a promotion");
    let stale = answer_for(&cluster, &cluster.cluster_endpoint());
    assert_eq!(stale.address, cluster.address_of(&old));
    let reader = answer_for(&cluster, &cluster.reader_endpoint());
    assert_eq!(
        reader.address,
        cluster.address_of(&promotion.instance),
        "the reader endpoint hands out the new writer for a while"
    );
    let new = Some(&promotion.instance);
    leads_to(&cluster, &cluster.cluster_endpoint(), new).await;
    assert!(cluster.now() >= promotion.fault_at + Duration::from_secs(2));
    leads_to(&cluster, &cluster.reader_endpoint(), Some(&old)).await;
    cluster.stop().await;
}

#[tokio::test]
async fn the_reader_endpoint_names_one_reader_per_query_and_the_writer_without_readers() {
    let cluster = start(EngineKind::MySql, 2).await;
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let address = resolve(&cluster, &cluster.reader_endpoint()).await;
        seen.insert(address.expect("an address"));
    }
    let address = |id: &InstanceId| cluster.address_of(id).expect("an address");
    let readers: BTreeSet<Ipv4Addr> = cluster.readers().iter().map(address).collect();
    assert_eq!(seen, readers);

    let gone = cluster.readers();
    for reader in &gone {
        cluster.remove_instance(reader).expect("it is a reader");
        let host = cluster.instance_endpoint(reader);
        assert_eq!(resolve(&cluster, &host).await, Err("NXDOMAIN".into()));
    }
    let writer = cluster.writer().expect("a writer");
    let address = resolve(&cluster, &cluster.reader_endpoint()).await;
    assert_eq!(address.ok(), cluster.address_of(&writer));
    cluster.stop().await;
}

#[tokio::test]
async fn a_broken_resolver_is_broken_until_its_guard_is_dropped() {
    let cluster = start(EngineKind::Postgres, 1).await;
    let host = cluster.cluster_endpoint();
    let right = resolve(&cluster, &host).await.expect("an address");
    let lie = Ipv4Addr::new(127, 1, 2, 3);
    let upper = format!("{}.", host.to_uppercase());
    for (fault, expected) in [
        (DnsFault::NxDomain, Err("NXDOMAIN")),
        (DnsFault::ServFail, Err("")),
        (
            DnsFault::Wrong {
                name: upper,
                address: lie,
            },
            Ok(lie),
        ),
    ] {
        let broken = cluster.break_dns(fault.clone());
        match (resolve(&cluster, &host).await, expected) {
            (Err(error), Err(cause)) => {
                assert!(error.contains(cause), "{fault:?}: {error}");
                assert!(!cause.is_empty() || error != "NXDOMAIN", "{fault:?}");
            }
            (Ok(address), Ok(wanted)) => {
                assert_eq!(address, wanted, "{fault:?}");
                assert_eq!(answer_for(&cluster, &host).address, Some(lie));
            }
            (other, _) => panic!("{fault:?}: {other:?}"),
        }
        drop(broken);
        assert_eq!(resolve(&cluster, &host).await, Ok(right), "{fault:?}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_silent_resolver_answers_nobody_and_a_slow_one_later() {
    let cluster = start(EngineKind::MySql, 1).await;
    let host = cluster.cluster_endpoint();
    for connection in [ConnectionConfig::udp(), ConnectionConfig::tcp()] {
        let impatient = resolver(cluster.dns_address(), PATIENCE, &[connection]);
        let silent = cluster.break_dns(DnsFault::Silent);
        assert!(first_address(&impatient, &host).await.is_err());
        drop(silent);
    }
    let slow = cluster.break_dns(DnsFault::Slow(PATIENCE));
    let asked = Instant::now();
    resolve(&cluster, &host).await.expect("an address");
    assert!(asked.elapsed() >= PATIENCE);
    drop(slow);
    cluster.stop().await;
}

#[tokio::test]
async fn truncated_answers_send_the_client_to_tcp() {
    let cluster = start(EngineKind::MySql, 1).await;
    let host = cluster.cluster_endpoint();
    let _truncated = cluster.break_dns(DnsFault::Truncated);
    let only_udp = resolver(cluster.dns_address(), PATIENCE, &[ConnectionConfig::udp()]);
    assert!(first_address(&only_udp, &host).await.is_err());
    let writer = cluster.writer().expect("a writer");
    let address = resolve(&cluster, &host).await;
    assert_eq!(address.ok(), cluster.address_of(&writer), "over TCP");
    cluster.stop().await;
}

#[tokio::test]
async fn ttls_are_aurora_s_unless_set() {
    let cluster = start(EngineKind::Postgres, 1).await;
    let usual = Duration::from_secs(5);
    assert!(cluster.dns_answers().iter().all(|it| it.ttl == usual));
    let reader = cluster.reader_endpoint();
    let second = Duration::from_secs(1);
    cluster.set_dns_ttl(&reader, second).expect("it exists");
    assert_eq!(answer_for(&cluster, &reader).ttl, second);
    let unknown = cluster.set_dns_ttl("example.org", second);
    assert!(matches!(unknown, Err(SimError::Refused(_))));
    cluster.stop().await;
}
