//! A session's messages, one after the other, until the client leaves.

use super::answer::ready_for_query;
use super::engine::Engine;
use super::extended::Prepared;
use super::failure::{Failure, error, error_response};
use super::login::tell_parameters;
use super::message::{Frame, Message, session_limit};
use super::script;
use super::wire::Wire;
use crate::sim::fault::FaultPoint;
use crate::sim::front::Door;
use crate::sim::sql::TransactionState;

pub(super) struct Conversation<'a> {
    door: &'a Door,
    wire: &'a mut Wire,
    engine: Engine,
    prepared: Prepared,
    /// After an error in the extended protocol nothing is done until the client synchronizes.
    skipping: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(wire: &'a mut Wire, engine: Engine, door: &'a Door) -> Self {
        Self {
            door,
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
                    self.engine.fail();
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
            Message::Query(text) => {
                script::run(wire, engine, prepared, &text).await?;
                self.ready().await
            }
            Message::Parse { name, query, types } => {
                engine.meet(FaultPoint::Prepare, &query).await?;
                Ok(prepared.parse(wire, engine, name, &query, &types)?)
            }
            Message::Bind(bind) => Ok(prepared.bind(wire, bind)?),
            Message::Describe(target) => Ok(prepared.describe(wire, engine, &target)?),
            Message::Execute { portal, max_rows } => {
                prepared.execute(wire, engine, &portal, max_rows).await
            }
            Message::Close(target) => Ok(prepared.close(wire, &target)?),
            Message::Flush => {
                self.door.gate.hold_back().await;
                Ok(wire.flush().await?)
            }
            Message::Sync => {
                self.skipping = false;
                self.ready().await
            }
            Message::FunctionCall => {
                Err(error("0A000", "fast-path function calls are not supported").into())
            }
            // A client may send these before it hears that its copy has failed.
            Message::Copy | Message::Terminate => Ok(()),
        }
    }

    /// Says that it is the client's turn again.
    async fn ready(&mut self) -> Result<(), Failure> {
        let state = self.engine.transaction();
        if state == TransactionState::Idle {
            self.prepared.forget_portals();
        }
        tell_parameters(self.wire, self.engine.session())?;
        self.wire.put(&ready_for_query(state))?;
        self.door.gate.hold_back().await;
        Ok(self.wire.flush().await?)
    }
}
