//! One instance as one handle uses it: shared by its pool and the manager of that pool.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::dialer::Dialer;
use super::station::Station;
use crate::config::HostPort;
use crate::engine::Backend;
use crate::engine::reporter::{GenerationEnd, Reporter};
use crate::id::{Generation, InstanceId};
use crate::observe::site::Site;

/// Generations that may still have connections in use after they were retired.
const RETIRED_MAX: usize = 16;

/// One instance: the generation of this handle's connections to it, and what ends them.
pub(crate) struct Member<E: Backend> {
    station: Arc<Station<E>>,
    /// The handle's own: its limits, and its tasks.
    dialer: Dialer,
    life: Mutex<Life>,
    /// That of `life`, to be read without its lock.
    generation: AtomicU64,
    closing: Arc<Closing>,
    /// What its statements tell.
    site: Arc<Site>,
}

/// The end of a handle, as all of its pools see it.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// Nothing is opened or kept any more. Beside the token, whose every look takes a lock.
    has_begun: AtomicBool,
    token: CancellationToken,
    /// Woken whenever a connection comes back after that.
    returned: Notify,
}

impl Closing {
    pub(super) fn begin(&self) {
        self.has_begun.store(true, Ordering::SeqCst);
        self.token.cancel();
    }

    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::SeqCst)
    }

    /// Waits for it. Cancel-safe.
    pub(super) async fn ended(&self) {
        self.token.cancelled().await;
    }

    pub(super) fn returned(&self) -> &Notify {
        &self.returned
    }
}

struct Life {
    generation: Generation,
    end: GenerationEnd,
    retired: Vec<GenerationEnd>,
    /// What ends the connections that were the monitor's.
    adopted: Vec<GenerationEnd>,
}

impl<E: Backend> Member<E> {
    pub(super) fn new(station: Arc<Station<E>>, dialer: Dialer, closing: Arc<Closing>) -> Self {
        let place = station.place();
        let site = Site::new(
            Arc::clone(dialer.observer()),
            station.id().clone(),
            (place.host.as_str().to_owned(), place.port),
        );
        Self {
            site: Arc::new(site),
            generation: AtomicU64::new(station.generation().0),
            life: Mutex::new(Life {
                generation: station.generation(),
                end: GenerationEnd::default(),
                retired: Vec::new(),
                adopted: Vec::new(),
            }),
            station,
            dialer,
            closing,
        }
    }

    /// Begins a new generation: connections of older ones that are in use are ended where there
    /// is a cause to say why.
    pub(super) fn begin_generation(&self, generation: Generation, cause: Option<&'static str>) {
        let mut life = self.life();
        life.generation = generation;
        self.generation.store(generation.0, Ordering::SeqCst);
        let old = std::mem::take(&mut life.end);
        let adopted = std::mem::take(&mut life.adopted);
        life.retired.retain(|end| !end.has_ended());
        life.retired.push(old);
        life.retired.extend(adopted);
        let surplus = match cause {
            Some(_) => life.retired.len(),
            None => life.retired.len().saturating_sub(RETIRED_MAX),
        };
        for end in life.retired.drain(..surplus) {
            end.end(cause.unwrap_or("its instance restarted long ago"));
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> &InstanceId {
        self.station.id()
    }

    /// Whether it is known to be in another zone than this process.
    pub(super) fn is_far(&self) -> bool {
        self.dialer.config().is_far(self.id())
    }

    /// Where its statements are told of.
    pub(crate) fn site(&self) -> &Arc<Site> {
        &self.site
    }

    pub(super) fn place(&self) -> &HostPort {
        self.station.place()
    }

    pub(super) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::SeqCst))
    }

    /// What a new connection of the present generation carries.
    pub(super) fn reporter(&self) -> (Generation, Reporter) {
        let life = self.life();
        let reporter = Reporter::new(
            self.id().clone(),
            life.generation,
            self.station.news().clone(),
            life.end.clone(),
            Arc::clone(self.station.pulse()),
        );
        (life.generation, reporter)
    }

    /// The monitor's connection, for the first checkout of a generation: see
    /// [`Station::take_for_first_use`].
    pub(super) fn take_standing_for_first_use(&self, generation: Generation) -> Option<E::Client> {
        let (client, end) = self.station.take_for_first_use(generation)?;
        let mut life = self.life();
        if life.generation != generation {
            drop(life);
            E::kill(client);
            return None;
        }
        life.adopted.push(end);
        Some(client)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closing.has_begun()
    }

    /// Waits until the handle is closed. Cancel-safe.
    pub(super) async fn closed(&self) {
        self.closing.ended().await;
    }

    /// Tells whoever waits for the end of all users that there is one less.
    pub(super) fn came_back(&self) {
        if self.is_closed() {
            self.closing.returned().notify_waiters();
        }
    }
}

impl<E: Backend> std::fmt::Debug for Member<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("station", &self.station)
            .finish_non_exhaustive()
    }
}
