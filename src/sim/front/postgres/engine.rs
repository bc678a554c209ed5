//! The SQL session of one client, with the means to cancel its running statement.

use std::sync::Arc;

use super::failure::{Failure, error};
use crate::sim::fault::FaultPoint;
use crate::sim::front::{Door, SessionHandle};
use crate::sim::sql::{
    Description, Reply, Session, SqlError, SqlType, Statement, TransactionState, Value,
};

pub(super) struct Engine {
    session: Session,
    handle: Arc<SessionHandle>,
    door: Door,
    user: String,
}

impl Engine {
    pub(super) fn new(
        session: Session,
        handle: Arc<SessionHandle>,
        door: Door,
        user: String,
    ) -> Self {
        Self {
            session,
            handle,
            door,
            user,
        }
    }

    /// Lets the faults in force meet a statement.
    pub(super) async fn meet(&mut self, point: FaultPoint, text: &str) -> Result<(), Failure> {
        let (door, user) = (&self.door, self.user.as_str());
        Ok(door.meet(point, user, Some(text)).await?)
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

    /// Runs a statement unless another connection cancels it meanwhile, or a fault strikes it.
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        parameters: &[Value],
    ) -> Result<Reply, Failure> {
        self.meet(FaultPoint::Execute, statement.text()).await?;
        let reply = self.run_unharmed(statement, parameters).await?;
        self.meet(FaultPoint::Answer, statement.text()).await?;
        Ok(reply)
    }

    /// Runs a part of a statement, which meets its faults as a whole.
    pub(super) async fn run_unharmed(
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
