//! Faults of single statements: whose, which, when, and what becomes of them.

use std::time::Duration;

use serde::Deserialize;

use crate::id::InstanceId;

/// What goes wrong with some statements of a simulated cluster, by
/// [`SimCluster::fault`](crate::sim::SimCluster::fault): the reaction, and the scope and the
/// trigger that narrow it down. Without any of these every statement of every client meets it.
///
/// ```
/// use std::time::Duration;
/// use aurora_driver::sim::{FaultPoint, StatementFault, StatementKind};
///
/// // The third insert of each session is applied, but its answer never arrives.
/// let lost = StatementFault::reset().at(FaultPoint::Answer).containing("insert into orders").nth(3);
/// // One commit in ten fails at the writer, as for want of serializability.
/// let error = StatementFault::error("40001", 1213, "please try again");
/// let unlucky = error.at_the_writer().kind(StatementKind::Commit).with_probability(0.1);
/// // Two reads at readers are slow.
/// let delay = StatementFault::delay(Duration::from_millis(50));
/// let slow = delay.at_readers().kind(StatementKind::Read).first(2);
/// # let _ = (lost, unlucky, slow);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StatementFault {
    pub(super) place: Scope,
    pub(super) user: Option<String>,
    pub(super) point: FaultPoint,
    pub(super) text: Option<String>,
    pub(super) kind: Option<StatementKind>,
    /// Only statements that need the storage.
    pub(super) storage: bool,
    pub(super) turn: Turn,
    pub(super) probability: f64,
    pub(super) reaction: Reaction,
}

/// Where a statement must be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    Everywhere,
    Writer,
    Readers,
    Instance(InstanceId),
}

/// Which of the statements that fit meet the fault, counted over all sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Each,
    Nth(u64),
    First(u64),
    Every(u64),
}

/// When a [`StatementFault`] strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultPoint {
    /// When a client has proven who it is, before it is let in. There is no statement, so a text
    /// or a kind fits none.
    Login,
    /// When a statement is prepared by the protocol (Parse, COM_STMT_PREPARE).
    Prepare,
    /// Before a statement runs: it has no effect, unless the reaction is a delay.
    Execute,
    /// After a statement ran, and was committed if it stands alone or is a commit, before
    /// anything is said of it: with a reset, "applied, but the answer is lost".
    Answer,
}

/// What a statement does, as far as a [`StatementFault`] asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StatementKind {
    /// A query, but for those of the topology.
    Read,
    /// `INSERT`, `UPDATE`, `DELETE` and their like.
    Write,
    /// `CREATE`, `ALTER`, `DROP`, `TRUNCATE`.
    Define,
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `SET`, `RESET`.
    Set,
    /// A query of the replica-status table or function.
    Topology,
    /// Anything else.
    Other,
}

impl StatementKind {
    pub(super) fn needs_storage(self) -> bool {
        matches!(self, Self::Read | Self::Write | Self::Define | Self::Commit)
    }

    /// What a statement is by its first word, behind comments.
    pub(crate) fn of(text: &str) -> Self {
        let mut rest = text.trim_start();
        while let Some(after) = after_comment(rest) {
            rest = after.trim_start();
        }
        let end = rest
            .find(|it: char| !it.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let word = rest[..end].to_ascii_lowercase();
        match word.as_str() {
            "select" | "show" | "with" | "values" | "table" | "describe" | "explain" => {
                let text = rest.to_ascii_lowercase();
                let topology = ["aurora_replica_status", "replica_host_status"];
                match topology.iter().any(|name| text.contains(name)) {
                    true => Self::Topology,
                    false => Self::Read,
                }
            }
            "insert" | "update" | "delete" | "replace" | "merge" | "copy" | "load" => Self::Write,
            "create" | "alter" | "drop" | "truncate" | "rename" => Self::Define,
            "begin" | "start" => Self::Begin,
            "commit" | "end" => Self::Commit,
            "rollback" | "abort" => Self::Rollback,
            "set" | "reset" => Self::Set,
            _ => Self::Other,
        }
    }
}

/// What follows a comment at the beginning, if there is one.
fn after_comment(text: &str) -> Option<&str> {
    match (text.strip_prefix("--"), text.strip_prefix("/*")) {
        (Some(comment), _) => Some(comment.split_once('\n').map_or("", |(_, rest)| rest)),
        (None, Some(comment)) => Some(comment.split_once("*/").map_or("", |(_, rest)| rest)),
        (None, None) => None,
    }
}

/// What becomes of a statement that meets a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It goes on that much later.
    Delay(Duration),
    /// It goes on later by something between these.
    DelayBetween(Duration, Duration),
    /// It goes on when the fault has ended.
    Block,
    /// It is refused.
    Error(FaultError),
    /// Its connection ends, or worse.
    Cut(Cut),
    /// Its instance crashes.
    Crash,
}

