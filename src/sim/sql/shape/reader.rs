//! Reads SQLite's texts by words: quoted names and groups in parentheses are one word each.

/// The texts between the commas of a `CREATE TABLE`, without comments at their ends.
pub(super) fn parts(sql: &str) -> Option<Vec<&str>> {
    let open = position_outside(sql, b'(')?;
    let inner = sql.get(open + 1..)?.trim_end().strip_suffix(')')?;
    let mut parts = Vec::new();
    let mut rest = inner;
    while let Some(comma) = position_outside(rest, b',') {
        parts.push(rest[..comma].trim());
        rest = &rest[comma + 1..];
    }
    parts.push(rest.trim());
    Some(parts)
}

/// Where a byte first stands outside of quotes, parentheses and comments.
fn position_outside(text: &str, wanted: u8) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        if text.as_bytes()[at] == wanted {
            return Some(at);
        }
        at += length_of_piece(&text[at..]);
    }
    None
}

/// The length of what cannot be cut at the start of a text: a quoted text, a group in
/// parentheses, a comment, or one character.
fn length_of_piece(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(quote @ (b'"' | b'\'' | b'`')) => {
            // A doubled quote ends one text and begins the next, which comes to the same.
            let end = bytes[1..].iter().position(|byte| byte == quote);
            end.map_or(text.len(), |end| end + 2)
        }
        Some(b'(') => {
            let mut at = 1;
            while at < text.len() && bytes[at] != b')' {
                at += length_of_piece(&text[at..]);
            }
            (at + 1).min(text.len())
        }
        Some(b'/') if text.starts_with("/*") => text.find("*/").map_or(text.len(), |end| end + 2),
        Some(_) => text.chars().next().map_or(1, char::len_utf8),
        None => 1,
    }
}

/// A text read word by word.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text.trim() }
    }

    /// The next word: up to a space outside of quotes and parentheses.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let mut at = 0;
        while at < self.rest.len() && !self.rest.as_bytes()[at].is_ascii_whitespace() {
            at += length_of_piece(&self.rest[at..]);
        }
        let (word, rest) = self.rest.split_at(at.min(self.rest.len()));
        self.rest = rest.trim_start();
        Some(word)
    }

    /// The next word if it is this one.
    pub(super) fn accept(&mut self, wanted: &str) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => {
                self.rest = rest.trim_start();
                true
            }
            _ => false,
        }
    }

    pub(super) fn rest_starts_with(&self, wanted: char) -> bool {
        self.rest.starts_with(wanted)
    }

    /// A name, with or without quotes.
    pub(super) fn name(&mut self) -> Option<String> {
        self.word().map(unquoted)
    }

    /// `("a", "b")`.
    pub(super) fn name_list(&mut self) -> Option<Vec<String>> {
        let group = self.word()?.strip_prefix('(')?.strip_suffix(')')?;
        let mut names = Vec::new();
        let mut rest = group;
        while let Some(comma) = position_outside(rest, b',') {
            names.push(unquoted(rest[..comma].trim()));
            rest = &rest[comma + 1..];
        }
        names.push(unquoted(rest.trim()));
        Some(names)
    }
}

fn unquoted(word: &str) -> String {
    let inner = word.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    match inner {
        Some(inner) => inner.replace("\"\"", "\""),
        None => word.to_owned(),
    }
}
