//! Where a statement of a session goes, and what the session remembers. Pure; the clock is handed
//! in.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::engine::Standing;
use crate::routing::statement::{Kind, Statement};
use crate::time::Instant;

/// Longer periods would overflow the clock: a hundred years.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Which of its connections a session uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// To the writer: taken for the first statement that needs it, and kept.
    Home,
    /// To a reader: for one read, or as long as a READ ONLY transaction is open on it.
    Visit,
}

/// Where a statement goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To a reader; to the writer where none is up.
    Reader,
    /// To the writer.
    Writer,
    /// Nowhere: what the session held was lost with its connection, or no connection can answer.
    /// The call is refused.
    Nowhere,
}

/// Where a statement goes, and why: `to the writer: it calls `nextval`, which is not known to be
/// pure`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub(super) target: Target,
    pub(super) reason: Cow<'static, str>,
    pub(super) place: Place,
}

impl Decision {
    /// Where it goes.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Why, in words for people.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    fn new(target: Target, place: Place, reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = reason.into();
        Self {
            target,
            reason,
            place,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match self.target {
            Target::Reader => "to a reader",
            Target::Writer => "to the writer",
            Target::Nowhere => "nowhere",
        };
        write!(f, "{target}: {}", self.reason)
    }
}

/// A call that has been begun.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    place: Place,
    kind: Kind,
    reason: Cow<'static, str>,
    /// The transaction is the caller's own value, which ends it.
    is_guard: bool,
}

/// What was lost with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lost {
    /// A transaction, and nothing else.
    Transaction,
    /// What was set in the session, or may have been.
    State,
}

impl Lost {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Transaction => "the transaction that was open",
            Self::State => "what was set in the session",
        }
    }
}

/// Why a statement is not sent anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Something was lost with its connection.
    Lost(Lost),
    /// It asks for the id that was generated last, of which only a connection knew that is gone.
    IdLost,
    /// It asks for it while the session is held on another instance.
    IdElsewhere,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(lost) => write!(f, "{} was lost with its connection", lost.name()),
            Self::IdLost => f.write_str(
                "it asks for the id that was generated last, which may have been lost with its \
                 connection",
            ),
            Self::IdElsewhere => f.write_str(
                "it asks for the id that was generated last, of which only the connection to the \
                 writer knows, while a transaction or state holds the session on a reader",
            ),
        }
    }
}

/// What a session remembers of what was done in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Where a transaction is open, by the server's last word.
    open: Option<Place>,
    /// The transaction was begun READ ONLY, and nothing that may write was run in it since.
    open_only_reads: bool,
    /// Where state was left, and by what.
    state: Option<(Place, Cow<'static, str>)>,
    /// The call under way; found at the next one, it was dropped half-way.
    call: Option<Call>,
    /// What was lost with its connection.
    lost: Option<Lost>,
    /// Until when reads stay with the writer, so that they see what was written.
    reads_at_home_until: Option<Instant>,
    /// Over the connection to the writer something was run that may have generated an id.
    may_have_generated: bool,
    /// So it was over an earlier connection to it, and over this one none is known to have been.
    id_is_lost: bool,
}

/// What is to be done before the next statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Chores {
    /// A transaction was left open by the value that should have ended it.
    pub(super) roll_back_home: bool,
    /// Nothing keeps the connection to the reader any more.
    pub(super) end_visit: bool,
}

/// What is known beside the session's own memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    pub(super) home: Option<Standing>,
    pub(super) visit: Option<Standing>,
    /// Whether the visit is not to a reader, but to the writer for want of one.
    pub(super) visits_writer: bool,
    /// Whether reads go anywhere but to the writer.
    pub(super) has_reader: bool,
    pub(super) now: Instant,
    /// How long reads stay with the writer after a write.
    pub(super) read_your_writes: Duration,
}

impl Surroundings {
    fn at(&self, place: Place) -> Option<Standing> {
        match place {
            Place::Home => self.home,
            Place::Visit => self.visit,
        }
    }

    fn is_over(&self, place: Place) -> bool {
        self.at(place).is_none_or(|standing| standing.is_over)
    }
}

impl Memory {
    /// Takes note of what became of the last call and of the connections since.
    pub(super) fn settle(&mut self, around: &Surroundings) -> Chores {
        let mut chores = Chores::default();
        let call = self.call.take();
        let ended_guard = call.as_ref().is_some_and(|call| call.is_guard);
        if let Some(call) = call {
            self.call_has_ended_unseen(call, around, &mut chores);
        }
        // What a guard has left open is for the chores.
        if !ended_guard {
            self.hear(Place::Home, around);
            if self.holds(Place::Visit) {
                self.hear(Place::Visit, around);
            }
        }
        if self.open.is_some_and(|place| around.is_over(place)) {
            self.open = None;
            self.lose(Lost::Transaction);
        }
        let state = self.state.as_ref();
        if state.is_some_and(|(place, _)| around.is_over(*place)) {
            self.state = None;
            self.lose(Lost::State);
        }
        chores.end_visit = !self.holds(Place::Visit);
        chores
    }

