//! The pool of one instance.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Object, Pool, PoolError, QueueMode, Timeouts};

use super::lease::Lease;
use super::manager::{Manager, NO_SIGN_OF_LIFE, POOL_CLOSED, Pooled};
use super::member::Member;
use super::supply::Supply;
use crate::engine::{Backend, Failure};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Generation, InstanceId};
use crate::observe::meters::PoolLevels;
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

/// The limit of the whole is the caller's deadline.
const UNLIMITED: Timeouts = Timeouts {
    wait: None,
    create: None,
    recycle: None,
};

/// No waiting for another caller; connects take the time that they take.
const WITHOUT_QUEUEING: Timeouts = Timeouts {
    wait: Some(Duration::ZERO),
    create: None,
    recycle: None,
};

/// One instance's connections.
pub(crate) struct InstancePool<E: Backend> {
    member: Arc<Member<E>>,
    supply: Arc<Supply<E>>,
    pool: Pool<Manager<E>>,
}

type Taken<E> = Result<Object<Manager<E>>, PoolError<Failure>>;

impl<E: Backend> InstancePool<E> {
    pub(super) fn new(member: Member<E>) -> Result<Self> {
        let size = member.dialer().config().pool.max;
        let member = Arc::new(member);
        let supply = Arc::new(Supply::new(Arc::clone(&member)));
        let pool = Pool::builder(Manager::new(Arc::clone(&member), Arc::clone(&supply)))
            .max_size(size)
            // The connection used last is the likeliest to be alive, and the rest may idle out.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Config, "the pool cannot be built").with_source(error)
            })?;
        supply.serves(&pool);
        Ok(Self {
            member,
            supply,
            pool,
        })
    }

    pub(crate) fn member(&self) -> &Arc<Member<E>> {
        &self.member
    }

    pub(crate) fn id(&self) -> &InstanceId {
        self.member.id()
    }

    /// How many connections are checked out, as cheap as can be: what routing goes by.
    pub(crate) fn in_flight(&self) -> usize {
        self.supply.leases()
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

    /// An idle connection that needs no proof of life, if there is one: without I/O or waiting.
    pub(crate) fn checkout_idle(&self) -> Option<Lease<E>> {
        if self.pool.status().available == 0 {
            return None;
        }
        let mut taking = std::pin::pin!(self.pool.timeout_get(&WITHOUT_QUEUEING));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Ok(object)) = taking.as_mut().poll(&mut context) else {
            return None;
        };
        let lease = self.lease(object);
        if !lease.is_known_to_live() {
            // Seldom: it goes back as it was, and the caller asks again with patience.
            lease.put_back();
            return None;
        }
        Some(lease)
    }

    /// Checks a connection out, opening one if need be. `ahead` callers more are about to ask.
    ///
    /// Dropping the future gives its place in the queue to the next; a connect under way goes on
    /// for whoever comes.
    pub(crate) async fn checkout(
        &self,
        ahead: usize,
        deadline: Instant,
    ) -> Result<Lease<E>, Failure> {
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
        if ahead > 0 {
            self.supply.spur(ahead + 1);
        }
        let lease = self.take(&UNLIMITED, deadline).await?;
        lease.ok_or_else(|| self.all_in_use())
    }

    /// Checks a connection out if one is idle or there is room for another; `None` when all are
    /// in use, or none can be opened for the moment. It waits for a connect, but for no other
    /// caller.
    pub(crate) async fn checkout_at_once(
        &self,
        deadline: Instant,
    ) -> Result<Option<Lease<E>>, Failure> {
        if self.pool.status().available == 0 && self.supply.is_held_up() {
            return Ok(None);
        }
        self.take(&WITHOUT_QUEUEING, deadline).await
    }

    /// Begins connects for callers that wait for this pool elsewhere.
    pub(crate) fn expect(&self, callers: usize) {
        self.supply.spur(callers);
    }

    /// `None` when there was no place in the pool. One deadline covers the wait, the proofs of
    /// life and the connect.
    async fn take(
        &self,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<Option<Lease<E>>, Failure> {
        loop {
            let Some(mut lease) = self.take_unproved(timeouts, deadline).await? else {
                return Ok(None);
            };
            if lease.is_known_to_live() || lease.proves_alive(deadline).await {
                return Ok(Some(lease));
            }
            // The others have not been used for as long: they are not asked one by one.
            drop(lease);
            self.end_unproved();
            if time::remaining(deadline) == Duration::ZERO {
                return Err(self.all_in_use());
            }
        }
    }

    async fn take_unproved(
        &self,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<Option<Lease<E>>, Failure> {
        // Declared first, so that the count of users is right when it speaks.
        let _end = EndOfCheckout(&self.member);
        let mut taking = std::pin::pin!(self.pool.timeout_get(timeouts));
        // Without a timer where something is there.
        let at_once = std::future::poll_fn(|context| {
            Poll::Ready(match taking.as_mut().poll(context) {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            })
        });
        let answer = match at_once.await {
            Some(answer) => answer,
            None => tokio::select! {
                biased;
                () = self.member.closed() => Err(PoolError::Closed),
                answer = tokio::time::timeout_at(deadline, taking) => match answer {
                    Ok(answer) => answer,
                    Err(_) => return Err(self.all_in_use()),
                },
            },
        };
        self.explain(answer)
    }

    fn lease(&self, mut object: Object<Manager<E>>) -> Lease<E> {
        self.supply.arrived(&mut object);
        Lease::new(object, Arc::clone(&self.supply))
    }

    fn explain(&self, answer: Taken<E>) -> Result<Option<Lease<E>>, Failure> {
        match answer {
            Ok(object) => Ok(Some(self.lease(object))),
            Err(PoolError::Backend(failure)) => Err(failure),
            Err(PoolError::Closed) if self.member.is_closed() => {
                Err(self.failure(Fault::Other, ErrorKind::Closed, "the handle was closed"))
            }
            Err(PoolError::Closed) => Err(self.failure(
                Fault::Unresolved,
                ErrorKind::Connect,
                "it has left the cluster",
            )),
            Err(PoolError::Timeout(_)) => Ok(None),
            // Neither can be: a runtime is named, and there are no hooks.
            Err(PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => Err(self.failure(
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

    /// The end of a caller's patience: what came of connects if there is no connection at all,
    /// otherwise how busy they are.
    pub(crate) fn all_in_use(&self) -> Failure {
        let (open, in_use) = (self.pool.status().size, self.in_use());
        let waiting = self.users().saturating_sub(in_use);
        let obstacle = self.supply.obstacle();
        if let Some(obstacle) = obstacle.as_ref().filter(|_| open == 0) {
            return obstacle.failure(self.member.id());
        }
        let because = obstacle.map_or_else(String::new, |obstacle| {
            format!("; the last attempt at another one: {}", obstacle.message)
        });
        self.failure(
            Fault::TimedOut,
            ErrorKind::Timeout,
            format!(
                "no connection became free in time ({open} open, {in_use} in use, {waiting} \
                 callers waiting{because})"
            ),
        )
    }

    /// Begins a new generation: idle connections of older ones are closed, and those in use too
    /// where there is a cause to say why. How many there were.
    pub(super) fn begin_generation(
        &self,
        generation: Generation,
        cause: Option<&'static str>,
    ) -> usize {
        let connections = self.pool.status().size;
        self.member.begin_generation(generation, cause);
        self.end_idle(|pooled| pooled.end_of_generation::<E>(generation));
        connections + self.supply.begin_generation(cause)
    }

    /// The instance is known to serve from now on: what failed before says nothing.
    pub(super) fn serves_again(&self) {
        self.supply.serves_again();
    }

    /// Closes the idle connections for which there is a cause.
    fn end_idle(&self, mut cause: impl FnMut(&Pooled<E::Client>) -> Option<&'static str>) {
        let mut causes = Vec::new();
        let mut stays = |pooled: &Pooled<E::Client>| {
            let cause = cause(pooled);
            causes.extend(cause);
            cause.is_none()
        };
        // They come out in the order in which they were asked for.
        let ended = self.pool.retain(|pooled, _| stays(pooled)).removed;
        for (pooled, cause) in ended.into_iter().zip(causes) {
            pooled.end::<E>(cause);
        }
    }

    /// What the pool looks like now; so many callers wait for it elsewhere.
    pub(crate) fn levels(&self, waiting_elsewhere: usize) -> PoolLevels {
        let status = self.pool.status();
        let in_use = self.in_use();
        let limits = &self.member.dialer().config().pool;
        PoolLevels {
            used: in_use,
            idle: status.size.saturating_sub(in_use) + self.supply.spares(),
            max: limits.max,
            min_idle: limits.min_idle,
            waiting: self.users().saturating_sub(in_use) + waiting_elsewhere,
        }
    }

    pub(crate) fn tell_levels(&self, levels: PoolLevels) {
        let site = self.member.site();
        site.meters().levels(site.role(), levels);
    }

    /// Closes the idle connections that would have to prove that they live.
    fn end_unproved(&self) {
        let now = time::now();
        let timing = &self.member.dialer().config().timing;
        let cause =
            |pooled: &Pooled<E::Client>| pooled.needs_proof(timing, now).then_some(NO_SIGN_OF_LIFE);
        self.end_idle(cause);
        self.supply.sweep(cause);
    }

    /// Closes idle connections that are no longer fit to be handed out, or of no more use; asks
    /// for successors of those that will end soon, and keeps `min_idle` ready.
    pub(super) fn sweep(&self, min_idle: usize) {
        let now = time::now();
        let generation = self.member.generation();
        let config = self.member.dialer().config();
        let mut idle = self.pool.status().available + self.supply.spares();
        // One whose opening failed is asked for again.
        let none_comes = !self.supply.is_opening();
        let mut successors = 0;
        let mut cause = |pooled: &Pooled<E::Client>| {
            // The longest idle come first.
            let surplus =
                pooled.idle_for(now) > config.timing.idle_timeout && idle > config.pool.min_idle;
            let unfit = pooled.unfit::<E>(generation, now);
            let cause = unfit.or(surplus.then_some("it was idle for too long"));
            if cause.is_some() {
                idle = idle.saturating_sub(1);
            } else if pooled.needs_successor(now) || none_comes && pooled.ends_soon(now) {
                pooled.expects_successor();
                successors += 1;
            }
            cause
        };
        self.end_idle(&mut cause);
        self.supply.sweep(&mut cause);
        self.supply.want_more(successors);
        let missing = min_idle.min(config.pool.max).saturating_sub(idle);
        self.supply.want_in_background(missing);
        // What was wanted while the pool was full may have room now.
        self.supply.spur(0);
    }

    /// Closes idle connections and refuses new checkouts; those in use live till returned.
    pub(super) fn close(&self) {
        self.end_idle(|_| Some(POOL_CLOSED));
        self.pool.close();
        self.supply.close();
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
        self.0.came_back();
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

#[cfg(test)]
mod tests;
