//! Watches every call on a native connection: cancellation, the end of its generation, errors.

use mysql_async::Error as Native;
use mysql_async::consts::StatusFlags;

use super::explain;
use super::faults::READ_ONLY_TRANSACTION;
use super::phase::{Phase, Trace};
use crate::engine::faults::condemns;
use crate::engine::record::Met;
use crate::engine::reporter::Reporter;
use crate::error::{Error, ErrorKind, Outcome};
use crate::topology::observation::Fault;

/// What is known of the connection beside the native state.
pub(super) struct Watch {
    reporter: Reporter,
    /// A call is under way; found set at the start of another, it was dropped half-way.
    in_flight: bool,
    /// It met an error that says it must not be used again.
    condemned: bool,
    /// Its transaction was READ ONLY by the last status that was known.
    in_read_only: bool,
    last_word: LastWord,
    /// How the last call failed, if it did.
    failed: Option<Met>,
    /// What the last call may have left behind, which the state after it tells.
    last: Trace,
    /// Something may have been left behind before it.
    left_traces: bool,
}

/// Where the server's last word on the session's state is found.
#[derive(Debug, Clone, Copy)]
pub(super) enum LastWord {
    /// In the native connection's last OK packet, if it has one: an error takes it away.
    Native,
    /// Here; nowhere after an error, or while rows may be left to read.
    Kept(Option<StatusFlags>),
}

impl Watch {
    pub(super) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    pub(super) fn new(reporter: Reporter) -> Self {
        Self {
            reporter,
            in_flight: false,
            condemned: false,
            in_read_only: false,
            last_word: LastWord::Native,
            failed: None,
            last: Trace::Nothing,
            left_traces: false,
        }
    }

    /// Forgets what was done on the connection so far.
    pub(super) fn begin_record(&mut self) {
        self.failed = None;
        self.last = Trace::Nothing;
        self.left_traces = false;
    }

    pub(super) fn failure(&self) -> Option<Met> {
        self.failed
    }

    /// Whether something may have been left behind, given the server's last word on whether a
    /// transaction is open.
    pub(super) fn left_traces(&self, in_transaction: bool) -> bool {
        // What became of a call that was dropped half-way is not known.
        self.left_traces || self.last_lasts(in_transaction) || self.in_flight
    }

    /// Whether what the last call did may last.
    fn last_lasts(&self, in_transaction: bool) -> bool {
        match self.last {
            Trace::Nothing => false,
            Trace::UnlessInTransaction => !in_transaction,
            Trace::Something => true,
        }
    }

    /// The call just made was answered well, and all of the answer has been read; the session has
    /// this status now.
    pub(super) fn succeeded(&self, status: Option<StatusFlags>) {
        let says = |flag| status.is_some_and(|status: StatusFlags| status.contains(flag));
        if self.last_lasts(says(StatusFlags::SERVER_STATUS_IN_TRANS)) {
            self.reporter.has_written();
        }
    }

    /// A call that may leave this behind is to be made, in a session of this status if it is known.
    pub(super) fn expect(&mut self, trace: Trace, status: Option<StatusFlags>) {
        let says = |flag| status.is_some_and(|status| status.contains(flag));
        self.left_traces = self.left_traces(says(StatusFlags::SERVER_STATUS_IN_TRANS));
        self.last = trace;
        if status.is_some() {
            self.in_read_only = says(StatusFlags::SERVER_STATUS_IN_TRANS_READONLY);
        }
    }

    /// Whether no further call would be let through.
    pub(super) fn is_over(&self) -> bool {
        self.in_flight || self.condemned || self.reporter.generation_end().has_ended()
    }

    pub(super) fn last_word(&self) -> LastWord {
        self.last_word
    }

