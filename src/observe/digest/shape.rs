//! From tokens to the text of a digest.
//!
//! Each literal and parameter is a `?`. Neighbours in a list after `IN` or `VALUES`, or in an
//! array, are one; rows of the same shape are one. Spaces stand where a person would put them,
//! whatever the statement had.

use super::lexer::{Lexer, Token};
use super::words::{self, Known};
use super::{Dialect, TEXT_MAX};

/// Brackets within brackets beyond this are not looked into.
const DEPTH_MAX: usize = 64;

const ELLIPSIS: &[u8] = "…".as_bytes();

/// Makes digests; kept for its buffers, so that the next one costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Normaliser {
    out: Vec<u8>,
    frames: Vec<Frame>,
    /// Brackets that were too deep for a frame.
    too_deep: usize,
    last: Last,
    /// Where the sign stands that may belong to the literal that follows.
    sign_at: Option<usize>,
}

/// What is known within one pair of brackets.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    /// Where its bracket stands.
    start: usize,
    /// Neighbours that are literals count as one.
    is_list: bool,
    /// The rows of a VALUES follow.
    in_rows: bool,
    /// The last group in it: where it begins and ends.
    group: Option<(usize, usize)>,
}

/// What was written last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Keyword,
    /// A keyword after which a list follows.
    ListKeyword,
    Name,
    Literal,
    /// What a sign after it belongs to the next.
    Operator,
    Open,
    Close,
    Comma,
    /// Nothing stands between it and its neighbours.
    Tie,
}

impl Normaliser {
    /// The text of a statement's digest. `is_whole` is false where the statement was cut off.
    pub(crate) fn digest(&mut self, text: &[u8], is_whole: bool, dialect: Dialect) -> &[u8] {
        self.out.clear();
        self.frames.clear();
        self.frames.push(Frame::default());
        self.too_deep = 0;
        self.last = Last::Nothing;
        self.sign_at = None;
        let mut is_whole = is_whole;
        for token in Lexer::new(text, dialect) {
            self.take(token);
            if self.out.len() > TEXT_MAX {
                self.out.truncate(TEXT_MAX - ELLIPSIS.len());
                is_whole = false;
                break;
            }
        }
        if !is_whole {
            self.drop_unfinished_row();
            self.out.extend_from_slice(ELLIPSIS);
        }
        while self.out.last() == Some(&b';') {
            self.out.pop();
        }
        &self.out
    }

