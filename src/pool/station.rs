//! One instance as the monitor knows it: its place, the generation of its connections, and the
//! connection that the monitor keeps to it. The pools of all handles share it.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::dialer::Dialer;
use crate::config::HostPort;
use crate::engine::pulse::Pulse;
use crate::engine::reporter::{GenerationEnd, Reporter};
use crate::engine::{Backend, Condition};
use crate::error::Result;
use crate::id::{Generation, InstanceId};
use crate::time::{self, Instant};
use crate::topology::monitor::News;
use crate::topology::observation::{Fault, Observation};
use crate::topology::silence::{LONGEST_TICK, Usual};

/// So many logins in a row may run out of the time of a probe before the next is given more. A
/// host that is away, or a cut network, is tried anew within that time meanwhile, as the healing of
/// the network is seen by a new connection first.
const LATE_LOGINS_MAX: u32 = 4;

/// One instance, as the monitor reaches it.
pub(crate) struct Station<E: Backend> {
    id: InstanceId,
    place: HostPort,
    dialer: Dialer,
    news: News,
    pulse: Arc<Pulse>,
    /// How often it was looked at while it owed an answer.
    looks: AtomicU64,
    life: Mutex<Life<E>>,
    /// How many of the monitor's connections are in use, those being opened among them.
    asking: AtomicUsize,
    /// Held while a connection for the monitor is opened: one login at a time.
    login: tokio::sync::Mutex<()>,
    /// How many logins in a row have run out of time, or took longer than a probe may.
    late_logins: AtomicU32,
    /// The monitor has ended: nothing is kept any more.
    closed: CancellationToken,
}

struct Life<E: Backend> {
    generation: Generation,
    /// Ends the standing connection, also where a pool has taken it over.
    end: GenerationEnd,
    /// The connection that the monitor keeps to the instance, while no probe is using it.
    standing: Option<Standing<E>>,
    /// A standing connection of this generation was found to have ended.
    has_lost_one: bool,
    /// No pool has opened a connection in this generation yet.
    unused: bool,
    usual: Usual,
}

/// When a trivial question was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    at: Instant,
    looks: u64,
}

struct Standing<E: Backend> {
    client: E::Client,
    generation: Generation,
    /// What ends this connection alone.
    end: GenerationEnd,
    /// When a probe last had an answer over it.
    used_at: Instant,
}

/// A connection of the monitor's that is in use.
#[derive(Debug)]
pub(super) struct Asking<'a>(&'a AtomicUsize);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<E: Backend> Station<E> {
    pub(super) fn new(
        id: InstanceId,
        generation: Generation,
        dialer: Dialer,
        news: News,
        begun: Arc<Notify>,
        closed: CancellationToken,
    ) -> Result<Self> {
        Ok(Self {
            place: dialer.locate(&id)?,
            id,
            dialer,
            news,
            pulse: Arc::new(Pulse::new(begun)),
            looks: AtomicU64::new(0),
            life: Mutex::new(Life {
                generation,
                end: GenerationEnd::default(),
                standing: None,
                has_lost_one: false,
                unused: true,
                usual: Usual::default(),
            }),
            asking: AtomicUsize::new(0),
            login: tokio::sync::Mutex::new(()),
            late_logins: AtomicU32::new(0),
            closed,
        })
    }

