//! Whom a read asks first: the better of two, by requests in flight and latency.

use std::cmp::Ordering;
use std::time::Duration;

use super::slow_start;
use crate::observe::latency::Level;

/// How much is going on at a reader, and what share of the reads it is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Connections in use: reads in flight.
    pub(crate) in_flight: usize,
    /// In percent of a full share: 1 to [`FULL_WEIGHT`](super::FULL_WEIGHT).
    pub(crate) weight: u32,
    /// How long its statements take, as far as that is believed now; never less than the fastest
    /// was measured with, as one of which nothing is heard is no yardstick for the others.
    pub(crate) latency: Option<Level>,
    /// It is in another zone than this process.
    pub(crate) is_far: bool,
}

/// A reader is slow only if it takes so many hundredths of what the fastest takes: what is asked
/// differs from statement to statement, so less is noise.
const CLEARLY_SLOWER_PERCENT: u64 = 250;

/// Faster than this counts as this: between zones of a region lies about a millisecond, and where
/// all answer that soon, nobody needs to be spared.
const FAST: Level = Level::of(Duration::from_millis(1));

/// What another zone adds: it counts as if it had so many reads more in flight, and all of them
/// so many times.
const FAR_HEAD_START: u64 = 2;
const FAR_FACTOR: u64 = 2;

/// The cost of one read in flight at a reader that is not slow.
const UNIT: u64 = 100 * 100;

/// The fastest of these, where another is so much slower that it matters.
pub(crate) fn clearly_fastest(levels: impl Iterator<Item = Level>) -> Option<Level> {
    let ends = levels.fold(None, |ends: Option<(Level, Level)>, level| match ends {
        None => Some((level, level)),
        Some((least, most)) => Some((least.min(level), most.max(level))),
    });
    let (least, most) = ends?;
    (slowness(most, least) > 100).then_some(least)
}

/// What a level is of that of the fastest, in percent; 100 unless it is clearly slower.
fn slowness(level: Level, fastest: Level) -> u64 {
    let percent = level.percent_of(fastest.max(FAST));
    match percent {
        CLEARLY_SLOWER_PERCENT.. => percent,
        _ => 100,
    }
}

/// The position of the reader that is to be asked first, of so many.
///
/// The turn names two of them, and the better one is taken: the one whose requests in flight, by
/// its weight and its latency, promise an answer sooner; of equals the one whose turn it is. So
/// successive reads take turns while nobody is busier than another, and processes that look at the
/// same readers do not all run to the same one. All are looked at where the better one is slow or
/// sits out, and where some are in another zone.
///
/// A reader of less than full weight takes part in that share of the turns only: otherwise a
/// cluster with little to do would send it everything, as it is always the least busy.
pub(crate) fn best(count: usize, load: impl Fn(usize) -> Load, turn: usize) -> Option<usize> {
    let one = turn.checked_rem(count)?;
    let turns = Turns::new(count, &load, turn);
    // The other position moves on by one with each round.
    let other = match count {
        1 => one,
        _ => (one + 1 + turns.round % (count - 1)) % count,
    };
    let first = turns.view(one);
    let second = turns.view(other);
    let better = match first.cost().cmp(&second.cost()) {
        Ordering::Greater => second,
        Ordering::Less | Ordering::Equal => first,
    };
    if better.is_plain() && !turns.has_far {
        return Some(better.position);
    }
    let all = (0..count).map(|position| turns.view(position));
    all.min_by_key(View::key).map(|view| view.position)
}

/// All positions, in the order in which they are to be asked.
pub(crate) fn order(count: usize, load: impl Fn(usize) -> Load, turn: usize) -> Vec<usize> {
    let first = best(count, &load, turn);
    let turns = Turns::new(count, &load, turn);
    let mut ranked: Vec<View> = (0..count).map(|position| turns.view(position)).collect();
    ranked.sort_by_key(|view| (Some(view.position) != first, view.key()));
    ranked.into_iter().map(|view| view.position).collect()
}

/// The readers as one turn sees them.
struct Turns<'a, F> {
    count: usize,
    load: &'a F,
    turn: usize,
    round: usize,
    fastest: Option<Level>,
    /// Whether any is in another zone.
    has_far: bool,
}

impl<'a, F: Fn(usize) -> Load> Turns<'a, F> {
    fn new(count: usize, load: &'a F, turn: usize) -> Self {
        let mut fastest: Option<Level> = None;
        let mut has_far = false;
        for known in (0..count).map(load) {
            let levels = [fastest, known.latency].into_iter().flatten();
            fastest = levels.min();
            has_far |= known.is_far;
        }
        Self {
            fastest,
            has_far,
            count,
            load,
            turn,
            round: turn / count.max(1),
        }
    }

    fn view(&self, position: usize) -> View {
        let load = (self.load)(position);
        let slowness = match (load.latency, self.fastest) {
            (Some(level), Some(fastest)) => slowness(level, fastest),
            _ => 100,
        };
        View {
            position,
            sits_out: !slow_start::takes_part(load.weight, self.round),
            slowness,
            load,
            rank: self.rank(position),
        }
    }

    /// Forwards and backwards by turns: the turn of one that sits out is not always the same
    /// neighbour's.
    fn rank(&self, position: usize) -> usize {
        let ahead = (position + self.count - self.turn % self.count) % self.count;
        if self.round.is_multiple_of(2) || ahead == 0 {
            ahead
        } else {
            self.count - ahead
        }
    }
}

/// One reader as one turn sees it.
struct View {
    position: usize,
    load: Load,
    sits_out: bool,
    slowness: u64,
    rank: usize,
}

impl View {
    /// Whether nothing speaks for a look at others than two.
    fn is_plain(&self) -> bool {
        !self.sits_out && self.slowness == 100
    }

    fn cost(&self) -> (bool, u64, bool) {
        let in_flight = u64::try_from(self.load.in_flight).unwrap_or(u64::MAX);
        let weighed = in_flight.saturating_mul(UNIT) / u64::from(self.load.weight.max(1));
        let near = weighed.saturating_add(100).saturating_mul(self.slowness);
        let cost = match self.load.is_far {
            true => (near.saturating_add(FAR_HEAD_START * UNIT)).saturating_mul(FAR_FACTOR),
            false => near,
        };
        (self.sits_out, cost, self.load.is_far)
    }

    fn key(&self) -> ((bool, u64, bool), usize) {
        (self.cost(), self.rank)
    }
}
