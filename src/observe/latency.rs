//! How long an instance takes lately: an average that a new sample moves a little and time makes
//! doubtful. Pure, but for one atomic in which it is kept.
//!
//! It is an average of logarithms, so that one report of a minute among statements of a
//! millisecond counts for little, and no exponential is computed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Instant;

/// Steps of a doubling: the low bits of a [`Level`].
const OCTAVE: u32 = 1 << 20;

/// A new sample weighs as much of the whole as the time since the one before is of this...
const MEMORY_MILLIS: u32 = 500;
/// ...but at most one part in so many, so that a few statements that happen to be long decide
/// nothing where little goes on,
const PARTS_MIN: u32 = 10;
/// and at least one in so many.
const PARTS_MAX: u32 = 256;

/// So many samples make an average that counts: the first statements of a reader meet cold caches.
const SAMPLES_MIN: u32 = 8;

/// So long an average is good without a new sample.
const GRACE_MILLIS: u32 = 1_000;
/// Then it is believed half as high after each of these, so that one that was slow is tried again.
const HALVING_MILLIS: u32 = 1_000;

/// No sample comes so long after the clock was read for a look at the average: what seems further
/// ahead is old.
const AHEAD_MILLIS: u32 = 60_000;

/// A duration as its logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(u32);

impl Level {
    /// The level of a duration; the line between two powers of two is straight, which is at most
    /// 6 % wrong.
    pub(crate) const fn of(took: Duration) -> Self {
        // More than a day is as long as a day.
        let nanos = took.as_nanos();
        let nanos = if nanos > u64::MAX as u128 / 2 {
            u64::MAX / 2
        } else if nanos == 0 {
            1
        } else {
            nanos as u64
        };
        let octaves = nanos.ilog2();
        let rest = ((nanos as u128 - (1 << octaves)) << 20) >> octaves;
        Self(octaves * OCTAVE + rest as u32)
    }

    /// The duration of a level.
    pub(crate) fn duration(self) -> Duration {
        let octaves = (self.0 / OCTAVE).min(62);
        let power = 1_u64 << octaves;
        let rest = (u128::from(power) * u128::from(self.0 % OCTAVE)) >> 20;
        Duration::from_nanos(power + u64::try_from(rest).unwrap_or(0))
    }

    /// How many hundredths of the other it is, at most a million.
    pub(crate) fn percent_of(self, other: Self) -> u64 {
        let (mine, others) = (self.duration().as_nanos(), other.duration().as_nanos());
        let percent = mine.saturating_mul(100) / others.max(1);
        u64::try_from(percent).unwrap_or(u64::MAX).min(1_000_000)
    }
}

/// Of 64 doublings each level has its number.
const LEVEL_BITS: u32 = 26;

/// The average at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Average {
    level: Level,
    /// When the last sample came, in milliseconds of a clock that may wrap around.
    at: u32,
    /// Of how many samples it is, up to those that it takes to count.
    samples: u32,
}

impl Average {
    /// The average with one sample more.
    pub(crate) fn with(before: Option<Self>, took: Duration, now: u32) -> Self {
        let sample = Level::of(took);
        let Some(before) = before else {
            return Self {
                level: sample,
                at: now,
                samples: 1,
            };
        };
        // What has become doubtful is settled by the sample: it was right, or it is over.
        let doubtful = before.believed(now).0;
        let base = sample.0.clamp(doubtful, before.level.0.max(doubtful));
        let age = now.wrapping_sub(before.at).max(1);
        let parts = match before.counts() {
            true => (MEMORY_MILLIS / age).clamp(PARTS_MIN, PARTS_MAX),
            false => before.samples + 1,
        };
        let moved = i64::from(base) + (i64::from(sample.0) - i64::from(base)) / i64::from(parts);
        Self {
            level: Level(u32::try_from(moved).unwrap_or(base)),
            at: now,
            samples: (before.samples + 1).min(SAMPLES_MIN),
        }
    }

    /// Whether it is of enough samples to decide by.
    pub(crate) fn counts(self) -> bool {
        self.samples >= SAMPLES_MIN
    }

    /// As it was after the last sample.
    pub(crate) fn level(self) -> Level {
        self.level
    }

    /// What is believed of it now.
    pub(crate) fn believed(self, now: u32) -> Level {
        // A sample may have come after the clock was read.
        let age = now.wrapping_sub(self.at);
        let age = if age > u32::MAX - AHEAD_MILLIS {
            0
        } else {
            age
        };
        let doubtful = u64::from(age.saturating_sub(GRACE_MILLIS));
        let off = doubtful * u64::from(OCTAVE) / u64::from(HALVING_MILLIS);
        let off = u32::try_from(off).unwrap_or(u32::MAX);
        Level(self.level.0.saturating_sub(off))
    }
}

/// The average of one instance's statements, as one handle measures them.
#[derive(Debug)]
pub(crate) struct Latency {
    began: Instant,
    /// The average: its samples above its level above its time; zero until the first sample.
    cell: AtomicU64,
}

impl Latency {
    pub(crate) fn new(began: Instant) -> Self {
        Self {
            began,
            cell: AtomicU64::new(0),
        }
    }

