use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_resolver::lookup::Lookup as HickoryLookup;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Header, HeaderCounts, Metadata, ResponseCode};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::UdpSocket;

use super::*;

const CLUSTER: &str = "demo.cluster-abc123.eu-west-1.rds.amazonaws.com";
const INSTANCE_1: &str = "instance-1.abc123.eu-west-1.rds.amazonaws.com";
const INSTANCE_2: &str = "instance-2.abc123.eu-west-1.rds.amazonaws.com";
/// Far longer than any cap.
const TTL_SECONDS: u32 = 3600;
/// So generous that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a server treats its queries.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Answers,
    Fails,
    Silent,
}

#[derive(Debug)]
struct Zone {
    mood: Mood,
    records: BTreeMap<String, Vec<RData>>,
    queries: Vec<String>,
}

#[derive(Debug, Clone)]
struct Handler(Arc<Mutex<Zone>>);

/// A DNS server on 127.0.0.1 with records that a test may change.
struct TestServer {
    zone: Arc<Mutex<Zone>>,
    address: SocketAddr,
    _server: Server<Handler>,
}

impl TestServer {
    async fn start() -> Self {
        let zone = Arc::new(Mutex::new(Zone {
            mood: Mood::Answers,
            records: BTreeMap::new(),
            queries: Vec::new(),
        }));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut server = Server::new(Handler(Arc::clone(&zone)));
        server.register_socket(socket);
        let server = Self {
            zone,
            address,
            _server: server,
        };
        server.set(INSTANCE_1, [v4(1)]);
        server.set(INSTANCE_2, [v4(2)]);
        server.set(CLUSTER, [alias(INSTANCE_1)]);
        server
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().unwrap()
    }

    fn set<const N: usize>(&self, name: &str, records: [RData; N]) {
        let name = format!("{name}.");
        self.zone().records.insert(name, records.into());
    }

    fn remove(&self, name: &str) {
        self.zone().records.remove(&format!("{name}."));
    }

    fn becomes(&self, mood: Mood) {
        self.zone().mood = mood;
    }

    fn queries(&self) -> usize {
        self.zone().queries.len()
    }

    fn resolver(&self, max_ttl: Duration) -> Resolver {
        Resolver::from_parts(Some(self.address), max_ttl)
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let query = request.request_info().unwrap().query;
        let (name, kind) = (query.original().name().clone(), query.query_type());
        let (mood, records) = {
            let mut zone = self.0.lock().unwrap();
            zone.queries.push(format!("{name} {kind}"));
            (zone.mood, zone.answer(&name, kind))
        };
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = match (mood, &records) {
            (Mood::Fails, _) => ResponseCode::ServFail,
            (_, None) => ResponseCode::NXDomain,
            (_, Some(_)) => ResponseCode::NoError,
        };
        let records = match mood {
            Mood::Answers => records.unwrap_or_default(),
            Mood::Fails | Mood::Silent => Vec::new(),
        };
        let builder = MessageResponseBuilder::from_message_request(request);
        let response = builder.build(metadata, &records, &[], &[], &[]);
        if mood != Mood::Silent
            && let Ok(info) = response_handle.send_response(response).await
        {
            return info;
        }
        ResponseInfo::from(Header {
            metadata,
            counts: HeaderCounts::default(),
        })
    }
}

impl Zone {
    /// The records for a name, aliases followed; `None` where there is no such name.
    fn answer(&self, name: &Name, kind: RecordType) -> Option<Vec<Record>> {
        let mut name = name.to_lowercase();
        let mut answer = Vec::new();
        loop {
            let records = self.records.get(&name.to_ascii())?;
            let record = |data: &RData| Record::from_rdata(name.clone(), TTL_SECONDS, data.clone());
            let fitting = records.iter().filter(|data| data.record_type() == kind);
            answer.extend(fitting.map(record));
            let Some(RData::CNAME(CNAME(target))) = records.first() else {
                return Some(answer);
            };
            answer.push(record(&records[0]));
            name = target.clone();
        }
    }
}

fn v4(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(10, 0, 0, last)))
}

fn v6(last: u16) -> RData {
    RData::AAAA(AAAA(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last)))
}

fn alias(target: &str) -> RData {
    RData::CNAME(CNAME(Name::from_ascii(format!("{target}.")).unwrap()))
}

fn addresses(lookup: &Lookup) -> Vec<String> {
    lookup.addresses.iter().map(IpAddr::to_string).collect()
}

fn hosts_file(entries: &[(&str, [u8; 4])]) -> Hosts {
    let mut hosts = Hosts::default();
    for (name, address) in entries {
        let name = Name::from_ascii(format!("{name}.")).unwrap();
        let query = Query::query(name.clone(), RecordType::A);
        let data = RData::A(A(Ipv4Addr::from(*address)));
        hosts.insert(name, RecordType::A, HickoryLookup::from_rdata(query, data));
    }
    hosts
}

