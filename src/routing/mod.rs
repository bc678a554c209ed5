//! Which instance to use. Pure: a picture of the cluster in, an order of preference out.

use crate::id::InstanceId;
use crate::topology::{Instance, Topology};
use std::time::Duration;

/// The instances that a read may go to, best first.
///
/// Readers with the fewest connections in use come first; among equals `turn` decides, so that
/// successive reads take turns. When no reader serves, the writer does, as Aurora's own reader
/// endpoint would have it; empty when there is none either.
pub(crate) fn for_read(
    topology: &Topology,
    max_lag: Option<Duration>,
    turn: usize,
    in_use: impl Fn(&InstanceId) -> usize,
) -> Vec<InstanceId> {
    let fresh = |reader: &&Instance| match (max_lag, reader.lag()) {
        (Some(max), Some(lag)) => lag <= max,
        (Some(_), None) | (None, _) => true,
    };
    let mut readers: Vec<&Instance> = topology.readers().filter(fresh).collect();
    if readers.is_empty() {
        return topology
            .writer()
            .map(|writer| writer.id().clone())
            .into_iter()
            .collect();
    }
    let first = turn % readers.len();
    readers.rotate_left(first);
    // A stable sort: equals stay in the order of their turn.
    readers.sort_by_cached_key(|reader| in_use(reader.id()));
    readers
        .into_iter()
        .map(|reader| reader.id().clone())
        .collect()
}
