//! Custom endpoints: names for a choice of instances.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::id::InstanceId;
use crate::sim::world::Records;

/// How many custom endpoints a cluster has at most (Aurora User Guide, "Quotas and constraints").
pub(crate) const CUSTOM_ENDPOINTS_MAX: usize = 5;

/// Which role an instance must have for a custom endpoint to hand it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CustomEndpointKind {
    /// Readers. A member that is promoted stays a member, and is handed out again when it is a
    /// reader again.
    Reader,
    /// The writer.
    Writer,
    /// Whatever role it has.
    Any,
}

/// Which instances belong to a custom endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CustomEndpointMembers {
    /// These, and none that are added later.
    Static(BTreeSet<InstanceId>),
    /// All but these, those that are added later too.
    Excluded(BTreeSet<InstanceId>),
}

impl CustomEndpointMembers {
    /// These instances, and none that are added later.
    pub fn fixed<I: Into<InstanceId>>(members: impl IntoIterator<Item = I>) -> Self {
        Self::Static(members.into_iter().map(Into::into).collect())
    }

    /// All instances but these, those that are added later too.
    pub fn all_except<I: Into<InstanceId>>(excluded: impl IntoIterator<Item = I>) -> Self {
        Self::Excluded(excluded.into_iter().map(Into::into).collect())
    }

    /// The instances that are named, to be in or to be out.
    pub(crate) fn named(&self) -> &BTreeSet<InstanceId> {
        match self {
            Self::Static(named) | Self::Excluded(named) => named,
        }
    }

    fn has(&self, id: &InstanceId) -> bool {
        match self {
            Self::Static(members) => members.contains(id),
            Self::Excluded(excluded) => !excluded.contains(id),
        }
    }
}

/// One custom endpoint.
#[derive(Debug)]
pub(super) struct CustomEndpoint {
    kind: CustomEndpointKind,
    members: CustomEndpointMembers,
    turn: AtomicUsize,
}

impl CustomEndpoint {
    pub(super) fn new(kind: CustomEndpointKind, members: CustomEndpointMembers) -> Self {
        Self {
            kind,
            members,
            turn: AtomicUsize::new(0),
        }
    }

    /// The member whose turn it is, for a query.
    pub(super) fn take_turn<'a>(&self, records: &'a Records) -> Option<&'a InstanceId> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.of_turn(records, turn)
    }

    /// The member whose turn it is, with nobody's turn passing.
    pub(super) fn current<'a>(&self, records: &'a Records) -> Option<&'a InstanceId> {
        self.of_turn(records, self.turn.load(Ordering::Relaxed))
    }

    fn of_turn<'a>(&self, records: &'a Records, turn: usize) -> Option<&'a InstanceId> {
        let available = self.available(records);
        available.get(turn.checked_rem(available.len())?).copied()
    }

    /// The members that may be handed out, as far as the DNS knows: they passed the last health
    /// check, in the role that the endpoint is for.
    fn available<'a>(&self, records: &'a Records) -> Vec<&'a InstanceId> {
        let writer = records.writer.iter();
        let readers = records
            .readers
            .iter()
            .filter(|reader| records.writer.as_ref() != Some(reader));
        let fitting: Vec<&InstanceId> = match self.kind {
            CustomEndpointKind::Reader => readers.collect(),
            CustomEndpointKind::Writer => writer.collect(),
            CustomEndpointKind::Any => writer.chain(readers).collect(),
        };
        fitting
            .into_iter()
            .filter(|id| self.members.has(id) && records.healthy.contains(*id))
            .collect()
    }
}
