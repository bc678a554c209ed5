//! The handle that an application holds.
//!
//! It only joins the parts: the monitor's picture, the routing over it, and the pools. What it
//! adds is patience: waiting, bounded, while there is nobody to route to ([`checkout`]), and
//! doing again what failed and certainly left nothing behind ([`closures`], as [`retry`] decides).

mod budget;
mod checkout;
mod closures;
mod given;
mod hub;
mod levels;
mod line;
mod reader_checkout;
mod readiness;
mod retry;
#[cfg(feature = "router")]
pub(crate) mod routed;
mod workloads;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Events;
use crate::observe::{FailoverRecord, Insights};
use crate::pool::set::PoolSet;
use crate::pool::{scope, sweep};
use crate::resolve::members;
use crate::rng::Rng;
use crate::routing::Scope;
use crate::task::TaskSet;
use crate::time;
use crate::topology::Topology;
use crate::topology::monitor::Published;
use budget::Budget;
use hub::Hub;
pub use levels::PoolStatus;
use line::Line;

/// How long [`Cluster::close`] waits for the last tasks, beyond its own limit.
const LAST_CALL_PERIOD: Duration = Duration::from_secs(1);

/// Callers' limits are cut to this, as a configuration's are: longer ones mean "for ever", and
/// would overflow the clock when added to it.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// A handle to one Aurora cluster: cheap to clone, one monitor behind all clones.
///
/// Handles that are opened separately have pools of their own, and share the monitor where their
/// configurations lead to the same cluster in the same way
/// ([`Config::share_monitor`](crate::Config::share_monitor)).
///
/// Writes go over [`writer`](Self::writer), reads over [`reader`](Self::reader). What is to be
/// done again after a failover is given as a closure to [`read`](Self::read),
/// [`write`](Self::write) or [`transaction`](Self::transaction).
///
/// When the last clone is dropped its tasks end by themselves. With them end the PostgreSQL
/// connections that somebody still holds, as a task drives each of them; MySQL connections live
/// until they are dropped. [`close`](Self::close) waits for the tasks and ends both.
pub struct Cluster<E: Engine> {
    inner: Arc<Inner<E>>,
}

impl<E: Engine> Clone for Cluster<E> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

/// Short enough for a log line: what it is, not all that it holds.
impl<E: Engine> std::fmt::Debug for Cluster<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("engine", &E::KIND)
            .field("topology", &format_args!("{}", self.topology()))
            .finish_non_exhaustive()
    }
}

struct Inner<E: Engine> {
    config: Arc<Config>,
    /// Shared with the other handles to this cluster.
    hub: Arc<Hub<E>>,
    pools: Arc<PoolSet<E>>,
    published: Published,
    tasks: TaskSet,
    closed: AtomicBool,
    /// Turned when all is closed, so that listeners come to their end.
    listeners_end: CancellationToken,
    /// Whether the hub was left.
    left: AtomicBool,
    turn: AtomicUsize,
    /// Who waits for the writer.
    line: Arc<Line>,
    /// The right to read from the writer for want of a reader, where that is capped.
    writer_reads: Option<Arc<Semaphore>>,
    /// What reads are confined to the members of, in words.
    members_of: &'static str,
    /// By name; closed with this handle.
    workloads: BTreeMap<String, Cluster<E>>,
    budget: Budget,
    /// What is known of texts that a router has met.
    #[cfg(feature = "router")]
    statements: crate::routing::statement::Cache,
}

impl<E: Engine> Inner<E> {
    /// Leaves the hub, once; whether no other handle uses it any more.
    fn leave_hub(&self) -> bool {
        !self.left.swap(true, Ordering::AcqRel) && self.hub.leave()
    }
}

impl<E: Engine> Drop for Inner<E> {
    fn drop(&mut self) {
        self.listeners_end.cancel();
        if self.leave_hub() {
            self.hub.roster.close();
        }
    }
}

