//! A connection that is checked out, and what becomes of it afterwards.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::Object;
use tokio::sync::OwnedSemaphorePermit;

use super::manager::{LIFETIME_OVER, Manager, NO_SIGN_OF_LIFE};
use super::member::Member;
use super::supply::Supply;
use crate::engine::{Backend, Condition, Engine};
use crate::id::{Generation, InstanceId};
use crate::observe::recorder::FirstWrite;
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

/// How long a rollback on behalf of the next user may take before the connection is thrown away.
const CLEANING_TIMEOUT: Duration = Duration::from_secs(5);

/// A checked-out connection to one instance: the native client's API, and a guard.
///
/// It goes back to its pool when dropped: at once when it is clean, after a rollback in the
/// background when a transaction is open, and never when it is broken, when a call on it was
/// cancelled half-way, or when its instance has been demoted or lost since.
///
/// For PostgreSQL it dereferences to [`postgres::Client`](crate::postgres::Client) and on to
/// `tokio_postgres::Client`; for MySQL it is a `mysql_async::prelude::Queryable`.
#[derive(Debug)]
pub struct Connection<E: Engine> {
    lease: Option<Lease<E>>,
    /// Since when it is in use, where that is measured.
    taken_at: Option<Instant>,
}

impl<E: Engine> Connection<E> {
    pub(crate) fn new(lease: Lease<E>) -> Self {
        Self::after(lease, Duration::ZERO)
    }

    /// One for which its user had waited.
    pub(crate) fn after(mut lease: Lease<E>, waited: Duration) -> Self {
        let site = lease.member().site();
        let measures = site.meters().are_on();
        site.meters().waited(site.role(), waited);
        if let Some(kept) = &mut lease.kept {
            E::waited(&mut kept.client, waited);
        }
        Self {
            lease: Some(lease),
            taken_at: measures.then(time::now),
        }
    }

    /// Lets it be known when a statement has succeeded on it.
    pub(crate) fn awaited(mut self, first_write: Option<FirstWrite>) -> Self {
        if let Some(first_write) = first_write {
            E::begin_record(&mut self);
            E::reporter(&self).await_write(first_write);
        }
        self
    }

    /// The instance that it leads to.
    pub fn instance(&self) -> &InstanceId {
        self.lease().member().id()
    }

    /// The generation it was opened in.
    pub fn generation(&self) -> Generation {
        self.lease().kept().generation
    }

    /// Whether its instance has been demoted, restarted or lost since it was opened.
    ///
    /// After a demotion or a loss its calls fail from then on. After a restart that was only
    /// noticed later it may still be one that was opened since, and its calls go on. Either way
    /// it is thrown away when dropped.
    pub fn is_outdated(&self) -> bool {
        self.lease().is_outdated()
    }

    fn lease(&self) -> &Lease<E> {
        self.lease.as_ref().expect("the lease leaves only in drop")
    }
}

impl<E: Engine> Deref for Connection<E> {
    type Target = E::Client;

    fn deref(&self) -> &E::Client {
        &self.lease().kept().client
    }
}

impl<E: Engine> DerefMut for Connection<E> {
    fn deref_mut(&mut self) -> &mut E::Client {
        let lease = self.lease.as_mut();
        let kept = lease.and_then(|lease| lease.kept.as_mut());
        &mut kept.expect("the lease leaves only in drop").client
    }
}

impl<E: Engine> Drop for Connection<E> {
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take() else {
            return;
        };
        if let Some(taken_at) = self.taken_at {
            let site = lease.member().site();
            let used = time::now().saturating_duration_since(taken_at);
            site.meters().used(site.role(), used);
        }
        // What cleans it is no write of the application's.
        E::reporter(&lease.kept().client).forget_write();
        let unclean = E::condition(&lease.kept().client) == Condition::Unclean;
        if unclean && !lease.is_outdated() {
            let spawner = lease.member().dialer().spawner().clone();
            spawner.spawn("clean-connection", async move {
                // Whatever comes of it, the lease looks at the result when it is dropped.
                if let Some(kept) = &mut lease.kept {
                    let cleaning = E::clean(&mut kept.client);
                    let _ = tokio::time::timeout(CLEANING_TIMEOUT, cleaning).await;
                }
            });
        }
    }
}

/// A connection in its pool's keeping.
type Kept<E> = Object<Manager<E>>;

/// A connection on its way out of or back to its pool: returned when dropped if it is clean and
/// of the present generation, killed otherwise.
#[derive(Debug)]
pub(crate) struct Lease<E: Backend> {
    kept: Option<Kept<E>>,
    supply: Arc<Supply<E>>,
    /// Since when it is in use, where nobody watches its statements.
    taken_at: Option<Instant>,
    /// The right to read from the writer, where that is capped.
    _writer_read: Option<OwnedSemaphorePermit>,
}

