//! The simulated cluster as a pure state machine: no sockets, no clock, no tasks.
//!
//! The world is told what happens ([`World::handle`]) and how late it is ([`World::advance`]);
//! it answers with [`Effect`]s for the shell (`sim::cluster`) to carry out. All times are counted
//! from the start of the cluster, all randomness comes from its seed: the same seed and the same
//! commands at the same times give the same effects.
//!
//! ```text
//!               crash, restart, promotion
//!        ┌──────────────────────────────────────┐
//!        ▼                                      │
//!    Refusing ──▶ Starting (PostgreSQL) ──▶ Up ─┤
//!        └────────────────────────────────▶     │ removal
//!                                               ▼
//!                                   Draining ──▶ gone
//! ```
//!
//! | file | idea |
//! |---|---|
//! | `timeline` | how long each phase takes |
//! | `instance` | an instance's role and state |
//! | `effect` | what goes in and what comes out |
//! | `queue` | what is going to happen |
//! | `failover` | from a fault of the writer to the next writer |
//! | `lifecycle` | an instance's boots: how they end, and how the next one begins |
//! | `membership` | instances that come and go |
//! | `rename`, `upgrade` | an instance under another name, all with another version |
//! | `replication` | how far readers are behind |
//! | `table`, `views` | the replica-status table, and what each instance believes of it |
//! | `answer`, `anomaly` | what an instance answers, and what it gets wrong on top of that |

mod anomaly;
mod answer;
mod effect;
mod failover;
mod instance;
mod lifecycle;
mod membership;
mod queue;
mod rename;
mod replication;
mod silence;
mod table;
mod timeline;
mod upgrade;
mod views;

#[cfg(test)]
mod tests;

pub use anomaly::ViewAnomaly;
pub use effect::ClusterEvent;
pub(crate) use effect::{Command, Effect, Opening, Records, Refusal};
pub(crate) use instance::Placement;
pub use instance::{InstanceState, Role};
pub(crate) use lifecycle::{DEFAULT_TIER, TIER_MAX};
pub(crate) use membership::READERS_MAX;
pub use timeline::{Timeline, ViewOptions};

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{EngineKind, InstanceId};

use failover::Failover;
use instance::{Instance, View};
use queue::{Due, Queue};
use table::{History, Row, Table};

/// What a world is made from.
#[derive(Debug)]
pub(crate) struct WorldOptions {
    pub(crate) engine: EngineKind,
    pub(crate) timeline: Timeline,
    pub(crate) seed: u64,
    /// The name before `-instance-N` of readers added later.
    pub(crate) cluster_id: String,
    /// The wall-clock time of the start, in microseconds since the Unix epoch.
    pub(crate) epoch_micros: i64,
    /// The instances; the first is the writer.
    pub(crate) placements: Vec<Placement>,
}

/// The state of a simulated cluster.
#[derive(Debug)]
pub(crate) struct World {
    engine: EngineKind,
    timeline: Timeline,
    random: fastrand::Rng,
    cluster_id: String,
    epoch_micros: i64,
    instances: BTreeMap<InstanceId, Instance>,
    /// How many instances there have ever been; the next one's number.
    numbered: usize,
    queue: Queue,
    /// The promotion count.
    epoch: u64,
    /// The one boot whose commits the storage takes.
    commit_right: Option<(InstanceId, u64)>,
    /// The instance that last held the commit right.
    last_writer: Option<InstanceId>,
    /// A writer's outage, from the fault until a writer accepts again.
    failover: Option<Failover>,
    failovers: u64,
    history: History,
    /// The rows of deleted instances.
    lingering: BTreeMap<InstanceId, Row>,
    /// Until then surviving readers list no writer.
    writerless_until: Duration,
    /// The engine version of the next boots, if the cluster was ever upgraded.
    version: Option<std::sync::Arc<str>>,
    upgrading: bool,
    records: Records,
    effects: Vec<Effect>,
}