/// An error that a fault answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultError {
    pub(crate) sqlstate: &'static str,
    pub(crate) number: u16,
    pub(crate) message: String,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cut {
    /// A TCP reset.
    Reset,
    /// The stream ends (FIN) in the middle of things.
    Close,
    /// Nothing more is said, and nothing is closed until the instance ends.
    Silence,
    /// The server ends its direction of the stream and goes on reading.
    HalfClose,
    /// Half of a packet, then the end.
    Truncate,
    /// Bytes that are no answer, then the end.
    Garbage,
}

impl StatementFault {
    fn new(reaction: Reaction) -> Self {
        Self {
            place: Scope::Everywhere,
            user: None,
            point: FaultPoint::Execute,
            text: None,
            kind: None,
            storage: false,
            turn: Turn::Each,
            probability: 1.0,
            reaction,
        }
    }

    /// It goes on, so much later.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self::new(Reaction::Delay(delay))
    }

    /// It goes on later by something between these, at random.
    #[must_use]
    pub fn delay_between(least: Duration, most: Duration) -> Self {
        Self::new(Reaction::DelayBetween(least, most.max(least)))
    }

    /// It goes on when the fault has ended.
    #[must_use]
    pub fn block() -> Self {
        Self::new(Reaction::Block)
    }

    /// Its connection is reset.
    #[must_use]
    pub fn reset() -> Self {
        Self::new(Reaction::Cut(Cut::Reset))
    }

    /// Its connection is closed without a word.
    #[must_use]
    pub fn close() -> Self {
        Self::new(Reaction::Cut(Cut::Close))
    }

    /// Its connection falls silent, and stays open until the instance ends.
    #[must_use]
    pub fn silence() -> Self {
        Self::new(Reaction::Cut(Cut::Silence))
    }

    /// Its connection is half closed: the server says no more and goes on reading.
    #[must_use]
    pub fn half_close() -> Self {
        Self::new(Reaction::Cut(Cut::HalfClose))
    }

    /// Half a packet comes, and then the end of the stream.
    #[must_use]
    pub fn truncate() -> Self {
        Self::new(Reaction::Cut(Cut::Truncate))
    }

    /// Bytes come that are no answer, and then the end of the stream.
    #[must_use]
    pub fn garbage() -> Self {
        Self::new(Reaction::Cut(Cut::Garbage))
    }

    /// Its instance crashes.
    #[must_use]
    pub fn crash() -> Self {
        Self::new(Reaction::Crash)
    }

    /// It is refused with PostgreSQL's SQLSTATE or MySQL's error number and this message; the
    /// transaction is treated as after any error. At [`FaultPoint::Answer`] the statement has
    /// been applied all the same.
    ///
    /// Known SQLSTATEs and numbers: PostgreSQL manual, appendix A; MySQL 8.0 server error
    /// reference. An SQLSTATE that is not of five letters and digits becomes `XX000`.
    #[must_use]
    pub fn error(sqlstate: &str, number: u16, message: impl Into<String>) -> Self {
        Self::new(Reaction::Error(FaultError {
            sqlstate: known_sqlstate(sqlstate),
            number,
            message: message.into(),
        }))
    }

    /// Only at one instance.
    #[must_use]
    pub fn at_instance(mut self, id: impl Into<InstanceId>) -> Self {
        self.place = Scope::Instance(id.into());
        self
    }

    /// Only at the instance that is the writer at that moment.
    #[must_use]
    pub fn at_the_writer(mut self) -> Self {
        self.place = Scope::Writer;
        self
    }

    /// Only at instances that are readers at that moment.
    #[must_use]
    pub fn at_readers(mut self) -> Self {
        self.place = Scope::Readers;
        self
    }

    /// Only sessions of this user.
    #[must_use]
    pub fn of_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// When it strikes; [`FaultPoint::Execute`] if not set.
    #[must_use]
    pub fn at(mut self, point: FaultPoint) -> Self {
        self.point = point;
        self
    }

    /// Only statements whose text contains this, whatever the case of its letters.
    #[must_use]
    pub fn containing(mut self, text: impl AsRef<str>) -> Self {
        self.text = Some(text.as_ref().to_lowercase());
        self
    }

    /// Only statements of this kind.
    #[must_use]
    pub fn kind(mut self, kind: StatementKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only statements that read or write, and commits.
    pub(crate) fn of_the_storage(mut self) -> Self {
        self.storage = true;
        self
    }

    /// Only the one with this number among those that fit, counted from 1.
    #[must_use]
    pub fn nth(mut self, number: u64) -> Self {
        self.turn = Turn::Nth(number.max(1));
        self
    }

    /// Only the first so many of those that fit.
    #[must_use]
    pub fn first(mut self, count: u64) -> Self {
        self.turn = Turn::First(count);
        self
    }

    /// Only one in so many of those that fit: the `k`th, the `2k`th, and so on.
    #[must_use]
    pub fn every(mut self, k: u64) -> Self {
        self.turn = Turn::Every(k.max(1));
        self
    }

    /// Only by chance, 0 to 1, which the cluster's seed decides.
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = probability.clamp(0.0, 1.0);
        self
    }
}

