//! Who is let into one instance: how many at a time, and how fast.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::ListenerState;

/// What an instance allows its clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// Connections at a time; `None`: as many as there are sockets.
    pub(crate) connections: Option<usize>,
    /// The processor time of one login; logins take turns at it.
    pub(crate) login_cost: Duration,
    /// Logins per second; `None`: as many as come.
    pub(crate) logins_per_second: Option<u32>,
}

/// The gate of one instance, the same over all its boots.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    state: Mutex<ListenerState>,
    open: AtomicUsize,
    /// Tells the cluster that a number of connections has changed.
    changed: watch::Sender<()>,
    processor: Semaphore,
    /// When the next login may begin, in the host's microseconds.
    next_login: Mutex<u64>,
}

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    Starting,
    Draining,
    Full,
}

/// One connection's place behind the gate; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
}

impl Gate {
    pub(crate) fn new(limits: Limits, changed: watch::Sender<()>) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            open: AtomicUsize::new(0),
            changed,
            processor: Semaphore::new(1),
            next_login: Mutex::new(0),
        }
    }

    pub(crate) fn state(&self) -> ListenerState {
        *locked(&self.state)
    }

    pub(crate) fn set(&self, state: ListenerState) {
        *locked(&self.state) = state;
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Takes a place for a new connection.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Place, Turned> {
        match self.state() {
            ListenerState::Starting => return Err(Turned::Starting),
            ListenerState::Draining => return Err(Turned::Draining),
            ListenerState::Full => return Err(Turned::Full),
            ListenerState::Normal
            | ListenerState::Refusing
            | ListenerState::Silent
            | ListenerState::Slow(_) => {}
        }
        let most = self.limits.connections.unwrap_or(usize::MAX);
        let taken = self
            .open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| {
                (open < most).then_some(open + 1)
            });
        if taken.is_err() {
            return Err(Turned::Full);
        }
        self.changed.send_replace(());
        Ok(Place {
            gate: Arc::clone(self),
        })
    }

    /// Lets a login wait its turn: by the rate first, then for the processor.
    pub(crate) async fn take_turn(&self, now_micros: u64) {
        let wait = self.reserve_turn(now_micros);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        if self.limits.login_cost.is_zero() {
            return;
        }
        // The semaphore is never closed, and its queue is first come, first served.
        let _turn = self.processor.acquire().await;
        tokio::time::sleep(self.limits.login_cost).await;
    }

    /// How long a login that comes now has to wait for its turn.
    fn reserve_turn(&self, now_micros: u64) -> Duration {
        let Some(rate) = self.limits.logins_per_second else {
            return Duration::ZERO;
        };
        let mut next = locked(&self.next_login);
        let turn = (*next).max(now_micros);
        *next = turn.saturating_add(1_000_000 / u64::from(rate.max(1)));
        Duration::from_micros(turn - now_micros)
    }

    /// Holds an answer back while the instance is slow.
    pub(crate) async fn hold_back(&self) {
        if let ListenerState::Slow(delay) = self.state() {
            tokio::time::sleep(delay).await;
        }
    }
}

/// Lets everybody in.
impl Default for Gate {
    fn default() -> Self {
        Self::new(Limits::default(), watch::Sender::new(()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.open.fetch_sub(1, Ordering::SeqCst);
        self.gate.changed.send_replace(());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(limits: Limits) -> Arc<Gate> {
        Arc::new(Gate::new(limits, watch::Sender::new(())))
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let gate = gate(Limits {
            connections: Some(2),
            ..Limits::default()
        });
        let first = gate.enter().expect("a place");
        let _second = gate.enter().expect("another place");
        assert_eq!(gate.enter().err(), Some(Turned::Full));
        drop(first);
        assert_eq!(gate.open(), 1);
        gate.enter().expect("the first one's place");
    }

    #[test]
    fn a_state_that_takes_no_logins_leaves_the_connections_that_there_are() {
        let gate = gate(Limits::default());
        let _first = gate.enter().expect("a place");
        for (state, turned) in [
            (ListenerState::Draining, Turned::Draining),
            (ListenerState::Full, Turned::Full),
            (ListenerState::Starting, Turned::Starting),
        ] {
            gate.set(state);
            assert_eq!(gate.enter().err(), Some(turned));
            assert_eq!(gate.open(), 1);
        }
    }

    #[test]
    fn logins_beyond_the_rate_wait_their_turn() {
        let gate = gate(Limits {
            logins_per_second: Some(100),
            ..Limits::default()
        });
        let waits: Vec<u128> = [0, 0, 0, 25_000, 1_000_000]
            .map(|now| gate.reserve_turn(now).as_millis())
            .to_vec();
        assert_eq!(waits, [0, 10, 20, 5, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn logins_take_turns_at_the_processor() {
        let gate = gate(Limits {
            login_cost: Duration::from_millis(50),
            ..Limits::default()
        });
        let started = tokio::time::Instant::now();
        let logins = (0..4).map(|_| gate.take_turn(0));
        futures_util::future::join_all(logins).await;
        assert_eq!(started.elapsed(), Duration::from_millis(200));
    }
}
