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
