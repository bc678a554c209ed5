//! Which digests there are, and where each is counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::cell::Cell;
use super::snapshot::{Snapshot, StatementInsight};
use crate::id::{InstanceId, Role};
use crate::observe::digest::Digest;
use crate::time::{self, Instant};

/// Instances and roles that are told apart; readers that scale out and in have new names each
/// time.
const PLACES_MAX: usize = 64;

/// More shards than threads that may write at once are of no use, and each takes memory.
const SHARDS_MAX: usize = 4;

/// All that is counted of one handle's statements.
#[derive(Debug)]
pub(crate) struct Table {
    is_on: bool,
    digests_max: usize,
    shards: usize,
    /// Connections so far: they take turns at the shards.
    connections: AtomicUsize,
    /// Grows with every reset: what connections remember from before is void.
    version: AtomicU64,
    /// A pair of clocks at one moment.
    began: (Instant, SystemTime),
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    since: SystemTime,
    digests: BTreeMap<u64, Arc<Digest>>,
    other: Arc<Digest>,
    cells: BTreeMap<Key, Vec<Arc<Entry>>>,
    places: Vec<Place>,
}

/// A digest and the number of a place.
type Key = (u64, usize);

type Place = (InstanceId, Role);

/// A digest at one place, in one shard: what a connection adds to.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) digest: Arc<Digest>,
    pub(crate) cell: Arc<Cell>,
    shard: usize,
}

impl State {
    fn new() -> Self {
        Self {
            since: time::wall_clock(),
            digests: BTreeMap::new(),
            other: Arc::new(Digest::other()),
            cells: BTreeMap::new(),
            places: Vec::new(),
        }
    }

    /// The number of a place; the first beyond the limit stands for all that follow.
    fn place(&mut self, place: &Place) -> usize {
        let known = self.places.iter().position(|known| known == place);
        known.unwrap_or_else(|| {
            if self.places.len() < PLACES_MAX {
                self.places.push(place.clone());
            } else if self.places.len() == PLACES_MAX {
                let others = InstanceId::new("(other instances)");
                self.places.push((others, place.1));
            }
            self.places.len() - 1
        })
    }

    fn digest(
        &mut self,
        hash: u64,
        digests_max: usize,
        make: impl FnOnce() -> Arc<Digest>,
    ) -> Arc<Digest> {
        if let Some(known) = self.digests.get(&hash) {
            return Arc::clone(known);
        }
        if self.digests.len() >= digests_max || hash == self.other.hash {
            return Arc::clone(&self.other);
        }
        let digest = make();
        self.digests.insert(hash, Arc::clone(&digest));
        digest
    }

    fn entry(&mut self, digest: Arc<Digest>, place: Place, shard: usize) -> Arc<Entry> {
        let place = self.place(&place);
        let entries = self.cells.entry((digest.hash, place)).or_default();
        if let Some(known) = entries.iter().find(|entry| entry.shard == shard) {
            return Arc::clone(known);
        }
        let entry = Arc::new(Entry {
            digest,
            cell: Arc::new(Cell::new()),
            shard,
        });
        entries.push(Arc::clone(&entry));
        entry
    }
}

impl Table {
    pub(crate) fn new(is_on: bool, digests_max: usize) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            is_on,
            digests_max,
            shards: threads.clamp(1, SHARDS_MAX),
            connections: AtomicUsize::new(0),
            version: AtomicU64::new(0),
            began: (time::now(), time::wall_clock()),
            state: Mutex::new(State::new()),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// The shard of the next connection.
    pub(crate) fn next_shard(&self) -> usize {
        self.connections.fetch_add(1, Ordering::Relaxed) % self.shards
    }

    /// How long after the table's beginning a moment is.
    pub(crate) fn since_began(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.began.0)
    }

    /// The time of day of a moment that is counted from the table's beginning.
    pub(crate) fn wall_clock(&self, since_began: Duration) -> SystemTime {
        self.began.1 + since_began
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to count a digest that the connection has not met before. The slow way.
    pub(crate) fn entry(
        &self,
        normalised: &[u8],
        hash: u64,
        (instance, role): (&InstanceId, Role),
        shard: usize,
    ) -> Arc<Entry> {
        let mut state = self.state();
        let digest = state.digest(hash, self.digests_max, || Arc::new(Digest::of(normalised)));
        state.entry(digest, (instance.clone(), role), shard)
    }

    /// Where to count a digest that is known from before a reset, or from another place.
    pub(crate) fn same_entry(
        &self,
        digest: &Arc<Digest>,
        (instance, role): (&InstanceId, Role),
        shard: usize,
    ) -> Arc<Entry> {
        let mut state = self.state();
        let digest = state.digest(digest.hash, self.digests_max, || Arc::clone(digest));
        state.entry(digest, (instance.clone(), role), shard)
    }

    pub(super) fn reset(&self) {
        let mut state = self.state();
        *state = State::new();
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.state();
        let now = self.since_began(time::now());
        let rows = state.cells.iter().filter_map(|((_, place), entries)| {
            let (instance, role) = state.places.get(*place)?;
            let readings = entries.iter().map(|entry| entry.cell.read());
            let digest = &entries.first()?.digest;
            let moment = |since_began| self.wall_clock(since_began);
            StatementInsight::add_up(digest, (instance, *role), readings, moment)
        });
        Snapshot {
            since: state.since,
            taken_at: self.wall_clock(now),
            statements: rows.collect(),
        }
    }
}
