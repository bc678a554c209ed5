//! The grammar of RDS host names, read label by label from the right.
//!
//! ```text
//! demo . cluster-ro-abc123 . eu-west-1 . rds . amazonaws . com
//! │      │          │        └────────┬─────┘  └──────┬──────┘
//! │      │          │        region and service       partition
//! │      │          account and region (the "xyz" of the instance names)
//! │      kind
//! identifier
//! ```
//! Facts: "Amazon Aurora endpoint connections" in the Aurora user guide, and the names that
//! AWS's own drivers accept.

use std::fmt;

use crate::config::Host;
use crate::error::Result;

/// A host name, and what it says about the cluster when it is one of RDS's.
///
/// ```
/// use aurora_driver::endpoint::{Endpoint, EndpointKind};
///
/// let endpoint = Endpoint::parse("Demo.cluster-ro-abc123.eu-west-1.rds.amazonaws.com.")?;
/// assert_eq!(endpoint.kind(), EndpointKind::Reader);
/// assert_eq!(endpoint.identifier(), Some("demo"));
/// assert_eq!(endpoint.region(), Some("eu-west-1"));
/// assert_eq!(endpoint.domain(), Some("abc123.eu-west-1.rds.amazonaws.com"));
/// # Ok::<(), aurora_driver::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: String,
    kind: EndpointKind,
    /// Ends of parts of `host`: the identifier is its beginning, the domain its end.
    identifier_len: usize,
    domain_len: usize,
    region: Option<String>,
}

/// What a host name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EndpointKind {
    /// A literal IPv4 or IPv6 address.
    Address,
    /// The cluster endpoint, which follows the writer with some delay.
    Cluster,
    /// A custom endpoint: a chosen set of instances.
    Custom,
    /// Any other name: a CNAME of your own, `localhost`, a container.
    Foreign,
    /// The writer endpoint of a global database.
    Global,
    /// One instance.
    Instance,
    /// An AWS load balancer, which hides what is behind it.
    LoadBalancer,
    /// An RDS Proxy, or one of its own endpoints; it hides the instances.
    Proxy,
    /// The reader endpoint, which gives one reader after another.
    Reader,
    /// A shard group of Aurora PostgreSQL Limitless Database.
    ShardGroup,
}

