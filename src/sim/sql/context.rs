//! What a session shares with the functions that SQLite calls on its behalf.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::compile::PreparedBySql;
use super::session::Cursor;
use super::variables::{self, Source};
use super::{SqlError, Value};
use crate::id::EngineKind;
use crate::sim::host::Host;
use crate::sim::volume::Volume;

/// A session's state as far as expressions can see it.
///
/// SQLite's functions must be `'static` and hold no borrow of the session, so this part of it
/// stands behind a mutex. Nobody else contends for it.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) host: Arc<dyn Host>,
    pub(super) volume: Arc<Volume>,
    pub(super) engine: EngineKind,
    /// The session's number in the whole cluster, for the ledger.
    pub(super) session: u64,
    user: String,
    state: Mutex<State>,
}

/// How much a transaction sees of others' commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    pub(super) fn default_of(engine: EngineKind) -> Self {
        match engine {
            EngineKind::Postgres => Self::ReadCommitted,
            EngineKind::MySql => Self::RepeatableRead,
        }
    }

    /// Whether all statements of a transaction see the state at its first.
    pub(super) fn keeps_snapshot(self) -> bool {
        matches!(self, Self::RepeatableRead | Self::Serializable)
    }
}

/// A lock by name that a session has taken.
#[derive(Debug)]
pub(super) struct TakenLock {
    pub(super) key: String,
    pub(super) shared: bool,
    /// It ends with the transaction and not with the session.
    pub(super) of_transaction: bool,
}

/// A lock by name that another session has.
#[derive(Debug)]
pub(super) struct LockWait {
    pub(super) key: String,
    /// How long the statement itself is ready to wait.
    pub(super) limit: Option<Duration>,
}

/// The changing part of a [`Context`].
#[derive(Debug)]
pub(super) struct State {
    pub(super) database: String,
    pub(super) connection_id: u64,
    /// When the running statement began.
    pub(super) statement_micros: i64,
    /// When the open transaction began.
    pub(super) transaction_micros: Option<i64>,
    pub(super) autocommit: bool,
    pub(super) isolation: Isolation,
    pub(super) transaction_isolation: Option<Isolation>,
    pub(super) session_read_only: bool,
    pub(super) transaction_read_only: Option<bool>,
    /// Values that the login asked for: what RESET leads back to.
    pub(super) login_variables: HashMap<String, String>,
    /// Values that differ from the variables' defaults and from those.
    pub(super) variables: HashMap<String, String>,
    /// `SET LOCAL`: valid until the transaction ends.
    pub(super) local_variables: HashMap<String, String>,
    /// MySQL's `@name`.
    pub(super) user_variables: HashMap<String, Value>,
    pub(super) last_insert_id: u64,
    pub(super) row_count: i64,
    /// PostgreSQL's `currval`, by counter.
    pub(super) last_numbers: HashMap<String, i64>,
    pub(super) last_number: Option<i64>,
    /// The first number that the running statement generated.
    pub(super) generated: Option<i64>,
    /// How long the running statement has still to sleep.
    pub(super) sleep: Duration,
    /// PostgreSQL's open cursors by name.
    pub(super) cursors: HashMap<String, Cursor>,
    /// What was prepared by SQL.
    pub(super) prepared: HashMap<String, PreparedBySql>,
    /// The session has crashed its own instance, and never answers again.
    pub(super) crashed: bool,
    /// What the running statement has taken so far.
    pub(super) taken_locks: Vec<TakenLock>,
    /// Locks that end with the open transaction.
    pub(super) transaction_locks: Vec<TakenLock>,
    /// What the running statement waits for.
    pub(super) lock_wait: Option<LockWait>,
    /// What the running statement has waited for long enough.
    pub(super) given_up_locks: Vec<String>,
    /// The error that a function raised: SQLite passes on only a text.
    pub(super) failure: Option<SqlError>,
    /// Rows that the running statement changed in place, where that has to be known.
    pub(super) updated_rows: u64,
    pub(super) random: u64,
}

