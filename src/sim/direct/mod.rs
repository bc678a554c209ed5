//! The simulated cluster behind function calls, for tests in virtual time.
//!
//! A [`DirectCluster`] is the same world as a [`SimCluster`](super::SimCluster): the same
//! timeline, promotions, endings and stale topology tables. But [`Direct`], the driver's engine
//! for it, reaches it by calls: there is no socket, no DNS query and no SQL, and all waiting goes
//! through tokio's clock. So under [`replay`] a failover of 30 s takes milliseconds, and the same
//! seed gives the same [`trace`](DirectCluster::trace), byte for byte.
//!
//! ```
//! use aurora_driver::Cluster;
//! use aurora_driver::sim::Timeline;
//! use aurora_driver::sim::direct::{Direct, DirectCluster, replay};
//!
//! let trace = |seed| {
//!     // Time passes at once (tokio's feature `test-util`, a dev-dependency of yours).
//!     let mut runtime = tokio::runtime::Builder::new_current_thread();
//!     let runtime = runtime.enable_time().start_paused(true).build()?;
//!     replay(runtime, seed, async move {
//!         let world = DirectCluster::start(seed, 2, Timeline::aurora_postgres());
//!         let driver = Cluster::<Direct>::new(world.config()?)?;
//!         driver.writer().await?.write(1).await?;
//!
//!         let old = world.writer().ok_or("no writer")?;
//!         world.crash(&old)?;
//!         world.promoted().await;
//!         driver.writer().await?.write(2).await?;
//!         assert_ne!(driver.topology().writer().map(|it| it.id().clone()), Some(old));
//!         assert_eq!(world.ledger().len(), 2);
//!         Ok::<_, Box<dyn std::error::Error>>(world.trace_hash())
//!     })
//! };
//! assert_eq!(trace(7)?, trace(7)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | file | idea |
//! |---|---|
//! | `shell` | carries out what the world decides, by changing values |
//! | `backend` | the driver's engine over it |
//! | `client` | one connection |
//! | `transaction` | a transaction on it |
//! | `names` | how a host name leads to a cluster |
//! | `trace` | what happened, line by line |
//! | `replay` | a future run so that its seed decides everything |
//! | `failover` | a workload through one failover, and the check of what it left |
//!
//! Not here: SQL, logins and passwords, TLS, the wire protocols; use
//! [`SimCluster`](super::SimCluster) for those.

mod backend;
mod client;
mod failover;
mod names;
mod replay;
mod shell;
mod trace;
mod transaction;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Credentials, TlsMode};
use crate::error::Result;
use crate::id::{EngineKind, InstanceId};
use crate::sim::cluster::{Clock, Names, SimError};
use crate::sim::world::{
    Command, DEFAULT_TIER, Placement, READERS_MAX, Timeline, World, WorldOptions,
};

pub use backend::Direct;
pub use client::Client;
pub use failover::{FailoverReport, Writes, virtual_failover};
pub use replay::replay;
pub use transaction::Transaction;

use shell::Shared;

/// The wall-clock time at which every direct cluster starts: 2026-01-01, in microseconds since
/// the Unix epoch. The machine's own would differ between two runs.
const EPOCH_MICROS: i64 = 1_767_225_600_000_000;

/// One key as the storage took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectWrite {
    /// The key.
    pub key: u64,
    /// The promotion count of the boot that wrote it.
    pub epoch: u64,
    /// The instance that wrote it.
    pub instance: InstanceId,
    /// When, since the cluster started.
    pub at: Duration,
}

/// A simulated Aurora cluster that is reached by function calls.
///
/// It runs in the tokio runtime in which it was started, and ends when it is dropped.
#[derive(Debug)]
pub struct DirectCluster {
    shared: Arc<Shared>,
    _end_on_drop: tokio_util::sync::DropGuard,
}

impl DirectCluster {
    /// Starts a cluster `demo` of one writer, `demo-instance-1`, and `readers` (at most 15).
    ///
    /// The seed decides all that the timeline leaves open, and how long each message is under
    /// way: 1 to 3 ms.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, which runs its clock.
    pub fn start(seed: u64, readers: usize, timeline: Timeline) -> Self {
        let domain = names::new_domain();
        let placements = (1..=readers.min(READERS_MAX) + 1).map(|number| Placement {
            id: InstanceId::new(format!("demo-instance-{number}")),
            tier: DEFAULT_TIER,
        });
        let world = World::new(WorldOptions {
            engine: EngineKind::Postgres,
            timeline,
            seed,
            cluster_id: "demo".to_owned(),
            epoch_micros: EPOCH_MICROS,
            placements: placements.collect(),
        });
        let clock = Clock::start_at(EPOCH_MICROS);
        let names = Names::new("demo", &domain);
        let shared = Arc::new(Shared::new(names, clock, world, seed));
        shared.tick();
        names::enter(domain, &shared);
        let stopped = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (world, end) = (Arc::clone(&shared), stopped.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                () = world.run_clock() => {}
            }
        });
        Self {
            shared,
            _end_on_drop: stopped.drop_guard(),
        }
    }

    /// What `Cluster::<Direct>` takes to reach this cluster, by its cluster endpoint.
    ///
    /// # Errors
    ///
    /// None that the caller could cause: those of [`Config::validate`].
    pub fn config(&self) -> Result<Config> {
        Config::builder(EngineKind::Postgres)
            .host(self.shared.names.cluster_endpoint())
            .credentials(Credentials::without_password("app"))
            .tls(TlsMode::Disable)
            .build()
    }

    /// The engine process of an instance dies. The writer's crash leads to a failover.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when there is no such instance, or it does not run.
    pub fn crash(&self, instance: &InstanceId) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::Crash(instance.clone()))?)
    }

    /// A planned failover, to the named reader or to the best one.
    ///
    /// # Errors
    ///
    /// [`SimError::Refused`] when nobody can take over, or a failover is in progress.
    pub fn failover(&self, to: Option<&InstanceId>) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::Failover(to.cloned()))?)
    }

    /// The instance that takes writes now; `None` in the midst of a failover.
    pub fn writer(&self) -> Option<InstanceId> {
        self.shared.writer()
    }

    /// How many promotions there have been.
    pub fn epoch(&self) -> u64 {
        *self.shared.epoch.borrow()
    }

    /// Waits for the next promotion, for ever if none comes.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn promoted(&self) {
        let before = self.epoch();
        let mut epoch = self.shared.epoch.subscribe();
        // The sender lives as long as `self`.
        let _ = epoch.wait_for(|epoch| *epoch > before).await;
    }

    /// All that was ever written, in the order in which the storage took it.
    pub fn ledger(&self) -> Vec<DirectWrite> {
        self.shared.ledger()
    }

    /// Adds a line of the caller's to the trace.
    pub fn note(&self, what: impl std::fmt::Display) {
        self.shared.note(format_args!("{what}"));
    }

    /// Every change of the world, connect and statement so far, one a line, after the virtual
    /// time in microseconds.
    pub fn trace(&self) -> String {
        self.shared.trace().0
    }

    /// The trace as one number (FNV-1a, 64 bits).
    pub fn trace_hash(&self) -> u64 {
        self.shared.trace().1
    }
}
