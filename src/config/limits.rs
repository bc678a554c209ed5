//! How many: connections, connects in flight, waiters.

use super::invalid;
use crate::error::Result;

/// The limits of one instance's pool. Every instance has a pool of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolLimits {
    /// The most connections that one instance's pool holds. Default: 10.
    ///
    /// Raise it when checkouts wait while the instance has cores to spare; the sum over all
    /// your processes must stay below the instance's `max_connections`.
    pub max: usize,
    /// Idle connections kept ready per instance, beside those in use and up to `max`. Default: 0.
    ///
    /// They are opened one by one in the background, for readers as for the writer; a new reader
    /// gets them as its share of the reads grows ([`Timing::slow_start`](super::Timing::slow_start)).
    /// Raise it where the first requests after a pause must not pay for connecting, or where a
    /// promoted reader should have connections at once.
    pub min_idle: usize,
    /// The most connects to one instance that are under way at a time. Default: 8.
    ///
    /// It keeps a restarted instance from being met by the whole pool at once. After a failover or
    /// a restart it begins with one, and each that succeeds makes room for one more. While connects
    /// fail it is one at a time, with a delay that doubles up to 1 s; when the server has no room
    /// for more connections it narrows, and widens again as logins succeed. Raise it only for
    /// large pools on large instances.
    pub max_connecting: usize,
    /// The most callers that may wait for one instance's pool while all its connections are in
    /// use or being opened. Default: 10 000; the next one gets
    /// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded) at once. With 0 nobody waits.
    ///
    /// Callers of [`writer`](crate::Cluster::writer) wait in one row, which a failover does not
    /// disturb, and are served in the order of their arrival. A read waits at all readers at once,
    /// and is refused only when all of them refuse it.
    ///
    /// Lower it where a request that cannot be served soon is better refused.
    pub max_waiting: usize,
}

/// Ten keep a medium instance busy: two to four active sessions per core is where most
/// databases peak, and a cluster multiplies this by its instances.
pub(crate) const DEFAULT_POOL_MAX: usize = 10;
/// A login costs Aurora some milliseconds of one core; eight at a time fill a default pool in
/// two rounds and still leave a small instance able to answer queries.
pub(crate) const DEFAULT_MAX_CONNECTING: usize = 8;
/// A process that serves a thousand requests a second and waits ten seconds through a failover
/// has so many waiting; ten connections that take a millisecond each have served them a second
/// later. A waiting call of `writer()` is two and a half kilobytes, so they cost some 25 MB.
pub(crate) const DEFAULT_MAX_WAITING: usize = 10_000;
/// Aurora MySQL allows no instance a higher `max_connections`.
const MAX_POOL_MAX: usize = 16_000;

const _: () = assert!(DEFAULT_MAX_CONNECTING <= DEFAULT_POOL_MAX);
const _: () = assert!(DEFAULT_POOL_MAX <= MAX_POOL_MAX);

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            max: DEFAULT_POOL_MAX,
            min_idle: 0,
            max_connecting: DEFAULT_MAX_CONNECTING,
            max_waiting: DEFAULT_MAX_WAITING,
        }
    }
}

impl PoolLimits {
    pub(super) fn validate(&self) -> Result<()> {
        if !(1..=MAX_POOL_MAX).contains(&self.max) {
            return Err(invalid(format!(
                "pool_max is {}: use 1 to {MAX_POOL_MAX}",
                self.max
            )));
        }
        if self.min_idle > self.max {
            return Err(invalid(format!(
                "pool_min_idle is {}, more than pool_max, which is {}: lower the one or raise \
                 the other",
                self.min_idle, self.max
            )));
        }
        if self.max_connecting == 0 {
            return Err(invalid(
                "max_connecting is 0, so that no connection could ever be opened: use 1 or more",
            ));
        }
        Ok(())
    }
}
