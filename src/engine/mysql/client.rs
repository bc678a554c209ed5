//! The native connection together with what is known of its session.

use futures_util::FutureExt;
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error as Native, TxOpts};

use super::phase::{self, Phase, Trace};
use super::statements::Statements;
use super::text::StatementText;
use super::transaction::Transaction;
use super::watch::{LastWord, Watch};
use crate::engine::Condition;
use crate::engine::record::{Met, Record};
use crate::engine::reporter::Reporter;
use crate::engine::residue::{self, Residue};

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
///
/// # Rows one by one
///
/// `query_iter`, `exec_iter` and the streams on them hand out `mysql_async`'s own
/// `QueryResult`, and only the call itself is watched. While rows are read from it:
///
/// - nothing ends it when the instance is demoted, restarted or lost: it goes on giving rows, or
///   waits for them until the socket fails. Read within a time of your own;
/// - its errors are native, and nothing is known of their statement's place: of a script,
///   statements before the one that failed may have been applied, although [`Error::from`] says
///   [`Rejected`](crate::Outcome::Rejected).
///
/// The calls that read all rows by themselves (`query`, `exec`, `query_drop`, ...) have neither
/// gap.
///
/// [`Error::from`]: crate::Error
pub struct Client {
    pub(super) native: Conn,
    pub(super) watch: Watch,
    /// What login left `autocommit` at; the next user is to find it so again.
    autocommit: bool,
    /// The call that comes next is made by a [`Transaction`].
    pub(super) is_called_by_transaction: bool,
    /// What was left in the session since its last reset.
    residue: Residue,
    /// What any of the statements prepared since then may leave when it runs.
    prepared: Residue,
    /// The server has said over this connection that it has none of Aurora's tables.
    pub(super) is_plain: bool,
    /// What is told of its statements.
    pub(super) statements: Statements,
}

/// What a call takes.
pub(super) struct Parts<'a> {
    pub(super) phase: Phase,
    pub(super) native: &'a mut Conn,
    pub(super) watch: &'a mut Watch,
    pub(super) residue: &'a mut Residue,
    pub(super) statements: &'a mut Statements,
}

impl Client {
    pub(super) fn new(native: Conn, reporter: Reporter) -> Self {
        let mut client = Self {
            native,
            watch: Watch::new(reporter),
            autocommit: true,
            is_called_by_transaction: false,
            residue: Residue::Nothing,
            prepared: Residue::Nothing,
            is_plain: false,
            statements: Statements::default(),
        };
        // The last packet of a login, or of the settings after it, is an OK with the status.
        client.autocommit = client.says(StatusFlags::SERVER_STATUS_AUTOCOMMIT);
        client
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
        let Parts { native, watch, .. } = self.for_session();
        let was_reset = watch.call(Phase::Committing, native.reset()).await?;
        self.statements.forget_prepared();
        // A server too old for it says no, and all is as it was.
        if was_reset && self.residue != Residue::Indelible {
            self.residue = Residue::Nothing;
            self.prepared = Residue::Nothing;
        }
        Ok(was_reset)
    }

    pub(super) fn condition(&self) -> Condition {
        let is_over = self.watch.is_over() || self.native.is_disconnected();
        if is_over || self.residue == Residue::Indelible {
            Condition::Broken
        } else if self.residue != Residue::Nothing
            || self.status().is_none()
            || self.in_transaction()
            || self.autocommit_differs()
        {
            Condition::Unclean
        } else {
            Condition::Clean
        }
    }

    #[cfg(feature = "router")]
    pub(super) fn standing(&self) -> crate::engine::Standing {
        let in_transaction =
            |status: StatusFlags| status.contains(StatusFlags::SERVER_STATUS_IN_TRANS);
        crate::engine::Standing {
            is_over: self.watch.is_over() || self.native.is_disconnected(),
            in_transaction: self.status().map(in_transaction),
            may_hold_state: self.residue != Residue::Nothing || self.autocommit_differs(),
        }
    }

    /// Makes the session fit for its next user: rolls back, and resets it where that is not
    /// enough.
    pub(super) async fn clean(&mut self) -> Result<(), Native> {
        if self.residue == Residue::Nothing && !self.autocommit_differs() {
            self.query_drop("ROLLBACK").await?;
        }
        if self.condition() == Condition::Unclean {
            self.reset().await?;
        }
        Ok(())
    }

