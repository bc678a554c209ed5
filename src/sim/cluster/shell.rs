//! Carries out what the world decides: sockets, DNS, connections, time.
//!
//! One task waits for the world's next event. Operations and that task take the same lock,
//! ask the world, and carry out its effects in order before they let go, so an operation has
//! happened when its method returns.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};

use crate::id::{EngineKind, InstanceId};
use crate::sim::dns::SharedZone;
use crate::sim::fault::Faults;
use crate::sim::front::{Door, Users};
use crate::sim::host::{Host, Order};
use crate::sim::volume::Volume;
use crate::sim::world::{Command, Effect, InstanceState, Opening, Records, Refusal, Role, World};

use super::boot::{Boot, Clock};
use super::listener::{self, Listener, Serving};
use super::machines::{Machines, Running};
use super::names::Names;
use super::state::{ClusterState, InstanceStatus, Promotion};
use super::tls::Identity;

/// How soon a listener that could not be opened is tried again.
const LISTEN_RETRY_DELAY: Duration = Duration::from_millis(20);

/// All of a running cluster that operations, sessions and the clock's task share.
pub(super) struct Shared {
    pub(super) engine: EngineKind,
    pub(super) names: Names,
    pub(super) port: u16,
    pub(super) clock: Clock,
    pub(super) volume: Arc<Volume>,
    pub(super) users: Arc<Users>,
    pub(super) identity: Option<Identity>,
    pub(super) tls_required: bool,
    pub(super) zone: SharedZone,
    pub(super) serving: Serving,
    pub(super) runtime: Handle,
    /// Wakes the clock's task when the next event may have changed.
    pub(super) changed: Notify,
    pub(super) state: watch::Sender<ClusterState>,
    pub(super) world: Arc<Mutex<World>>,
    pub(super) machines: Mutex<Machines>,
    pub(super) faults: Arc<Faults>,
    /// What sessions ask for.
    pub(super) orders: mpsc::Sender<(InstanceId, Order)>,
}

/// Who came and who went.
pub(super) struct Members {
    pub(super) added: Vec<InstanceId>,
    pub(super) deleted: Vec<InstanceId>,
}

fn members(world: &World) -> BTreeSet<InstanceId> {
    world
        .instances()
        .filter(|(_, _, state)| *state != InstanceState::Draining)
        .map(|(id, ..)| id.clone())
        .collect()
}

impl Shared {
    pub(super) fn machines(&self) -> MutexGuard<'_, Machines> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out an operation.
    pub(super) fn perform(&self, command: Command) -> Result<(), Refusal> {
        let mut machines = self.machines();
        let effects = self.world().handle(command, self.clock.now())?;
        // A promotion tier changes with nothing to carry out, and shows in the state all the same.
        if effects.is_empty() {
            self.state.send_replace(self.snapshot(&machines));
        }
        self.apply(&mut machines, effects);
        self.changed.notify_one();
        Ok(())
    }

    /// Adds a reader and tells its name.
    pub(super) fn add_reader(&self) -> Result<InstanceId, Refusal> {
        let mut machines = self.machines();
        let effects = self.world().handle(Command::AddReader, self.clock.now())?;
        let added = effects.iter().rev().find_map(|effect| match effect {
            Effect::Added { instance } => Some(instance.clone()),
            _ => None,
        });
        self.apply(&mut machines, effects);
        self.changed.notify_one();
        added.ok_or(Refusal::TooManyReaders)
    }

    /// Carries out an operation that adds or deletes instances, and tells which.
    pub(super) fn perform_on_members(&self, command: Command) -> Result<Members, Refusal> {
        let mut machines = self.machines();
        let mut world = self.world();
        let before = members(&world);
        let effects = world.handle(command, self.clock.now())?;
        let after = members(&world);
        drop(world);
        self.apply(&mut machines, effects);
        self.changed.notify_one();
        Ok(Members {
            added: after.difference(&before).cloned().collect(),
            deleted: before.difference(&after).cloned().collect(),
        })
    }

    /// Lets everything happen that is due.
    pub(super) fn tick(&self) {
        let mut machines = self.machines();
        for opening in std::mem::take(&mut machines.unopened) {
            self.open(&mut machines, opening);
        }
        let effects = self.world().advance(self.clock.now());
        self.apply(&mut machines, effects);
    }

    fn next_event(&self) -> Option<Duration> {
        let machines = self.machines();
        if machines.unopened.is_empty() {
            self.world().next_event()
        } else {
            Some(self.clock.now() + LISTEN_RETRY_DELAY)
        }
    }

