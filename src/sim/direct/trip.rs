//! A statement's way to the instance and back, and the faults that it meets there.
//!
//! The times of a trip are fixed when it begins, as those of packets are: a process that stands
//! still meanwhile finds the answer waiting.

use std::time::Duration;

use crate::error::Outcome;
use crate::id::InstanceId;
use crate::sim::fault::{Cut, End, FaultPoint, ListenerState, Occurrence, StatementKind};
use crate::sim::world::Command;
use crate::topology::observation::Fault;

use super::answer::Upset;
use super::client::Client;
use super::machine::Session;
use super::shell::{Commit, Shared};

/// The user of every session.
const USER: &str = "app";

/// A call, as faults of statements know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    pub(super) what: &'static str,
    kind: Option<StatementKind>,
    /// What is known of it once it has been sent and no answer comes.
    pub(super) if_lost: Outcome,
}

impl Statement {
    pub(super) fn new(what: &'static str, kind: StatementKind, if_lost: Outcome) -> Self {
        Self {
            what,
            kind: Some(kind),
            if_lost,
        }
    }

    /// Whether something stays of it by itself once it was answered.
    pub(super) fn leaves_traces(&self) -> bool {
        matches!(self.what, "write" | "commit")
    }

    /// The login, which is no statement.
    pub(super) fn login() -> Self {
        Self {
            what: "login",
            kind: None,
            if_lost: Outcome::NotSent,
        }
    }
}

/// A request on its way. If nobody waits for its answer any more it may arrive all the same.
struct Request<'a, T, F: FnOnce(&Shared, &Session) -> Result<T, Commit>> {
    shared: &'a Shared,
    session: &'a Session,
    what: &'static str,
    run: Option<F>,
}

impl<T, F: FnOnce(&Shared, &Session) -> Result<T, Commit>> Drop for Request<'_, T, F> {
    fn drop(&mut self) {
        if let Some(run) = self.run.take()
            && self.shared.toss()
        {
            let instance: &InstanceId = &self.session.instance;
            let note = format_args!("{instance}: {}: dropped, and arrived", self.what);
            self.shared.note(note);
            // There is nobody left to be told.
            let _ = run(self.shared, self.session);
        }
    }
}

impl Client {
    pub(super) async fn round_trip<T>(
        &self,
        statement: Statement,
        run: impl FnOnce(&Shared, &Session) -> Result<T, Commit>,
    ) -> Result<T, Upset> {
        let mut at = self.shared.clock.now() + self.shared.latency();
        let mut request = Request {
            shared: &self.shared,
            session: &self.session,
            what: statement.what,
            run: Some(run),
        };
        let arrived = async {
            self.until(at).await?;
            let point = match statement.kind {
                Some(_) => FaultPoint::Execute,
                None => FaultPoint::Login,
            };
            self.meet(point, statement, &mut at).await
        };
        let arrived = arrived.await;
        let run = request.run.take();
        if let Err(upset) = arrived {
            return Err(self.on_its_way_back(upset, at).await);
        }
        let run = run.expect("only a dropped request has run already");
        let answer = run(&self.shared, &self.session);
        if statement.kind.is_some()
            && answer.is_ok()
            && let Err(upset) = self.meet(FaultPoint::Answer, statement, &mut at).await
        {
            return Err(self.on_its_way_back(upset, at).await);
        }
        match answer {
            Ok(answer) => self.back(at).await.map(|()| answer),
            Err(Commit::ReadOnly) => self.back(at).await.and(Err(Fault::ReadOnly.into())),
            Err(Commit::Applied | Commit::Fenced) => Err(self.until_over().await.into()),
        }
    }

    /// An answer's way back.
    async fn back(&self, left_at: Duration) -> Result<(), Upset> {
        let slow = match self.session.gate.state() {
            ListenerState::Slow(delay) => delay,
            _ => Duration::ZERO,
        };
        let at = left_at + slow + self.shared.latency();
        self.until(at).await.map_err(Upset::from)
    }

    async fn on_its_way_back(&self, upset: Upset, left_at: Duration) -> Upset {
        match upset {
            Upset::Refused(_) => self.back(left_at).await.err().unwrap_or(upset),
            Upset::Fault(_) => upset,
        }
    }

    /// Waits until then, unless the connection ends before.
    async fn until(&self, at: Duration) -> Result<(), Fault> {
        let arrival = async {
            match self.shared.clock.instant(at) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            fault = self.until_over() => return Err(fault),
            () = arrival => {}
        }
        if self.session.fate.is_silence() {
            return Err(self.until_over().await);
        }
        Ok(())
    }

    /// Lets the faults in force meet the statement. `at` moves as far as they delay it.
    async fn meet(
        &self,
        point: FaultPoint,
        statement: Statement,
        at: &mut Duration,
    ) -> Result<(), Upset> {
        let faults = &self.shared.faults;
        if faults.is_empty() {
            return Ok(());
        }
        let verdict = faults.meet(&Occurrence {
            point,
            instance: &self.session.instance,
            is_writer: self.shared.is_writer(&self.session),
            user: USER,
            statement: statement.kind.map(|kind| (statement.what, kind)),
        });
        if !verdict.delay.is_zero() {
            *at += verdict.delay;
            self.until(*at).await?;
        }
        for number in verdict.blocked_by {
            tokio::select! {
                biased;
                fault = self.until_over() => return Err(fault.into()),
                () = faults.end_of(number) => *at = self.shared.clock.now(),
            }
        }
        match verdict.end {
            None => Ok(()),
            Some(End::Error(error)) => Err(Upset::Refused(error)),
            Some(End::Cut(Cut::Silence)) => Err(self.until_over().await.into()),
            Some(End::Cut(_)) => Err(Fault::Lost.into()),
            Some(End::Crash) => {
                let instance = self.session.instance.clone();
                // It may be going down already.
                let _ = self.shared.perform(Command::Crash(instance));
                Err(self.until_over().await.into())
            }
        }
    }
}
