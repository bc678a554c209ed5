//! A lagging reader's sessions: which state of the volume a statement is run on.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, TEMP_DB};

use super::super::SqlError;
use super::{Session, connect};
use crate::sim::volume::OldState;

impl Session {
    /// A number that changes whenever a table that the session sees may have changed.
    pub(super) fn generation(&self) -> u64 {
        self.volume.schema_generation() + (self.switches << 32)
    }

    /// Leads the connection to the state that the instance shows now. A transaction that keeps a
    /// snapshot stays with it, and one that writes temporary tables stays where these are.
    pub(super) fn follow_replication(&mut self) -> Result<(), SqlError> {
        let follows = self.seen.is_some() || self.volume.has_lagging_reader();
        if !follows || self.has_storage() || self.context.host.is_writer() {
            return Ok(());
        }
        let host = &self.context.host;
        let now = Duration::from_micros(host.elapsed_micros());
        let switched = self.volume.view(host.instance(), now).and_then(|view| {
            let same = match (&view, &self.seen) {
                (Some(view), Some(seen)) => Arc::ptr_eq(view, seen),
                (None, None) => true,
                _ => false,
            };
            match same {
                true => Ok(()),
                false => self.switch_to(view),
            }
        });
        switched.map_err(|error| {
            let message = format!("the state that this reader lags behind with: {error}");
            SqlError::internal(self.engine(), message)
        })
    }

    fn switch_to(&mut self, view: Option<Arc<OldState>>) -> rusqlite::Result<()> {
        let mut connection = connect(&self.volume, view.as_deref(), &self.context, &self.shared)?;
        move_temporary_tables(&self.connection, &mut connection)?;
        self.connection = connection;
        self.seen = view;
        self.query_only = false;
        self.switches += 1;
        Ok(())
    }
}

fn move_temporary_tables(from: &Connection, to: &mut Connection) -> rusqlite::Result<()> {
    let any = "SELECT EXISTS (SELECT 1 FROM sqlite_temp_master)";
    if !from.query_row(any, [], |row| row.get::<_, bool>(0))? {
        return Ok(());
    }
    match Backup::new_with_names(from, TEMP_DB, to, TEMP_DB)?.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("the temporary tables could not be moved".to_owned()),
        )),
    }
}
