//! What a statement is, whatever its literals: the same digest for all that differ in values,
//! white space, comments, the case of keywords, or the length of a list.
//!
//! | file | idea |
//! |---|---|
//! | `lexer` | from text to tokens, in either dialect |
//! | `shape` | from tokens to the digest's text |
//! | `summary` | the operation, and what it works on |
//! | `words` | the words that are written in capitals |
//!
//! Texts are not parsed, and any bytes are taken: what is no SQL gives some digest all the same.
//! Work and memory are linear in the text, of which callers cut the rest off beyond some size; a
//! digest is at most [`TEXT_MAX`] bytes. Pure.

mod lexer;
mod shape;
mod summary;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use shape::Normaliser;

/// How long a digest's text may be; longer ones end with `…`.
pub(crate) const TEXT_MAX: usize = 4 * 1024;

/// Whose rules of quoting hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Backslashes escape in strings, `"` quotes strings, `#` begins a comment.
    MySql,
    /// Dollar quotes, `E''`, nested comments, `"` quotes names.
    Postgres,
}

/// A digest, with what there is to say about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    /// The same in every process.
    pub(crate) hash: u64,
    /// The statement without its literals.
    pub(crate) text: String,
    /// Its first word of weight, such as `SELECT`; empty where there is none.
    pub(crate) operation: String,
    /// The operation and the tables that it names first: `SELECT orders items`.
    pub(crate) summary: String,
}

impl Digest {
    /// Of a text that a [`Normaliser`] has made.
    pub(crate) fn of(normalised: &[u8]) -> Self {
        let text = String::from_utf8_lossy(normalised).into_owned();
        let (operation, summary) = summary::of(&text);
        Self {
            hash: hash(normalised),
            operation,
            summary,
            text,
        }
    }

    /// What there was no room to tell apart.
    pub(crate) fn other() -> Self {
        Self {
            hash: 0,
            text: "(other statements: there were more kinds than `insights_max`)".to_owned(),
            operation: String::new(),
            summary: String::new(),
        }
    }
}

/// A hash of 64 bits that takes some ten nanoseconds for a usual statement. It is no protection
/// from whoever wants two texts to collide; their statements would be counted together.
///
/// Sixteen bytes a round, folded by a long multiplication as in wyhash (Wang Yi, public domain).
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const ONE: u64 = 0xa076_1d64_78bd_642f;
    const TWO: u64 = 0xe703_7ed1_a0b4_28db;
    let fold = |one: u64, other: u64| {
        let product = u128::from(one) * u128::from(other);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let word = |part: &[u8]| {
        let mut whole = [0; 8];
        whole[..part.len()].copy_from_slice(part);
        u64::from_le_bytes(whole)
    };
    let mut state = ONE ^ (bytes.len() as u64);
    let mut rounds = bytes.chunks_exact(16);
    for round in &mut rounds {
        state = fold(word(&round[..8]) ^ ONE, word(&round[8..]) ^ state ^ TWO);
    }
    let rest = rounds.remainder();
    let (first, second) = rest.split_at(rest.len().min(8));
    state = fold(word(first) ^ ONE, word(second) ^ state ^ TWO);
    fold(state ^ TWO, ONE)
}
