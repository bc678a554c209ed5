//! The connections to each instance, and what keeps them fit to be handed out.
//!
//! - [`set`]: [`PoolSet`](set::PoolSet), one pool per instance, following the topology; it is
//!   also how the monitor reaches the instances.
//! - [`instance`]: the pool of one instance, on `deadpool`, keyed by instance and never by role.
//! - [`member`]: what that pool and the monitor's probes share of the instance.
//! - [`manager`]: how `deadpool` opens and checks a connection.
//! - [`lease`]: [`Connection`](lease::Connection), a connection that is checked out.
//! - [`queryable`]: `mysql_async`'s query interface for it.
//! - [`sweep`]: ends idle connections that are unfit, and keeps a minimum ready.
//! - [`dialer`]: from an instance's name to an open connection.
//!
//! Which instance to use is decided in `routing`.

pub(crate) mod dialer;
pub(crate) mod instance;
pub(crate) mod lease;
mod manager;
mod member;
#[cfg(feature = "mysql")]
mod queryable;
pub(crate) mod set;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;
