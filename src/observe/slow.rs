//! The log of slow statements: sampled, and no more lines in a second than were asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::settings::Observe;

/// Decides which slow statements are logged. Added to from any thread, without a lock.
#[derive(Debug)]
pub(crate) struct SlowLog {
    threshold: Option<Duration>,
    per_second: u64,
    sample: u64,
    /// Slow statements so far.
    met: AtomicU64,
    /// The second that is counted in the upper half, the lines in it in the lower.
    window: AtomicU64,
    /// Lines that were left out since the last that was written.
    left_out: AtomicU64,
}

const LOWER_HALF: u64 = u32::MAX as u64;

impl SlowLog {
    pub(crate) fn new(settings: &Observe) -> Self {
        Self {
            threshold: settings.slow_statement,
            per_second: settings.slow_per_second.into(),
            sample: settings.slow_sample.into(),
            met: AtomicU64::new(0),
            window: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.threshold.is_some()
    }

    /// Whether a statement that took so long and ended then, on any clock, is to be logged: how
    /// many have been left out before it.
    pub(crate) fn admits(&self, took: Duration, ended: Duration) -> Option<u64> {
        if self.threshold.is_none_or(|threshold| took < threshold) {
            return None;
        }
        let number = self.met.fetch_add(1, Ordering::Relaxed);
        let is_in_sample = number.is_multiple_of(self.sample.max(1));
        let second = (ended.as_secs() & LOWER_HALF) << 32;
        let one_more = |window: u64| {
            let lines = if window & !LOWER_HALF == second {
                window & LOWER_HALF
            } else {
                0
            };
            (lines < self.per_second).then_some(second | (lines + 1))
        };
        let relaxed = Ordering::Relaxed;
        if is_in_sample && self.window.fetch_update(relaxed, relaxed, one_more).is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(change: impl FnOnce(&mut Observe)) -> SlowLog {
        let mut settings = Observe {
            slow_statement: Some(Duration::from_millis(100)),
            ..Observe::default()
        };
        change(&mut settings);
        SlowLog::new(&settings)
    }

    #[test]
    fn only_slow_statements_are_logged_and_only_where_it_is_asked_for() {
        let slow = log(|_| {});
        assert_eq!(slow.admits(Duration::from_millis(99), Duration::ZERO), None);
        assert_eq!(
            slow.admits(Duration::from_millis(100), Duration::ZERO),
            Some(0)
        );
        let off = log(|settings| settings.slow_statement = None);
        assert_eq!(off.admits(Duration::MAX, Duration::ZERO), None);
    }

    #[test]
    fn a_second_has_so_many_lines_and_the_next_says_how_many_were_left_out() {
        let slow = log(|settings| settings.slow_per_second = 3);
        let at = |second| slow.admits(Duration::from_secs(1), Duration::from_secs_f64(second));
        let logged = (0..10).filter(|_| at(7.5).is_some()).count();
        assert_eq!(logged, 3);
        assert_eq!(at(8.1), Some(7));
        assert_eq!(at(8.2), Some(0));
    }

    #[test]
    fn of_a_sample_one_in_so_many_is_logged() {
        let slow = log(|settings| {
            settings.slow_sample = 5;
            settings.slow_per_second = u32::MAX;
        });
        let logged = (0..100)
            .filter_map(|second| slow.admits(Duration::from_secs(1), Duration::from_secs(second)));
        let left_out: Vec<u64> = logged.collect();
        assert_eq!(left_out.len(), 20);
        assert!(left_out[1..].iter().all(|left_out| *left_out == 4));
    }
}
