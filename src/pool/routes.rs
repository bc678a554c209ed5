//! Where writes and reads go now: an immutable picture that holds the pools themselves, so that a
//! checkout takes no lock that another instance's takes, and looks nothing up.
//!
//! The set publishes a new one before the topology that it is of.

use std::sync::Arc;
use std::time::Duration;

use super::instance::InstancePool;
use crate::engine::Backend;
use crate::id::InstanceId;
use crate::observe::latency::{Latency, Level};
use crate::routing::{self, FULL_WEIGHT, Load, Reads, Tenure};
use crate::time::{self, Instant};

/// The pools that requests may go to.
#[derive(Debug)]
pub(crate) struct Routes<E: Backend> {
    writer: Option<Arc<InstancePool<E>>>,
    /// Whom reads go to, and why.
    reads: Reads,
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
    /// It is in another zone than this process.
    is_far: bool,
}

/// A reader at one moment, for people to look at.
pub(super) struct Standing<E: Backend> {
    pub(super) pool: Arc<InstancePool<E>>,
    pub(super) weight: u32,
    pub(super) latency: Option<Duration>,
    pub(super) is_far: bool,
}

impl<E: Backend> Standing<E> {
    pub(super) fn of_the_writer(pool: &Arc<InstancePool<E>>) -> Self {
        let latency = pool.member().site().latency();
        let now = latency.clock(time::now());
        let average = latency.average().filter(|average| average.counts());
        Self {
            pool: Arc::clone(pool),
            weight: FULL_WEIGHT,
            latency: average.map(|average| average.believed(now).duration()),
            is_far: pool.member().is_far(),
        }
    }
}

impl<E: Backend> Reader<E> {
    fn latency(&self) -> &Latency {
        self.pool.member().site().latency()
    }

    fn latency_at(&self, now: Instant) -> Option<Level> {
        let latency = self.latency();
        let average = latency.average().filter(|average| average.counts())?;
        Some(average.believed(latency.clock(now)))
    }
}

impl<E: Backend> Routes<E> {
    pub(super) fn none() -> Self {
        Self {
            writer: None,
            reads: Reads::Nobody,
            readers: Vec::new(),
            slow_start: Duration::ZERO,
            is_warming_up: false,
        }
    }

    pub(super) fn new(
        writer: Option<Arc<InstancePool<E>>>,
        reads: Reads,
        readers: impl Iterator<Item = (Arc<InstancePool<E>>, Tenure)>,
        slow_start: Duration,
    ) -> Self {
        let now = time::now();
        let readers: Vec<_> = readers
            .map(|(pool, tenure)| Reader {
                is_far: pool.member().is_far(),
                pool,
                tenure,
            })
            .collect();
        Self {
            is_warming_up: readers
                .iter()
                .any(|reader| !reader.tenure.is_settled(slow_start, now)),
            reads,
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

    /// Whom reads go to, and why.
    pub(crate) fn reads(&self) -> Reads {
        self.reads
    }

    /// The writer's pool, where reads go to it because there is no reader.
    pub(crate) fn writer_for_reads(&self) -> Option<&Arc<InstancePool<E>>> {
        let takes_reads = self.reads.use_the_writer();
        self.writer.as_ref().filter(|_| takes_reads)
    }

    /// Whether reads go to this instance.
    pub(crate) fn reads_from(&self, instance: &InstanceId) -> bool {
        let readers = self.readers.iter().map(|reader| &reader.pool);
        let mut all = readers.chain(self.writer_for_reads());
        all.any(|pool| pool.id() == instance)
    }

    /// What the choice among readers goes by. Clocks are read only where they matter: while a
    /// reader is new, or one is clearly slower than another.
    fn load(&self) -> impl Fn(usize) -> Load + '_ {
        let levels = self.readers.iter().filter_map(|reader| {
            let average = reader.latency().average()?;
            average.counts().then(|| average.level())
        });
        let fastest = routing::clearly_fastest(levels);
        let now = (self.is_warming_up || fastest.is_some()).then(time::now);
        move |position| {
            let reader = &self.readers[position];
            let weight = match now {
                Some(now) if self.is_warming_up => reader.tenure.weight(self.slow_start, now),
                _ => FULL_WEIGHT,
            };
            Load {
                in_flight: reader.pool.in_flight(),
                weight,
                latency: fastest
                    .zip(now)
                    .and_then(|(fastest, now)| Some(reader.latency_at(now)?.max(fastest))),
                is_far: reader.is_far,
            }
        }
    }

    /// The pool of the reader that is to be asked first.
    pub(crate) fn best_reader(&self, turn: usize) -> Option<&Arc<InstancePool<E>>> {
        let best = match self.readers.len() {
            // Nothing has to be weighed.
            0 | 1 => 0,
            count => routing::best(count, self.load(), turn)?,
        };
        self.readers.get(best).map(|reader| &reader.pool)
    }

    /// The pools of all readers, best first.
    pub(crate) fn readers(&self, turn: usize) -> Vec<Arc<InstancePool<E>>> {
        let order = routing::order(self.readers.len(), self.load(), turn).into_iter();
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
            && self.reads == other.reads
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

    /// All that reads or writes go to now, the first to be asked first.
    pub(super) fn standings(&self, turn: usize) -> Vec<Standing<E>> {
        let now = time::now();
        let order = routing::order(self.readers.len(), self.load(), turn).into_iter();
        let readers = order.filter_map(|position| self.readers.get(position));
        readers
            .map(|reader| Standing {
                weight: reader.tenure.weight(self.slow_start, now),
                latency: reader.latency_at(now).map(Level::duration),
                is_far: reader.is_far,
                pool: Arc::clone(&reader.pool),
            })
            .collect()
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
