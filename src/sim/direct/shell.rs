//! Carries out what the world decides by changing plain values: no sockets, no files.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::id::{EngineKind, InstanceId};
use crate::sim::cluster::{Clock, InstanceStatus, Names, SimError};
use crate::sim::dns::DnsFault;
use crate::sim::fault::{Faults, Limits, ListenerState};
use crate::sim::front::Ending;
use crate::sim::host::StatusRow;
use crate::sim::world::{Command, Effect, InstanceState, Opening, Records, Refusal, Role, World};

use super::fate::Fate;
use super::ledger::{DirectWrite, Ledger};
use super::machine::{Boot, Machine, Session};
use super::trace::Trace;
use super::traffic::Traffic;

/// All of a running cluster that operations, connections and the clock's task share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) engine: EngineKind,
    pub(super) names: Names,
    pub(super) clock: Clock,
    pub(super) faults: Arc<Faults>,
    pub(super) traffic: Arc<Traffic>,
    /// Wakes the clock's task when the next event may have changed.
    changed: Notify,
    /// The promotion count.
    pub(super) epoch: watch::Sender<u64>,
    /// How often a connection gave the answer of an earlier call to a later one.
    crossed: AtomicU64,
    inner: Mutex<Inner>,
}

/// What may change.
#[derive(Debug)]
pub(super) struct Inner {
    world: World,
    pub(super) machines: BTreeMap<InstanceId, Machine>,
    limits: Limits,
    records: Records,
    dns: Option<DnsFault>,
    random: fastrand::Rng,
    ledger: Ledger,
    /// Since when there is no writer, and the times in which there was none.
    writerless: (Option<Duration>, Vec<Outage>),
    promotions: Vec<Promotion>,
    fenced_writer_answers: bool,
    trace: Trace,
}

/// A time in which no instance took writes: from, until.
pub(super) type Outage = (Duration, Duration);

/// When an instance became the writer, and which.
pub(super) type Promotion = (Duration, InstanceId);

