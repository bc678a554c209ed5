//! Getting a connection to the writer, with patience: callers wait in the [`Line`](super::line).
//!
//! Where an idle connection is at hand nobody
//! waits, no clock is set and no lock is shared with other instances.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::line::Turn;
use super::{Cluster, closed};
use crate::engine::{Engine, Failure};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Role;
use crate::observe::meters::Routed;
use crate::pool::lease::{Connection, Lease};
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
    pub(super) fn writer_at_once(&self) -> Option<Lease<E>> {
        let inner = &*self.inner;
        if inner.closed.load(Ordering::Acquire) || !inner.line.is_empty() {
            return None;
        }
        inner.pools.routes().writer()?.checkout_idle()
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
    pub(super) async fn turn_in_line(
        &self,
        arrived: Instant,
        deadline: Instant,
    ) -> Result<Turn<'_>> {
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
}

/// Waits for news after a failed checkout, or says that trying again is of no use.
pub(super) async fn wait_to_retry(
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