/// What was left when [`Cluster::close`] reached its time limit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Connections that somebody still held; they were ended.
    pub connections_in_use: usize,
    /// The names of tasks that had not ended.
    pub tasks: Vec<&'static str>,
}

impl CloseReport {
    /// Whether nothing was left.
    pub fn is_clean(&self) -> bool {
        self.connections_in_use == 0 && self.tasks.is_empty()
    }
}

impl<E: Engine> Cluster<E> {
    /// Opens a handle from a URL and waits until the cluster is known.
    ///
    /// The URL's parts are listed at [`Config::from_url`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for the URL; otherwise as [`ready`](Self::ready), with the URL's
    /// `failover_timeout` (default 30 s).
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes everything that was opened.
    pub async fn connect(url: &str) -> Result<Self> {
        let cluster = Self::new(Config::from_url(url)?)?;
        cluster
            .ready(cluster.inner.config.timing.failover_timeout)
            .await?;
        Ok(cluster)
    }

    /// Makes a handle, whose monitor begins to look for the cluster at once, in the background.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the configuration does not fit together, names another engine,
    /// or its certificates cannot be read.
    pub fn new(config: Config) -> Result<Self> {
        config.validate()?;
        if config.engine != E::KIND {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "the configuration is for {}, the handle for {}: change the scheme of the \
                     URL or the type of the handle",
                    config.engine,
                    E::KIND
                ),
            ));
        }
        let config = Arc::new(config);
        let custom_endpoints = members::custom_endpoints(&config)?;
        let hub = Hub::<E>::join(&config)?;
        let workloads = workloads::open(&config, &hub);
        let scope = workloads::scope_of(&custom_endpoints);
        match workloads {
            Ok(workloads) => Ok(Self::open(config, hub, custom_endpoints, scope, workloads)),
            Err(error) => {
                if hub.leave() {
                    hub.roster.close();
                }
                Err(error)
            }
        }
    }

    /// A handle with pools of its own, whose place in the hub is taken already.
    fn open(
        config: Arc<Config>,
        hub: Arc<Hub<E>>,
        custom_endpoints: Vec<Arc<str>>,
        scope: Scope,
        workloads: BTreeMap<String, Self>,
    ) -> Self {
        let tasks = TaskSet::new();
        let dialer = hub.roster.dialer();
        let dialer = dialer.for_handle(Arc::clone(&config), tasks.spawner());
        let pools = Arc::new(PoolSet::new(dialer, scope));
        hub.roster.attach(&pools);
        let published = hub.published.clone();
        let sweep = sweep::run(
            Arc::clone(&pools),
            published.topology.clone(),
            Rng::from_entropy(),
        );
        tasks.spawner().spawn("sweep", sweep);
        let members_of = match &*custom_endpoints {
            [] => "workload",
            _ => "custom endpoint",
        };
        if !custom_endpoints.is_empty() {
            let following = scope::run(
                custom_endpoints,
                Arc::clone(&hub.roster),
                Arc::clone(&pools),
                published.topology.clone(),
                Rng::from_entropy(),
            );
            tasks.spawner().spawn("custom-endpoints", following);
        }
        let line = Arc::new(Line::new());
        if cfg!(feature = "metrics") && pools.observer().settings().metrics {
            let topology = published.topology.clone();
            let telling = levels::run(Arc::clone(&pools), topology, Arc::clone(&line));
            tasks.spawner().spawn("metrics", telling);
        }
        let writer_reads = config.writer_reads_max().map(Semaphore::new);
        Self {
            inner: Arc::new(Inner {
                config,
                hub,
                pools,
                published,
                tasks,
                closed: AtomicBool::new(false),
                listeners_end: CancellationToken::new(),
                left: AtomicBool::new(false),
                turn: AtomicUsize::new(0),
                line,
                writer_reads: writer_reads.map(Arc::new),
                members_of,
                workloads,
                budget: Budget::new(),
                #[cfg(feature = "router")]
                statements: crate::routing::statement::Cache::new(E::KIND),
            }),
        }
    }

    /// The cluster as it is known now.
    pub fn topology(&self) -> Arc<Topology> {
        Arc::clone(&self.inner.published.topology.borrow())
    }

    /// What happens to the cluster, from now on.
    ///
    /// All of it is logged too, to the target `aurora_driver::event`: the loss of a writer and the
    /// fall of an instance at WARN, the rest at INFO; and each failover as a whole, when writes are
    /// back, to `aurora_driver::failover` at INFO.
    ///
    /// ```
    /// # use aurora_driver::{Cluster, Postgres};
    /// # async fn follow(cluster: Cluster<Postgres>) {
    /// let mut events = cluster.events();
    /// while let Some(event) = events.next().await {
    ///     println!("{event}");
    /// }
    /// # }
    /// ```
    pub fn events(&self) -> Events {
        let inner = &self.inner;
        inner.hub.events.listen(inner.listeners_end.clone())
    }

    /// The last failovers that this process has seen of the cluster, the oldest first, at most 32;
    /// the last may still go on.
    ///
    /// A writer that was in doubt for a moment and then confirmed without having been lost is no
    /// failover.
    ///
    /// ```no_run
    /// # fn show(cluster: aurora_driver::Cluster<aurora_driver::Postgres>) {
    /// for failover in cluster.failovers() {
    ///     eprintln!("{failover}");
    ///     println!("{}", failover.to_json());
    /// }
    /// # }
    /// ```
    pub fn failovers(&self) -> Vec<FailoverRecord> {
        self.inner.hub.recorder.failovers()
    }

    /// What this handle's pools look like now, one for each known instance.
    ///
    /// It takes a lock of each pool for a moment: for a page or a health check, not for each
    /// query.
    pub fn pools(&self) -> Vec<PoolStatus> {
        levels::status(&self.inner.pools, &self.inner.line)
    }

    /// How many callers of this handle wait for the writer, also while there is none.
    pub fn waiting_for_writer(&self) -> usize {
        self.inner.line.length()
    }

    /// What this handle's statements are and how long they take, by their digests: on unless
    /// [`Observe::insights`](crate::config::Observe::insights) says otherwise. Each
    /// [workload](Self::workload) counts its own.
    pub fn insights(&self) -> Insights {
        self.inner.pools.observer().insights()
    }

    /// Ends the handle and all its clones: refuses new checkouts, waits for connections to come
    /// back, then ends every connection and task. Takes at most `within` (or a day), and a second
    /// more for the tasks.
    ///
    /// Calls on a connection that is still held then fail; a checkout under way fails at once.
    /// Its [workloads](Self::workload) end with it, within the same time.
    ///
    /// # Cancellation
    ///
    /// The handle stays closed; call it again to go on waiting.
    pub async fn close(&self, within: Duration) -> CloseReport {
        let within = within.min(LONGEST_WAIT);
        let workloads = self.inner.workloads.values();
        let workloads = join_all(workloads.map(|workload| workload.close_alone(within)));
        let (mut report, others) = tokio::join!(self.close_alone(within), workloads);
        for other in others {
            report.connections_in_use += other.connections_in_use;
            report.tasks.extend(other.tasks);
        }
        report
    }

    async fn close_alone(&self, within: Duration) -> CloseReport {
        let inner = &self.inner;
        inner.closed.store(true, Ordering::Release);
        inner.line.close();
        if let Some(writer_reads) = &inner.writer_reads {
            writer_reads.close();
        }
        let deadline = time::now() + within;
        let connections_in_use = inner.pools.close(deadline).await;
        let last_call = deadline.max(time::now() + LAST_CALL_PERIOD);
        let mut tasks = inner.tasks.close(last_call).await;
        if inner.leave_hub() {
            tasks.extend(inner.hub.close(last_call).await);
        }
        inner.listeners_end.cancel();
        CloseReport {
            connections_in_use,
            tasks,
        }
    }

    fn refuse_if_closed(&self) -> Result<()> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the cluster handle is closed")
}
