//! How an instance's identifier becomes its host name, and back.

use std::fmt;
use std::str::FromStr;

use super::endpoint::{Endpoint, EndpointKind};
use crate::config::{Config, Host, HostPort, host};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;

/// A host name with `?` in place of an instance's identifier, and perhaps a port.
///
/// The cluster's own tables name instances by identifier alone, so this is how the driver finds
/// their hosts.
///
/// ```
/// use aurora_driver::InstanceId;
/// use aurora_driver::endpoint::{Endpoint, InstancePattern};
///
/// let pattern: InstancePattern = "?.db.internal:3307".parse()?;
/// let host = pattern.host_for(&InstanceId::new("instance-1"), 3306)?;
/// assert_eq!(host.to_string(), "instance-1.db.internal:3307");
///
/// let endpoint = Endpoint::parse("demo.cluster-abc123.eu-west-1.rds.amazonaws.com")?;
/// let pattern = InstancePattern::derive(&endpoint)?;
/// assert_eq!(pattern.to_string(), "?.abc123.eu-west-1.rds.amazonaws.com");
/// # Ok::<(), aurora_driver::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstancePattern {
    before: String,
    after: String,
    port: Option<u16>,
}

impl InstancePattern {
    /// The pattern of the instances beside an RDS endpoint.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where the name does not tell it: foreign names, addresses, and
    /// endpoints that hide their instances. The message says what to give instead.
    pub fn derive(endpoint: &Endpoint) -> Result<Self> {
        let reason = match (endpoint.kind(), endpoint.domain()) {
            (
                EndpointKind::Cluster
                | EndpointKind::Custom
                | EndpointKind::Instance
                | EndpointKind::Reader,
                Some(domain),
            ) => {
                return Ok(Self {
                    before: String::new(),
                    after: format!(".{domain}"),
                    port: None,
                });
            }
            (EndpointKind::Proxy, _) => {
                return Err(invalid(format!(
                    "`{endpoint}` is an RDS Proxy, which hides the instances: use the cluster \
                     endpoint instead"
                )));
            }
            (EndpointKind::Global, _) => {
                "a global endpoint, which does not tell the region of the instances"
            }
            (EndpointKind::ShardGroup, _) => "a shard group, which hides its instances",
            (EndpointKind::LoadBalancer, _) => "a load balancer, which hides its instances",
            (EndpointKind::Address, _) => "an address, which does not tell the instances' names",
            _ => "no RDS name, so it does not tell the instances' names",
        };
        Err(invalid(format!(
            "`{endpoint}` is {reason}: give instance_pattern, with `?` for the instance \
             identifier, such as `?.abc123.eu-west-1.rds.amazonaws.com`"
        )))
    }

    /// The host of an instance; the port is the pattern's own, or else `default_port`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an identifier that cannot be part of a host name. Identifiers
    /// come from the server's tables, so this guards against being led astray by them.
    pub fn host_for(&self, instance: &InstanceId, default_port: u16) -> Result<HostPort> {
        let name = instance.as_str();
        if !is_identifier(name) {
            let shown: String = name.chars().take(80).collect();
            return Err(invalid(format!(
                "`{}` is no instance identifier: they are 1 to 63 letters, digits, `-` and `_`",
                shown.escape_debug()
            )));
        }
        let host = format!("{}{name}{}", self.before, self.after);
        let host = Host::parse(&host)?.into_text();
        Ok(HostPort::new(host, self.port.unwrap_or(default_port)))
    }

    /// The instance that a host name belongs to, where it fits the pattern.
    pub fn instance_of(&self, host: &str) -> Option<InstanceId> {
        let host = Host::parse(host).ok()?.into_text();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let name = host
            .strip_prefix(&*self.before)?
            .strip_suffix(&*self.after)?;
        is_identifier(name).then(|| InstanceId::new(name))
    }
}

impl FromStr for InstancePattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |reason: &str| {
            let shown: String = text.chars().take(80).collect();
            invalid(format!(
                "`{}` is no instance_pattern: {reason}",
                shown.escape_debug()
            ))
        };
        let (name, port) = host::split_port(text)?;
        let port = port.map(host::parse_port).transpose()?;
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let name = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        let Some((before, after)) = name.split_once('?') else {
            return Err(refuse(
                "it needs a `?` in place of the instance identifier, such as `?.db.internal`",
            ));
        };
        if after.contains('?') {
            return Err(refuse("it has more than one `?`"));
        }
        // Any identifier does to see whether the rest is well formed; a digit fits addresses.
        let example = Host::parse(&format!("{before}1{after}"))
            .map_err(|_| refuse("it gives no valid host names"))?;
        if let Host::Name(_) = example {
            let endpoint = Endpoint::parse(&format!("{before}a{after}"))?;
            if endpoint.is_rds() && endpoint.kind() != EndpointKind::Instance {
                return Err(refuse(&format!(
                    "it gives {} endpoints, not instances: leave out the part before the account's \
                     own, as in `?.abc123.eu-west-1.rds.amazonaws.com`",
                    endpoint.kind()
                )));
            }
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
            port,
        })
    }
}

impl fmt::Display for InstancePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            before,
            after,
            port,
        } = self;
        if before.contains(':') {
            write!(f, "[{before}?{after}]")?;
        } else {
            write!(f, "{before}?{after}")?;
        }
        match port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The pattern that a configuration asks for, or that its seeds agree on; `None` where the seeds
