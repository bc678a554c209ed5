//! What the application asks for, as plain data: [`Config`], built from a URL or by the
//! [builder](ConfigBuilder), and every number that the driver lives by ([`Timing`],
//! [`PoolLimits`]).
//!
//! Nothing here opens a file or a socket, and nothing interprets a host name: what an RDS name
//! means is the business of `resolve`, what a certificate means that of `engine`.

mod builder;
mod credentials;
mod duration;
pub(crate) mod host;
mod limits;
mod percent;
pub(crate) mod timing;
mod tls;
mod url;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

pub use crate::observe::settings::Observe;
pub use builder::ConfigBuilder;
pub use credentials::{Credentials, LoginTarget, PasswordProvider, ProviderError};
pub(crate) use host::Host;
pub use host::HostPort;
pub use limits::PoolLimits;
pub use secrecy::SecretString;
pub use timing::Timing;
pub use tls::{RootCertificates, TlsMode};
pub use workload::{InstanceLabels, Members, WhenNone, Workload};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{EngineKind, InstanceId};

/// How to reach a cluster and how to behave towards it.
///
/// It is plain data: [`Config::from_url`] and [`Config::builder`] both end here, and each field
/// may be changed afterwards; [`validate`](Self::validate) says whether the whole still makes
/// sense, and is called again when a cluster is opened. `Debug` never shows a secret.
///
/// ```
/// use aurora_driver::Config;
///
/// let config = Config::from_url(
///     "postgres://app:secret@demo.cluster-abc123.eu-west-1.rds.amazonaws.com/shop\
///      ?sslrootcert=/etc/ssl/global-bundle.pem&pool_max=20",
/// )?;
/// assert_eq!(config.pool.max, 20);
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), aurora_driver::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The engine that the cluster runs; in a URL, its scheme.
    pub engine: EngineKind,
    /// Where the first connections go: the cluster endpoint, or any of its instances.
    ///
    /// Servers without Aurora's tables, as a developer's own PostgreSQL, MySQL or MariaDB, are
    /// taken for a cluster of the hosts named here: whichever takes writes
    /// (`pg_is_in_recovery()`, `@@read_only`) is the writer, the others are readers of unknown
    /// lag, and each is called `host:port`.
    ///
    /// One is enough; more help when one of them is down at start-up. The port is the engine's
    /// usual one unless given.
    pub seeds: Vec<HostPort>,
    /// The user, and a password or a provider of passwords.
    pub credentials: Credentials,
    /// The database to use. Default: none for MySQL, one named like the user for PostgreSQL.
    pub database: Option<String>,
    /// What the server's session list shows. Default: none. Set it, so that your database
    /// administrator can tell your services apart.
    pub application_name: Option<String>,
    /// How an instance's identifier becomes its host name, with `?` for the identifier:
    /// `?.abc123.eu-west-1.rds.amazonaws.com`, `?.db.internal:3307`.
    ///
    /// Default: derived from the seeds where they are RDS names. Needed where the seeds of an
    /// Aurora cluster are names of your own (CNAMEs) or addresses, or a tunnel stands between.
    pub instance_pattern: Option<String>,
    /// Whether connections are encrypted. Default: always, and the server's name is verified,
    /// except when every seed is a loopback address or `localhost`.
    pub tls: TlsMode,
    /// The certificate authorities to trust; needed for TLS. For Aurora this is Amazon's
    /// `global-bundle.pem`. Default: none.
    pub root_certificates: Option<RootCertificates>,
    /// The DNS server to ask instead of the system's. Default: none. For tests against a
    /// simulated cluster, or where the system's resolver caches for too long.
    pub dns_server: Option<SocketAddr>,
    /// How many connections each instance's pool may hold.
    pub pool: PoolLimits,
    /// How far a reader may lag behind and still be given reads. Default: no limit.
    ///
    /// Set it where a read must not see data older than this; readers that are further behind
    /// are passed over, which costs capacity, until they lag by less than 80 % of it. Where all
    /// are further behind, [`when_none`](Self::when_none) says where reads go.
    pub max_reader_lag: Option<Duration>,
    /// Where reads go while no reader may be used. Default: to the writer, unless they are confined
    /// to a [`custom_endpoint`](Self::custom_endpoint) that it is no member of.
    pub when_none: WhenNone,
    /// How many percent of the connections of the writer's pool reads may hold at any moment when
    /// they go to the writer for want of a reader; rounded down, but at least one connection. 0 lets
    /// none go there. Default: 100, no cap.
    ///
    /// Those beyond it wait for one another, or for a reader that comes back, and fail with
    /// [`ErrorKind::NoReader`] after the `checkout_timeout`. It holds for each handle of each
    /// process: the writer sees their sum. Connections to a reader that is promoted while they are
    /// held are not counted.
    pub writer_reads_percent: u8,
    /// The availability zone that this process runs in. Default: unknown, and all are equal.
    ///
    /// Readers that are [labelled](Self::labels) with another zone get reads only while those of
    /// this zone (and those without a label) are away, or busier by far: when the best of these has
    /// more than 5 requests in flight more than twice as many as the best of the others.
    pub zone: Option<String>,
    /// What is known of single instances; neither zone nor promotion tier can be asked of the
    /// database. Default: nothing.
    pub labels: BTreeMap<InstanceId, InstanceLabels>,
    /// Kinds of work with pools of their own, by name; see [`Cluster::workload`](crate::Cluster::workload).
    /// Default: none.
    pub workloads: BTreeMap<String, Workload>,
    /// The workload that this is the configuration of.
    pub(crate) workload: Option<String>,
    /// The custom endpoint whose members the reads are confined to: its host name, without a
    /// port, or a name of your own for it. Default: the custom endpoints among the seeds, where
    /// there are any, and otherwise no such choice.
    ///
    /// [`reader`](crate::Cluster::reader) and [`read`](crate::Cluster::read) then use no instance
    /// but its members. A member that is the writer is read from only while no other is up. While
    /// none is up they wait, for at most the `checkout_timeout`, and then fail with
    /// [`ErrorKind::NoReader`], whose message says who the members are or why none is known.
    /// Writes go to the writer, member or not.
    ///
    /// Who the members are stands in no table; it is learnt from DNS, whose answers lead to one
    /// member that is up at a time (Aurora User Guide, "Custom endpoints for Amazon Aurora"). The
    /// name is resolved once a second for half a minute, and while no member is up, and else
    /// every 5 s; each answer is compared with the names and addresses of the cluster's
    /// instances. So:
    ///
    /// - The first member is known at once. Each of the others gets reads when an answer first
    ///   leads to it, which takes seconds.
    /// - A member that is down stays one, and so do all while the name cannot be resolved or leads
    ///   to none of the cluster's instances.
    /// - An instance that was taken out of the endpoint goes on getting reads until 8 answers in a
    ///   row for each known member have led to others: of two members, for 80 s.
    ///
    /// With several custom endpoints among the seeds the members of all count.
    ///
    /// ```
    /// use aurora_driver::sim::{CustomEndpointKind, CustomEndpointMembers, SimCluster};
    /// use aurora_driver::{Cluster, Config, EngineKind, Postgres};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let simulated = SimCluster::builder(EngineKind::Postgres).readers(3).start().await?;
    /// let for_reports = simulated.readers().remove(2);
    /// let members = CustomEndpointMembers::fixed([for_reports.clone()]);
    /// let host = simulated.custom_endpoint("reports", CustomEndpointKind::Reader, members)?;
    ///
    /// let mut config = Config::from_url(&simulated.url())?;
    /// config.custom_endpoint = Some(host);
    /// let cluster = Cluster::<Postgres>::new(config)?;
    /// for _ in 0..10 {
    ///     assert_eq!(*cluster.reader().await?.instance(), for_reports);
    /// }
    /// # simulated.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub custom_endpoint: Option<String>,
    /// Every interval, timeout and period.
    pub timing: Timing,
    /// What is observed of statements, and where it is told.
    pub observe: Observe,
    /// Session settings given to each new connection, by name: run-time parameters such as
    /// `work_mem` for PostgreSQL, session system variables such as `sql_mode` for MySQL.
    /// Default: none.
    pub settings: BTreeMap<String, String>,
    /// Whether the handles of this process to the same cluster share one monitor, so that ten of
    /// them ask the database as often as one. Default: yes.
    ///
    /// Two handles share it when their configurations differ in nothing but
    /// [`pool`](Self::pool), [`observe`](Self::observe), where reads may go, and the times that
    /// concern the pools alone, and when they were opened in the same tokio runtime. Providers of
    /// passwords are the same when they are clones of one [`Credentials`].
    pub share_monitor: bool,
}