impl<E: Backend> Lease<E> {
    pub(super) fn new(kept: Kept<E>, supply: Arc<Supply<E>>) -> Self {
        supply.leased();
        let is_watched = supply.member().site().is_watching();
        Self {
            kept: Some(kept),
            supply,
            taken_at: (!is_watched).then(time::now),
            _writer_read: None,
        }
    }

    /// Keeps the right to read from the writer for as long as it lives.
    pub(crate) fn by_right(mut self, writer_read: Option<OwnedSemaphorePermit>) -> Self {
        self._writer_read = writer_read;
        self
    }

    fn member(&self) -> &Member<E> {
        self.supply.member()
    }

    /// Whether it was used lately enough to be handed out unasked.
    pub(super) fn is_known_to_live(&self) -> bool {
        let timing = &self.member().dialer().config().timing;
        !self.kept().needs_proof(timing, time::now())
    }

    /// Asks for a sign of life, in the time of a probe and before the deadline.
    pub(super) async fn proves_alive(&mut self, deadline: Instant) -> bool {
        let asked_at = time::now();
        let limit = asked_at + self.member().dialer().config().timing.probe_timeout;
        let Some(kept) = &mut self.kept else {
            return false;
        };
        let ping = E::ping(&mut kept.client);
        match tokio::time::timeout_at(limit.min(deadline), ping).await {
            Ok(Ok(())) => {
                let now = time::now();
                kept.used_at = now;
                let site = self.member().site();
                site.meters().checked(site.role(), now - asked_at);
                true
            }
            // The connection has told of it itself.
            Ok(Err(_)) => {
                self.end();
                false
            }
            Err(_) => {
                if limit <= deadline {
                    self.member().reporter().1.trouble(Fault::TimedOut);
                }
                self.end();
                false
            }
        }
    }

    #[cfg(test)]
    pub(super) fn client(&self) -> &E::Client {
        &self.kept().client
    }

    #[cfg(test)]
    pub(super) fn client_mut(&mut self) -> &mut E::Client {
        let kept = self.kept.as_mut();
        &mut kept.expect("the connection leaves only in drop").client
    }

    /// Gives it back as if it had not been taken out.
    pub(super) fn put_back(mut self) {
        drop(self.kept.take());
        self.supply.hand_over_idle();
        self.member().came_back();
    }

    /// Sees to the succession of a connection that comes back: whether there is one to keep.
    fn renew(&self, kept: &mut Kept<E>, now: Instant) -> bool {
        if !kept.needs_successor(now) && !kept.has_successor() {
            return true;
        }
        if self.supply.succeed(kept, LIFETIME_OVER) {
            return true;
        }
        if !kept.has_successor() {
            kept.expects_successor();
            self.supply.want_more(1);
        }
        !kept.has_expired(now)
    }

    /// Closes it now: it gave no sign of life.
    fn end(&mut self) {
        if let Some(kept) = self.kept.take() {
            Object::take(kept).end::<E>(NO_SIGN_OF_LIFE);
            self.member().came_back();
        }
    }

    fn kept(&self) -> &Kept<E> {
        self.kept
            .as_ref()
            .expect("the connection leaves only in drop")
    }

    pub(crate) fn instance(&self) -> &InstanceId {
        self.member().id()
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.kept().generation != self.member().generation()
    }
}

impl<E: Backend> Drop for Lease<E> {
    fn drop(&mut self) {
        self.supply.returned();
        let Some(mut kept) = self.kept.take() else {
            return;
        };
        let generation = self.member().generation();
        // Two connections' clients can be swapped through their mutable references; a stranger's
        // must not stay in this pool.
        let own = E::reporter(&kept.client).belongs_to(self.member().id(), generation);
        let clean = E::condition(&kept.client) == Condition::Clean;
        let now = time::now();
        if let Some(taken_at) = self.taken_at {
            let took = now.saturating_duration_since(taken_at);
            self.member().site().latency().took(took, !clean, now);
        }
        let fit = own && clean && kept.generation == generation;
        if fit && self.renew(&mut kept, now) {
            kept.used_at = now;
            if self.supply.is_awaited() {
                self.supply.hand_over(kept);
            } else {
                drop(kept);
                // Somebody may have begun to wait since.
                self.supply.hand_over_idle();
            }
        } else {
            let cause = match kept.end_of_generation::<E>(generation) {
                Some(cause) => cause,
                None if clean && own => LIFETIME_OVER,
                None => "it came back unfit",
            };
            Object::take(kept).end::<E>(cause);
            self.supply.spur(0);
        }
        self.member().came_back();
    }
}

#[cfg(test)]
mod tests;
