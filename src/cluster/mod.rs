//! The handle that an application holds.
//!
//! It only joins the parts: the monitor's picture, the routing over it, and the pools. What it
//! adds is patience: waiting, bounded, while there is nobody to route to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::config::Config;
use crate::engine::{Engine, Failure};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventSender, Events};
use crate::id::InstanceId;
use crate::pool::dialer::Dialer;
use crate::pool::lease::{Connection, Lease};
use crate::pool::set::PoolSet;
use crate::pool::sweep;
use crate::rng::Rng;
use crate::routing;
use crate::task::TaskSet;
use crate::time::{self, Instant};
use crate::topology::cadence::Cadence;
use crate::topology::monitor::{Monitor, ProbeFailure, Published};
use crate::topology::observation::Fault;
use crate::topology::{Health, Phase, Topology};

/// How long to wait before an instance that gave no connection is tried again, if no news of the
/// topology come first.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// How long [`Cluster::connect`] waits for the last of the instances to be asked, once the writer
/// is known.
const ACQUAINTANCE_TIMEOUT: Duration = Duration::from_secs(1);

/// A handle to one Aurora cluster: cheap to clone, one monitor behind all clones.
///
/// Writes go over [`writer`](Self::writer), reads over [`reader`](Self::reader). When the last
/// clone is dropped all its tasks end; [`close`](Self::close) waits for that.
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
    pools: Arc<PoolSet<E>>,
    published: Published,
    /// Gone once closed, so that listeners come to their end.
    events: Mutex<Option<EventSender>>,
    tasks: TaskSet,
    closed: AtomicBool,
    turn: AtomicUsize,
}

