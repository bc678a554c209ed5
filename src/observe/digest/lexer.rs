//! From a statement's text to tokens.
//!
//! The rules of quoting are those of the PostgreSQL manual, section 4.1, and the MySQL manual,
//! section 11. What is not closed ends with the text.

use super::Dialect;

/// A piece of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword or a name without quotes.
    Word(&'a [u8]),
    /// A name in quotes, with them.
    Quoted(&'a [u8]),
    /// A literal, or the place of a parameter.
    Literal,
    /// An operator or a bracket.
    Symbol(&'a [u8]),
}

/// Goes through a text once.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    dialect: Dialect,
    /// Within a comment whose content MySQL executes.
    in_executed_comment: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8], dialect: Dialect) -> Self {
        Self {
            text,
            at: 0,
            dialect,
            in_executed_comment: false,
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn is_mysql(&self) -> bool {
        self.dialect == Dialect::MySql
    }

    /// Moves behind white space and comments.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            match rest {
                [first, ..] if first.is_ascii_whitespace() || *first == 0 => self.at += 1,
                [b'-', b'-', ..] if self.begins_line_comment(rest) => self.skip_line(),
                [b'#', ..] if self.is_mysql() => self.skip_line(),
                [b'/', b'*', b'!', ..] if self.is_mysql() => {
                    let digits = rest[3..].iter().take_while(|byte| byte.is_ascii_digit());
                    self.at += 3 + digits.count();
                    self.in_executed_comment = true;
                }
                [b'*', b'/', ..] if self.in_executed_comment => {
                    self.at += 2;
                    self.in_executed_comment = false;
                }
                [b'/', b'*', ..] => self.skip_comment(),
                _ => return,
            }
        }
    }

    /// In MySQL `5--3` is a difference (MySQL manual, section 11.7).
    fn begins_line_comment(&self, rest: &[u8]) -> bool {
        let third = rest.get(2);
        !self.is_mysql() || third.is_none_or(|byte| *byte <= b' ')
    }

    fn skip_line(&mut self) {
        let end = self.rest().iter().position(|byte| *byte == b'\n');
        self.at = end.map_or(self.text.len(), |end| self.at + end + 1);
    }

    /// PostgreSQL's nest.
    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.text.len() {
            match self.rest() {
                [b'/', b'*', ..] if depth == 0 || !self.is_mysql() => {
                    depth += 1;
                    self.at += 2;
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// Moves behind a quoted piece whose opening quote is at hand.
    fn skip_quoted(&mut self, escapes: bool) {
        let quote = self.peek(0);
        self.at += 1;
        while self.at < self.text.len() {
            let byte = self.peek(0);
            self.at += 1;
            if byte == b'\\' && escapes {
                self.at += 1;
            } else if byte == quote {
                if self.peek(0) != quote || self.at >= self.text.len() {
                    return;
                }
                self.at += 1;
            }
        }
        self.at = self.text.len();
    }

    fn skip_while(&mut self, is_in: impl Fn(u8) -> bool) {
        let more = self.rest().iter().take_while(|byte| is_in(**byte)).count();
        self.at += more;
    }

    fn skip_number(&mut self) {
        let is_plain = self.peek(0) == b'.' || !self.peek(1).is_ascii_alphabetic();
        loop {
            let byte = self.peek(0);
            let is_exponent = is_plain && matches!(byte, b'e' | b'E');
            if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.') {
                return;
            }
            self.at += 1;
            if is_exponent && matches!(self.peek(0), b'+' | b'-') {
                self.at += 1;
            }
        }
    }

    /// A dollar quote, if one begins here: `$$ ... $$` or `$tag$ ... $tag$`.
    fn skip_dollar_quoted(&mut self) -> bool {
        let rest = self.rest();
        let tag = rest[1..].iter().position(|byte| !is_in_word(*byte));
        let Some(end) = tag.map(|end| end + 1).filter(|end| rest[*end] == b'$') else {
            return false;
        };
        let tag = &rest[..=end];
        let body = &rest[end + 1..];
        // By its dollars, of which a text has few: each is compared with the tag but once.
        let mut from = 0;
        while let Some(dollar) = body[from..].iter().position(|byte| *byte == b'$') {
            if body[from + dollar..].starts_with(tag) {
                self.at += end + 1 + from + dollar + tag.len();
                return true;
            }
            from += dollar + 1;
        }
        self.at = self.text.len();
        true
    }

    fn word(&mut self) -> Token<'a> {
        let from = self.at;
        let is_mysql = self.is_mysql();
        self.skip_while(|byte| is_in_word(byte) || byte == b'$' || (is_mysql && byte == b'@'));
        let word = &self.text[from..self.at];
        if self.peek(0) == b'\'' || (is_mysql && self.peek(0) == b'"') {
            let escapes = is_mysql || word.eq_ignore_ascii_case(b"e");
            let is_prefix = match word {
                [letter] => b"benxBENX".contains(letter),
                // A character set (MySQL manual, section 12.3.8).
                [b'_', ..] => is_mysql,
                _ => false,
            };
            if is_prefix {
                self.skip_quoted(escapes);
                return Token::Literal;
            }
        }
        if let ([b'u' | b'U'], b'&', quote @ (b'\'' | b'"')) = (word, self.peek(0), self.peek(1))
            && !is_mysql
        {
            self.at += 1;
            let from = self.at;
            self.skip_quoted(false);
            return match quote {
                b'\'' => Token::Literal,
                _ => Token::Quoted(&self.text[from..self.at]),
            };
        }
        Token::Word(word)
    }

    /// An operator of several characters (PostgreSQL manual, section 4.1.3): it ends with `+` or
    /// `-` only where it has one of the rarer characters, so that `=-1` is two.
    fn operator(&mut self) -> Token<'a> {
        const CHARACTERS: &[u8] = b"+-*/<>=~!@#%^&|?";
        const RARE: &[u8] = b"~!@#%^&|?";
        let from = self.at;
        while CHARACTERS.contains(&self.peek(0)) && self.at < self.text.len() {
            let rest = self.rest();
            if self.at > from && (rest.starts_with(b"--") || rest.starts_with(b"/*")) {
                break;
            }
            if self.at > from && self.is_mysql() && matches!(rest[0], b'#' | b'?' | b'@') {
                break;
            }
            self.at += 1;
        }
        let run = &self.text[from..self.at];
        if !run.iter().any(|byte| RARE.contains(byte)) {
            let kept = run.iter().rposition(|byte| !b"+-".contains(byte));
            let kept = kept.map_or(1, |last| last + 1);
            self.at = from + kept.min(run.len());
        }
        Token::Symbol(&self.text[from..self.at])
    }
}

