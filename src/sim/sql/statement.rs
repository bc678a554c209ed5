//! From a script's text to parsed statements: splitting, parsing, syntax errors.

use std::sync::{Arc, Mutex, PoisonError};

use sqlparser::ast;
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::compile::only_query;
use super::plan::Plan;
use super::{SqlError, SqlType, adapt, nesting, own_syntax};
use crate::id::EngineKind;

/// Longer scripts are refused before they are looked at: MySQL's default `max_allowed_packet`.
const MAX_SCRIPT_BYTES: usize = 64 * 1024 * 1024;

/// More statements in one script than this are refused.
const MAX_STATEMENTS: usize = 10_000;

/// One parsed statement, ready to be described and executed any number of times.
///
/// Cloning is cheap. The plan that it was last compiled to travels with it, so that a prepared
/// statement is compiled once for as long as no table changes.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    text: String,
    syntax: Syntax,
    /// Where each `?` stands, in the order of the text.
    placeholders: Vec<Location>,
    /// The texts of the outermost select list, which MySQL uses as column names.
    item_texts: Vec<String>,
    cached: Mutex<Option<Cached>>,
}

/// What a statement is.
#[derive(Debug)]
pub(super) enum Syntax {
    /// What the parser knows.
    Standard(Box<ast::Statement>),
    /// What it does not know.
    Own(own_syntax::Statement),
}

#[derive(Debug, Clone)]
struct Cached {
    plan: Arc<Plan>,
    generation: u64,
    hints: Vec<SqlType>,
}

impl Statement {
    pub(crate) fn text(&self) -> &str {
        &self.inner.text
    }

    pub(super) fn syntax(&self) -> &Syntax {
        &self.inner.syntax
    }

    pub(super) fn placeholders(&self) -> &[Location] {
        &self.inner.placeholders
    }

    pub(super) fn item_texts(&self) -> &[String] {
        &self.inner.item_texts
    }

    /// The plan of the last compilation, if it was made in this schema generation with these
    /// hints. Without hints, any will do: the last description's hold.
    pub(super) fn cached_plan(
        &self,
        generation: u64,
        hints: Option<&[SqlType]>,
    ) -> Option<Arc<Plan>> {
        let cached = self.cached();
        let cached = cached.as_ref().filter(|cached| {
            cached.generation == generation && hints.is_none_or(|hints| cached.hints == hints)
        });
        cached.map(|cached| Arc::clone(&cached.plan))
    }

    /// The hints of the last compilation.
    pub(super) fn last_hints(&self) -> Vec<SqlType> {
        let cached = self.cached();
        cached
            .as_ref()
            .map(|cached| cached.hints.clone())
            .unwrap_or_default()
    }

    pub(super) fn cache_plan(&self, plan: &Arc<Plan>, generation: u64, hints: &[SqlType]) {
        *self.cached() = Some(Cached {
            plan: Arc::clone(plan),
            generation,
            hints: hints.to_vec(),
        });
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, Option<Cached>> {
        self.inner
            .cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parses a query that was compiled before, such as a view's.
pub(super) fn parse_query(engine: EngineKind, text: &str) -> Result<ast::Query, SqlError> {
    let dialect: &dyn Dialect = match engine {
        EngineKind::Postgres => &PostgreSqlDialect {},
        EngineKind::MySql => &MySqlDialect {},
    };
    let parsed = Parser::parse_sql(dialect, text);
    let query = parsed
        .ok()
        .and_then(|mut statements| only_query(statements.pop()?));
    query.ok_or_else(|| SqlError::internal(engine, "a view's text cannot be read"))
}

/// Splits a script and parses each of its statements.
pub(super) fn parse(engine: EngineKind, script: &str) -> Result<Vec<Statement>, SqlError> {
    if script.len() > MAX_SCRIPT_BYTES {
        return Err(SqlError::of(
            engine,
            "54000",
            (1153, "08S01"),
            "Got a packet bigger than 'max_allowed_packet' bytes",
        ));
    }
    let dialect: &dyn Dialect = match engine {
        EngineKind::Postgres => &PostgreSqlDialect {},
        EngineKind::MySql => &MySqlDialect {},
    };
    let lines = LineIndex::new(script);
    let tokens = Tokenizer::new(dialect, script)
        .tokenize_with_location()
        .map_err(|error| {
            let at = lines.byte_offset(error.location);
            syntax_error(engine, script, Some(at), Some(&error.message))
        })?;
    let mut statements = Vec::new();
    for part in tokens.split(|token| token.token == Token::SemiColon) {
        let source = Source {
            engine,
            dialect,
            script,
            lines: &lines,
        };
        if let Some(statement) = source.parse_one(part)? {
            statements.push(statement);
        }
        if statements.len() > MAX_STATEMENTS {
            return Err(SqlError::unsupported(
                engine,
                "a script of so many statements",
            ));
        }
    }
    Ok(statements)
}

impl Statement {
    fn from_inner(
        text: String,
        syntax: Syntax,
        placeholders: Vec<Location>,
        item_texts: Vec<String>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                text,
                syntax,
                placeholders,
                item_texts,
                cached: Mutex::new(None),
            }),
        }
    }
}

struct Source<'a> {
    engine: EngineKind,
    dialect: &'a dyn Dialect,
    script: &'a str,
    lines: &'a LineIndex<'a>,
}