/// As many seeds as a URL may reasonably name; Aurora has at most 16 instances.
const MAX_SEEDS: usize = 64;

impl Config {
    /// Reads a URL: `postgres://user:password@host/database?key=value`.
    ///
    /// | part | meaning |
    /// |---|---|
    /// | scheme | `postgres`, `postgresql` or `mysql` |
    /// | user, password, database | percent-encoded where they hold `:/?#@%` |
    /// | host | one or several, separated by commas, each with an optional port; IPv6 in `[]` |
    /// | `sslmode` | `disable`, or `verify-full` (also `require`: the name is always verified) |
    /// | `sslrootcert` | path of a PEM file with the authorities to trust |
    /// | `dns` | `ip:port` of the DNS server to ask instead of the system's |
    /// | `instance_pattern` | how an identifier becomes a host name: `?.db.internal` (write `?` as it is or as `%3F`) |
    /// | `custom_endpoint` | reads go only to its members; see [`Config::custom_endpoint`](Self::custom_endpoint) |
    /// | `application_name` | what the server's session list shows |
    /// | `pool_max`, `pool_min_idle` | connections per instance |
    /// | `pool_max_connecting`, `pool_max_waiting` | logins under way, and callers waiting, per instance; see [`PoolLimits`] |
    /// | `max_reader_lag` | duration; readers further behind get no reads |
    /// | `when_none` | where reads go without a reader: `member`, `writer`, `readers`, `wait`, `fail`; see [`WhenNone`] |
    /// | `writer_reads_percent` | how much of the writer's pool reads may hold then |
    /// | `zone`, `zone.INSTANCE`, `tier.INSTANCE` | this process' zone; an instance's zone, and its promotion tier |
    /// | `workload.NAME.KEY` | of the [`Workload`] NAME: `instances` (with commas), `tiers` (`2-15`), `custom_endpoint`, `pool_max`, `pool_min_idle`, `max_lag`, `when_none` |
    /// | `connect_timeout`, `checkout_timeout`, `failover_timeout`, `probe_interval`, `probe_timeout`, `idle_timeout`, `max_lifetime`, `slow_start` | durations; see [`Timing`] |
    /// | `insights`, `metrics`, `span_text`, `keep_literals`, `sqlcommenter` | `on` or `off`; see [`Observe`] |
    /// | `insights_max`, `slow_per_second`, `slow_sample` | numbers; see [`Observe`] |
    /// | `slow_statement` | duration; statements that take longer are logged |
    /// | `set.NAME` | a session setting |
    ///
    /// Durations are a whole number and a unit: `500ms`, `30s`, `2m`, `1h`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for anything not in the table, a key given twice, or a value that
    /// makes no sense; the message names the key, the value and what is allowed.
    pub fn from_url(url: &str) -> Result<Self> {
        url::parse(url)
    }

