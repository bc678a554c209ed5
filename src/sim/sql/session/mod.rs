//! A client's session: the calls that a front makes, and the order of things around a statement.

mod cursors;
mod failure;
mod named_locks;
mod replication;
mod reshape;
mod rows;
mod run;
mod settings;
mod transaction;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::Connection;

use super::context::Context;
use super::plan::Plan;
use super::statement::{self, Statement};
use super::variables;
use super::{
    Column, Description, Reply, SqlError, SqlType, TransactionState, Value, compile, native,
};
use crate::id::EngineKind;
use crate::sim::host::{Count, Host};
use crate::sim::volume::{OldState, Volume};
pub(super) use cursors::Cursor;
use transaction::Transaction;

/// One client's session at one instance.
///
/// Dropping it rolls its transaction back and gives the write lock to the next in line.
pub(crate) struct Session {
    context: Arc<Context>,
    volume: Arc<Volume>,
    connection: Connection,
    transaction: Transaction,
    /// Parsed scripts by their text, so that a repeated query is parsed and compiled once.
    scripts: HashMap<String, Vec<Statement>>,
    /// The parameters as the client was last told of them.
    reported: HashMap<&'static str, String>,
    /// Whether SQLite itself refuses to write on this connection at present.
    query_only: bool,
    initial_database: String,
    shared: Arc<Shared>,
    /// The state that `connection` leads to; `None` is the volume itself.
    seen: Option<Arc<OldState>>,
    /// How often `connection` has been replaced; plans do not outlive it.
    switches: u64,
}

/// What the session's SQLite hooks look at.
#[derive(Debug, Default)]
struct Shared {
    /// The open transaction changes the volume, so that its commit is the host's to allow.
    fenced: AtomicBool,
    /// How often SQLite has reported progress in the running statement.
    steps: AtomicU64,
}

/// Scripts longer than this are parsed each time.
const MAX_CACHED_SCRIPT_BYTES: usize = 4 * 1024;
/// The cache of scripts starts anew when it has grown to this.
const MAX_CACHED_SCRIPTS: usize = 128;
/// SQLite's prepared statements that a session keeps.
const MAX_PREPARED: usize = 64;

