//! Metrics through the `metrics` facade.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label};

use super::names::{self, Kind};
use super::{InstanceLevels, PoolLevels, Routed};
use crate::event::{Disbelief, EventKind};
use crate::id::{EngineKind, InstanceId, Role};
use crate::observe::phases::{Phase, Phases};
use crate::observe::span::system_name;
use crate::time::Instant;

/// How many codes of errors are told apart at one instance; the rest is `_OTHER`, as
/// OpenTelemetry has it.
const ERRORS_MAX: usize = 64;

/// What all metrics of one handle are labelled with, and the handles of its own.
#[derive(Debug)]
pub(crate) struct HandleMeters {
    is_on: bool,
    labels: Vec<Label>,
    /// What the names of its pools begin with.
    pools: String,
    routed: [Counter; Routed::ALL.len()],
    /// By readers, by the writer.
    timeouts: [Counter; 2],
    age: Gauge,
}

/// What is measured at one instance.
#[derive(Debug)]
pub(crate) struct SiteMeters {
    is_on: bool,
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
    is_on: bool,
    phases: Mutex<Phases>,
    durations: [Histogram; Phase::ALL.len()],
    failovers: Counter,
    stale: [Counter; Disbelief::ALL.len()],
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
    pub(crate) fn new(is_on: bool, engine: EngineKind, cluster: &str) -> Self {
        if is_on {
            describe();
        }
        let labels = base(engine, cluster);
        let routed = Routed::ALL.map(|routed| {
            let (intent, reason) = routed.labels();
            let more = [Label::new("intent", intent), Label::new("reason", reason)];
            counter(is_on, names::ROUTED, with(&labels, more))
        });
        let timeouts = [Role::Reader, Role::Writer]
            .map(|role| counter(is_on, names::TIMEOUTS, with(&labels, [role_label(role)])));
        Self {
            is_on,
            routed,
            timeouts,
            age: gauge(is_on, names::TOPOLOGY_AGE, labels.clone()),
            labels,
            pools: cluster.to_owned(),
        }
    }

