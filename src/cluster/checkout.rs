//! Getting a connection, with patience: who gives one, and how long to wait for it.
//!
//! Whom to ask is decided in `routing`; callers wait for the writer in the [`Line`](super::line),
//! for a reader in the queues of the readers' pools. Where an idle connection is at hand nobody
//! waits, no clock is set and no lock is shared with other instances.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;

use super::line::Turn;
use super::{Cluster, closed};
use crate::engine::{Engine, Failure};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, Role};
use crate::observe::meters::Routed;
use crate::pool::instance::InstancePool;
use crate::pool::lease::{Connection, Lease};
use crate::pool::routes::Routes;
use crate::time::{self, Instant};
use crate::topology::Topology;
use crate::topology::observation::Fault;

/// How long to wait before an instance that gave no connection is tried again, if no news of the
/// topology come first.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// How long a read waits for a connection to be opened before it asks the next reader too: some
/// logins, so that a reader without an idle connection still gets its share.
const OPENING_PATIENCE: Duration = Duration::from_millis(20);

impl<E: Engine> Cluster<E> {
    /// A connection to the writer.
    ///
    /// During a failover the call waits for the new writer, for at most the `failover_timeout`;
    /// with the wait for a free connection it takes at most the `checkout_timeout` (both 30 s by
    /// default). Callers are served in the order of their arrival. It never gives a connection to an instance that is known to be demoted or in
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
    /// Safe: the place in the queue is given up, a connect under way goes on for the next caller.
    pub async fn writer(&self) -> Result<Connection<E>> {
        match self.writer_at_once() {
            Some(lease) => Ok(self.given(lease, Routed::Writer)),
            None => self.wait_for_writer(self.checkout_deadline()).await,
        }
    }

    /// By when a call that begins now has its connection.
    pub(super) fn checkout_deadline(&self) -> Instant {
        time::now() + self.inner.config.timing.checkout_timeout
    }

    /// A connection to the writer, by a deadline that may be shared with other work.
    pub(super) async fn writer_by(&self, deadline: Instant) -> Result<Connection<E>> {
        match self.writer_at_once() {
            Some(lease) => Ok(self.given(lease, Routed::Writer)),
            None => self.wait_for_writer(deadline).await,
        }
    }

    /// An idle connection to the writer, unless somebody waits for one.
    fn writer_at_once(&self) -> Option<Lease<E>> {
        let inner = &*self.inner;
        if inner.closed.load(Ordering::Acquire) || !inner.line.is_empty() {
            return None;
        }
        inner.pools.routes().writer()?.checkout_idle()
    }

    /// A connection that was at hand.
    fn given(&self, lease: Lease<E>, routed: Routed) -> Connection<E> {
        self.inner.pools.observer().meters().routed(routed);
        Connection::new(lease)
    }

    /// A connection that a caller has waited for since it arrived.
    fn given_after(&self, lease: Lease<E>, routed: Routed, arrived: Instant) -> Connection<E> {
        self.inner.pools.observer().meters().routed(routed);
        Connection::after(lease, time::now().saturating_duration_since(arrived))
    }

    /// Counts a caller that was told to wait no longer.
    fn tell_timeout(&self, answer: &Result<Connection<E>>, role: Role) {
        let gave_up = |error: &Error| {
            let kind = error.kind();
            matches!(
                kind,
                ErrorKind::NoReader | ErrorKind::NoWriter | ErrorKind::Timeout
            )
        };
        if answer.as_ref().is_err_and(gave_up) {
            self.inner.pools.observer().meters().timed_out(role);
        }
    }

    async fn wait_for_writer(&self, deadline: Instant) -> Result<Connection<E>> {
        let answer = self.writer_in_turn(deadline).await;
        self.tell_timeout(&answer, Role::Writer);
        answer
    }

