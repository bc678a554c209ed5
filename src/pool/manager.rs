//! How `deadpool` opens a connection, and decides whether an idle one may be used again.

use std::sync::Arc;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::sync::Semaphore;

use super::member::Member;
use crate::config::Timing;
use crate::config::timing::MAX_LIFETIME_JITTER_PERCENT;
use crate::engine::{Backend, Condition, Failure};
use crate::error::{Error, ErrorKind};
use crate::id::Generation;
use crate::rng::Rng;
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

/// A connection as the pool keeps it.
#[derive(Debug)]
pub(crate) struct Pooled<C> {
    pub(super) client: C,
    pub(super) generation: Generation,
    /// When it has lived long enough.
    expires_at: Instant,
    pub(super) used_at: Instant,
}

impl<C> Pooled<C> {
    /// Why an idle connection must not be kept, if so.
    pub(super) fn unfit<E: Backend<Client = C>>(
        &self,
        generation: Generation,
        timing: &Timing,
        now: Instant,
    ) -> Option<&'static str> {
        if self.generation != generation {
            Some("it belongs to an earlier generation")
        } else if E::condition(&self.client) != Condition::Clean {
            Some("it is no longer usable")
        } else if now >= self.expires_at {
            Some("it has lived long enough")
        } else if now.saturating_duration_since(self.used_at) > timing.idle_timeout {
            Some("it was idle for too long")
        } else {
            None
        }
    }
}

/// Opens and checks the connections of one instance.
pub(crate) struct Manager<E: Backend> {
    member: Arc<Member<E>>,
    /// At most so many logins under way: a restarted instance is not met by the whole pool.
    gate: Semaphore,
}

impl<E: Backend> Manager<E> {
    pub(super) fn new(member: Arc<Member<E>>) -> Self {
        let gate = Semaphore::new(member.dialer().config().pool.max_connecting);
        Self { member, gate }
    }

    fn pooled(&self, client: E::Client, generation: Generation) -> Pooled<E::Client> {
        let now = time::now();
        let longest = self.member.dialer().config().timing.max_lifetime;
        // Up to a tenth shorter: connections opened together must not all end together.
        let half = MAX_LIFETIME_JITTER_PERCENT / 2;
        let middle = longest.mul_f64(1.0 - f64::from(half) / 100.0);
        Pooled {
            client,
            generation,
            expires_at: now + Rng::from_entropy().jitter(middle, half),
            used_at: now,
        }
    }
}

impl<E: Backend> managed::Manager for Manager<E> {
    type Type = Pooled<E::Client>;
    type Error = Failure;

    async fn create(&self) -> Result<Self::Type, Failure> {
        let (generation, reporter) = self.member.reporter();
        // What the monitor has just confirmed the writer on is the fastest connection there is.
        if let Some(client) = self.member.take_standing_for_first_use(generation) {
            return Ok(self.pooled(client, generation));
        }
        let _turn = self.gate.acquire().await.map_err(|_| Failure {
            fault: Fault::Other,
            error: Error::new(ErrorKind::Closed, "the cluster handle is closed"),
        })?;
        let deadline = time::now() + self.member.dialer().config().timing.connect_timeout;
        let place = self.member.place();
        // A host that is silent lets nobody in: waiting for it counts like waiting for an answer.
        let _awaited = reporter.pulse().awaiting();
        let dialled = self
            .member
            .dialer()
            .dial::<E>(place, reporter.clone(), deadline)
            .await;
        match dialled {
            Ok(client) => Ok(self.pooled(client, generation)),
            Err(failure) => {
                reporter.trouble(failure.fault);
                Err(failure)
            }
        }
    }

    async fn recycle(&self, pooled: &mut Self::Type, _: &Metrics) -> RecycleResult<Self::Error> {
        let timing = &self.member.dialer().config().timing;
        let now = time::now();
        if let Some(reason) = pooled.unfit::<E>(self.member.generation(), timing, now) {
            return Err(RecycleError::Message(reason.into()));
        }
        let idle = now.saturating_duration_since(pooled.used_at);
        if idle > timing.validation_period {
            let ping = E::ping(&mut pooled.client);
            tokio::time::timeout(timing.probe_timeout, ping)
                .await
                .map_err(|_| {
                    self.member.reporter().1.trouble(Fault::TimedOut);
                    RecycleError::Message("it did not answer a ping".into())
                })?
                .map_err(RecycleError::Backend)?;
        }
        Ok(())
    }
}

impl<E: Backend> std::fmt::Debug for Manager<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager")
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}