impl World {
    /// A healthy cluster, all of whose instances come up at once.
    pub(crate) fn new(options: WorldOptions) -> Self {
        let mut world = Self {
            engine: options.engine,
            timeline: options.timeline,
            random: fastrand::Rng::with_seed(options.seed),
            cluster_id: options.cluster_id,
            epoch_micros: options.epoch_micros,
            instances: BTreeMap::new(),
            numbered: options.placements.len(),
            queue: Queue::default(),
            epoch: 0,
            commit_right: None,
            last_writer: None,
            failover: None,
            failovers: 0,
            history: History::default(),
            lingering: BTreeMap::new(),
            writerless_until: Duration::ZERO,
            version: None,
            upgrading: false,
            records: Records::default(),
            effects: Vec::new(),
        };
        let mut table = Table::default();
        for (index, placement) in options.placements.into_iter().enumerate() {
            let role = if index == 0 {
                Role::Writer
            } else {
                Role::Reader
            };
            world.place(placement, role, &mut table);
        }
        world.history.push(Duration::ZERO, table);
        world.effects.push(Effect::Dns(world.records.clone()));
        world
    }

    fn place(&mut self, placement: Placement, role: Role, table: &mut Table) {
        let Placement { id, tier } = placement;
        self.effects.push(Effect::Added {
            instance: id.clone(),
        });
        let mut instance = self.instance(tier, role);
        instance.state = InstanceState::Up;
        match role {
            Role::Writer => {
                self.commit_right = Some((id.clone(), instance.boot));
                self.last_writer = Some(id.clone());
                self.records.writer = Some(id.clone());
                table.rows.insert(id.clone(), Row::writer(Duration::ZERO));
            }
            Role::Reader => {
                self.records.readers.push(id.clone());
                table
                    .rows
                    .insert(id.clone(), reader_row(&instance, Duration::ZERO));
            }
        }
        self.records.instances.insert(id.clone());
        self.records.healthy.insert(id.clone());
        self.instances.insert(id.clone(), instance);
        self.open(&id, false);
    }

    /// A new instance that is still down.
    fn instance(&mut self, tier: u8, role: Role) -> Instance {
        let typical = self.timeline.replica_lag.as_secs_f64() * 1000.0;
        Instance {
            tier,
            role,
            state: InstanceState::Refusing,
            boot: 1,
            session: self.uuid(),
            lag_millis: typical * (0.5 + self.random.f64()),
            following: replication::Following::default(),
            view: View::Following,
            demoted: false,
            silent: false,
            boot_put_off: false,
            waits_for_writer: false,
            autoscaled: false,
            version: self.version.clone(),
            anomalies: Vec::new(),
            claim: None,
            propagation: self.propagation(),
        }
    }

    /// Carries out a command at `now`, after all that was due before it.
    ///
    /// A refused command changes nothing.
    pub(crate) fn handle(
        &mut self,
        command: Command,
        now: Duration,
    ) -> Result<Vec<Effect>, Refusal> {
        self.catch_up(now);
        match command {
            Command::Crash(id) => self.crash(&id, now)?,
            Command::CrashInPlace(id) => self.crash_in_place(&id, now)?,
            Command::Failover(target) => self.request_failover(target, now)?,
            Command::Restart(id) => self.restart(&id, now)?,
            Command::Silence(id) => self.silence(&id, now)?,
            Command::EndSilence(id) => self.end_silence(&id, now)?,
            Command::AddReader => self.add_reader(now)?,
            Command::Remove(id) => self.remove(&id, now)?,
            Command::SetLag { instance, lag } => self.set_lag(&instance, lag, now)?,
            Command::PauseReplication(id) => self.pause_replication(&id, now)?,
            Command::Backtrack { to } => self.backtrack(to, now)?,
            Command::ResumeReplication(id) => self.resume_replication(&id, now)?,
            Command::SetDnsFlip(delay) => self.timeline.dns_flip = delay,
            Command::SetTier(id, tier) => self.set_tier(id, tier)?,
            Command::Rename { old, new } => self.rename(&old, &new, now)?,
            Command::ScaleOut(count) => self.scale_out(count, now)?,
            Command::ScaleIn(count) => self.scale_in(count, now)?,
            Command::Upgrade(version) => self.upgrade(&version, now)?,
            Command::SetView(id, anomaly) => self.set_view(&id, anomaly, now)?,
            Command::ClearView(id) => self.clear_view(&id)?,
        }
        Ok(std::mem::take(&mut self.effects))
    }

