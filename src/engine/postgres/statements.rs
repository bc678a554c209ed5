//! The statements under way on one connection, told by the messages in both directions.
//!
//! They are seen whoever sent them and however: by text, prepared, on the bare native client. A
//! statement begins when its message is on its way, and ends with the server's word that it is
//! done; answers come in the order of the requests (PostgreSQL protocol, section 55.2.3). Only the
//! task that drives the connection is here, so nothing is locked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::link::Link;
use crate::error::ErrorKind;
use crate::observe::lens::{Hashed, Lens, Sight, hash_of};
use crate::observe::site::Ended;
use crate::time::{self, Instant};

/// Beyond so many prepared statements and portals, all are forgotten: they go unobserved until
/// they are prepared anew.
const NAMES_MAX: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Statements {
    link: Arc<Link>,
    /// Made when the connection has come to a pool: the monitor's own questions are not observed.
    lens: Option<Lens>,
    /// Read at most once for what comes in one piece.
    now: Option<Instant>,
    /// Prepared statements and portals, by the hash of their kind and name.
    names: Hashed<Option<Arc<Sight>>>,
    /// What the portal without a name is bound to.
    bound: Option<Arc<Sight>>,
    under_way: VecDeque<Step>,
}

/// A request whose answer is awaited.
#[derive(Debug)]
enum Step {
    Prepare(Started),
    Execute(Started),
    /// In the simple protocol: ends when the server is ready.
    Script {
        started: Started,
        rows: u64,
        error: Option<[u8; 5]>,
    },
    Sync,
}

#[derive(Debug)]
struct Started {
    sight: Option<Arc<Sight>>,
    at: Instant,
    waited: Duration,
}

impl Statements {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            lens: None,
            now: None,
            names: Hashed::default(),
            bound: None,
            under_way: VecDeque::new(),
        }
    }

    /// Other messages follow, at another time.
    pub(super) fn forget_time(&mut self) {
        self.now = None;
    }

    fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(time::now)
    }

    /// Whether anybody wants to know.
    fn is_watching(&mut self) -> bool {
        if self.lens.is_none() {
            let site = self.link.site().filter(|site| site.is_watching());
            self.lens = site.map(|site| Lens::new(Arc::clone(site)));
        }
        self.lens.is_some()
    }

    /// A message to the server has passed; `body` is its beginning, or all of it.
    pub(super) fn sent(&mut self, kind: u8, body: &[u8], is_whole: bool) {
        if !self.is_watching() {
            return;
        }
        match kind {
            b'P' => {
                let (name, rest) = split(body);
                let sight = self.find(rest, is_whole);
                if let Some(sight) = &sight {
                    self.link.runs(sight.digest());
                }
                self.name(b'S', name, sight.clone());
                let started = self.started(sight, Duration::ZERO);
                self.under_way.push_back(Step::Prepare(started));
            }
            b'B' => {
                let (portal, rest) = split(body);
                let (statement, _) = split(rest);
                let sight = self.current(statement);
                if portal.is_empty() {
                    self.bound = sight;
                } else {
                    self.name(b'P', portal, sight);
                }
            }
            b'E' => {
                let (portal, _) = split(body);
                let sight = if portal.is_empty() {
                    self.bound.clone()
                } else {
                    self.named(b'P', portal)
                };
                let started = self.begins(sight);
                self.under_way.push_back(Step::Execute(started));
            }
            b'Q' | b'F' => {
                let sight = (kind == b'Q').then(|| self.find(body, is_whole)).flatten();
                let started = self.begins(sight);
                self.under_way.push_back(Step::Script {
                    started,
                    rows: 0,
                    error: None,
                });
            }
            b'C' => {
                if let Some((kind, name)) = body.split_first() {
                    let (name, _) = split(name);
                    self.names.remove(&key(*kind, name));
                }
            }
            b'S' => self.under_way.push_back(Step::Sync),
            _ => {}
        }
    }

    /// A message from the server has passed.
    pub(super) fn received(&mut self, kind: u8, body: &[u8]) {
        if self.under_way.is_empty() {
            return;
        }
        match kind {
            b'1' => {
                if let Some(Step::Prepare(started)) = self.take_front(Step::is_prepare) {
                    self.prepared(&started, None);
                }
            }
            b'C' => match self.under_way.front_mut() {
                Some(Step::Script { rows, .. }) => *rows = rows.saturating_add(rows_of_tag(body)),
                _ => self.done(rows_of_tag(body)),
            },
            // The portal has more rows, or there was nothing to run.
            b's' | b'I' => self.done(0),
            b'E' => self.failed(code(body)),
            b'Z' => self.ready(),
            // It takes data now, and ignores the Sync that came with the command.
            b'G' if matches!(self.under_way.get(1), Some(Step::Sync)) => {
                self.under_way.remove(1);
            }
            _ => {}
        }
    }

    fn find(&mut self, text: &[u8], is_whole: bool) -> Option<Arc<Sight>> {
        // The text ends with a zero byte, where it has not been cut off.
        let end = text.iter().position(|byte| *byte == 0);
        let is_whole = is_whole || end.is_some();
        let text = &text[..end.unwrap_or(text.len())];
        self.lens.as_mut()?.find(text, is_whole)
    }

    fn name(&mut self, kind: u8, name: &[u8], sight: Option<Arc<Sight>>) {
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(key(kind, name), sight);
    }

    /// What a prepared statement counts as now.
    fn current(&mut self, statement: &[u8]) -> Option<Arc<Sight>> {
        let known = self.names.get_mut(&key(b'S', statement))?.as_mut()?;
        let renewed = self.lens.as_mut()?.renewed(known);
        if !Arc::ptr_eq(known, &renewed) {
            *known = Arc::clone(&renewed);
        }
        Some(renewed)
    }

    fn named(&self, kind: u8, name: &[u8]) -> Option<Arc<Sight>> {
        self.names.get(&key(kind, name)).cloned().flatten()
    }

    fn started(&mut self, sight: Option<Arc<Sight>>, waited: Duration) -> Started {
        Started {
            sight,
            at: self.now(),
            waited,
        }
    }

    /// A statement is run from now on.
    fn begins(&mut self, sight: Option<Arc<Sight>>) -> Started {
        if let Some(sight) = &sight {
            self.link.runs(sight.digest());
        }
        let waited = self.link.take_waited();
        self.started(sight, waited)
    }

    fn take_front(&mut self, is_wanted: impl Fn(&Step) -> bool) -> Option<Step> {
        match self.under_way.front() {
            Some(front) if is_wanted(front) => self.under_way.pop_front(),
            _ => None,
        }
    }

    fn done(&mut self, rows: u64) {
        if let Some(Step::Execute(started)) = self.take_front(Step::is_execute) {
            self.ended(&started, rows, None);
        }
    }

    fn failed(&mut self, code: [u8; 5]) {
        match self.under_way.front_mut() {
            Some(Step::Script { error, .. }) => *error = Some(code),
            Some(Step::Prepare(_)) => {
                if let Some(Step::Prepare(started)) = self.under_way.pop_front() {
                    self.prepared(&started, Some(text(&code)));
                }
            }
            Some(Step::Execute(_)) => {
                if let Some(Step::Execute(started)) = self.under_way.pop_front() {
                    self.ended(&started, 0, Some(text(&code)));
                }
            }
            Some(Step::Sync) | None => {}
        }
    }

    /// The server is ready: all up to the last Sync is answered, or was skipped after an error.
    fn ready(&mut self) {
        while let Some(step) = self.under_way.pop_front() {
            match step {
                Step::Sync => return,
                Step::Script {
                    started,
                    rows,
                    error,
                } => return self.ended(&started, rows, error.as_ref().map(text)),
                Step::Prepare(_) | Step::Execute(_) => {}
            }
        }
    }

    fn ended(&mut self, started: &Started, rows: u64, error: Option<&str>) {
        let now = self.now();
        if let (Some(lens), Some(sight)) = (&self.lens, &started.sight) {
            lens.site().ended(sight, &started.how(now, rows, error));
        }
    }

    fn prepared(&mut self, started: &Started, error: Option<&str>) {
        let now = self.now();
        if let (Some(lens), Some(sight)) = (&self.lens, &started.sight) {
            lens.site().prepared(sight, &started.how(now, 0, error));
        }
    }
}

