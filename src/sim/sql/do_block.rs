//! PostgreSQL's `DO`, as far as migrations use it: a block of one definition and the errors that
//! it is to pass over.
//!
//! ```text
//! DO $$ BEGIN CREATE TYPE mood AS ENUM ('a'); EXCEPTION WHEN duplicate_object THEN null; END $$
//! ```
//!
//! PL/pgSQL itself is not known; any other block is refused.

use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// A block that is understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) definition: Box<ast::Statement>,
    /// The SQLSTATEs that end the block in silence.
    pub(super) passed_over: Vec<&'static str>,
}

/// PL/pgSQL's names of errors that a definition meets (PostgreSQL manual, appendix A).
const CONDITIONS: [(&str, &str); 8] = [
    ("duplicate_object", "42710"),
    ("duplicate_table", "42P07"),
    ("duplicate_column", "42701"),
    ("duplicate_schema", "42P06"),
    ("undefined_object", "42704"),
    ("undefined_table", "42P01"),
    ("undefined_column", "42703"),
    ("invalid_table_definition", "42P16"),
];

/// The block in the words of a statement; `None` if the statement is no `DO`, or if nothing but
/// PL/pgSQL could run it.
pub(super) fn parse(words: &[&TokenWithSpan]) -> Option<Option<Block>> {
    let word = |token: &Token| match token {
        Token::Word(word) => word.value.to_ascii_uppercase(),
        _ => String::new(),
    };
    let (first, rest) = words.split_first()?;
    if word(&first.token) != "DO" {
        return None;
    }
    let body = rest.iter().find_map(|token| match &token.token {
        Token::SingleQuotedString(text) => Some(text.replace("''", "'")),
        Token::DollarQuotedString(text) => Some(text.value.clone()),
        _ => None,
    });
    Some(body.and_then(|body| block(&body)))
}

fn block(body: &str) -> Option<Block> {
    let body = body.trim().trim_end_matches(';').trim_end();
    let inner = strip_end(strip_start(body, "BEGIN")?, "END")?;
    let (definition, handlers) = match find_word(inner, "EXCEPTION") {
        Some(at) => (&inner[..at], Some(&inner[at + "EXCEPTION".len()..])),
        None => (inner, None),
    };
    let passed_over = match handlers {
        Some(handlers) => conditions(handlers)?,
        None => Vec::new(),
    };
    let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, definition).ok()?;
    let definition = parsed.pop().filter(|_| parsed.is_empty())?;
    let defines = matches!(
        definition,
        ast::Statement::CreateType { .. }
            | ast::Statement::CreateTable(_)
            | ast::Statement::CreateIndex(_)
            | ast::Statement::AlterTable(_)
            | ast::Statement::Drop { .. }
    );
    defines.then(|| Block {
        definition: Box::new(definition),
        passed_over,
    })
}

/// `WHEN name [OR name] THEN NULL;`
fn conditions(handlers: &str) -> Option<Vec<&'static str>> {
    let handler = strip_start(handlers.trim(), "WHEN")?;
    let then = find_word(handler, "THEN")?;
    let act = handler[then + "THEN".len()..].trim().trim_end_matches(';');
    if !act.trim().eq_ignore_ascii_case("null") {
        return None;
    }
    let names = handler[..then].to_ascii_lowercase();
    let states = names.split(" or ").map(|name| {
        let mut known = CONDITIONS.iter();
        let found = known.find(|(condition, _)| *condition == name.trim());
        found.map(|(_, sqlstate)| *sqlstate)
    });
    states.collect()
}

fn strip_start<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    (head.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then_some(rest)
}

fn strip_end<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(word.len())?;
    let tail = text.get(at..)?;
    tail.eq_ignore_ascii_case(word).then(|| &text[..at])
}

/// Where a word stands, outside of quotes.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), it) if open == it => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, _) => {
                let here = text.get(at..at + word.len());
                let after = text[at..].chars().nth(word.len());
                let apart = |it: char| !it.is_alphanumeric() && it != '_';
                if here.is_some_and(|here| here.eq_ignore_ascii_case(word))
                    && apart(before)
                    && after.is_none_or(apart)
                {
                    return Some(at);
                }
            }
        }
        before = character;
    }
    None
}
