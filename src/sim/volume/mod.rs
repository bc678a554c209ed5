//! The shared storage volume: one SQLite file in WAL mode that all instances of a cluster open.
//!
//! Here: the file and its end, the one write lock, the ledger of what was applied, the counters
//! that are not transactional (sequences, the schema generation), and the old states that lagging
//! readers are shown. Not here: SQL, roles, and who may write; a session asks its
//! [`Host`](super::host::Host) for that.

mod backtrack;
mod clone;
mod ledger;
mod named_locks;
mod past;
mod replication;
mod sequences;
#[cfg(test)]
mod tests;

pub(crate) use clone::Origin;
pub use ledger::LedgerEntry;
pub(crate) use ledger::{EntryOrigin, LEDGER_TABLE, append as append_to_ledger};
pub(crate) use named_locks::NamedLocks;
pub(crate) use past::OldState;
pub(crate) use sequences::Sequences;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::sql::Value;
use crate::id::InstanceId;
use replication::Replication;

/// The storage of one cluster.
///
/// It outlives every instance: a crash ends sessions, never the file, so what was acknowledged
/// stays. The directory goes away with the last reference.
#[derive(Debug)]
pub(crate) struct Volume {
    // Held for its `Drop`, which removes the file together with its `-wal` and `-shm`.
    _directory: tempfile::TempDir,
    path: PathBuf,
    write_lock: Arc<Mutex<()>>,
    schema_generation: AtomicU64,
    last_transaction: AtomicU64,
    last_session: AtomicU64,
    sequences: Sequences,
    named_locks: NamedLocks,
    replication: Replication,
    /// What was applied and undone by going back.
    undone: std::sync::Mutex<Vec<LedgerEntry>>,
}

/// The right to write to the volume; held from a transaction's first write to its end.
pub(crate) type WriteGuard = OwnedMutexGuard<()>;

/// The largest part of the file that a connection maps into memory, so that an idle session
/// needs no page cache of its own.
const MEMORY_MAP_BYTES: i64 = 256 * 1024 * 1024;

/// Each connection's own page cache. Pages that a transaction has changed live here until they
/// spill; all others are read through the map.
const PAGE_CACHE_KIB: i64 = 32;

/// SQLite's own waiting for its locks. Sessions queue on the write lock, so that this covers
/// only the moments in which the WAL is recovered or reset.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest text or byte string, as MySQL's `max_allowed_packet` has it by default.
const MAX_VALUE_BYTES: i32 = 64 * 1024 * 1024;

impl Volume {
    /// Creates an empty volume in a temporary directory of its own.
    pub(crate) fn create() -> std::io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("aurora-volume-")
            .tempdir()?;
        let path = directory.path().join("volume.db");
        Self::initialize(&path).map_err(std::io::Error::other)?;
        Ok(Self {
            _directory: directory,
            replication: Replication::new(&path),
            undone: std::sync::Mutex::default(),
            path,
            write_lock: Arc::default(),
            schema_generation: AtomicU64::new(1),
            last_transaction: AtomicU64::new(0),
            last_session: AtomicU64::new(0),
            sequences: Sequences::default(),
            named_locks: NamedLocks::default(),
        })
    }

    fn initialize(path: &Path) -> rusqlite::Result<()> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        ledger::create_table(&connection)
    }

    /// Opens one more connection to the file.
    pub(crate) fn connect(&self) -> rusqlite::Result<Connection> {
        open(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// Commits at `now`, counted from the start of the cluster, by means of `commit`. The caller
    /// holds the write lock.
    pub(crate) fn commit<T>(&self, now: Duration, commit: impl FnOnce() -> T) -> T {
        self.replication.commit(now, commit)
    }

    /// Whether any reader lags. If not, [`view`](Self::view) is `None` for all.
    pub(crate) fn has_lagging_reader(&self) -> bool {
        self.replication.is_active()
    }

    /// Sets how a reader follows from `now` on.
    ///
    /// # Errors
    /// When the present state cannot be kept for the reader; nothing has changed then.
    pub(crate) fn set_replication(
        &self,
        reader: &InstanceId,
        lag: Duration,
        paused: bool,
        now: Duration,
    ) -> rusqlite::Result<()> {
        self.replication.set(reader, lag, paused, now)
    }

    /// The old state that a reader is shown at `now`; `None` when it sees the volume as it is.
    ///
    /// # Errors
    /// When the state cannot be copied.
    pub(crate) fn view(
        &self,
        reader: &InstanceId,
        now: Duration,
    ) -> rusqlite::Result<Option<Arc<OldState>>> {
        self.replication.view(reader, now)
    }

    /// Opens a connection to an old state.
    pub(crate) fn connect_to(state: &OldState) -> rusqlite::Result<Connection> {
        open(&state.path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Where the file is.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits, in turn, for the right to write.
    pub(crate) async fn lock_for_writing(&self) -> WriteGuard {
        Arc::clone(&self.write_lock).lock_owned().await
    }

    /// Takes the right to write if nobody holds it.
    pub(crate) fn try_lock_for_writing(&self) -> Option<WriteGuard> {
        Arc::clone(&self.write_lock).try_lock_owned().ok()
    }

    /// A number that changes whenever a table may have changed; compiled statements carry it.
    pub(crate) fn schema_generation(&self) -> u64 {
        self.schema_generation.load(Ordering::Acquire)
    }

    /// Makes all compiled statements of all sessions stale.
    pub(crate) fn schema_changed(&self) {
        self.schema_generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The number of a new write transaction.
    pub(crate) fn next_transaction(&self) -> u64 {
        self.last_transaction.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of a new session.
    pub(crate) fn next_session(&self) -> u64 {
        self.last_session.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The locks by name of all instances.
    pub(crate) fn named_locks(&self) -> &NamedLocks {
        &self.named_locks
    }

    /// The counters behind `SERIAL`, `IDENTITY` and `AUTO_INCREMENT`.
    pub(crate) fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// All that was applied and committed, in order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn ledger(&self) -> Result<Vec<LedgerEntry>, rusqlite::Error> {
        ledger::read(&self.connect()?)
    }

    /// How many statements were applied and committed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn ledger_len(&self) -> Result<u64, rusqlite::Error> {
        ledger::len(&self.connect()?)
    }

    /// Runs a read-only query in SQLite's own dialect on the committed state, for checks.
    ///
    /// # Errors
    /// When the query is wrong or would write.
    pub(crate) fn query(&self, sql: &str) -> Result<Vec<Vec<Value>>, rusqlite::Error> {
        let connection = self.connect()?;
        super::sql::register_collations(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        let mut statement = connection.prepare(sql)?;
        let width = statement.column_count();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..width).map(|index| Ok(Value::from(row.get_ref(index)?)));
            found.push(values.collect::<rusqlite::Result<Vec<Value>>>()?);
        }
        Ok(found)
    }
}

fn open(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "mmap_size", MEMORY_MAP_BYTES)?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // Why: the first of these statements reads the schema, for which SQLite allocates as many
    // pages at once as its default cache size allows. Once freed, ours counts.
    connection.execute_batch("PRAGMA shrink_memory")?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    Ok(connection)
}
