//! Zone answers, and one round through the sockets.

use std::net::Ipv4Addr;

use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use super::*;

fn names() -> Names {
    Names::new("demo", "abc.us-east-1.rds.amazonaws.com")
}

fn address(id: &InstanceId) -> Option<Ipv4Addr> {
    match id.as_str() {
        "i-1" => Some(Ipv4Addr::new(127, 9, 9, 1)),
        "i-2" => Some(Ipv4Addr::new(127, 9, 9, 2)),
        "i-3" => Some(Ipv4Addr::new(127, 9, 9, 3)),
        _ => None,
    }
}

fn zone(writer: &str, readers: &[&str]) -> Zone {
    let mut zone = Zone::new(&names()).expect("valid names");
    let readers: Vec<InstanceId> = readers.iter().map(InstanceId::new).collect();
    let mut instances: std::collections::BTreeSet<InstanceId> = readers.iter().cloned().collect();
    instances.insert(writer.into());
    let records = Records {
        writer: Some(writer.into()),
        readers,
        instances,
    };
    zone.update(&names(), &records, address)
        .expect("valid names");
    zone
}

fn ask(zone: &Zone, name: &str, kind: RecordType) -> Answer {
    zone.answer(&Name::from_str(name).expect("a name"), kind)
}

/// Alias targets and addresses of an answer, in order.
fn told(answer: &Answer) -> Vec<String> {
    answer
        .records
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

#[test]
fn the_cluster_endpoint_is_an_alias_of_the_writer() {
    let zone = zone("i-1", &["i-2"]);
    let name = "demo.cluster-abc.us-east-1.rds.amazonaws.com.";
    let answer = ask(&zone, name, RecordType::A);
    assert_eq!(
        told(&answer),
        ["i-1.abc.us-east-1.rds.amazonaws.com.", "127.9.9.1"]
    );
    assert!(answer.records.iter().all(|record| record.ttl == 5));
    let alias = ask(&zone, name, RecordType::CNAME);
    assert_eq!(told(&alias), ["i-1.abc.us-east-1.rds.amazonaws.com."]);
}

#[test]
fn names_are_found_whatever_their_case() {
    let zone = zone("i-1", &[]);
    let answer = ask(
        &zone,
        "DEMO.Cluster-abc.us-east-1.RDS.amazonaws.com.",
        RecordType::A,
    );
    assert_eq!(told(&answer).len(), 2);
}

#[test]
fn the_reader_endpoint_names_one_reader_after_the_other() {
    let zone = zone("i-1", &["i-2", "i-3"]);
    let next = || {
        let name = "demo.cluster-ro-abc.us-east-1.rds.amazonaws.com.";
        told(&ask(&zone, name, RecordType::A)).pop()
    };
    let first = next();
    let second = next();
    assert_ne!(first, second);
    assert_eq!(next(), first);
}

#[test]
fn without_readers_the_reader_endpoint_leads_to_the_writer() {
    let zone = zone("i-1", &[]);
    let name = "demo.cluster-ro-abc.us-east-1.rds.amazonaws.com.";
    assert_eq!(
        told(&ask(&zone, name, RecordType::A)).pop().as_deref(),
        Some("127.9.9.1")
    );
}

#[test]
fn unknown_names_do_not_exist_and_foreign_ones_are_refused() {
    let zone = zone("i-1", &["i-2"]);
    let gone = ask(&zone, "i-3.abc.us-east-1.rds.amazonaws.com.", RecordType::A);
    assert_eq!(gone.code, ResponseCode::NXDomain);
    assert!(gone.authority.is_some());
    let foreign = ask(&zone, "example.org.", RecordType::A);
    assert_eq!(foreign.code, ResponseCode::Refused);
}

#[test]
fn an_instance_has_no_address_of_the_other_kind() {
    let zone = zone("i-1", &[]);
    let answer = ask(
        &zone,
        "i-1.abc.us-east-1.rds.amazonaws.com.",
        RecordType::AAAA,
    );
    assert_eq!(answer.code, ResponseCode::NoError);
    assert!(answer.records.is_empty());
    assert!(answer.authority.is_some());
}

fn resolver(address: SocketAddr, over_tcp: bool) -> Resolver<TokioRuntimeProvider> {
    let mut connection = if over_tcp {
        ConnectionConfig::tcp()
    } else {
        ConnectionConfig::udp()
    };
    connection.port = address.port();
    let server = NameServerConfig::new(address.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    builder.build().expect("a resolver")
}

#[tokio::test]
async fn a_resolver_sees_changes_over_udp_and_tcp() {
    let shared: SharedZone = Arc::new(RwLock::new(zone("i-1", &["i-2"])));
    let server = DnsServer::start(Arc::clone(&shared), 0)
        .await
        .expect("a DNS server");
    let endpoint = "demo.cluster-abc.us-east-1.rds.amazonaws.com.";
    for over_tcp in [false, true] {
        *shared.write().expect("no panic") = zone("i-1", &["i-2"]);
        let resolver = resolver(server.address(), over_tcp);
        let lookup = async || {
            let answer = resolver.lookup_ip(endpoint).await.expect("an answer");
            answer.iter().next().expect("an address").to_string()
        };
        assert_eq!(lookup().await, "127.9.9.1");
        *shared.write().expect("no panic") = zone("i-2", &["i-1"]);
        assert_eq!(lookup().await, "127.9.9.2");
        let missing = resolver
            .lookup_ip("i-9.abc.us-east-1.rds.amazonaws.com.")
            .await;
        assert!(missing.is_err_and(|error| error.is_nx_domain()));
    }
    server.stop().await;
}
