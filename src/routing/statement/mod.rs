//! What a statement is, told by its text: whether it is surely a pure read, and what it does to the
//! transaction and to the session. Pure, and cautious: what is not understood is no pure read.
//!
//! | file | idea |
//! |---|---|
//! | `scan` | takes comments out; finds what cannot be read for sure, before it is parsed |
//! | `kinds` | what the statement does, by its first words or as it was parsed |
//! | `walk` | what keeps a query from being a pure read |
//! | `postgres`, `mysql`, `words` | the functions, catalogs and types that are known |
//! | `cache` | statements that were met before |
//!
//! Any text is taken. Only queries and the control of transactions are parsed, up to [`TEXT_MAX`]
//! and no deeper than the stack bears; for the rest the first words speak. Work and memory are
//! linear in the text.
//!
//! What a text does not show: what a view, a rule, a policy, a cast or an operator of somebody's own calls,
//! and a function of somebody's own that has the name of one that is built in.

mod cache;
mod kinds;
mod mysql;
mod postgres;
mod scan;
#[cfg(test)]
mod tests;
mod walk;
mod words;

pub(crate) use cache::Cache;

use std::borrow::Cow;

use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect};
use sqlparser::parser::Parser;

use crate::id::EngineKind;

/// Longer texts are not parsed: most are rows to be inserted.
pub(crate) const TEXT_MAX: usize = 16 * 1024;

/// How deep the parser may call itself: brackets, and signs before an expression.
const RECURSION_MAX: usize = 2 * scan::DEPTH_MAX;

/// How much of a parser's message is told.
const MESSAGE_MAX: usize = 120;

/// What a statement does, as far as it matters where it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It surely changes nothing and says the same on any connection to an instance with the
    /// same data.
    PureRead,
    /// It changes data, or may, or tells of one instance; it leaves nothing in its session.
    Other,
    /// It changes nothing, and its answer is its session's own: it depends on what was done there
    /// before.
    AsksSession,
    /// It begins a transaction.
    Begins {
        /// In which nothing can be written.
        read_only: bool,
    },
    /// COMMIT or ROLLBACK.
    Ends {
        /// AND CHAIN: another transaction begins at once.
        chains: bool,
        /// It is a COMMIT.
        commits: bool,
    },
    /// A savepoint is made, released or gone back to.
    Savepoint,
    /// It leaves something in its session that later statements meet.
    LeavesState,
    /// It is not understood, or calls what is not known: it may leave anything.
    Unclear,
}

impl Kind {
    /// Whether it may write, by itself.
    pub(crate) fn may_write(self) -> bool {
        match self {
            Self::Other | Self::LeavesState | Self::Unclear => true,
            Self::PureRead
            | Self::AsksSession
            | Self::Begins { .. }
            | Self::Ends { .. }
            | Self::Savepoint => false,
        }
    }

    /// How much there is to beware of.
    fn gravity(self) -> u8 {
        match self {
            Self::PureRead => 0,
            Self::Other
            | Self::AsksSession
            | Self::Begins { .. }
            | Self::Ends { .. }
            | Self::Savepoint => 1,
            Self::Unclear => 2,
            Self::LeavesState => 3,
        }
    }
}

/// What is known of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) kind: Kind,
    /// Why it is of that kind, for people: the rest of a sentence about it.
    pub(crate) reason: Cow<'static, str>,
    /// Whatever else it does, it asks what an earlier statement of its session did:
    /// `INSERT INTO t VALUES (LAST_INSERT_ID())`.
    pub(crate) asks_of_earlier: bool,
    /// It asks for the id that was generated last, which a connection that has generated none takes
    /// for 0: `LAST_INSERT_ID()` of MySQL.
    pub(crate) asks_for_id: bool,
}

impl Statement {
    /// A transaction that is begun by a call.
    pub(crate) fn begin(read_only: bool) -> Self {
        Self::new(Kind::Begins { read_only }, "it begins a transaction")
    }

    fn new(kind: Kind, reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = reason.into();
        Self {
            kind,
            reason,
            asks_of_earlier: false,
            asks_for_id: false,
        }
    }
}

/// Says what a text is, of one statement or several.
pub(crate) fn classify(engine: EngineKind, text: &str) -> Statement {
    let scan = scan::scan(engine, text);
    Statement {
        asks_of_earlier: scan.asks_of_earlier,
        asks_for_id: scan.asks_for_id,
        ..classify_scanned(engine, text, &scan)
    }
}

fn classify_scanned(engine: EngineKind, text: &str, scan: &scan::Scan) -> Statement {
    // Words tell of writes, and of what is left in a session; only what may be read is parsed.
    let found = match kinds::by_words(engine, scan) {
        Some(statement) => statement,
        None if scan.unclear.is_some() => Statement::new(Kind::Unclear, ""),
        None if text.len() > TEXT_MAX => {
            let kind = if scan.is_temporary {
                Kind::LeavesState
            } else {
                Kind::Other
            };
            Statement::new(kind, "it is longer than 16 KiB and not parsed")
        }
        None => parse(engine, scan),
    };
    let graver = |graver: &Statement| graver.kind.gravity() > found.kind.gravity();
    if let Some(by_name) = kinds::in_text(scan).filter(graver) {
        return by_name;
    }
    match &scan.unclear {
        Some(why) if found.kind.gravity() <= Kind::Unclear.gravity() => {
            Statement::new(Kind::Unclear, format!("it cannot be read for sure: {why}"))
        }
        _ => found,
    }
}

fn parse(engine: EngineKind, scan: &scan::Scan) -> Statement {
    let dialect: &dyn Dialect = match engine {
        EngineKind::MySql => &MySqlDialect {},
        EngineKind::Postgres => &PostgreSqlDialect {},
    };
    let parser = Parser::new(dialect).with_recursion_limit(RECURSION_MAX);
    let parsed = parser
        .try_with_sql(&scan.plain)
        .and_then(|mut parser| parser.parse_statements());
    match parsed.as_deref() {
        Ok([statement]) => kinds::of_parsed(engine, statement, scan),
        Ok(_) => Statement::new(Kind::Unclear, "it is not one statement"),
        Err(error) => {
            let mut message = error.to_string();
            if let Some((end, _)) = message.char_indices().nth(MESSAGE_MAX) {
                message.truncate(end);
                message.push('…');
            }
            Statement::new(Kind::Unclear, format!("it does not parse: {message}"))
        }
    }
}

/// The names of the built-in functions that are known to be pure.
pub(crate) fn pure_functions(engine: EngineKind) -> impl Iterator<Item = &'static str> {
    match engine {
        EngineKind::MySql => mysql::FUNCTIONS.all(),
        EngineKind::Postgres => postgres::FUNCTIONS.all(),
    }
}
