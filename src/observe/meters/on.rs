//! Metrics through the `metrics` facade.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label};

use super::names::{self, Kind};
use super::{InstanceLevels, PoolLevels, Routed};
use crate::event::EventKind;
use crate::id::{EngineKind, InstanceId, Role};
use crate::observe::phases::Phases;
use crate::observe::span::system_name;
use crate::time::Instant;

/// How many codes of errors are told apart at one instance; the rest is `_OTHER`, as
/// OpenTelemetry has it.
const ERRORS_MAX: usize = 64;

/// What all metrics of one handle are labelled with, and the handles of its own.
#[derive(Debug)]
pub(crate) struct HandleMeters {
    labels: Vec<Label>,
    cluster: String,
    routed: [Counter; Routed::ALL.len()],
    /// By readers, by the writer.
    timeouts: [Counter; 2],
    age: Gauge,
}

/// What is measured at one instance.
#[derive(Debug)]
pub(crate) struct SiteMeters {
    labels: Vec<Label>,
    pool_name: Label,
    /// Unknown, reader, writer; made when the role is met.
    roles: [OnceLock<RoleMeters>; 3],
    errors: Mutex<BTreeSet<String>>,
    /// What was last told of the pool: handles to the same cluster add up.
    levels: Mutex<(Role, PoolLevels)>,
}

#[derive(Debug)]
struct RoleMeters {
    operation: Histogram,
    wait: Histogram,
    in_use: Histogram,
    create: Histogram,
    check: Histogram,
    used: Gauge,
    idle: Gauge,
    idle_max: Gauge,
    idle_min: Gauge,
    max: Gauge,
    pending: Gauge,
}

/// What is measured of a cluster as a whole.
#[derive(Debug)]
pub(crate) struct HubMeters {
    labels: Vec<Label>,
    phases: Mutex<Phases>,
    failovers: Counter,
}

fn base(engine: EngineKind, cluster: &str) -> Vec<Label> {
    vec![
        Label::new("db.system.name", system_name(engine)),
        Label::new("cluster", cluster.to_owned()),
    ]
}

fn with(labels: &[Label], more: impl IntoIterator<Item = Label>) -> Vec<Label> {
    labels.iter().cloned().chain(more).collect()
}

fn role_label(role: Role) -> Label {
    Label::new("role", role.name())
}

fn describe() {
    for (name, kind, unit, description) in names::ALL {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, unit, description),
            Kind::Gauge => metrics::describe_gauge!(name, unit, description),
            Kind::Histogram => metrics::describe_histogram!(name, unit, description),
        }
    }
}

impl HandleMeters {
    pub(crate) fn new(engine: EngineKind, cluster: &str) -> Self {
        describe();
        let labels = base(engine, cluster);
        let routed = Routed::ALL.map(|routed| {
            let (intent, reason) = routed.labels();
            let more = [Label::new("intent", intent), Label::new("reason", reason)];
            metrics::counter!(names::ROUTED, with(&labels, more))
        });
        let timeouts = [Role::Reader, Role::Writer]
            .map(|role| metrics::counter!(names::TIMEOUTS, with(&labels, [role_label(role)])));
        Self {
            routed,
            timeouts,
            age: metrics::gauge!(names::TOPOLOGY_AGE, labels.clone()),
            labels,
            cluster: cluster.to_owned(),
        }
    }

    pub(crate) fn routed(&self, routed: Routed) {
        self.routed[routed as usize].increment(1);
    }

    /// Nobody gave a connection in time, to the writer or to a reader.
    pub(crate) fn timed_out(&self, role: Role) {
        self.timeouts[usize::from(role == Role::Writer)].increment(1);
    }

    pub(crate) fn topology_age(&self, age: Duration) {
        self.age.set(age.as_secs_f64());
    }

    pub(crate) fn instance(&self, id: &InstanceId, role: Role, levels: InstanceLevels) {
        let labels = with(&self.labels, [instance_label(id), role_label(role)]);
        let lag = levels.lag.unwrap_or_default().as_secs_f64();
        metrics::gauge!(names::UP, labels.clone()).set(f64::from(u8::from(levels.is_up)));
        if role == Role::Reader || levels.lag.is_some() {
            metrics::gauge!(names::LAG, labels).set(lag);
        }
    }

    /// It has left the cluster, or its role.
    pub(crate) fn instance_left(&self, id: &InstanceId, role: Role) {
        let gone = InstanceLevels {
            is_up: false,
            lag: None,
        };
        self.instance(id, role, gone);
    }
}

fn instance_label(id: &InstanceId) -> Label {
    Label::new("instance", id.as_str().to_owned())
}

