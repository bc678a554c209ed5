//! The world step by step, without sockets or a clock.

mod anomalies;
mod chaos;
mod failover;
mod membership;
mod operations;
mod timeline;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::sim::front::Ending;
use crate::sim::host::{MASTER_SESSION_ID, StatusRow};

const EPOCH_MICROS: i64 = 1_700_000_000_250_000;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn id(number: usize) -> InstanceId {
    InstanceId::new(format!("demo-instance-{number}"))
}

/// A world, and what has become of its instances as its effects would have it.
struct Stage {
    world: World,
    now: Duration,
    /// Who listens, and whether it accepts logins.
    listening: BTreeMap<InstanceId, bool>,
    /// All boots that may commit, never taken out but by a fence.
    may_commit: Vec<(InstanceId, u64)>,
    records: Records,
    events: Vec<ClusterEvent>,
    promotions: Vec<(InstanceId, u64, Duration)>,
    endings: Vec<(InstanceId, Ending)>,
    /// Who has an address.
    added: BTreeSet<InstanceId>,
    /// The version that each boot opened with.
    versions: BTreeMap<InstanceId, Option<std::sync::Arc<str>>>,
    trace: Vec<String>,
}

impl Stage {
    fn new(engine: EngineKind, readers: usize, seed: u64) -> Self {
        Self::with(engine, readers, seed, steady(), |_| DEFAULT_TIER)
    }

    fn with(
        engine: EngineKind,
        readers: usize,
        seed: u64,
        timeline: Timeline,
        tier: impl Fn(usize) -> u8,
    ) -> Self {
        let world = World::new(WorldOptions {
            engine,
            timeline,
            seed,
            cluster_id: "demo".into(),
            epoch_micros: EPOCH_MICROS,
            placements: (1..=readers + 1)
                .map(|number| Placement {
                    id: id(number),
                    tier: tier(number),
                })
                .collect(),
        });
        let mut stage = Self {
            world,
            now: Duration::ZERO,
            listening: BTreeMap::new(),
            may_commit: Vec::new(),
            records: Records::default(),
            events: Vec::new(),
            promotions: Vec::new(),
            endings: Vec::new(),
            added: BTreeSet::new(),
            versions: BTreeMap::new(),
            trace: Vec::new(),
        };
        stage.at(Duration::ZERO);
        stage
    }

    /// Goes on to a time, event by event.
    fn at(&mut self, time: Duration) -> &mut Self {
        while let Some(next) = self.world.next_event().filter(|next| *next <= time) {
            self.now = self.now.max(next);
            let effects = self.world.advance(next);
            self.carry_out(effects);
        }
        self.now = time;
        self
    }

    fn order(&mut self, command: Command) -> Result<(), Refusal> {
        let effects = self.world.handle(command, self.now)?;
        self.carry_out(effects);
        Ok(())
    }

    fn crash(&mut self, number: usize) -> &mut Self {
        self.order(Command::Crash(id(number)))
            .expect("the crash is accepted");
        self
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.trace.push(format!("{:?} {effect:?}", self.now));
            match effect {
                Effect::Fence { instance } => {
                    self.may_commit.retain(|(holder, _)| *holder != instance);
                }
                Effect::Close { instance } | Effect::Gone { instance } => {
                    self.listening.remove(&instance);
                }
                Effect::End { instance, ending } => self.endings.push((instance, ending)),
                Effect::Added { instance } => {
                    self.added.insert(instance);
                }
                Effect::Renamed { from, to } => {
                    assert!(self.added.remove(&from), "{from} was never added");
                    self.added.insert(to);
                }
                Effect::Open(opening) => {
                    assert!(self.added.contains(&opening.instance), "{opening:?}");
                    let version = opening.version.clone();
                    self.versions.insert(opening.instance.clone(), version);
                    if opening.may_commit {
                        self.may_commit
                            .push((opening.instance.clone(), opening.boot));
                    }
                    self.listening.insert(opening.instance, !opening.starting);
                }
                Effect::Promoted {
                    instance,
                    epoch,
                    fault_at,
                } => self.promotions.push((instance, epoch, fault_at)),
                Effect::Dns(records) => self.records = records,
                Effect::Replication { .. } => {}
                Effect::Event(event) => self.events.push(event),
            }
            assert!(
                self.may_commit.len() <= 1,
                "two boots may commit: {:?}",
                self.may_commit
            );
        }
    }

    fn accepts(&self, number: usize) -> bool {
        self.listening.get(&id(number)) == Some(&true)
    }

    fn writer(&self) -> Option<InstanceId> {
        self.may_commit.first().map(|(id, _)| id.clone())
    }

    fn rows(&self, asked: usize) -> Vec<StatusRow> {
        self.world.view(&id(asked), self.now)
    }

    /// Which instances a view calls the writer, and which it calls readers.
    fn believes(&self, asked: usize) -> (Vec<String>, Vec<String>) {
        let (writers, readers): (Vec<StatusRow>, Vec<StatusRow>) = self
            .rows(asked)
            .into_iter()
            .partition(|row| row.session_id == MASTER_SESSION_ID);
        let names = |rows: Vec<StatusRow>| rows.into_iter().map(|row| row.server_id).collect();
        (names(writers), names(readers))
    }

    fn row(&self, asked: usize, of: usize) -> Option<StatusRow> {
        let name = id(of);
        self.rows(asked)
            .into_iter()
            .find(|row| row.server_id == name.as_str())
    }

    fn event_ids(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.id).collect()
    }
}

/// The fast timeline without chance, so that steps can be told to the millisecond.
fn steady() -> Timeline {
    let mut timeline = Timeline::fast();
    timeline.promotion_jitter = Duration::ZERO;
    timeline.views.stale_readers = Duration::ZERO;
    timeline
}

fn names(numbers: &[usize]) -> Vec<String> {
    numbers
        .iter()
        .map(|number| id(*number).to_string())
        .collect()
}
