//! What a statement does: by its first words, or as it was parsed.

use sqlparser::ast::{Statement as Ast, TransactionAccessMode, TransactionMode};

use super::scan::Scan;
use super::walk::{self, Finding};
use super::{Kind, Statement, postgres};
use crate::id::EngineKind;

/// `DESCRIBE schema.table column`.
const DESCRIPTION_WORDS_MAX: usize = 4;

/// What the first words say; nothing of what has to be parsed.
///
/// Statements of these kinds go to the writer whatever else stands in them.
pub(super) fn by_words(engine: EngineKind, scan: &Scan) -> Option<Statement> {
    let [first, second] = [0, 1].map(|at| scan.words.get(at).map_or("", String::as_str));
    if scan.has_parts {
        return Some(Statement::new(Kind::Unclear, "it is several statements"));
    }
    if scan.is_empty {
        return Some(Statement::new(Kind::Other, "it is empty"));
    }
    let what = match (engine, first, second) {
        (_, "SELECT" | "WITH" | "VALUES" | "SHOW", _)
        | (_, "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT", _)
        | (_, "SAVEPOINT" | "RELEASE", _) => return None,
        (_, "EXPLAIN" | "DESCRIBE" | "DESC", _) => return explains(engine, scan),
        (EngineKind::Postgres, "SET", "LOCAL" | "TRANSACTION" | "CONSTRAINTS") => {
            let why = "it sets something for the transaction";
            return Some(Statement::new(Kind::Other, why));
        }
        (EngineKind::Postgres, "PREPARE", "TRANSACTION") | (EngineKind::MySql, "LOAD", _) => {
            return Some(changes(first));
        }
        (EngineKind::Postgres, "LOCK" | "FETCH" | "MOVE" | "CLOSE", _) => {
            return Some(changes(first));
        }
        // Others end with their transaction.
        (EngineKind::Postgres, "DECLARE", _) if !scan.words.iter().any(|word| word == "HOLD") => {
            return Some(changes(first));
        }
        (_, "CREATE", _) if scan.is_temporary => "something temporary",
        (_, "SET", _) => "a setting",
        (_, "PREPARE" | "EXECUTE" | "DEALLOCATE", _) => "a prepared statement",
        (_, "DECLARE" | "FETCH" | "MOVE" | "CLOSE" | "HANDLER", _) => "a cursor",
        (_, "LISTEN" | "UNLISTEN", _) => "a channel that it listens to",
        (_, "LOCK" | "UNLOCK" | "FLUSH", _) => "locks",
        (_, "USE", _) => "another database",
        (_, "LOAD", _) => "a library",
        (_, "DISCARD", _) => "nothing of what was there",
        (_, "XA", _) => "a part of a distributed transaction",
        (_, "ALTER" | "ANALYZE" | "CLUSTER" | "COMMENT" | "COPY" | "CREATE" | "DELETE", _)
        | (_, "DROP" | "GRANT" | "IMPORT" | "INSERT" | "KILL" | "MERGE" | "NOTIFY", _)
        | (_, "OPTIMIZE" | "REASSIGN" | "REFRESH" | "REINDEX" | "RENAME" | "REPAIR", _)
        | (_, "REPLACE" | "RESET" | "REVOKE" | "SECURITY" | "TRUNCATE" | "UPDATE", _)
        | (_, "CHECKPOINT" | "VACUUM", _) => return Some(changes(first)),
        _ => {
            let why = format!("{first} is not known to begin a read");
            return Some(Statement::new(Kind::Unclear, why));
        }
    };
    let why = format!("it leaves {what} in the session");
    Some(Statement::new(Kind::LeavesState, why))
}

fn changes(first: &str) -> Statement {
    Statement::new(Kind::Other, format!("it begins with {first}"))
}

/// Of EXPLAIN only queries are parsed, and MySQL's description of a table: the parser goes deep
/// where statements stand in statements.
fn explains(engine: EngineKind, scan: &Scan) -> Option<Statement> {
    const OPTIONS: [&str; 22] = [
        "ANALYZE",
        "BUFFERS",
        "COSTS",
        "EXTENDED",
        "FALSE",
        "FORMAT",
        "JSON",
        "MEMORY",
        "OFF",
        "ON",
        "PARTITIONS",
        "SERIALIZE",
        "SETTINGS",
        "SUMMARY",
        "TEXT",
        "TIMING",
        "TRADITIONAL",
        "TREE",
        "TRUE",
        "VERBOSE",
        "WAL",
        "XML",
    ];
    let mut rest = scan.words.iter().skip(1);
    let explained = rest.find(|word| !OPTIONS.contains(&word.as_str()));
    let is_query = explained.is_some_and(|word| matches!(&**word, "SELECT" | "WITH" | "VALUES"));
    let describes = engine == EngineKind::MySql && scan.words.len() <= DESCRIPTION_WORDS_MAX;
    let why = "it explains what is no pure read";
    (!is_query && !describes).then(|| Statement::new(Kind::Other, why))
}

