//! What is told by the messages to the server: requests that it will answer, and what statements
//! may leave in the session.
//!
//! A prepared statement is judged when it is prepared and counts again each time it is bound:
//! who binds it may be another user of the connection than who prepared it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::link::Link;
use super::read_only::{self, Access};
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
    suspects: BTreeMap<Vec<u8>, Suspect>,
    /// What those left that there was no room to remember.
    forgotten: Residue,
    /// What there was since the last `Sync`.
    batch: Batch,
}

/// What the run of a prepared statement does to the session.
#[derive(Debug, Clone, Copy, Default)]
struct Suspect {
    leaves: Residue,
    /// It makes its transaction READ ONLY.
    read_only: bool,
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
        let read_only = read_only::asked_by(text) == Some(Access::ReadOnly);
        if residue == Residue::Nothing && !read_only {
            self.suspects.remove(name);
        } else if self.suspects.len() < REMEMBERED_MAX {
            let leaves = residue;
            let suspect = Suspect { leaves, read_only };
            self.suspects.insert(name.to_vec(), suspect);
        } else {
            self.forgotten = self.forgotten.max(residue);
        }
    }

    /// `Bind`: the name of the portal, then that of the statement.
    fn bound(&self, body: &[u8]) {
        if self.suspects.is_empty() {
            return;
        }
        let (_, rest) = split(body);
        let (name, _) = split(rest);
        let suspect = self.suspects.get(name).copied().unwrap_or_default();
        self.link.leaves(suspect.leaves.max(self.forgotten));
        if suspect.read_only {
            self.link.transaction_is(Access::ReadOnly);
        }
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
                if let Some(access) = read_only::asked_by(text) {
                    self.link.transaction_is(access);
                }
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

    /// Whether a write that is refused as read-only after this is news of the instance.
    fn is_news(tell: impl FnOnce(&mut Outgoing, &Link)) -> bool {
        let (mut outgoing, link) = outgoing();
        link.setting_is(b"default_transaction_read_only", b"off");
        link.ready(b'I');
        tell(&mut outgoing, &link);
        link.met("25006");
        link.is_condemned()
    }

    #[test]
    fn a_refused_write_is_news_unless_its_user_asked_for_read_only() {
        const DEFAULT: &[u8] = b"default_transaction_read_only";
        assert!(is_news(|_, _| {}));
        let query = |text: &'static [u8]| is_news(|sent, _| sent.passed(b'Q', text, true));
        assert!(query(b"BEGIN\0"));
        assert!(!query(b"BEGIN READ ONLY\0"));
        assert!(is_news(|sent, link| {
            sent.passed(b'Q', b"BEGIN READ ONLY\0", true);
            link.ready(b'T');
            sent.passed(b'Q', b"ROLLBACK\0", true);
            link.ready(b'I');
        }));
        let begin = b"s1\0BEGIN READ ONLY\0\0\0";
        assert!(is_news(|sent, _| sent.passed(b'P', begin, true)));
        assert!(!is_news(|sent, _| {
            sent.passed(b'P', begin, true);
            sent.passed(b'B', b"\0s1\0", true);
        }));
        assert!(!is_news(|_, link| link.setting_is(DEFAULT, b"on")));
        assert!(is_news(|_, link| {
            link.setting_is(DEFAULT, b"on");
            link.setting_is(DEFAULT, b"off");
        }));
        assert!(is_news(|sent, link| {
            link.setting_is(DEFAULT, b"on");
            sent.passed(b'Q', b"BEGIN READ WRITE\0", true);
        }));
    }

    #[test]
    fn a_refused_write_is_news_where_the_login_made_the_session_read_only() {
        let (_, link) = outgoing();
        link.setting_is(b"default_transaction_read_only", b"on");
        link.ready(b'I');
        link.met("25006");
        assert!(link.is_condemned());
    }
}
