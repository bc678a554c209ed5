//! Which instance to use. Pure: a picture of the cluster in, an order of preference out.
//!
//! - [`eligible`]: the readers that a read may go to at all.
//! - [`Scope`]: which of all instances the configuration lets reads go to.
//! - [`best`], [`order`]: which of them first, by how busy they are and how long they have served.

mod slow_start;
#[cfg(feature = "router")]
pub(crate) mod statement;

pub(crate) use slow_start::{FULL_WEIGHT, Tenure};

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::id::InstanceId;
use crate::topology::{Instance, Topology};

/// The readers that a read may go to, in the order of their names. When there is none, the read
/// goes to the writer, as Aurora's own reader endpoint would have it.
pub(crate) fn eligible(
    topology: &Topology,
    max_lag: Option<Duration>,
) -> impl Iterator<Item = &Instance> {
    topology
        .readers()
        .filter(move |reader| match (max_lag, reader.lag()) {
            (Some(max), Some(lag)) => lag <= max,
            (Some(_), None) | (None, _) => true,
        })
}

/// Which instances reads are confined to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// None in particular.
    Everywhere,
    /// Those that belong to the custom endpoint that the configuration names, as far as known.
    Members(Arc<BTreeSet<InstanceId>>),
    /// None at all, as no member of that endpoint is known; and why.
    Nowhere(Arc<str>),
}

impl Scope {
    pub(crate) fn includes(&self, instance: &InstanceId) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Members(members) => members.contains(instance),
            Self::Nowhere(_) => false,
        }
    }
}

/// How much is going on at a reader, and what share of the reads it is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Connections in use: reads in flight.
    pub(crate) in_flight: usize,
    /// In percent of a full share: 1 to [`FULL_WEIGHT`].
    pub(crate) weight: u32,
}

/// The position of the reader that is to be asked first.
///
/// Those with the fewest reads in flight come first, each measured by its weight; among equals
/// `turn` decides, so that successive reads take turns. A reader of less than full weight takes
/// part in that share of the turns only: otherwise a cluster with little to do would send it
/// everything, as it is always the least busy.
pub(crate) fn best(loads: impl ExactSizeIterator<Item = Load>, turn: usize) -> Option<usize> {
    let count = loads.len();
    loads
        .enumerate()
        .min_by(|one, other| compare(*one, *other, turn, count))
        .map(|(position, _)| position)
}

/// All positions, in the order in which they are to be asked.
pub(crate) fn order(loads: impl ExactSizeIterator<Item = Load>, turn: usize) -> Vec<usize> {
    let count = loads.len();
    let mut ranked: Vec<(usize, Load)> = loads.enumerate().collect();
    ranked.sort_by(|one, other| compare(*one, *other, turn, count));
    ranked.into_iter().map(|(position, _)| position).collect()
}

fn compare(one: (usize, Load), other: (usize, Load), turn: usize, count: usize) -> Ordering {
    // Positions, and so divisors, are there.
    let count = count.max(1);
    let round = turn / count;
    let sits_out = |load: Load| !slow_start::takes_part(load.weight, round);
    // The one's reads in flight by its weight against the other's, without rounding.
    let weighed = |load: Load, by: Load| load.in_flight as u128 * u128::from(by.weight.max(1));
    // Forwards and backwards by turns: the turn of one that sits out is not always the same
    // neighbour's.
    let rank = |position: usize| {
        let ahead = (position + count - turn % count) % count;
        if round.is_multiple_of(2) || ahead == 0 {
            ahead
        } else {
            count - ahead
        }
    };
    sits_out(one.1)
        .cmp(&sits_out(other.1))
        .then_with(|| weighed(one.1, other.1).cmp(&weighed(other.1, one.1)))
        .then_with(|| rank(one.0).cmp(&rank(other.0)))
}

#[cfg(test)]
mod tests;
