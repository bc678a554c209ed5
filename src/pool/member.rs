//! What the driver holds of one instance, shared by its pool, the manager of that pool, and the
//! monitor's probes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::dialer::Dialer;
use crate::config::HostPort;
use crate::engine::reporter::{GenerationEnd, Reporter};
use crate::engine::{Backend, Condition};
use crate::error::Result;
use crate::id::{Generation, InstanceId};
use crate::time::{self, Instant};
use crate::topology::monitor::News;

/// Generations that may still have connections in use after they were retired.
const RETIRED_MAX: usize = 16;

/// One instance: its place, the generation of its connections, and the monitor's own connection.
pub(crate) struct Member<E: Backend> {
    id: InstanceId,
    place: HostPort,
    dialer: Dialer,
    news: News,
    life: Mutex<Life<E>>,
    /// Woken whenever a connection comes back.
    returned: Arc<Notify>,
    /// The handle was closed: nothing is opened or kept any more.
    closed: CancellationToken,
}

struct Life<E: Backend> {
    generation: Generation,
    end: GenerationEnd,
    retired: Vec<GenerationEnd>,
    /// The connection that the monitor keeps to the instance, while no probe is using it.
    standing: Option<Standing<E>>,
    /// The pool has not opened a connection in this generation yet.
    unused: bool,
}

struct Standing<E: Backend> {
    client: E::Client,
    generation: Generation,
    /// When a probe last had an answer over it.
    used_at: Instant,
}

impl<E: Backend> Member<E> {
    pub(super) fn new(
        id: InstanceId,
        dialer: Dialer,
        news: News,
        returned: Arc<Notify>,
        closed: CancellationToken,
    ) -> Result<Self> {
        Ok(Self {
            place: dialer.locate(&id)?,
            id,
            dialer,
            news,
            life: Mutex::new(Life {
                generation: Generation::default(),
                end: GenerationEnd::default(),
                retired: Vec::new(),
                standing: None,
                unused: true,
            }),
            returned,
            closed,
        })
    }

    /// Begins a new generation: connections of older ones that are in use are ended where there
    /// is a cause to say why. The monitor's connection of an older one is given back.
    pub(super) fn begin_generation(
        &self,
        generation: Generation,
        cause: Option<&'static str>,
    ) -> Option<E::Client> {
        let mut life = self.life();
        life.generation = generation;
        life.unused = true;
        let old = std::mem::take(&mut life.end);
        life.retired.retain(|end| !end.has_ended());
        life.retired.push(old);
        let surplus = match cause {
            Some(_) => life.retired.len(),
            None => life.retired.len().saturating_sub(RETIRED_MAX),
        };
        for end in life.retired.drain(..surplus) {
            end.end(cause.unwrap_or("its instance restarted long ago"));
        }
        let outdated = life
            .standing
            .take_if(|standing| standing.generation != generation);
        outdated.map(|standing| standing.client)
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

    pub(super) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    pub(crate) fn generation(&self) -> Generation {
        self.life().generation
    }

    /// What a new connection of the present generation carries.
    pub(super) fn reporter(&self) -> (Generation, Reporter) {
        let life = self.life();
        let reporter = Reporter::new(
            self.id.clone(),
            life.generation,
            self.news.clone(),
            life.end.clone(),
        );
        (life.generation, reporter)
    }

    /// The monitor's connection, for a probe. It is put back by [`keep_standing`](Self::keep_standing).
    pub(super) fn take_standing(&self) -> Option<E::Client> {
        self.life().standing.take().map(|standing| standing.client)
    }

    pub(super) fn keep_standing(&self, client: E::Client, generation: Generation) {
        let answered = Standing {
            client,
            generation,
            used_at: time::now(),
        };
        let refused = {
            let mut life = self.life();
            if life.generation == generation && !self.is_closed() {
                life.standing.replace(answered)
            } else {
                Some(answered)
            }
        };
        if let Some(surplus) = refused {
            E::kill(surplus.client);
        }
    }

    /// The monitor's connection, for the first checkout of a generation: a login saved when it
    /// matters most. The monitor opens itself another one with its next probe.
    ///
    /// One that is not known to be sound stays for the next probe to judge.
    pub(super) fn take_standing_for_first_use(&self, generation: Generation) -> Option<E::Client> {
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
        life.standing.take_if(sound).map(|standing| standing.client)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Waits until the handle is closed. Cancel-safe.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(super) fn came_back(&self) {
        self.returned.notify_waiters();
    }
}

impl<E: Backend> std::fmt::Debug for Member<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("instance", &self.id)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
