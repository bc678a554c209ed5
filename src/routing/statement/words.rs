//! Lists of names, written as one text each.

use std::collections::HashSet;
use std::sync::OnceLock;

/// A set of names in small letters.
pub(super) struct Words {
    text: &'static str,
    set: OnceLock<HashSet<&'static str>>,
}

impl Words {
    /// The names of a text, with white space between them.
    pub(super) const fn new(text: &'static str) -> Self {
        Self {
            text,
            set: OnceLock::new(),
        }
    }

    pub(super) fn contain(&self, name: &str) -> bool {
        let set = self.set.get_or_init(|| self.all().collect());
        set.contains(name)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.text.split_ascii_whitespace()
    }
}