    /// The server's last word on the session's state; `None` when it is not known.
    pub(super) fn status(&self) -> Option<StatusFlags> {
        match self.watch.last_word() {
            LastWord::Native => last_status(&self.native),
            LastWord::Kept(status) => status,
        }
    }

    fn says(&self, flag: StatusFlags) -> bool {
        self.status().is_some_and(|status| status.contains(flag))
    }

    /// Whether the server's last word was that a transaction is open.
    fn in_transaction(&self) -> bool {
        self.says(StatusFlags::SERVER_STATUS_IN_TRANS)
    }

    /// Whether the server's last word was that `autocommit` is not as login left it.
    fn autocommit_differs(&self) -> bool {
        self.status().is_some_and(|status| {
            status.contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT) != self.autocommit
        })
    }

    pub(super) fn record(&self) -> Record {
        let is_over = self.watch.is_over() || self.native.is_disconnected();
        Record {
            // Only rows that are read one by one end without an explanation.
            failed: self
                .watch
                .failure()
                .or(is_over.then_some(Met::UNEXPLAINED_LOSS)),
            left_traces: self.watch.left_traces(self.in_transaction()),
        }
    }

    /// Prepares for a statement with this text: its phase, and what the call takes.
    pub(super) fn for_text(&mut self, text: &[u8]) -> Parts<'_> {
        self.is_called_by_transaction = false;
        let in_transaction = self.in_transaction();
        self.leaves(residue::mysql::of_text(text));
        let trace = phase::trace_of_text(in_transaction, text);
        self.watch.expect(trace, self.status());
        let phase = phase::of_text(in_transaction, text);
        self.parts(phase)
    }

    fn parts(&mut self, phase: Phase) -> Parts<'_> {
        Parts {
            phase,
            native: &mut self.native,
            watch: &mut self.watch,
            residue: &mut self.residue,
            statements: &mut self.statements,
        }
    }

    /// Says what the next `exec_*` is given.
    pub(crate) fn expect(&mut self, statement: &impl StatementText) {
        self.statements.expect(statement);
    }

    /// A call is about to be made that may leave this in the session.
    fn leaves(&mut self, residue: Residue) {
        self.residue = self.residue.max(residue);
    }

    /// What was left in the session so far.
    pub(super) fn residue(&self) -> Residue {
        self.residue
    }

    /// What has been sent since then leaves nothing.
    pub(super) fn leaves_no_more_than(&mut self, residue: Residue) {
        self.residue = self.residue.min(residue);
    }

    /// Prepares for the preparing of a statement with this text.
    pub(super) fn for_preparing(&mut self, text: &[u8]) -> Parts<'_> {
        self.prepared = self.prepared.max(residue::mysql::of_text(text));
        self.for_session()
    }

    /// Prepares for a call that runs no statement.
    pub(super) fn for_session(&mut self) -> Parts<'_> {
        self.is_called_by_transaction = false;
        self.watch.expect(Trace::Nothing, self.status());
        self.parts(Phase::Preparing)
    }

    /// Prepares for the run of a prepared statement, whose text is not known here.
    ///
    /// Of what it leaves in the session, what was prepared by [`prep`](Queryable::prep) is known; of
    /// the others their answer tells, which is taken note of in the last.
    /// Within a [`Transaction`] it is taken for one that stays there, as that type demands.
    pub(super) fn for_prepared(&mut self) -> Parts<'_> {
        self.leaves(self.prepared);
        let in_transaction = self.in_transaction();
        self.watch.expect(Trace::UnlessInTransaction, self.status());
        let by_transaction = std::mem::take(&mut self.is_called_by_transaction);
        let phase = if in_transaction && by_transaction {
            Phase::InTransaction
        } else {
            Phase::Committing
        };
        self.parts(phase)
    }

    /// Closes the socket now, whatever is under way.
    pub(super) fn kill(self) {
        // The first poll marks the native connection as closed, and what would be sent or
        // waited for is dropped with the future.
        let _ = self.native.disconnect().now_or_never();
    }
}

/// The status of the session as the server's last OK packet has it.
pub(super) fn last_status(native: &Conn) -> Option<StatusFlags> {
    native.last_ok_packet().map(|ok| ok.status_flags())
}

/// By hand: the native connection's own would print the password.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id())
            .field("condition", &self.condition())
            .finish_non_exhaustive()
    }
}
