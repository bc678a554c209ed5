//! What the connections of one handle to one instance tell of their statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::comment;
use super::digest::Dialect;
use super::insights::{Insights, Run, Slowest, Table};
use super::latency::Latency;
use super::lens::Sight;
use super::meters::{HandleMeters, SiteMeters};
use super::settings::Observe;
use super::slow::SlowLog;
use crate::id::{EngineKind, InstanceId, Role};
use crate::time::{self, Instant};

/// One handle's eye on its statements, shared by all of its connections.
#[derive(Debug)]
pub(crate) struct Observer {
    settings: Observe,
    engine: EngineKind,
    application: Option<String>,
    database: Option<String>,
    table: Arc<Table>,
    slow: SlowLog,
    meters: HandleMeters,
}

/// One instance, as one handle's connections see it.
#[derive(Debug)]
pub struct Site {
    observer: Arc<Observer>,
    instance: InstanceId,
    host: String,
    port: u16,
    role: AtomicU8,
    latency: Latency,
    meters: SiteMeters,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) began: Instant,
    pub(crate) now: Instant,
    /// How long its caller had waited for the connection.
    pub(crate) waited: Duration,
    pub(crate) rows: u64,
    /// The code of its error, or what kind it was.
    pub(crate) error: Option<&'a str>,
}

impl Observer {
    pub(crate) fn new(
        settings: &Observe,
        engine: EngineKind,
        application: Option<String>,
        database: Option<String>,
        meters: HandleMeters,
    ) -> Self {
        Self {
            table: Arc::new(Table::new(settings.insights, settings.insights_max)),
            slow: SlowLog::new(settings),
            settings: settings.clone(),
            engine,
            application,
            database,
            meters,
        }
    }

    pub(crate) fn settings(&self) -> &Observe {
        &self.settings
    }

    pub(crate) fn engine(&self) -> EngineKind {
        self.engine
    }

    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    pub(crate) fn meters(&self) -> &HandleMeters {
        &self.meters
    }

    pub(crate) fn insights(&self) -> Insights {
        Insights::new(Arc::clone(&self.table))
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.engine {
            EngineKind::MySql => Dialect::MySql,
            EngineKind::Postgres => Dialect::Postgres,
        }
    }

    /// A text without the comment that this driver may have added: it differs from call to call.
    pub(super) fn without_comment<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        if self.settings.sqlcommenter {
            comment::stripped(text)
        } else {
            text
        }
    }

    /// The comment for a statement that is sent now as a text, if it is to have one.
    pub(crate) fn comment(&self) -> Option<String> {
        let is_on = self.settings.sqlcommenter;
        is_on.then(|| comment::comment(self.application.as_deref()))
    }
}

impl Site {
    pub(crate) fn new(
        observer: Arc<Observer>,
        instance: InstanceId,
        (host, port): (String, u16),
    ) -> Self {
        Self {
            meters: SiteMeters::new(observer.meters(), &instance),
            observer,
            instance,
            host,
            port,
            role: AtomicU8::new(0),
            latency: Latency::new(time::now()),
        }
    }

    pub(crate) fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    pub(crate) fn instance(&self) -> &InstanceId {
        &self.instance
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn meters(&self) -> &SiteMeters {
        &self.meters
    }

    /// The instance serves as this from now on.
    pub(crate) fn serves_as(&self, role: Role) {
        let number = match role {
            Role::Unknown => 0,
            Role::Reader => 1,
            Role::Writer => 2,
        };
        self.role.store(number, Ordering::Relaxed);
    }

    pub(crate) fn role(&self) -> Role {
        match self.role.load(Ordering::Relaxed) {
            1 => Role::Reader,
            2 => Role::Writer,
            _ => Role::Unknown,
        }
    }

    /// How long its statements take lately; where nobody watches them, the uses of its connections.
    pub(crate) fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Whether anybody wants to know of statements.
    pub(crate) fn is_watching(&self) -> bool {
        self.observer.table.is_on() || self.observer.slow.is_on() || self.meters.are_on()
    }

    /// A statement has ended.
    pub(crate) fn ended(&self, sight: &Sight, how: &Ended<'_>) {
        let observer = &*self.observer;
        let run = self.run(how);
        self.latency.took(run.took, run.has_failed, how.now);
        self.meters.operation(self.role(), run.took, how.error);
        if observer.table.is_on() && sight.entry.cell.count(&run) {
            let at = observer.table.wall_clock(run.ended);
            let example = || Slowest::new(run.took, at, sight.text().to_owned(), run.rows);
            sight.entry.cell.keep_slowest(example);
        }
        if let Some(left_out) = observer.slow.admits(run.took, run.ended) {
            self.log_slow(sight, how, run.took, left_out);
        }
    }

    /// A statement has been prepared, or failed to be.
    pub(crate) fn prepared(&self, sight: &Sight, how: &Ended<'_>) {
        if self.observer.table.is_on() {
            sight.entry.cell.count_preparing(&self.run(how));
        }
    }

    fn run(&self, how: &Ended<'_>) -> Run {
        Run {
            took: how.now.saturating_duration_since(how.began),
            waited: how.waited,
            rows: how.rows,
            has_failed: how.error.is_some(),
            ended: self.observer.table.since_began(how.now),
        }
    }

    /// Seldom: as often as the log admits.
    #[cold]
    fn log_slow(&self, sight: &Sight, how: &Ended<'_>, took: Duration, left_out: u64) {
        let digest = format_args!("{:016x}", sight.digest().hash);
        tracing::warn!(
            target: "aurora_driver::slow",
            duration_ms = took.as_secs_f64() * 1e3,
            waited_ms = how.waited.as_secs_f64() * 1e3,
            rows = how.rows,
            instance = %self.instance,
            role = self.role().name(),
            error = how.error.unwrap_or_default(),
            digest = %digest,
            left_out,
            statement = sight.text(),
            "slow statement"
        );
    }
}

impl Sight {
    /// What may be shown of its text.
    fn text(&self) -> &str {
        self.example.as_deref().unwrap_or(&self.entry.digest.text)
    }
}
