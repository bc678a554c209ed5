//! Zone answers, and one round through the sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use hickory_server::proto::op::ResponseCode;
use hickory_server::proto::rr::{Name, RecordType};
use tokio::net::UdpSocket;

use super::zone::Answer;
use super::*;
use crate::id::InstanceId;
use crate::sim::cluster::Names;
use crate::sim::world::Records;

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
    set(&mut zone, writer, readers, &[]);
    zone
}

/// Records with this writer and these readers; those that are down failed the health check.
fn set(zone: &mut Zone, writer: &str, readers: &[&str], down: &[&str]) {
    let readers: Vec<InstanceId> = readers.iter().map(InstanceId::new).collect();
    let mut instances: std::collections::BTreeSet<InstanceId> = readers.iter().cloned().collect();
    instances.insert(writer.into());
    let mut healthy = instances.clone();
    healthy.retain(|id| !down.contains(&id.as_str()));
    let records = Records {
        writer: Some(writer.into()),
        readers,
        instances,
        healthy,
    };
    zone.update(&records, address).expect("valid names");
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
fn records_of_other_types_do_not_exist_though_the_name_does() {
    let zone = zone("i-1", &[]);
    for kind in [RecordType::AAAA, RecordType::SRV, RecordType::TXT] {
        let name = "i-1.abc.us-east-1.rds.amazonaws.com.";
        let answer = ask(&zone, name, kind);
        assert_eq!(answer.code, ResponseCode::NoError, "{kind}");
        assert!(answer.records.is_empty(), "{kind}");
        let authority = answer.authority.expect("a start of authority");
        assert_eq!(authority.record_type(), RecordType::SOA, "{kind}");
    }
}

/// Who a custom endpoint with these members hands out, over several queries.
fn handed_out(
    kind: CustomEndpointKind,
    members: CustomEndpointMembers,
    writer: &str,
    readers: &[&str],
    down: &[&str],
) -> String {
    let mut zone = zone("i-1", &[]);
    let host = zone.add_custom("some", kind, members).expect("an endpoint");
    set(&mut zone, writer, readers, down);
    let mut all = std::collections::BTreeSet::new();
    for _ in 0..6 {
        let answer = ask(&zone, &format!("{host}."), RecordType::CNAME);
        all.extend(told(&answer).iter().map(|target| target[..3].to_owned()));
    }
    all.into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_custom_endpoint_hands_out_members_that_are_up_and_have_the_role() {
    use CustomEndpointKind::{Any, Reader, Writer};
    let fixed = |ids: &str| CustomEndpointMembers::fixed(ids.split(' '));
    let all_except = |ids: &str| CustomEndpointMembers::all_except(ids.split(' '));
    let (two, three) = (&["i-2", "i-3"][..], &["i-1", "i-3"][..]);
    for (kind, members, writer, readers, down, expected) in [
        (Any, fixed("i-1 i-2"), "i-1", two, &[][..], "i-1 i-2"),
        (Any, fixed("i-1 i-2"), "i-1", two, &["i-1"], "i-2"),
        (Any, all_except("i-2"), "i-1", two, &[], "i-1 i-3"),
        (Reader, fixed("i-2 i-3"), "i-1", two, &[], "i-2 i-3"),
        (Reader, fixed("i-2 i-3"), "i-1", two, &["i-3"], "i-2"),
        (Reader, fixed("i-2 i-3"), "i-2", three, &[], "i-3"),
        (Reader, fixed("i-2"), "i-2", three, &[], ""),
        (Reader, all_except("i-2"), "i-2", three, &[], "i-1 i-3"),
        (Writer, fixed("i-1 i-2"), "i-1", two, &[], "i-1"),
        (Writer, fixed("i-1 i-2"), "i-2", three, &[], "i-2"),
        (Writer, fixed("i-3"), "i-1", two, &[], ""),
    ] {
        let shown = format!("{kind:?} {members:?}, writer {writer}, down {down:?}");
        let all = handed_out(kind, members, writer, readers, down);
        assert_eq!(all, expected, "{shown}");
    }
}

#[test]
fn a_cluster_has_at_most_five_custom_endpoints_each_with_a_name_of_its_own() {
    let mut zone = zone("i-1", &[]);
    let add = |zone: &mut Zone, name: &str| {
        let members = CustomEndpointMembers::fixed(["i-1"]);
        zone.add_custom(name, CustomEndpointKind::Any, members)
    };
    for name in ["a", "b", "c", "d", "e"] {
        add(&mut zone, name).expect("an endpoint");
    }
    assert_eq!(add(&mut zone, "A"), Err(NameError::Taken("A".into())));
    assert_eq!(add(&mut zone, "f"), Err(NameError::TooMany));
    zone.remove_custom("b").expect("it is there");
    assert!(zone.remove_custom("b").is_err());
    add(&mut zone, "f").expect("an endpoint");
    let gone = "b.cluster-custom-abc.us-east-1.rds.amazonaws.com.";
    let answer = ask(&zone, gone, RecordType::A);
    assert_eq!(answer.code, ResponseCode::NXDomain);
}

#[test]
fn the_ttl_of_each_record_can_be_set() {
    let mut zone = zone("i-1", &["i-2"]);
    let reader = "demo.cluster-ro-abc.us-east-1.rds.amazonaws.com";
    zone.set_ttl(reader, Duration::from_millis(1500))
        .expect("a name of the cluster");
    let answer = ask(&zone, &format!("{reader}."), RecordType::A);
    let ttls: Vec<u32> = answer.records.iter().map(|record| record.ttl).collect();
    assert_eq!(ttls, [1, 5]);
    let unknown = zone.set_ttl("other.example.org", Duration::ZERO);
    assert!(matches!(unknown, Err(NameError::Unknown(_))));
}

#[test]
fn what_is_listed_is_what_is_answered_next() {
    let mut zone = zone("i-1", &["i-2", "i-3"]);
    let members = CustomEndpointMembers::all_except(["i-2"]);
    zone.add_custom("some", CustomEndpointKind::Any, members)
        .expect("an endpoint");
    for _ in 0..4 {
        let listed = zone.answers();
        assert_eq!(zone.answers(), listed, "asking takes nobody's turn");
        assert_eq!(listed.len(), 6);
        for one in listed {
            let answer = ask(&zone, &format!("{}.", one.name), RecordType::A);
            let target = one.target.map(|target| format!("{target}."));
            let address = one.address.map(|address| address.to_string());
            let expected: Vec<String> = target.into_iter().chain(address).collect();
            assert_eq!(told(&answer), expected, "{}", one.name);
        }
    }
}

#[tokio::test]
async fn hostile_packets_do_no_harm() {
    let shared = SharedZone::new(zone("i-1", &["i-2"]));
    let server = DnsServer::start(shared, 0).await.expect("a DNS server");
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    // Header: id 7, a query, one question.
    let header = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let with = |rest: &[u8]| [&header, rest].concat();
    let packets = [
        Vec::new(),
        vec![0; 3],
        vec![0xff; 512],
        header.to_vec(),
        // A name that points to itself, and one that is longer than the packet.
        with(&[0xc0, 12, 0, 1, 0, 1]),
        with(&[63, b'a', b'b']),
        // A response is not a query; neither is a notification.
        [
            &[0, 7, 0x81, 0, 0, 1, 0, 0, 0, 0, 0, 0][..],
            &[0, 0, 1, 0, 1],
        ]
        .concat(),
        [
            &[0, 7, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0][..],
            &[0, 0, 6, 0, 1],
        ]
        .concat(),
        // More questions than there are, and none at all.
        [
            &[0, 7, 1, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0][..],
            &[0, 0, 1, 0, 1],
        ]
        .concat(),
        vec![0, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        // The class CHAOS, and a transfer of the zone.
        with(&[0, 0, 1, 0, 3]),
        with(&[0, 0, 252, 0, 1]),
    ];
    for seed in 0..200_u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut packet = packets[random.usize(..packets.len())].clone();
        packet.resize_with(packet.len() + random.usize(..40), || random.u8(..));
        let _ = socket.send_to(&packet, server.address()).await;
    }
    for packet in &packets {
        let _ = socket.send_to(packet, server.address()).await;
    }
    let resolver = resolver(server.address(), false);
    let answer = resolver.lookup_ip("i-1.abc.us-east-1.rds.amazonaws.com.");
    let answer = answer.await.expect("it still answers");
    assert_eq!(answer.iter().count(), 1);
    server.stop().await;
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
    let shared = SharedZone::new(zone("i-1", &["i-2"]));
    let server = DnsServer::start(shared.clone(), 0)
        .await
        .expect("a DNS server");
    let endpoint = "demo.cluster-abc.us-east-1.rds.amazonaws.com.";
    for over_tcp in [false, true] {
        *shared.write() = zone("i-1", &["i-2"]);
        let resolver = resolver(server.address(), over_tcp);
        let lookup = async || {
            let answer = resolver.lookup_ip(endpoint).await.expect("an answer");
            answer.iter().next().expect("an address").to_string()
        };
        assert_eq!(lookup().await, "127.9.9.1");
        *shared.write() = zone("i-2", &["i-1"]);
        assert_eq!(lookup().await, "127.9.9.2");
        let missing = resolver
            .lookup_ip("i-9.abc.us-east-1.rds.amazonaws.com.")
            .await;
        assert!(missing.is_err_and(|error| error.is_nx_domain()));
    }
    server.stop().await;
}
