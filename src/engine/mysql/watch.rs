//! Watches every call on a native connection: cancellation, the end of its generation, errors.

use mysql_async::Error as Native;
use mysql_async::consts::StatusFlags;

use super::explain;
use super::phase::Phase;
use crate::engine::faults::condemns;
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
    last_word: LastWord,
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
            last_word: LastWord::Native,
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
                Ok(value)
            }
            Err(error) => Err(self.note(phase, error)),
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
    pub(super) fn explain_parts(&self, error: Native) -> Native {
        match error {
            Native::Server(answer) => self.carried(explain::after_parts(answer)),
            error => error,
        }
    }

    fn refuse_if_over(&self) -> Result<(), Native> {
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
        Err(self.carried(error))
    }

    fn note(&mut self, phase: Phase, error: Native) -> Native {
        self.last_word = LastWord::Kept(None);
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
            return match phase {
                Phase::Script => self.explain_parts(error),
                Phase::Committing | Phase::InTransaction => error,
            };
        }
        let (outcome, fate) = match phase {
            Phase::Committing | Phase::Script => (
                Outcome::Unknown,
                "whether the statement was applied is unknown",
            ),
            Phase::InTransaction => (Outcome::Rejected, "the transaction is rolled back"),
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
