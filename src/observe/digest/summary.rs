//! What a statement does and to what, in a few words: OpenTelemetry's `db.query.summary`.

/// How many tables are named.
const TARGETS_MAX: usize = 3;

/// How long a summary may be (OpenTelemetry's database conventions, `db.query.summary`).
const LENGTH_MAX: usize = 255;

/// After these a table follows.
const BEFORE_TARGETS: [&str; 5] = ["FROM", "INTO", "JOIN", "TABLE", "UPDATE"];

/// What a statement that begins with WITH is about.
const VERBS: [&str; 5] = ["DELETE", "INSERT", "MERGE", "SELECT", "UPDATE"];

/// The operation and the summary of a digest's text.
pub(super) fn of(text: &str) -> (String, String) {
    let mut words = Words { text };
    let Some(first) = words.next() else {
        return (String::new(), String::new());
    };
    let operation = match first {
        "WITH" => main_verb(text).unwrap_or(first),
        first => first,
    };
    let operation = operation.to_ascii_uppercase();
    let mut summary = operation.clone();
    let mut targets: Vec<&str> = Vec::new();
    let mut expects_target = first == "UPDATE";
    for word in words {
        if BEFORE_TARGETS.contains(&word) {
            expects_target = true;
        } else if std::mem::take(&mut expects_target) {
            let is_name = !word.bytes().all(|byte| byte.is_ascii_uppercase());
            let fits = summary.len() + 1 + word.len() <= LENGTH_MAX;
            if is_name && fits && targets.len() < TARGETS_MAX && !targets.contains(&word) {
                targets.push(word);
                summary.push(' ');
                summary.push_str(word);
            }
        }
    }
    (operation, summary)
}

/// The verb behind the common table expressions, which stand in brackets.
fn main_verb(text: &str) -> Option<&'static str> {
    let mut depth = 0_usize;
    let mut begin = None;
    for (at, byte) in text.bytes().enumerate() {
        let is_letter = byte.is_ascii_alphabetic();
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if is_letter && begin.is_none() {
            begin = Some(at);
        } else if !is_letter && let Some(from) = begin.take() {
            let verb = VERBS.into_iter().find(|verb| *verb == &text[from..at]);
            if depth == 0 && verb.is_some() {
                return verb;
            }
        }
    }
    None
}

/// Names and keywords, with their dots.
struct Words<'a> {
    text: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let is_in = |letter: char| letter.is_alphanumeric() || "_.$\"`@".contains(letter);
        let begin = self.text.find(is_in)?;
        let rest = &self.text[begin..];
        let end = rest.find(|letter| !is_in(letter)).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.text = rest;
        Some(word)
    }
}
