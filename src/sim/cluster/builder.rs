//! How a simulated cluster is described.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::id::{EngineKind, InstanceId};
use crate::sim::fault::Limits;
use crate::sim::volume::Origin;
use crate::sim::world::Timeline;

use super::tls::Tls;

/// Describes a simulated cluster and starts it; made by
/// [`SimCluster::builder`](super::SimCluster::builder).
///
/// ```
/// use aurora_driver::EngineKind;
/// use aurora_driver::sim::{SimCluster, Timeline};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = SimCluster::builder(EngineKind::MySql)
///     .cluster_id("shop")
///     .readers(2)
///     .timeline(Timeline::fast().scaled(0.5))
///     .user("app", "secret")
///     .database("shop")
///     .seed(7)
///     .start()
///     .await?;
/// assert_eq!(cluster.instances().len(), 3);
/// assert!(cluster.cluster_endpoint().starts_with("shop.cluster-"));
/// # cluster.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SimClusterBuilder {
    pub(super) engine: EngineKind,
    pub(super) readers: usize,
    pub(super) timeline: Timeline,
    pub(super) seed: u64,
    pub(super) cluster_id: String,
    pub(super) domain: Option<String>,
    pub(super) users: Vec<(String, String)>,
    pub(super) database: String,
    pub(super) port: u16,
    pub(super) dns_port: u16,
    pub(super) placed: Vec<(String, Ipv4Addr)>,
    pub(super) tiers: BTreeMap<InstanceId, u8>,
    pub(super) tls: Tls,
    pub(super) limits: Limits,
    pub(super) scram_iterations: Option<usize>,
    pub(super) backtrack_window: Option<Duration>,
    /// What the storage begins with, if it is not empty.
    pub(super) origin: Option<std::sync::Arc<Origin>>,
}

impl std::fmt::Debug for SimClusterBuilder {
    /// Leaves the passwords out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimClusterBuilder")
            .field("engine", &self.engine)
            .field("cluster_id", &self.cluster_id)
            .field("readers", &self.readers)
            .field("placed", &self.placed)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl SimClusterBuilder {
    pub(super) fn new(engine: EngineKind) -> Self {
        Self {
            engine,
            readers: 1,
            timeline: Timeline::default(),
            seed: 0,
            cluster_id: "demo".into(),
            domain: None,
            users: Vec::new(),
            database: "app".into(),
            port: 0,
            dns_port: 0,
            placed: Vec::new(),
            tiers: BTreeMap::new(),
            tls: Tls::Off,
            limits: Limits::default(),
            scram_iterations: None,
            backtrack_window: None,
            origin: None,
        }
    }

    /// How many readers the cluster starts with: 0 to 15, 1 if not set.
    #[must_use]
    pub fn readers(mut self, count: usize) -> Self {
        self.readers = count;
        self
    }

    /// How long the phases of a failover take; [`Timeline::fast`] if not set.
    #[must_use]
    pub fn timeline(mut self, timeline: Timeline) -> Self {
        self.timeline = timeline;
        self
    }

    /// What all random choices follow from: the same seed gives the same choices.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The first part of all names: letters, digits and hyphens; `demo` if not set.
    #[must_use]
    pub fn cluster_id(mut self, id: impl Into<String>) -> Self {
        self.cluster_id = id.into();
        self
    }

    /// The part that all names end in, in the shape `<account>.<region>.rds.amazonaws.com`;
    /// made from the seed if not set.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// A user who may log in. The first one is in the [`url`](super::SimCluster::url); `app` with the
    /// password `app` if none is set.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// The name of the one database; `app` if not set.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = name.into();
        self
    }

    /// The port of all instances. 0, the default, chooses a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The port of the DNS server on 127.0.0.1, for UDP and TCP. 0, the default, chooses a free one.
    #[must_use]
    pub fn dns_port(mut self, port: u16) -> Self {
        self.dns_port = port;
        self
    }

    /// Names and places an instance; the first one is the writer. Once there is one,
    /// [`readers`](Self::readers) no longer counts. The address must be in 127.0.0.0/8.
    #[must_use]
    pub fn instance(mut self, id: impl Into<String>, address: Ipv4Addr) -> Self {
        self.placed.push((id.into(), address));
        self
    }

    /// The promotion tier of an instance, 0 to 15; the lowest is promoted first. 1 if not set.
    #[must_use]
    pub fn promotion_tier(mut self, id: impl Into<InstanceId>, tier: u8) -> Self {
        self.tiers.insert(id.into(), tier);
        self
    }

    /// How many connections each instance serves at a time; further ones are turned away with
    /// MySQL's 1040 or PostgreSQL's 53300. At least 1; no limit but that of sockets (4096) if not
    /// set. Aurora's own depends on the instance class: 1000 for a MySQL `large`.
    ///
    /// PostgreSQL's reserved slots are not modelled: all of these are for any user.
    #[must_use]
    pub fn max_connections(mut self, count: usize) -> Self {
        self.limits.connections = Some(count);
        self
    }

    /// How long each login keeps an instance's one processor busy, so that a storm of logins
    /// queues; nothing if not set.
    #[must_use]
    pub fn login_cost(mut self, cost: Duration) -> Self {
        self.limits.login_cost = cost;
        self
    }

    /// How often a password is hashed at a login to PostgreSQL (SCRAM-SHA-256, RFC 5802), at least
    /// once. If not set, 4,096 times, as a server does; 128 times in unoptimised programs, where
    /// 4,096 take 0.2 s of a core on both sides. Some clients, such as JDBC's, accept no fewer than
    /// 4,096.
    #[must_use]
    pub fn scram_iterations(mut self, count: usize) -> Self {
        self.scram_iterations = Some(count.max(1));
        self
    }

    /// How many logins per second each instance begins; at least 1, any number if not set. Those
    /// in excess wait their turn, evenly spaced, and fail only if that outlasts the time that a
    /// login may take: 10 s for MySQL (`connect_timeout`), 60 s for PostgreSQL
    /// (`authentication_timeout`). Aurora advises fewer than 200 a second for IAM logins.
    #[must_use]
    pub fn login_rate(mut self, per_second: u32) -> Self {
        self.limits.logins_per_second = Some(per_second);
        self
    }

    /// How far back [`backtrack`](super::SimCluster::backtrack) can go; not at all if not set,
    /// which costs nothing. MySQL only.
    ///
    /// Within the window, some 64 states of the storage are held, and its write-ahead log grows
    /// by all that is written. Aurora's longest window is 72 hours.
    #[must_use]
    pub fn backtrack_window(mut self, window: Duration) -> Self {
        self.backtrack_window = Some(window);
        self
    }

    /// Whether the instances offer TLS; [`Tls::Off`] if not set. The certificate carries the
    /// cluster's names, and is signed by the authority of
    /// [`ca_pem`](super::SimCluster::ca_pem).
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }
}