impl Context {
    pub(super) fn new(
        host: Arc<dyn Host>,
        volume: Arc<Volume>,
        user: &str,
        database: &str,
    ) -> Self {
        let engine = host.engine();
        let session = volume.next_session();
        let state = State::new(engine, session, database, host.now_micros());
        Self {
            host,
            volume,
            engine,
            session,
            user: user.to_owned(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts variables and everything else back to what they were after login.
    pub(super) fn reset(&self) {
        self.volume.named_locks().release_all(self.session);
        let now = self.host.now_micros();
        let mut state = self.state();
        let fresh = State::new(self.engine, self.session, &state.database, now);
        let connection_id = state.connection_id;
        *state = fresh;
        state.connection_id = connection_id;
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn autocommit(&self) -> bool {
        self.state().autocommit
    }

    pub(super) fn port(&self) -> u16 {
        self.host.address().map_or_else(
            || match self.engine {
                EngineKind::Postgres => 5432,
                EngineKind::MySql => 3306,
            },
            |address| address.port(),
        )
    }

    /// Aurora names its hosts by their private address.
    pub(super) fn host_name(&self) -> String {
        match self.host.address() {
            Some(address) => format!("ip-{}", address.ip().to_string().replace(['.', ':'], "-")),
            None => self.host.instance().to_string(),
        }
    }

    /// MySQL's `@@server_id`: a number that differs between instances.
    pub(super) fn server_number(&self) -> u32 {
        let name = self.host.instance().as_str();
        // FNV-1a, so that the number is the same in each run.
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    }

    pub(super) fn isolation(&self) -> Isolation {
        let state = self.state();
        state.transaction_isolation.unwrap_or(state.isolation)
    }

    pub(super) fn isolation_name(&self) -> String {
        let name = match self.isolation() {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        };
        match self.engine {
            EngineKind::Postgres => name.to_owned(),
            EngineKind::MySql => name.to_ascii_uppercase().replace(' ', "-"),
        }
    }

    /// Whether the session asked for transactions that only read.
    pub(super) fn is_session_read_only(&self) -> bool {
        let state = self.state();
        let name = "default_transaction_read_only";
        let set = state.variables.get(name);
        let default = set.or_else(|| state.login_variables.get(name));
        state.session_read_only || default.is_some_and(|value| value == "on")
    }

    /// Whether writes are refused now, because of the transaction or the session.
    pub(super) fn is_transaction_read_only(&self) -> bool {
        let of_transaction = self.state().transaction_read_only;
        of_transaction.unwrap_or_else(|| self.is_session_read_only())
    }

    /// Whether writes are refused now, for whatever reason.
    pub(super) fn is_read_only(&self) -> bool {
        !self.host.is_writer() || self.is_transaction_read_only()
    }

    /// The value of a variable as text; `None` when there is no such variable.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let variable = variables::find(self.engine, name);
        let default = match variable.map(|variable| variable.source) {
            Some(Source::Fixed(value)) => return Some(value.to_owned()),
            Some(Source::Computed(value)) => return Some(value(self)),
            Some(Source::Session(default)) => Some(default.to_owned()),
            None => None,
        };
        let key = variable.map_or_else(
            || name.to_ascii_lowercase(),
            |variable| variable.name.to_ascii_lowercase(),
        );
        let state = self.state();
        let set = state
            .local_variables
            .get(&key)
            .or_else(|| state.variables.get(&key))
            .or_else(|| state.login_variables.get(&key));
        set.cloned().or(default)
    }

    /// Keeps an error for the session and gives SQLite one to stop by.
    pub(super) fn fail(&self, error: SqlError) -> rusqlite::Error {
        let text = error.to_string();
        self.state().failure = Some(error);
        rusqlite::Error::UserFunctionError(text.into())
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.volume.named_locks().release_all(self.session);
    }
}

impl State {
    fn new(engine: EngineKind, session: u64, database: &str, now_micros: i64) -> Self {
        Self {
            database: database.to_owned(),
            connection_id: session,
            statement_micros: now_micros,
            transaction_micros: None,
            autocommit: true,
            isolation: Isolation::default_of(engine),
            transaction_isolation: None,
            session_read_only: false,
            transaction_read_only: None,
            login_variables: HashMap::new(),
            variables: HashMap::new(),
            local_variables: HashMap::new(),
            user_variables: HashMap::new(),
            last_insert_id: 0,
            row_count: -1,
            last_numbers: HashMap::new(),
            last_number: None,
            generated: None,
            sleep: Duration::ZERO,
            crashed: false,
            cursors: HashMap::new(),
            prepared: HashMap::new(),
            taken_locks: Vec::new(),
            transaction_locks: Vec::new(),
            lock_wait: None,
            given_up_locks: Vec::new(),
            failure: None,
            updated_rows: 0,
            random: now_micros.unsigned_abs() ^ (session << 32) | 1,
        }
    }

    /// What `now()` answers: PostgreSQL's transaction time, MySQL's statement time.
    pub(super) fn now_micros(&self) -> i64 {
        self.transaction_micros.unwrap_or(self.statement_micros)
    }

    /// The next number of a small generator (xorshift64*), for `random()` and UUIDs.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
