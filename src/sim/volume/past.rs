//! States that the volume has left behind: caught as they pass, kept for a while, and copied to
//! a file of their own when somebody wants to read one.
//!
//! A state is caught by a connection that holds a read transaction open, which costs little and
//! lets nobody wait. Commits come one at a time, and each calls [`Past::before_commit`] first:
//! so the last state of every tick is caught before the next one replaces it, without a clock.
//! While states are held, SQLite cannot start its write-ahead log anew, so that it grows by all
//! that is written within the longest lag.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::BUSY_TIMEOUT;

/// At most one state is kept for this length of time.
pub(super) const TICK_MIN: Duration = Duration::from_millis(10);

/// How many states are kept, about: each holds two file handles.
const STATES_MAX: u32 = 64;

/// Which of the volume's states in order of time. Two may have begun at the same moment, as the
/// clock has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// How many commits there had been.
    pub(super) commits: u64,
    /// When the last of them was.
    pub(super) since: Duration,
}

/// A state of the volume.
pub(crate) struct Moment {
    pub(super) version: Version,
    holder: Mutex<Holder>,
}

enum Holder {
    /// The open read transaction that the state lives in.
    Caught(Connection),
    Copied(Arc<OldState>),
}

/// A state of the volume in a file of its own, which goes away with the last reference.
#[derive(Debug)]
pub(crate) struct OldState {
    pub(super) path: tempfile::TempPath,
}

impl Moment {
    pub(super) fn catch(volume: &Path, version: Version) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(volume, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch("BEGIN")?;
        // The snapshot is taken at the first read, not at BEGIN.
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
        Ok(Self {
            version,
            holder: Mutex::new(Holder::Caught(connection)),
        })
    }

    /// The state as a file, made at the first call. All callers share it.
    pub(super) fn copy(&self) -> rusqlite::Result<Arc<OldState>> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &*holder {
            Holder::Copied(copy) => return Ok(Arc::clone(copy)),
            Holder::Caught(connection) => connection,
        };
        let volume = connection.path().map(Path::new);
        let directory = volume.and_then(Path::parent).unwrap_or(Path::new("."));
        let path = tempfile::Builder::new()
            .prefix("moment-")
            .tempfile_in(directory)
            .map_err(|error| failure(&error.to_string()))?
            .into_temp_path();
        let mut file = Connection::open(&path)?;
        file.pragma_update(None, "synchronous", "off")?;
        match Backup::new(connection, &mut file)?.step(-1)? {
            StepResult::Done => {}
            other => return Err(failure(&format!("an old state was not copied: {other:?}"))),
        }
        file.pragma_update(None, "journal_mode", "delete")?;
        let copy = Arc::new(OldState { path });
        *holder = Holder::Copied(Arc::clone(&copy));
        Ok(copy)
    }
}

pub(super) fn failure(message: &str) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(code, Some(message.to_owned()))
}

/// The states of the last while, one per tick in which the volume changed.
pub(super) struct Past {
    reach: Duration,
    tick: Duration,
    moments: VecDeque<Arc<Moment>>,
}

impl Past {
    /// Begins to keep states for `reach`, with the present one.
    pub(super) fn begin(
        reach: Duration,
        version: Version,
        volume: &Path,
    ) -> rusqlite::Result<Self> {
        let mut past = Self {
            reach,
            tick: tick_of(reach),
            moments: VecDeque::new(),
        };
        past.catch(version, volume)?;
        Ok(past)
    }

    /// Changes how long states are kept, and with it the tick.
    pub(super) fn set_reach(&mut self, reach: Duration) {
        self.reach = reach;
        self.tick = tick_of(reach);
    }

    /// The present state, which nothing may change meanwhile.
    pub(super) fn present(
        &mut self,
        version: Version,
        volume: &Path,
    ) -> rusqlite::Result<Option<Arc<Moment>>> {
        self.catch(version, volume)?;
        Ok(self.moments.back().cloned())
    }

    /// Catches the state that a commit at `now` is about to replace, if a tick ends with it.
    pub(super) fn before_commit(
        &mut self,
        now: Duration,
        version: Version,
        volume: &Path,
    ) -> rusqlite::Result<()> {
        if self.floor(version.since) < self.floor(now) {
            self.catch(version, volume)?;
        }
        let horizon = self.floor(now.saturating_sub(self.reach));
        while self
            .moments
            .get(1)
            .is_some_and(|it| it.version.since < horizon)
        {
            self.moments.pop_front();
        }
        Ok(())
    }

    /// The state at the start of the tick that `wanted` is in, or the oldest that is kept.
    pub(super) fn at(
        &mut self,
        wanted: Duration,
        version: Version,
        volume: &Path,
    ) -> rusqlite::Result<Option<Arc<Moment>>> {
        let start = self.floor(wanted);
        if version.since < start {
            self.catch(version, volume)?;
        }
        let found = self
            .moments
            .iter()
            .rev()
            .find(|it| it.version.since < start);
        Ok(found.or_else(|| self.moments.front()).cloned())
    }

    fn catch(&mut self, version: Version, volume: &Path) -> rusqlite::Result<()> {
        if self.moments.back().is_none_or(|it| it.version != version) {
            let moment = Moment::catch(volume, version)?;
            self.moments.push_back(Arc::new(moment));
        }
        Ok(())
    }

    /// Whether the state of a moment in the past may still be kept.
    pub(super) fn reaches(&self, at: Duration, now: Duration) -> bool {
        at <= now && now - at <= self.reach
    }

    /// Forgets the states that came after one.
    pub(super) fn forget_after(&mut self, version: Version) {
        self.moments
            .retain(|it| it.version.commits <= version.commits);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.moments.len()
    }

    /// The start of the tick that a time is in.
    fn floor(&self, time: Duration) -> Duration {
        let ticks = time.as_nanos() / self.tick.as_nanos().max(1);
        self.tick
            .saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

fn tick_of(reach: Duration) -> Duration {
    (reach / STATES_MAX).max(TICK_MIN)
}
