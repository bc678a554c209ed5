//! A session's messages, one after the other, until the client leaves.

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::EmptyQueryResponse;

use super::answer::{command_complete, ready_for_query, row_description, send_rows};
use super::engine::Engine;
use super::extended::Prepared;
use super::failure::{Failure, error, error_response};
use super::login::tell_parameters;
use super::message::{Frame, Message, session_limit};
use super::wire::Wire;
use crate::sim::sql::{Reply, TransactionState};

pub(super) struct Conversation<'a> {
    wire: &'a mut Wire,
    engine: Engine,
    prepared: Prepared,
    /// After an error in the extended protocol nothing is done until the client synchronizes.
    skipping: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(wire: &'a mut Wire, engine: Engine) -> Self {
        Self {
            wire,
            engine,
            prepared: Prepared::default(),
            skipping: false,
        }
    }

    /// Talks until the client leaves, or something fatal comes between.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        self.ready().await?;
        while let Some(frame) = self.wire.frame(session_limit).await? {
            if frame.kind == b'X' {
                return Ok(());
            }
            if self.skipping && frame.kind != b'S' {
                continue;
            }
            let extended = frame.is_extended();
            match self.answer(frame).await {
                Ok(()) => {}
                Err(Failure::Sql(error)) if !error.fatal => {
                    self.wire.put(&error_response(error))?;
                    if extended {
                        self.skipping = true;
                        self.wire.flush().await?;
                    } else {
                        self.ready().await?;
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn answer(&mut self, frame: Frame) -> Result<(), Failure> {
        let Self {
            wire,
            engine,
            prepared,
            ..
        } = self;
        match Message::decode(frame)? {
            Message::Query(script) => {
                self.query(&script).await?;
                self.ready().await
            }
            Message::Parse { name, query, types } => {
                Ok(prepared.parse(wire, engine, name, &query, &types)?)
            }
            Message::Bind(bind) => Ok(prepared.bind(wire, bind)?),
            Message::Describe(target) => Ok(prepared.describe(wire, &target)?),
            Message::Execute { portal, max_rows } => {
                prepared.execute(wire, engine, &portal, max_rows).await
            }
            Message::Close(target) => Ok(prepared.close(wire, &target)?),
            Message::Flush => Ok(wire.flush().await?),
            Message::Sync => {
                self.skipping = false;
                self.ready().await
            }
            Message::FunctionCall => {
                Err(error("0A000", "fast-path function calls are not supported").into())
            }
            // A client may send these before it hears that its copy was refused.
            Message::Copy | Message::Terminate => Ok(()),
        }
    }

    /// Runs a script and sends its answers, which stop at the first error.
    async fn query(&mut self, script: &str) -> Result<(), Failure> {
        self.prepared.forget_unnamed();
        let statements = self.engine.parse(script)?;
        if statements.is_empty() {
            self.put_empty()?;
        }
        for statement in &statements {
            match self.engine.run(statement, &[]).await? {
                Reply::Rows { columns, rows, tag } => {
                    self.wire.put(&row_description(&columns, &[])?)?;
                    send_rows(self.wire, &columns, &[], rows.into_iter()).await?;
                    self.wire.put(&command_complete(tag))?;
                }
                Reply::Done { tag, .. } => {
                    self.prepared.forget_discarded(&tag);
                    self.wire.put(&command_complete(tag))?;
                }
                Reply::Empty => self.put_empty()?,
            }
        }
        Ok(())
    }

    fn put_empty(&mut self) -> Result<(), Failure> {
        let message = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
        Ok(self.wire.put(&message)?)
    }

    /// Says that it is the client's turn again.
    async fn ready(&mut self) -> Result<(), Failure> {
        let state = self.engine.transaction();
        if state == TransactionState::Idle {
            self.prepared.forget_portals();
        }
        tell_parameters(self.wire, self.engine.session())?;
        self.wire.put(&ready_for_query(state))?;
        Ok(self.wire.flush().await?)
    }
}