    async fn writer_in_turn(&self, deadline: Instant) -> Result<Connection<E>> {
        self.refuse_if_closed()?;
        let inner = &self.inner;
        let arrived = time::now();
        let turn = self.turn_in_line(arrived, deadline).await?;
        let mut topology = inner.published.topology.clone();
        loop {
            self.refuse_if_closed()?;
            topology.borrow_and_update();
            let writer = inner.pools.routes().writer().cloned();
            let Some(pool) = writer else {
                let give_up = deadline.min(self.patience_for_a_writer(arrived));
                match tokio::time::timeout_at(give_up, topology.changed()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) => return Err(closed()),
                    Err(_)
                        if time::remaining(self.patience_for_a_writer(arrived))
                            > Duration::ZERO
                            && time::remaining(deadline) > Duration::ZERO =>
                    {
                        continue;
                    }
                    Err(_) => return Err(self.no_writer(give_up - arrived)),
                }
            };
            let still_writer = || inner.pools.routes().writes_to(&pool);
            let answer = tokio::select! {
                biased;
                answer = pool.checkout(turn.behind(), deadline) => answer,
                // Waiting in the queue of an instance that is no longer the writer is in vain.
                replaced = topology.wait_for(|_| !still_writer()) => match replaced {
                    Ok(_) => continue,
                    Err(_) => return Err(closed()),
                },
            };
            match answer {
                Ok(lease) => {
                    self.refuse_if_closed()?;
                    if still_writer() && !lease.is_outdated() {
                        let hub = &self.inner.hub;
                        let first_write = hub.recorder.first_write(&hub.events);
                        let connection = self.given_after(lease, Routed::Writer, arrived);
                        return Ok(connection.awaited(first_write));
                    }
                }
                Err(failure) => wait_to_retry(failure, &mut topology, deadline).await?,
            }
        }
    }

    /// Until when a call that came then waits for a writer while there is none.
    fn patience_for_a_writer(&self, arrived: Instant) -> Instant {
        let lost_at = self
            .inner
            .published
            .topology
            .borrow()
            .without_writer_since();
        let since = lost_at.map_or(arrived, |lost_at| lost_at.max(arrived));
        since + self.inner.config.timing.failover_timeout
    }

    /// Waits for this call's turn at the writer.
    async fn turn_in_line(&self, arrived: Instant, deadline: Instant) -> Result<Turn<'_>> {
        let inner = &self.inner;
        let limits = &inner.config.pool;
        let writer = inner.pools.routes().writer().cloned();
        // Those for whom there is room in the pool do not count as waiting.
        let in_use = writer.as_ref().map_or(0, |pool| pool.in_use());
        let places = limits.max.saturating_add(limits.max_waiting);
        let Some(place) = inner.line.join(places.saturating_sub(in_use)) else {
            return Err(Error::new(
                ErrorKind::Overloaded,
                format!(
                    "{} callers wait already for one of the {} connections to the writer: raise \
                     pool_max or pool_max_waiting, or send less",
                    limits.max_waiting, limits.max
                ),
            ));
        };
        let others = inner.line.length().saturating_sub(1);
        if let Some(pool) = writer.filter(|_| others > 0) {
            pool.expect(others);
        }
        tokio::select! {
            biased;
            turn = place.turn() => turn.ok_or_else(closed),
            error = self.end_of_patience(arrived, deadline) => Err(error),
        }
    }

    /// Waits until a call that stands in the row has waited for too long. It looks when its time
    /// may have come, and not whenever there is news: thousands may stand there.
    async fn end_of_patience(&self, arrived: Instant, deadline: Instant) -> Error {
        loop {
            let look_again = match self.inner.pools.routes().writer() {
                Some(_) => time::now() + self.inner.config.timing.failover_timeout,
                None => self.patience_for_a_writer(arrived),
            };
            time::sleep_until(Some(look_again.min(deadline))).await;
            let writer = self.inner.pools.routes().writer().cloned();
            match writer {
                Some(pool) if time::remaining(deadline) == Duration::ZERO => {
                    return pool.all_in_use().error;
                }
                Some(_) => {}
                None => {
                    let patience = deadline.min(self.patience_for_a_writer(arrived));
                    if time::remaining(patience) == Duration::ZERO {
                        return self.no_writer(patience - arrived);
                    }
                }
            }
        }
    }

    /// A connection to a reader.
    ///
    /// Readers take turns, those with fewer connections in use first; one that is new, or was away,
    /// gets its share little by little ([`Timing::slow_start`](crate::config::Timing::slow_start)). When the connections to
    /// all of them are in use, the first to become free is taken. With no reader up it is a
    /// connection to the writer, as Aurora's own reader endpoint would give; with neither the
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
            Some(lease) => Ok(self.given(lease, Routed::LeastBusy)),
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
            && let Some(lease) = self.reader_at_once(turn)
        {
            return Ok(self.given(lease, Routed::LeastBusy));
        }
        self.wait_for_reader(deadline, avoided, turn).await
    }

    /// An idle connection to the reader whose turn it is.
    fn reader_at_once(&self, turn: usize) -> Option<Lease<E>> {
        let inner = &*self.inner;
        if inner.closed.load(Ordering::Acquire) {
            return None;
        }
        inner.pools.routes().best_reader(turn)?.checkout_idle()
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
                    answer = self.first_that_gives(&full, &routes, deadline) => answer?,
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
                        let routed = if candidates.is_empty() {
                            Routed::NoReader
                        } else {
                            Routed::FirstFree
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
    ) -> Result<Result<Lease<E>, Failure>> {
        if let Some(writer) = routes.writer_for_reads().filter(|_| candidates.is_empty()) {
            if let Some(lease) = self.writer_at_once() {
                return Ok(Ok(lease));
            }
            let turn = self.turn_in_line(time::now(), deadline).await?;
            return Ok(writer.checkout(turn.behind(), deadline).await);
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

/// What a round of the candidates came to.
enum Room<E: Engine> {
    Given(Lease<E>),
    /// The connections of these are all in use.
    Full(Vec<Arc<InstancePool<E>>>),
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
