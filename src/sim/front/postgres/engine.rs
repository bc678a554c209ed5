//! The SQL session of one client, with the means to cancel its running statement.

use std::sync::Arc;

use super::failure::error;
use crate::sim::front::SessionHandle;
use crate::sim::sql::{
    Description, Reply, Session, SqlError, SqlType, Statement, TransactionState, Value,
};

pub(super) struct Engine {
    session: Session,
    handle: Arc<SessionHandle>,
}

impl Engine {
    pub(super) fn new(session: Session, handle: Arc<SessionHandle>) -> Self {
        Self { session, handle }
    }

    pub(super) fn parse(&mut self, script: &str) -> Result<Vec<Statement>, SqlError> {
        self.session.parse(script)
    }

    /// Runs a statement of the server's own.
    pub(super) async fn command(&mut self, sql: &str) -> Result<(), SqlError> {
        for statement in self.session.parse(sql)? {
            self.session.execute(&statement, &[]).await?;
        }
        Ok(())
    }

    pub(super) fn describe(
        &mut self,
        statement: &Statement,
        hints: &[SqlType],
    ) -> Result<Description, SqlError> {
        self.session.describe(statement, hints)
    }

    /// Runs a statement unless another connection cancels it meanwhile.
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        tokio::select! {
            // A statement that is done cannot be cancelled any more.
            biased;
            reply = self.session.execute(statement, parameters) => reply,
            () = self.handle.cancel.notified() => {
                Err(error("57014", "canceling statement due to user request"))
            }
        }
    }

    /// An error that the session does not know of fails its transaction too.
    pub(super) fn fail(&mut self) {
        self.session.fail();
    }

    pub(super) fn transaction(&self) -> TransactionState {
        self.session.transaction()
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}
