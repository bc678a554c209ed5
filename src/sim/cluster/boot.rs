//! One boot of one instance, as its sessions see it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::id::{EngineKind, InstanceId};
use crate::sim::host::{Count, Host, Order, StatusRow};
use crate::sim::world::{Opening, Role, World};

use super::state::Counters;

/// The time of a simulated cluster: counted from its start, and tied to the wall clock there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    /// The wall-clock time of the start, in microseconds since the Unix epoch.
    pub(crate) epoch_micros: i64,
}

impl Clock {
    pub(super) fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self::start_at(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX / 2))
    }

    /// A clock whose wall-clock time at the start is this, whatever the machine's says.
    pub(crate) fn start_at(epoch_micros: i64) -> Self {
        Self {
            started: Instant::now(),
            epoch_micros,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The instant at which the cluster will be that old, unless that is beyond all time.
    pub(crate) fn instant(&self, age: Duration) -> Option<Instant> {
        self.started.checked_add(age)
    }
}

/// The counters of one instance, kept over all its boots.
#[derive(Debug, Default)]
pub(super) struct Tally {
    connects: AtomicU64,
    logins: AtomicU64,
    logins_refused: AtomicU64,
    statements: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    topology_queries: AtomicU64,
}

impl Tally {
    pub(super) fn count(&self, what: Count) {
        let counter = match what {
            Count::Connect => &self.connects,
            Count::Login => &self.logins,
            Count::LoginRefused => &self.logins_refused,
            Count::Statement => &self.statements,
            Count::Write => &self.writes,
            Count::Read => &self.reads,
            Count::TopologyQuery => &self.topology_queries,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counters(&self, open_sessions: usize) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            connects: read(&self.connects),
            logins: read(&self.logins),
            logins_refused: read(&self.logins_refused),
            statements: read(&self.statements),
            reads: read(&self.reads),
            writes: read(&self.writes),
            topology_queries: read(&self.topology_queries),
            open_sessions: open_sessions as u64,
        }
    }
}

/// One boot of one instance.
pub(super) struct Boot {
    pub(super) engine: EngineKind,
    pub(super) address: SocketAddr,
    pub(super) clock: Clock,
    pub(super) world: Arc<Mutex<World>>,
    pub(super) tally: Arc<Tally>,
    pub(super) opening: Opening,
    /// What sessions ask for is carried out there.
    pub(super) orders: mpsc::Sender<(InstanceId, Order)>,
    /// Taken away for good when the boot is fenced.
    pub(super) commit_right: AtomicBool,
}

impl Boot {
    pub(super) fn fence(&self) {
        self.commit_right.store(false, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for Boot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Boot")
            .field("opening", &self.opening)
            .finish_non_exhaustive()
    }
}

impl Host for Boot {
    fn engine(&self) -> EngineKind {
        self.engine
    }

    fn instance(&self) -> &InstanceId {
        &self.opening.instance
    }

    fn is_writer(&self) -> bool {
        self.opening.role == Role::Writer
    }

    fn may_commit(&self) -> bool {
        self.commit_right.load(Ordering::SeqCst)
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    fn epoch(&self) -> u64 {
        self.opening.epoch
    }

    fn version(&self) -> Option<&str> {
        self.opening.version.as_deref()
    }

    fn order(&self, order: Order) {
        // A cluster that has ended carries nothing out; one with so many orders waiting is about
        // to crash anyway.
        let _ = self.orders.try_send((self.opening.instance.clone(), order));
    }

    fn status_rows(&self) -> Vec<StatusRow> {
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.view(&self.opening.instance, self.clock.now())
    }

    fn now_micros(&self) -> i64 {
        let age = i64::try_from(self.clock.now().as_micros()).unwrap_or(i64::MAX);
        self.clock.epoch_micros.saturating_add(age)
    }

    fn elapsed_micros(&self) -> u64 {
        u64::try_from(self.clock.now().as_micros()).unwrap_or(u64::MAX)
    }

    fn count(&self, what: Count) {
        self.tally.count(what);
    }
}