    /// Runs the world's clock until the cluster is stopped.
    pub(super) async fn run_clock(self: Arc<Self>) {
        loop {
            let next = self.next_event().and_then(|at| self.clock.instant(at));
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.serving.stopped.cancelled() => return,
                () = self.changed.notified() => {}
                () = due => {}
            }
            self.tick();
        }
    }

    /// Carries out effects in their order. Nothing here waits.
    pub(super) fn apply(&self, machines: &mut Machines, effects: Vec<Effect>) {
        if effects.is_empty() || self.serving.stopped.is_cancelled() {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Added { instance } => {
                    machines.addresses.give(&instance);
                    machines.machine(&instance);
                }
                Effect::Renamed { from, to } => machines.rename(&from, &to),
                Effect::Fence { instance } => {
                    if let Some(running) = machines.running(&instance) {
                        running.boot.fence();
                    }
                }
                Effect::Close { instance } => machines.close(&instance),
                Effect::End { instance, ending } => machines.end(&instance, ending),
                Effect::Open(opening) => self.open(machines, opening),
                Effect::Promoted {
                    instance,
                    epoch,
                    fault_at,
                } => {
                    machines.last_promotion = Some(Promotion {
                        instance,
                        epoch,
                        fault_at,
                        accepting_at: self.clock.now(),
                    });
                }
                Effect::Gone { instance } => {
                    machines.close(&instance);
                    machines.machine(&instance).black_hole = None;
                }
                Effect::Replication {
                    instance,
                    lag,
                    paused,
                } => self.set_replication(&instance, lag, paused),
                Effect::Dns(records) => self.update_zone(machines, &records),
                Effect::Event(event) => machines.note(event),
            }
        }
        self.state.send_replace(self.snapshot(machines));
    }

    fn open(&self, machines: &mut Machines, opening: Opening) {
        let id = opening.instance.clone();
        let address = machines.addresses.give(&id);
        if opening.role == Role::Writer && !opening.starting {
            machines.note_writer(&id);
        }
        let machine = machines.machine(&id);
        let gate = Arc::clone(&machine.gate);
        let tally = Arc::clone(&machine.tally);
        let boot = Arc::new(Boot {
            engine: self.engine,
            address: SocketAddr::from((address, self.port)),
            clock: self.clock,
            world: Arc::clone(&self.world),
            tally,
            orders: self.orders.clone(),
            commit_right: AtomicBool::new(opening.may_commit),
            opening: opening.clone(),
        });
        // A boot that goes from starting to up is the same boot: its connections end together.
        let (ending, sessions) = machines
            .instances
            .get_mut(&id)
            .and_then(|machine| machine.boot.take())
            .filter(|running| running.boot.opening.boot == opening.boot)
            .map_or_else(
                || (watch::Sender::new(None), Arc::default()),
                |running| (running.ending, running.sessions),
            );
        let door = Door {
            host: Arc::clone(&boot) as Arc<dyn Host>,
            volume: Arc::clone(&self.volume),
            users: Arc::clone(&self.users),
            tls: self.identity.as_ref().map(|it| it.acceptor.clone()),
            tls_required: self.tls_required,
            starting: opening.starting,
            ending: ending.subscribe(),
            sessions: Arc::clone(&sessions),
            gate,
            faults: Arc::clone(&self.faults),
        };
        let running = Running {
            boot,
            ending,
            sessions,
        };
        let machine = machines.machine(&id);
        machine.boot = Some(running);
        machine.door = Some(door.clone());
        if let Some(listener) = &machine.listener {
            // It was starting: the socket stays, what is behind it changes.
            listener.replace_door(door);
            return;
        }
        if machine.gate.state().has_no_listener() {
            return;
        }
        match self.listen(machines, address, door) {
            Ok(listener) => {
                if let Some(machine) = machines.instances.get_mut(&id) {
                    machine.listener = Some(listener);
                }
            }
            Err(error) => {
                tracing::warn!(%error, %id, %address, port = self.port, "a simulated instance cannot listen");
                machines.unopened.push(opening);
            }
        }
    }

    pub(super) fn listen(
        &self,
        machines: &mut Machines,
        address: Ipv4Addr,
        door: Door,
    ) -> std::io::Result<Listener> {
        let socket = match machines.reserved.remove(&address) {
            Some(socket) => socket,
            None => listener::bind(SocketAddr::from((address, self.port)))?,
        };
        let _runtime = self.runtime.enter();
        Listener::open(socket, door, self.serving.clone())
    }

    fn update_zone(&self, machines: &Machines, records: &Records) {
        let mut zone = self.zone.write();
        let address = |id: &InstanceId| machines.addresses.of(id);
        if let Err(error) = zone.update(records, address) {
            tracing::error!(%error, "the simulated DNS records could not be changed");
        }
    }

    pub(super) fn snapshot(&self, machines: &Machines) -> ClusterState {
        let now = self.clock.now();
        let world = self.world();
        ClusterState {
            epoch: world.epoch(),
            writer: world.writer().cloned(),
            failing_over: world.is_failing_over(),
            instances: world
                .instances()
                .filter_map(|(id, role, state)| {
                    let gate = &machines.instances.get(id)?.gate;
                    Some(InstanceStatus {
                        id: id.clone(),
                        role,
                        state,
                        tier: world.tier(id)?,
                        address: machines.addresses.of(id)?,
                        listener: gate.state(),
                        connections: gate.open(),
                        lag: world.lag_of(id, now),
                    })
                })
                .collect(),
        }
    }

    /// Refuses everything from now on; the connections end with their tasks.
    pub(super) fn shut_down(&self) {
        self.serving.stopped.cancel();
        self.serving.tasks.close();
        let mut machines = self.machines();
        machines.reserved.clear();
        for machine in machines.instances.values_mut() {
            machine.listener = None;
            machine.door = None;
            machine.black_hole = None;
            if let Some(running) = &machine.boot {
                running.boot.fence();
            }
        }
    }
}
