//! From names to addresses: what an RDS host name says ([`Endpoint`]), how an instance's
//! identifier becomes a host name ([`InstancePattern`]), which addresses a name has now
//! ([`Resolver`]), and who belongs to a custom endpoint ([`members`]).
//!
//! All but the resolver are pure. Who the writer is, is not decided here: names are seeds and hints.

mod answers;
mod dns;
mod endpoint;
pub(crate) mod members;
mod pattern;

pub(crate) use dns::{Lookup, Resolver};
pub use endpoint::{Endpoint, EndpointKind};
pub use pattern::InstancePattern;
pub(crate) use pattern::{for_config as instance_pattern, missing as missing_pattern};

use crate::config::Config;

/// What the cluster is called in what is told of it: its identifier where a seed is one of its
/// endpoints, otherwise the first seed's host.
pub(crate) fn cluster_name(config: &Config) -> String {
    let of_endpoint = config.seeds.iter().find_map(|seed| {
        let endpoint = Endpoint::parse(&seed.host).ok()?;
        match endpoint.kind() {
            EndpointKind::Cluster | EndpointKind::Reader => Some(endpoint.identifier()?.to_owned()),
            _ => None,
        }
    });
    let first = || config.seeds.first().map(|seed| seed.host.clone());
    of_endpoint.or_else(first).unwrap_or_default()
}
