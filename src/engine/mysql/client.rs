//! The native connection with every call watched.

use futures_util::FutureExt;
use mysql_async::consts::StatusFlags;
use mysql_async::{Conn, Error as Native, TxOpts};

use super::explain;
use super::transaction::Transaction;
use crate::engine::faults::condemns;
use crate::engine::reporter::Reporter;
use crate::engine::{Condition, statement};
use crate::error::{Error, ErrorKind, Outcome};
use crate::topology::observation::Fault;

/// A `mysql_async` connection that cannot give one call's answer to another.
///
/// It is a [`Queryable`](mysql_async::prelude::Queryable), so all of `mysql_async`'s query
/// methods work on it. Their errors are `mysql_async`'s; [`Error::from`] turns one into this
/// crate's, which says whether the statement may have been applied.
///
/// # Cancellation
///
/// Any call may be dropped. The connection then refuses every further call and is thrown away
/// when it is returned: the native one would answer the next question with the answer to this
/// one.
#[derive(Debug)]
pub struct Client {
    pub(super) native: Conn,
    pub(super) watch: Watch,
}

/// What is known of the connection beside the native state.
#[derive(Debug)]
pub(super) struct Watch {
    reporter: Reporter,
    /// A call is under way; found set at the start of another, it was dropped half-way.
    in_flight: bool,
    /// It met an error that says it must not be used again.
    condemned: bool,
    /// The status after the last error is not known, or rows may be left to read.
    unclear: bool,
}

/// Where in its life a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Commits by itself, is a COMMIT, or may be: a lost answer leaves it unknown.
    Committing,
    /// Surely inside an open transaction: without its COMMIT nothing of it stays.
    InTransaction,
}

impl Client {
    pub(super) fn new(native: Conn, reporter: Reporter) -> Self {
        Self {
            native,
            watch: Watch {
                reporter,
                in_flight: false,
                condemned: false,
                unclear: false,
            },
        }
    }

    /// The server's number of this connection, as `SHOW PROCESSLIST` and `KILL` use it.
    pub fn id(&self) -> u32 {
        self.native.id()
    }

    /// The last generated `AUTO_INCREMENT` value, if any.
    pub fn last_insert_id(&self) -> Option<u64> {
        self.native.last_insert_id()
    }

    /// How many rows the last statement changed.
    pub fn affected_rows(&self) -> u64 {
        self.native.affected_rows()
    }

    /// Begins a transaction; it is rolled back when dropped without a commit.
    ///
    /// # Errors
    ///
    /// The server's refusal or the loss of the connection; nothing has been changed then.
    pub async fn start_transaction(
        &mut self,
        options: TxOpts,
    ) -> Result<Transaction<'_>, mysql_async::Error> {
        Transaction::begin(self, options).await
    }

    /// Resets the session: transaction, variables, temporary tables, prepared statements
    /// (`COM_RESET_CONNECTION`).
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn reset(&mut self) -> Result<bool, mysql_async::Error> {
        let Self { native, watch } = self;
        watch.call(Phase::Committing, native.reset()).await
    }

    pub(super) fn condition(&self) -> Condition {
        let watch = &self.watch;
        if watch.in_flight
            || watch.condemned
            || self.native.is_disconnected()
            || watch.reporter.generation_end().has_ended()
        {
            Condition::Broken
        } else if watch.unclear || self.in_transaction() {
            Condition::Unclean
        } else {
            Condition::Clean
        }
    }

    /// Whether the server's last word was that a transaction is open.
    pub(super) fn in_transaction(&self) -> bool {
        self.native.last_ok_packet().is_some_and(|ok| {
            ok.status_flags()
                .contains(StatusFlags::SERVER_STATUS_IN_TRANS)
        })
    }

    /// The phase of a statement with this text; `None` for one whose text is not known.
    pub(super) fn phase_of(&self, text: Option<&[u8]>) -> Phase {
        if self.in_transaction() && text.is_some_and(statement::stays_in_transaction) {
            Phase::InTransaction
        } else {
            Phase::Committing
        }
    }

    /// Closes the socket now, whatever is under way.
    pub(super) fn kill(self) {
        // The first poll marks the native connection as closed, and what would be sent or
        // waited for is dropped with the future.
        let _ = self.native.disconnect().now_or_never();
    }
}

impl Watch {
    /// Runs a call: refuses it on a connection that must not be used, ends it with the
    /// generation, and takes note of its error.
    pub(super) async fn call<T>(
        &mut self,
        phase: Phase,
        call: impl Future<Output = Result<T, Native>>,
    ) -> Result<T, Native> {
        self.refuse_if_over()?;
        self.in_flight = true;
        let end = self.reporter.generation_end().clone();
        let answer = tokio::select! {
            biased;
            () = end.ended() => {
                self.condemned = true;
                Err(explain::ended(end.cause().unwrap_or("its instance changed")))
            }
            answer = call => answer,
        };
        self.in_flight = false;
        match answer {
            Ok(value) => {
                self.unclear = false;
                Ok(value)
            }
            Err(error) => Err(self.note(phase, error)),
        }
    }

    /// Rows may be left to read after the call just made.
    pub(super) fn leave_rows(&mut self) {
        self.unclear = true;
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
        self.unclear = true;
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
            return error;
        }
        let (outcome, fate) = match phase {
            Phase::Committing => (
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