impl Source<'_> {
    fn parse_one(&self, tokens: &[TokenWithSpan]) -> Result<Option<Statement>, SqlError> {
        let is_word =
            |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
        let words: Vec<&TokenWithSpan> = tokens.iter().filter(is_word).collect();
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            return Ok(None);
        };
        nesting::check(self.engine, &words)?;
        let text = self.slice(first, last).to_owned();
        let syntax = match own_syntax::parse(self.engine, &words) {
            Some(own) => Syntax::Own(own),
            None => Syntax::Standard(Box::new(self.parse_standard(tokens)?)),
        };
        let placeholders = words
            .iter()
            .filter(|token| matches!(&token.token, Token::Placeholder(mark) if mark == "?"))
            .map(|token| token.span.start)
            .collect();
        let item_texts = match self.engine {
            EngineKind::MySql => self.item_texts(&words),
            EngineKind::Postgres => Vec::new(),
        };
        Ok(Some(Statement::from_inner(
            text,
            syntax,
            placeholders,
            item_texts,
        )))
    }

    fn parse_standard(&self, tokens: &[TokenWithSpan]) -> Result<ast::Statement, SqlError> {
        let mut tokens = tokens.to_vec();
        adapt::adapt(self.engine, &mut tokens);
        let mut parser = Parser::new(self.dialect).with_tokens_with_locations(tokens);
        let parsed = parser.parse_statement().map_err(|error| match error {
            ParserError::RecursionLimitExceeded => nesting::too_deep(self.engine),
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
                let at = location_in(&message).map(|location| self.lines.byte_offset(location));
                syntax_error(self.engine, self.script, at, None)
            }
        })?;
        let next = parser.peek_token();
        if next.token == Token::EOF {
            return Ok(parsed);
        }
        let at = self.lines.byte_offset(next.span.start);
        Err(syntax_error(self.engine, self.script, Some(at), None))
    }

    fn slice(&self, first: &TokenWithSpan, last: &TokenWithSpan) -> &str {
        let start = self.lines.byte_offset(first.span.start);
        let end = self.lines.byte_offset(last.span.end);
        self.script.get(start..end).unwrap_or("").trim()
    }

    /// The texts between the commas of the outermost `SELECT ... FROM`.
    fn item_texts(&self, words: &[&TokenWithSpan]) -> Vec<String> {
        let keyword = |token: &Token| match token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
            _ => String::new(),
        };
        if words
            .first()
            .is_none_or(|first| keyword(&first.token) != "SELECT")
        {
            return Vec::new();
        }
        let mut texts = Vec::new();
        let mut depth = 0_i32;
        let mut item: Option<(usize, usize)> = None;
        for (index, token) in words.iter().enumerate().skip(1) {
            match &token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                Token::Comma if depth == 0 => {
                    texts.extend(
                        item.take()
                            .map(|(a, b)| self.slice(words[a], words[b]).to_owned()),
                    );
                    continue;
                }
                other if depth == 0 => match keyword(other).as_str() {
                    "FROM" | "WHERE" | "GROUP" | "HAVING" | "ORDER" | "LIMIT" | "UNION"
                    | "INTO" | "FOR" => break,
                    "DISTINCT" | "ALL" if item.is_none() && texts.is_empty() => continue,
                    _ => {}
                },
                _ => {}
            }
            item = Some((item.map_or(index, |(start, _)| start), index));
        }
        texts.extend(item.map(|(a, b)| self.slice(words[a], words[b]).to_owned()));
        texts
    }
}

/// The `Line: 1, Column: 8` at the end of the parser's messages.
fn location_in(message: &str) -> Option<Location> {
    let rest = &message[message.rfind("Line: ")? + "Line: ".len()..];
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(Location {
        line: line.parse().ok()?,
        column: digits.parse().ok()?,
    })
}

/// A syntax error at a byte of the script, worded as the real servers do.
fn syntax_error(
    engine: EngineKind,
    script: &str,
    at: Option<usize>,
    cause: Option<&str>,
) -> SqlError {
    let at = at.unwrap_or(script.len()).min(script.len());
    let rest = script.get(at..).unwrap_or("");
    let before = script.get(..at).unwrap_or("");
    match engine {
        EngineKind::Postgres => {
            let message = match (cause, first_word(rest)) {
                (Some(cause), _) => format!("syntax error: {cause}"),
                (None, "") => "syntax error at end of input".to_owned(),
                (None, word) => format!("syntax error at or near \"{word}\""),
            };
            let mut error = SqlError::new("42601", 1064, message);
            error.position = u32::try_from(before.chars().count() + 1).ok();
            error
        }
        EngineKind::MySql => {
            let near: String = rest.chars().take(80).collect();
            let line = before.matches('\n').count() + 1;
            SqlError::new(
                "42000",
                1064,
                format!(
                    "You have an error in your SQL syntax; check the manual that corresponds \
                     to your MySQL server version for the right syntax to use near '{near}' at \
                     line {line}"
                ),
            )
        }
    }
}

fn first_word(text: &str) -> &str {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let end = match text.char_indices().find(|(_, char)| !is_word(*char)) {
        Some((0, char)) => char.len_utf8(),
        Some((end, _)) => end,
        None => text.len(),
    };
    text[..end].trim()
}

/// Turns the tokenizer's lines and columns, which count characters, into bytes.
struct LineIndex<'a> {
    script: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    fn new(script: &'a str) -> Self {
        let after = script.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            script,
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    fn byte_offset(&self, location: Location) -> usize {
        let (Ok(line), Ok(column)) = (
            usize::try_from(location.line),
            usize::try_from(location.column),
        ) else {
            return self.script.len();
        };
        let Some(start) = line.checked_sub(1).and_then(|line| self.starts.get(line)) else {
            return self.script.len();
        };
        let rest = &self.script[*start..];
        let within = rest.char_indices().nth(column.saturating_sub(1));
        start + within.map_or(rest.len(), |(at, _)| at)
    }
}