    fn take(&mut self, token: Token<'_>) {
        match token {
            Token::Literal => self.literal(),
            Token::Quoted(name) => self.write(name, Last::Name),
            Token::Word(word) => self.word(word),
            Token::Symbol(b"(") => self.open(b"("),
            Token::Symbol(b"[") => self.open(b"["),
            Token::Symbol(closing @ (b")" | b"]")) => self.close(closing),
            Token::Symbol(b",") => self.write(b",", Last::Comma),
            Token::Symbol(b".") => self.write(b".", Last::Tie),
            Token::Symbol(b"::") => self.write(b"::", Last::Tie),
            Token::Symbol(b";") => {
                self.frame().in_rows = false;
                self.write(b";", Last::Operator);
            }
            Token::Symbol(sign @ (b"-" | b"+")) => {
                let is_unary = matches!(
                    self.last,
                    Last::Nothing
                        | Last::Keyword
                        | Last::ListKeyword
                        | Last::Operator
                        | Last::Open
                        | Last::Comma
                );
                let before = self.out.len();
                self.write(sign, Last::Operator);
                self.sign_at = is_unary.then_some(before);
            }
            Token::Symbol(symbol) => self.write(symbol, Last::Operator),
        }
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn word(&mut self, word: &[u8]) {
        // Behind a dot it is a name, whatever the word.
        let known = words::known(word).filter(|_| self.last != Last::Tie);
        match known {
            Some(Known::Keyword("NULL" | "TRUE" | "FALSE" | "DEFAULT")) if self.frame().is_list => {
                self.literal();
            }
            Some(Known::Keyword(keyword @ ("IN" | "VALUES"))) => {
                self.frame().in_rows = keyword == "VALUES";
                self.write(keyword.as_bytes(), Last::ListKeyword);
            }
            Some(Known::Keyword(keyword)) => {
                self.frame().in_rows &= keyword == "ROW";
                self.write(keyword.as_bytes(), Last::Keyword);
            }
            Some(Known::Function(function)) => self.write(function.as_bytes(), Last::Name),
            None => self.write(word, Last::Name),
        }
    }

    fn literal(&mut self) {
        if let Some(sign) = self.sign_at.take() {
            self.out.truncate(sign);
            if self.out.ends_with(b",") {
                self.last = Last::Comma;
            } else if self.out.ends_with(b"(") || self.out.ends_with(b"[") {
                self.last = Last::Open;
            }
        }
        let is_list = self.frame().is_list;
        match self.last {
            // Strings side by side are one.
            Last::Literal => {}
            Last::Comma if is_list && self.out.ends_with(b"?,") => {
                self.out.pop();
                self.last = Last::Literal;
            }
            _ => self.write(b"?", Last::Literal),
        }
    }

    fn open(&mut self, bracket: &[u8]) {
        let last = self.last;
        let parent = *self.frame();
        let is_list = bracket == b"["
            || last == Last::ListKeyword
            || (matches!(last, Last::Comma | Last::Open) && (parent.in_rows || parent.is_list))
            || (last == Last::Keyword && parent.in_rows);
        self.write(bracket, Last::Open);
        if self.frames.len() > DEPTH_MAX {
            self.too_deep += 1;
            return;
        }
        self.frames.push(Frame {
            start: self.out.len() - 1,
            is_list,
            in_rows: false,
            group: None,
        });
    }

    fn close(&mut self, bracket: &[u8]) {
        self.write(bracket, Last::Close);
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        // A bracket that nobody opened closes nothing.
        if self.frames.len() < 2 {
            return;
        }
        let Some(closed) = self.frames.pop() else {
            return;
        };
        if !closed.is_list {
            return;
        }
        let end = self.out.len();
        let before = self.frame().group;
        if let Some((from, to)) = before
            && is_between_rows(&self.out[to..closed.start])
            && self.out[from..to] == self.out[closed.start..end]
        {
            self.out.truncate(to);
            return;
        }
        self.frame().group = Some((closed.start, end));
    }

    /// Of a statement that was cut off, a row without an end is as good as the one before it.
    fn drop_unfinished_row(&mut self) {
        let mut frames = self.frames.iter();
        let rows = frames.find_map(|frame| frame.group);
        let unfinished = frames.next().filter(|frame| frame.is_list);
        if let (Some((_, end)), Some(unfinished)) = (rows, unfinished)
            && unfinished.start >= end
            && unfinished.start <= self.out.len()
            && is_between_rows(&self.out[end..unfinished.start])
        {
            self.out.truncate(end);
        }
    }

    fn write(&mut self, text: &[u8], what: Last) {
        if self.needs_space(text, what) {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(text);
        self.last = what;
        self.sign_at = None;
    }

    fn needs_space(&self, text: &[u8], what: Last) -> bool {
        let binds_left = matches!(what, Last::Comma | Last::Close | Last::Tie);
        let after_bond = matches!(self.last, Last::Nothing | Last::Open | Last::Tie);
        let opens_arguments =
            what == Last::Open && (text == b"[" || matches!(self.last, Last::Name | Last::Close));
        let ends_statement = text == b";";
        let is_signed = self.sign_at.is_some();
        !(binds_left || after_bond || opens_arguments || ends_statement || is_signed)
    }
}

/// What stands between two rows of the same kind.
fn is_between_rows(text: &[u8]) -> bool {
    matches!(text, b", " | b"," | b", ROW ")
}