/// What was left when [`Cluster::close`] reached its time limit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Connections that somebody still held; they work no longer.
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
        let tasks = TaskSet::new();
        let dialer = Dialer::new(Arc::clone(&config), tasks.spawner())?;
        let events = EventSender::new();
        let cadence = Cadence::new(
            config.seeds.len(),
            config.timing.probe_interval,
            Rng::from_entropy(),
        );
        let (monitor, news, published) = Monitor::new(cadence, events.clone());
        let pools = Arc::new(PoolSet::new(dialer, news));
        tasks
            .spawner()
            .spawn("monitor", monitor.run(Arc::clone(&pools)));
        let sweep = sweep::run(
            Arc::clone(&pools),
            published.topology.clone(),
            Rng::from_entropy(),
        );
        tasks.spawner().spawn("sweep", sweep);
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                pools,
                published,
                events: Mutex::new(Some(events)),
                tasks,
                closed: AtomicBool::new(false),
                turn: AtomicUsize::new(0),
            }),
        })
    }

    /// Waits until a writer is confirmed and the other instances have been asked once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoWriter`] with the last obstacle in its message when `within` runs out;
    /// sooner, [`ErrorKind::Authentication`] when the login is refused, and
    /// [`ErrorKind::NotAurora`] when the server is something else.
    ///
    /// # Cancellation
    ///
    /// Safe; the search goes on in the background.
    pub async fn ready(&self, within: Duration) -> Result<()> {
        let deadline = time::now() + within;
        let mut topology = self.inner.published.topology.clone();
        let mut failures = self.inner.published.last_failure.clone();
        let writer_known = async {
            let steady = |topology: &Arc<Topology>| topology.phase() == Phase::Steady;
            topology.wait_for(steady).await.map(drop)
        };
        let hopeless = async {
            let failed = |failure: &Option<ProbeFailure>| failure.as_ref().is_some_and(is_hopeless);
            let failure = failures.wait_for(failed).await;
            failure.ok().and_then(|failure| failure.clone())
        };
        tokio::select! {
            biased;
            known = writer_known => known.map_err(|_| closed())?,
            failure = hopeless => {
                return Err(failure.map_or_else(closed, |failure| {
                    Error::new(failure.kind, failure.message)
                }));
            }
            () = time::sleep_until(Some(deadline)) => return Err(self.no_writer(within)),
        }
        let all_asked = topology.wait_for(|topology| {
            topology
                .instances()
                .all(|instance| instance.health() != Health::Unknown)
        });
        let acquainted = deadline.min(time::now() + ACQUAINTANCE_TIMEOUT);
        // An instance that says nothing must not keep the application from starting.
        let _ = tokio::time::timeout_at(acquainted, all_asked).await;
        Ok(())
    }

    /// A connection to the writer.
    ///
    /// During a failover the call waits for the new writer, for at most the `failover_timeout`;
    /// with the wait for a free connection it takes at most the `checkout_timeout` (both 30 s by
    /// default). It never gives a connection to an instance that is known to be demoted or in
    /// doubt.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoWriter`] when none was confirmed in time, [`ErrorKind::Timeout`] when all
    /// connections stayed in use, [`ErrorKind::Overloaded`] when too many callers wait,
    /// [`ErrorKind::Authentication`], [`ErrorKind::Closed`]. Nothing has been sent in any of
    /// them.
    ///
    /// # Cancellation
    ///
    /// Safe: the place in the queue is given up, a connect under way is ended.
    pub async fn writer(&self) -> Result<Connection<E>> {
        let timing = &self.inner.config.timing;
        let began = time::now();
        let deadline = began + timing.checkout_timeout;
        let mut patience = began + timing.failover_timeout;
        let mut topology = self.inner.published.topology.clone();
        loop {
            self.refuse_if_closed()?;
            let current = Arc::clone(&topology.borrow_and_update());
            let Some(writer) = current.writer().map(|writer| writer.id().clone()) else {
                let give_up = deadline.min(patience);
                match tokio::time::timeout_at(give_up, topology.changed()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) => return Err(closed()),
                    Err(_) => return Err(self.no_writer(give_up - began)),
                }
            };
            let still_writer = |topology: &Topology| {
                topology
                    .writer()
                    .is_some_and(|instance| *instance.id() == writer)
            };
            let answer = tokio::select! {
                biased;
                answer = self.inner.pools.checkout(&writer, deadline) => answer,
                // Waiting in the queue of an instance that is no longer the writer is in vain.
                _ = topology.wait_for(|topology| !still_writer(topology)) => continue,
            };
            match answer {
                Ok(lease) if still_writer(&topology.borrow()) && !lease.is_outdated() => {
                    return Ok(Connection::new(lease));
                }
                Ok(_demoted_meanwhile) => {}
                Err(failure) => {
                    self.wait_to_retry(failure, &mut topology, deadline).await?;
                }
            }
            patience = time::now() + timing.failover_timeout;
        }
    }

    /// A connection to a reader.
    ///
    /// Readers take turns, those with fewer connections in use first. With no reader up it is a
    /// connection to the writer, as Aurora's own reader endpoint would give; with neither the
    /// call waits as [`writer`](Self::writer) does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoReader`] when no instance could be used in time; otherwise as
    /// [`writer`](Self::writer).
    ///
    /// # Cancellation
    ///
    /// Safe, as [`writer`](Self::writer).
    pub async fn reader(&self) -> Result<Connection<E>> {
        let inner = &self.inner;
        let began = time::now();
        let deadline = began + inner.config.timing.checkout_timeout;
        let mut topology = inner.published.topology.clone();
        loop {
            self.refuse_if_closed()?;
            let current = Arc::clone(&topology.borrow_and_update());
            let turn = inner.turn.fetch_add(1, Ordering::Relaxed);
            let candidates =
                routing::for_read(&current, inner.config.max_reader_lag, turn, |instance| {
                    inner.pools.in_use(instance)
                });
            match self.first_that_gives(&candidates, deadline).await {
                Ok(Some(lease)) => return Ok(Connection::new(lease)),
                Ok(None) => match tokio::time::timeout_at(deadline, topology.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(closed()),
                    Err(_) => return Err(self.no_reader(deadline - began)),
                },
                Err(failure) => self.wait_to_retry(failure, &mut topology, deadline).await?,
            }
        }
    }

    /// The cluster as it is known now.
    pub fn topology(&self) -> Arc<Topology> {
        Arc::clone(&self.inner.published.topology.borrow())
    }

    /// What happens to the cluster, from now on.
    pub fn events(&self) -> Events {
        let events = self
            .inner
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*events {
            Some(events) => events.listen(),
            None => EventSender::new().listen(),
        }
    }

    /// Ends the handle and all its clones: refuses new checkouts, waits for connections to come
    /// back, then ends every connection and task. Takes at most `within`, and a second more for
    /// the tasks.
    ///
    /// # Cancellation
    ///
    /// The handle stays closed; call it again to go on waiting.
    pub async fn close(&self, within: Duration) -> CloseReport {
        let inner = &self.inner;
        inner.closed.store(true, Ordering::Release);
        let deadline = time::now() + within;
        let connections_in_use = inner.pools.close(deadline).await;
        let last_call = deadline.max(time::now() + Duration::from_secs(1));
        let tasks = inner.tasks.close(last_call).await;
        drop(
            inner
                .events
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        CloseReport {
            connections_in_use,
            tasks,
        }
    }

    /// The first candidate that gives a connection; the last failure if none does.
    async fn first_that_gives(
        &self,
        candidates: &[InstanceId],
        deadline: Instant,
    ) -> Result<Option<Lease<E>>, Failure> {
        let mut last = None;
        for candidate in candidates {
            match self.inner.pools.checkout(candidate, deadline).await {
                Ok(lease) if lease.is_outdated() => {}
                Ok(lease) => return Ok(Some(lease)),
                Err(failure) => last = Some(failure),
            }
        }
        last.map_or(Ok(None), Err)
    }

    /// Waits for news after a failed checkout, or says that trying again is of no use.
    async fn wait_to_retry(
        &self,
        failure: Failure,
        topology: &mut watch::Receiver<Arc<Topology>>,
        deadline: Instant,
    ) -> Result<()> {
        let hopeless = match failure.fault {
            Fault::LoginRefused | Fault::Other => true,
            Fault::ReadOnly
            | Fault::Terminated
            | Fault::Crashed
            | Fault::Starting
            | Fault::Refused
            | Fault::Lost
            | Fault::TimedOut
            | Fault::Unresolved
            | Fault::Full => false,
        };
        if hopeless || time::remaining(deadline) == Duration::ZERO {
            return Err(failure.error);
        }
        let retry_at = deadline.min(time::now() + RETRY_DELAY);
        // Neither news nor silence decides anything here: the caller looks again.
        let _ = tokio::time::timeout_at(retry_at, topology.changed()).await;
        Ok(())
    }

    fn refuse_if_closed(&self) -> Result<()> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    fn no_writer(&self, waited: Duration) -> Error {
        Error::new(
            ErrorKind::NoWriter,
            self.explain_absence("no instance has been confirmed as the writer", waited),
        )
    }

    fn no_reader(&self, waited: Duration) -> Error {
        Error::new(
            ErrorKind::NoReader,
            self.explain_absence("no instance takes reads", waited),
        )
    }

    fn explain_absence(&self, what: &str, waited: Duration) -> String {
        let topology = self.topology();
        let obstacle = match &*self.inner.published.last_failure.borrow() {
            Some(failure) => format!("; the last obstacle was: {}", failure.message),
            None => String::new(),
        };
        format!("{what} within {waited:?} ({topology}){obstacle}")
    }
}

/// Whether a failed probe means that waiting is of no use: the configuration is wrong.
fn is_hopeless(failure: &ProbeFailure) -> bool {
    matches!(
        failure.kind,
        ErrorKind::Authentication | ErrorKind::Config | ErrorKind::NotAurora
    )
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the cluster handle is closed")
}