/// SQLite reports progress after so many of its virtual machine's instructions.
const INSTRUCTIONS_PER_STEP: i32 = 100_000;
/// A statement that takes more steps is cancelled. A scan of a million rows takes some hundred;
/// an endless recursive query would otherwise hold up the whole simulator.
const MAX_STEPS: u64 = 500;

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("number", &self.context.session)
            .field("user", &self.context.user())
            .field("transaction", &self.transaction)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Opens a session for a user who has already been let in.
    pub(crate) fn open(
        host: Arc<dyn Host>,
        volume: &Arc<Volume>,
        user: &str,
        database: &str,
    ) -> Result<Self, SqlError> {
        let engine = host.engine();
        let context = Arc::new(Context::new(host, Arc::clone(volume), user, database));
        let shared = Arc::new(Shared::default());
        let connection = connect(volume, None, &context, &shared)
            .map_err(|error| SqlError::internal(engine, error.to_string()))?;
        Ok(Self {
            context,
            volume: Arc::clone(volume),
            connection,
            transaction: Transaction::default(),
            scripts: HashMap::new(),
            reported: HashMap::new(),
            query_only: false,
            initial_database: database.to_owned(),
            shared,
            seen: None,
            switches: 0,
        })
    }

    /// Who has logged in.
    pub(crate) fn user(&self) -> &str {
        self.context.user()
    }

    /// Tells the session the id by which clients know its connection (`pg_backend_pid()`,
    /// `CONNECTION_ID()`). Without it, the session's number in the cluster is shown.
    pub(crate) fn set_connection_id(&mut self, id: u32) {
        self.context.state().connection_id = id.into();
    }

    /// Splits a script into statements. An empty script gives an empty list.
    pub(crate) fn parse(&mut self, script: &str) -> Result<Vec<Statement>, SqlError> {
        if let Some(statements) = self.scripts.get(script) {
            return Ok(statements.clone());
        }
        match statement::parse(self.engine(), script) {
            Ok(statements) => {
                if script.len() <= MAX_CACHED_SCRIPT_BYTES {
                    if self.scripts.len() >= MAX_CACHED_SCRIPTS {
                        self.scripts.clear();
                    }
                    self.scripts.insert(script.to_owned(), statements.clone());
                }
                Ok(statements)
            }
            Err(error) => Err(self.after_error(error)),
        }
    }

    /// What a statement takes and gives. `hints` are the parameter types that the client named
    /// (PostgreSQL's Parse message); a missing or `Unknown` hint is inferred.
    pub(crate) fn describe(
        &mut self,
        statement: &Statement,
        hints: &[SqlType],
    ) -> Result<Description, SqlError> {
        let ready = self.check_not_failed(statement);
        if let Err(error) = ready.and_then(|()| self.follow_replication()) {
            return Err(self.after_error(error));
        }
        let generation = self.generation();
        let plan = match statement.cached_plan(generation, Some(hints)) {
            Some(plan) => plan,
            None => match self.compile(statement, hints) {
                Ok(plan) => plan,
                Err(error) => return Err(self.after_error(error)),
            },
        };
        Ok(Description {
            parameters: plan.parameters.iter().map(|of| of.kind).collect(),
            columns: match plan.action {
                // The columns are the cursor's, which answers nothing by itself.
                super::plan::Action::Declare { .. } => None,
                _ => plan.columns.clone(),
            },
        })
    }

    /// The columns of a cursor that was declared by SQL, which is a portal to the protocol.
    pub(crate) fn cursor_columns(&self, name: &str) -> Option<Arc<[Column]>> {
        let state = self.context.state();
        let cursor = state.cursors.get(name)?;
        Some(Arc::clone(&cursor.columns))
    }

    /// Runs a statement.
    ///
    /// May wait: for the write lock, or because the statement sleeps. Dropping the future is
    /// safe; the statement is then rolled back and the session stays usable.
    pub(crate) async fn execute(
        &mut self,
        statement: &Statement,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        // Cancel safety: what the drop of this guard finds half done, it undoes.
        let mut flight = Flight {
            session: self,
            landed: false,
        };
        let result = flight.session.execute_inner(statement, parameters).await;
        flight.landed = true;
        result.map_err(|error| {
            flight.session.give_up_taken_locks();
            flight.session.after_error(error)
        })
    }

    async fn execute_inner(
        &mut self,
        statement: &Statement,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        self.begin_statement();
        self.check_not_failed(statement)?;
        self.follow_replication()?;
        let plan = self.plan(statement)?;
        self.check_writable(&plan)?;
        self.follow_role(&plan)?;
        let reply = self
            .run_until_unlocked(statement, &plan, parameters)
            .await?;
        if self.context.state().crashed {
            // The answer dies with the instance.
            std::future::pending::<()>().await;
        }
        self.keep_taken_locks();
        let traits = plan.traits;
        let counts = [
            (traits.reads_tables, Count::Read),
            (traits.writes && !traits.only_temporary, Count::Write),
            (traits.reads_topology, Count::TopologyQuery),
        ];
        for (_, count) in counts.iter().filter(|(happened, _)| *happened) {
            self.context.host.count(*count);
        }
        Ok(reply)
    }

    /// Runs a statement, again after each lock by name that it had to wait for.
    async fn run_until_unlocked(
        &mut self,
        statement: &Statement,
        plan: &Plan,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        loop {
            let outcome = self.run(statement, plan, parameters).await;
            let Err(error) = outcome else { return outcome };
            let runs_again = matches!(plan.action, super::plan::Action::Query(_));
            if !runs_again || !self.wait_for_named_lock().await? {
                return Err(error);
            }
            self.context.state().failure = None;
        }
    }

    fn begin_statement(&mut self) {
        self.context.host.count(Count::Statement);
        self.shared.steps.store(0, Ordering::Relaxed);
        let now = self.context.host.now_micros();
        let mut state = self.context.state();
        state.statement_micros = now;
        state.failure = None;
        state.generated = None;
        state.sleep = std::time::Duration::ZERO;
        state.lock_wait = None;
        state.given_up_locks.clear();
    }

    /// The plan of a statement for the catalog as it is now.
    fn plan(&mut self, statement: &Statement) -> Result<Arc<Plan>, SqlError> {
        match statement.cached_plan(self.generation(), None) {
            Some(plan) => Ok(plan),
            None => self.compile(statement, &statement.last_hints()),
        }
    }

    fn compile(&mut self, statement: &Statement, hints: &[SqlType]) -> Result<Arc<Plan>, SqlError> {
        // Read before compiling, so that a change meanwhile makes the plan stale at once.
        let generation = self.generation();
        let plan = compile::compile(&self.context, &self.connection, statement, hints);
        let plan = Arc::new(plan.map_err(|error| self.refused_instead(statement, error))?);
        if !plan.traits.of_the_moment {
            statement.cache_plan(&plan, generation, hints);
        }
        Ok(plan)
    }

    /// Whether a transaction is open; both protocols report it after each statement.
    pub(crate) fn transaction(&self) -> TransactionState {
        self.transaction.state()
    }

    /// MySQL's `autocommit` flag, reported in the status flags. Always on for PostgreSQL.
    pub(crate) fn autocommit(&self) -> bool {
        self.context.autocommit()
    }

    /// Whether its transactions take no writes, reported in the status flags of MySQL.
    pub(crate) fn is_transaction_read_only(&self) -> bool {
        self.context.is_transaction_read_only()
    }

    /// Puts the session back to what it was after login (COM_RESET_CONNECTION): the transaction
    /// is rolled back, variables and temporary objects are gone.
    pub(crate) fn reset(&mut self) {
        self.roll_back();
        self.drop_temporary_tables();
        self.context.reset();
        self.context
            .state()
            .database
            .clone_from(&self.initial_database);
        self.scripts.clear();
    }

    /// What was set so far belongs to the login: it is what RESET leads back to.
    pub(crate) fn keep_settings(&mut self) {
        let mut state = self.context.state();
        state.login_variables = std::mem::take(&mut state.variables);
    }

    /// Changes the current database (COM_INIT_DB).
    pub(crate) fn use_database(&mut self, database: &str) -> Result<(), SqlError> {
        let system = ["mysql", "information_schema", "performance_schema"];
        let known = self.initial_database.is_empty()
            || database == self.initial_database
            || system
                .iter()
                .any(|name| name.eq_ignore_ascii_case(database));
        if !known {
            let message = format!("Unknown database '{database}'");
            return Err(SqlError::of(
                self.engine(),
                "3D000",
                (1049, "42000"),
                message,
            ));
        }
        let mut state = self.context.state();
        if state.database != database {
            state.database = database.to_owned();
            // Names mean something else now, though no table has changed.
            self.volume.schema_changed();
        }
        Ok(())
    }

    /// The session parameters whose change the client is to be told of (PostgreSQL's
    /// ParameterStatus) since the last call; right after `open`, all of them.
    pub(crate) fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        if self.engine() == EngineKind::MySql {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for name in variables::REPORTED {
            let Some(value) = self.context.variable(name) else {
                continue;
            };
            if self.reported.get(name) != Some(&value) {
                self.reported.insert(name, value.clone());
                changes.push((name, value));
            }
        }
        changes
    }

    fn engine(&self) -> EngineKind {
        self.context.engine
    }

    fn is_postgres(&self) -> bool {
        self.engine() == EngineKind::Postgres
    }
}

/// Opens a connection with the session's functions and hooks.
fn connect(
    volume: &Volume,
    seen: Option<&OldState>,
    context: &Arc<Context>,
    shared: &Arc<Shared>,
) -> rusqlite::Result<Connection> {
    let mut connection = match seen {
        Some(state) => Volume::connect_to(state)?,
        None => volume.connect()?,
    };
    connection.set_prepared_statement_cache_capacity(MAX_PREPARED);
    native::register(&connection, context)?;
    let hook = Arc::clone(shared);
    let host = Arc::clone(&context.host);
    // True turns the commit into a rollback: nothing of a dead or fenced boot gets in.
    connection.commit_hook(Some(move || {
        hook.fenced.load(Ordering::Acquire) && !host.may_commit()
    }))?;
    let hook = Arc::clone(shared);
    connection.progress_handler(
        INSTRUCTIONS_PER_STEP,
        Some(move || hook.steps.fetch_add(1, Ordering::Relaxed) >= MAX_STEPS),
    )?;
    Ok(connection)
}

/// A statement on its way; undone when dropped before it has landed.
struct Flight<'a> {
    session: &'a mut Session,
    landed: bool,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.session.abandon();
        }
    }
}
