//! From the description of a cluster to a running one.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use socket2::Socket;
use tokio::sync::{Notify, mpsc, watch};

use crate::id::{EngineKind, InstanceId};
use crate::sim::dns::{DnsServer, SharedZone, Zone};
use crate::sim::fault::Faults;
use crate::sim::front::Users;
use crate::sim::volume::Volume;
use crate::sim::world::{DEFAULT_TIER, Placement, READERS_MAX, TIER_MAX, World, WorldOptions};

use super::address::Addresses;
use super::boot::Clock;
use super::error::SimError;
use super::listener::{self, Serving};
use super::machines::Machines;
use super::names::{Names, is_label};
use super::shell::Shared;
use super::state::ClusterState;
use super::tls::{Identity, Tls};
use super::{SimCluster, SimClusterBuilder};

/// How many blocks of addresses are tried.
const BLOCK_ATTEMPTS: u64 = 16;

/// How many orders of sessions may wait to be carried out.
const ORDERS_MAX: usize = 1024;

impl SimClusterBuilder {
    /// Starts the cluster in the runtime of the caller. All instances accept connections when it
    /// returns.
    ///
    /// # Errors
    ///
    /// A value that cannot be used, or no address to listen on.
    pub async fn start(self) -> Result<SimCluster, SimError> {
        self.check()?;
        let names = self.names();
        let setup = |what| move |source| SimError::Setup { what, source };
        let zone = Zone::new(&names).map_err(|error| SimError::Config(error.to_string()))?;
        let zone = SharedZone::new(zone);
        let mut volume = Volume::create().map_err(setup("storage"))?;
        if let Some(origin) = &self.origin {
            let copied = volume.begin_as(origin).map_err(io::Error::other);
            copied.map_err(setup("storage"))?;
        }
        if let Some(window) = self.backtrack_window {
            let kept = volume.keep_window(window).map_err(io::Error::other);
            kept.map_err(setup("storage"))?;
        }
        let ids = self.ids();
        let (addresses, port, reserved) = self.reserve(&ids)?;
        let identity = self
            .identity(&names, &reserved)
            .map_err(setup("certificate"))?;
        let dns = DnsServer::start(zone.clone(), self.dns_port)
            .await
            .map_err(|source| match self.dns_port {
                0 => setup("DNS server")(source),
                port => SimError::Listen {
                    address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                    source,
                },
            })?;
        let clock = Clock::start();
        let world = self.world(&names, ids, clock);
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let shared = Arc::new(Shared {
            engine: self.engine,
            names,
            port,
            clock,
            volume: Arc::new(volume),
            users: Arc::new(self.logins()),
            identity,
            tls_required: self.tls == Tls::Required,
            zone,
            serving: Serving::new(self.engine),
            runtime: tokio::runtime::Handle::current(),
            changed: Notify::new(),
            state: watch::Sender::new(ClusterState::default()),
            world: Arc::new(Mutex::new(world)),
            machines: Mutex::new(Machines::new(addresses, reserved, self.limits.clone())),
            faults: Arc::new(Faults::seeded(self.seed)),
            orders,
        });
        shared.tick();
        let clock_task = Arc::clone(&shared).run_clock();
        let order_task = Arc::clone(&shared).take_orders(taken);
        shared.serving.tasks.spawn(clock_task);
        shared.serving.tasks.spawn(order_task);
        let (user, password) = self.first_user();
        Ok(SimCluster::new(shared, dns, user, password))
    }

    fn names(&self) -> Names {
        let account = || Names::domain_of(self.seed);
        let domain = self.domain.clone().unwrap_or_else(account);
        Names::new(&self.cluster_id, &domain)
    }

    fn identity(
        &self,
        names: &Names,
        places: &BTreeMap<Ipv4Addr, Socket>,
    ) -> io::Result<Option<Identity>> {
        match self.tls {
            Tls::Off => Ok(None),
            Tls::Optional | Tls::Required => {
                let places: Vec<IpAddr> = places.keys().copied().map(IpAddr::V4).collect();
                Identity::issue(names, &places).map(Some)
            }
        }
    }

    fn world(&self, names: &Names, ids: Vec<InstanceId>, clock: Clock) -> World {
        let placement = |id: InstanceId| Placement {
            tier: self.tiers.get(&id).copied().unwrap_or(DEFAULT_TIER),
            id,
        };
        World::new(WorldOptions {
            engine: self.engine,
            timeline: self.timeline.clone(),
            seed: self.seed,
            cluster_id: names.cluster_id().to_owned(),
            epoch_micros: clock.epoch_micros,
            placements: ids.into_iter().map(placement).collect(),
        })
    }

    fn check(&self) -> Result<(), SimError> {
        let refuse = |message: String| Err(SimError::Config(message));
        if self.limits.connections == Some(0) || self.limits.logins_per_second == Some(0) {
            return refuse(
                "max_connections or login_rate is 0: nobody could log in; use 1 or more".into(),
            );
        }
        if self.readers > READERS_MAX {
            return refuse(format!(
                "{} readers: a cluster has at most {READERS_MAX}",
                self.readers
            ));
        }
        if self.backtrack_window.is_some() && self.engine == EngineKind::Postgres {
            return refuse(super::backtrack::NOT_ON_POSTGRES.into());
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

    fn first_user(&self) -> (String, String) {
        let default = || ("app".to_owned(), "app".to_owned());
        self.users.first().cloned().unwrap_or_else(default)
    }

    fn logins(&self) -> Users {
        let mut passwords: HashMap<String, String> = self.users.iter().cloned().collect();
        if passwords.is_empty() {
            passwords.extend([self.first_user()]);
        }
        let mut users = Users::new(passwords, self.database.clone());
        if let Some(count) = self.scram_iterations {
            users.scram_iterations = count;
        }
        users
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
