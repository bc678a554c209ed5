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
//! | `builder`, `operations` | how a cluster is started, and what can be done to it |
//! | `play` | timeline files |
//! | `shell` | carries out what the world decides, by changing values |
//! | `machine` | one instance, as the network reaches it |
//! | `fate` | how the connections of a boot end |
//! | `ledger` | what the storage took |
//! | `traffic` | what the instances see of their clients |
//! | `backend` | the driver's engine over it |
//! | `client`, `trip` | one connection, and its statements' way to the instance and back |
//! | `answer` | what went wrong with a call |
//! | `transaction` | a transaction on it |
//! | `names` | how a host name leads to a cluster |
//! | `trace` | what happened, line by line |
//! | `replay` | a future run so that its seed decides everything |
//! | `failover` | a workload through one failover, and the check of what it left |
//!
//! A process that stands still, as after SIGSTOP, is `tokio::time::advance`: the cluster's clock
//! goes on, and what arrived meanwhile is found when the process runs again.
//!
//! Not here: SQL, passwords, TLS, the wire protocols; use [`SimCluster`](super::SimCluster) for
//! those.

mod answer;
mod backend;
mod builder;
mod client;
mod failover;
mod fate;
mod ledger;
mod machine;
mod names;
mod operations;
mod play;
mod replay;
mod shell;
mod trace;
mod traffic;
mod transaction;
mod trip;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Credentials, TlsMode};
use crate::error::Result;
use crate::id::{EngineKind, InstanceId};
use crate::sim::cluster::InstanceStatus;
use crate::sim::world::Timeline;

pub use backend::Direct;
pub use builder::DirectClusterBuilder;
pub use client::Client;
pub use failover::{FailoverReport, Writes, virtual_failover};
pub use ledger::DirectWrite;
pub use replay::replay;
pub use traffic::{DirectAnswer, DirectConnect, DirectPurpose};
pub use transaction::Transaction;

use shell::Shared;

/// A simulated Aurora cluster that is reached by function calls.
///
/// It runs in the tokio runtime in which it was started, and ends when it is dropped.
#[derive(Debug)]
pub struct DirectCluster {
    shared: Arc<Shared>,
    _end_on_drop: tokio_util::sync::DropGuard,
}

impl DirectCluster {
    /// Describes a cluster. The seed decides all that the timeline leaves open, and how long each
    /// message is under way: 1 to 3 ms.
    pub fn builder(seed: u64) -> DirectClusterBuilder {
        DirectClusterBuilder::new(seed)
    }

    /// Starts a cluster of one writer and `readers` (at most 15), with all else as
    /// [`builder`](Self::builder) has it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, which runs its clock.
    pub fn start(seed: u64, readers: usize, timeline: Timeline) -> Self {
        let builder = Self::builder(seed).readers(readers);
        builder.timeline(timeline).start()
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

    /// How old the cluster is, on tokio's clock.
    pub fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    /// All instances that exist, in the order of their names.
    pub fn instances(&self) -> Vec<InstanceStatus> {
        self.shared.instances()
    }

    /// Whether there is a writer that nobody is about to replace, and every instance is up.
    pub fn is_settled(&self) -> bool {
        self.shared.is_settled()
    }

    /// The times in which no instance took writes, as from and until; without one that lasts.
    pub fn outages(&self) -> Vec<(Duration, Duration)> {
        self.shared.outages()
    }

    /// When an instance became the writer, and which, in order; without the first writer, and
    /// without one that came back as what it was.
    pub fn promotions(&self) -> Vec<(Duration, InstanceId)> {
        self.shared.promotions()
    }

    /// Every attempt to connect to an instance, in the order in which they were made.
    pub fn connects(&self) -> Vec<DirectConnect> {
        self.shared.traffic.all()
    }

    /// How often a connection whose call was dropped half-way was used for another call, which
    /// then got the first one's answer. It must stay 0.
    pub fn answers_crossed(&self) -> u64 {
        self.shared.answers_crossed()
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
