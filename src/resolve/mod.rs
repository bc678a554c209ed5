//! From names to addresses: what an RDS host name says ([`Endpoint`]), how an instance's
//! identifier becomes a host name ([`InstancePattern`]), and which addresses a name has now
//! ([`Resolver`]).
//!
//! The first two are pure. Who the writer is, is not decided here: names are seeds and hints.

mod answers;
mod dns;
mod endpoint;
mod pattern;

pub(crate) use dns::Resolver;
pub use endpoint::{Endpoint, EndpointKind};
pub use pattern::InstancePattern;
pub(crate) use pattern::{for_config as instance_pattern, missing as missing_pattern};
