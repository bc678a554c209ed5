//! The simulated cluster as clients meet it that know nothing of it: plain drivers, a resolver,
//! SQL.

mod faults;
mod hostile;
mod mysql;
mod postgres;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aurora_driver::sim::{ClusterState, SimCluster, SimClusterBuilder};
use aurora_driver::{EngineKind, InstanceId};
use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what)
        .await
        .expect("it happens in time")
}

fn builder(engine: EngineKind) -> SimClusterBuilder {
    SimCluster::builder(engine).readers(2).seed(1)
}

async fn start(engine: EngineKind) -> SimCluster {
    builder(engine).start().await.expect("the cluster starts")
}

/// The name and address of one instance.
fn place(cluster: &SimCluster, id: &InstanceId) -> (String, Ipv4Addr) {
    let address = cluster.address_of(id).expect("an address");
    (cluster.instance_endpoint(id), address)
}

/// The address that a name of the cluster leads to now.
async fn resolve(cluster: &SimCluster, name: &str) -> Ipv4Addr {
    let server: SocketAddr = cluster.dns_address();
    let mut connection = ConnectionConfig::udp();
    connection.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    let resolver = builder.build().expect("a resolver");
    let answer = within(resolver.lookup(format!("{name}."), RecordType::A))
        .await
        .expect("an answer");
    answer
        .answers()
        .iter()
        .find_map(|record| match &record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        })
        .expect("an address")
}

async fn wait(cluster: &SimCluster, condition: impl FnMut(&ClusterState) -> bool) {
    within(cluster.wait_for(condition)).await;
}

/// How often each number was inserted according to the ledger, which holds what was committed.
fn applied(cluster: &SimCluster, number: i64) -> usize {
    let entries = cluster.ledger().expect("the ledger can be read");
    entries
        .iter()
        .filter(|entry| entry.statement.starts_with("INSERT INTO numbers"))
        .filter(|entry| entry.parameters.first().and_then(|it| it.as_i64()) == Some(number))
        .count()
}
