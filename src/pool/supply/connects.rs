//! Connects in the background: begun as far as the gate lets them, and what comes of them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Answer, State, Supply};
use crate::engine::{Backend, Failure};
use crate::error::{Error, ErrorKind};
use crate::pool::gate::{Attempt, Ended, Verdict};
use crate::pool::obstacle::Obstacle;
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

/// The names of the tasks, in what `Cluster::close` reports.
const CONNECT_TASK: &str = "connect";
const WAIT_TASK: &str = "connect-later";

impl<E: Backend> Supply<E> {
    /// Begins the connects that are needed, as far as the gate lets them: for those who wait here,
    /// and `ahead` more who will.
    pub(in crate::pool) fn spur(self: &Arc<Self>, ahead: usize) {
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
        let began = time::now();
        let deadline = began + dialer.config().timing.connect_timeout;
        // A host that is silent lets nobody in: waiting for it counts like waiting for an answer.
        let _awaited = reporter.pulse().awaiting();
        let dialled = dialer.dial::<E>(self.member.place(), reporter.clone(), deadline);
        tokio::select! {
            biased;
            () = self.member.closed() => None,
            () = end.cancelled() => None,
            dialled = dialled => Some(match dialled {
                Ok(client) => {
                    let site = self.member.site();
                    site.meters().created(site.role(), time::now() - began);
                    Ok(self.pooled(&mut self.state(), client, generation))
                }
                Err(mut failure) => {
                    reporter.trouble(failure.fault);
                    failure.error = failure.error.with_instance(self.member.id());
                    Err(failure)
                }
            }),
        }
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
                self.end_surplus(surplus);
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
    pub(super) fn refuse_all(&self, state: &mut State<E>, mut failure: Option<Failure>) {
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
}

/// The end of an attempt, also of one whose task is ended or never begun.
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
    /// Of a handle that lives on, the task was ended by a panic, such as one of the application's
    /// provider of passwords, or by the end of its runtime, where it may never have begun. It
    /// counts as a failure: to begin the next at once would go on for ever.
    fn drop(&mut self) {
        let Some(attempt) = self.attempt.take() else {
            return;
        };
        let member = &self.supply.member;
        let answer = (!member.is_closed()).then(|| {
            let error = Error::new(
                ErrorKind::Connect,
                "the task that opened a connection was ended: did the runtime in which the handle \
                 was made shut down, or the provider of passwords panic?",
            );
            Err(Failure {
                fault: Fault::Other,
                error: error.with_instance(member.id()),
            })
        });
        self.supply.take_in(attempt, answer);
    }
}
