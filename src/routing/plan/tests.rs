//! Who may be read from, as examples.
