//! Transactions: what the client sees as one, and what SQLite has open on its behalf.
//!
//! The two differ. A transaction of the client opens one of SQLite only when it needs it: at its
//! first write, with the volume's write lock in hand, or at its first read when its isolation
//! level keeps a snapshot. So `READ COMMITTED` reads see each commit as it happens, a reader
//! never blocks a writer, and two sessions never meet inside SQLite's own locking.
//!
//! ```text
//!            read, snapshot kept             write: lock, BEGIN IMMEDIATE
//!   Nothing ---------------------> Reading ------------------------------> Writing
//!      \____________________________ write ___________________________________^
//!   COMMIT, ROLLBACK: back to Nothing, the lock goes to the next in line.
//! ```

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::compile::quote_name;
use super::super::plan::TransactionModes;
use super::super::{SqlError, TransactionState};
use super::Session;
use crate::id::EngineKind;
use crate::sim::volume::WriteGuard;

/// A session's transaction.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// The client has begun one.
    open: bool,
    /// PostgreSQL: it has met an error.
    failed: bool,
    storage: Storage,
    /// Names in order; SQLite has them too once it is writing.
    savepoints: Vec<String>,
    /// It has changed the schema.
    pub(super) defined: bool,
    /// The variables at its start, for a rollback to bring back.
    variables: Option<std::collections::HashMap<String, String>>,
}

/// What SQLite has open.
#[derive(Debug, Default)]
enum Storage {
    #[default]
    Nothing,
    Reading,
    Writing {
        number: u64,
        /// `None` for a transaction that writes temporary tables only.
        _guard: Option<WriteGuard>,
    },
}

/// The longest wait for the one lock, where the client has set no limit. PostgreSQL would wait for
/// ever; but there the rows may be different ones, and nobody would wait at all.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Transaction {
    pub(super) fn state(&self) -> TransactionState {
        match (self.open, self.failed) {
            (false, _) => TransactionState::Idle,
            (true, false) => TransactionState::Open,
            (true, true) => TransactionState::Failed,
        }
    }

    /// The number of the write transaction.
    pub(super) fn number(&self) -> Option<u64> {
        match &self.storage {
            Storage::Writing { number, .. } => Some(*number),
            _ => None,
        }
    }
}

impl Session {
    pub(super) fn begin(&mut self, modes: TransactionModes) -> Result<(), SqlError> {
        if self.transaction.open && !self.is_postgres() {
            // MySQL: a new transaction commits the one before.
            self.commit()?;
        }
        if !self.transaction.open {
            self.open_transaction();
        }
        self.set_modes(modes);
        if modes.snapshot {
            self.prepare_to_read()?;
        }
        Ok(())
    }

    fn open_transaction(&mut self) {
        self.transaction.open = true;
        let mut state = self.context.state();
        if self.context.engine == EngineKind::Postgres {
            // PostgreSQL's now() stands still in a transaction.
            state.transaction_micros = Some(state.statement_micros);
            self.transaction.variables = Some(state.variables.clone());
        }
    }

    pub(super) fn set_modes(&mut self, modes: TransactionModes) {
        let mut state = self.context.state();
        state.transaction_read_only = modes.read_only.or(state.transaction_read_only);
        state.transaction_isolation = modes.isolation.or(state.transaction_isolation);
    }

    /// MySQL without autocommit: whatever touches a table begins a transaction.
    pub(super) fn begin_if_manual(&mut self) {
        if !self.transaction.open && !self.context.autocommit() {
            self.open_transaction();
        }
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        self.transaction.open
    }

    /// Makes sure that reads of this transaction see what its isolation level promises.
    pub(super) fn prepare_to_read(&mut self) -> Result<(), SqlError> {
        let wanted = self.transaction.open && self.context.isolation().keeps_snapshot();
        if !wanted || !matches!(self.transaction.storage, Storage::Nothing) {
            return Ok(());
        }
        self.sqlite("BEGIN DEFERRED")?;
        self.transaction.storage = Storage::Reading;
        // SQLite takes its snapshot at the first read, not at BEGIN.
        self.sqlite("SELECT 1 FROM sqlite_master LIMIT 1")
    }

    /// Takes the write lock, waiting for it if need be, and opens SQLite's write transaction.
    ///
    /// Cancel safety: while it waits nothing has been changed.
    pub(super) async fn prepare_to_write(
        &mut self,
        only_temporary: bool,
        no_wait: bool,
    ) -> Result<(), SqlError> {
        if matches!(
            self.transaction.storage,
            Storage::Writing {
                _guard: Some(_),
                ..
            }
        ) {
            return Ok(());
        }
        if only_temporary && self.transaction.number().is_some() {
            return Ok(());
        }
        let guard = match only_temporary {
            true => None,
            false => Some(self.wait_for_lock(no_wait).await?),
        };
        if let Storage::Writing { _guard, .. } = &mut self.transaction.storage {
            // Temporary tables came first: their transaction goes on, now with the lock.
            *_guard = guard;
            self.shared.fenced.store(true, Ordering::Release);
            return Ok(());
        }
        self.start_writing(guard)
    }

