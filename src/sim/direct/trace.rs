//! What happened, line by line, in virtual time: two runs of one seed must not differ in it.

use std::fmt::{self, Write};
use std::time::Duration;

/// A growing text with one line per happening: microseconds since the start, then what it was.
#[derive(Debug, Default)]
pub(super) struct Trace(String);

impl Trace {
    pub(super) fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:>12} {what}", at.as_micros());
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// FNV-1a, 64 bits: the same on every machine and for every version of Rust, unlike the
    /// standard library's hashes. Constants: draft-eastlake-fnv, section 5.
    pub(super) fn hash(&self) -> u64 {
        self.0.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(Trace(String::new()).hash(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Trace("a".to_owned()).hash(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Trace("foobar".to_owned()).hash(), 0x8594_4171_f739_67e8);
    }
}
