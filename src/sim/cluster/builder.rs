//! How a simulated cluster is described and started.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, RwLock};

use socket2::Socket;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::id::{EngineKind, InstanceId};
use crate::sim::dns::{DnsServer, Zone};
use crate::sim::front::Users;
use crate::sim::volume::Volume;
use crate::sim::world::{DEFAULT_TIER, Placement, READERS_MAX, Timeline, World, WorldOptions};

use super::SimCluster;
use super::address::Addresses;
use super::boot::Clock;
use super::error::SimError;
use super::listener::{self, Serving};
use super::names::{Names, is_label};
use super::shell::{Machines, Shared};
use super::state::ClusterState;
use super::tls::{Identity, Tls};

/// How many blocks of addresses are tried.
const BLOCK_ATTEMPTS: u64 = 16;

/// The highest promotion tier.
const TIER_MAX: u8 = 15;

/// Describes a simulated cluster and starts it; made by [`SimCluster::builder`].
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
    engine: EngineKind,
    readers: usize,
    timeline: Timeline,
    seed: u64,
    cluster_id: String,
    domain: Option<String>,
    users: Vec<(String, String)>,
    database: String,
    port: u16,
    placed: Vec<(String, Ipv4Addr)>,
    tiers: BTreeMap<InstanceId, u8>,
    tls: Tls,
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
            placed: Vec::new(),
            tiers: BTreeMap::new(),
            tls: Tls::Off,
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

    /// A user who may log in. The first one is in the [`url`](SimCluster::url); `app` with the
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

    /// Whether the instances offer TLS; [`Tls::Off`] if not set. The certificate carries the
    /// cluster's names, and is signed by the authority of
    /// [`ca_pem`](SimCluster::ca_pem).
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Starts the cluster in the runtime of the caller. All instances accept connections when it
    /// returns.
    ///
    /// # Errors
    ///
    /// A value that cannot be used, or no address to listen on.
    pub async fn start(self) -> Result<SimCluster, SimError> {
        self.check()?;
        let domain = self.domain.clone();
        let names = Names::new(
            &self.cluster_id,
            &domain.unwrap_or_else(|| Names::domain_of(self.seed)),
        );
        let setup = |what| move |source| SimError::Setup { what, source };
        let zone = Zone::new(&names).map_err(setup("DNS names"))?;
        let zone = Arc::new(RwLock::new(zone));
        let volume = Volume::create().map_err(setup("storage"))?;
        let ids = self.ids();
        let (addresses, port, reserved) = self.reserve(&ids)?;
        let identity = match self.tls {
            Tls::Off => None,
            Tls::Optional => {
                let places: Vec<IpAddr> = reserved.keys().copied().map(IpAddr::V4).collect();
                Some(Identity::issue(&names, &places).map_err(setup("certificate"))?)
            }
        };
        let dns = DnsServer::start(Arc::clone(&zone))
            .await
            .map_err(setup("DNS server"))?;
        let clock = Clock::start();
        let world = World::new(WorldOptions {
            engine: self.engine,
            timeline: self.timeline.clone(),
            seed: self.seed,
            cluster_id: names.cluster_id().to_owned(),
            epoch_micros: clock.epoch_micros,
            placements: self.placements(ids),
        });
        let (state, _) = watch::channel(ClusterState {
            epoch: 0,
            writer: None,
            failing_over: false,
            instances: Vec::new(),
        });
        let shared = Arc::new(Shared {
            engine: self.engine,
            names,
            port,
            clock,
            volume: Arc::new(volume),
            users: Arc::new(self.logins()),
            identity,
            zone,
            serving: Serving {
                engine: self.engine,
                tasks: TaskTracker::new(),
                stopped: CancellationToken::new(),
            },
            runtime: tokio::runtime::Handle::current(),
            changed: Notify::new(),
            state,
            world: Arc::new(Mutex::new(world)),
            machines: Mutex::new(Machines {
                addresses,
                reserved,
                instances: BTreeMap::new(),
                events: VecDeque::new(),
                last_promotion: None,
                unopened: Vec::new(),
            }),
        });
        shared.tick();
        let clock_task = Arc::clone(&shared).run_clock();
        shared.serving.tasks.spawn(clock_task);
        let (user, password) = self.first_user();
        Ok(SimCluster::new(shared, dns, user, password))
    }

    fn check(&self) -> Result<(), SimError> {
        let refuse = |message: String| Err(SimError::Config(message));
        if self.readers > READERS_MAX {
            return refuse(format!(
                "{} readers: a cluster has at most {READERS_MAX}",
                self.readers
            ));
        }
        if !is_label(&self.cluster_id) {
            return refuse(format!(
                "cluster id `{}`: use at most 50 letters, digits and hyphens",
                self.cluster_id
            ));
        }
        if self.placed.len() > READERS_MAX + 1 {
            return refuse(format!(
                "{} instances: a cluster has at most {}",
                self.placed.len(),
                READERS_MAX + 1
            ));
        }
        for (index, (id, address)) in self.placed.iter().enumerate() {
            if !is_label(id) || !address.is_loopback() {
                return refuse(format!(
                    "instance `{id}` at {address}: use letters, digits and hyphens, and an \
                     address in 127.0.0.0/8"
                ));
            }
            let earlier = &self.placed[..index];
            if earlier
                .iter()
                .any(|(other, place)| other.eq_ignore_ascii_case(id) || place == address)
            {
                return refuse(format!(
                    "instance `{id}` at {address}: another one has that name or address"
                ));
            }
        }
        let ids = self.ids();
        for (id, tier) in &self.tiers {
            if *tier > TIER_MAX || !ids.contains(id) {
                return refuse(format!(
                    "promotion tier {tier} of `{id}`: name one of the instances and a tier \
                     from 0 to {TIER_MAX}"
                ));
            }
        }
        Ok(())
    }

    /// The instances, the writer first.
    fn ids(&self) -> Vec<InstanceId> {
        if self.placed.is_empty() {
            (1..=self.readers + 1)
                .map(|number| InstanceId::new(format!("{}-instance-{number}", self.cluster_id)))
                .collect()
        } else {
            self.placed
                .iter()
                .map(|(id, _)| InstanceId::new(id))
                .collect()
        }
    }

    fn placements(&self, ids: Vec<InstanceId>) -> Vec<Placement> {
        ids.into_iter()
            .map(|id| Placement {
                tier: self.tiers.get(&id).copied().unwrap_or(DEFAULT_TIER),
                id,
            })
            .collect()
    }

    fn first_user(&self) -> (String, String) {
        let default = || ("app".to_owned(), "app".to_owned());
        self.users.first().cloned().unwrap_or_else(default)
    }

    fn logins(&self) -> Users {
        let mut passwords: HashMap<String, String> = self.users.iter().cloned().collect();
        if passwords.is_empty() {
            passwords.extend([self.first_user()]);
        }
        Users::new(passwords, self.database.clone())
    }

    /// Binds one address per instance, all with the same port.
    fn reserve(&self, ids: &[InstanceId]) -> Result<Reservation, SimError> {
        if !self.placed.is_empty() {
            let given = ids
                .iter()
                .cloned()
                .zip(self.placed.iter().map(|(_, address)| *address))
                .collect();
            return bind_all(Addresses::fixed(given), ids, self.port);
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            match bind_all(Addresses::random(self.seed, attempt), ids, self.port) {
                Err(error) if attempt == BLOCK_ATTEMPTS => return Err(error),
                Err(_) => {}
                Ok(reservation) => return Ok(reservation),
            }
        }
    }
}

type Reservation = (Addresses, u16, BTreeMap<Ipv4Addr, Socket>);

fn bind_all(
    mut addresses: Addresses,
    ids: &[InstanceId],
    mut port: u16,
) -> Result<Reservation, SimError> {
    let mut sockets = BTreeMap::new();
    for id in ids {
        let ip = addresses.give(id);
        let address = SocketAddr::from((ip, port));
        let listen = |source| SimError::Listen { address, source };
        let socket = listener::bind(address).map_err(listen)?;
        if port == 0 {
            let bound = socket.local_addr().map_err(listen)?;
            port = bound.as_socket().map_or(0, |bound| bound.port());
        }
        sockets.insert(ip, socket);
    }
    Ok((addresses, port, sockets))
}
