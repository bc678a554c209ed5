//! How many repetitions a handle's calls may cost the cluster. Pure.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a call puts in.
const DEPOSIT: u32 = 1;

/// What a repetition takes out: repetitions are at most a fifth of the calls in the long run.
const PRICE: u32 = 5;

/// How much may be saved: a hundred repetitions, for what is under way when an instance dies. As
/// in the AWS SDKs' standard retry mode (500 tokens, 5 for a repetition).
const CAPACITY: u32 = 500;

/// A token bucket, full at first, that each call fills a little.
///
/// While most calls succeed it is never empty. When most fail, as everything is down or too
/// busy, it keeps the repetitions from making it worse.
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Budget {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(CAPACITY))
    }

    /// A call is made.
    pub(super) fn deposit(&self) {
        let add = |tokens: u32| (tokens < CAPACITY).then(|| CAPACITY.min(tokens + DEPOSIT));
        // An error says that it is full.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Whether a repetition may be made; it is paid for then.
    pub(super) fn withdraw(&self) -> bool {
        let pay = |tokens: u32| tokens.checked_sub(PRICE);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_a_fifth_of_the_calls_and_a_hundred_at_most() {
        for repetitions_wanted in [1, 2, 10] {
            let budget = Budget::new();
            let calls = 10_000;
            let mut made = 0;
            for _ in 0..calls {
                budget.deposit();
                made += (0..repetitions_wanted)
                    .filter(|_| budget.withdraw())
                    .count();
            }
            let most = calls / 5 + 100;
            assert!(made <= most && made + 1 >= most, "{made}");
        }
    }

    #[test]
    fn a_full_bucket_takes_no_more_and_an_empty_one_gives_none() {
        let budget = Budget::new();
        for _ in 0..1_000 {
            budget.deposit();
        }
        assert_eq!((0..1_000).filter(|_| budget.withdraw()).count(), 100);
        assert!(!budget.withdraw());
    }
}