/// What the text has outside of quotes that leaves something in the session, or is of it.
pub(super) fn in_text(scan: &Scan) -> Option<Statement> {
    let (kind, name) = match (&scan.lasting, &scan.variable) {
        (Some(lasting), _) => (Kind::LeavesState, lasting),
        (None, Some(variable)) if variable.starts_with("@@") => (Kind::AsksSession, variable),
        // It may be set within an expression: `@x := 1`.
        (None, Some(variable)) => (Kind::LeavesState, variable),
        (None, None) => return None,
    };
    let why = match kind {
        Kind::LeavesState => "which is, or leaves, state of the session",
        _ => "which is of the session or the instance",
    };
    Some(Statement::new(kind, format!("it names `{name}`, {why}")))
}

/// Says what one parsed statement is.
pub(super) fn of_parsed(engine: EngineKind, statement: &Ast, scan: &Scan) -> Statement {
    let own = by_itself(engine, statement);
    let found = walk::walk(engine, statement).or_else(|| {
        let verb = scan.verb.filter(|_| holds_query(statement))?;
        let reason = format!("it has the word {}", verb.to_ascii_uppercase()).into();
        let kind = Kind::Other;
        Some(Finding { kind, reason })
    });
    match found {
        // What stands in it cannot make it less.
        Some(Finding { kind, reason }) if kind.gravity() > own.kind.gravity() => {
            Statement::new(kind, reason)
        }
        _ => own,
    }
}

fn holds_query(statement: &Ast) -> bool {
    matches!(statement, Ast::Query(_) | Ast::Explain { .. })
}

fn by_itself(engine: EngineKind, statement: &Ast) -> Statement {
    match statement {
        Ast::Query(_) => Statement::new(Kind::PureRead, "it is a pure read"),
        Ast::Explain { statement, .. } => match &**statement {
            Ast::Query(_) => Statement::new(Kind::PureRead, "it explains a pure read"),
            _ => Statement::new(Kind::Other, "it explains what is no pure read"),
        },
        Ast::StartTransaction {
            modes,
            begin: _,
            transaction: _,
            modifier,
            statements,
            exception,
            has_end_keyword,
        } => {
            let is_block = modifier.is_some()
                || !statements.is_empty()
                || exception.is_some()
                || *has_end_keyword;
            if is_block {
                Statement::new(Kind::Unclear, "it is a block of statements")
            } else {
                begins(modes)
            }
        }
        Ast::Commit { chain, .. } => ends(*chain, "COMMIT"),
        Ast::Rollback {
            chain: _,
            savepoint: Some(_),
        }
        | Ast::Savepoint { .. }
        | Ast::ReleaseSavepoint { .. } => {
            Statement::new(Kind::Savepoint, "it is about a savepoint")
        }
        Ast::Rollback {
            chain,
            savepoint: None,
        } => ends(*chain, "ROLLBACK"),
        other => shows(engine, other)
            .unwrap_or_else(|| Statement::new(Kind::Unclear, "it is not known to be a read")),
    }
}

fn begins(modes: &[TransactionMode]) -> Statement {
    let has = |mode| modes.contains(&TransactionMode::AccessMode(mode));
    let read_only = has(TransactionAccessMode::ReadOnly) && !has(TransactionAccessMode::ReadWrite);
    let reason = if read_only {
        "it begins a READ ONLY transaction"
    } else {
        "it begins a transaction"
    };
    Statement::new(Kind::Begins { read_only }, reason)
}

fn ends(chains: bool, word: &'static str) -> Statement {
    let commits = word == "COMMIT";
    Statement::new(Kind::Ends { chains, commits }, format!("it is {word}"))
}

/// What is shown of the schema, and is alike everywhere.
fn shows(engine: EngineKind, statement: &Ast) -> Option<Statement> {
    let pure = || Some(Statement::new(Kind::PureRead, "it shows the schema"));
    match (engine, statement) {
        (EngineKind::Postgres, Ast::ShowVariable { variable }) => {
            let parts: Vec<_> = variable.iter().map(|part| part.value.as_str()).collect();
            let name = parts.join(" ").to_ascii_lowercase();
            if postgres::SHOWN.contain(&name) {
                return Some(Statement::new(Kind::PureRead, "it shows a setting"));
            }
            let why = format!("it shows `{name}`, which is of the session or the instance");
            Some(Statement::new(Kind::AsksSession, why))
        }
        (
            EngineKind::MySql,
            Ast::ShowTables { .. }
            | Ast::ShowColumns { .. }
            | Ast::ShowCreate { .. }
            | Ast::ShowDatabases { .. }
            | Ast::ShowSchemas { .. }
            | Ast::ShowCollation { .. }
            | Ast::ShowCharset { .. }
            | Ast::ExplainTable { .. },
        ) => pure(),
        (
            EngineKind::MySql,
            Ast::ShowVariable { .. }
            | Ast::ShowStatus { .. }
            | Ast::ShowVariables { .. }
            | Ast::ShowProcessList { .. }
            | Ast::ShowFunctions { .. },
        ) => Some(Statement::new(
            Kind::AsksSession,
            "it shows what is of the session or the instance",
        )),
        _ => None,
    }
}