    /// Those of a workload, whose pools are told apart from those of its parent.
    pub(crate) fn of_workload(mut self, name: Option<&str>) -> Self {
        if let Some(name) = name {
            self.pools = format!("{}/{name}", self.pools);
        }
        self
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
        gauge(self.is_on, names::UP, labels.clone()).set(f64::from(u8::from(levels.is_up)));
        // One that was no reader yet may have been told to lag, and must not be left so.
        if role != Role::Writer {
            gauge(self.is_on, names::LAG, labels).set(lag);
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

fn counter(is_on: bool, name: &'static str, labels: Vec<Label>) -> Counter {
    match is_on {
        true => metrics::counter!(name, labels),
        false => Counter::noop(),
    }
}

fn gauge(is_on: bool, name: &'static str, labels: Vec<Label>) -> Gauge {
    match is_on {
        true => metrics::gauge!(name, labels),
        false => Gauge::noop(),
    }
}

fn histogram(is_on: bool, name: &'static str, labels: Vec<Label>) -> Histogram {
    match is_on {
        true => metrics::histogram!(name, labels),
        false => Histogram::noop(),
    }
}

fn instance_label(id: &InstanceId) -> Label {
    Label::new("instance", id.as_str().to_owned())
}

impl RoleMeters {
    fn new(is_on: bool, labels: &[Label], pool_name: &Label, role: Role) -> Self {
        let histogram = |name, labels: &[Label]| histogram(is_on, name, labels.to_vec());
        let gauge = |name, labels: &[Label]| gauge(is_on, name, labels.to_vec());
        let labels = with(labels, [role_label(role)]);
        let pool = with(&labels, [pool_name.clone()]);
        let state = |state: &'static str| {
            let state = Label::new("db.client.connection.state", state);
            gauge(names::COUNT, &with(&pool, [state]))
        };
        Self {
            operation: histogram(names::OPERATION, &labels),
            wait: histogram(names::WAIT, &pool),
            in_use: histogram(names::USE, &pool),
            create: histogram(names::CREATE, &pool),
            check: histogram(names::CHECK, &pool),
            used: state("used"),
            idle: state("idle"),
            idle_max: gauge(names::IDLE_MAX, &pool),
            idle_min: gauge(names::IDLE_MIN, &pool),
            max: gauge(names::MAX, &pool),
            pending: gauge(names::PENDING, &pool),
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
    /// Whether anything is measured.
    pub(crate) fn are_on(&self) -> bool {
        self.is_on
    }

    pub(crate) fn new(handle: &HandleMeters, instance: &InstanceId) -> Self {
        let pool_name = format!("{}/{instance}", handle.pools);
        Self {
            is_on: handle.is_on,
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
        self.roles[place]
            .get_or_init(|| RoleMeters::new(self.is_on, &self.labels, &self.pool_name, role))
    }

    /// A statement took so long, and failed with this code or in this way.
    pub(crate) fn operation(&self, role: Role, took: Duration, error: Option<&str>) {
        match error {
            None => self.role(role).operation.record(took),
            Some(error) if self.is_on => {
                let labels = [role_label(role), Label::new("error.type", self.told(error))];
                let labels = with(&self.labels, labels);
                metrics::histogram!(names::OPERATION, labels).record(took);
            }
            Some(_) => {}
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

    /// A connection was ended for this cause.
    pub(crate) fn ended(&self, role: Role, cause: &'static str) {
        if self.is_on {
            let more = [role_label(role), Label::new("cause", cause)];
            let labels = with(&self.labels, more);
            counter(self.is_on, names::ENDED, labels).increment(1);
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
    pub(crate) fn new(is_on: bool, engine: EngineKind, cluster: &str) -> Self {
        let labels = base(engine, cluster);
        Self {
            is_on,
            failovers: counter(is_on, names::FAILOVERS, labels.clone()),
            durations: Phase::ALL.map(|phase| {
                let labels = with(&labels, [Label::new("phase", phase.name())]);
                histogram(is_on, names::PHASE, labels)
            }),
            stale: Disbelief::ALL.map(|disbelief| {
                let labels = with(&labels, [Label::new("reason", disbelief.name())]);
                counter(is_on, names::STALE, labels)
            }),
            phases: Mutex::default(),
        }
    }

    /// Something happened to the cluster.
    pub(crate) fn heard(&self, now: Instant, what: &EventKind) {
        if !self.is_on {
            return;
        }
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        for (phase, took) in phases.hear(now, what) {
            self.durations[phase as usize].record(took);
            if phase == Phase::Election {
                self.failovers.increment(1);
            }
        }
    }

    /// An answer about the topology was not believed.
    pub(crate) fn disbelieved(&self, why: Disbelief) {
        self.stale[why as usize].increment(1);
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    /// What an exporter shows after this.
    fn exported(tell: impl FnOnce(HandleMeters)) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            tell(HandleMeters::new(true, EngineKind::Postgres, "shop"));
        });
        recorder.handle().render()
    }

    #[test]
    fn an_instance_that_becomes_a_reader_leaves_no_lag_behind_as_what_it_was() {
        let text = exported(|meters| {
            let id = InstanceId::new("shop-2");
            let levels = InstanceLevels {
                is_up: true,
                lag: Some(Duration::from_secs(20)),
            };
            meters.instance(&id, Role::Unknown, levels);
            meters.instance_left(&id, Role::Unknown);
            meters.instance(&id, Role::Reader, levels);
        });
        let lag = |role: &str| {
            let line = text
                .lines()
                .filter(|line| line.starts_with("aurora_replica_lag{"))
                .find(|line| line.contains(role));
            line.and_then(|line| line.rsplit(' ').next())
        };
        assert_eq!(lag("unknown"), Some("0"), "{text}");
        assert_eq!(lag("reader"), Some("20"), "{text}");
    }

    #[test]
    fn the_pools_of_a_workload_have_names_of_their_own() {
        let text = exported(|meters| {
            let meters = meters.of_workload(Some("reports"));
            let site = SiteMeters::new(&meters, &InstanceId::new("shop-2"));
            site.waited(Role::Reader, Duration::ZERO);
        });
        let named = "db_client_connection_pool_name=\"shop/reports/shop-2\"";
        assert!(text.contains(named), "{text}");
    }
}
