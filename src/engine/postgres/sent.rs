//! What is told by the messages to the server: requests that it will answer, and what statements
//! may leave in the session.
//!
//! A prepared statement is judged when it is prepared and counts again each time it is bound:
//! who binds it may be another user of the connection than who prepared it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::link::Link;
use super::read_only;
use super::tracker::Messages;
use crate::engine::residue::{Residue, TEXT_MAX, postgres};

/// Of a bind, the names of the portal and of the statement count; the client library's are short.
const NAMES_MAX: usize = 256;

/// Beyond so many prepared statements that leave something, all are taken to do so.
const REMEMBERED_MAX: usize = 64;

/// The messages to the server (PostgreSQL protocol, section 55.7).
#[derive(Debug)]
pub(super) struct Outgoing {
    link: Arc<Link>,
    /// Prepared statements that leave something, by their names.
    suspects: BTreeMap<Vec<u8>, Residue>,
    /// What those left that there was no room to remember.
    forgotten: Residue,
    /// What there was since the last `Sync`.
    batch: Batch,
}

/// What is asked with one `Sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    Nothing,
    /// Statements or portals are closed, and nothing else.
    Closes,
    Asks,
}

impl Outgoing {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            suspects: BTreeMap::new(),
            forgotten: Residue::Nothing,
            batch: Batch::Nothing,
        }
    }

    /// `Parse`: the name, then the text, each up to a zero byte.
    fn prepared(&mut self, body: &[u8], is_whole: bool) {
        let (name, rest) = split(body);
        let (text, _) = split(rest);
        let residue = if is_whole {
            postgres::of_text(text)
        } else {
            Residue::Washable
        };
        self.link.leaves(residue);
        self.notice_read_only(text);
        if residue == Residue::Nothing {
            self.suspects.remove(name);
        } else if self.suspects.len() < REMEMBERED_MAX {
            self.suspects.insert(name.to_vec(), residue);
        } else {
            self.forgotten = self.forgotten.max(residue);
        }
    }

    fn notice_read_only(&self, text: &[u8]) {
        if let Some(scope) = read_only::asked_by(text) {
            self.link.becomes_read_only(scope);
        }
    }

    /// `Bind`: the name of the portal, then that of the statement.
    fn bound(&self, body: &[u8]) {
        if self.suspects.is_empty() {
            return;
        }
        let (_, rest) = split(body);
        let (name, _) = split(rest);
        let residue = self.suspects.get(name).copied().unwrap_or_default();
        self.link.leaves(residue.max(self.forgotten));
    }
}

impl Messages for Outgoing {
    fn kept(kind: u8) -> usize {
        match kind {
            // One more than is read, and the name.
            b'P' => TEXT_MAX + NAMES_MAX,
            b'Q' => TEXT_MAX + 1,
            b'B' | b'C' | b'E' => NAMES_MAX,
            _ => 0,
        }
    }

    fn passed(&mut self, kind: u8, body: &[u8], is_whole: bool) {
        match kind {
            b'P' => self.prepared(body, is_whole),
            b'B' => self.bound(body),
            b'Q' => {
                let (text, _) = split(body);
                let residue = postgres::of_text(text);
                self.notice_read_only(text);
                self.link.leaves(if is_whole {
                    residue
                } else {
                    residue.max(Residue::Washable)
                });
                self.link.trace().sends_command();
                self.link.asked(false);
            }
            b'F' => {
                self.link.leaves(Residue::Washable);
                self.link.trace().sends_command();
                self.link.asked(false);
            }
            b'E' => self.link.trace().sends_command(),
            b'S' if self.batch == Batch::Closes => self.link.tidied(),
            b'S' => self.link.asked(true),
            _ => {}
        }
        self.batch = match (kind, self.batch) {
            (b'S' | b'Q', _) => Batch::Nothing,
            (b'C', Batch::Nothing | Batch::Closes) => Batch::Closes,
            (b'H', batch) => batch,
            _ => Batch::Asks,
        };
    }
}

/// Up to the first zero byte, and after it.
fn split(body: &[u8]) -> (&[u8], &[u8]) {
    match body.iter().position(|byte| *byte == 0) {
        Some(end) => (&body[..end], &body[end + 1..]),
        None => (body, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::reporter::Reporter;

    fn outgoing() -> (Outgoing, Arc<Link>) {
        let link = Arc::new(Link::new(Reporter::silent()));
        (Outgoing::new(Arc::clone(&link)), link)
    }

    #[test]
    fn a_prepared_statement_counts_whenever_it_is_bound() {
        let (mut outgoing, link) = outgoing();
        outgoing.passed(b'P', b"s1\0SELECT set_config($1, $2, false)\0\0\0", true);
        outgoing.passed(b'P', b"s2\0SELECT 1\0\0\0", true);
        assert!(link.is_dirty());
        link.washed();
        outgoing.passed(b'B', b"\0s2\0", true);
        assert!(!link.is_dirty());
        outgoing.passed(b'B', b"\0s1\0", true);
        assert!(link.is_dirty());
        link.washed();
        outgoing.passed(b'P', b"s1\0SELECT 1\0\0\0", true);
        outgoing.passed(b'B', b"\0s1\0", true);
        assert!(
            !link.is_dirty(),
            "the name stands for another statement now"
        );
    }

    #[test]
    fn what_there_is_no_room_for_counts_with_every_bind() {
        let (mut outgoing, link) = outgoing();
        for number in 0..=REMEMBERED_MAX {
            let parse = format!("s{number}\0LISTEN x\0\0\0");
            outgoing.passed(b'P', parse.as_bytes(), true);
        }
        link.washed();
        outgoing.passed(b'B', b"\0other\0", true);
        assert!(link.is_dirty());
        assert!(outgoing.suspects.len() <= REMEMBERED_MAX);
    }

    #[test]
    fn a_text_that_was_not_read_to_its_end_counts() {
        let (mut outgoing, link) = outgoing();
        outgoing.passed(b'Q', b"SELECT 1\0", true);
        assert!(!link.is_dirty());
        outgoing.passed(b'Q', b"SELECT 1", false);
        assert!(link.is_dirty());
    }
}
