//! Where a pool's connections come from: opened in the background, or handed over by whoever
//! brings one back.
//!
//! `deadpool` counts the places and keeps what is idle. Whoever has a place and finds nothing idle
//! waits here, in the order of arrival, and takes what comes first. So nobody waits for a connect
//! while a connection comes back, and a caller that gives up ends no connect that another can
//! use.
//!
//! How many connects may be under way, and when, is [`Gate`]'s to decide; [`connects`] begins them.

mod connects;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use deadpool::managed::{Object, Pool, WeakPool};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::gate::{Gate, Verdict};
use super::manager::{Manager, Pooled, RESTARTED};
use super::member::Member;
use super::obstacle::Obstacle;
use crate::engine::{Backend, Failure};
use crate::error::{Error, ErrorKind};
use crate::id::Generation;
use crate::rng::Rng;
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

/// The supply of one pool.
pub(crate) struct Supply<E: Backend> {
    member: Arc<Member<E>>,
    state: Mutex<State<E>>,
    /// How many wait, to be read without the lock.
    waiting: AtomicUsize,
    /// Connections on their way from here to a caller, which `deadpool` does not count yet.
    in_transit: AtomicUsize,
    /// How many are checked out.
    leases: AtomicUsize,
    /// Set once, when the pool has been built over this.
    pool: OnceLock<WeakPool<Manager<E>>>,
}

type Answer<E> = Result<Pooled<<E as Backend>::Client>, Failure>;

struct State<E: Backend> {
    gate: Gate,
    rng: Rng,
    /// Who has a place in the pool and no connection, longest first.
    waiting: VecDeque<Waiter<E>>,
    /// Connections that nobody has taken yet; `deadpool` takes none from outside.
    spares: Vec<Pooled<E::Client>>,
    /// Connections to be opened for nobody in particular, one at a time.
    background: usize,
    /// When the present delay of the gate is looked at again.
    looked_at_again: Option<Instant>,
    /// Why the last connect failed, until one succeeds.
    obstacle: Option<Obstacle>,
    /// Ends the connects of the present generation.
    connects: CancellationToken,
    next_number: u64,
    closed: bool,
}

struct Waiter<E: Backend> {
    number: u64,
    answer: oneshot::Sender<Answer<E>>,
}

impl<E: Backend> Supply<E> {
    pub(super) fn new(member: Arc<Member<E>>) -> Self {
        let widest = member.dialer().config().pool.max_connecting;
        Self {
            member,
            state: Mutex::new(State {
                gate: Gate::new(widest),
                rng: Rng::from_entropy(),
                waiting: VecDeque::new(),
                spares: Vec::new(),
                background: 0,
                looked_at_again: None,
                obstacle: None,
                connects: CancellationToken::new(),
                next_number: 0,
                closed: false,
            }),
            waiting: AtomicUsize::new(0),
            in_transit: AtomicUsize::new(0),
            leases: AtomicUsize::new(0),
            pool: OnceLock::new(),
        }
    }

    pub(super) fn serves(&self, pool: &Pool<Manager<E>>) {
        let _ = self.pool.set(pool.weak());
    }

    pub(super) fn member(&self) -> &Member<E> {
        &self.member
    }

