//! The command phase of one client: a command in, its answer out.

use std::str;

use mysql_common::constants::{CapabilityFlags, StatusFlags};

use super::command::{ChangeUser, Command};
use super::fault::{self, Failure};
use super::kill::Target;
use super::login::{self, Attempt};
use super::packet;
use super::prepared::Statements;
use super::script;
use super::wire::Wire;
use crate::sim::fault::FaultPoint;
use crate::sim::front::strike::Struck;
use crate::sim::front::{Door, Registration};
use crate::sim::host::Count;
use crate::sim::sql::{Done, Session, SqlError, TransactionState};

/// A client that has logged in.
pub(super) struct Client<'a> {
    pub(super) wire: &'a mut Wire,
    /// Set while a statement is being executed, for those who end the connection.
    pub(super) running: &'a mut bool,
    pub(super) door: &'a Door,
    pub(super) registration: &'a Registration,
    peer: &'a str,
    user: String,
    pub(super) session: Session,
    pub(super) statements: Statements,
    pub(super) capabilities: CapabilityFlags,
    questions: u64,
}

impl<'a> Client<'a> {
    pub(super) fn new(
        wire: &'a mut Wire,
        running: &'a mut bool,
        door: &'a Door,
        registration: &'a Registration,
        peer: &'a str,
        session: Session,
        capabilities: CapabilityFlags,
    ) -> Self {
        Self {
            wire,
            running,
            door,
            registration,
            peer,
            user: session.user().to_owned(),
            session,
            statements: Statements::default(),
            capabilities,
            questions: 0,
        }
    }

    /// Answers commands until the client leaves or errs.
    pub(super) async fn serve(mut self) -> Failure {
        loop {
            if let Err(failure) = self.serve_one().await {
                return failure;
            }
        }
    }

    async fn serve_one(&mut self) -> Result<(), Failure> {
        self.wire.begin_command();
        let packet = self.wire.read().await?;
        self.questions += 1;
        let command =
            Command::parse(&packet).ok_or_else(|| Failure::Fatal(fault::malformed_packet()))?;
        let answered = self.answer(command).await;
        match answered {
            Ok(()) => {}
            Err(Unanswered::Refused(error)) if !error.fatal => {
                self.wire.queue(&packet::error(&error))?;
            }
            Err(Unanswered::Refused(error)) => return Err(Failure::Fatal(error)),
            Err(Unanswered::Failed(failure)) => return Err(failure),
        }
        self.door.gate.hold_back().await;
        self.wire.flush().await
    }

    async fn answer(&mut self, command: Command<'_>) -> Result<(), Unanswered> {
        match command {
            Command::Quit => return Err(Failure::Gone.into()),
            Command::InitDb(name) => self.session.use_database(utf8(name)?)?,
            Command::Query(script) => return self.query(&script::readable(script)?).await,
            Command::FieldList { table } => return self.field_list(utf8(table)?),
            Command::Statistics => return self.statistics(),
            Command::ProcessKill(id) => self.kill(Target::Connection(id.into()))?,
            Command::Ping => {}
            Command::ChangeUser(change) => self.change_user(change).await?,
            Command::Prepare(text) => {
                let text = utf8(text)?;
                self.meet(FaultPoint::Prepare, text).await?;
                return self.prepare(text);
            }
            Command::Execute { id, rest } => return self.execute(id, rest).await,
            Command::SendLongData {
                id,
                parameter,
                data,
            } => {
                self.statements.add_long_data(id, parameter, data);
                return Ok(());
            }
            Command::CloseStatement(id) => {
                self.statements.close(id);
                return Ok(());
            }
            Command::ResetStatement(id) => self.statements.reset(id)?,
            Command::FetchRows(id) => {
                self.statements.check(id, "mysqld_stmt_fetch")?;
                return Err(fault::no_open_cursor(id).into());
            }
            Command::SetMultiStatements(on) => {
                self.capabilities
                    .set(CapabilityFlags::CLIENT_MULTI_STATEMENTS, on);
                let end = packet::end_of_rows(self.status(false), self.capabilities);
                return Ok(self.wire.queue(&end)?);
            }
            Command::ResetConnection => {
                self.session.reset();
                self.statements = Statements::default();
            }
            Command::Unknown => return Err(fault::unknown_command().into()),
        }
        self.say_ok(Done::default(), false)
    }

