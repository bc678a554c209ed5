//! Failed requests in the log: a line at once, and then at most one a second for all of them, so
//! that an outage under load is seen and fills no disk.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Often enough to see when an outage began and ended.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Tells the log.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    told_at: Option<Instant>,
    /// Since the last line.
    left_out: u64,
    last: String,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    left_out: u64,
    last: String,
}

impl Failures {
    /// A request that failed.
    pub(crate) fn tell(&self, what: &str, error: &dyn Display) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let line = pending.hear(Instant::now(), || format!("{what} failed: {error}"));
        drop(pending);
        if let Some(line) = line {
            line.write();
        }
    }

    /// Tells of those that no later one has taken along, until the end.
    pub(crate) async fn keep_up(&self, end: CancellationToken) {
        let mut ticks = tokio::time::interval(LINE_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while end.run_until_cancelled(ticks.tick()).await.is_some() {
            self.tell_left_out(|pending| pending.is_due(Instant::now()));
        }
        self.tell_left_out(|_| true);
    }

    fn tell_left_out(&self, now: impl FnOnce(&Pending) -> bool) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.left_out == 0 || !now(&pending) {
            return;
        }
        // The last of them is the one that the line is about.
        pending.left_out -= 1;
        let line = pending.take(Instant::now());
        drop(pending);
        line.write();
    }
}

impl Pending {
    fn is_due(&self, now: Instant) -> bool {
        let since = self.told_at.map(|at| now.saturating_duration_since(at));
        since.is_none_or(|since| since >= LINE_INTERVAL)
    }

    fn hear(&mut self, now: Instant, text: impl FnOnce() -> String) -> Option<Line> {
        self.last = text();
        if self.is_due(now) {
            return Some(self.take(now));
        }
        self.left_out += 1;
        None
    }

    fn take(&mut self, now: Instant) -> Line {
        self.told_at = Some(now);
        Line {
            left_out: std::mem::take(&mut self.left_out),
            last: std::mem::take(&mut self.last),
        }
    }
}

impl Line {
    fn write(&self) {
        let last = &self.last;
        match self.left_out {
            0 => tracing::warn!("{last}"),
            others => tracing::warn!("{last}; {others} more failed since the last such line"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_at_once_and_later_ones_once_a_second_with_their_number() {
        let (mut pending, began) = (Pending::default(), Instant::now());
        let mut told = Vec::new();
        for number in 0..3_500_u64 {
            let now = began + Duration::from_millis(number);
            told.extend(pending.hear(now, || format!("failure {number}")));
        }
        let line = |left_out, last: &str| Line {
            left_out,
            last: last.to_owned(),
        };
        let expected = [
            line(0, "failure 0"),
            line(999, "failure 1000"),
            line(999, "failure 2000"),
            line(999, "failure 3000"),
        ];
        assert_eq!(told, expected);
        assert_eq!(pending.left_out, 499);
    }

    #[tokio::test(start_paused = true)]
    async fn those_left_out_are_told_though_no_other_follows() {
        let (failures, end) = (Failures::default(), CancellationToken::new());
        failures.tell("a read", &"no reader");
        failures.tell("a write", &"no writer");
        let left_out = || {
            let pending = failures.pending.lock();
            pending.unwrap_or_else(PoisonError::into_inner).left_out
        };
        assert_eq!(left_out(), 1);
        end.cancel();
        failures.keep_up(end).await;
        assert_eq!(left_out(), 0);
    }
}
