//! What is told of a connection as it is given out, or not.

use super::Cluster;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Role;
use crate::observe::meters::Routed;
use crate::pool::lease::{Connection, Lease};
use crate::time::{self, Instant};

impl<E: Engine> Cluster<E> {
    /// A connection that was at hand.
    pub(super) fn given(&self, lease: Lease<E>, routed: Routed) -> Connection<E> {
        self.inner.pools.observer().meters().routed(routed);
        Connection::new(lease)
    }

    /// A connection that a caller has waited for since it arrived.
    pub(super) fn given_after(
        &self,
        lease: Lease<E>,
        routed: Routed,
        arrived: Instant,
    ) -> Connection<E> {
        self.inner.pools.observer().meters().routed(routed);
        Connection::after(lease, time::now().saturating_duration_since(arrived))
    }

    /// Counts a caller that was told to wait no longer.
    pub(super) fn tell_timeout(&self, answer: &Result<Connection<E>>, role: Role) {
        let gave_up = |error: &Error| {
            let kind = error.kind();
            matches!(
                kind,
                ErrorKind::NoReader | ErrorKind::NoWriter | ErrorKind::Timeout
            )
        };
        if answer.as_ref().is_err_and(gave_up) {
            self.inner.pools.observer().meters().timed_out(role);
        }
    }
}