    /// Starts a configuration in code.
    pub fn builder(engine: EngineKind) -> ConfigBuilder {
        ConfigBuilder::new(engine)
    }

    /// Whether a monitor for this configuration does for the other, and its connections are as
    /// good as the other's own.
    pub(crate) fn leads_like(&self, other: &Self) -> bool {
        // Named one by one, so that a new field must be thought about.
        let Self {
            engine,
            seeds,
            credentials,
            database,
            application_name,
            instance_pattern,
            tls,
            root_certificates,
            dns_server,
            pool: _,
            max_reader_lag: _,
            when_none: _,
            writer_reads_percent: _,
            zone: _,
            labels: _,
            workloads: _,
            workload: _,
            custom_endpoint: _,
            timing,
            observe: _,
            settings,
            share_monitor,
        } = self;
        *share_monitor
            && other.share_monitor
            && *engine == other.engine
            && *seeds == other.seeds
            && credentials.same_as(&other.credentials)
            && *database == other.database
            && *application_name == other.application_name
            && *instance_pattern == other.instance_pattern
            && *tls == other.tls
            && *root_certificates == other.root_certificates
            && *dns_server == other.dns_server
            && timing.monitors_like(&other.timing)
            && *settings == other.settings
    }

    /// The configuration of one of its workloads, and whom that reads from, where it is known.
    pub(crate) fn for_workload(
        &self,
        name: &str,
        workload: &Workload,
    ) -> (Self, Option<BTreeSet<InstanceId>>) {
        let mut config = Self {
            pool: workload.pool,
            max_reader_lag: workload.max_lag,
            when_none: workload.when_none,
            workloads: BTreeMap::new(),
            workload: Some(name.to_owned()),
            ..self.clone()
        };
        let members = match &workload.members {
            Members::Inherited => None,
            Members::Instances(ids) => Some(ids.clone()),
            Members::Tiers(tiers) => {
                let of_tier =
                    |labels: &InstanceLabels| labels.tier.is_some_and(|tier| tiers.contains(&tier));
                let labelled = self.labels.iter();
                let members = labelled.filter(|(_, labels)| of_tier(labels));
                Some(members.map(|(id, _)| id.clone()).collect())
            }
            Members::CustomEndpoint(host) => {
                config.custom_endpoint = Some(host.clone());
                None
            }
        };
        (config, members)
    }

