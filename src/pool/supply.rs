//! Where a pool's connections come from: opened in the background, or handed over by whoever
//! brings one back.
//!
//! `deadpool` counts the places and keeps what is idle. Whoever has a place and finds nothing idle
//! waits here, in the order of arrival, and takes what comes first. So nobody waits for a connect
//! while a connection comes back, and a caller that gives up ends no connect that another can
//! use.
//!
//! How many connects may be under way, and when, is [`Gate`]'s to decide.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use deadpool::managed::{Object, Pool, WeakPool};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::gate::{Attempt, Ended, Gate, Verdict};
use super::manager::{Manager, Pooled};
use super::member::Member;
use super::obstacle::Obstacle;
use crate::engine::{Backend, Failure};
use crate::error::{Error, ErrorKind};
use crate::id::Generation;
use crate::rng::Rng;
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

/// The names of its tasks, in what `Cluster::close` reports.
const CONNECT_TASK: &str = "connect";
const WAIT_TASK: &str = "connect-later";

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
            if spare.unfit::<E>(generation, now).is_none() {
                return Some(spare);
            }
            E::kill(spare.client);
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
        if let Some(surplus) = surplus {
            E::kill(surplus.client);
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

    /// Begins the connects that are needed, as far as the gate lets them: for those who wait here,
    /// and `ahead` more who will.
    pub(super) fn spur(self: &Arc<Self>, ahead: usize) {
        loop {
            let mut state = self.state();
            let open = self.open(&state);
            let under_way = state.gate.in_flight();
            let awaited = (state.waiting.len() + ahead).saturating_sub(state.spares.len());
            let wanted = awaited + usize::from(state.background > 0);
            let room = open + under_way < self.max();
            if state.closed || under_way >= wanted || !room {
                return;
            }
            match state.gate.verdict(open, time::now()) {
                Verdict::AfterAnother => return,
                Verdict::Later(at) => return self.look_again(&mut state, at),
                Verdict::Begin => {
                    let attempt = state.gate.begin();
                    let end = state.connects.clone();
                    drop(state);
                    self.begin(attempt, end);
                }
            }
        }
    }

    fn look_again(self: &Arc<Self>, state: &mut State<E>, at: Instant) {
        if state.looked_at_again.is_some_and(|already| already <= at) {
            return;
        }
        state.looked_at_again = Some(at);
        let supply = Arc::clone(self);
        let spawner = self.member.dialer().spawner();
        spawner.spawn(WAIT_TASK, async move {
            time::sleep_until(Some(at)).await;
            let mut state = supply.state();
            if state.looked_at_again == Some(at) {
                state.looked_at_again = None;
                drop(state);
                supply.spur(0);
            }
        });
    }

    fn begin(self: &Arc<Self>, attempt: Attempt, end: CancellationToken) {
        let supply = Arc::clone(self);
        let ending = Ending {
            supply: Arc::clone(self),
            attempt: Some(attempt),
        };
        let spawner = self.member.dialer().spawner();
        spawner.spawn(CONNECT_TASK, async move {
            let answer = supply.open_one(end).await;
            ending.with(answer);
        });
    }

    /// `None` when the generation ended meanwhile: what came of it is old news.
    async fn open_one(&self, end: CancellationToken) -> Option<Answer<E>> {
        let (generation, reporter) = self.member.reporter();
        let dialer = self.member.dialer();
        let deadline = time::now() + dialer.config().timing.connect_timeout;
        // A host that is silent lets nobody in: waiting for it counts like waiting for an answer.
        let _awaited = reporter.pulse().awaiting();
        let dialled = dialer.dial::<E>(self.member.place(), reporter.clone(), deadline);
        tokio::select! {
            biased;
            () = self.member.closed() => None,
            () = end.cancelled() => None,
            dialled = dialled => Some(match dialled {
                Ok(client) => Ok(self.pooled(&mut self.state(), client, generation)),
                Err(mut failure) => {
                    reporter.trouble(failure.fault);
                    failure.error = failure.error.with_instance(self.member.id());
                    Err(failure)
                }
            }),
        }
    }

    fn pooled(
        &self,
        state: &mut State<E>,
        client: E::Client,
        generation: Generation,
    ) -> Pooled<E::Client> {
        let longest = self.member.dialer().config().timing.max_lifetime;
        Pooled::new(client, generation, longest, &mut state.rng)
    }

    /// Takes in how an attempt ended.
    fn take_in(&self, attempt: Attempt, answer: Option<Answer<E>>) {
        let now = time::now();
        let mut state = self.state();
        let state = &mut *state;
        match answer {
            None => {
                let open = self.open(state);
                state
                    .gate
                    .ended(attempt, Ended::Dropped, open, now, &mut state.rng);
            }
            Some(Ok(pooled)) => {
                state.obstacle = None;
                if state.waiting.is_empty() {
                    state.background = state.background.saturating_sub(1);
                }
                let surplus = self.give(state, pooled);
                let open = self.open(state);
                state
                    .gate
                    .ended(attempt, Ended::Opened, open, now, &mut state.rng);
                if let Some(surplus) = surplus {
                    E::kill(surplus.client);
                }
            }
            Some(Err(failure)) => {
                let open = self.open(state);
                let full = failure.fault == Fault::Full;
                let how = if full { Ended::Full } else { Ended::Failed };
                state.gate.ended(attempt, how, open, now, &mut state.rng);
                state.background = 0;
                state.obstacle = Some(Obstacle::of(&failure));
                let hopeless = matches!(failure.fault, Fault::LoginRefused | Fault::Other);
                // Those who wait are better served by waiting for connections in use, and for
                // connects that may yet succeed.
                if hopeless || (state.gate.in_flight() == 0 && !(full && open > 0)) {
                    self.refuse_all(state, Some(failure));
                }
            }
        }
    }

    /// Tells all who wait why nothing comes; the first of them gets the error itself.
    fn refuse_all(&self, state: &mut State<E>, mut failure: Option<Failure>) {
        let Some(obstacle) = failure.as_ref().map(Obstacle::of) else {
            return;
        };
        for waiter in std::mem::take(&mut state.waiting) {
            let answer = failure
                .take()
                .unwrap_or_else(|| obstacle.failure(self.member.id()));
            // Whoever has left needs no answer.
            let _ = waiter.answer.send(Err(answer));
        }
        self.count(state);
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

    /// Puts a spare in the place of a connection that has to go, if there is one.
    pub(super) fn succeed(&self, kept: &mut Pooled<E::Client>) -> bool {
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
        E::kill(std::mem::replace(kept, spare).client);
        true
    }

    /// A generation begins: connections of older ones are of no use, and delays of before do not
    /// count. With a cause those who wait are told it: they may look elsewhere.
    pub(super) fn begin_generation(self: &Arc<Self>, cause: Option<&'static str>) {
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
        for pooled in outdated {
            E::kill(pooled.client);
        }
        self.spur(0);
    }

    /// The instance is known to serve now: delays of before do not count.
    pub(super) fn serves_again(self: &Arc<Self>) {
        let mut state = self.state();
        state.gate.reset();
        state.looked_at_again = None;
        drop(state);
        self.spur(0);
    }

    /// Removes the spares that are no longer fit.
    pub(super) fn sweep(&self, mut is_fit: impl FnMut(&Pooled<E::Client>) -> bool) {
        let unfit: Vec<_> = {
            let mut state = self.state();
            let (fit, unfit) = std::mem::take(&mut state.spares)
                .into_iter()
                .partition(&mut is_fit);
            state.spares = fit;
            unfit
        };
        for pooled in unfit {
            E::kill(pooled.client);
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

/// The end of an attempt, also of one whose task is ended.
struct Ending<E: Backend> {
    supply: Arc<Supply<E>>,
    attempt: Option<Attempt>,
}

impl<E: Backend> Ending<E> {
    fn with(mut self, answer: Option<Answer<E>>) {
        if let Some(attempt) = self.attempt.take() {
            self.supply.take_in(attempt, answer);
            self.supply.spur(0);
        }
    }
}

impl<E: Backend> Drop for Ending<E> {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.supply.take_in(attempt, None);
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