    fn start_writing(&mut self, guard: Option<WriteGuard>) -> Result<(), SqlError> {
        let was_reading = matches!(self.transaction.storage, Storage::Reading);
        let keeps = self.is_postgres() && self.context.isolation().keeps_snapshot();
        if was_reading && !keeps {
            // MySQL's changes see the newest rows even where its reads do not.
            self.sqlite("COMMIT")?;
            self.transaction.storage = Storage::Nothing;
        }
        let on_snapshot = was_reading && keeps;
        if !on_snapshot {
            let begin = match guard {
                Some(_) => "BEGIN IMMEDIATE",
                None => "BEGIN DEFERRED",
            };
            self.sqlite(begin)?;
        }
        self.shared.fenced.store(guard.is_some(), Ordering::Release);
        self.transaction.storage = Storage::Writing {
            number: self.volume.next_transaction(),
            _guard: guard,
        };
        for name in self.transaction.savepoints.clone() {
            self.sqlite(&format!("SAVEPOINT {}", savepoint(&name)))?;
        }
        Ok(())
    }

    /// Whether another session holds the write lock.
    pub(super) fn would_wait(&self) -> bool {
        let holds = matches!(
            self.transaction.storage,
            Storage::Writing {
                _guard: Some(_),
                ..
            }
        );
        !holds && self.volume.try_lock_for_writing().is_none()
    }

    async fn wait_for_lock(&mut self, no_wait: bool) -> Result<WriteGuard, SqlError> {
        if let Some(guard) = self.volume.try_lock_for_writing() {
            return Ok(guard);
        }
        if no_wait {
            let message = match self.is_postgres() {
                true => "could not obtain lock on row",
                false => {
                    "Statement aborted because lock(s) could not be acquired immediately \
                          and NOWAIT is set."
                }
            };
            return Err(SqlError::of(
                self.engine(),
                "55P03",
                (3572, "HY000"),
                message,
            ));
        }
        let limit = self.lock_timeout().unwrap_or(LONGEST_WAIT);
        let statement = self.statement_timeout().unwrap_or(Duration::MAX);
        let wait = self.volume.lock_for_writing();
        match tokio::time::timeout(limit.min(statement), wait).await {
            Ok(guard) => Ok(guard),
            Err(_) if statement < limit => Err(self.statement_timed_out()),
            Err(_) => {
                let message = match self.is_postgres() {
                    true => "canceling statement due to lock timeout",
                    false => "Lock wait timeout exceeded; try restarting transaction",
                };
                let error = SqlError::of(self.engine(), "55P03", (1205, "HY000"), message);
                Err(error.with_hint(
                    "The simulator lets one transaction write at a time: another one has not \
                     ended meanwhile.",
                ))
            }
        }
    }

    pub(super) fn statement_timed_out(&self) -> SqlError {
        let message = match self.is_postgres() {
            true => "canceling statement due to statement timeout",
            false => "Query execution was interrupted, maximum statement execution time exceeded",
        };
        SqlError::of(self.engine(), "57014", (3024, "HY000"), message)
    }

