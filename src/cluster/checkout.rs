//! Getting a connection, with patience: who gives one, and how long to wait for it.
//!
//! Whom to ask is decided in `routing`, and a pool's own queue is the pool's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;

use super::{Cluster, closed};
use crate::engine::{Engine, Failure};
use crate::error::Result;
use crate::id::InstanceId;
use crate::pool::lease::{Connection, Lease};
use crate::routing;
use crate::time::{self, Instant};
use crate::topology::Topology;
use crate::topology::observation::Fault;

/// How long to wait before an instance that gave no connection is tried again, if no news of the
/// topology come first.
const RETRY_DELAY: Duration = Duration::from_millis(10);

impl<E: Engine> Cluster<E> {
    /// A connection to the writer.
    ///
    /// During a failover the call waits for the new writer, for at most the `failover_timeout`;
    /// with the wait for a free connection it takes at most the `checkout_timeout` (both 30 s by
    /// default). It never gives a connection to an instance that is known to be demoted or in
    /// doubt.
    ///
    /// # Errors
    ///
    /// [`NoWriter`](crate::ErrorKind::NoWriter) when none was confirmed in time,
    /// [`Timeout`](crate::ErrorKind::Timeout) when all connections stayed in use,
    /// [`Overloaded`](crate::ErrorKind::Overloaded) when too many callers wait,
    /// [`Authentication`](crate::ErrorKind::Authentication),
    /// [`Closed`](crate::ErrorKind::Closed). Nothing has been sent in any of them.
    ///
    /// # Cancellation
    ///
    /// Safe: the place in the queue is given up, a connect under way is ended.
    pub async fn writer(&self) -> Result<Connection<E>> {
        self.writer_by(self.checkout_deadline()).await
    }

    /// By when a call that begins now has its connection.
    pub(super) fn checkout_deadline(&self) -> Instant {
        time::now() + self.inner.config.timing.checkout_timeout
    }

