//! Where writes and reads go now: an immutable picture that holds the pools themselves, so that a
//! checkout takes no lock that another instance's takes, and looks nothing up.
//!
//! The set publishes a new one before the topology that it is of.

use std::sync::Arc;
use std::time::Duration;

use super::instance::InstancePool;
use crate::engine::Backend;
use crate::id::InstanceId;
use crate::routing::{self, FULL_WEIGHT, Load, Scope, Tenure};
use crate::time;

/// The pools that requests may go to.
#[derive(Debug)]
pub(crate) struct Routes<E: Backend> {
    writer: Option<Arc<InstancePool<E>>>,
    /// Whether reads may go to the writer while there is no reader.
    writer_is_read: bool,
    /// In the order of their names.
    readers: Vec<Reader<E>>,
    /// How long a reader's slow start takes.
    slow_start: Duration,
    /// Whether any of the readers has less than its full share yet.
    is_warming_up: bool,
}

#[derive(Debug)]
struct Reader<E: Backend> {
    pool: Arc<InstancePool<E>>,
    tenure: Tenure,
}

impl<E: Backend> Routes<E> {
    pub(super) fn none() -> Self {
        Self {
            writer: None,
            writer_is_read: false,
            readers: Vec::new(),
            slow_start: Duration::ZERO,
            is_warming_up: false,
        }
    }

    pub(super) fn new(
        writer: Option<Arc<InstancePool<E>>>,
        scope: &Scope,
        readers: impl Iterator<Item = (Arc<InstancePool<E>>, Tenure)>,
        slow_start: Duration,
    ) -> Self {
        let now = time::now();
        let readers: Vec<_> = readers
            .filter(|(pool, _)| scope.includes(pool.id()))
            .map(|(pool, tenure)| Reader { pool, tenure })
            .collect();
        Self {
            is_warming_up: readers
                .iter()
                .any(|reader| !reader.tenure.is_settled(slow_start, now)),
            writer_is_read: writer
                .as_ref()
                .is_some_and(|writer| scope.includes(writer.id())),
            writer,
            readers,
            slow_start,
        }
    }

    /// The pool of the instance that writes go to.
    pub(crate) fn writer(&self) -> Option<&Arc<InstancePool<E>>> {
        self.writer.as_ref()
    }

    /// Whether writes go to this pool.
    pub(crate) fn writes_to(&self, pool: &Arc<InstancePool<E>>) -> bool {
        let writer = self.writer.as_ref();
        writer.is_some_and(|writer| Arc::ptr_eq(writer, pool))
    }

    /// The writer's pool, where reads go to it because there is no reader.
    pub(crate) fn writer_for_reads(&self) -> Option<&Arc<InstancePool<E>>> {
        let takes_reads = self.writer_is_read && self.readers.is_empty();
        self.writer.as_ref().filter(|_| takes_reads)
    }

    /// Whether reads go to this instance.
    pub(crate) fn reads_from(&self, instance: &InstanceId) -> bool {
        let readers = self.readers.iter().map(|reader| &reader.pool);
        let mut all = readers.chain(self.writer_for_reads());
        all.any(|pool| pool.id() == instance)
    }

    fn loads(&self) -> impl ExactSizeIterator<Item = Load> + '_ {
        let now = self.is_warming_up.then(time::now);
        self.readers.iter().map(move |reader| Load {
            in_flight: reader.pool.in_flight(),
            weight: now.map_or(FULL_WEIGHT, |now| {
                reader.tenure.weight(self.slow_start, now)
            }),
        })
    }

    /// The pool of the reader that is to be asked first.
    pub(crate) fn best_reader(&self, turn: usize) -> Option<&Arc<InstancePool<E>>> {
        let best = routing::best(self.loads(), turn)?;
        self.readers.get(best).map(|reader| &reader.pool)
    }

    /// The pools of all readers, best first.
    pub(crate) fn readers(&self, turn: usize) -> Vec<Arc<InstancePool<E>>> {
        let order = routing::order(self.loads(), turn).into_iter();
        order
            .filter_map(|position| self.readers.get(position))
            .map(|reader| Arc::clone(&reader.pool))
            .collect()
    }

    /// What share an instance has of what it has when nobody is new, in percent.
    pub(super) fn weight_of(&self, pool: &Arc<InstancePool<E>>) -> u32 {
        let mut readers = self.readers.iter();
        let reader = readers.find(|reader| Arc::ptr_eq(&reader.pool, pool));
        reader.map_or(FULL_WEIGHT, |reader| {
            reader.tenure.weight(self.slow_start, time::now())
        })
    }

    /// Whether both lead everything to the same pools.
    pub(crate) fn leads_like(&self, other: &Self) -> bool {
        let writer = |routes: &Self| routes.writer.as_ref().map(Arc::as_ptr);
        let pools = |routes: &Self| routes.readers.len();
        writer(self) == writer(other)
            && self.writer_is_read == other.writer_is_read
            && pools(self) == pools(other)
            && self
                .readers
                .iter()
                .zip(&other.readers)
                .all(|(one, other)| Arc::ptr_eq(&one.pool, &other.pool))
    }

    /// Whether both are the same in all that matters.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let pairs = self.readers.iter().zip(&other.readers);
        self.leads_like(other)
            && self.is_warming_up == other.is_warming_up
            && pairs
                .into_iter()
                .all(|(one, other)| one.tenure == other.tenure)
    }

    pub(super) fn leads_to(&self, pool: &Arc<InstancePool<E>>) -> bool {
        let mut readers = self.readers.iter();
        self.writes_to(pool) || readers.any(|reader| Arc::ptr_eq(&reader.pool, pool))
    }

    /// All pools that something goes to.
    pub(super) fn pools(&self) -> impl Iterator<Item = &Arc<InstancePool<E>>> {
        let readers = self.readers.iter().map(|reader| &reader.pool);
        self.writer.iter().chain(readers)
    }
}
