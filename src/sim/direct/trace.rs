//! What happened, line by line, in virtual time: two runs of one seed must not differ in it.

use std::fmt::{self, Write};
use std::time::Duration;

/// A growing text with one line per happening: microseconds since the start, then what it was.
#[derive(Debug, Default)]
pub(super) struct Trace {
    text: String,
    /// Nothing is written down.
    is_off: bool,
}

impl Trace {
    /// A trace that keeps nothing.
    pub(super) fn off() -> Self {
        Self {
            text: String::new(),
            is_off: true,
        }
    }

    pub(super) fn is_off(&self) -> bool {
        self.is_off
    }

    pub(super) fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        if !self.is_off {
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "{:>12} {what}", at.as_micros());
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// FNV-1a, 64 bits: the same on every machine and for every version of Rust, unlike the
    /// standard library's hashes. Constants: draft-eastlake-fnv, section 5.
    pub(super) fn hash(&self) -> u64 {
        self.text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Trace {
        Trace {
            text: text.to_owned(),
            is_off: false,
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(of("").hash(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of("a").hash(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of("foobar").hash(), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_trace_that_is_off_keeps_nothing() {
        let mut trace = Trace::off();
        trace.note(Duration::ZERO, format_args!("a failover"));
        assert_eq!(trace.text(), "");
    }
}
