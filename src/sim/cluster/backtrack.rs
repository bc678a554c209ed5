//! Backtrack: the whole cluster goes back in time, without a restore.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::id::EngineKind;
use crate::sim::volume::LedgerEntry;
use crate::sim::world::Command;

use super::shell::Shared;

use super::{SimCluster, SimError};

/// How long the sessions that were told to end may take to let go of the storage.
const LETTING_GO: Duration = Duration::from_secs(30);

impl SimCluster {
    /// Takes the cluster back to the state of an earlier moment, counted from its start as by
    /// [`now`](Self::now). All connections end with a goodbye, what was not committed is gone,
    /// and all instances restart (Aurora User Guide, "Backtracking an Aurora DB cluster").
    ///
    /// The state is that of the moment to within a tick before it: 10 ms, or 1/64 of the
    /// [`backtrack_window`](super::SimClusterBuilder::backtrack_window) where that is more.
    /// What was applied after it leaves the [`ledger`](Self::ledger), whose numbering goes on
    /// from there, and is found in [`undone`](Self::undone) from then on. There is no way
    /// forward again.
    ///
    /// When it returns, the data is back and the instances are restarting.
    ///
    /// # Errors
    ///
    /// The engine is PostgreSQL, which has no backtrack on Aurora; the moment is in the future
    /// or outside of the window; a failover is in progress; the storage fails.
    ///
    /// # Cancellation
    ///
    /// A backtrack that has begun goes on to its end when the future is dropped.
    pub async fn backtrack(&self, to: Duration) -> Result<(), SimError> {
        let (tell, told) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let work = async move {
            // Nobody may be listening any more.
            let _ = tell.send(shared.go_back(to).await);
        };
        let tasks = &self.shared.serving.tasks;
        tasks.spawn_on(work, &self.shared.runtime);
        told.await.unwrap_or_else(|_| {
            let message = "the cluster has ended: start another";
            Err(SimError::Refused(message.into()))
        })
    }

    /// What a [`backtrack`](Self::backtrack) has undone, in the order in which it had been
    /// applied: the entries that left the [`ledger`](Self::ledger). After several backtracks,
    /// numbers may occur more than once.
    pub fn undone(&self) -> Vec<LedgerEntry> {
        self.shared.volume.undone().clone()
    }
}

pub(super) const NOT_ON_POSTGRES: &str = "Aurora PostgreSQL has no backtrack, only Aurora MySQL \
    has: use a cluster with EngineKind::MySql";

#[cfg(test)]
mod tests;

impl Shared {
    pub(super) async fn go_back(&self, to: Duration) -> Result<(), SimError> {
        let refuse = |message: String| Err(SimError::Refused(message));
        if self.engine == EngineKind::Postgres {
            return refuse(NOT_ON_POSTGRES.into());
        }
        let volume = &self.volume;
        let storage = |error| SimError::Query(format!("the storage cannot go back: {error}"));
        let now = self.clock.now();
        let Some(moment) = volume.moment(to, now).map_err(storage)? else {
            return refuse(format!(
                "no state of {to:?} is kept, it is {now:?} now: name a moment within the \
                 builder's `backtrack_window`"
            ));
        };
        self.perform(Command::Backtrack { to })?;
        let writing = tokio::time::timeout(LETTING_GO, volume.lock_for_writing()).await;
        let Ok(guard) = writing else {
            return refuse(format!(
                "a session has kept the storage for {LETTING_GO:?}: the instances have restarted, \
                 the data is as it was"
            ));
        };
        volume
            .go_back(&moment, self.clock.now(), &guard)
            .map_err(storage)
    }
}
