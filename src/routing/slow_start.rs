//! How the share of a reader grows that is new or was away. Pure.

use std::time::Duration;

use crate::time::Instant;

/// The weight of a reader that has its full share, in percent.
pub(crate) const FULL_WEIGHT: u32 = 100;

/// What a reader begins with: enough to fill its caches, little enough that few notice how slow
/// it still is.
const FIRST_WEIGHT: u32 = 10;

/// Readers that came together are equals. The first pictures of a cluster fill up within this,
/// and nobody is new among the new.
const TOGETHER_PERIOD: Duration = Duration::from_secs(2);

/// How long a reader may be out of the routing and still be the same: doubts that a single lost
/// connection raises are settled sooner.
const ABSENCE_PERIOD: Duration = Duration::from_secs(1);

/// The time that a reader has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// When it began.
    began_at: Instant,
    /// It came when there was nobody yet, or all were as new: it has its full share.
    is_founder: bool,
    /// Since when it has been out of the routing, if it is.
    left_at: Option<Instant>,
}

impl Tenure {
    /// A reader begins to serve beside others.
    pub(crate) fn begin(others: impl Iterator<Item = Tenure>, now: Instant) -> Self {
        let is_new = |other: Self| {
            other.left_at.is_some()
                || now.saturating_duration_since(other.began_at) < TOGETHER_PERIOD
        };
        Self {
            began_at: now,
            is_founder: others.into_iter().all(is_new),
            left_at: None,
        }
    }

    /// It is out of the routing since then, at the latest.
    pub(crate) fn leave(&mut self, now: Instant) {
        self.left_at.get_or_insert(now);
    }

    /// It is back: whether it goes on as the same.
    pub(crate) fn resume(&mut self, now: Instant) -> bool {
        let away = self.left_at.take();
        away.is_none_or(|left_at| now.saturating_duration_since(left_at) <= ABSENCE_PERIOD)
    }

    /// Its weight in percent, where a slow start takes `period`.
    pub(crate) fn weight(&self, period: Duration, now: Instant) -> u32 {
        if self.is_founder {
            return FULL_WEIGHT;
        }
        let served = now.saturating_duration_since(self.began_at);
        if served >= period {
            return FULL_WEIGHT;
        }
        let grown = f64::from(FULL_WEIGHT - FIRST_WEIGHT) * served.div_duration_f64(period);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and 90"
        )]
        let grown = grown as u32;
        FIRST_WEIGHT + grown
    }

    /// Whether its weight is full for good, so that no clock has to be read for it.
    pub(crate) fn is_settled(&self, period: Duration, now: Instant) -> bool {
        self.weight(period, now) == FULL_WEIGHT
    }
}

/// Whether a reader of this weight takes part in a turn: in so many of any hundred in a row,
/// evenly spread.
pub(super) fn takes_part(weight: u32, turn: usize) -> bool {
    // 61 and 100 have no divisor in common, so a hundred turns give each number once.
    let place = (turn % 100) * 61 % 100;
    place < weight as usize
}
