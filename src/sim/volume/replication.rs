//! What each lagging reader is shown of the volume.
//!
//! A reader that nobody has slowed down reads the volume itself and sees each commit at once.
//! A reader with a lag is shown a state of the volume that is that old, to within a tick: 10 ms,
//! or 1/64 of the longest lag in the cluster where that is more. At one moment all its sessions
//! see the same state, and that state never goes back in time: a reader whose lag is raised
//! stands still until it is as far behind as it should be. A paused reader stands still.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::past::{Moment, OldState, Past, Version};
use crate::id::InstanceId;

/// The lagging readers, and the states that are kept for them.
pub(super) struct Replication {
    pub(super) volume: PathBuf,
    /// Whether there is any lagging reader; asked before each statement of a reader.
    active: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Inner {
    /// The volume's present state.
    pub(super) version: Version,
    /// What lagging readers are shown.
    pub(super) past: Option<Past>,
    /// What the volume can go back to.
    pub(super) window: Option<Past>,
    pub(super) followers: BTreeMap<InstanceId, Follower>,
}

pub(super) struct Follower {
    lag: Duration,
    paused: bool,
    pub(super) shown: Option<Arc<Moment>>,
}

impl std::fmt::Debug for Replication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replication")
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl Replication {
    pub(super) fn new(volume: &Path) -> Self {
        Self {
            volume: volume.to_owned(),
            active: AtomicBool::new(false),
            inner: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Commits at `now` by means of `commit`, keeping the state before it if a reader needs it.
    pub(super) fn commit<T>(&self, now: Duration, commit: impl FnOnce() -> T) -> T {
        let mut inner = self.lock();
        let version = inner.version;
        let Inner { past, window, .. } = &mut *inner;
        for kept in [past, window].into_iter().flatten() {
            if let Err(error) = kept.before_commit(now, version, &self.volume) {
                tracing::warn!(%error, "a state of the simulated volume could not be kept");
            }
        }
        inner.next_version(now);
        commit()
    }

    /// Changes how a reader follows. Without a lag and a pause it sees each commit at once.
    pub(super) fn set(
        &self,
        reader: &InstanceId,
        lag: Duration,
        paused: bool,
        now: Duration,
    ) -> rusqlite::Result<()> {
        let mut inner = self.lock();
        if lag.is_zero() && !paused {
            inner.followers.remove(reader);
            inner.fit_reach();
            self.active
                .store(!inner.followers.is_empty(), Ordering::Release);
            return Ok(());
        }
        // What it shows until now is where it goes on from.
        let shown = match inner.shown_to(reader, now, &self.volume)? {
            Some(shown) => Some(shown),
            None => inner.present(lag, &self.volume)?,
        };
        if let (true, Some(shown)) = (paused, &shown) {
            // A file of its own, so that the log may start anew however long the pause.
            shown.copy()?;
        }
        let follower = Follower { lag, paused, shown };
        inner.followers.insert(reader.clone(), follower);
        inner.fit_reach();
        self.active.store(true, Ordering::Release);
        Ok(())
    }

    /// The state that a reader's sessions are shown at `now`; `None` is the volume as it is.
    pub(super) fn view(
        &self,
        reader: &InstanceId,
        now: Duration,
    ) -> rusqlite::Result<Option<Arc<OldState>>> {
        if !self.is_active() {
            return Ok(None);
        }
        // Copied after the lock is gone: commits need not wait for it.
        let shown = self.lock().shown_to(reader, now, &self.volume)?;
        shown.map(|moment| moment.copy()).transpose()
    }

    #[cfg(test)]
    pub(super) fn states_kept(&self) -> usize {
        self.lock().past.as_ref().map_or(0, Past::len)
    }
}

impl Inner {
    pub(super) fn next_version(&mut self, now: Duration) {
        self.version = Version {
            commits: self.version.commits + 1,
            since: now.max(self.version.since),
        };
    }

    fn shown_to(
        &mut self,
        reader: &InstanceId,
        now: Duration,
        volume: &Path,
    ) -> rusqlite::Result<Option<Arc<Moment>>> {
        let (Some(follower), Some(past)) = (self.followers.get_mut(reader), &mut self.past) else {
            return Ok(None);
        };
        if !follower.paused {
            let wanted = now.saturating_sub(follower.lag);
            let found = past.at(wanted, self.version, volume)?;
            let age = |moment: &Option<Arc<Moment>>| moment.as_ref().map(|it| it.version.commits);
            if age(&found) > age(&follower.shown) {
                follower.shown = found;
            }
        }
        Ok(follower.shown.clone())
    }

    fn present(&mut self, reach: Duration, volume: &Path) -> rusqlite::Result<Option<Arc<Moment>>> {
        let past = match &mut self.past {
            Some(past) => past,
            none => none.insert(Past::begin(reach, self.version, volume)?),
        };
        past.present(self.version, volume)
    }

    /// Keeps states for as long as the longest lag, and none when nobody lags.
    fn fit_reach(&mut self) {
        match self.followers.values().map(|it| it.lag).max() {
            None => self.past = None,
            Some(longest) => {
                if let Some(past) = &mut self.past {
                    past.set_reach(longest);
                }
            }
        }
    }
}
