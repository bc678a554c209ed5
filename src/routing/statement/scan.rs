//! A first look at a text, byte by byte: comments are taken out, and what cannot be read for sure
//! is found before a parser sees it.
//!
//! Where a literal ends may depend on settings of the session (`standard_conforming_strings`,
//! `sql_mode`), and the parser knows none of them. So a text is only read on where all settings
//! agree about it. The rules of quoting are those of the PostgreSQL manual, section 4.1, and of the
//! MySQL manual, section 11.

use std::borrow::Cow;

use super::{TEXT_MAX, mysql, postgres};
use crate::id::EngineKind;

/// How deep brackets may nest: the parser takes up to 130 KiB of stack for a level, unoptimised.
pub(super) const DEPTH_MAX: usize = 16;

/// The most words and signs between two commas, counted through brackets: a chain such as
/// `1+1+1+…` becomes a tree as deep as it is long, which is walked and dropped by recursion.
pub(super) const CHAIN_MAX: usize = 1_000;

/// How many words are kept: enough for the options of EXPLAIN.
const FIRST_WORDS: usize = 12;

/// The most set operations: these make a tree as deep as there are many too.
const SET_OPERATIONS_MAX: usize = 100;

/// Words that no pure read has outside of quotes, so that a clause which the parser overlooked
/// would still be seen.
const NEVER_IN_READS: [&str; 25] = [
    "alter",
    "analyse",
    "call",
    "commit",
    "copy",
    "create",
    "delete",
    "do",
    "drop",
    "execute",
    "grant",
    "insert",
    "into",
    "lock",
    "merge",
    "nextval",
    "notify",
    "operator",
    "procedure",
    "revoke",
    "rollback",
    "share",
    "table",
    "truncate",
    "update",
];

/// What PostgreSQL's operators are made of.
const OPERATOR_CHARACTERS: &[u8] = b"+-*/<>=~!@#%^&|`?";

/// What a text is made of.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The text without its comments; empty where it is longer than is parsed.
    pub(super) plain: String,
    /// Its first words, in capitals.
    pub(super) words: Vec<String>,
    /// Whether there is nothing in it to run.
    pub(super) is_empty: bool,
    /// Whether something comes after the first semicolon.
    pub(super) has_parts: bool,
    /// A word outside of quotes that no pure read has.
    pub(super) verb: Option<&'static str>,
    /// A variable of the session: `@x`, `@@x`.
    pub(super) variable: Option<String>,
    /// Whether it asks what an earlier statement of the session did: `LAST_INSERT_ID()`.
    pub(super) asks_of_earlier: bool,
    /// Whether it asks for the id that was generated last, and is told 0 where none was.
    pub(super) asks_for_id: bool,
    /// The name of a function that leaves state in its session.
    pub(super) lasting: Option<String>,
    /// Whether it has the word TEMPORARY, or one that says the same.
    pub(super) is_temporary: bool,
    /// Why it cannot be said what the parser would have to make of it.
    pub(super) unclear: Option<Cow<'static, str>>,
}

/// Looks at a text.
pub(super) fn scan(engine: EngineKind, text: &str) -> Scan {
    let mut scanner = Scanner {
        engine,
        text: text.as_bytes(),
        at: 0,
        copied: 0,
        levels: vec![0],
        after_semicolon: false,
        last_word: None,
        set_operations: 0,
        positions: 0,
        found: Scan {
            is_empty: true,
            ..Scan::default()
        },
    };
    if text.contains('\0') {
        scanner.is_unclear("it has a zero byte");
    }
    while scanner.step(text) {}
    scanner.copy(text, text.len());
    scanner.found
}

struct Scanner<'a> {
    engine: EngineKind,
    text: &'a [u8],
    at: usize,
    /// How far the text has been copied, or left out.
    copied: usize,
    /// The length of the chain at each level of brackets.
    levels: Vec<usize>,
    after_semicolon: bool,
    /// Where the last word was, if nothing but white space came since.
    last_word: Option<(usize, usize)>,
    set_operations: usize,
    positions: usize,
    found: Scan,
}