    /// Takes the server's last word on whether a transaction is open, which may have come since.
    fn hear(&mut self, place: Place, around: &Surroundings) {
        let standing = around.at(place).filter(|standing| !standing.is_over);
        match standing.and_then(|standing| standing.in_transaction) {
            Some(true) => self.open = self.open.or(Some(place)),
            Some(false) if self.open == Some(place) => self.open = None,
            Some(false) | None => {}
        }
    }

    /// A guard was dropped, or a call half-way.
    fn call_has_ended_unseen(&mut self, call: Call, around: &Surroundings, chores: &mut Chores) {
        if self.may_have_written(&call, around) {
            self.wrote(around);
        }
        if call.is_guard {
            let standing = around.at(call.place);
            let is_open = standing.is_some_and(|standing| standing.in_transaction != Some(false));
            chores.roll_back_home =
                call.place == Place::Home && is_open && !around.is_over(Place::Home);
            if self.open == Some(call.place) {
                self.open = None;
            }
            self.guard_may_have_left(call.place, standing);
            return;
        }
        // It may have begun something before it was dropped.
        let loses = match call.kind {
            Kind::Begins { .. } => Some(Lost::Transaction),
            Kind::LeavesState | Kind::Unclear => Some(Lost::State),
            Kind::PureRead
            | Kind::Other
            | Kind::AsksSession
            | Kind::Ends { .. }
            | Kind::Savepoint => None,
        };
        if let Some(lost) = loses
            && around.is_over(call.place)
        {
            self.lose(lost);
        }
    }

    /// What was run in a transaction that is a value was not seen; its connection tells. A reader's
    /// is given back in any case.
    fn guard_may_have_left(&mut self, place: Place, standing: Option<Standing>) {
        let left = standing.filter(|standing| standing.may_hold_state && place == Place::Home);
        match left {
            None => {}
            Some(standing) if standing.is_over => self.lose(Lost::State),
            Some(_) => {
                let by = "something was left by a transaction";
                self.state.get_or_insert((place, by.into()));
            }
        }
    }

    fn lose(&mut self, lost: Lost) {
        self.lost = self.lost.max(Some(lost));
    }

    fn wrote(&mut self, around: &Surroundings) {
        let period = around.read_your_writes.min(FOR_GOOD);
        self.reads_at_home_until = Some(around.now + period);
    }

    fn holds(&self, place: Place) -> bool {
        let state = self.state.as_ref().map(|(place, _)| *place);
        self.open == Some(place) || state == Some(place)
    }

    /// Nothing is held any more, as the connections are given back.
    pub(super) fn forget(&mut self) {
        *self = Self {
            reads_at_home_until: self.reads_at_home_until,
            ..Self::default()
        };
    }

    /// The connection to the writer is given up for another; whether that one must forget what it
    /// knows of ids.
    pub(super) fn leave_home(&mut self) -> bool {
        self.id_is_lost |= std::mem::take(&mut self.may_have_generated);
        self.id_is_lost
    }

    /// Whether the connection to the writer must be asked if it knows of an id, before a statement
    /// is refused for want of one.
    pub(super) fn doubts_id(&self, statement: &Statement) -> bool {
        self.refuses(statement) == Some(Refusal::IdLost)
    }

    /// The connection to the writer has generated an id since the session has it.
    pub(super) fn finds_id(&mut self) {
        self.id_is_lost = false;
    }

    /// What was lost, if anything.
    pub(super) fn lost(&self) -> Option<Lost> {
        self.lost
    }

    /// Where a transaction is open that was begun by text, or may be.
    pub(super) fn open(&self) -> Option<Place> {
        self.open
    }

    /// Whether the connection to the writer may be exchanged for another.
    pub(super) fn may_move_home(&self, statement: &Statement) -> bool {
        let asks = statement.kind == Kind::AsksSession || statement.asks_of_earlier;
        !self.holds(Place::Home) && !asks
    }

    /// The end of a transaction that was lost is accepted, though it is refused: nothing is open.
    pub(super) fn gives_up(&mut self, statement: &Statement) {
        let ends = matches!(statement.kind, Kind::Ends { chains: false, .. });
        if ends && self.lost == Some(Lost::Transaction) {
            self.lost = None;
        }
    }

