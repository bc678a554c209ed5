//! The pool of one instance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadpool::Runtime;
use deadpool::managed::{Object, Pool, PoolError, QueueMode, Timeouts};
use tokio::sync::Notify;

use super::dialer::Dialer;
use super::lease::Lease;
use super::manager::Manager;
use crate::config::HostPort;
use crate::engine::reporter::{GenerationEnd, Reporter};
use crate::engine::{Backend, Failure};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Generation, InstanceId};
use crate::time::{self, Instant};
use crate::topology::monitor::News;
use crate::topology::observation::Fault;

/// Generations that may still have connections in use after they were retired.
const RETIRED_MAX: usize = 16;

/// One instance's connections.
pub(crate) struct InstancePool<E: Backend> {
    member: Arc<Member<E>>,
    pool: Pool<Manager<E>>,
}

/// What is known of an instance on this side of the topology, shared by its pool, the manager
/// of that pool, and the monitor's probes.
pub(crate) struct Member<E: Backend> {
    id: InstanceId,
    place: HostPort,
    dialer: Dialer,
    news: News,
    life: Mutex<Life<E>>,
    /// Woken whenever a connection comes back.
    returned: Arc<Notify>,
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
}

impl<E: Backend> InstancePool<E> {
    pub(super) fn new(
        id: InstanceId,
        dialer: Dialer,
        news: News,
        returned: Arc<Notify>,
    ) -> Result<Self> {
        let size = dialer.config().pool.max;
        let member = Arc::new(Member {
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
        });
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
        let limits = &self.member.dialer.config().pool;
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
                .with_instance(&self.member.id),
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
                failure.error = failure.error.with_instance(&self.member.id);
                Err(failure)
            }
            Ok(Err(PoolError::Closed)) => Err(Failure {
                fault: Fault::Other,
                error: Error::new(ErrorKind::Closed, "its pool is closed")
                    .with_instance(&self.member.id),
            }),
            Ok(Err(PoolError::Timeout(_))) | Err(_) => Err(self.all_in_use()),
            // Neither can be: a runtime is named, and there are no hooks.
            Ok(Err(PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_))) => Err(Failure {
                fault: Fault::Other,
                error: Error::new(ErrorKind::Connect, "its pool is misconfigured")
                    .with_instance(&self.member.id),
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
        failure.error = failure.error.with_instance(&self.member.id);
        failure
    }

    /// Begins a new generation: idle connections of older ones are closed, and those in use too
    /// where there is a cause to say why.
    pub(super) fn begin_generation(&self, generation: Generation, cause: Option<&'static str>) {
        let standing = {
            let mut life = self.member.life();
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
            life.standing
                .take_if(|standing| standing.generation != generation)
        };
        if let Some(standing) = standing {
            E::kill(standing.client);
        }
        let kept = self
            .pool
            .retain(|pooled, _| pooled.generation == generation);
        for pooled in kept.removed {
            E::kill(pooled.client);
        }
    }

    /// Closes idle connections and refuses new checkouts; those in use live till returned.
    pub(super) fn close(&self) {
        self.pool.close();
        let standing = self.member.life().standing.take();
        if let Some(standing) = standing {
            E::kill(standing.client);
        }
    }
}

impl<E: Backend> Member<E> {
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
        let refused = {
            let mut life = self.life();
            if life.generation == generation {
                life.standing.replace(Standing { client, generation })
            } else {
                Some(Standing { client, generation })
            }
        };
        if let Some(surplus) = refused {
            E::kill(surplus.client);
        }
    }

    /// The monitor's connection, for the first checkout of a generation: a login saved when it
    /// matters most. The monitor opens itself another one with its next probe.
    pub(super) fn take_standing_for_first_use(&self, generation: Generation) -> Option<E::Client> {
        let mut life = self.life();
        if life.generation != generation || !std::mem::replace(&mut life.unused, false) {
            return None;
        }
        life.standing.take().map(|standing| standing.client)
    }

    pub(super) fn came_back(&self) {
        self.returned.notify_waiters();
    }
}

/// A connection in its pool's keeping.
pub(super) type Kept<E> = Object<Manager<E>>;

impl<E: Backend> std::fmt::Debug for InstancePool<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstancePool")
            .field("instance", &self.member.id)
            .field("status", &self.pool.status())
            .finish()
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
