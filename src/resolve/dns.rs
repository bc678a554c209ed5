//! The resolver: asks DNS, briefly, and remembers the answers for a few seconds at most.
//!
//! It exists because a stale address is how failovers hurt: the system's resolver may cache for
//! a minute, and an old writer comes back under its old address as a reader.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::{Hosts, TokioResolver};

pub(crate) use super::answers::Lookup;
use super::answers::{Absent, Answer, Answers, Recall};
use super::endpoint::Endpoint;
use crate::config::timing::{
    DNS_ATTEMPT_TIMEOUT, DNS_LOOKUP_TIMEOUT, DNS_MAX_NEGATIVE_TTL, DNS_MIN_TTL,
    DNS_REFRESH_TIMEOUT, DNS_RETRY_DELAY,
};
use crate::config::{Config, Host};
use crate::error::{Error, ErrorKind, Result};
use crate::time;

/// Finds the addresses of host names. Cheap to clone; clones share what is remembered.
///
/// No file is read and no socket opened before the first look-up.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    max_ttl: Duration,
    client: OnceLock<TokioResolver>,
    /// The system's hosts file, read once.
    hosts: OnceLock<Hosts>,
    answers: Mutex<Answers>,
}

/// Who is asked.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// What the system is configured to ask.
    System,
    /// One server.
    Server(SocketAddr),
}

/// Names remembered at a time: a cluster has at most 16 instances and a handful of endpoints.
const MAX_NAMES: usize = 256;
/// Addresses taken from one answer; a hostile server may send thousands.
const MAX_ADDRESSES: usize = 16;

impl Resolver {
    /// A resolver that asks what the configuration names.
    pub(crate) fn new(config: &Config) -> Self {
        Self::from_parts(config.dns_server, config.timing.dns_max_ttl)
    }

    fn from_parts(server: Option<SocketAddr>, max_ttl: Duration) -> Self {
        Self(Arc::new(Inner {
            source: server.map_or(Source::System, Source::Server),
            max_ttl,
            client: OnceLock::new(),
            hosts: OnceLock::new(),
            answers: Mutex::new(Answers::new(MAX_NAMES)),
        }))
    }

    /// The addresses of `host`: IPv4 where it has any, else IPv6.
    ///
    /// Where the servers fail, the last known addresses are returned, marked as stale. A server's
    /// word that the name does not exist is not a failure, and ends their use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for what is no host name; [`ErrorKind::Resolve`] where the name has
    /// no address, or no server answers and nothing is known.
    ///
    /// # Cancellation
    ///
    /// It may be dropped at any await: nothing is held then, and what is remembered changes in
    /// one step after the last.
    pub(crate) async fn lookup(&self, host: &str) -> Result<Lookup> {
        let name = match Host::parse(host)? {
            Host::Address(address) => return Ok(literal(address)),
            Host::Name(name) => name,
        };
        let (name, use_hosts) = self.question(name)?;

        let limit = match self.answers().recall(&name, time::now()) {
            Recall::Fresh(answer) => return answer.map_err(|absent| self.absent(host, absent)),
            Recall::Stale(_) => DNS_REFRESH_TIMEOUT,
            Recall::Unknown => DNS_LOOKUP_TIMEOUT,
        };
        let asked = tokio::time::timeout(limit, self.0.ask(&name, use_hosts)).await;

        let now = time::now();
        match asked.unwrap_or(Err(Failure::Silence(limit))) {
            Ok((answer, seconds)) => {
                let cap = match &answer {
                    Ok(_) => self.0.max_ttl,
                    Err(_) => DNS_MAX_NEGATIVE_TTL,
                };
                let ttl = self.0.ttl(seconds, cap);
                self.answers().learn(&name, answer.clone(), ttl, now);
                answer.map_err(|absent| self.absent(host, absent))
            }
            Err(failure) => {
                let known = self.answers().servers_failed(&name, DNS_RETRY_DELAY, now);
                if known.is_some() {
                    tracing::warn!(host, %failure, "name look-up failed; its last known addresses are used");
                }
                known.ok_or_else(|| self.failed(host, failure))
            }
        }
    }

    /// What the servers answer for `host` now, whatever is remembered of it, and remembering
    /// nothing; and for how long a cache that gave it goes on giving it, as the records say.
    ///
    /// # Errors
    ///
    /// As [`lookup`](Self::lookup).
    pub(crate) async fn ask_anew(&self, host: &str) -> Result<(Lookup, Duration)> {
        let name = match Host::parse(host)? {
            Host::Address(address) => return Ok((literal(address), Duration::MAX)),
            Host::Name(name) => name,
        };
        let (name, use_hosts) = self.question(name)?;
        let limit = DNS_LOOKUP_TIMEOUT;
        let asked = tokio::time::timeout(limit, self.0.ask(&name, use_hosts)).await;
        match asked.unwrap_or(Err(Failure::Silence(limit))) {
            Ok((Ok(lookup), seconds)) => Ok((lookup, Duration::from_secs(seconds.into()))),
            Ok((Err(absent), _)) => Err(self.absent(host, absent)),
            Err(failure) => Err(self.failed(host, failure)),
        }
    }

