//! What a statement may leave in its session for the next user, told by its text. Pure, and
//! cautious: what is not surely harmless counts.
//!
//! Texts are not parsed: their words are looked at wherever they stand, in literals too. So a
//! literal can make a session look worse than it is, which costs a reset, and nothing in a text
//! can make it look better. What a function of the application's own does cannot be seen: one
//! that is called by a plain query and changes the session's settings must be followed by a
//! `RESET`.

#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;

/// Longer texts are not read to their end, and count as if they left something: most of them are
/// rows to be inserted, and the round trip of a reset is little beside them.
pub(crate) const TEXT_MAX: usize = 16 * 1024;

/// What is left in a session, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Residue {
    /// Nothing that another user could notice.
    #[default]
    Nothing,
    /// A reset takes it away.
    Washable,
    /// Nothing takes it away but the end of the session.
    Indelible,
}

/// The words of a text, in order.
pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !is_in_word(*byte))
        .filter(|word| !word.is_empty())
}

fn is_in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

pub(crate) fn is(word: &[u8], other: &str) -> bool {
    word.eq_ignore_ascii_case(other.as_bytes())
}

pub(crate) fn is_one_of(word: &[u8], others: &[&str]) -> bool {
    others.iter().any(|other| is(word, other))
}

fn begins_with(word: &[u8], beginning: &str) -> bool {
    word.get(..beginning.len())
        .is_some_and(|first| is(first, beginning))
}

fn contains(word: &[u8], part: &str) -> bool {
    word.windows(part.len()).any(|window| is(window, part))
}

/// The text from its first word on: without spaces, brackets and comments before it.
pub(crate) fn from_first_word(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b'-', b'-', ..] => after(text, b"\n"),
            [b'/', b'*', ..] => after(&text[2..], b"*/"),
            [first, rest @ ..] if first.is_ascii_whitespace() || *first == b'(' => rest,
            _ => return text,
        };
    }
}

fn after<'a>(text: &'a [u8], end: &[u8]) -> &'a [u8] {
    let found = text.windows(end.len()).position(|window| window == end);
    found.map_or(&[], |found| &text[found + end.len()..])
}
