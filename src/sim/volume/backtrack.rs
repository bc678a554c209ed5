//! The volume goes back to an earlier state of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};

use super::past::Moment;
use super::{LedgerEntry, Volume, WriteGuard, ledger};

impl Volume {
    /// Keeps the states of the last `window`, so that the volume can go back to one of them.
    pub(crate) fn keep_window(&self, window: Duration) -> rusqlite::Result<()> {
        self.replication.keep_window(window)
    }

    /// The state that the volume had at `at`, if it is kept.
    pub(crate) fn moment(
        &self,
        at: Duration,
        now: Duration,
    ) -> rusqlite::Result<Option<Arc<Moment>>> {
        self.replication.moment(at, now)
    }

    /// Makes an earlier state the present one. What was applied since then is taken from the
    /// ledger and added to the undone entries.
    ///
    /// The guard shows that nobody is writing meanwhile.
    pub(crate) fn go_back(
        &self,
        moment: &Moment,
        now: Duration,
        _guard: &WriteGuard,
    ) -> rusqlite::Result<()> {
        let earlier = moment.copy()?;
        self.replication.replace(moment, now, || {
            let from = Self::connect_to(&earlier)?;
            let mut volume = self.connect()?;
            let kept = usize::try_from(ledger::len(&from)?).unwrap_or(usize::MAX);
            let undone: Vec<LedgerEntry> = ledger::read(&volume)?.into_iter().skip(kept).collect();
            match Backup::new(&from, &mut volume)?.step(-1)? {
                StepResult::Done => {}
                other => return Err(super::past::failure(&format!("not restored: {other:?}"))),
            }
            self.undone().extend(undone);
            Ok(())
        })?;
        self.sequences.forget_all();
        self.schema_changed();
        Ok(())
    }

    /// The entries that left the ledger when the volume went back, in order of application.
    pub(crate) fn undone(&self) -> std::sync::MutexGuard<'_, Vec<LedgerEntry>> {
        let undone = self.undone.lock();
        undone.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl super::replication::Replication {
    fn keep_window(&self, window: Duration) -> rusqlite::Result<()> {
        let mut inner = self.lock();
        let version = inner.version;
        inner.window = Some(super::past::Past::begin(window, version, &self.volume)?);
        Ok(())
    }

    fn moment(&self, at: Duration, now: Duration) -> rusqlite::Result<Option<Arc<Moment>>> {
        let mut inner = self.lock();
        let version = inner.version;
        match &mut inner.window {
            Some(window) if window.reaches(at, now) => window.at(at, version, &self.volume),
            _ => Ok(None),
        }
    }

    fn replace(
        &self,
        moment: &Moment,
        now: Duration,
        restore: impl FnOnce() -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut inner = self.lock();
        restore()?;
        inner.went_back(moment, now, self.volume.as_path())
    }
}

impl super::replication::Inner {
    /// What came after the moment is no state of this volume any more, for readers neither.
    fn went_back(&mut self, moment: &Moment, now: Duration, volume: &Path) -> rusqlite::Result<()> {
        self.next_version(now);
        if let Some(window) = &mut self.window {
            window.forget_after(moment.version);
        }
        let Some(past) = &mut self.past else {
            return Ok(());
        };
        past.forget_after(super::past::Version::default());
        let present = past.present(self.version, volume)?;
        for follower in self.followers.values_mut() {
            follower.shown.clone_from(&present);
        }
        Ok(())
    }
}