    fn life(&self) -> MutexGuard<'_, Life<E>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> &InstanceId {
        &self.id
    }

    pub(super) fn place(&self) -> &HostPort {
        &self.place
    }

    pub(super) fn news(&self) -> &News {
        &self.news
    }

    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    pub(super) fn usual(&self) -> Usual {
        self.life().usual
    }

    /// It owes an answer, and is looked at.
    pub(super) fn looked_at(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// A trivial question is asked now, on an open connection.
    pub(super) fn asked(&self) -> Asked {
        Asked {
            at: time::now(),
            looks: self.looks.load(Ordering::Relaxed),
        }
    }

    /// The instance answered a trivial question that was asked then.
    ///
    /// Whoever owes an answer is looked at at every tick. Where that was not done, this process
    /// stood still, and the time says nothing about the instance.
    pub(super) fn answered_after(&self, asked: Asked) {
        let took = time::now().saturating_duration_since(asked.at);
        let looks = self.looks.load(Ordering::Relaxed) - asked.looks + 1;
        let watched = LONGEST_TICK.saturating_mul(u32::try_from(looks).unwrap_or(u32::MAX));
        self.life().usual.round_trip.measured(took.min(watched));
    }

    /// The instance let us in and answered, by a connection begun then.
    pub(super) fn let_in_after(&self, begun_at: Instant) {
        let took = time::now().saturating_duration_since(begun_at);
        self.life().usual.login.measured(took);
        // One that was late and came will be late again.
        if took <= self.probe_timeout() {
            self.late_logins.store(0, Ordering::Relaxed);
        }
    }

    /// A login has run out of time.
    pub(super) fn login_was_late(&self) {
        self.late_logins.fetch_add(1, Ordering::Relaxed);
    }

    /// How much longer than a probe without one a probe with a login may take: over a slow link,
    /// or on a busy machine, none would ever come to its end in the time of a question.
    pub(super) fn login_grace(&self) -> Duration {
        let late = self.late_logins.load(Ordering::Relaxed);
        let doublings = (late + 1).saturating_sub(LATE_LOGINS_MAX).min(16);
        let timing = &self.dialer.config().timing;
        let allowed = self.probe_timeout().saturating_mul(1 << doublings);
        allowed
            .min(timing.connect_timeout)
            .saturating_sub(timing.probe_timeout)
    }

    pub(super) fn generation(&self) -> Generation {
        self.life().generation
    }

    /// Begins a new generation: the standing connection of an older one is closed, and ended at
    /// once wherever it is where there is a cause to say why.
    pub(super) fn begin_generation(&self, generation: Generation, cause: Option<&'static str>) {
        let outdated = {
            let mut life = self.life();
            life.generation = generation;
            life.has_lost_one = false;
            life.unused = true;
            let end = std::mem::take(&mut life.end);
            if let Some(cause) = cause {
                end.end(cause);
            }
            life.standing
                .take_if(|standing| standing.generation != generation)
        };
        if let Some(standing) = outdated {
            E::kill(standing.client);
        }
    }

    /// What the monitor's next connection carries, and the generation it is of.
    pub(super) fn reporter(&self) -> (Generation, GenerationEnd, Reporter) {
        let life = self.life();
        let end = life.end.child();
        let reporter = Reporter::new(
            self.id.clone(),
            life.generation,
            self.news.clone(),
            end.clone(),
            Arc::clone(&self.pulse),
        );
        (life.generation, end, reporter)
    }

    /// The right to open a connection for the monitor. Cancel-safe.
    pub(super) async fn may_log_in(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.login.lock().await
    }

    /// The same, unless somebody has it: then the instance is being asked already.
    pub(super) fn may_log_in_at_once(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.login.try_lock().ok()
    }

    /// A connection of the monitor's is in use, or being opened, as long as this is kept.
    pub(super) fn asks(&self) -> Asking<'_> {
        self.asking.fetch_add(1, Ordering::Relaxed);
        Asking(&self.asking)
    }

    /// How many connections the monitor has to it, in use or kept.
    pub(super) fn connections(&self) -> usize {
        let kept = usize::from(self.life().standing.is_some());
        kept + self.asking.load(Ordering::Relaxed)
    }

    /// Tells the monitor of an error that says something about the instance.
    pub(super) fn trouble(&self, generation: Generation, fault: Fault) {
        self.news.send(Observation::Trouble {
            instance: self.id.clone(),
            generation,
            fault,
        });
    }

    pub(super) fn probe_timeout(&self) -> Duration {
        self.dialer.config().timing.probe_timeout
    }

    /// Whether there is a standing connection that nobody has used for so long.
    pub(super) fn is_idle_for(&self, period: Duration) -> bool {
        let now = time::now();
        self.life()
            .standing
            .as_ref()
            .is_some_and(|standing| now.saturating_duration_since(standing.used_at) >= period)
    }

    /// A connection that was kept has ended: others may have unnoticed. Reports say so until the
    /// generation is over, as any single one may come too late to be believed.
    pub(super) fn has_lost_standing(&self) {
        self.life().has_lost_one = true;
    }

    /// Whether one has in this generation.
    pub(super) fn lost_one(&self) -> bool {
        self.life().has_lost_one
    }

    /// The standing connection, for a probe. It is put back by [`keep`](Self::keep).
    pub(super) fn take(&self) -> Option<(E::Client, GenerationEnd)> {
        let standing = self.life().standing.take()?;
        Some((standing.client, standing.end))
    }

    pub(super) fn keep(&self, client: E::Client, generation: Generation, end: GenerationEnd) {
        let answered = Standing {
            client,
            generation,
            end,
            used_at: time::now(),
        };
        let refused = {
            let mut life = self.life();
            if life.generation == generation && !self.closed.is_cancelled() {
                life.standing.replace(answered)
            } else {
                Some(answered)
            }
        };
        if let Some(surplus) = refused {
            E::kill(surplus.client);
        }
    }

    /// The standing connection, for the first checkout of a generation: a login saved when it
    /// matters most. The monitor opens itself another one with its next probe.
    ///
    /// One that is not known to be sound stays for the next probe to judge.
    pub(super) fn take_for_first_use(
        &self,
        generation: Generation,
    ) -> Option<(E::Client, GenerationEnd)> {
        let mut life = self.life();
        if life.generation != generation || !std::mem::replace(&mut life.unused, false) {
            return None;
        }
        // An instance that is left alone for longer may have ended it unnoticed.
        let fresh = self.dialer.config().timing.probe_interval * 2;
        let now = time::now();
        let sound = |standing: &mut Standing<E>| {
            E::condition(&standing.client) == Condition::Clean
                && now.saturating_duration_since(standing.used_at) <= fresh
        };
        let standing = life.standing.take_if(sound)?;
        drop(life);
        self.news.send(Observation::TakenOver {
            instance: self.id.clone(),
        });
        Some((standing.client, standing.end))
    }

    /// The monitor has ended, or the instance has left the cluster.
    pub(super) fn close(&self) {
        if let Some((client, _)) = self.take() {
            E::kill(client);
        }
    }
}

impl<E: Backend> std::fmt::Debug for Station<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Station")
            .field("instance", &self.id)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
