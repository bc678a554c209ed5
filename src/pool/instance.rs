//! The pool of one instance.

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Pool, PoolError, QueueMode, Timeouts};

use super::lease::Lease;
use super::manager::Manager;
use super::member::Member;
use crate::engine::{Backend, Failure};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Generation;
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

/// One instance's connections.
pub(crate) struct InstancePool<E: Backend> {
    member: Arc<Member<E>>,
    pool: Pool<Manager<E>>,
}

impl<E: Backend> InstancePool<E> {
    pub(super) fn new(member: Member<E>) -> Result<Self> {
        let size = member.dialer().config().pool.max;
        let member = Arc::new(member);
        let pool = Pool::builder(Manager::new(Arc::clone(&member)))
            .max_size(size)
            // The connection used last is the likeliest to be alive, and the rest may idle out.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Config, "the pool cannot be built").with_source(error)
            })?;
        Ok(Self { member, pool })
    }

    pub(crate) fn member(&self) -> &Arc<Member<E>> {
        &self.member
    }

    /// How many connections are checked out.
    pub(crate) fn in_use(&self) -> usize {
        let status = self.pool.status();
        status.size.saturating_sub(status.available)
    }

    /// How many callers have a connection, wait for one to be opened, or wait in the queue.
    pub(super) fn users(&self) -> usize {
        // `deadpool` counts as waiting all users beyond the connections that are open.
        let status = self.pool.status();
        status.size.saturating_sub(status.available) + status.waiting
    }

    /// Checks a connection out, opening one if need be.
    ///
    /// Dropping the future gives its place in the queue back; a connect under way is ended.
    pub(crate) async fn checkout(&self, deadline: Instant) -> Result<Lease<E>, Failure> {
        let limits = &self.member.dialer().config().pool;
        if self.users() >= limits.max.saturating_add(limits.max_waiting) {
            return Err(self.failure(
                Fault::Other,
                ErrorKind::Overloaded,
                format!(
                    "{} callers wait already for one of its {} connections: raise pool_max, \
                     or send less",
                    limits.max_waiting, limits.max
                ),
            ));
        }
        let lease = self.take(time::remaining(deadline), deadline).await?;
        lease.ok_or_else(|| self.all_in_use())
    }

    /// Checks a connection out if one is idle or there is room for another; `None` when all are
    /// in use. It waits for a connect, but never for another caller.
    pub(crate) async fn checkout_at_once(
        &self,
        deadline: Instant,
    ) -> Result<Option<Lease<E>>, Failure> {
        self.take(Duration::ZERO, deadline).await
    }

    /// `None` when there was no place in the pool within `queueing`.
    async fn take(
        &self,
        queueing: Duration,
        deadline: Instant,
    ) -> Result<Option<Lease<E>>, Failure> {
        // Declared first, so that the count of users is right when it speaks.
        let _end = EndOfCheckout(&self.member);
        // One deadline covers the wait, the checks of idle connections and the connect.
        let timeouts = Timeouts {
            wait: Some(queueing),
            create: None,
            recycle: None,
        };
        let asked = tokio::time::timeout_at(deadline, self.pool.timeout_get(&timeouts));
        let answer = tokio::select! {
            biased;
            () = self.member.closed() => Ok(Err(PoolError::Closed)),
            answer = asked => answer,
        };
        match answer {
            Ok(Ok(object)) => Ok(Some(Lease::new(object, Arc::clone(&self.member)))),
            Ok(Err(PoolError::Backend(mut failure))) => {
                failure.error = failure.error.with_instance(self.member.id());
                Err(failure)
            }
            Ok(Err(PoolError::Closed)) if self.member.is_closed() => {
                Err(self.failure(Fault::Other, ErrorKind::Closed, "the handle was closed"))
            }
            Ok(Err(PoolError::Closed)) => Err(self.failure(
                Fault::Unresolved,
                ErrorKind::Connect,
                "it has left the cluster",
            )),
            Ok(Err(PoolError::Timeout(_))) => Ok(None),
            Err(_) => Err(self.all_in_use()),
            // Neither can be: a runtime is named, and there are no hooks.
            Ok(Err(PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_))) => Err(self
                .failure(
                    Fault::Other,
                    ErrorKind::Connect,
                    "its pool is misconfigured",
                )),
        }
    }

    fn failure(
        &self,
        fault: Fault,
        kind: ErrorKind,
        what: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Failure {
        Failure {
            fault,
            error: Error::new(kind, what).with_instance(self.member.id()),
        }
    }

    fn all_in_use(&self) -> Failure {
        let (open, in_use) = (self.pool.status().size, self.in_use());
        self.failure(
            Fault::TimedOut,
            ErrorKind::Timeout,
            format!(
                "no connection became free in time ({open} open, {in_use} in use, {} callers \
                 waiting)",
                self.users().saturating_sub(in_use)
            ),
        )
    }

    /// Begins a new generation: idle connections of older ones are closed, and those in use too
    /// where there is a cause to say why.
    pub(super) fn begin_generation(&self, generation: Generation, cause: Option<&'static str>) {
        self.member.begin_generation(generation, cause);
        let kept = self
            .pool
            .retain(|pooled, _| pooled.generation == generation);
        for pooled in kept.removed {
            E::kill(pooled.client);
        }
    }

    /// Closes idle connections that are no longer fit to be handed out.
    pub(super) fn sweep(&self) {
        let now = time::now();
        let generation = self.member.generation();
        let timing = &self.member.dialer().config().timing;
        let kept = self
            .pool
            .retain(|pooled, _| pooled.unfit::<E>(generation, timing, now).is_none());
        for pooled in kept.removed {
            E::kill(pooled.client);
        }
    }

    /// Opens connections until as many are there as are to be kept ready.
    ///
    /// `deadpool` takes none from outside, so the missing ones are checked out and given back at
    /// once; a failure is the business of whoever needs a connection next.
    pub(super) async fn top_up(&self) {
        let config = self.member.dialer().config();
        let deadline = time::now() + config.timing.connect_timeout;
        let mut opened = Vec::new();
        while self.pool.status().size < config.pool.min_idle {
            match self.checkout(deadline).await {
                Ok(lease) => opened.push(lease),
                Err(_) => break,
            }
        }
    }

    /// Closes idle connections and refuses new checkouts; those in use live till returned.
    pub(super) fn close(&self) {
        let idle = self.pool.retain(|_, _| false).removed;
        self.pool.close();
        for pooled in idle {
            E::kill(pooled.client);
        }
    }

    /// Ends the connections that are still in use.
    pub(super) fn end(&self, cause: &'static str) {
        self.begin_generation(self.member.generation().next(), Some(cause));
    }
}

/// Tells whoever waits for the end of all users that a checkout has come to its end.
struct EndOfCheckout<'a, E: Backend>(&'a Member<E>);

impl<E: Backend> Drop for EndOfCheckout<'_, E> {
    fn drop(&mut self) {
        if self.0.is_closed() {
            self.0.came_back();
        }
    }
}

impl<E: Backend> std::fmt::Debug for InstancePool<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstancePool")
            .field("instance", self.member.id())
            .field("status", &self.pool.status())
            .finish()
    }
}
