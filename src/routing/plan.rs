//! What becomes of reads: to the members, or what is left where none of them may be read from.

use std::cmp::Reverse;

use super::Scope;
use crate::config::WhenNone;
use crate::topology::{Instance, Phase, Topology};

/// Where reads go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// To readers that they are meant for.
    Members,
    /// To other readers, for want of these.
    Others,
    /// To the writer, as there is no reader.
    Writer,
    /// To the writer, as all readers that they are meant for lag too much.
    WriterForLag,
    /// Nowhere yet: they wait.
    Nobody,
    /// Nowhere: they fail at once.
    Refused,
}

impl Reads {
    /// Whether the writer is read from.
    pub(crate) fn use_the_writer(self) -> bool {
        matches!(self, Self::Writer | Self::WriterForLag)
    }
}

/// Where reads go in one picture of the cluster.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) reads: Reads,
    /// In the order of their names; none where the writer is read from.
    pub(crate) readers: Vec<&'a Instance>,
}

/// Where reads go that are confined to a scope, where these readers do not lag too much.
pub(crate) fn plan<'a>(
    topology: &'a Topology,
    eligible: &[&'a Instance],
    scope: &Scope,
    when_none: WhenNone,
) -> Plan<'a> {
    let members = eligible.iter().filter(|reader| scope.includes(reader.id()));
    let members: Vec<&Instance> = members.copied().collect();
    if !members.is_empty() {
        return Plan {
            reads: Reads::Members,
            readers: members,
        };
    }
    let others = match when_none {
        WhenNone::Readers if !eligible.is_empty() => eligible.to_vec(),
        WhenNone::Readers => least_lagging(topology, scope).into_iter().collect(),
        _ => Vec::new(),
    };
    if !others.is_empty() {
        return Plan {
            reads: Reads::Others,
            readers: others,
        };
    }
    let mut all = topology.readers();
    let to_the_writer = match all.any(|reader| scope.includes(reader.id())) {
        true => Reads::WriterForLag,
        false => Reads::Writer,
    };
    // Who is the writer is not always known: its membership is looked at when it is.
    let is_member = topology
        .writer()
        .is_some_and(|writer| scope.includes(writer.id()));
    let reads = match when_none {
        WhenNone::Writer => to_the_writer,
        WhenNone::Member | WhenNone::Readers if is_member => to_the_writer,
        WhenNone::Member | WhenNone::Readers | WhenNone::Wait => Reads::Nobody,
        WhenNone::Fail if topology.phase() == Phase::Discovering => Reads::Nobody,
        WhenNone::Fail => Reads::Refused,
    };
    Plan {
        reads,
        readers: Vec::new(),
    }
}

/// Of the readers that all lag too much the one that lags least, a member before others.
fn least_lagging<'a>(topology: &'a Topology, scope: &Scope) -> Option<&'a Instance> {
    let key = |reader: &&Instance| (Reverse(scope.includes(reader.id())), reader.lag());
    topology.readers().min_by_key(key)
}

#[cfg(test)]
mod tests;
