//! How a direct cluster is described, and started.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::id::{EngineKind, InstanceId};
use crate::sim::cluster::{Clock, Names};
use crate::sim::fault::Limits;
use crate::sim::world::{DEFAULT_TIER, Placement, READERS_MAX, Timeline, World, WorldOptions};

use super::shell::{Parts, Shared};
use super::trace::Trace;
use super::{DirectCluster, names};

/// The wall-clock time at which every direct cluster starts: 2026-01-01, in microseconds since
/// the Unix epoch. The machine's own would differ between two runs.
const EPOCH_MICROS: i64 = 1_767_225_600_000_000;

/// Describes a [`DirectCluster`]; made by [`DirectCluster::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing runs before `start`"]
pub struct DirectClusterBuilder {
    seed: u64,
    engine: EngineKind,
    readers: usize,
    timeline: Timeline,
    limits: Limits,
    fenced_writer_answers: bool,
    is_traced: bool,
}

impl DirectClusterBuilder {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            engine: EngineKind::Postgres,
            readers: 1,
            timeline: Timeline::fast(),
            limits: Limits::default(),
            fenced_writer_answers: false,
            is_traced: true,
        }
    }

    /// How the instances behave. Default: as Aurora PostgreSQL. Aurora MySQL has no phase in
    /// which it answers that it is starting, and its tables show all timestamps.
    ///
    /// The driver's engine stays [`Direct`](super::Direct), whatever the cluster runs.
    pub fn engine(mut self, engine: EngineKind) -> Self {
        self.engine = engine;
        self
    }

    /// How many readers there are, at most 15. Default: 1.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.min(READERS_MAX);
        self
    }

    /// How long each phase takes. Default: [`Timeline::fast`].
    pub fn timeline(mut self, timeline: Timeline) -> Self {
        self.timeline = timeline;
        self
    }

    /// How many connections each instance takes at a time. Default: no limit.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.limits.connections = Some(most);
        self
    }

    /// The processor time of one login; logins at one instance take turns at it. Default: none.
    pub fn login_cost(mut self, cost: Duration) -> Self {
        self.limits.login_cost = cost;
        self
    }

    /// How many logins each instance takes per second; those beyond wait. Default: no limit.
    pub fn login_rate(mut self, per_second: u32) -> Self {
        self.limits.logins_per_second = Some(per_second);
        self
    }

    /// Lets a writer that a planned failover has fenced answer all that needs no commit until it
    /// is stopped, as what it was: it says that it is the writer, shows its last table, and never
    /// answers a commit. Without this it is silent for as long. See
    /// [`Timeline::fenced_hold`](crate::sim::Timeline::fenced_hold).
    pub fn fenced_writer_answers(mut self, answers: bool) -> Self {
        self.fenced_writer_answers = answers;
        self
    }

    /// Keeps no [trace](DirectCluster::trace), which takes most of the time of a long run: a seed
    /// that turns out to be of interest can be run again with one.
    pub fn without_trace(mut self) -> Self {
        self.is_traced = false;
        self
    }

    /// Starts a cluster `demo` of one writer, `demo-instance-1`, and the readers.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, which runs its clock.
    pub fn start(self) -> DirectCluster {
        let domain = names::new_domain();
        let placements = (1..=self.readers + 1).map(|number| Placement {
            id: InstanceId::new(format!("demo-instance-{number}")),
            tier: DEFAULT_TIER,
        });
        let world = World::new(WorldOptions {
            engine: self.engine,
            timeline: self.timeline,
            seed: self.seed,
            cluster_id: "demo".to_owned(),
            epoch_micros: EPOCH_MICROS,
            placements: placements.collect(),
        });
        let parts = Parts {
            engine: self.engine,
            names: Names::new("demo", &domain),
            clock: Clock::start_at(EPOCH_MICROS),
            limits: self.limits,
            fenced_writer_answers: self.fenced_writer_answers,
            trace: match self.is_traced {
                true => Trace::default(),
                false => Trace::off(),
            },
            seed: self.seed,
        };
        let shared = Arc::new(Shared::new(world, parts));
        shared.tick();
        names::enter(domain, &shared);
        let stopped = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (world, end) = (Arc::clone(&shared), stopped.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                () = world.run_clock() => {}
            }
        });
        DirectCluster {
            shared,
            _end_on_drop: stopped.drop_guard(),
        }
    }
}
