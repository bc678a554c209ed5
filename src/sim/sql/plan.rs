//! What a statement is compiled to: SQLite's SQL with the types around it, or an act of the
//! session itself.

use std::sync::Arc;

use super::SqlType;
use super::context::Isolation;
use super::injection::Injection;
use super::shape::Edit;
use super::types::Type;
use super::value::Column;

/// A compiled statement.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) action: Action,
    /// The word in PostgreSQL's command tag and in its errors, such as `INSERT`.
    pub(super) verb: &'static str,
    pub(super) parameters: Vec<Type>,
    /// The columns that the client sees.
    pub(super) columns: Option<Arc<[Column]>>,
    /// Their full types, one a column.
    pub(super) column_types: Vec<Type>,
    pub(super) traits: Traits,
}

/// What is to be known of a plan before it runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traits {
    /// Reads at least one table of the users.
    pub(super) reads_tables: bool,
    /// Reads the replica-status table or function.
    pub(super) reads_topology: bool,
    /// Changes rows or the schema of the volume.
    pub(super) writes: bool,
    /// Changes the schema.
    pub(super) defines: bool,
    /// Changes only temporary tables.
    pub(super) only_temporary: bool,
    /// `SELECT ... FOR UPDATE` and its like.
    pub(super) locks: bool,
    /// The client named the locks `NOWAIT`.
    pub(super) no_wait: bool,
    /// The client named the locks `SKIP LOCKED`.
    pub(super) skip_locked: bool,
    /// Calls a function that sleeps.
    pub(super) sleeps: bool,
    /// Depends on what the session keeps by name, so that it is compiled each time.
    pub(super) of_the_moment: bool,
    /// Some column's type is only known from its values.
    pub(super) open_types: bool,
}

/// What running a plan does.
#[derive(Debug)]
pub(super) enum Action {
    /// One SQLite statement that answers rows.
    Query(String),
    /// Statements that change data.
    Change(Box<Change>),
    /// Statements that change the schema.
    Define(Definition),
    Begin(TransactionModes),
    Commit,
    Rollback,
    Savepoint(String),
    RollbackTo(String),
    Release(String),
    /// Settings, in order.
    Set(Vec<Setting>),
    /// Modes of the running transaction, or of those to come.
    SetTransaction {
        modes: TransactionModes,
        session: bool,
    },
    Use(String),
    /// `DISCARD ALL`, `RESET ALL`: variables back to their defaults; the first also temporary
    /// tables.
    Discard {
        everything: bool,
    },
    /// `DISCARD TEMP`: temporary tables.
    DiscardTemporary,
    /// Opens a cursor over the rows of a SQLite query.
    Declare {
        name: String,
        sql: String,
        hold: bool,
        scroll: bool,
    },
    Fetch {
        name: String,
        distance: Distance,
    },
    /// Without a name, all.
    CloseCursor(Option<String>),
    /// `PREPARE` by SQL.
    Prepare {
        name: String,
        text: String,
        hints: Vec<SqlType>,
    },
    /// Runs what was prepared with the values of SQLite queries.
    Execute {
        name: String,
        values: Vec<String>,
    },
    /// Without a name, all.
    Deallocate(Option<String>),
    /// Aurora's fault injection.
    Inject(Injection),
    /// Takes the one lock for writing.
    LockTable,
    /// Refused inside of a transaction, else without an effect.
    Vacuum,
    /// Accepted and without an effect, such as `ANALYZE`.
    Nothing,
}

/// A change of data.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) sql: String,
    /// Counts the rows that a MySQL `UPDATE` really changes; runs before it.
    pub(super) count_changed: Option<String>,
    /// The column whose counter the statement draws from.
    pub(super) generated: Option<GeneratedColumn>,
    /// Counts all rows, before and after: those that `REPLACE` removed count as affected.
    pub(super) count_rows: Option<String>,
    /// Rows changed in place count twice (`ON DUPLICATE KEY UPDATE`).
    pub(super) counts_updates: bool,
    /// Rows that are found though they may stay as they are; those of an `INSERT ... SELECT` are not counted.
    pub(super) proposed: u64,
    /// Further statements, such as those that empty more tables.
    pub(super) more: Vec<String>,
    /// Tables whose counters start again.
    pub(super) forget_counters: Vec<String>,
}

/// A column with a counter.
#[derive(Debug, Clone)]
pub(super) struct GeneratedColumn {
    pub(super) table: String,
    pub(super) column: String,
    pub(super) key: String,
    /// Whether the statement gives the column's value itself; then MySQL counts on from it.
    pub(super) explicit: bool,
}

/// A change of the schema.
#[derive(Debug, Default)]
pub(super) struct Definition {
    pub(super) steps: Vec<Step>,
    pub(super) forget_counters: Vec<String>,
    /// The tag of `CREATE TABLE ... AS`: `SELECT n`.
    pub(super) tag_is_count: bool,
}

/// One step of a change of the schema.
#[derive(Debug)]
pub(super) enum Step {
    /// A statement of SQLite.
    Sql(String),
    /// Changes of a table that SQLite's `ALTER TABLE` does not know.
    Reshape {
        table: String,
        temporary: bool,
        edits: Vec<Edit>,
    },
}

impl From<String> for Step {
    fn from(sql: String) -> Self {
        Self::Sql(sql)
    }
}

/// Where a cursor goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Distance {
    /// So many rows on, or back if negative, each of which is wanted.
    Rows(i64),
    /// To the row that is so far away.
    Relative(i64),
    /// To a row by its number; negative ones count from the end.
    Absolute(i64),
}

/// `READ ONLY`, `ISOLATION LEVEL ...`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TransactionModes {
    pub(super) read_only: Option<bool>,
    pub(super) isolation: Option<Isolation>,
    /// The snapshot is to be taken at once.
    pub(super) snapshot: bool,
}

/// One assignment of a `SET`.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) target: Target,
    pub(super) value: NewValue,
}

#[derive(Debug)]
pub(super) enum Target {
    /// A variable of the session; lower case.
    Variable { name: String, local: bool },
    /// MySQL's `@name`.
    User(String),
}

#[derive(Debug)]
pub(super) enum NewValue {
    Default,
    Text(String),
    /// A SQLite query of one value.
    Query(String),
}