/// Repeats a look-up until it gives what is wanted.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = time::now() + PATIENCE;
    while !holds().await {
        assert!(time::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn literal_addresses_need_no_server() {
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let resolver = Resolver::from_parts(Some(nobody), Duration::ZERO);
    for (host, address) in [
        ("127.0.0.2", "127.0.0.2"),
        ("::1", "::1"),
        ("[FD00::7]", "fd00::7"),
    ] {
        let found = resolver.lookup(host).await.unwrap();
        assert_eq!(addresses(&found), [address]);
        assert_eq!((found.canonical, found.stale), (None, false));
    }
}

#[tokio::test]
async fn a_cluster_name_leads_to_the_address_and_the_name_of_an_instance() {
    let server = TestServer::start().await;
    let resolver = server.resolver(Duration::from_secs(5));
    let found = resolver.lookup(CLUSTER).await.unwrap();
    assert_eq!(addresses(&found), ["10.0.0.1"]);
    assert_eq!(found.canonical.as_deref(), Some(INSTANCE_1));
    assert!(!found.stale);
}

#[tokio::test]
async fn an_answer_is_remembered_whatever_the_spelling_of_the_name() {
    let server = TestServer::start().await;
    let resolver = server.resolver(Duration::from_secs(3600));
    resolver.lookup(CLUSTER).await.unwrap();
    let asked = server.queries();
    server.set(CLUSTER, [alias(INSTANCE_2)]);
    for spelling in [
        CLUSTER.to_owned(),
        CLUSTER.to_ascii_uppercase(),
        format!("{CLUSTER}."),
    ] {
        let found = resolver.clone().lookup(&spelling).await.unwrap();
        assert_eq!(addresses(&found), ["10.0.0.1"]);
    }
    assert_eq!(server.queries(), asked);
}

#[tokio::test]
async fn a_flip_is_seen_after_the_cap_though_the_record_lives_for_an_hour() {
    let server = TestServer::start().await;
    let cap = Duration::from_millis(200);
    let resolver = server.resolver(cap);
    let begun = time::now();
    resolver.lookup(CLUSTER).await.unwrap();
    server.set(CLUSTER, [alias(INSTANCE_2)]);
    until("the new writer's address", async || {
        addresses(&resolver.lookup(CLUSTER).await.unwrap()) == ["10.0.0.2"]
    })
    .await;
    assert!(time::now() - begun >= cap, "the first answer was kept");
    let found = resolver.lookup(CLUSTER).await.unwrap();
    assert_eq!(found.canonical.as_deref(), Some(INSTANCE_2));
}

#[tokio::test]
async fn a_name_that_is_asked_anew_is_asked_each_time_and_its_records_say_for_how_long_they_live() {
    let server = TestServer::start().await;
    let resolver = server.resolver(Duration::from_secs(5));
    for (target, address) in [(INSTANCE_1, "10.0.0.1"), (INSTANCE_2, "10.0.0.2")] {
        server.set(CLUSTER, [alias(target)]);
        let (found, lives) = resolver.ask_anew(CLUSTER).await.unwrap();
        assert_eq!(addresses(&found), [address]);
        assert_eq!(found.canonical.as_deref(), Some(target));
        assert_eq!(lives, Duration::from_secs(3600), "beyond the cap");
    }
    server.remove(CLUSTER);
    let message = resolver.ask_anew(CLUSTER).await.unwrap_err().to_string();
    assert!(message.contains("does not exist"), "{message}");
}

#[test]
fn the_servers_time_to_live_counts_within_our_bounds() {
    let capped = Resolver::from_parts(None, Duration::from_secs(5)).0;
    let ttl = |seconds| capped.ttl(seconds, capped.max_ttl);
    assert_eq!(ttl(3600), Duration::from_secs(5));
    assert_eq!(ttl(2), Duration::from_secs(2));
    assert_eq!(ttl(0), DNS_MIN_TTL);
    assert_eq!(capped.ttl(60, DNS_MAX_NEGATIVE_TTL), DNS_MAX_NEGATIVE_TTL);
    let never = Resolver::from_parts(None, Duration::ZERO).0;
    assert_eq!(never.ttl(60, DNS_MAX_NEGATIVE_TTL), Duration::ZERO);
}

#[tokio::test]
async fn ipv4_is_preferred_and_ipv6_used_where_there_is_nothing_else() {
    let server = TestServer::start().await;
    server.set("both.example", [v6(1), v4(8), v4(9)]);
    server.set("six.example", [v6(1), v6(2)]);
    let resolver = server.resolver(Duration::ZERO);
    let both = resolver.lookup("both.example").await.unwrap();
    assert_eq!(addresses(&both), ["10.0.0.8", "10.0.0.9"]);
    let six = resolver.lookup("six.example").await.unwrap();
    assert_eq!(addresses(&six), ["fd00::1", "fd00::2"]);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_error_that_says_so_and_is_found_once_it_does() {
    let server = TestServer::start().await;
    server.remove(INSTANCE_2);
    let resolver = server.resolver(Duration::from_secs(5));
    let error = resolver.lookup(INSTANCE_2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Resolve);
    let message = error.to_string();
    for needle in [INSTANCE_2, &server.address.to_string(), "does not exist"] {
        assert!(message.contains(needle), "{message}");
    }
    server.set(INSTANCE_2, [v4(2)]);
    until("the new instance's name", async || {
        resolver.lookup(INSTANCE_2).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_name_without_addresses_is_told_from_one_that_does_not_exist() {
    let server = TestServer::start().await;
    server.set("empty.example", []);
    let resolver = server.resolver(Duration::ZERO);
    let message = resolver.lookup("empty.example").await.unwrap_err();
    assert!(message.to_string().contains("neither an IPv4"), "{message}");
}

#[tokio::test]
async fn what_is_no_host_name_is_refused_without_a_query() {
    let server = TestServer::start().await;
    let resolver = server.resolver(Duration::ZERO);
    let error = resolver.lookup("not a name").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(server.queries(), 0);
}

#[tokio::test]
async fn the_last_known_addresses_are_used_while_no_server_answers() {
    let server = TestServer::start().await;
    let resolver = server.resolver(Duration::ZERO);
    resolver.lookup(CLUSTER).await.unwrap();
    for mood in [Mood::Silent, Mood::Fails] {
        server.becomes(mood);
        until("a stale answer", async || {
            let found = resolver.lookup(CLUSTER).await.unwrap();
            assert_eq!(addresses(&found), ["10.0.0.1"], "{mood:?}");
            found.stale
        })
        .await;
        server.becomes(Mood::Answers);
        until("a fresh answer", async || {
            !resolver.lookup(CLUSTER).await.unwrap().stale
        })
        .await;
    }
}

#[tokio::test]
async fn a_dead_server_is_as_good_as_a_silent_one() {
    let server = TestServer::start().await;
    let resolver = server.resolver(Duration::ZERO);
    resolver.lookup(CLUSTER).await.unwrap();
    drop(server);
    let found = tokio::time::timeout(PATIENCE, resolver.lookup(CLUSTER));
    let found = found.await.expect("no hang").unwrap();
    assert_eq!(addresses(&found), ["10.0.0.1"]);
    assert!(found.stale);
}

#[tokio::test]
async fn the_servers_word_that_a_name_is_gone_ends_the_use_of_its_addresses() {
    let server = TestServer::start().await;
    let resolver = server.resolver(Duration::ZERO);
    resolver.lookup(INSTANCE_2).await.unwrap();
    server.remove(INSTANCE_2);
    assert!(resolver.lookup(INSTANCE_2).await.is_err());
    server.becomes(Mood::Fails);
    assert!(resolver.lookup(INSTANCE_2).await.is_err());
}

#[tokio::test]
async fn an_unknown_name_and_a_silent_server_make_an_error_with_the_next_step_in_time() {
    let server = TestServer::start().await;
    server.becomes(Mood::Silent);
    let resolver = server.resolver(Duration::from_secs(5));
    let begun = time::now();
    let error = resolver.lookup(CLUSTER).await.unwrap_err();
    assert!(time::now() - begun < DNS_LOOKUP_TIMEOUT * 3);
    assert_eq!(error.kind(), ErrorKind::Resolve);
    let message = error.to_string();
    for needle in [CLUSTER, &server.address.to_string(), "dns=ip:port"] {
        assert!(message.contains(needle), "{message}");
    }
}

#[tokio::test]
async fn a_lookup_dropped_half_way_leaves_nothing_behind() {
    let server = TestServer::start().await;
    server.becomes(Mood::Silent);
    let resolver = server.resolver(Duration::ZERO);
    {
        let mut lookup = std::pin::pin!(resolver.lookup(CLUSTER));
        until("the query to arrive", async || {
            assert!(futures_util::poll!(&mut lookup).is_pending());
            server.queries() > 0
        })
        .await;
    }
    server.becomes(Mood::Answers);
    let found = resolver.lookup(CLUSTER).await.unwrap();
    assert_eq!(addresses(&found), ["10.0.0.1"]);
}

#[tokio::test]
async fn the_hosts_file_counts_for_foreign_names_and_not_for_rds_names_of_a_given_server() {
    let server = TestServer::start().await;
    server.set("db.example", [v4(9)]);
    let entries = [("db.example", [192, 0, 2, 1]), (INSTANCE_1, [192, 0, 2, 2])];

    let given = server.resolver(Duration::ZERO);
    given.0.hosts.set(hosts_file(&entries)).unwrap();
    let foreign = given.lookup("db.example").await.unwrap();
    assert_eq!(addresses(&foreign), ["192.0.2.1"]);
    let rds = given.lookup(INSTANCE_1).await.unwrap();
    assert_eq!(addresses(&rds), ["10.0.0.1"]);

    let system = Resolver::from_parts(None, Duration::ZERO);
    system.0.hosts.set(hosts_file(&entries)).unwrap();
    let rds = system.lookup(INSTANCE_1).await.unwrap();
    assert_eq!(addresses(&rds), ["192.0.2.2"]);
}

#[tokio::test]
async fn names_of_rds_are_asked_for_as_they_are() {
    let server = TestServer::start().await;
    let resolver = server.resolver(Duration::ZERO);
    resolver.lookup(INSTANCE_1).await.unwrap();
    assert_eq!(server.zone().queries, [format!("{INSTANCE_1}. A")]);
}