/// The SQLSTATEs that fronts can send; others are told by their message alone.
fn known_sqlstate(sqlstate: &str) -> &'static str {
    const KNOWN: [&str; 30] = [
        "08S01", "0A000", "22P02", "22003", "22001", "23502", "23503", "23505", "23514", "25006",
        "25P02", "26000", "28000", "28P01", "3D000", "40001", "40P01", "42501", "42601", "42P01",
        "53200", "53300", "53400", "55000", "55P03", "57014", "57P01", "57P03", "HY000", "08004",
    ];
    let found = KNOWN
        .iter()
        .find(|known| known.eq_ignore_ascii_case(sqlstate));
    found.copied().unwrap_or("XX000")
}

/// A fault as timeline files and the control API write it:
/// `{ then = "reset", point = "answer", containing = "insert", nth = 3 }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WrittenFault {
    /// `everywhere`, `writer`, `readers`, or an instance's name.
    on: Option<String>,
    user: Option<String>,
    point: Option<FaultPoint>,
    containing: Option<String>,
    kind: Option<StatementKind>,
    nth: Option<u64>,
    first: Option<u64>,
    every: Option<u64>,
    probability: Option<f64>,
    then: Then,
    ms: Option<u64>,
    sqlstate: Option<String>,
    number: Option<u16>,
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Then {
    Delay,
    Error,
    Reset,
    Close,
    Silence,
    HalfClose,
    Truncate,
    Garbage,
    Crash,
}

impl WrittenFault {
    /// The fault, or what is wrong with the way it is written.
    pub(crate) fn fault(self) -> Result<StatementFault, &'static str> {
        let mut fault = match (self.then, self.ms) {
            (Then::Delay, Some(ms)) => StatementFault::delay(Duration::from_millis(ms)),
            (Then::Delay, None) => return Err("`ms` says how long the delay is: add it"),
            (_, Some(_)) => return Err("`ms` goes with `then = \"delay\"` alone"),
            (Then::Error, None) => {
                if self.sqlstate.is_none() && self.number.is_none() {
                    return Err("an error has a `sqlstate` or a `number`: add one");
                }
                let message = self.message.unwrap_or_else(|| "injected by a fault".into());
                let sqlstate = self.sqlstate.as_deref().unwrap_or("HY000");
                StatementFault::error(sqlstate, self.number.unwrap_or(1105), message)
            }
            (Then::Reset, None) => StatementFault::reset(),
            (Then::Close, None) => StatementFault::close(),
            (Then::Silence, None) => StatementFault::silence(),
            (Then::HalfClose, None) => StatementFault::half_close(),
            (Then::Truncate, None) => StatementFault::truncate(),
            (Then::Garbage, None) => StatementFault::garbage(),
            (Then::Crash, None) => StatementFault::crash(),
        };
        fault.place = match self.on.as_deref() {
            None | Some("everywhere") => Scope::Everywhere,
            Some("writer") => Scope::Writer,
            Some("readers") => Scope::Readers,
            Some(id) => Scope::Instance(id.into()),
        };
        fault.turn = match (self.nth, self.first, self.every) {
            (None, None, None) => Turn::Each,
            (Some(number), None, None) => Turn::Nth(number.max(1)),
            (None, Some(count), None) => Turn::First(count),
            (None, None, Some(k)) => Turn::Every(k.max(1)),
            _ => return Err("`nth`, `first` and `every` exclude each other: use one"),
        };
        fault.user = self.user;
        fault.point = self.point.unwrap_or(FaultPoint::Execute);
        fault.text = self.containing.map(|text| text.to_lowercase());
        fault.kind = self.kind;
        fault.probability = self.probability.unwrap_or(1.0).clamp(0.0, 1.0);
        Ok(fault)
    }
}
