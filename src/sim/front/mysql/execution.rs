//! Statements: prepared, executed, answered.

use futures_util::FutureExt;
use mysql_common::constants::CapabilityFlags;

use super::client::{Client, Unanswered};
use super::kill::Target;
use super::resultset::{Encoding, ResultSet};
use super::{column, fault, packet};
use crate::sim::fault::FaultPoint;
use crate::sim::sql::{Done, Reply, SqlError, Statement, Value};

impl Client<'_> {
    /// COM_QUERY: a script, each of whose statements has its own result.
    pub(super) async fn query(&mut self, script: &str) -> Result<(), Unanswered> {
        if let Some(target) = Target::parse(script) {
            self.kill(target)?;
            return self.say_ok(Done::default(), false);
        }
        let statements = self.session.parse(script)?;
        if statements.is_empty() {
            return Err(fault::empty_query().into());
        }
        let several = self
            .capabilities
            .contains(CapabilityFlags::CLIENT_MULTI_STATEMENTS);
        if statements.len() > 1 && !several {
            return Err(fault::more_than_one_statement().into());
        }
        let last = statements.len() - 1;
        for (index, statement) in statements.iter().enumerate() {
            let reply = self.run(statement, &[]).await?;
            self.say(reply, Encoding::Text, index < last).await?;
        }
        Ok(())
    }

    /// COM_STMT_PREPARE.
    pub(super) fn prepare(&mut self, text: &str) -> Result<(), Unanswered> {
        let mut statements = self.session.parse(text)?;
        let statement = statements.pop().ok_or_else(fault::empty_query)?;
        if !statements.is_empty() {
            return Err(fault::more_than_one_statement().into());
        }
        let description = self.session.describe(&statement, &[])?;
        let parameters = description.parameters;
        let columns = description.columns.unwrap_or_default();
        let parameter_count =
            u16::try_from(parameters.len()).map_err(|_| fault::too_many_placeholders())?;
        // MySQL has at most 4096 columns.
        let column_count = u16::try_from(columns.len()).unwrap_or(u16::MAX);
        let id = self
            .statements
            .add(statement, text.len(), parameters.clone())?;
        self.wire
            .queue(&packet::prepared(id, column_count, parameter_count))?;
        let end = packet::end_of_columns(self.status(false), self.capabilities);
        for kind in &parameters {
            self.wire.queue(&column::parameter(*kind))?;
        }
        if let Some(end) = end.as_ref().filter(|_| parameter_count > 0) {
            self.wire.queue(end)?;
        }
        for column in columns.iter().take(column_count.into()) {
            self.wire
                .queue(&column::definition(column, &self.door.users.database))?;
        }
        if let Some(end) = end.as_ref().filter(|_| column_count > 0) {
            self.wire.queue(end)?;
        }
        Ok(())
    }

    /// COM_STMT_EXECUTE.
    pub(super) async fn execute(&mut self, id: u32, rest: &[u8]) -> Result<(), Unanswered> {
        let (statement, parameters) = self.statements.bind(id, rest)?;
        let reply = self.run(&statement, &parameters).await?;
        self.say(reply, Encoding::Binary, false).await
    }

    /// Executes one statement, unless a fault strikes it.
    async fn run(
        &mut self,
        statement: &Statement,
        parameters: &[Value],
    ) -> Result<Reply, Unanswered> {
        self.meet(FaultPoint::Execute, statement.text()).await?;
        let reply = self.run_unharmed(statement, parameters).await?;
        self.meet(FaultPoint::Answer, statement.text()).await?;
        Ok(reply)
    }

    /// Executes one statement, which another connection may interrupt.
    async fn run_unharmed(
        &mut self,
        statement: &Statement,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        let cancel = &self.registration.handle.cancel;
        // A `KILL QUERY` that came while nothing was running is not for this statement: the first
        // waiter takes the permit it left.
        let _ = cancel.notified().now_or_never();
        *self.running = true;
        let reply = tokio::select! {
            biased;
            reply = self.session.execute(statement, parameters) => reply,
            // The statement's future is dropped, which rolls it back.
            () = cancel.notified() => Err(fault::interrupted()),
        };
        *self.running = false;
        reply
    }

    async fn say(
        &mut self,
        reply: Reply,
        encoding: Encoding,
        more: bool,
    ) -> Result<(), Unanswered> {
        match reply {
            Reply::Rows { columns, rows, .. } => {
                let result_set = ResultSet {
                    columns: &columns,
                    rows: &rows,
                    database: &self.door.users.database,
                    encoding,
                    status: self.status(more),
                    capabilities: self.capabilities,
                };
                Ok(result_set.write(self.wire).await?)
            }
            Reply::Done { outcome, .. } => self.say_ok(outcome, more),
        }
    }

    /// COM_FIELD_LIST, which the command line sends for every table when it starts.
    pub(super) fn field_list(&mut self, table: &str) -> Result<(), Unanswered> {
        let script = format!("SELECT * FROM `{}` LIMIT 0", table.replace('`', "``"));
        let statements = self.session.parse(&script)?;
        let statement = statements.first().ok_or_else(fault::empty_query)?;
        let description = self.session.describe(statement, &[])?;
        for column in description.columns.iter().flat_map(|it| it.iter()) {
            self.wire
                .queue(&column::field(column, &self.door.users.database))?;
        }
        let end = packet::end_of_rows(self.status(false), self.capabilities);
        Ok(self.wire.queue(&end)?)
    }
}