fn is_in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks();
        let from = self.at;
        let (first, second) = (*self.text.get(from)?, self.peek(1));
        let is_mysql = self.is_mysql();
        Some(match first {
            b'\'' => {
                self.skip_quoted(is_mysql);
                Token::Literal
            }
            b'"' if is_mysql => {
                self.skip_quoted(true);
                Token::Literal
            }
            b'"' | b'`' => {
                self.skip_quoted(false);
                Token::Quoted(&self.text[from..self.at])
            }
            b'0'..=b'9' => {
                self.skip_number();
                Token::Literal
            }
            b'.' if second.is_ascii_digit() => {
                self.skip_number();
                Token::Literal
            }
            b'$' if second.is_ascii_digit() => {
                self.at += 1;
                self.skip_while(|byte| byte.is_ascii_digit());
                Token::Literal
            }
            b'$' if !is_mysql && self.skip_dollar_quoted() => Token::Literal,
            b'?' if is_mysql => {
                self.at += 1;
                Token::Literal
            }
            // As `mysql_async` writes parameters by name.
            b':' if is_mysql && is_in_word(second) => {
                self.at += 1;
                self.skip_while(is_in_word);
                Token::Literal
            }
            b':' if matches!(second, b':' | b'=') => {
                self.at += 2;
                Token::Symbol(&self.text[from..self.at])
            }
            b'@' if is_mysql => self.word(),
            _ if is_in_word(first) => self.word(),
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'@' | b'#' | b'%'
            | b'^' | b'&' | b'|' | b'?' => self.operator(),
            _ => {
                self.at += 1;
                Token::Symbol(&self.text[from..self.at])
            }
        })
    }
}
