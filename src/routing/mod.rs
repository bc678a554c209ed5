//! Which instance to use. Pure: a picture of the cluster in, an order of preference out.
//!
//! - [`eligible`]: the readers that a read may go to at all.
//! - [`Scope`]: which of all instances the configuration lets reads go to.
//! - [`plan`]: what becomes of reads where no member of that may be read from.
//! - [`best`], [`order`]: which of them first, by how busy and how slow they are, how long they have
//!   served, and how near they are.
//! - [`explain`]: all that, for people.

mod choice;
pub(crate) mod explain;
mod plan;
mod slow_start;
#[cfg(feature = "router")]
pub(crate) mod statement;

pub(crate) use choice::{Load, best, clearly_fastest, order};
pub(crate) use plan::{Reads, plan};
pub(crate) use slow_start::{FULL_WEIGHT, Tenure};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::id::InstanceId;
use crate::topology::{Instance, Topology};

/// A reader that lagged too much is read from again when it lags by so much of what is allowed, in
/// percent: one about the bound must not come and go with every look.
const RETURN_PERCENT: u32 = 80;

/// The readers that do not lag too much, in the order of their names; `lagging` are those that did
/// at the last look.
pub(crate) fn eligible<'a>(
    topology: &'a Topology,
    max_lag: Option<Duration>,
    lagging: &'a BTreeSet<InstanceId>,
) -> impl Iterator<Item = &'a Instance> {
    topology.readers().filter(
        move |reader| match (bound(reader, max_lag, lagging), reader.lag()) {
            (Some(max), Some(lag)) => lag <= max,
            (Some(_), None) | (None, _) => true,
        },
    )
}

/// How far this reader may lag now.
pub(crate) fn bound(
    reader: &Instance,
    max_lag: Option<Duration>,
    lagging: &BTreeSet<InstanceId>,
) -> Option<Duration> {
    match lagging.contains(reader.id()) {
        true => max_lag.map(|max| max * RETURN_PERCENT / 100),
        false => max_lag,
    }
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

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
