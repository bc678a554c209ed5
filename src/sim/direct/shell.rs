//! Carries out what the world decides by changing plain values: no sockets, no files.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::id::InstanceId;
use crate::sim::cluster::{Clock, Names};
use crate::sim::front::Ending;
use crate::sim::host::StatusRow;
use crate::sim::world::{Command, Effect, Opening, Records, Refusal, World};

use super::DirectWrite;
use super::trace::Trace;

/// All of a running cluster that operations, connections and the clock's task share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) names: Names,
    pub(super) clock: Clock,
    /// Wakes the clock's task when the next event may have changed.
    changed: Notify,
    /// The promotion count.
    pub(super) epoch: watch::Sender<u64>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    world: World,
    machines: BTreeMap<InstanceId, Machine>,
    records: Records,
    random: fastrand::Rng,
    ledger: Vec<DirectWrite>,
    trace: Trace,
}

/// One instance, as the network reaches it.
#[derive(Debug)]
struct Machine {
    address: IpAddr,
    is_listening: bool,
    boot: Option<Boot>,
}

#[derive(Debug)]
struct Boot {
    opening: Opening,
    may_commit: bool,
    ending: watch::Sender<Option<Ending>>,
}

/// What somebody who knocks meets.
#[derive(Debug)]
pub(super) enum Knock {
    /// Nothing listens.
    Refused,
    /// Nobody answers, ever.
    Silent,
    /// The server takes no logins yet (57P03).
    Starting,
    In(Session),
}

/// One connection to one boot of one instance.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) instance: InstanceId,
    boot: u64,
    /// How the connection ended; its sender's end counts as a reset.
    pub(super) ending: watch::Receiver<Option<Ending>>,
}

/// What the storage says to changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    Applied,
    ReadOnly,
    /// The instance was the writer and is cut off: no answer comes.
    Fenced,
}

impl Shared {
    pub(super) fn new(names: Names, clock: Clock, world: World, seed: u64) -> Self {
        Self {
            names,
            clock,
            changed: Notify::new(),
            epoch: watch::Sender::new(0),
            inner: Mutex::new(Inner {
                world,
                machines: BTreeMap::new(),
                records: Records::default(),
                random: fastrand::Rng::with_seed(seed),
                ledger: Vec::new(),
                trace: Trace::default(),
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out an operation.
    pub(super) fn perform(&self, command: Command) -> Result<(), Refusal> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let effects = inner.world.handle(command, now)?;
        self.apply(&mut inner, effects, now);
        self.changed.notify_one();
        Ok(())
    }

    /// Lets everything happen that is due.
    pub(super) fn tick(&self) {
        let now = self.clock.now();
        let mut inner = self.inner();
        let effects = inner.world.advance(now);
        self.apply(&mut inner, effects, now);
    }

    /// Runs the world's clock for as long as it is polled.
    pub(super) async fn run_clock(&self) {
        loop {
            let next = self.inner().world.next_event();
            let next = next.and_then(|at| self.clock.instant(at));
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = due => {}
            }
            self.tick();
        }
    }

    fn apply(&self, inner: &mut Inner, effects: Vec<Effect>, now: Duration) {
        for effect in effects {
            inner.trace.note(now, format_args!("world: {effect:?}"));
            inner.carry_out(effect);
        }
        self.epoch.send_replace(inner.world.epoch());
    }

    pub(super) fn writer(&self) -> Option<InstanceId> {
        self.inner().world.writer().cloned()
    }

    pub(super) fn now_micros(&self) -> i64 {
        let age = i64::try_from(self.clock.now().as_micros()).unwrap_or(i64::MAX);
        self.clock.epoch_micros.saturating_add(age)
    }

    pub(super) fn note(&self, what: std::fmt::Arguments<'_>) {
        let now = self.clock.now();
        self.inner().trace.note(now, what);
    }

    pub(super) fn trace(&self) -> (String, u64) {
        let inner = self.inner();
        (inner.trace.text().to_owned(), inner.trace.hash())
    }

    pub(super) fn ledger(&self) -> Vec<DirectWrite> {
        self.inner().ledger.clone()
    }

    /// How long the next message is under way: 1 to 3 ms, as tokio's timers are no finer.
    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.inner().random.u64(1..=3))
    }

