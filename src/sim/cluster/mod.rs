//! The running cluster: the world's decisions carried out with sockets, DNS and tasks.
//!
//! | file | idea |
//! |---|---|
//! | `builder` | how a cluster is described |
//! | `start` | from the description to a running cluster |
//! | `operations` | what can be done to it, and waited for |
//! | `play` | timeline files |
//! | `clone` | a second cluster on a copy of the storage |
//! | `backtrack` | the way back to an earlier state |
//! | `replication` | readers that lag |
//! | `shell` | carries out what the world decides |
//! | `machines` | the sockets, boots and counters of the instances |
//! | `listener` | one instance's listening socket |
//! | `listeners` | what an instance does with connections, by request |
//! | `boot` | one boot of one instance, as its sessions see it |
//! | `endpoints` | custom endpoints, and what the DNS says |
//! | `names`, `address` | the names and places of the instances |
//! | `tls` | its certificate |
//! | `state` | what can be asked of it |
//! | `storage` | what the shared storage holds |
//!
//! Not here: what happens when and why (`sim::world`), the wire protocols (`sim::front`).

mod address;
mod backtrack;
mod boot;
mod builder;
mod clone;
mod endpoints;
mod error;
mod faults;
mod listener;
mod listeners;
mod machines;
mod names;
mod operations;
mod orders;
mod play;
mod replication;
mod shell;
mod start;
mod state;
mod storage;
mod tls;

#[cfg(test)]
mod tests;

pub(crate) use boot::Clock;
pub use builder::SimClusterBuilder;
pub use error::SimError;
pub(crate) use names::Names;
pub use play::Playback;
pub use state::{ClusterState, Counters, InstanceStatus, Promotion};
pub use tls::Tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{EngineKind, InstanceId};
use crate::sim::dns::DnsServer;
use crate::sim::world::ClusterEvent;

use shell::Shared;
use tls::Identity;

/// An Aurora-like cluster inside the process: real sockets, both wire protocols, its own DNS.
///
/// It runs in the tokio runtime in which it was started, and ends when it is dropped.
///
/// ```
/// use aurora_driver::EngineKind;
/// use aurora_driver::sim::SimCluster;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = SimCluster::builder(EngineKind::Postgres)
///     .readers(2)
///     .start()
///     .await?;
/// println!("point your application at {}", cluster.url());
///
/// let first = cluster.writer().ok_or("no writer")?;
/// cluster.crash(&first)?;
/// let promotion = cluster.failover_finished().await.ok_or("nobody was promoted")?;
/// assert_ne!(promotion.instance, first);
///
/// // The old writer comes back as a reader.
/// cluster.wait_for(|state| state.readers().count() == 2).await;
/// cluster.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct SimCluster {
    shared: Arc<Shared>,
    dns: Option<DnsServer>,
    dns_address: SocketAddr,
    user: String,
    password: String,
}

impl std::fmt::Debug for SimCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimCluster")
            .field("cluster_endpoint", &self.cluster_endpoint())
            .field("port", &self.port())
            .field("dns", &self.dns_address)
            .field("state", &*self.shared.state.borrow())
            .finish_non_exhaustive()
    }
}

impl SimCluster {
    /// Begins to describe a cluster.
    pub fn builder(engine: EngineKind) -> SimClusterBuilder {
        SimClusterBuilder::new(engine)
    }

    fn new(shared: Arc<Shared>, dns: DnsServer, user: String, password: String) -> Self {
        Self {
            shared,
            dns_address: dns.address(),
            dns: Some(dns),
            user,
            password,
        }
    }