/// What a cluster is made from, besides its world.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) engine: EngineKind,
    pub(super) names: Names,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    pub(super) fenced_writer_answers: bool,
    pub(super) trace: Trace,
    pub(super) seed: u64,
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
    pub(super) fn new(world: World, parts: Parts) -> Self {
        Self {
            engine: parts.engine,
            names: parts.names,
            clock: parts.clock,
            faults: Arc::new(Faults::seeded(parts.seed)),
            traffic: Arc::default(),
            changed: Notify::new(),
            epoch: watch::Sender::new(0),
            crossed: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                world,
                machines: BTreeMap::new(),
                limits: parts.limits,
                records: Records::default(),
                dns: None,
                random: fastrand::Rng::with_seed(parts.seed),
                ledger: Ledger::default(),
                writerless: (None, Vec::new()),
                promotions: Vec::new(),
                fenced_writer_answers: parts.fenced_writer_answers,
                trace: parts.trace,
            }),
        }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
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
            inner.carry_out(effect, now);
        }
        inner.watch_for_writer(now);
        let epoch = inner.world.epoch();
        self.epoch
            .send_if_modified(|known| std::mem::replace(known, epoch) != epoch);
    }

    /// Sets what an instance does with connections, as
    /// [`SimCluster::set_listener`](crate::sim::SimCluster::set_listener).
    pub(super) fn set_listener(
        &self,
        id: &InstanceId,
        state: ListenerState,
    ) -> Result<(), SimError> {
        let gate = match self.inner().machines.get(id) {
            Some(machine) => Arc::clone(&machine.gate),
            None => return Err(Refusal::Unknown(id.clone()).into()),
        };
        match (gate.state(), state) {
            (ListenerState::Silent, ListenerState::Silent) => return Ok(()),
            (before, ListenerState::Silent) => {
                // Set first: a fenced writer is told from one that is cut off by it.
                gate.set(state);
                if let Err(refusal) = self.perform(Command::Silence(id.clone())) {
                    gate.set(before);
                    return Err(refusal.into());
                }
            }
            (ListenerState::Silent, _) => {
                self.perform(Command::EndSilence(id.clone()))?;
                // The host knows nothing of the connections it had.
                self.inner().end(id, Ending::Reset);
            }
            _ => {}
        }
        gate.set(state);
        self.note(format_args!("{id}: listener: {state}"));
        Ok(())
    }

    pub(super) fn set_dns(&self, fault: Option<DnsFault>) {
        self.note(format_args!("dns: {fault:?}"));
        self.inner().dns = fault;
    }

    /// What the DNS gets wrong now.
    pub(super) fn dns(&self) -> Option<DnsFault> {
        self.inner().dns.clone()
    }

    pub(super) fn writer(&self) -> Option<InstanceId> {
        self.inner().world.writer().cloned()
    }

    pub(super) fn instances(&self) -> Vec<InstanceStatus> {
        let now = self.clock.now();
        let inner = self.inner();
        let known = inner.world.instances().filter_map(|(id, role, state)| {
            let machine = inner.machines.get(id)?;
            Some(InstanceStatus {
                id: id.clone(),
                role,
                state,
                tier: inner.world.tier(id).unwrap_or_default(),
                address: machine.address,
                listener: machine.gate.state(),
                connections: machine.gate.open(),
                lag: inner.world.lag_of(id, now),
            })
        });
        known.collect()
    }

    /// Whether there is a writer that nobody is about to replace, and every instance is up.
    pub(super) fn is_settled(&self) -> bool {
        let inner = self.inner();
        let mut instances = inner.world.instances();
        let all_up = instances.all(|(_, _, state)| state == InstanceState::Up);
        all_up && inner.world.writer().is_some() && !inner.world.is_failing_over()
    }

    pub(super) fn promotions(&self) -> Vec<Promotion> {
        self.inner().promotions.clone()
    }

    pub(super) fn outages(&self) -> Vec<Outage> {
        self.inner().writerless.1.clone()
    }

    pub(super) fn now_micros(&self) -> i64 {
        let age = i64::try_from(self.clock.now().as_micros()).unwrap_or(i64::MAX);
        self.clock.epoch_micros.saturating_add(age)
    }

    pub(super) fn note(&self, what: std::fmt::Arguments<'_>) {
        let mut inner = self.inner();
        if !inner.trace.is_off() {
            inner.trace.note(self.clock.now(), what);
        }
    }

    pub(super) fn trace(&self) -> (String, u64) {
        let inner = self.inner();
        (inner.trace.text().to_owned(), inner.trace.hash())
    }

    pub(super) fn ledger(&self) -> Vec<DirectWrite> {
        self.inner().ledger.writes().to_vec()
    }

    pub(super) fn answers_crossed(&self) -> u64 {
        self.crossed.load(Ordering::Relaxed)
    }

    pub(super) fn cross(&self) {
        self.crossed.fetch_add(1, Ordering::Relaxed);
    }

    /// How long the next message is under way: 1 to 3 ms, as tokio's timers are no finer.
    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.inner().random.u64(1..=3))
    }

    /// A coin that the seed tosses.
    pub(super) fn toss(&self) -> bool {
        self.inner().random.bool()
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
        Some(machines.map(|machine| machine.address.into()).collect())
    }

    /// Applies keys at once, or none of them.
    pub(super) fn commit(&self, session: &Session, keys: &[u64]) -> Commit {
        let at = self.clock.now();
        let mut inner = self.inner();
        let Some(boot) = inner.boot_of(session) else {
            return Commit::Fenced;
        };
        if boot.opening.role != Role::Writer {
            return Commit::ReadOnly;
        }
        if !boot.may_commit {
            return Commit::Fenced;
        }
        let epoch = boot.opening.epoch;
        for key in keys {
            inner.ledger.push(DirectWrite {
                key: *key,
                epoch,
                instance: session.instance.clone(),
                at,
            });
        }
        Commit::Applied
    }

    /// Whether the instance shows a row with this key.
    pub(super) fn has(&self, session: &Session, key: u64) -> bool {
        let inner = self.inner();
        let then = self.shown_by(&inner, session);
        inner.ledger.written_at(key).is_some_and(|at| at <= then)
    }

    /// How many rows the instance shows.
    pub(super) fn count(&self, session: &Session) -> usize {
        let inner = self.inner();
        inner.ledger.count(self.shown_by(&inner, session))
    }

    /// The moment whose state the instance shows.
    fn shown_by(&self, inner: &Inner, session: &Session) -> Duration {
        let now = self.clock.now();
        now.saturating_sub(inner.world.lag_of(&session.instance, now))
    }

    pub(super) fn is_writer(&self, session: &Session) -> bool {
        let inner = self.inner();
        let boot = inner.boot_of(session);
        boot.is_some_and(|boot| boot.opening.role == Role::Writer)
    }

    /// Whether the instance is the writer by its own word, and its copy of the table.
    pub(super) fn survey(&self, session: &Session) -> Option<(bool, Vec<StatusRow>)> {
        let now = self.clock.now();
        let inner = self.inner();
        let boot = inner.boot_of(session)?;
        let is_writer = boot.opening.role == Role::Writer;
        Some((is_writer, inner.world.view(&session.instance, now)))
    }
}

impl Inner {
    /// The boot that a session belongs to, while it runs.
    fn boot_of(&self, session: &Session) -> Option<&Boot> {
        let boot = self.machines.get(&session.instance)?.boot.as_ref()?;
        (boot.opening.boot == session.boot).then_some(boot)
    }

    fn watch_for_writer(&mut self, now: Duration) {
        let (since, outages) = &mut self.writerless;
        if self.world.writer().is_none() {
            since.get_or_insert(now);
        } else if let Some(since) = since.take() {
            outages.push((since, now));
        }
    }

    fn carry_out(&mut self, effect: Effect, now: Duration) {
        match effect {
            Effect::Added { instance } => {
                let number = u8::try_from(self.machines.len() + 1).unwrap_or(u8::MAX);
                let limits = self.limits.clone();
                let machine = self.machines.entry(instance);
                machine.or_insert_with(|| Machine::new(number, limits));
            }
            Effect::Fence { instance } => {
                let machine = self.machines.get_mut(&instance);
                if let Some(boot) = machine.and_then(|machine| machine.boot.as_mut()) {
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
            // No operation of a direct cluster renames; what an instance shows is asked of the
            // world at each read.
            Effect::Promoted { instance, .. } => self.promotions.push((now, instance)),
            Effect::Renamed { .. } | Effect::Replication { .. } | Effect::Event(_) => {}
        }
    }

    fn end(&mut self, instance: &InstanceId, ending: Ending) {
        let Some(machine) = self.machines.get_mut(instance) else {
            return;
        };
        let is_cut_off = machine.gate.state() == ListenerState::Silent;
        if ending == Ending::Silence && self.fenced_writer_answers && !is_cut_off {
            return;
        }
        if let Some(boot) = &machine.boot {
            boot.fate.end(ending);
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
                fate: Fate::default(),
            });
        }
    }
}