/// may lead to servers that need none, as they have no identifiers.
///
/// The first seed that tells a pattern decides unless another contradicts it: guessing here
/// would have every look-up of an instance fail later, and slowly.
pub(crate) fn for_config(config: &Config) -> Result<Option<InstancePattern>> {
    if let Some(pattern) = &config.instance_pattern {
        return pattern.parse().map(Some);
    }
    let mut agreed: Option<(InstancePattern, &HostPort)> = None;
    let mut first_refusal = None;
    for seed in &config.seeds {
        let endpoint = Endpoint::parse(&seed.host)?;
        match InstancePattern::derive(&endpoint) {
            Ok(pattern) => match &agreed {
                Some((other, other_seed)) if *other != pattern => {
                    return Err(invalid(format!(
                        "`{}` and `{}` lie in different domains, so they cannot be one cluster: \
                         leave one out, or give instance_pattern",
                        other_seed.host, seed.host
                    )));
                }
                Some(_) => {}
                None => agreed = Some((pattern, seed)),
            },
            Err(refusal) if endpoint.is_rds() => {
                first_refusal.get_or_insert(refusal);
            }
            Err(_) => {}
        }
    }
    match (agreed, first_refusal) {
        (Some((pattern, _)), _) => Ok(Some(pattern)),
        (None, Some(refusal)) => Err(refusal),
        (None, None) => Ok(None),
    }
}

/// Why the seeds tell no pattern, and what to give instead.
pub(crate) fn missing(config: &Config) -> Error {
    let refused =
        |seed: &HostPort| InstancePattern::derive(&Endpoint::parse(&seed.host).ok()?).err();
    let refusal = config.seeds.iter().find_map(refused);
    refusal.unwrap_or_else(|| invalid("no host is given: name the cluster endpoint"))
}

/// RDS identifiers have up to 63 letters, digits and hyphens; other clusters' names of servers
/// may hold an underscore, or be a number.
fn is_identifier(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern_of(url: &str) -> Result<String> {
        let config = Config::from_url(url)?;
        let pattern = for_config(&config)?.ok_or_else(|| missing(&config))?;
        Ok(pattern.to_string())
    }

    #[test]
    fn an_explicit_pattern_wins_over_what_the_seeds_say() {
        let url = "mysql://app@demo.cluster-abc123.eu-west-1.rds.amazonaws.com?sslmode=disable\
                   &instance_pattern=?.tunnel:3307";
        assert_eq!(pattern_of(url).unwrap(), "?.tunnel:3307");
    }

    #[test]
    fn one_seed_that_tells_the_pattern_is_enough_and_others_may_be_foreign() {
        let url = "mysql://app@db.example,i-1.abc123.eu-west-1.rds.amazonaws.com?sslmode=disable";
        assert_eq!(
            pattern_of(url).unwrap(),
            "?.abc123.eu-west-1.rds.amazonaws.com"
        );
    }

    #[test]
    fn seeds_of_different_domains_are_refused() {
        let url = "mysql://app@i-1.abc123.eu-west-1.rds.amazonaws.com,\
                   i-1.xyz789.eu-west-1.rds.amazonaws.com?sslmode=disable";
        let message = pattern_of(url).unwrap_err().to_string();
        assert!(message.contains("different domains"), "{message}");
    }

    #[test]
    fn foreign_seeds_tell_no_pattern_and_where_one_is_missed_the_next_step_is_told() {
        let url = "mysql://app@db.example?sslmode=disable";
        let config = Config::from_url(url).unwrap();
        assert_eq!(for_config(&config).unwrap(), None);
        let message = pattern_of(url).unwrap_err().to_string();
        assert!(
            message.contains("`db.example`") && message.contains("give instance_pattern"),
            "{message}"
        );
    }

    #[test]
    fn an_rds_name_that_hides_its_instances_is_refused_before_anybody_is_asked() {
        let url = "mysql://app@demo.proxy-abc123.eu-west-1.rds.amazonaws.com?sslmode=disable";
        let refused = for_config(&Config::from_url(url).unwrap()).unwrap_err();
        assert!(refused.to_string().contains("RDS Proxy"), "{refused}");
    }

    #[test]
    fn an_identifier_from_a_servers_table_cannot_lead_to_another_domain() {
        let pattern: InstancePattern = "?.db.internal".parse().unwrap();
        for hostile in [
            "",
            "a.evil.example",
            "a/b",
            "a:1",
            "a b",
            "a\0",
            "ü",
            &"x".repeat(64),
        ] {
            let refused = pattern.host_for(&InstanceId::new(hostile), 1);
            assert_eq!(
                refused.unwrap_err().kind(),
                ErrorKind::Config,
                "{hostile:?}"
            );
        }
    }

    #[test]
    fn host_for_and_instance_of_undo_each_other() {
        for (pattern, instance) in [
            ("?.abc123.eu-west-1.rds.amazonaws.com", "instance-1"),
            ("db-?.internal:3307", "7"),
            ("127.0.0.?", "12"),
            ("[fd00::?]:6000", "2"),
            ("?", "standby_1"),
        ] {
            let pattern: InstancePattern = pattern.parse().unwrap();
            let instance = InstanceId::new(instance);
            let host = pattern.host_for(&instance, 5432).unwrap().host;
            assert_eq!(pattern.instance_of(&host), Some(instance), "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in ".*", host in ".*") {
            let _ = Endpoint::parse(&text).map(|endpoint| InstancePattern::derive(&endpoint));
            if let Ok(pattern) = text.parse::<InstancePattern>() {
                let _ = pattern.instance_of(&host);
                let _ = pattern.host_for(&InstanceId::new(&host), 1);
            }
        }
    }
}