    /// Runs a call: refuses it on a connection that must not be used, ends it with the
    /// generation, and takes note of its error.
    pub(super) async fn call<T>(
        &mut self,
        phase: Phase,
        call: impl Future<Output = Result<T, Native>>,
    ) -> Result<T, Native> {
        self.refuse_if_over()?;
        self.in_flight = true;
        let _awaited = self.reporter.pulse().awaiting();
        let end = self.reporter.generation_end().clone();
        let answer = tokio::select! {
            biased;
            () = end.ended() => {
                self.condemned = true;
                Err(explain::ended(end.cause().unwrap_or("its instance changed")))
            }
            answer = call => {
                self.reporter.pulse().beat();
                answer
            }
        };
        self.in_flight = false;
        match answer {
            Ok(value) => {
                self.last_word = LastWord::Native;
                self.failed = None;
                Ok(value)
            }
            Err(error) => {
                let error = self.note(phase, error);
                self.failed = Some(explain::met(&error));
                // A refusal leaves nothing behind, and for the rest the outcome speaks.
                self.last = Trace::Nothing;
                Err(error)
            }
        }
    }

    /// The status from before the call just made still holds: its answer had none.
    ///
    /// `mysql_async` reads the answer to a COM_STMT_PREPARE as an OK packet, and would take a
    /// part of the statement's id for the status (MySQL client/server protocol,
    /// COM_STMT_PREPARE_OK); a COM_STMT_CLOSE has no answer, and a statement found in the cache
    /// asks nothing.
    pub(super) fn keep(&mut self, status: Option<StatusFlags>) {
        self.last_word = LastWord::Kept(status);
    }

    /// Rows may be left to read after the call just made.
    pub(super) fn leave_rows(&mut self) {
        self.last_word = LastWord::Kept(None);
    }

    /// The error of a call whose earlier parts may have been applied.
    pub(super) fn explain_parts(&mut self, error: Native) -> Native {
        match error {
            Native::Server(answer) => {
                self.left_traces = true;
                self.carried(explain::after_parts(answer))
            }
            error => error,
        }
    }

    fn refuse_if_over(&mut self) -> Result<(), Native> {
        let cause = if self.in_flight {
            "an earlier call on it was cancelled"
        } else if let Some(cause) = self.reporter.generation_end().cause() {
            cause
        } else if self.condemned {
            "it met an error that ended it"
        } else {
            return Ok(());
        };
        let error = Error::new(
            ErrorKind::ConnectionLost,
            format!("the connection is over ({cause}) and nothing was sent: take a new one"),
        );
        self.failed = Some(Met::from(&error));
        Err(self.carried(error))
    }

    fn note(&mut self, phase: Phase, error: Native) -> Native {
        self.last_word = LastWord::Kept(None);
        // What its own user asked to be refused is nobody else's business.
        let error = match error {
            Native::Server(answer)
                if self.in_read_only
                    && answer.code == READ_ONLY_TRANSACTION
                    && phase != Phase::Script =>
            {
                return self.carried(explain::refused_as_asked(answer));
            }
            error => error,
        };
        let fault = explain::fault(&error);
        let lost = explain::ends_connection(&error);
        if lost || condemns(fault) {
            if !self.condemned {
                self.reporter
                    .trouble(if lost { Fault::Lost } else { fault });
            }
            self.condemned = true;
        }
        if !lost {
            return match (phase, error) {
                (Phase::Script, error) => self.explain_parts(error),
                (Phase::InTransaction | Phase::Preparing, Native::Server(answer)) => {
                    self.carried(explain::refused(answer))
                }
                (_, error) => error,
            };
        }
        let (outcome, fate) = match phase {
            Phase::Committing | Phase::Script => (
                Outcome::Unknown,
                "whether the statement was applied is unknown",
            ),
            Phase::InTransaction => (Outcome::Rejected, "the transaction is rolled back"),
            Phase::Preparing => (Outcome::NotSent, "the statement was not run"),
        };
        let explained = Error::new(
            ErrorKind::ConnectionLost,
            format!("the connection ended ({error}); {fate}"),
        );
        self.carried(explained.with_outcome(outcome).with_source(error))
    }

    fn carried(&self, error: Error) -> Native {
        let error = match self.reporter.instance() {
            Some(instance) => error.with_instance(instance),
            None => error,
        };
        Native::Other(Box::new(error))
    }
}