/// The connection is over: what was under way has failed.
impl Drop for Statements {
    fn drop(&mut self) {
        self.forget_time();
        for step in std::mem::take(&mut self.under_way) {
            match step {
                Step::Execute(started) | Step::Script { started, .. } => {
                    let lost = ErrorKind::ConnectionLost.name();
                    self.ended(&started, 0, Some(lost));
                }
                Step::Prepare(_) | Step::Sync => {}
            }
        }
    }
}

impl Started {
    fn how<'a>(&self, now: Instant, rows: u64, error: Option<&'a str>) -> Ended<'a> {
        Ended {
            began: self.at,
            now,
            waited: self.waited,
            rows,
            error,
        }
    }
}

impl Step {
    fn is_prepare(&self) -> bool {
        matches!(self, Self::Prepare(_))
    }

    fn is_execute(&self) -> bool {
        matches!(self, Self::Execute(_))
    }
}

/// Up to the first zero byte, and after it.
fn split(body: &[u8]) -> (&[u8], &[u8]) {
    match body.iter().position(|byte| *byte == 0) {
        Some(end) => (&body[..end], &body[end + 1..]),
        None => (body, &[]),
    }
}

fn key(kind: u8, name: &[u8]) -> u64 {
    hash_of(name) ^ u64::from(kind)
}

/// The last word of a command's tag, where it is a number: `INSERT 0 5`.
fn rows_of_tag(tag: &[u8]) -> u64 {
    let (tag, _) = split(tag);
    let digits = tag.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let value = |sum: u64, digit: &u8| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    };
    digits.iter().try_fold(0, value).unwrap_or(0)
}

fn text(code: &[u8; 5]) -> &str {
    std::str::from_utf8(code).unwrap_or("XX000")
}

/// The SQLSTATE of an error's fields; letters and digits, whatever the server sent.
fn code(fields: &[u8]) -> [u8; 5] {
    let mut code = *b"XX000";
    let mut fields = fields.split(|byte| *byte == 0);
    let found = fields.find_map(|field| field.strip_prefix(b"C"));
    if let Some(found) = found.and_then(|found| <[u8; 5]>::try_from(found).ok())
        && found.iter().all(u8::is_ascii_alphanumeric)
    {
        code = found;
    }
    code
}

#[cfg(feature = "sim")]
mod rehearsal;
#[cfg(test)]
mod tests;

#[cfg(feature = "sim")]
pub use rehearsal::Rehearsal;