    /// The time of the averages.
    pub(crate) fn clock(&self, now: Instant) -> u32 {
        let millis = now.saturating_duration_since(self.began).as_millis();
        // It may wrap around.
        (millis & u128::from(u32::MAX)) as u32
    }

    /// Something took so long. Of two samples at the same moment one may get lost.
    ///
    /// What failed counts only if it took longer than what succeeds: an instance that refuses
    /// everything at once is not fast.
    pub(crate) fn took(&self, took: Duration, has_failed: bool, now: Instant) {
        let before = self.average();
        let is_longer =
            |before: Option<Average>| before.is_none_or(|before| Level::of(took) > before.level);
        if has_failed && !is_longer(before) {
            return;
        }
        let next = Average::with(before, took, self.clock(now));
        let high = next.samples << LEVEL_BITS | next.level.0;
        let packed = u64::from(high) << 32 | u64::from(next.at);
        self.cell.store(packed, Ordering::Relaxed);
    }

    /// `None` before the first sample.
    pub(crate) fn average(&self) -> Option<Average> {
        match self.cell.load(Ordering::Relaxed) {
            0 => None,
            packed => {
                let high = (packed >> 32) as u32;
                Some(Average {
                    level: Level(high & ((1 << LEVEL_BITS) - 1)),
                    at: (packed & u64::from(u32::MAX)) as u32,
                    samples: high >> LEVEL_BITS,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time;

    const MS: Duration = Duration::from_millis(1);

    /// The average of many samples that all took so long, the last of them at 0.
    fn usual(took: Duration) -> Average {
        let first = Average::with(None, took, 0);
        after(SAMPLES_MIN, first, took, 0)
    }

    fn after(samples: u32, before: Average, took: Duration, every: u32) -> Average {
        (1..=samples).fold(before, |average, number| {
            Average::with(Some(average), took, before.at + number * every)
        })
    }

    #[test]
    fn a_few_long_statements_among_many_change_little() {
        let usual = usual(MS);
        let one = after(1, usual, 100 * MS, 1_000);
        assert!(one.level.duration() < 2 * MS, "{:?}", one.level.duration());
    }

    #[test]
    fn a_tenfold_latency_is_clear_within_half_a_second() {
        let usual = usual(MS);
        // At one after the other, and at ten at a time.
        for (samples, every) in [(50, 10), (500, 1)] {
            let slowed = after(samples, usual, 10 * MS, every);
            let level = slowed.level.duration();
            assert!(level > 4 * MS, "{level:?}");
        }
    }

    #[test]
    fn without_samples_it_is_believed_half_as_high_every_second() {
        let slow = usual(16 * MS);
        let believed = [1_000, 2_000, 5_000].map(|now| slow.believed(now).duration());
        assert_eq!(believed.map(|level| level.as_millis()), [16, 8, 1]);
        let still_slow = Average::with(Some(slow), 16 * MS, 5_000);
        assert_eq!(still_slow.level, slow.level, "it was right");
        let after_a_month = 30 * 24 * 3_600_000;
        assert!(slow.believed(after_a_month) < Level::of(MS));
        let recovered = Average::with(Some(slow), MS, 3_500);
        assert!(recovered.level.duration() < 3 * MS, "it is over");
    }

    #[test]
    fn a_few_samples_decide_nothing_and_the_first_of_them_does_not_stay() {
        let first = Average::with(None, 50 * MS, 0);
        let more = after(SAMPLES_MIN - 2, first, MS, 1);
        assert!(!more.counts());
        let enough = after(1, more, MS, 1);
        assert!(enough.counts() && enough.level.duration() < 2 * MS);
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let now = time::now();
        for took in [Duration::ZERO, MS, Duration::MAX] {
            let latency = Latency::new(now);
            latency.took(took, false, now + 70 * MS);
            assert_eq!(latency.average(), Some(Average::with(None, took, 70)));
        }
    }

    #[test]
    fn a_refusal_at_once_does_not_make_an_instance_fast() {
        let now = time::now();
        let latency = Latency::new(now);
        latency.took(4 * MS, false, now);
        let before = latency.average();
        latency.took(MS, true, now);
        assert_eq!(latency.average(), before);
        latency.took(400 * MS, true, now);
        assert!(latency.average() > None && latency.average() != before);
    }

    impl PartialOrd for Average {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            self.level.partial_cmp(&other.level)
        }
    }

    proptest! {
        #[test]
        fn an_average_lies_between_what_was_believed_and_the_sample(
            first in 1..u64::MAX, second in 0..u64::MAX, age in any::<u32>(),
        ) {
            let before = Average::with(None, Duration::from_nanos(first), 7);
            let now = 7_u32.wrapping_add(age);
            let sample = Duration::from_nanos(second);
            let average = Average::with(Some(before), sample, now).level;
            let ends = [before.believed(now), before.level, Level::of(sample)];
            prop_assert!(ends.iter().min() <= Some(&average));
            prop_assert!(Some(&average) <= ends.iter().max());
        }

        #[test]
        fn a_level_is_the_duration_that_it_was_made_of(nanos in 1..u64::MAX / 4) {
            let told = Level::of(Duration::from_nanos(nanos)).duration().as_nanos();
            let off = told.abs_diff(u128::from(nanos));
            prop_assert!(off <= u128::from(nanos) / 100_000 + 1, "{nanos} {told}");
        }
    }
}
