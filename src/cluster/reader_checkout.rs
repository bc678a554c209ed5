//! Getting a connection to a reader, with patience: callers wait in the queues of the readers'
//! pools. Whom to ask first is decided in `routing`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::checkout::wait_to_retry;
use super::{Cluster, closed};
use crate::engine::{Engine, Failure};
use crate::error::Result;
use crate::id::{InstanceId, Role};
use crate::observe::meters::Routed;
use crate::pool::instance::InstancePool;
use crate::pool::lease::{Connection, Lease};
use crate::pool::routes::Routes;
use crate::routing::Reads;
use crate::time::{self, Instant};
use crate::topology::Topology;

/// How long a read waits for a connection to be opened before it asks the next reader too: some
/// logins, so that a reader without an idle connection still gets its share.
const OPENING_PATIENCE: Duration = Duration::from_millis(20);

impl<E: Engine> Cluster<E> {
    /// A connection to a reader.
    ///
    /// Readers take turns, and of two the one with fewer connections in use and the shorter latency
    /// is taken; [`explain`](Self::explain) tells. One that is more than two and a half times as
    /// slow as the fastest gets little until it recovers, which is tried every few seconds; one
    /// that is new, or was away, gets its share little by little
    /// ([`Timing::slow_start`](crate::config::Timing::slow_start)). When the connections to
    /// all of them are in use, the first to become free is taken. With no reader up it is a
    /// connection to the writer, as Aurora's own reader endpoint would give, unless
    /// [`when_none`](crate::Config::when_none) says otherwise; with neither the
    /// call waits, for at most the `checkout_timeout`. Where the handle has a
    /// [`custom_endpoint`](crate::Config::custom_endpoint), all that holds among its members.
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
        let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed);
        match self.reader_at_once(turn) {
            Some((lease, routed)) => Ok(self.given(lease, routed)),
            None => {
                self.wait_for_reader(self.checkout_deadline(), &[], turn)
                    .await
            }
        }
    }

    /// A connection to a reader, by a deadline that may be shared with other work, and to one of
    /// `avoided` only when no other has room.
    pub(super) async fn reader_by(
        &self,
        deadline: Instant,
        avoided: &[InstanceId],
    ) -> Result<Connection<E>> {
        let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed);
        if avoided.is_empty()
            && let Some((lease, routed)) = self.reader_at_once(turn)
        {
            return Ok(self.given(lease, routed));
        }
        self.wait_for_reader(deadline, avoided, turn).await
    }

    /// An idle connection to the reader whose turn it is.
    fn reader_at_once(&self, turn: usize) -> Option<(Lease<E>, Routed)> {
        let inner = &*self.inner;
        if inner.closed.load(Ordering::Acquire) {
            return None;
        }
        let routes = inner.pools.routes();
        let routed = match routes.reads() {
            Reads::Others => Routed::OtherReader,
            _ => Routed::LeastBusy,
        };
        Some((routes.best_reader(turn)?.checkout_idle()?, routed))
    }

    async fn wait_for_reader(
        &self,
        deadline: Instant,
        avoided: &[InstanceId],
        turn: usize,
    ) -> Result<Connection<E>> {
        let answer = self.reader_in_turn(deadline, avoided, turn).await;
        self.tell_timeout(&answer, Role::Reader);
        answer
    }

    async fn reader_in_turn(
        &self,
        deadline: Instant,
        avoided: &[InstanceId],
        turn: usize,
    ) -> Result<Connection<E>> {
        let inner = &self.inner;
        let began = time::now();
        let mut topology = inner.published.topology.clone();
        loop {
            self.refuse_if_closed()?;
            topology.borrow_and_update();
            let routes = Arc::clone(&inner.pools.routes());
            let mut candidates = routes.readers(turn);
            // A stable sort: the rest stays in the order of preference.
            candidates.sort_by_key(|candidate| avoided.contains(candidate.id()));
            if routes.reads() == Reads::Refused {
                return Err(self.no_reader(time::now() - began));
            }
            if candidates.is_empty() && routes.writer_for_reads().is_none() {
                let changed = self.other_candidates(&routes, topology.clone());
                match tokio::time::timeout_at(deadline, changed).await {
                    Ok(changed) => changed?,
                    Err(_) => return Err(self.no_reader(time::now() - began)),
                }
                continue;
            }
            let room = tokio::select! {
                biased;
                room = self.first_that_has_room(&candidates, deadline) => room,
                // It may be the very one that is to let us in.
                lost = self.candidate_lost(&candidates, topology.clone()) => {
                    lost?;
                    continue;
                }
            };
            let answer = match room {
                Room::Given(lease) => Ok(lease),
                Room::Failed(failure) => Err(failure),
                Room::Full(full) => tokio::select! {
                    biased;
                    answer = self.first_that_gives(&full, &routes, deadline, began) => answer?,
                    changed = self.other_candidates(&routes, topology.clone()) => {
                        changed?;
                        continue;
                    }
                },
            };
            match answer {
                Ok(lease) => {
                    self.refuse_if_closed()?;
                    let serves = inner.pools.routes().reads_from(lease.instance());
                    if serves && !lease.is_outdated() {
                        let routed = match routes.reads() {
                            Reads::Writer => Routed::NoReader,
                            Reads::WriterForLag => Routed::AllLag,
                            Reads::Others => Routed::OtherReader,
                            Reads::Members | Reads::Nobody | Reads::Refused => Routed::FirstFree,
                        };
                        return Ok(self.given_after(lease, routed, began));
                    }
                }
                Err(failure) => wait_to_retry(failure, &mut topology, deadline).await?,
            }
        }
    }

    /// Waits until reads may go to other instances than these.
    async fn other_candidates(
        &self,
        known: &Routes<E>,
        topology: watch::Receiver<Arc<Topology>>,
    ) -> Result<()> {
        let others = |routes: &Routes<E>| !routes.leads_like(known);
        self.routes_become(others, topology).await
    }

    /// Waits until reads may no longer go to one of these.
    async fn candidate_lost(
        &self,
        candidates: &[Arc<InstancePool<E>>],
        topology: watch::Receiver<Arc<Topology>>,
    ) -> Result<()> {
        let lost = |routes: &Routes<E>| {
            let mut known = candidates.iter();
            known.any(|candidate| !routes.reads_from(candidate.id()))
        };
        self.routes_become(lost, topology).await
    }

    /// Waits until the routes are so. They change with the topology, and with the members of a
    /// custom endpoint.
    async fn routes_become(
        &self,
        so: impl Fn(&Routes<E>) -> bool,
        mut topology: watch::Receiver<Arc<Topology>>,
    ) -> Result<()> {
        let mut scope = self.inner.pools.scope();
        loop {
            // Seen before the routes are looked at, so that no change is missed.
            topology.borrow_and_update();
            scope.borrow_and_update();
            if so(&self.inner.pools.routes()) {
                return Ok(());
            }
            let changed = tokio::select! {
                biased;
                () = self.inner.pools.closed() => return Err(closed()),
                changed = topology.changed() => changed,
                changed = scope.changed() => changed,
            };
            changed.map_err(|_| closed())?;
        }
    }

    /// Asks the candidates in turn, without waiting for other callers. One that has to open a
    /// connection and takes its time is not waited for alone.
    async fn first_that_has_room(
        &self,
        candidates: &[Arc<InstancePool<E>>],
        deadline: Instant,
    ) -> Room<E> {
        let mut full = Vec::new();
        let mut last = None;
        let mut asked = FuturesUnordered::new();
        let mut rest = candidates.iter();
        loop {
            if let Some(candidate) = rest.next() {
                asked.push(async move { (candidate, candidate.checkout_at_once(deadline).await) });
            }
            let answer = if rest.len() == 0 {
                asked.next().await
            } else {
                match tokio::time::timeout(OPENING_PATIENCE, asked.next()).await {
                    Ok(answer) => answer,
                    Err(_) => continue,
                }
            };
            match answer {
                Some((_, Ok(Some(lease)))) => return Room::Given(lease),
                Some((candidate, Ok(None))) => full.push(Arc::clone(candidate)),
                Some((_, Err(failure))) => last = Some(failure),
                None if rest.len() == 0 => break,
                None => {}
            }
        }
        match last {
            Some(failure) if full.is_empty() => Room::Failed(failure),
            Some(_) | None => Room::Full(full),
        }
    }

    /// Waits in the queues of all candidates at once; the last failure if none gives a
    /// connection. Without a candidate it waits for the writer, in the row of those who do.
    async fn first_that_gives(
        &self,
        candidates: &[Arc<InstancePool<E>>],
        routes: &Routes<E>,
        deadline: Instant,
        began: Instant,
    ) -> Result<Result<Lease<E>, Failure>> {
        if let Some(writer) = routes.writer_for_reads().filter(|_| candidates.is_empty()) {
            let right = self.right_to_read_the_writer(deadline, began).await?;
            if let Some(lease) = self.writer_at_once() {
                return Ok(Ok(lease.by_right(right)));
            }
            let turn = self.turn_in_line(time::now(), deadline).await?;
            let given = writer.checkout(turn.behind(), deadline).await;
            return Ok(given.map(|lease| lease.by_right(right)));
        }
        let mut queues: FuturesUnordered<_> = candidates
            .iter()
            .map(|candidate| candidate.checkout(0, deadline))
            .collect();
        let mut last = Failure::timed_out("no reader is left to wait for");
        while let Some(answer) = queues.next().await {
            match answer {
                Ok(lease) => return Ok(Ok(lease)),
                Err(failure) => last = failure,
            }
        }
        Ok(Err(last))
    }
}

impl<E: Engine> Cluster<E> {
    /// Waits until reads may hold one more of the writer's connections; `None` without a cap.
    async fn right_to_read_the_writer(
        &self,
        deadline: Instant,
        began: Instant,
    ) -> Result<Option<OwnedSemaphorePermit>> {
        let Some(cap) = &self.inner.writer_reads else {
            return Ok(None);
        };
        let right = Arc::clone(cap).acquire_owned();
        match tokio::time::timeout_at(deadline, right).await {
            Ok(right) => right.map(Some).map_err(|_| closed()),
            Err(_) => Err(self.no_reader(time::now() - began)),
        }
    }
}

/// What a round of the candidates came to.
enum Room<E: Engine> {
    Given(Lease<E>),
    /// The connections of these are all in use.
    Full(Vec<Arc<InstancePool<E>>>),
    Failed(Failure),
}
