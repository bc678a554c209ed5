//! The connections to each instance, and what keeps them fit to be handed out.
//!
//! - [`roster`]: how the monitor reaches the instances, for all handles to a cluster.
//! - [`scope`]: keeps a handle's reads to the members of custom endpoints.
//! - [`station`]: one instance as the monitor knows it, with the connection that it keeps there.
//! - [`routes`]: where writes and reads go now, with the pools at hand.
//! - [`set`]: [`PoolSet`](set::PoolSet), one handle's pools, one per instance.
//! - [`instance`]: the pool of one instance, on `deadpool`, keyed by instance and never by role.
//! - [`member`]: one instance as one handle uses it.
//! - [`manager`]: what `deadpool` keeps, and how it asks for a connection.
//! - [`supply`]: where connections come from: connects in the background, and what comes back.
//! - [`gate`]: whether another login may begin now. Pure.
//! - [`obstacle`]: why a connect failed, for several callers.
//! - [`lease`]: [`Connection`](lease::Connection), a connection that is checked out.
//! - [`queryable`]: `mysql_async`'s query interface for it.
//! - [`sweep`]: ends idle connections that are unfit, and keeps a minimum ready.
//! - [`upkeep`]: keeps the monitor's connections to the readers alive.
//! - [`watch`]: finds instances that owe answers and send nothing.
//! - [`plain`]: names servers that have none of Aurora's tables. Pure.
//! - [`dialer`]: from an instance's name to an open connection.
//!
//! Which instance to use is decided in `routing`.

pub(crate) mod dialer;
#[cfg(test)]
mod fixtures;
mod gate;
pub(crate) mod instance;
pub(crate) mod lease;
mod manager;
mod member;
mod obstacle;
mod plain;
#[cfg(feature = "mysql")]
mod queryable;
pub(crate) mod roster;
pub(crate) mod routes;
pub(crate) mod scope;
pub(crate) mod set;
mod station;
mod supply;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;
pub(crate) mod upkeep;
pub(crate) mod watch;