    /// When [`advance`](Self::advance) is to be called next.
    pub(crate) fn next_event(&self) -> Option<Duration> {
        if self.effects.is_empty() {
            self.queue.next_at()
        } else {
            Some(Duration::ZERO)
        }
    }

    /// Lets everything happen that is due by `now`.
    pub(crate) fn advance(&mut self, now: Duration) -> Vec<Effect> {
        self.catch_up(now);
        std::mem::take(&mut self.effects)
    }

    /// Events happen at the times they were due, however late the caller is.
    fn catch_up(&mut self, now: Duration) {
        while let Some((at, due)) = self.queue.pop(now) {
            self.happen(due, at);
        }
    }

    fn happen(&mut self, due: Due, now: Duration) {
        match due {
            Due::Detected(failover) => self.detected(failover, now),
            Due::CutOver(failover) => self.cut_over(failover, now),
            Due::Completed(failover) => self.completed(failover, now),
            Due::FormerRows(rows) => self.former_rows(rows, now),
            Due::OldWriterRowGone(rows) => self.old_writer_row_gone(rows, now),
            Due::HoldOver { instance, boot } => self.hold_over(&instance, boot, now),
            Due::Starting { instance, boot } => self.starting(&instance, boot),
            Due::Up { instance, boot } => self.up(&instance, boot, now),
            Due::Listed { instance, boot } => self.listed(&instance, boot, now),
            Due::CaughtUp { instance, boot } => self.caught_up(&instance, boot),
            Due::DrainOver { instance, boot } => self.drain_over(&instance, boot, now),
            Due::RowForgotten { instance } => self.row_forgotten(&instance, now),
            Due::TooFarBehind {
                instance,
                paused_at,
            } => self.too_far_behind(&instance, paused_at, now),
            Due::WriterRecord => self.writer_record(),
            Due::ReaderRecord => self.reader_record(),
            Due::HealthRecord => self.health_record(),
        }
    }

    /// The promotion count of the cluster.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The instance that takes writes now.
    pub(crate) fn writer(&self) -> Option<&InstanceId> {
        self.commit_right.as_ref().map(|(id, _)| id)
    }

    /// Whether the writer is failing, or about to be replaced.
    pub(crate) fn is_failing_over(&self) -> bool {
        self.failover.is_some()
    }

    /// All instances that exist, with role and state.
    pub(crate) fn instances(
        &self,
    ) -> impl Iterator<Item = (&InstanceId, Role, InstanceState)> + '_ {
        self.instances
            .iter()
            .map(|(id, instance)| (id, instance.role, instance.state))
    }

    /// The promotion tier of an instance, if it exists.
    pub(crate) fn tier(&self, id: &InstanceId) -> Option<u8> {
        self.instances.get(id).map(|instance| instance.tier)
    }

    fn publish(&mut self, at: Duration, id: &'static str, instance: &InstanceId, message: String) {
        self.effects.push(Effect::Event(ClusterEvent {
            at,
            id,
            instance: instance.clone(),
            message,
        }));
    }

    /// A random UUID, version 4.
    fn uuid(&mut self) -> std::sync::Arc<str> {
        let high = self.random.u64(..);
        let low = self.random.u64(..);
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0x0fff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff,
        )
        .into()
    }

    /// How far a new instance's copy of the table is to be behind.
    fn propagation(&mut self) -> Duration {
        let views = &self.timeline.views;
        let (least, spread) = (views.propagation, views.propagation_spread);
        if spread.is_zero() {
            return least;
        }
        least.saturating_add(self.up_to(spread))
    }

    /// A random length up to `most`.
    fn up_to(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.random.f64())
    }
}

fn reader_row(instance: &Instance, since: Duration) -> Row {
    Row {
        session: Some(std::sync::Arc::clone(&instance.session)),
        since,
        frozen_at: None,
        lag_millis: instance.lag_millis,
        following: instance.following,
    }
}
