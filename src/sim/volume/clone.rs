//! A volume that begins as a copy of another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::backup::{Backup, StepResult};

use super::past::{Moment, OldState, failure};
use super::{Sequences, Volume};

/// What a volume held at one moment, for another volume to begin with.
#[derive(Debug)]
pub(crate) struct Origin {
    state: Arc<OldState>,
    last_transaction: u64,
    last_session: u64,
    sequences: Sequences,
}

impl Volume {
    /// What is committed now.
    pub(crate) fn origin(&self) -> rusqlite::Result<Origin> {
        let moment = {
            let inner = self.replication.lock();
            Moment::catch(&self.path, inner.version)?
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Origin {
            state: moment.copy()?,
            last_transaction: read(&self.last_transaction),
            last_session: read(&self.last_session),
            sequences: self.sequences.duplicate(),
        })
    }

    /// Makes this volume, which nobody uses yet, a copy of another.
    pub(crate) fn begin_as(&mut self, origin: &Origin) -> rusqlite::Result<()> {
        let from = Self::connect_to(&origin.state)?;
        let mut to = self.connect()?;
        match Backup::new(&from, &mut to)?.step(-1)? {
            StepResult::Done => {}
            other => return Err(failure(&format!("not copied: {other:?}"))),
        }
        self.last_transaction = AtomicU64::new(origin.last_transaction);
        self.last_session = AtomicU64::new(origin.last_session);
        self.sequences = origin.sequences.duplicate();
        Ok(())
    }
}
