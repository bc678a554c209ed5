//! What stands for the instances in the real world: their sockets, boots and counters.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use socket2::Socket;
use tokio::sync::watch;

use crate::id::InstanceId;
use crate::sim::fault::{Gate, Limits};
use crate::sim::front::{Door, Ending, Sessions};
use crate::sim::world::{ClusterEvent, Opening};

use super::address::Addresses;
use super::boot::{Boot, Tally};
use super::listener::{BlackHole, Listener};
use super::state::{Counters, Promotion};

/// How many events are kept.
const EVENTS_MAX: usize = 10_000;

/// What stands for the instances in the real world.
pub(super) struct Machines {
    pub(super) addresses: Addresses,
    /// Sockets bound ahead of the start.
    pub(super) reserved: BTreeMap<Ipv4Addr, Socket>,
    pub(super) instances: BTreeMap<InstanceId, Machine>,
    pub(super) events: VecDeque<ClusterEvent>,
    pub(super) last_promotion: Option<Promotion>,
    /// The writer, and the one before it.
    writers: (Option<InstanceId>, Option<InstanceId>),
    /// Boots whose port was not free: not lost, tried again.
    pub(super) unopened: Vec<Opening>,
    /// What each instance allows its clients.
    limits: Limits,
    /// Changes whenever an instance has one connection more or less.
    pub(super) connections: watch::Sender<()>,
}

/// One instance, over all its boots; kept when it is gone, for its counters.
pub(super) struct Machine {
    pub(super) gate: Arc<Gate>,
    pub(super) tally: Arc<Tally>,
    pub(super) listener: Option<Listener>,
    pub(super) boot: Option<Running>,
    /// What the boot's connections are served with, also while the port refuses.
    pub(super) door: Option<Door>,
    /// What stands in for the listener of a silent host.
    pub(super) black_hole: Option<BlackHole>,
}

/// The boot that an instance's connections belong to.
pub(super) struct Running {
    pub(super) boot: Arc<Boot>,
    pub(super) ending: watch::Sender<Option<Ending>>,
    pub(super) sessions: Arc<Sessions>,
}

impl Machines {
    pub(super) fn new(
        addresses: Addresses,
        reserved: BTreeMap<Ipv4Addr, Socket>,
        limits: Limits,
    ) -> Self {
        Self {
            addresses,
            reserved,
            instances: BTreeMap::new(),
            events: VecDeque::new(),
            last_promotion: None,
            writers: (None, None),
            unopened: Vec::new(),
            limits,
            connections: watch::Sender::new(()),
        }
    }

    /// What stands for an instance, new if there is nothing yet.
    pub(super) fn machine(&mut self, id: &InstanceId) -> &mut Machine {
        self.instances.entry(id.clone()).or_insert_with(|| Machine {
            gate: Arc::new(Gate::new(self.limits.clone(), self.connections.clone())),
            tally: Arc::default(),
            listener: None,
            boot: None,
            door: None,
            black_hole: None,
        })
    }

    /// A writer accepts connections.
    pub(super) fn note_writer(&mut self, id: &InstanceId) {
        if self.writers.0.as_ref() != Some(id) {
            self.writers = (Some(id.clone()), self.writers.0.take());
        }
    }

    /// The writer before the last promotion.
    pub(super) fn former_writer(&self) -> Option<&InstanceId> {
        self.writers.1.as_ref()
    }

    pub(super) fn running(&self, id: &InstanceId) -> Option<&Running> {
        self.instances.get(id)?.boot.as_ref()
    }

    pub(super) fn close(&mut self, id: &InstanceId) {
        self.unopened.retain(|opening| opening.instance != *id);
        if let Some(machine) = self.instances.get_mut(id) {
            machine.listener = None;
            machine.door = None;
        }
    }

    /// The instance keeps its address and its counters.
    pub(super) fn rename(&mut self, from: &InstanceId, to: &InstanceId) {
        self.addresses.rename(from, to);
        if let Some(machine) = self.instances.remove(from) {
            self.instances.insert(to.clone(), machine);
        }
        for writer in [&mut self.writers.0, &mut self.writers.1] {
            if writer.as_ref() == Some(from) {
                *writer = Some(to.clone());
            }
        }
    }

    pub(super) fn end(&mut self, id: &InstanceId, ending: Ending) {
        let Some(machine) = self.instances.get_mut(id) else {
            return;
        };
        if ending == Ending::Silence {
            // Its connections, and those that are still accepted, wait for another ending.
            if let Some(running) = &machine.boot {
                running.ending.send_replace(Some(ending));
            }
        } else if let Some(running) = machine.boot.take() {
            running.ending.send_replace(Some(ending));
        }
    }

    pub(super) fn note(&mut self, event: ClusterEvent) {
        tracing::debug!(id = event.id, instance = %event.instance, message = event.message, "simulated cluster event");
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(super) fn counters(&self, id: &InstanceId) -> Option<Counters> {
        let machine = self.instances.get(id)?;
        let open = machine
            .boot
            .as_ref()
            .map_or(0, |running| running.sessions.len());
        Some(machine.tally.counters(open))
    }
}
