//! What an instance does with connections, whatever the cluster has made of it.

use std::fmt;
use std::time::Duration;

/// What an instance does with connections and logins, set by
/// [`SimCluster::set_listener`](crate::sim::SimCluster::set_listener).
///
/// It is independent of the instance's role and of its restarts, and lasts until it is set anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ListenerState {
    /// Connections are served as long as the instance is up.
    #[default]
    Normal,
    /// The port refuses. Established connections go on.
    Refusing,
    /// The host has fallen silent. Established connections are neither answered nor closed, and
    /// connects hang, since their first packet is dropped. The kernel still acknowledges data on
    /// established connections, which a dead host would not. The cluster takes the instance for
    /// lost: a silent writer is replaced.
    Silent,
    /// Each answer comes so much later, logins included.
    Slow(Duration),
    /// Established connections go on; logins are turned away as by a server that shuts down
    /// (PostgreSQL 57P03, MySQL 1053).
    Draining,
    /// Logins are turned away for want of connections (PostgreSQL 53300, MySQL 1040).
    Full,
    /// PostgreSQL turns logins away as while it starts (57P03). MySQL, which opens its port late,
    /// resets the connection.
    Starting,
}

impl ListenerState {
    /// Whether the instance's port is not served even when its engine is up.
    pub(crate) fn has_no_listener(self) -> bool {
        matches!(self, Self::Refusing | Self::Silent)
    }
}

impl fmt::Display for ListenerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Refusing => f.write_str("refusing"),
            Self::Silent => f.write_str("silent"),
            Self::Slow(delay) => write!(f, "slow by {} ms", delay.as_millis()),
            Self::Draining => f.write_str("draining"),
            Self::Full => f.write_str("full"),
            Self::Starting => f.write_str("starting"),
        }
    }
}
