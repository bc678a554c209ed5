//! What `deadpool` keeps, and how it asks for a connection and judges an idle one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};

use super::member::Member;
use super::supply::Supply;
use crate::config::Timing;
use crate::config::timing::MAX_LIFETIME_JITTER_PERCENT;
use crate::engine::{Backend, Condition, Failure};
use crate::id::Generation;
use crate::observe::site::Site;
use crate::rng::Rng;
use crate::time::{self, Instant};

/// How long before its end a connection's successor is asked for: two sweeps and a slow login.
const SUCCESSION_PERIOD: Duration = Duration::from_secs(3);

/// Why a connection ends that has nothing else the matter with it.
pub(super) const LIFETIME_OVER: &str = "it has lived long enough";

/// Why one ends that is of a generation which nothing but a restart has ended.
pub(super) const RESTARTED: &str = "its instance restarted";

/// Why one ends that has not answered, or that was not asked as others had not.
pub(super) const NO_SIGN_OF_LIFE: &str = "no sign of life";

/// Why one ends that nothing else has ended.
pub(super) const POOL_CLOSED: &str = "its pool was closed";

/// A connection as the pool keeps it.
#[derive(Debug)]
pub(crate) struct Pooled<C> {
    pub(super) client: C,
    pub(super) generation: Generation,
    /// When it has lived long enough.
    expires_at: Instant,
    /// When its successor is asked for.
    succession_at: Instant,
    pub(super) used_at: Instant,
    /// A successor has been asked for.
    is_replaced: AtomicBool,
    /// On its way to a caller, and not counted by `deadpool` yet.
    pub(super) in_transit: bool,
    obituary: Obituary,
}

/// Tells of a connection's end when it is dropped with it: once, whoever ends it.
struct Obituary {
    site: Arc<Site>,
    cause: &'static str,
}

/// Without the site, behind which is all that is known of statements.
impl std::fmt::Debug for Obituary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Obituary").field(&self.cause).finish()
    }
}

impl Drop for Obituary {
    fn drop(&mut self) {
        self.site.meters().ended(self.site.role(), self.cause);
    }
}

impl<C> Pooled<C> {
    pub(super) fn new(
        client: C,
        site: &Arc<Site>,
        generation: Generation,
        longest: Duration,
        rng: &mut Rng,
    ) -> Self {
        let now = time::now();
        // Up to a tenth shorter: connections opened together must not all end together.
        let half = MAX_LIFETIME_JITTER_PERCENT / 2;
        let middle = longest.mul_f64(1.0 - f64::from(half) / 100.0);
        let lifetime = rng.jitter(middle, half);
        let succession = SUCCESSION_PERIOD.min(lifetime / 4);
        Self {
            client,
            generation,
            expires_at: now + lifetime,
            succession_at: now + lifetime - succession,
            used_at: now,
            is_replaced: AtomicBool::new(false),
            in_transit: false,
            obituary: Obituary {
                site: Arc::clone(site),
                cause: POOL_CLOSED,
            },
        }
    }

    /// Closes it, for this cause.
    pub(super) fn end<E: Backend<Client = C>>(mut self, cause: &'static str) {
        self.obituary.cause = cause;
        E::kill(self.client);
    }

    /// Why an idle connection must not be handed out, if so.
    pub(super) fn unfit<E: Backend<Client = C>>(
        &self,
        generation: Generation,
        now: Instant,
    ) -> Option<&'static str> {
        let of_generation = self.end_of_generation::<E>(generation);
        if of_generation.is_some() {
            of_generation
        } else if E::condition(&self.client) != Condition::Clean {
            Some("it is no longer usable")
        } else if self.has_expired(now) {
            Some(LIFETIME_OVER)
        } else {
            None
        }
    }

    /// Why its generation has ended, if it is not the present one.
    pub(super) fn end_of_generation<E: Backend<Client = C>>(
        &self,
        present: Generation,
    ) -> Option<&'static str> {
        let cause = || E::reporter(&self.client).generation_end().cause();
        (self.generation != present).then(|| cause().unwrap_or(RESTARTED))
    }

    pub(super) fn has_expired(&self, now: Instant) -> bool {
        now >= self.expires_at
    }

    /// How long it has not been used.
    pub(super) fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.used_at)
    }

    /// Whether it must answer before it is handed out.
    pub(super) fn needs_proof(&self, timing: &Timing, now: Instant) -> bool {
        self.idle_for(now) > timing.validation_period
    }

    pub(super) fn has_successor(&self) -> bool {
        self.is_replaced.load(Ordering::Relaxed)
    }

    /// Whether it ends soon and nobody has asked for its successor yet.
    pub(super) fn needs_successor(&self, now: Instant) -> bool {
        self.ends_soon(now) && !self.has_successor()
    }

    pub(super) fn ends_soon(&self, now: Instant) -> bool {
        now >= self.succession_at
    }

    pub(super) fn expects_successor(&self) {
        self.is_replaced.store(true, Ordering::Relaxed);
    }
}

/// How the connections of one instance come to its pool.
pub(crate) struct Manager<E: Backend> {
    member: Arc<Member<E>>,
    supply: Arc<Supply<E>>,
}

impl<E: Backend> Manager<E> {
    pub(super) fn new(member: Arc<Member<E>>, supply: Arc<Supply<E>>) -> Self {
        Self { member, supply }
    }
}

impl<E: Backend> managed::Manager for Manager<E> {
    type Type = Pooled<E::Client>;
    type Error = Failure;

    async fn create(&self) -> Result<Self::Type, Failure> {
        self.supply.next().await
    }

    /// Without I/O, as no time limit of the caller's holds for each of several dead connections:
    /// one that needs proof of life gives it to `InstancePool`.
    async fn recycle(&self, pooled: &mut Self::Type, _: &Metrics) -> RecycleResult<Self::Error> {
        let now = time::now();
        let generation = self.member.generation();
        let Some(reason) = pooled.unfit::<E>(generation, now) else {
            return Ok(());
        };
        if self.supply.succeed(pooled, reason) {
            return Ok(());
        }
        pooled.obituary.cause = reason;
        // Where no other is idle, the caller opens one itself.
        let is_replaced = pooled.has_successor() || !self.supply.has_idle();
        if pooled.has_expired(now) && !is_replaced {
            self.supply.want_more(1);
        }
        Err(RecycleError::Message(reason.into()))
    }
}

impl<E: Backend> std::fmt::Debug for Manager<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager")
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}
