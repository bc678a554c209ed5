//! The pool of one instance.

use std::sync::Arc;

use deadpool::Runtime;
use deadpool::managed::{Pool, PoolError, QueueMode, Timeouts};
use tokio::sync::Notify;

use super::dialer::Dialer;
use super::lease::Lease;
use super::manager::Manager;
use super::member::Member;
use crate::engine::{Backend, Failure};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Generation, InstanceId};
use crate::time::{self, Instant};
use crate::topology::monitor::News;
use crate::topology::observation::Fault;

/// One instance's connections.
pub(crate) struct InstancePool<E: Backend> {
    member: Arc<Member<E>>,
    pool: Pool<Manager<E>>,
}

impl<E: Backend> InstancePool<E> {
    pub(super) fn new(
        id: InstanceId,
        dialer: Dialer,
        news: News,
        returned: Arc<Notify>,
    ) -> Result<Self> {
        let size = dialer.config().pool.max;
        let member = Arc::new(Member::new(id, dialer, news, returned)?);
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

    /// Checks a connection out, opening one if need be.
    ///
    /// Dropping the future gives its place in the queue back; a connect under way is ended.
    pub(crate) async fn checkout(&self, deadline: Instant) -> Result<Lease<E>, Failure> {
        let limits = &self.member.dialer().config().pool;
        if self.pool.status().waiting >= limits.max_waiting {
            return Err(Failure {
                fault: Fault::Other,
                error: Error::new(
                    ErrorKind::Overloaded,
                    format!(
                        "{} callers wait already for one of its {} connections: raise pool_max, \
                         or send less",
                        limits.max_waiting, limits.max
                    ),
                )
                .with_instance(self.member.id()),
            });
        }
        // One deadline covers the wait, the checks of idle connections and the connect.
        let timeouts = Timeouts {
            wait: Some(time::remaining(deadline)),
            create: None,
            recycle: None,
        };
        let asked = self.pool.timeout_get(&timeouts);
        let answer = tokio::time::timeout_at(deadline, asked).await;
        match answer {
            Ok(Ok(object)) => Ok(Lease::new(object, Arc::clone(&self.member))),
            Ok(Err(PoolError::Backend(mut failure))) => {
                failure.error = failure.error.with_instance(self.member.id());
                Err(failure)
            }
            Ok(Err(PoolError::Closed)) => Err(Failure {
                fault: Fault::Other,
                error: Error::new(ErrorKind::Closed, "its pool is closed")
                    .with_instance(self.member.id()),
            }),
            Ok(Err(PoolError::Timeout(_))) | Err(_) => Err(self.all_in_use()),
            // Neither can be: a runtime is named, and there are no hooks.
            Ok(Err(PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_))) => Err(Failure {
                fault: Fault::Other,
                error: Error::new(ErrorKind::Connect, "its pool is misconfigured")
                    .with_instance(self.member.id()),
            }),
        }
    }

    fn all_in_use(&self) -> Failure {
        let status = self.pool.status();
        let mut failure = Failure::timed_out(format!(
            "no connection became free in time ({} open, {} in use, {} callers waiting)",
            status.size,
            self.in_use(),
            status.waiting
        ));
        failure.error = failure.error.with_instance(self.member.id());
        failure
    }

    /// Begins a new generation: idle connections of older ones are closed, and those in use too
    /// where there is a cause to say why.
    pub(super) fn begin_generation(&self, generation: Generation, cause: Option<&'static str>) {
        if let Some(standing) = self.member.begin_generation(generation, cause) {
            E::kill(standing);
        }
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
        self.pool.close();
        if let Some(standing) = self.member.take_standing() {
            E::kill(standing);
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