impl RoleMeters {
    fn new(labels: &[Label], pool_name: &Label, role: Role) -> Self {
        let labels = with(labels, [role_label(role)]);
        let pool = with(&labels, [pool_name.clone()]);
        let state = |state: &'static str| {
            let state = Label::new("db.client.connection.state", state);
            metrics::gauge!(names::COUNT, with(&pool, [state]))
        };
        Self {
            operation: metrics::histogram!(names::OPERATION, labels),
            wait: metrics::histogram!(names::WAIT, pool.clone()),
            in_use: metrics::histogram!(names::USE, pool.clone()),
            create: metrics::histogram!(names::CREATE, pool.clone()),
            check: metrics::histogram!(names::CHECK, pool.clone()),
            used: state("used"),
            idle: state("idle"),
            idle_max: metrics::gauge!(names::IDLE_MAX, pool.clone()),
            idle_min: metrics::gauge!(names::IDLE_MIN, pool.clone()),
            max: metrics::gauge!(names::MAX, pool.clone()),
            pending: metrics::gauge!(names::PENDING, pool),
        }
    }

    fn levels(&self, before: PoolLevels, now: PoolLevels) {
        for (gauge, before, now) in [
            (&self.used, before.used, now.used),
            (&self.idle, before.idle, now.idle),
            (&self.idle_max, before.max, now.max),
            (&self.idle_min, before.min_idle, now.min_idle),
            (&self.max, before.max, now.max),
            (&self.pending, before.waiting, now.waiting),
        ] {
            gauge.increment(now as f64 - before as f64);
        }
    }
}

impl SiteMeters {
    pub(crate) const ARE_ON: bool = true;

    pub(crate) fn new(handle: &HandleMeters, instance: &InstanceId) -> Self {
        let pool_name = format!("{}/{instance}", handle.cluster);
        Self {
            labels: with(&handle.labels, [instance_label(instance)]),
            pool_name: Label::new("db.client.connection.pool.name", pool_name),
            roles: [const { OnceLock::new() }; 3],
            errors: Mutex::default(),
            levels: Mutex::new((Role::Unknown, PoolLevels::default())),
        }
    }

    fn role(&self, role: Role) -> &RoleMeters {
        let place = match role {
            Role::Unknown => 0,
            Role::Reader => 1,
            Role::Writer => 2,
        };
        self.roles[place].get_or_init(|| RoleMeters::new(&self.labels, &self.pool_name, role))
    }

    /// A statement took so long, and failed with this code or in this way.
    pub(crate) fn operation(&self, role: Role, took: Duration, error: Option<&str>) {
        match error {
            None => self.role(role).operation.record(took),
            Some(error) => {
                let labels = [role_label(role), Label::new("error.type", self.told(error))];
                let labels = with(&self.labels, labels);
                metrics::histogram!(names::OPERATION, labels).record(took);
            }
        }
    }

    /// The name of an error as a label: a server could make up any number of codes.
    fn told(&self, error: &str) -> String {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if !errors.contains(error) {
            if errors.len() >= ERRORS_MAX {
                return "_OTHER".to_owned();
            }
            errors.insert(error.to_owned());
        }
        error.to_owned()
    }

    pub(crate) fn waited(&self, role: Role, wait: Duration) {
        self.role(role).wait.record(wait);
    }

    pub(crate) fn used(&self, role: Role, in_use: Duration) {
        self.role(role).in_use.record(in_use);
    }

    pub(crate) fn created(&self, role: Role, took: Duration) {
        self.role(role).create.record(took);
    }

    pub(crate) fn checked(&self, role: Role, took: Duration) {
        self.role(role).check.record(took);
    }

    /// So many connections were ended for this cause.
    pub(crate) fn ended(&self, role: Role, cause: &'static str, count: usize) {
        if count > 0 {
            let more = [role_label(role), Label::new("cause", cause)];
            let labels = with(&self.labels, more);
            metrics::counter!(names::ENDED, labels).increment(count as u64);
        }
    }

    /// What the pool looks like now.
    pub(crate) fn levels(&self, role: Role, now: PoolLevels) {
        let mut told = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let (before_role, before) = std::mem::replace(&mut *told, (role, now));
        if before_role == role {
            self.role(role).levels(before, now);
        } else {
            self.role(before_role).levels(before, PoolLevels::default());
            self.role(role).levels(PoolLevels::default(), now);
        }
    }
}

/// What a pool that is gone had is taken back.
impl Drop for SiteMeters {
    fn drop(&mut self) {
        let (role, _) = *self
            .levels
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        self.levels(role, PoolLevels::default());
    }
}

impl HubMeters {
    pub(crate) fn new(engine: EngineKind, cluster: &str) -> Self {
        let labels = base(engine, cluster);
        Self {
            failovers: metrics::counter!(names::FAILOVERS, labels.clone()),
            phases: Mutex::default(),
            labels,
        }
    }

    /// Something happened to the cluster.
    pub(crate) fn heard(&self, now: Instant, what: &EventKind) {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = phases.hear(now, what);
        drop(phases);
        for (phase, took) in ended {
            let labels = with(&self.labels, [Label::new("phase", phase.name())]);
            metrics::histogram!(names::PHASE, labels).record(took);
            if phase.is_election() {
                self.failovers.increment(1);
            }
        }
    }

    /// An answer about the topology was not believed.
    pub(crate) fn stale(&self, reason: &'static str) {
        let labels = with(&self.labels, [Label::new("reason", reason)]);
        metrics::counter!(names::STALE, labels).increment(1);
    }
}