    /// A URL of the cluster endpoint that this crate's driver takes as it is. Its `dns` parameter
    /// names the cluster's own DNS server.
    pub fn url(&self) -> String {
        let scheme = self.engine().name();
        let mut url = format!(
            "{scheme}://{}:{}/{}?dns={}",
            self.cluster_endpoint(),
            self.port(),
            escape(&self.shared.users.database),
            self.dns_address,
        );
        match &self.shared.identity {
            None => url.push_str("&sslmode=disable"),
            Some(identity) => {
                let file = identity.file().to_string_lossy();
                url.push_str("&sslmode=verify-full&sslrootcert=");
                // A slash may stand in a query as it is (RFC 3986, section 3.4).
                url.push_str(&escape(&file).replace("%2F", "/"));
            }
        }
        let user = format!("{}:{}@", escape(&self.user), escape(&self.password));
        url.insert_str(scheme.len() + "://".len(), &user);
        url
    }

    /// The engine that the cluster runs.
    pub fn engine(&self) -> EngineKind {
        self.shared.engine
    }

    /// The name that leads to the writer: `<cluster>.cluster-<account>.<region>...`.
    pub fn cluster_endpoint(&self) -> String {
        self.shared.names.cluster_endpoint()
    }

    /// The name that leads to the readers in turn: `<cluster>.cluster-ro-<account>...`.
    pub fn reader_endpoint(&self) -> String {
        self.shared.names.reader_endpoint()
    }

    /// The name of one instance, whether it exists or not.
    pub fn instance_endpoint(&self, id: impl Into<InstanceId>) -> String {
        self.shared.names.instance_endpoint(&id.into())
    }

    /// The address of one instance; it keeps it when it is down, and when it is gone.
    pub fn address_of(&self, id: impl Into<InstanceId>) -> Option<Ipv4Addr> {
        self.shared.machines().addresses.of(&id.into())
    }

    /// The port of all instances.
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// Where the cluster's DNS server answers, over UDP and TCP.
    pub fn dns_address(&self) -> SocketAddr {
        self.dns_address
    }

    /// The certificate of the authority that vouches for the instances, in PEM; none without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        let identity = self.shared.identity.as_ref()?;
        Some(&identity.authority_pem)
    }

    /// A file with [`ca_pem`](Self::ca_pem) in it, which lives as long as the cluster.
    pub fn ca_file(&self) -> Option<&Path> {
        self.shared.identity.as_ref().map(Identity::file)
    }

    /// The name of the first user, as in [`url`](Self::url).
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password of the first user, as in [`url`](Self::url).
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The name of the one database.
    pub fn database(&self) -> &str {
        &self.shared.users.database
    }

    /// The cluster as it is now.
    pub fn state(&self) -> ClusterState {
        self.shared.snapshot(&self.shared.machines())
    }

    /// All instances, by name.
    pub fn instances(&self) -> Vec<InstanceStatus> {
        self.state().instances
    }

    /// The instance that takes writes; none during a failover.
    pub fn writer(&self) -> Option<InstanceId> {
        self.shared.state.borrow().writer.clone()
    }

    /// The readers that accept connections, by name.
    pub fn readers(&self) -> Vec<InstanceId> {
        let state = self.shared.state.borrow();
        state.readers().map(|reader| reader.id.clone()).collect()
    }

    /// The time since the cluster started.
    pub fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    /// What RDS would have published as events, oldest first; the last 10,000.
    pub fn events(&self) -> Vec<ClusterEvent> {
        self.shared.machines().events.iter().cloned().collect()
    }

    /// The last promotion, if there was one.
    pub fn last_promotion(&self) -> Option<Promotion> {
        self.shared.machines().last_promotion.clone()
    }

    /// What an instance has been asked; none if there never was such an instance.
    pub fn counters(&self, id: impl Into<InstanceId>) -> Option<Counters> {
        self.shared.machines().counters(&id.into())
    }

    /// Ends the cluster, and waits until all its sockets and tasks are gone.
    pub async fn stop(mut self) {
        self.shared.shut_down();
        if let Some(dns) = self.dns.take() {
            dns.stop().await;
        }
        self.shared.serving.tasks.wait().await;
    }
}

impl Drop for SimCluster {
    fn drop(&mut self) {
        self.shared.shut_down();
    }
}

/// Percent-encodes what may not stand in a URL's user, password or path (RFC 3986, section 2.3).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