    /// Lets the faults in force meet a statement.
    pub(super) async fn meet(&mut self, point: FaultPoint, text: &str) -> Result<(), Unanswered> {
        let (door, user) = (self.door, self.user.as_str());
        Ok(door.meet(point, user, Some(text)).await?)
    }

    pub(super) fn say_ok(&mut self, outcome: Done, more: bool) -> Result<(), Unanswered> {
        let ok = packet::ok(outcome, self.status(more), self.capabilities);
        Ok(self.wire.queue(&ok)?)
    }

    /// One line for people to read.
    fn statistics(&mut self) -> Result<(), Unanswered> {
        let line = format!(
            "Uptime: {}  Threads: {}  Questions: {}",
            self.door.host.elapsed_micros() / 1_000_000,
            self.door.sessions.len(),
            self.questions,
        );
        Ok(self.wire.queue(line.as_bytes())?)
    }

    pub(super) fn kill(&mut self, target: Target) -> Result<(), SqlError> {
        let (Target::Query(id) | Target::Connection(id)) = target;
        let handle = u32::try_from(id)
            .ok()
            .and_then(|id| self.door.sessions.find(id, None))
            .ok_or_else(|| fault::unknown_thread(id))?;
        let own = id == u64::from(self.registration.id);
        match target {
            // The statement that it interrupts is itself.
            Target::Query(_) if own => Err(fault::interrupted()),
            Target::Connection(_) if own => Err(fault::interrupted().fatal()),
            Target::Query(_) => {
                handle.cancel.notify_one();
                Ok(())
            }
            Target::Connection(_) => {
                handle.kill.notify_one();
                Ok(())
            }
        }
    }

    /// Logs in again, perhaps as somebody else. A refusal ends the connection.
    async fn change_user(&mut self, change: ChangeUser<'_>) -> Result<(), Failure> {
        let attempt = Attempt {
            user: String::from_utf8_lossy(change.user).into_owned(),
            database: String::from_utf8_lossy(change.database).into_owned(),
            plugin: change.plugin,
            proof: None,
        };
        let (user, database) = login::admit(self.wire, self.door, attempt, self.peer).await?;
        // The old session goes first: it may hold locks that the new one must not wait for.
        self.session.reset();
        self.statements = Statements::default();
        self.session = Session::open(self.door.host.clone(), &self.door.volume, &user, &database)
            .map_err(Failure::Fatal)?;
        self.session.set_connection_id(self.registration.id);
        self.user = user;
        self.door.host.count(Count::Login);
        Ok(())
    }

    pub(super) fn status(&self, more: bool) -> StatusFlags {
        let mut status = StatusFlags::empty();
        let in_transaction = self.session.transaction() != TransactionState::Idle;
        status.set(StatusFlags::SERVER_STATUS_IN_TRANS, in_transaction);
        status.set(
            StatusFlags::SERVER_STATUS_AUTOCOMMIT,
            self.session.autocommit(),
        );
        status.set(
            StatusFlags::SERVER_STATUS_IN_TRANS_READONLY,
            in_transaction && self.session.is_transaction_read_only(),
        );
        status.set(StatusFlags::SERVER_MORE_RESULTS_EXISTS, more);
        status
    }
}

/// Why a command has no answer yet.
pub(super) enum Unanswered {
    /// The client is told this error, and unless it is fatal may go on.
    Refused(SqlError),
    Failed(Failure),
}

impl From<Struck> for Unanswered {
    fn from(struck: Struck) -> Self {
        match struck {
            Struck::Error(error) => Self::Refused(error),
            Struck::Cut(cut) => Self::Failed(Failure::Cut(cut)),
        }
    }
}

impl From<SqlError> for Unanswered {
    fn from(error: SqlError) -> Self {
        Self::Refused(error)
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Names and statements are UTF-8, whatever character set the client has announced.
fn utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    str::from_utf8(bytes).map_err(|_| fault::not_utf8())
}
