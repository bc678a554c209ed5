//! The few statements that the parser does not know, recognised by their leading words.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::do_block;
use super::injection::{self, Injection};
use crate::id::EngineKind;

/// A statement that the parser does not know.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Statement {
    /// MySQL: `START TRANSACTION WITH CONSISTENT SNAPSHOT [, READ ONLY | READ WRITE]`.
    StartWithSnapshot { read_only: Option<bool> },
    /// MySQL: `ALTER SYSTEM CRASH ...`, `ALTER SYSTEM SIMULATE ...`.
    Inject(Injection),
    /// MySQL: `ALTER TABLE name` with an option that no client can see the effect of, such as
    /// `ENGINE = InnoDB`.
    TableOption { table: String },
    /// MySQL: `SHOW VOLUME STATUS`.
    ShowVolumeStatus,
    /// PostgreSQL: `FETCH name`, the next row.
    FetchNext(String),
    /// PostgreSQL: `VACUUM [(...)] [FULL] [FREEZE] [VERBOSE] [ANALYZE] [table, ...]`.
    Vacuum,
    /// PostgreSQL: `DO` of a block; `None` is one that is not understood.
    Do(Option<do_block::Block>),
    /// PostgreSQL: `ABORT [WORK | TRANSACTION]`.
    Abort,
    /// PostgreSQL: `SET SESSION CHARACTERISTICS AS TRANSACTION ...` access mode.
    SessionCharacteristics { read_only: bool },
}

/// Recognises a statement by its words; `None` leaves it to the parser.
pub(super) fn parse(engine: EngineKind, words: &[&TokenWithSpan]) -> Option<Statement> {
    // None of them is longer; a long statement need not be looked at.
    if words.len() > 24 {
        return None;
    }
    if engine == EngineKind::Postgres
        && let Some(block) = do_block::parse(words)
    {
        return Some(Statement::Do(block));
    }
    let written: Vec<String> = words.iter().map(|it| it.token.to_string()).collect();
    let words: Vec<String> = words.iter().map(|token| word(&token.token)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if engine == EngineKind::MySql
        && let Some(injection) = injection::parse(&words)
    {
        return Some(Statement::Inject(injection));
    }
    known(engine, words.as_slice(), &written)
}

/// `written` are the words as the client wrote them.
fn known(engine: EngineKind, words: &[&str], written: &[String]) -> Option<Statement> {
    match (engine, words) {
        (
            EngineKind::MySql,
            [
                "START",
                "TRANSACTION",
                "WITH",
                "CONSISTENT",
                "SNAPSHOT",
                rest @ ..,
            ],
        ) => {
            let read_only = match rest {
                [] => None,
                [",", "READ", "ONLY"] => Some(true),
                [",", "READ", "WRITE"] => Some(false),
                _ => return None,
            };
            Some(Statement::StartWithSnapshot { read_only })
        }
        (
            EngineKind::MySql,
            [
                "ALTER",
                "TABLE",
                _,
                "ENGINE" | "COMMENT" | "ROW_FORMAT" | "DEFAULT" | "CHARACTER" | "CHARSET"
                | "COLLATE" | "CONVERT" | "FORCE" | "DISABLE" | "ENABLE",
                ..,
            ],
        ) => Some(Statement::TableOption {
            table: written[2].trim_matches('`').to_owned(),
        }),
        (EngineKind::MySql, ["SHOW", "VOLUME", "STATUS"]) => Some(Statement::ShowVolumeStatus),
        (EngineKind::Postgres, ["FETCH", name]) => Some(Statement::FetchNext(unquoted(name))),
        (EngineKind::Postgres, ["VACUUM", ..]) => Some(Statement::Vacuum),
        (EngineKind::Postgres, ["ABORT"] | ["ABORT", "WORK" | "TRANSACTION"]) => {
            Some(Statement::Abort)
        }
        (
            EngineKind::Postgres,
            [
                "SET",
                "SESSION",
                "CHARACTERISTICS",
                "AS",
                "TRANSACTION",
                "READ",
                mode,
            ],
        ) => match *mode {
            "ONLY" => Some(Statement::SessionCharacteristics { read_only: true }),
            "WRITE" => Some(Statement::SessionCharacteristics { read_only: false }),
            _ => None,
        },
        _ => None,
    }
}

/// The name that a word means: what is not quoted is lower case.
fn unquoted(word: &str) -> String {
    match word
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => word.to_lowercase(),
    }
}

fn word(token: &Token) -> String {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
        other => other.to_string(),
    }
}
