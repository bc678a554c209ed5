//! A configuration built in code, field by field.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{
    Config, Credentials, HostPort, InstanceLabels, Observe, PoolLimits, RootCertificates, Timing,
    TlsMode, WhenNone, Workload, invalid,
};
use crate::error::Result;
use crate::id::{EngineKind, InstanceId};

/// Builds a [`Config`]; a host and credentials are needed, all else has a default.
///
/// ```
/// use aurora_driver::EngineKind;
/// use aurora_driver::config::{Config, Credentials, RootCertificates};
///
/// let config = Config::builder(EngineKind::MySql)
///     .host("demo.cluster-abc123.eu-west-1.rds.amazonaws.com")
///     .credentials(Credentials::new("app", "secret"))
///     .root_certificates(RootCertificates::PemFile("/etc/ssl/global-bundle.pem".into()))
///     .pool_max(20)
///     .build()?;
/// assert_eq!(config.seeds[0].port, 3306);
/// # Ok::<(), aurora_driver::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ConfigBuilder {
    engine: EngineKind,
    hosts: Vec<String>,
    credentials: Option<Credentials>,
    database: Option<String>,
    application_name: Option<String>,
    instance_pattern: Option<String>,
    tls: Option<TlsMode>,
    root_certificates: Option<RootCertificates>,
    dns_server: Option<SocketAddr>,
    pool: PoolLimits,
    max_reader_lag: Option<Duration>,
    when_none: WhenNone,
    writer_reads_percent: u8,
    zone: Option<String>,
    labels: BTreeMap<InstanceId, InstanceLabels>,
    workloads: BTreeMap<String, Workload>,
    custom_endpoint: Option<String>,
    timing: Timing,
    observe: Observe,
    settings: BTreeMap<String, String>,
    share_monitor: bool,
}

impl ConfigBuilder {
    pub(super) fn new(engine: EngineKind) -> Self {
        Self {
            engine,
            hosts: Vec::new(),
            credentials: None,
            database: None,
            application_name: None,
            instance_pattern: None,
            tls: None,
            root_certificates: None,
            dns_server: None,
            pool: PoolLimits::default(),
            max_reader_lag: None,
            when_none: WhenNone::default(),
            writer_reads_percent: 100,
            zone: None,
            labels: BTreeMap::new(),
            workloads: BTreeMap::new(),
            custom_endpoint: None,
            timing: Timing::default(),
            observe: Observe::default(),
            settings: BTreeMap::new(),
            share_monitor: true,
        }
    }

    /// Adds a seed: `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Who logs in.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// See [`Config::database`].
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// See [`Config::application_name`].
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = Some(name.into());
        self
    }

    /// See [`Config::instance_pattern`].
    pub fn instance_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.instance_pattern = Some(pattern.into());
        self
    }

    /// See [`Config::tls`].
    pub fn tls(mut self, tls: TlsMode) -> Self {
        self.tls = Some(tls);
        self
    }

    /// See [`Config::root_certificates`].
    pub fn root_certificates(mut self, roots: RootCertificates) -> Self {
        self.root_certificates = Some(roots);
        self
    }

    /// See [`Config::dns_server`].
    pub fn dns_server(mut self, server: SocketAddr) -> Self {
        self.dns_server = Some(server);
        self
    }

    /// See [`PoolLimits::max`].
    pub fn pool_max(mut self, max: usize) -> Self {
        self.pool.max = max;
        self
    }

    /// See [`PoolLimits::max_connecting`].
    pub fn pool_max_connecting(mut self, max: usize) -> Self {
        self.pool.max_connecting = max;
        self
    }

    /// See [`PoolLimits::max_waiting`].
    pub fn pool_max_waiting(mut self, max: usize) -> Self {
        self.pool.max_waiting = max;
        self
    }

    /// See [`PoolLimits::min_idle`].
    pub fn pool_min_idle(mut self, min_idle: usize) -> Self {
        self.pool.min_idle = min_idle;
        self
    }

    /// See [`Config::max_reader_lag`].
    pub fn max_reader_lag(mut self, lag: Duration) -> Self {
        self.max_reader_lag = Some(lag);
        self
    }

    /// See [`Config::when_none`].
    pub fn when_none(mut self, rule: WhenNone) -> Self {
        self.when_none = rule;
        self
    }

    /// See [`Config::writer_reads_percent`].
    pub fn writer_reads_percent(mut self, percent: u8) -> Self {
        self.writer_reads_percent = percent;
        self
    }

    /// See [`Config::zone`].
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Labels an instance with its zone.
    pub fn instance_zone(mut self, id: impl Into<InstanceId>, zone: impl Into<String>) -> Self {
        self.labels.entry(id.into()).or_default().zone = Some(zone.into());
        self
    }

    /// Labels an instance with its promotion tier, 0 to 15.
    pub fn instance_tier(mut self, id: impl Into<InstanceId>, tier: u8) -> Self {
        self.labels.entry(id.into()).or_default().tier = Some(tier);
        self
    }

    /// Adds a workload, or replaces the one of that name.
    pub fn workload(mut self, name: impl Into<String>, workload: Workload) -> Self {
        self.workloads.insert(name.into(), workload);
        self
    }

    /// Changes a workload, made if there is none of that name yet.
    pub(super) fn change_workload<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Workload) -> T,
    ) -> T {
        change(self.workloads.entry(name.to_owned()).or_default())
    }

    /// See [`Config::custom_endpoint`].
    pub fn custom_endpoint(mut self, host: impl Into<String>) -> Self {
        self.custom_endpoint = Some(host.into());
        self
    }

    /// Changes intervals, timeouts and periods:
    /// `.timing(|timing| timing.connect_timeout = Duration::from_secs(2))`.
    pub fn timing(mut self, change: impl FnOnce(&mut Timing)) -> Self {
        change(&mut self.timing);
        self
    }

    /// Changes what is observed of statements:
    /// `.observe(|observe| observe.slow_statement = Some(Duration::from_secs(1)))`.
    pub fn observe(mut self, change: impl FnOnce(&mut Observe)) -> Self {
        change(&mut self.observe);
        self
    }

    /// Adds a session setting; see [`Config::settings`].
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// See [`Config::share_monitor`].
    pub fn share_monitor(mut self, share: bool) -> Self {
        self.share_monitor = share;
        self
    }

    /// The configuration, checked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the field and the next step.
    pub fn build(self) -> Result<Config> {
        let default_port = self.engine.default_port();
        let seeds = self
            .hosts
            .iter()
            .map(|host| HostPort::parse(host, default_port))
            .collect::<Result<Vec<_>>>()?;
        let Some(credentials) = self.credentials else {
            return Err(invalid("no user is given: call `credentials`"));
        };
        let tls = self
            .tls
            .unwrap_or_else(|| TlsMode::default_for(&seeds, self.root_certificates.as_ref()));
        let config = Config {
            engine: self.engine,
            seeds,
            credentials,
            database: self.database,
            application_name: self.application_name,
            instance_pattern: self.instance_pattern,
            tls,
            root_certificates: self.root_certificates,
            dns_server: self.dns_server,
            pool: self.pool,
            max_reader_lag: self.max_reader_lag,
            when_none: self.when_none,
            writer_reads_percent: self.writer_reads_percent,
            zone: self.zone,
            labels: self.labels,
            workloads: self.workloads,
            workload: None,
            custom_endpoint: self.custom_endpoint,
            timing: self.timing,
            observe: self.observe,
            settings: self.settings,
            share_monitor: self.share_monitor,
        };
        config.validate()?;
        Ok(config)
    }
}
