//! The simple query protocol: a script of statements (PostgreSQL protocol, section 55.2.2).

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::EmptyQueryResponse;

use super::answer::{command_complete, row_description, send_rows};
use super::copy;
use super::engine::Engine;
use super::extended::Prepared;
use super::failure::Failure;
use super::wire::Wire;
use crate::sim::fault::FaultPoint;
use crate::sim::sql::{CommandTag, Copy, Reply, SqlError, Statement, TransactionState};

/// Runs a script and sends its answers, which stop at the first error.
///
/// Several statements are one transaction, unless the script says otherwise itself.
pub(super) async fn run(
    wire: &mut Wire,
    engine: &mut Engine,
    prepared: &mut Prepared,
    script: &str,
) -> Result<(), Failure> {
    prepared.forget_unnamed();
    if let Some(copy) = Copy::parse(script)? {
        engine.meet(FaultPoint::Execute, script).await?;
        let tag = copy::run(wire, engine, &copy).await?;
        engine.meet(FaultPoint::Answer, script).await?;
        return Ok(wire.put(&command_complete(tag))?);
    }
    let statements = engine.parse(script)?;
    if statements.is_empty() {
        return Ok(put_empty(wire)?);
    }
    let mut script = Script {
        wire,
        engine,
        prepared,
        implicit: false,
    };
    let outcome = script.run(&statements).await;
    if outcome.is_err() && script.implicit {
        // The script's own error is the one to tell.
        let _ = script.engine.command("ROLLBACK").await;
    }
    outcome
}

struct Script<'a> {
    wire: &'a mut Wire,
    engine: &'a mut Engine,
    prepared: &'a mut Prepared,
    /// The open transaction was opened here and not by the client.
    implicit: bool,
}

impl Script<'_> {
    async fn run(&mut self, statements: &[Statement]) -> Result<(), Failure> {
        let Some((last, first)) = statements.split_last() else {
            return Ok(());
        };
        for statement in first {
            if self.engine.transaction() == TransactionState::Idle {
                self.engine.command("BEGIN").await?;
                self.implicit = true;
            }
            let tag = self.answer(statement).await?;
            self.complete(tag)?;
        }
        let tag = self.answer(last).await?;
        // Only what is committed is said to be complete.
        if self.implicit {
            self.implicit = false;
            self.engine.command("COMMIT").await?;
        }
        Ok(self.complete(tag)?)
    }

    /// Runs one statement and sends its rows.
    async fn answer(&mut self, statement: &Statement) -> Result<Option<CommandTag>, Failure> {
        let tag = match self.engine.run(statement, &[]).await? {
            Reply::Rows { columns, rows, tag } => {
                self.wire.put(&row_description(&columns, &[])?)?;
                send_rows(self.wire, &columns, &[], rows.into_iter()).await?;
                tag
            }
            Reply::Done { tag, .. } => tag,
        };
        // The client has made the transaction its own, or has ended it.
        let begun = matches!(tag.0.as_str(), "BEGIN" | "START TRANSACTION");
        if begun || self.engine.transaction() == TransactionState::Idle {
            self.implicit = false;
        }
        self.prepared.forget_discarded(&tag);
        Ok(Some(tag))
    }

    fn complete(&mut self, tag: Option<CommandTag>) -> Result<(), SqlError> {
        match tag {
            Some(tag) => self.wire.put(&command_complete(tag)),
            None => put_empty(self.wire),
        }
    }
}

fn put_empty(wire: &mut Wire) -> Result<(), SqlError> {
    wire.put(&PgWireBackendMessage::EmptyQueryResponse(
        EmptyQueryResponse::new(),
    ))
}