    /// How a name is asked for, and whether the hosts file may know it.
    fn question(&self, name: String) -> Result<(String, bool)> {
        let endpoint = Endpoint::parse(&name)?;
        let use_hosts = match self.0.source {
            Source::System => true,
            Source::Server(_) => !endpoint.is_rds(),
        };
        // The final dot keeps search domains from being tried, which a name of RDS's never needs.
        let name = if endpoint.is_rds() {
            format!("{}.", endpoint.host())
        } else {
            name
        };
        Ok((name, use_hosts))
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        // Each change is one call, so a panic elsewhere leaves nothing half done.
        self.0
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn absent(&self, host: &str, absent: Absent) -> Error {
        let source = self.0.source;
        let message = match absent {
            Absent::Name => format!(
                "the host name `{host}` does not exist according to {source}: check its spelling; a \
                 deleted instance loses its name at once"
            ),
            Absent::Address => format!(
                "the host name `{host}` has neither an IPv4 nor an IPv6 address according to {source}: \
                 check that it names a database endpoint"
            ),
        };
        Error::new(ErrorKind::Resolve, message)
    }

    fn failed(&self, host: &str, failure: Failure) -> Error {
        let source = self.0.source;
        let message = format!(
            "the host name `{host}` could not be resolved by {source}: {failure}; check that it \
             can be reached, or name another one with `dns=ip:port`"
        );
        let error = Error::new(ErrorKind::Resolve, message);
        match failure {
            Failure::Dns(cause) => error.with_source(cause),
            Failure::Silence(_) => error,
        }
    }
}

/// Why nobody answered.
#[derive(Debug)]
enum Failure {
    Dns(NetError),
    Silence(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(cause) => cause.fmt(f),
            Self::Silence(limit) => write!(f, "no answer within {limit:?}"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the system's DNS servers"),
            Self::Server(server) => write!(f, "the DNS server {server}"),
        }
    }
}

impl Inner {
    /// Asks the hosts file and then the servers; the answer, and how many seconds its records live.
    async fn ask(&self, name: &str, use_hosts: bool) -> Result<(Answer, u32), Failure> {
        let name = Name::from_ascii(name).map_err(|cause| Failure::Dns(cause.into()))?;
        if use_hosts && let Some(found) = self.ask_hosts(&name) {
            return Ok((Ok(found), u32::MAX));
        }
        let client = self.client().map_err(Failure::Dns)?;
        let mut absent = (Absent::Address, 0);
        // One after the other: an answer with IPv4 addresses needs no second query, and a failed
        // first one must not be hidden by "none" for the second.
        for kind in [RecordType::A, RecordType::AAAA] {
            match client.lookup(name.clone(), kind).await {
                Ok(found) => {
                    let records = found.answers();
                    if let Some(lookup) = from_records(records) {
                        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
                        return Ok((Ok(lookup), ttl));
                    }
                }
                Err(error) => {
                    let is_nx_domain = error.is_nx_domain();
                    let NetError::Dns(DnsError::NoRecordsFound(none)) = error else {
                        return Err(Failure::Dns(error));
                    };
                    let ttl = none.negative_ttl.unwrap_or(0);
                    let reason = if is_nx_domain {
                        Absent::Name
                    } else {
                        Absent::Address
                    };
                    absent = (reason, ttl);
                }
            }
        }
        Ok((Err(absent.0), absent.1))
    }

    fn ask_hosts(&self, name: &Name) -> Option<Lookup> {
        // A hosts file that cannot be read is as good as an empty one, as for the system itself.
        let hosts = self
            .hosts
            .get_or_init(|| Hosts::from_system().unwrap_or_default());
        [RecordType::A, RecordType::AAAA]
            .into_iter()
            .find_map(|kind| {
                let found = hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
                from_records(found.answers())
            })
    }

    /// The time to live to go by: what the servers say, within our own bounds.
    fn ttl(&self, seconds: u32, cap: Duration) -> Duration {
        Duration::from_secs(seconds.into())
            .max(DNS_MIN_TTL)
            .min(cap)
            .min(self.max_ttl)
    }

    fn client(&self) -> Result<&TokioResolver, NetError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let mut builder = match self.source {
            Source::System => TokioResolver::builder_tokio()?,
            Source::Server(server) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                let connections = connections.map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                let server = NameServerConfig::new(server.ip(), true, connections.into());
                TokioResolver::builder_with_config(
                    ResolverConfig::from_name_servers(vec![server]),
                    TokioRuntimeProvider::default(),
                )
            }
        };
        configure(builder.options_mut());
        let client = builder.build()?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// Everything that is kept and bounded here is switched off there.
fn configure(options: &mut ResolverOpts) {
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = DNS_ATTEMPT_TIMEOUT;
    options.attempts = (DNS_LOOKUP_TIMEOUT.as_millis() / DNS_ATTEMPT_TIMEOUT.as_millis()) as usize;
}

fn literal(address: IpAddr) -> Lookup {
    Lookup {
        addresses: [address].into(),
        canonical: None,
        stale: false,
    }
}

/// The addresses in an answer, and the name that owns them; `None` where it holds none.
fn from_records(records: &[Record]) -> Option<Lookup> {
    let owner = records
        .iter()
        .find(|record| record.data.ip_addr().is_some())?;
    let canonical = owner.name.to_lowercase().to_ascii();
    let canonical = canonical.strip_suffix('.').unwrap_or(&canonical);
    let addresses = records.iter().filter_map(|record| record.data.ip_addr());
    Some(Lookup {
        addresses: addresses.take(MAX_ADDRESSES).collect(),
        canonical: Some(canonical.into()),
        stale: false,
    })
}

#[cfg(all(test, feature = "sim"))]
mod tests;