impl EndpointKind {
    /// The name in logs and errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Cluster => "cluster",
            Self::Custom => "custom",
            Self::Foreign => "foreign",
            Self::Global => "global",
            Self::Instance => "instance",
            Self::LoadBalancer => "load balancer",
            Self::Proxy => "proxy",
            Self::Reader => "reader",
            Self::ShardGroup => "shard group",
        }
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Endpoint {
    /// Reads a host name or address, without a port. Case and one final dot do not matter.
    ///
    /// A name that is not of RDS's grammar is [`EndpointKind::Foreign`], not an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for what is no host name at all.
    pub fn parse(host: &str) -> Result<Self> {
        let name = match Host::parse(host)? {
            Host::Address(address) => {
                return Ok(Self::plain(address.to_string(), EndpointKind::Address));
            }
            Host::Name(name) => name,
        };
        let name = name.strip_suffix('.').unwrap_or(&name);
        Ok(parse_aws(name).unwrap_or_else(|| Self::plain(name.to_owned(), EndpointKind::Foreign)))
    }

    fn plain(host: String, kind: EndpointKind) -> Self {
        Self {
            host,
            kind,
            identifier_len: 0,
            domain_len: 0,
            region: None,
        }
    }

    /// The name in lower case without a final dot, or the address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What the name stands for.
    pub fn kind(&self) -> EndpointKind {
        self.kind
    }

    /// The identifier of the cluster, custom endpoint, instance, proxy, shard group or global
    /// database; `None` for names that are not RDS's.
    pub fn identifier(&self) -> Option<&str> {
        (self.identifier_len > 0).then(|| &self.host[..self.identifier_len])
    }

    /// The domain of the account's instances in the region, `abc123.eu-west-1.rds.amazonaws.com`.
    ///
    /// `None` where the name does not tell it: a global endpoint names no region.
    pub fn domain(&self) -> Option<&str> {
        (self.domain_len > 0).then(|| &self.host[self.host.len() - self.domain_len..])
    }

    /// The AWS region, where the name tells it.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Whether RDS's own name servers answer for the name.
    pub(crate) fn is_rds(&self) -> bool {
        match self.kind {
            EndpointKind::Cluster
            | EndpointKind::Custom
            | EndpointKind::Global
            | EndpointKind::Instance
            | EndpointKind::Proxy
            | EndpointKind::Reader
            | EndpointKind::ShardGroup => true,
            EndpointKind::Address | EndpointKind::Foreign | EndpointKind::LoadBalancer => false,
        }
    }

    /// Whether it belongs to the green side of a blue/green deployment: RDS appends
    /// `-green-` and six letters or digits to the identifier until the switchover.
    pub fn is_green(&self) -> bool {
        let suffix = self
            .identifier()
            .and_then(|id| id.rsplit_once("-green-"))
            .map(|(_, suffix)| suffix);
        suffix.is_some_and(|suffix| suffix.len() == 6 && is_alphanumeric(suffix))
    }

    /// Whether it was retired by a blue/green switchover, which appends `-old1` (or a later
    /// number).
    pub fn is_retired(&self) -> bool {
        let number = self
            .identifier()
            .and_then(|id| id.rsplit_once("-old"))
            .map(|(_, number)| number);
        number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

/// The ends of AWS's names, by partition: commercial, European sovereign and announced national
/// clouds, China, and the two that serve the United States' secret regions.
const PARTITIONS: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "amazonaws.au",
    "amazonaws.uk",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
];

/// What stands before the account's part in the second label, the longest first.
const PREFIXES: [(&str, EndpointKind); 6] = [
    ("cluster-custom-", EndpointKind::Custom),
    ("cluster-ro-", EndpointKind::Reader),
    ("cluster-", EndpointKind::Cluster),
    ("global-", EndpointKind::Global),
    ("proxy-", EndpointKind::Proxy),
    ("shardgrp-", EndpointKind::ShardGroup),
];

/// Reads a name of AWS's; `None` for all others.
fn parse_aws(host: &str) -> Option<Endpoint> {
    let (labels, partition) = PARTITIONS.into_iter().find_map(|partition| {
        let labels = host.strip_suffix(partition)?.strip_suffix('.')?;
        Some((labels, partition))
    })?;
    if let Some(region) = load_balancer_region(labels) {
        return Some(Endpoint {
            region: Some(region.to_owned()),
            ..Endpoint::plain(host.to_owned(), EndpointKind::LoadBalancer)
        });
    }

    // Commercial regions put the region before the service, China's newer names, GovCloud and
    // the secret regions the service before the region.
    let (labels, last) = labels.rsplit_once('.')?;
    let (labels, second_last) = labels.rsplit_once('.')?;
    let region = match (is_service(second_last), is_service(last)) {
        (false, true) => second_last,
        (true, false) => last,
        _ => return None,
    };
    let tail_len = second_last.len() + last.len() + partition.len() + 2;

    let (identifier, account) = labels.rsplit_once('.')?;
    let (kind, account) = kind_of(account);
    // A proxy's own endpoints have one more label.
    let identifier = match kind {
        EndpointKind::Proxy => identifier.strip_suffix(".endpoint").unwrap_or(identifier),
        _ => identifier,
    };
    let is_global = kind == EndpointKind::Global;
    if !is_alphanumeric(account) || !is_identifier(identifier) || is_global != (region == "global")
    {
        return None;
    }
    let domain_len = account.len() + 1 + tail_len;
    Some(Endpoint {
        host: host.to_owned(),
        kind,
        identifier_len: identifier.len(),
        domain_len: if is_global { 0 } else { domain_len },
        region: (!is_global).then(|| region.to_owned()),
    })
}

/// Tells the kind of the second label, and gives the rest of it.
fn kind_of(label: &str) -> (EndpointKind, &str) {
    PREFIXES
        .into_iter()
        .find_map(|(prefix, kind)| Some((kind, label.strip_prefix(prefix)?)))
        .unwrap_or((EndpointKind::Instance, label))
}

/// The region of `name.elb.region` (network) and `name.region.elb` (the older kinds).
fn load_balancer_region(labels: &str) -> Option<&str> {
    let (rest, last) = labels.rsplit_once('.')?;
    let (_, second_last) = rest.rsplit_once('.')?;
    match (second_last, last) {
        ("elb", region) | (region, "elb") => Some(region),
        _ => None,
    }
}

fn is_service(label: &str) -> bool {
    matches!(label, "rds" | "rds-fips")
}

fn is_alphanumeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// RDS identifiers hold letters, digits and hyphens, and begin with a letter; clusters of the
/// Multi-AZ kind may be known by a number in tables, but not in names.
fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