impl Scanner<'_> {
    fn is_mysql(&self) -> bool {
        self.engine == EngineKind::MySql
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn is_unclear(&mut self, why: impl Into<Cow<'static, str>>) {
        self.found.unclear.get_or_insert_with(|| why.into());
    }

    /// Copies what was read up to there.
    fn copy(&mut self, text: &str, end: usize) {
        if text.len() <= TEXT_MAX
            && let Some(piece) = text.get(self.copied..end)
        {
            self.found.plain.push_str(piece);
        }
        self.copied = end;
    }

    /// Reads on by one piece; whether there was one.
    fn step(&mut self, text: &str) -> bool {
        let Some(first) = self.text.get(self.at).copied() else {
            return false;
        };
        match first {
            b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
            b'-' if self.begins_line_comment() => self.comment(text, Self::skip_line),
            b'#' if self.is_mysql() => self.comment(text, Self::skip_line),
            b'/' if self.peek(1) == b'*' => self.comment(text, Self::skip_block),
            _ => self.piece(first),
        }
        true
    }

    fn piece(&mut self, first: u8) {
        if first != b';' {
            self.found.is_empty = false;
            self.found.has_parts |= self.after_semicolon;
        }
        let is_mysql = self.is_mysql();
        match first {
            b'\'' | b'"' => self.quoted(first),
            b'`' if is_mysql => self.quoted(first),
            _ if is_in_word(first) => self.word(),
            b'@' if is_mysql && !self.joins_address() => self.variable(),
            b'$' if !is_mysql && !self.peek(1).is_ascii_digit() => {
                self.is_unclear("it has a `$` that may begin a quote");
                self.sign(first);
            }
            _ if !is_mysql && OPERATOR_CHARACTERS.contains(&first) => self.operator(),
            _ if first.is_ascii_control() => {
                self.is_unclear("it has a control character");
                self.at += 1;
            }
            _ => self.sign(first),
        }
    }

    /// In MySQL `5--3` is a difference (MySQL manual, section 11.7).
    fn begins_line_comment(&self) -> bool {
        self.peek(1) == b'-' && (!self.is_mysql() || self.peek(2) <= b' ')
    }

    /// Leaves a comment out; a space stands in its place.
    fn comment(&mut self, text: &str, skip: impl FnOnce(&mut Self)) {
        self.copy(text, self.at);
        skip(self);
        self.copied = self.at;
        self.found.plain.push(' ');
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        // PostgreSQL ends the comment there, MySQL does not.
        let inner = line.strip_suffix(b"\r").unwrap_or(line);
        if inner.contains(&b'\r') {
            self.is_unclear("it has a carriage return in a comment");
        }
        self.at += line.len();
    }

    fn skip_block(&mut self) {
        let rest = &self.text[self.at + 2..];
        let end = rest.windows(2).position(|two| two == b"*/");
        let Some(end) = end else {
            self.is_unclear("a comment is not closed");
            self.at = self.text.len();
            return;
        };
        let inside = &rest[..end];
        // PostgreSQL's nest, MySQL's do not.
        if inside.windows(2).any(|two| two == b"/*") {
            self.is_unclear("it has a comment within a comment");
        }
        if self.is_mysql() {
            match inside {
                [b'!', ..] | [b'M' | b'm', b'!', ..] => {
                    self.is_unclear("it has a comment that is executed");
                }
                [b'+', hint @ ..] if contains_word(hint, b"set_var") => {
                    self.is_unclear("it has the hint `SET_VAR`");
                }
                _ => {}
            }
        }
        self.at += 2 + end + 2;
    }

    fn quoted(&mut self, quote: u8) {
        self.in_chain();
        self.last_word = None;
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == quote) else {
                self.is_unclear("a quote is not closed");
                self.at = self.text.len();
                return;
            };
            if end > 0 && rest[end - 1] == b'\\' {
                self.is_unclear("it has a backslash before a quote");
            }
            self.at += end + 1;
            if self.peek(0) != quote {
                return;
            }
            self.at += 1;
        }
    }

    fn word(&mut self) {
        let from = self.at;
        let rest = &self.text[from..];
        let length = rest.iter().take_while(|byte| is_in_word(**byte)).count();
        self.at += length;
        self.in_chain();
        self.last_word = Some((from, self.at));
        let word = &rest[..length];
        let Ok(word) = std::str::from_utf8(word) else {
            return;
        };
        // The parser takes it for a space, the server for a part of the word.
        if !word.is_ascii() && word.contains(char::is_whitespace) {
            self.is_unclear("it has a space that is no ASCII");
        }
        if self.found.words.len() < FIRST_WORDS {
            self.found.words.push(word.to_ascii_uppercase());
        }
        let is_verb = |verb: &&&str| word.eq_ignore_ascii_case(verb);
        if let Some(verb) = NEVER_IN_READS.iter().find(is_verb) {
            self.found.verb.get_or_insert(verb);
        }
        self.look_for_lasting(word);
        let is_set_operator = |operator: &&str| word.eq_ignore_ascii_case(operator);
        let operators = ["union", "intersect", "except", "minus"];
        self.set_operations += usize::from(operators.iter().any(is_set_operator));
        if self.set_operations > SET_OPERATIONS_MAX {
            self.is_unclear(format!(
                "it has more than {SET_OPERATIONS_MAX} set operations"
            ));
        }
    }

    fn look_for_lasting(&mut self, word: &str) {
        let functions = match self.engine {
            EngineKind::MySql => &mysql::LEAVES_STATE,
            EngineKind::Postgres => &postgres::LEAVES_STATE,
        };
        // Names of functions and the word `temporary` are longer than most words.
        let is_name = word.starts_with(|first: char| first.is_ascii_alphabetic());
        if self.found.lasting.is_none() && is_name && word.len() >= 4 {
            let word = word.to_ascii_lowercase();
            self.found.is_temporary |= matches!(&*word, "temp" | "temporary" | "pg_temp");
            if functions.contain(&word) {
                self.found.lasting = Some(word);
            }
        }
    }

    /// Whether the `@` at hand joins the halves of an account's name: `'app'@'%'`.
    fn joins_address(&self) -> bool {
        let before = self.at.checked_sub(1).map(|before| self.text[before]);
        before.is_some_and(|byte| is_in_word(byte) || matches!(byte, b'\'' | b'"' | b'`'))
    }

    fn variable(&mut self) {
        let rest = &self.text[self.at..];
        let is_in_name = |byte: &&u8| is_in_word(**byte) || matches!(**byte, b'@' | b'.' | b'$');
        let length = rest.iter().take_while(is_in_name).count();
        let name = String::from_utf8_lossy(&rest[..length.min(64)]).into_owned();
        let of_system = name
            .strip_prefix("@@")
            .and_then(|name| name.rsplit('.').next());
        if let Some(name) = of_system.map(str::to_ascii_lowercase) {
            self.found.asks_of_earlier |= mysql::VARIABLES_OF_EARLIER.contain(&name);
            self.found.asks_for_id |= mysql::OF_GENERATED.contain(&name);
        }
        // The user's own weigh more, as these may be set within an expression.
        let known = self.found.variable.as_ref();
        if known.is_none_or(|known| known.starts_with("@@") && !name.starts_with("@@")) {
            self.found.variable = Some(name);
        }
        self.in_chain();
        self.last_word = None;
        self.at += length.max(1);
    }

    fn sign(&mut self, sign: u8) {
        let last_word = self.last_word.take();
        match sign {
            b';' => {
                self.after_semicolon = true;
                self.levels.truncate(1);
                self.levels[0] = 0;
            }
            b',' => *self.level() = 0,
            b'(' | b'[' => {
                self.notice_call(last_word);
                self.levels.push(0);
                if self.levels.len() > DEPTH_MAX + 1 {
                    self.is_unclear(format!("its brackets are more than {DEPTH_MAX} deep"));
                    self.levels.truncate(1);
                }
            }
            b')' | b']' if self.levels.len() > 1 => {
                let inner = self.levels.pop().unwrap_or(0);
                *self.level() += inner;
                self.in_chain();
            }
            _ => self.in_chain(),
        }
        self.at += 1;
    }

    /// Whether something stands in the bracket at hand that is surely no comment.
    fn has_argument(&self) -> bool {
        let mut inside = self.text[self.at + 1..].iter();
        let first = inside.find(|byte| !byte.is_ascii_whitespace());
        first.is_some_and(|byte| !matches!(byte, b')' | b'/' | b'-' | b'#'))
    }

    fn notice_call(&mut self, last_word: Option<(usize, usize)>) {
        let Some((from, to)) = last_word else {
            return;
        };
        let Ok(word) = std::str::from_utf8(&self.text[from..to]) else {
            return;
        };
        let of_earlier = match self.engine {
            EngineKind::MySql => &mysql::OF_EARLIER,
            EngineKind::Postgres => &postgres::OF_EARLIER,
        };
        let name = word.to_ascii_lowercase();
        let is_of_generated = self.is_mysql() && mysql::OF_GENERATED.contain(&name);
        // With an argument it sets the id, and asks nothing: `LAST_INSERT_ID(id + 1)`.
        if of_earlier.contain(&name) && !(is_of_generated && self.has_argument()) {
            self.found.asks_of_earlier = true;
            self.found.asks_for_id |= is_of_generated;
        }
        // MySQL takes a name for a stored function where a space follows that must not be there.
        let has_space = self.is_mysql() && to < self.at;
        if has_space && mysql::SPACED.contain(&word.to_ascii_lowercase()) {
            self.is_unclear(format!("it has a space between `{word}` and its bracket"));
        }
        // The parser takes more stack for one than it makes sure of: they must not nest.
        self.positions += usize::from(word.eq_ignore_ascii_case("position"));
        if self.positions > 1 {
            self.is_unclear("it calls `position` more than once");
        }
    }

    /// An operator of PostgreSQL's as its own lexer takes it (PostgreSQL manual, section 4.1.3): the
    /// parser may take two for what is one, of somebody's own.
    fn operator(&mut self) {
        const LETS_SIGN_END_IT: &[u8] = b"~!@#%^&|`?";
        let rest = &self.text[self.at..];
        let run = rest
            .iter()
            .take_while(|byte| OPERATOR_CHARACTERS.contains(byte));
        let mut run = &rest[..run.count()];
        let begins_comment = |two: &[u8]| matches!(two, b"--" | b"/*");
        if let Some(end) = run.windows(2).position(begins_comment) {
            run = &run[..end];
        }
        if !run.iter().any(|byte| LETS_SIGN_END_IT.contains(byte)) {
            while let [shorter @ .., b'+' | b'-'] = run
                && !shorter.is_empty()
            {
                run = shorter;
            }
        }
        self.last_word = None;
        self.in_chain();
        self.at += run.len().max(1);
        let known = std::str::from_utf8(run).is_ok_and(|name| postgres::OPERATORS.contain(name));
        if !known {
            let name = String::from_utf8_lossy(run);
            self.is_unclear(format!("it has the operator `{name}`, which is not known"));
        }
    }

    fn level(&mut self) -> &mut usize {
        self.levels.last_mut().expect("the outermost stays")
    }

    /// One more in the chain of this level.
    fn in_chain(&mut self) {
        *self.level() += 1;
        if *self.level() > CHAIN_MAX {
            self.is_unclear(format!(
                "it has more than {CHAIN_MAX} words between two commas"
            ));
        }
    }
}

fn is_in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn contains_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}