    /// Commits what is open, if anything is.
    pub(super) fn commit(&mut self) -> Result<(), SqlError> {
        let result = match self.transaction.storage {
            Storage::Nothing => Ok(()),
            Storage::Writing {
                _guard: Some(_), ..
            } => {
                let now = Duration::from_micros(self.context.host.elapsed_micros());
                let volume = std::sync::Arc::clone(&self.volume);
                volume.commit(now, || self.sqlite("COMMIT"))
            }
            _ => self.sqlite("COMMIT"),
        };
        match result {
            Ok(()) => {
                self.close_cursors(true);
                self.end_transaction();
                Ok(())
            }
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Commits a statement that stands alone, if no transaction of the client is open.
    pub(super) fn commit_if_alone(&mut self) -> Result<(), SqlError> {
        match self.transaction.open {
            true => Ok(()),
            false => self.commit(),
        }
    }

    /// Undoes what is open. Cannot fail: should SQLite refuse, nothing is open there.
    pub(super) fn roll_back(&mut self) {
        self.close_cursors(false);
        self.roll_back_storage();
        if let Some(variables) = self.transaction.variables.take() {
            self.context.state().variables = variables;
        }
        self.end_transaction();
    }

    fn roll_back_storage(&mut self) {
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.release_storage();
    }

    fn release_storage(&mut self) {
        self.shared.fenced.store(false, Ordering::Release);
        self.transaction.storage = Storage::Nothing;
        if std::mem::take(&mut self.transaction.defined) {
            self.volume.schema_changed();
        }
    }

    fn end_transaction(&mut self) {
        self.release_storage();
        self.release_transaction_locks();
        self.transaction = Transaction::default();
        let mut state = self.context.state();
        state.transaction_micros = None;
        state.transaction_read_only = None;
        state.transaction_isolation = None;
        state.local_variables.clear();
    }

    pub(super) fn set_savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        if self.transaction.number().is_some() {
            self.sqlite(&format!("SAVEPOINT {}", savepoint(name)))?;
        }
        self.transaction.savepoints.push(name.to_owned());
        Ok(())
    }

    pub(super) fn roll_back_to(&mut self, name: &str) -> Result<(), SqlError> {
        let place = self.savepoint_place(name)?;
        if self.transaction.number().is_some() {
            self.sqlite(&format!("ROLLBACK TO {}", savepoint(name)))?;
        }
        self.transaction.savepoints.truncate(place + 1);
        self.transaction.failed = false;
        if self.transaction.defined {
            self.volume.schema_changed();
        }
        Ok(())
    }

    pub(super) fn release_savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        let place = self.savepoint_place(name)?;
        if self.transaction.number().is_some() {
            self.sqlite(&format!("RELEASE {}", savepoint(name)))?;
        }
        self.transaction.savepoints.truncate(place);
        Ok(())
    }

    fn savepoint_place(&self, name: &str) -> Result<usize, SqlError> {
        let mut names = self.transaction.savepoints.iter();
        names
            .rposition(|known| known.eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let message = match self.is_postgres() {
                    true => format!("savepoint \"{name}\" does not exist"),
                    false => format!("SAVEPOINT {name} does not exist"),
                };
                SqlError::of(self.engine(), "3B001", (1305, "42000"), message)
            })
    }

    /// What an error leaves behind: PostgreSQL fails the transaction, MySQL goes on with it.
    pub(super) fn after_error(&mut self, error: SqlError) -> SqlError {
        match (self.transaction.open, self.is_postgres()) {
            (true, true) => self.fail_transaction(),
            (true, false) if self.connection.is_autocommit() && self.has_storage() => {
                // SQLite gave the whole transaction up, as after a full disk.
                self.roll_back();
            }
            (true, false) => self.undo_statement(),
            (false, _) => self.roll_back(),
        }
        error
    }

    /// An error outside of SQL, such as a parameter that is not of its type, fails PostgreSQL's
    /// transaction as one inside does.
    pub(crate) fn fail(&mut self) {
        if self.transaction.open && !self.transaction.failed && self.is_postgres() {
            self.fail_transaction();
        }
    }

    pub(super) fn has_storage(&self) -> bool {
        !matches!(self.transaction.storage, Storage::Nothing)
    }

    fn fail_transaction(&mut self) {
        self.transaction.failed = true;
        // Only a savepoint could still be of use; without one the others need not wait.
        if self.transaction.savepoints.is_empty() || self.connection.is_autocommit() {
            self.roll_back_storage();
        }
    }

    /// Undoes a statement whose caller has gone away in the middle of it.
    pub(super) fn abandon(&mut self) {
        self.give_up_taken_locks();
        match (self.transaction.open, self.is_postgres()) {
            (false, _) => self.roll_back(),
            (true, true) => self.fail_transaction(),
            (true, false) => self.undo_statement(),
        }
    }

    /// Undoes the marked statement; the rest of the transaction stays.
    fn undo_statement(&mut self) {
        // Refused when no statement is marked, and then there is nothing to undo.
        let _ = self.connection.execute_batch(UNDO_STATEMENT);
    }

    /// Marks the start of a statement, so that it can be undone alone.
    pub(super) fn mark_statement(&mut self) -> Result<(), SqlError> {
        self.sqlite(MARK_STATEMENT)
    }

    pub(super) fn unmark_statement(&mut self) -> Result<(), SqlError> {
        self.sqlite(RELEASE_STATEMENT)
    }

    fn sqlite(&mut self, sql: &str) -> Result<(), SqlError> {
        let run = |sql: &str| -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
            Ok(())
        };
        run(sql).map_err(|error| self.translate(error, ""))
    }
}

const MARK_STATEMENT: &str = "SAVEPOINT sim_statement";
const RELEASE_STATEMENT: &str = "RELEASE sim_statement";
const UNDO_STATEMENT: &str = "ROLLBACK TO sim_statement; RELEASE sim_statement";

/// Clients' savepoints under names that cannot be ours.
fn savepoint(name: &str) -> String {
    quote_name(&format!("client {}", name.to_ascii_lowercase()))
}