    /// How many of the writer's connections reads may hold; `None` where all.
    pub(crate) fn writer_reads_max(&self) -> Option<usize> {
        let percent = usize::from(self.writer_reads_percent);
        match percent {
            100.. => None,
            0 => Some(0),
            _ => Some((self.pool.max * percent / 100).max(1)),
        }
    }

    /// Whether an instance is known to be in another zone.
    pub(crate) fn is_far(&self, instance: &InstanceId) -> bool {
        let zone = self
            .labels
            .get(instance)
            .and_then(|labels| labels.zone.as_ref());
        match (&self.zone, zone) {
            (Some(own), Some(zone)) => own != zone,
            _ => false,
        }
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the field and the next step.
    pub fn validate(&self) -> Result<()> {
        if self.seeds.is_empty() {
            return Err(invalid(
                "no host is given: name the cluster endpoint, or any instance",
            ));
        }
        if self.seeds.len() > MAX_SEEDS {
            return Err(invalid(format!(
                "{} hosts are given, {MAX_SEEDS} are allowed: the cluster endpoint alone is enough",
                self.seeds.len()
            )));
        }
        for seed in &self.seeds {
            seed.validate()?;
        }
        self.credentials.validate()?;
        without_nul("the database name", self.database.as_deref())?;
        without_nul("application_name", self.application_name.as_deref())?;
        if let Some(endpoint) = &self.custom_endpoint {
            validate_custom_endpoint(endpoint)?;
        }
        if self.writer_reads_percent > 100 {
            return Err(invalid(format!(
                "writer_reads_percent is {}: use 0 to 100",
                self.writer_reads_percent
            )));
        }
        for (instance, labels) in &self.labels {
            labels.validate(instance)?;
        }
        for (name, workload) in &self.workloads {
            workload.validate(name)?;
            if let Members::Tiers(tiers) = &workload.members
                && self
                    .for_workload(name, workload)
                    .1
                    .is_some_and(|members| members.is_empty())
            {
                let (first, last) = tiers.clone().into_inner();
                return Err(invalid(format!(
                    "the workload `{name}` is of the tiers {first} to {last}, and no instance is \
                     labelled with one of these: label its members, such as `tier.INSTANCE={last}`"
                )));
            }
        }
        for (name, value) in &self.settings {
            validate_setting(name, value)?;
        }
        self.pool.validate()?;
        self.timing.validate()?;
        self.observe.validate()?;
        tls::validate(self.tls, self.root_certificates.as_ref())
    }
}

impl std::str::FromStr for Config {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        Self::from_url(url)
    }
}

/// An error of the configuration.
fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Both wire protocols end their strings with a zero byte, so none may hold one.
fn without_nul(what: &str, text: Option<&str>) -> Result<()> {
    match text {
        Some(text) if text.contains('\0') => Err(invalid(format!(
            "{what} holds a zero byte, which neither engine can take: remove it"
        ))),
        _ => Ok(()),
    }
}

fn validate_custom_endpoint(endpoint: &str) -> Result<()> {
    let reason = match Host::parse(endpoint) {
        Ok(Host::Name(_)) => return Ok(()),
        Ok(Host::Address(_)) => "it is an address, which leads to one instance for ever".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(invalid(format!(
        "custom_endpoint makes no sense: {reason}; give its host name alone, such as \
         `reports.cluster-custom-abc123.eu-west-1.rds.amazonaws.com`"
    )))
}

/// Setting names end up in start-up packets and `SET` statements, so they are kept to the
/// characters that both engines' names are made of.
fn validate_setting(name: &str, value: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(invalid(format!(
            "`{}` is no name of a session setting: use letters, digits, `_` and `.`",
            name.escape_debug()
        )));
    }
    without_nul("a session setting", Some(value))
}

#[cfg(test)]
mod tests;
