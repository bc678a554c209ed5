//! Whether another login to an instance may begin now. Pure: the clock and the dice are handed in.
//!
//! | what happened | what follows |
//! |---|---|
//! | a login succeeded | the gate is wider by one, up to its full width; nothing is waited for |
//! | it failed | one login at a time, after a jittered delay that doubles each time |
//! | the server has no room | half as wide; beyond the connections that it allowed one login at a time, after a longer delay |
//! | a generation began | one login first, as each that succeeds widens it; no delay of before counts |
//! | the instance serves again | the same, unless it failed just now: what answers on open connections may turn logins away |
//!
//! The delay belongs to the instance and not to a caller: a dead one is met by one attempt,
//! however many callers wait.

use std::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;

/// After a first failure: about what a restarting listener needs, and nobody notices it.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(10);
/// The longest after failures in a row: one attempt a second per process harms nobody.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// A full server is relieved by connections that end, which takes longer than a listener.
const FIRST_FULL_DELAY: Duration = Duration::from_millis(50);
/// The longest while a server stays full. Connections of our own that come back are not waited
/// for at the gate, so this only delays growing.
const FULL_DELAY_MAX: Duration = Duration::from_secs(5);
/// A failure so recent still says something about an instance that answers the monitor: it may
/// turn logins away while its open connections are fine, and fall in and out of suspicion by it.
pub(super) const FRESH_FAILURE_PERIOD: Duration = Duration::from_secs(2);
/// Delays are spread over their upper half, so that processes that failed together do not return
/// together and yet none returns at once: the middle of it, and the reach in percent.
const DELAY_MIDDLE: f64 = 0.75;
const DELAY_REACH_PERCENT: u32 = 33;

/// The gate of one instance.
#[derive(Debug)]
pub(super) struct Gate {
    widest: usize,
    width: usize,
    in_flight: usize,
    /// Failures in a row, those that came of attempts begun together counted once.
    failures: u32,
    not_before: Option<Instant>,
    failed_at: Option<Instant>,
    /// How many connections there were when the server had no room for another.
    ceiling: Option<usize>,
    /// Counts failures that counted; an attempt begun before the last of them is old news.
    round: u64,
    /// Counts generations.
    life: u64,
}

/// What the gate says to somebody who wants to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go.
    Begin,
    /// Not before that.
    Later(Instant),
    /// Not before one that is under way has ended.
    AfterAnother,
}

/// An attempt under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    round: u64,
    life: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Opened,
    Failed,
    /// The server has no room for another connection, or lets logins in too slowly.
    Full,
    /// It was given up for reasons of our own.
    Dropped,
}

impl Gate {
    pub(super) fn new(widest: usize) -> Self {
        Self {
            widest,
            width: widest,
            in_flight: 0,
            failures: 0,
            not_before: None,
            failed_at: None,
            ceiling: None,
            round: 0,
            life: 0,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a login may begin while `open` connections are there.
    pub(super) fn verdict(&self, open: usize, now: Instant) -> Verdict {
        let beyond = self
            .ceiling
            .is_some_and(|ceiling| open + self.in_flight >= ceiling);
        let cautious = self.ceiling.map_or(self.failures > 0, |_| beyond);
        let width = if cautious { 1 } else { self.width };
        if self.in_flight >= width {
            return Verdict::AfterAnother;
        }
        match self.not_before {
            Some(at) if cautious && at > now => Verdict::Later(at),
            Some(_) | None => Verdict::Begin,
        }
    }

    pub(super) fn begin(&mut self) -> Attempt {
        self.in_flight += 1;
        Attempt {
            round: self.round,
            life: self.life,
        }
    }

    /// Takes note of the end of an attempt, after which `open` connections are there.
    pub(super) fn ended(
        &mut self,
        attempt: Attempt,
        how: Ended,
        open: usize,
        now: Instant,
        rng: &mut Rng,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if attempt.life != self.life {
            return;
        }
        match how {
            Ended::Dropped => {}
            Ended::Opened => self.opened(open),
            // Of attempts begun together the first failure speaks for all.
            Ended::Failed | Ended::Full if attempt.round != self.round => {}
            Ended::Failed => {
                self.ceiling = None;
                self.delay(FIRST_RETRY_DELAY, RETRY_DELAY_MAX, now, rng);
            }
            Ended::Full => {
                self.width = (self.width / 2).max(1);
                self.ceiling = Some(open);
                self.delay(FIRST_FULL_DELAY, FULL_DELAY_MAX, now, rng);
            }
        }
    }

    fn opened(&mut self, open: usize) {
        self.failures = 0;
        self.not_before = None;
        self.width = self.widest.min(self.width + 1);
        self.ceiling = match self.ceiling {
            Some(ceiling) if self.width < self.widest => Some(ceiling.max(open)),
            Some(_) | None => None,
        };
    }

    fn delay(&mut self, first: Duration, longest: Duration, now: Instant, rng: &mut Rng) {
        self.round += 1;
        self.failed_at = Some(now);
        // Beyond this doubling changes nothing.
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let delay = first.saturating_mul(1 << doublings).min(longest);
        let spread = rng.jitter(delay.mul_f64(DELAY_MIDDLE), DELAY_REACH_PERCENT);
        self.not_before = Some(now + spread);
    }

    /// The instance is known to serve again: what failed long ago does not count.
    pub(super) fn serves_again(&mut self, now: Instant) {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < FRESH_FAILURE_PERIOD;
        if !self.failed_at.is_some_and(is_fresh) {
            self.reset();
        }
    }

    /// A generation begins: no delay of before counts. Attempts under way still take their place.
    ///
    /// It is narrow at first: the first statements go over the connection that the monitor hands
    /// over, and a whole pool that logs in beside them would hold them up.
    pub(super) fn reset(&mut self) {
        let in_flight = self.in_flight;
        let life = self.life + 1;
        *self = Self {
            in_flight,
            life,
            // Those of before are about to end, and block nobody.
            width: self.widest.min(in_flight + 1),
            ..Self::new(self.widest)
        };
    }
}

#[cfg(test)]
mod tests;