    /// A connection to the writer, by a deadline that may be shared with other work.
    pub(super) async fn writer_by(&self, deadline: Instant) -> Result<Connection<E>> {
        let timing = &self.inner.config.timing;
        let mut topology = self.inner.published.topology.clone();
        // Since when this call has been without a writer to wait at.
        let mut absent_since = None;
        loop {
            self.refuse_if_closed()?;
            let current = Arc::clone(&topology.borrow_and_update());
            let Some(writer) = current.writer().map(|writer| writer.id().clone()) else {
                let since = *absent_since.get_or_insert_with(time::now);
                let give_up = deadline.min(since + timing.failover_timeout);
                match tokio::time::timeout_at(give_up, topology.changed()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) => return Err(closed()),
                    Err(_) => return Err(self.no_writer(give_up - since)),
                }
            };
            absent_since = None;
            let still_writer = |topology: &Topology| {
                topology
                    .writer()
                    .is_some_and(|instance| *instance.id() == writer)
            };
            let replaced = async {
                let changed = topology.wait_for(|topology| !still_writer(topology));
                changed.await.map(drop)
            };
            let answer = tokio::select! {
                biased;
                answer = self.inner.pools.checkout(&writer, deadline) => answer,
                // Waiting in the queue of an instance that is no longer the writer is in vain.
                replaced = replaced => match replaced {
                    Ok(()) => continue,
                    Err(_) => return Err(closed()),
                },
            };
            match answer {
                Ok(lease) => {
                    self.refuse_if_closed()?;
                    if still_writer(&topology.borrow()) && !lease.is_outdated() {
                        return Ok(Connection::new(lease));
                    }
                }
                Err(failure) => wait_to_retry(failure, &mut topology, deadline).await?,
            }
        }
    }

    /// A connection to a reader.
    ///
    /// Readers take turns, those with fewer connections in use first; when the connections to
    /// all of them are in use, the first to become free is taken. With no reader up it is a
    /// connection to the writer, as Aurora's own reader endpoint would give; with neither the
    /// call waits, for at most the `checkout_timeout`.
    ///
    /// # Errors
    ///
    /// [`NoReader`](crate::ErrorKind::NoReader) when no instance could be used in time; otherwise
    /// as [`writer`](Self::writer).
    ///
    /// # Cancellation
    ///
    /// Safe, as [`writer`](Self::writer).
    pub async fn reader(&self) -> Result<Connection<E>> {
        self.reader_by(self.checkout_deadline(), &[]).await
    }

    /// A connection to a reader, by a deadline that may be shared with other work, and to one of
    /// `avoided` only when no other has room.
    pub(super) async fn reader_by(
        &self,
        deadline: Instant,
        avoided: &[InstanceId],
    ) -> Result<Connection<E>> {
        let inner = &self.inner;
        let began = time::now();
        let mut topology = inner.published.topology.clone();
        loop {
            self.refuse_if_closed()?;
            let current = Arc::clone(&topology.borrow_and_update());
            let turn = inner.turn.fetch_add(1, Ordering::Relaxed);
            let mut candidates =
                routing::for_read(&current, inner.config.max_reader_lag, turn, |instance| {
                    inner.pools.in_use(instance)
                });
            // A stable sort: the rest stays in the order of preference.
            candidates.sort_by_key(|candidate| avoided.contains(candidate));
            if candidates.is_empty() {
                match tokio::time::timeout_at(deadline, topology.changed()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) => return Err(closed()),
                    Err(_) => return Err(self.no_reader(deadline - began)),
                }
            }
            let answer = match self.first_that_has_room(&candidates, deadline).await {
                Room::Given(lease) => Ok(lease),
                Room::Failed(failure) => Err(failure),
                Room::Full(full) => tokio::select! {
                    biased;
                    answer = self.first_that_gives(&full, deadline) => answer,
                    changed = self.other_candidates(&candidates, topology.clone()) => {
                        changed?;
                        continue;
                    }
                },
            };
            match answer {
                Ok(lease) => {
                    self.refuse_if_closed()?;
                    let serves = self.eligible(&topology.borrow()).contains(lease.instance());
                    if serves && !lease.is_outdated() {
                        return Ok(Connection::new(lease));
                    }
                }
                Err(failure) => wait_to_retry(failure, &mut topology, deadline).await?,
            }
        }
    }

    /// The instances that a read may go to, in the order of their names.
    fn eligible(&self, topology: &Topology) -> Vec<InstanceId> {
        routing::for_read(topology, self.inner.config.max_reader_lag, 0, |_| 0)
    }

    /// Waits until reads may go to other instances than these.
    async fn other_candidates(
        &self,
        candidates: &[InstanceId],
        mut topology: watch::Receiver<Arc<Topology>>,
    ) -> Result<()> {
        let mut known = candidates.to_vec();
        known.sort();
        let others = |topology: &Arc<Topology>| self.eligible(topology) != known;
        let changed = topology.wait_for(others).await;
        changed.map(drop).map_err(|_| closed())
    }

    /// Asks the candidates in turn, without waiting for other callers.
    async fn first_that_has_room(&self, candidates: &[InstanceId], deadline: Instant) -> Room<E> {
        let mut full = Vec::new();
        let mut last = None;
        for candidate in candidates {
            let pools = &self.inner.pools;
            match pools.checkout_at_once(candidate, deadline).await {
                Ok(Some(lease)) => return Room::Given(lease),
                Ok(None) => full.push(candidate.clone()),
                Err(failure) => last = Some(failure),
            }
        }
        match last {
            Some(failure) if full.is_empty() => Room::Failed(failure),
            Some(_) | None => Room::Full(full),
        }
    }

    /// Waits in the queues of all candidates at once; the last failure if none gives a
    /// connection. There is at least one candidate.
    async fn first_that_gives(
        &self,
        candidates: &[InstanceId],
        deadline: Instant,
    ) -> Result<Lease<E>, Failure> {
        let mut queues: FuturesUnordered<_> = candidates
            .iter()
            .map(|candidate| self.inner.pools.checkout(candidate, deadline))
            .collect();
        let mut last = Failure::timed_out("no reader is left to wait for");
        while let Some(answer) = queues.next().await {
            match answer {
                Ok(lease) => return Ok(lease),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }
}

/// What a round of the candidates came to.
enum Room<E: Engine> {
    Given(Lease<E>),
    /// The connections of these are all in use.
    Full(Vec<InstanceId>),
    Failed(Failure),
}

/// Waits for news after a failed checkout, or says that trying again is of no use.
async fn wait_to_retry(
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
        | Fault::Silent
        | Fault::TimedOut
        | Fault::Unresolved
        | Fault::Full => false,
    };
    if hopeless || time::remaining(deadline) == Duration::ZERO {
        return Err(failure.error);
    }
    let retry_at = deadline.min(time::now() + RETRY_DELAY);
    match tokio::time::timeout_at(retry_at, topology.changed()).await {
        Ok(Err(_)) => Err(closed()),
        // Neither news nor silence decides anything here: the caller looks again.
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}