    pub(super) fn leased(&self) {
        self.leases.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn returned(&self) {
        self.leases.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn leases(&self) -> usize {
        self.leases.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> Option<Pool<Manager<E>>> {
        self.pool.get()?.upgrade()
    }

    fn max(&self) -> usize {
        self.member.dialer().config().pool.max
    }

    /// The connection that comes first, for a caller that has a place in the pool.
    ///
    /// Dropping the future gives the turn to the next; what was meant for it already is handed on.
    pub(super) async fn next(self: &Arc<Self>) -> Answer<E> {
        let mut turn = {
            let mut state = self.state();
            if state.closed {
                return Err(self.gone());
            }
            if state.waiting.is_empty()
                && let Some(spare) = self.at_hand(&mut state)
            {
                return Ok(self.sent(spare));
            }
            let (answer, receiver) = oneshot::channel();
            let number = state.next_number;
            state.next_number += 1;
            state.waiting.push_back(Waiter { number, answer });
            self.count(&state);
            Turn {
                supply: self,
                number,
                receiver,
            }
        };
        // One may have come back since `deadpool` was asked.
        self.hand_over_idle();
        self.spur(0);
        match (&mut turn.receiver).await {
            Ok(answer) => answer,
            Err(_) => Err(self.gone()),
        }
    }

    /// What can be given at once: a spare, or else what the monitor has just confirmed the writer
    /// on, which is the fastest new connection there is.
    fn at_hand(&self, state: &mut State<E>) -> Option<Pooled<E::Client>> {
        let generation = self.member.generation();
        let now = time::now();
        while let Some(spare) = state.spares.pop() {
            match spare.unfit::<E>(generation, now) {
                None => return Some(spare),
                Some(cause) => spare.end::<E>(cause),
            }
        }
        if self.open(state) + state.gate.in_flight() >= self.max() {
            return None;
        }
        let client = self.member.take_standing_for_first_use(generation)?;
        Some(self.pooled(state, client, generation))
    }

    /// Counts a connection that leaves for a caller.
    fn sent(&self, mut pooled: Pooled<E::Client>) -> Pooled<E::Client> {
        pooled.in_transit = true;
        self.in_transit.fetch_add(1, Ordering::SeqCst);
        pooled
    }

    /// A connection has arrived: from here on `deadpool` counts it, or nobody does.
    pub(super) fn arrived(&self, pooled: &mut Pooled<E::Client>) {
        if std::mem::take(&mut pooled.in_transit) {
            self.in_transit.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Takes a connection out of `deadpool` for the caller that has waited longest.
    pub(super) fn hand_over(&self, mut kept: Object<Manager<E>>) {
        kept.in_transit = true;
        self.in_transit.fetch_add(1, Ordering::SeqCst);
        self.offer(Object::take(kept));
    }

    fn count(&self, state: &State<E>) {
        self.waiting.store(state.waiting.len(), Ordering::SeqCst);
    }

    /// Whether a connection that comes back is waited for.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Whether no connect can begin at present, so that nothing comes soon but what comes back.
    pub(super) fn is_held_up(&self) -> bool {
        let state = self.state();
        let open = self.open(&state);
        state.spares.is_empty()
            && matches!(state.gate.verdict(open, time::now()), Verdict::Later(_))
    }

    /// Whether a connection lies idle in the pool.
    pub(super) fn has_idle(&self) -> bool {
        self.pool().is_some_and(|pool| pool.status().available > 0)
    }

    /// Whether a connection is being opened, is about to be, or waits to be taken.
    pub(super) fn is_opening(&self) -> bool {
        let state = self.state();
        state.gate.in_flight() > 0 || state.background > 0 || !state.spares.is_empty()
    }

    /// How many connections wait here for somebody to take them.
    pub(super) fn spares(&self) -> usize {
        self.state().spares.len()
    }

    /// Why the last connect failed, if none has succeeded since.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        self.state().obstacle.clone()
    }

    /// Gives a connection to the caller that has waited longest; without one it stays here.
    pub(super) fn offer(&self, pooled: Pooled<E::Client>) {
        let surplus = self.give(&mut self.state(), pooled);
        self.end_surplus(surplus);
    }

    /// Closes what nobody can use any more: its generation has ended, or its pool.
    fn end_surplus(&self, surplus: Option<Pooled<E::Client>>) {
        let Some(surplus) = surplus else {
            return;
        };
        match surplus.unfit::<E>(self.member.generation(), time::now()) {
            Some(cause) => surplus.end::<E>(cause),
            None => E::kill(surplus.client),
        }
    }

    /// What came back must not lie idle in the pool while somebody waits here.
    pub(super) fn hand_over_idle(&self) {
        while self.is_awaited() {
            let Some(pool) = self.pool() else {
                return;
            };
            // Counted before it leaves, so that nobody sees room for another meanwhile.
            self.in_transit.fetch_add(1, Ordering::SeqCst);
            let mut taken = false;
            let found = pool.retain(|_, _| std::mem::replace(&mut taken, true));
            let Some(mut pooled) = found.removed.into_iter().next() else {
                self.in_transit.fetch_sub(1, Ordering::SeqCst);
                return;
            };
            pooled.in_transit = true;
            self.offer(pooled);
        }
    }

    fn give(
        &self,
        state: &mut State<E>,
        mut pooled: Pooled<E::Client>,
    ) -> Option<Pooled<E::Client>> {
        self.arrived(&mut pooled);
        if state.closed || pooled.generation != self.member.generation() {
            return Some(pooled);
        }
        while let Some(waiter) = state.waiting.pop_front() {
            self.count(state);
            match waiter.answer.send(Ok(self.sent(pooled))) {
                Ok(()) => return None,
                Err(Ok(mut refused)) => {
                    self.arrived(&mut refused);
                    pooled = refused;
                }
                // It is what was sent that comes back.
                Err(Err(_)) => return None,
            }
        }
        state.spares.push(pooled);
        None
    }

    /// How many connections there are, in use or not.
    fn open(&self, state: &State<E>) -> usize {
        let size = self.pool().map_or(0, |pool| pool.status().size);
        size + state.spares.len() + self.in_transit.load(Ordering::SeqCst)
    }

    fn pooled(
        &self,
        state: &mut State<E>,
        mut client: E::Client,
        generation: Generation,
    ) -> Pooled<E::Client> {
        E::observe(&mut client, self.member.site());
        let longest = self.member.dialer().config().timing.max_lifetime;
        Pooled::new(
            client,
            self.member.site(),
            generation,
            longest,
            &mut state.rng,
        )
    }

    /// Asks for connections that are wanted in the background, one after the other.
    pub(super) fn want_in_background(self: &Arc<Self>, count: usize) {
        if count == 0 {
            return;
        }
        let mut state = self.state();
        state.background = state.background.max(count);
        drop(state);
        self.spur(0);
    }

    /// Asks for so many connections more in the background.
    pub(super) fn want_more(self: &Arc<Self>, count: usize) {
        if count == 0 {
            return;
        }
        let mut state = self.state();
        state.background = self.max().min(state.background + count);
        drop(state);
        self.spur(0);
    }

    /// Puts a spare in the place of a connection that has to go for this cause, if there is one.
    pub(super) fn succeed(&self, kept: &mut Pooled<E::Client>, cause: &'static str) -> bool {
        let spare = {
            let mut state = self.state();
            let generation = self.member.generation();
            let now = time::now();
            let fit = |spare: &Pooled<_>| {
                spare.unfit::<E>(generation, now).is_none() && !spare.needs_successor(now)
            };
            let position = state.spares.iter().position(fit);
            position.map(|position| state.spares.swap_remove(position))
        };
        let Some(spare) = spare else {
            return false;
        };
        std::mem::replace(kept, spare).end::<E>(cause);
        true
    }

    /// A generation begins: connections of older ones are of no use, and delays of before do not
    /// count. With a cause those who wait are told it: they may look elsewhere. How many
    /// connections that nobody had taken yet have ended.
    pub(super) fn begin_generation(self: &Arc<Self>, cause: Option<&'static str>) -> usize {
        let mut state = self.state();
        state.gate.reset();
        std::mem::take(&mut state.connects).cancel();
        state.looked_at_again = None;
        state.background = 0;
        state.obstacle = None;
        if let Some(cause) = cause {
            let error = Error::new(ErrorKind::Connect, cause).with_instance(self.member.id());
            let fault = Fault::Lost;
            self.refuse_all(&mut state, Some(Failure { fault, error }));
        }
        let outdated = std::mem::take(&mut state.spares);
        drop(state);
        let count = outdated.len();
        for pooled in outdated {
            pooled.end::<E>(cause.unwrap_or(RESTARTED));
        }
        self.spur(0);
        count
    }

    /// The instance is known to serve now: delays of long before do not count.
    pub(super) fn serves_again(self: &Arc<Self>) {
        let mut state = self.state();
        state.gate.serves_again(time::now());
        state.looked_at_again = None;
        drop(state);
        self.spur(0);
    }

    /// Closes the spares for which there is a cause.
    pub(super) fn sweep(&self, mut cause: impl FnMut(&Pooled<E::Client>) -> Option<&'static str>) {
        let mut ended = Vec::new();
        {
            let mut state = self.state();
            for spare in std::mem::take(&mut state.spares) {
                match cause(&spare) {
                    Some(cause) => ended.push((spare, cause)),
                    None => state.spares.push(spare),
                }
            }
        }
        for (spare, cause) in ended {
            spare.end::<E>(cause);
        }
    }

    /// Opens nothing any more, and refuses those who wait.
    pub(super) fn close(&self) {
        let (spares, waiting) = {
            let mut state = self.state();
            state.closed = true;
            let waiting = std::mem::take(&mut state.waiting);
            self.count(&state);
            (std::mem::take(&mut state.spares), waiting)
        };
        // Their turns end with an error of their own.
        drop(waiting);
        for pooled in spares {
            E::kill(pooled.client);
        }
    }

    fn gone(&self) -> Failure {
        let (fault, kind, what) = if self.member.is_closed() {
            (Fault::Other, ErrorKind::Closed, "the handle was closed")
        } else {
            (
                Fault::Unresolved,
                ErrorKind::Connect,
                "it has left the cluster",
            )
        };
        Failure {
            fault,
            error: Error::new(kind, what).with_instance(self.member.id()),
        }
    }
}

/// A caller's place among those who wait.
struct Turn<'a, E: Backend> {
    supply: &'a Supply<E>,
    number: u64,
    receiver: oneshot::Receiver<Answer<E>>,
}

impl<E: Backend> Drop for Turn<'_, E> {
    fn drop(&mut self) {
        self.receiver.close();
        {
            let mut state = self.supply.state();
            let found = state
                .waiting
                .binary_search_by_key(&self.number, |waiter| waiter.number);
            if let Ok(position) = found {
                state.waiting.remove(position);
                self.supply.count(&state);
            }
        }
        // It was given already: the next in the row gets it.
        if let Ok(Ok(pooled)) = self.receiver.try_recv() {
            self.supply.offer(pooled);
        }
    }
}

impl<E: Backend> std::fmt::Debug for Supply<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Supply")
            .field("gate", &state.gate)
            .field("waiting", &state.waiting.len())
            .field("spares", &state.spares.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