    /// Why a statement must not be sent, if so; the memory is settled.
    pub(super) fn refuses(&self, statement: &Statement) -> Option<Refusal> {
        if let Some(lost) = self.lost {
            Some(Refusal::Lost(lost))
        } else if !statement.asks_for_id {
            None
        } else if self.id_is_lost {
            Some(Refusal::IdLost)
        } else if self.may_have_generated && self.holds(Place::Visit) {
            Some(Refusal::IdElsewhere)
        } else {
            None
        }
    }

    /// Decides where a statement goes; the memory is settled.
    pub(super) fn decide(&self, statement: &Statement, around: &Surroundings) -> Decision {
        let Statement { kind, reason, .. } = statement;
        if let Some(refusal) = self.refuses(statement) {
            return Decision::new(Target::Nowhere, Place::Home, refusal.to_string());
        }
        let there = |place| match place {
            Place::Home => Target::Writer,
            Place::Visit => Target::Reader,
        };
        if let Some(place) = self.open {
            return Decision::new(there(place), place, "a transaction is open there");
        }
        if let Some((place, by)) = &self.state {
            let why = format!("the session holds state there: {by}");
            return Decision::new(there(*place), *place, why);
        }
        let may_be_read = matches!(kind, Kind::PureRead | Kind::Begins { read_only: true });
        if !may_be_read {
            return Decision::new(Target::Writer, Place::Home, reason.clone());
        }
        if self
            .reads_at_home_until
            .is_some_and(|until| around.now < until)
        {
            let why = "the session has written a moment ago, and reads its own writes";
            return Decision::new(Target::Writer, Place::Home, why);
        }
        if !around.has_reader && around.home.is_some_and(|home| !home.is_over) {
            let why = "no reader may be used, and the session has a connection to the writer";
            return Decision::new(Target::Writer, Place::Home, why);
        }
        Decision::new(Target::Reader, Place::Visit, reason.clone())
    }

    /// A call begins.
    pub(super) fn begin(&mut self, place: Place, statement: &Statement, is_guard: bool) {
        // `SELECT LAST_INSERT_ID(7)` asks nothing, and sets the id.
        let may_generate = match statement.kind {
            Kind::Begins { read_only } => is_guard && !read_only,
            kind => kind.may_write() || kind == Kind::AsksSession,
        };
        self.may_have_generated |= place == Place::Home && may_generate;
        self.call = Some(Call {
            place,
            kind: statement.kind,
            reason: statement.reason.clone(),
            is_guard,
        });
    }

    /// The call has come to its end, with an answer or an error.
    pub(super) fn end(&mut self, around: &Surroundings) {
        let Some(call) = self.call.take() else {
            return;
        };
        let place = call.place;
        if self.may_have_written(&call, around) {
            self.wrote(around);
        }
        match call.kind {
            Kind::Begins { read_only } => self.open_only_reads = read_only,
            Kind::Ends { chains, .. } => self.open_only_reads &= chains,
            kind => self.open_only_reads &= !kind.may_write(),
        }
        let Some(standing) = around.at(place).filter(|standing| !standing.is_over) else {
            // Whatever became of a COMMIT, its transaction is over.
            if matches!(call.kind, Kind::Ends { chains: false, .. }) && self.open == Some(place) {
                self.open = None;
            }
            return;
        };
        match standing.in_transaction {
            Some(true) => self.open = Some(place),
            Some(false) if self.open == Some(place) => self.open = None,
            // An earlier part of it may have begun one before a later part failed.
            None if matches!(call.kind, Kind::Unclear | Kind::Begins { .. }) => {
                self.open = Some(place);
            }
            Some(false) | None => {}
        }
        let leaves = match call.kind {
            Kind::LeavesState => true,
            Kind::Unclear => standing.may_hold_state,
            Kind::PureRead
            | Kind::Other
            | Kind::AsksSession
            | Kind::Begins { .. }
            | Kind::Ends { .. }
            | Kind::Savepoint => false,
        };
        if leaves && self.state.is_none() {
            self.state = Some((place, call.reason));
        }
    }

    fn may_have_written(&self, call: &Call, around: &Surroundings) -> bool {
        let by_kind = match call.kind {
            Kind::Begins { read_only } => call.is_guard && !read_only,
            Kind::Ends { commits, .. } => commits && !self.open_only_reads,
            kind => kind.may_write(),
        };
        by_kind && (call.place == Place::Home || around.visits_writer)
    }

    /// Whether the connection to the reader is needed on.
    pub(super) fn keeps_visit(&self) -> bool {
        self.holds(Place::Visit)
    }
}