    /// The addresses behind a name; `None` where there is no such name.
    pub(super) fn resolve(&self, host: &str) -> Option<Vec<IpAddr>> {
        let inner = self.inner();
        let records = &inner.records;
        let named: Vec<&InstanceId> = if host == self.names.cluster_endpoint() {
            records.writer.iter().collect()
        } else if host == self.names.reader_endpoint() {
            let readers = records.readers.iter();
            if records.readers.is_empty() {
                records.writer.iter().collect()
            } else {
                readers.collect()
            }
        } else {
            let mut ids = records.instances.iter();
            vec![ids.find(|id| self.names.instance_endpoint(id) == host)?]
        };
        let machines = named.into_iter().filter_map(|id| inner.machines.get(id));
        Some(machines.map(|machine| machine.address).collect())
    }

    /// Connects to an address.
    pub(super) fn knock(&self, address: IpAddr) -> Knock {
        let inner = self.inner();
        let mut machines = inner.machines.values();
        let machine = machines.find(|machine| machine.address == address && machine.is_listening);
        let Some(boot) = machine.and_then(|machine| machine.boot.as_ref()) else {
            return Knock::Refused;
        };
        if *boot.ending.borrow() == Some(Ending::Silence) {
            return Knock::Silent;
        }
        if boot.opening.starting {
            return Knock::Starting;
        }
        Knock::In(Session {
            instance: boot.opening.instance.clone(),
            boot: boot.opening.boot,
            ending: boot.ending.subscribe(),
        })
    }

    /// Applies keys at once, or none of them.
    pub(super) fn commit(&self, session: &Session, keys: &[u64]) -> Commit {
        let at = self.clock.now();
        let mut inner = self.inner();
        let Some(boot) = inner.boot_of(session) else {
            return Commit::Fenced;
        };
        if boot.opening.role != crate::sim::Role::Writer {
            return Commit::ReadOnly;
        }
        if !boot.may_commit {
            return Commit::Fenced;
        }
        let epoch = boot.opening.epoch;
        for key in keys {
            let instance = session.instance.clone();
            let write = DirectWrite {
                key: *key,
                epoch,
                instance,
                at,
            };
            inner.ledger.push(write);
        }
        Commit::Applied
    }

    pub(super) fn has(&self, key: u64) -> bool {
        self.inner().ledger.iter().any(|write| write.key == key)
    }

    /// Whether the instance is the writer by its own word, and its copy of the table.
    pub(super) fn survey(&self, session: &Session) -> Option<(bool, Vec<StatusRow>)> {
        let now = self.clock.now();
        let inner = self.inner();
        let boot = inner.boot_of(session)?;
        let is_writer = boot.opening.role == crate::sim::Role::Writer;
        Some((is_writer, inner.world.view(&session.instance, now)))
    }
}

impl Inner {
    /// The boot that a session belongs to, while it runs.
    fn boot_of(&self, session: &Session) -> Option<&Boot> {
        let boot = self.machines.get(&session.instance)?.boot.as_ref()?;
        (boot.opening.boot == session.boot).then_some(boot)
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Added { instance } => {
                let number = u8::try_from(self.machines.len() + 1).unwrap_or(u8::MAX);
                self.machines.entry(instance).or_insert_with(|| Machine {
                    address: Ipv4Addr::new(127, 7, 0, number).into(),
                    is_listening: false,
                    boot: None,
                });
            }
            Effect::Fence { instance } => {
                if let Some(boot) = self.boot(&instance) {
                    boot.may_commit = false;
                }
            }
            Effect::Close { instance } | Effect::Gone { instance } => {
                if let Some(machine) = self.machines.get_mut(&instance) {
                    machine.is_listening = false;
                }
            }
            Effect::End { instance, ending } => self.end(&instance, ending),
            Effect::Open(opening) => self.open(opening),
            Effect::Dns(records) => self.records = records,
            // No operation of a direct cluster renames, and reads see all that was applied, on
            // any instance.
            Effect::Promoted { .. }
            | Effect::Renamed { .. }
            | Effect::Replication { .. }
            | Effect::Event(_) => {}
        }
    }

    fn boot(&mut self, instance: &InstanceId) -> Option<&mut Boot> {
        self.machines.get_mut(instance)?.boot.as_mut()
    }

    fn end(&mut self, instance: &InstanceId, ending: Ending) {
        let Some(machine) = self.machines.get_mut(instance) else {
            return;
        };
        if let Some(boot) = &machine.boot {
            boot.ending.send_replace(Some(ending));
        }
        // In silence its connections wait for another ending.
        if ending != Ending::Silence {
            machine.boot = None;
        }
    }

    fn open(&mut self, opening: Opening) {
        if let Some(machine) = self.machines.get_mut(&opening.instance) {
            machine.is_listening = true;
            machine.boot = Some(Boot {
                may_commit: opening.may_commit,
                opening,
                ending: watch::Sender::new(None),
            });
        }
    }
}
