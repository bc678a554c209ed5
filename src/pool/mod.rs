//! The connections to each instance, and what keeps them fit to be handed out.
//!
//! - [`roster`]: how the monitor reaches the instances, for all handles to a cluster.
//! - [`station`]: one instance as the monitor knows it, with the connection that it keeps there.
//! - [`set`]: [`PoolSet`](set::PoolSet), one handle's pools, one per instance.
//! - [`instance`]: the pool of one instance, on `deadpool`, keyed by instance and never by role.
//! - [`member`]: one instance as one handle uses it.
//! - [`manager`]: how `deadpool` opens and checks a connection.
//! - [`lease`]: [`Connection`](lease::Connection), a connection that is checked out.
//! - [`queryable`]: `mysql_async`'s query interface for it.
//! - [`sweep`]: ends idle connections that are unfit, and keeps a minimum ready.
//! - [`upkeep`]: keeps the monitor's connections to the readers alive.
//! - [`watch`]: finds instances that owe answers and send nothing.
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
pub(crate) mod roster;
pub(crate) mod set;
mod station;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;
pub(crate) mod upkeep;
pub(crate) mod watch;
