//! The immutable picture of a cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use crate::id::Role;
use crate::id::{Epoch, Generation, InstanceId};
use crate::time::Instant;

/// The cluster as this process knows it: a value without pools, sockets, locks or clocks.
///
/// A new one is published whenever something that matters to routing changes; an old one stays
/// what it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    pub(super) epoch: Epoch,
    pub(super) phase: Phase,
    pub(super) writer: Option<InstanceId>,
    pub(super) instances: BTreeMap<InstanceId, Arc<Instance>>,
    /// When the writer was lost; `None` while there is one, or before the first.
    pub(super) writer_lost_at: Option<Instant>,
    /// When the question was sent whose answer confirmed the writer.
    pub(super) confirmed_at: Option<Instant>,
    /// Since when the writer's table has shown the writer alone.
    pub(super) sole_row_since: Option<Instant>,
}

/// How far the cluster is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No writer has been confirmed yet.
    Discovering,
    /// A writer is confirmed.
    Steady,
    /// There was a writer; it is lost or in doubt, and writes wait.
    Reconfiguring,
}

/// One DB instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub(super) id: InstanceId,
    pub(super) role: Role,
    pub(super) health: Health,
    pub(super) lag: Option<Duration>,
    pub(super) generation: Generation,
    pub(super) listing: Listing,
    /// When the latest question was sent whose answer, or silence, has been taken in.
    pub(super) last_asked: Option<Instant>,
    /// The same of the latest that was answered.
    pub(super) last_answered: Option<Instant>,
    /// When something happened that makes answers to earlier questions worthless.
    pub(super) void_before: Option<Instant>,
    /// When this instance was last known to be a reader (its own word, or the writer's table).
    pub(super) reader_since_epoch: Option<Epoch>,
    /// It was the writer of an earlier epoch and nothing shows yet that it knows: until then its
    /// claim to be the writer counts for nothing.
    pub(super) unaware_of_demotion: Option<Instant>,
    /// When it last came into doubt because it refused a write.
    pub(super) write_refused_at: Option<Instant>,
    /// Probes in a row that ran into their time limit.
    pub(super) timeouts: u32,
}

/// Whether an instance can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// It does not answer; it is asked again until it does.
    Down,
    /// Something went wrong there; it is being asked.
    Suspect,
    /// It has not been asked yet.
    Unknown,
    /// It answered.
    Up,
}

/// Whether the writer's table shows an instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Listing {
    /// It does, or nobody has looked yet.
    Listed,
    /// It shows a row that is no longer updated, since then.
    Lingering(Instant),
    /// It does not, since then.
    Missing(Instant),
}

impl Topology {
    /// The cluster before anything is known of it.
    pub(crate) fn empty() -> Self {
        Self {
            epoch: Epoch::default(),
            phase: Phase::Discovering,
            writer: None,
            instances: BTreeMap::new(),
            writer_lost_at: None,
            confirmed_at: None,
            sole_row_since: None,
        }
    }

    /// How many promotions this process has confirmed.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How far the cluster is understood.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The instance that writes go to: confirmed by its own word, and not in doubt.
    pub fn writer(&self) -> Option<&Instance> {
        match self.phase {
            Phase::Steady => self.instances.get(self.writer.as_ref()?).map(Arc::as_ref),
            Phase::Discovering | Phase::Reconfiguring => None,
        }
    }

    /// The instances that reads may go to, in the order of their names.
    pub fn readers(&self) -> impl Iterator<Item = &Instance> {
        self.instances().filter(|instance| instance.serves_reads())
    }

    /// All known instances, in the order of their names.
    pub fn instances(&self) -> impl ExactSizeIterator<Item = &Instance> {
        self.instances.values().map(Arc::as_ref)
    }

    /// The instance of that name.
    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.get(id).map(Arc::as_ref)
    }

    /// Since when there has been no writer; `None` while there is one, or before the first.
    pub(crate) fn without_writer_since(&self) -> Option<Instant> {
        self.writer_lost_at
    }

    /// How long ago the question was sent that brought the latest answer from anybody.
    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        let all = self.instances.values();
        let asked = all.filter_map(|known| known.last_answered);
        asked
            .max()
            .map(|asked| now.saturating_duration_since(asked))
    }

    /// Whether both pictures lead to the same routing, so that nobody needs to be told.
    pub(crate) fn routes_like(&self, other: &Self) -> bool {
        self.epoch == other.epoch
            && self.phase == other.phase
            && self.writer == other.writer
            && self.instances.len() == other.instances.len()
            && self.instances().zip(other.instances()).all(|(a, b)| {
                a.id == b.id
                    && a.role == b.role
                    && a.health == b.health
                    && a.lag == b.lag
                    && a.generation == b.generation
                    && a.listing == b.listing
            })
    }

    /// The instance for changing, made if it is not known yet.
    pub(super) fn entry(&mut self, id: &InstanceId) -> &mut Instance {
        Arc::make_mut(
            self.instances
                .entry(id.clone())
                .or_insert_with(|| Arc::new(Instance::new(id.clone()))),
        )
    }
}

impl Instance {
    fn new(id: InstanceId) -> Self {
        Self {
            id,
            role: Role::Unknown,
            health: Health::Unknown,
            lag: None,
            generation: Generation::default(),
            listing: Listing::Listed,
            last_asked: None,
            last_answered: None,
            void_before: None,
            reader_since_epoch: None,
            unaware_of_demotion: None,
            write_refused_at: None,
            timeouts: 0,
        }
    }

    /// The identifier.
    pub fn id(&self) -> &InstanceId {
        &self.id
    }

    /// What it is, by its own word.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it can be used.
    pub fn health(&self) -> Health {
        self.health
    }

    /// How far it is behind the writer, as the replica-status table last said; `None` where the
    /// table says nothing believable, and for the writer.
    pub fn lag(&self) -> Option<Duration> {
        self.lag
    }

    /// Which life of its connections this is.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// When the latest question was sent whose answer, or silence, has been taken in.
    pub(crate) fn last_asked(&self) -> Option<Instant> {
        self.last_asked
    }

    /// Whether an answer to a question sent then still counts.
    pub(super) fn believes_report(&self, asked_at: Instant) -> bool {
        Some(asked_at) >= self.last_asked.max(self.void_before)
    }

    /// Whether it counts that a question sent then was not answered.
    pub(super) fn believes_silence(&self, asked_at: Instant) -> bool {
        Some(asked_at) > self.last_asked && Some(asked_at) >= self.void_before
    }

    /// Whether reads may go there: a reader, up, and still a member of the cluster.
    pub fn serves_reads(&self) -> bool {
        self.role == Role::Reader && self.health == Health::Up && self.listing == Listing::Listed
    }
}

impl fmt::Display for Topology {
    /// One line: `epoch 2, steady: demo-instance-2 (writer), demo-instance-1 (reader, down)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Discovering => "discovering",
            Phase::Steady => "steady",
            Phase::Reconfiguring => "reconfiguring",
        };
        write!(f, "epoch {}, {phase}", self.epoch)?;
        if self.instances.is_empty() {
            return f.write_str(": no instance is known");
        }
        f.write_str(":")?;
        for (position, instance) in self.instances().enumerate() {
            let role = match instance.role {
                Role::Reader => "reader",
                Role::Unknown => "role unknown",
                Role::Writer => "writer",
            };
            let health = match instance.health {
                Health::Down => ", down",
                Health::Suspect => ", suspect",
                Health::Unknown => ", not asked",
                Health::Up => "",
            };
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma} {} ({role}{health})", instance.id)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
