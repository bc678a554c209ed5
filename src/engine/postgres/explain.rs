//! From `tokio-postgres` errors to ours: what happened, and whether the statement may have run.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::{DbError, Severity};

use super::faults::fault_of_sqlstate;
use super::link::Link;
use crate::engine::faults::kind_of_answer;
use crate::engine::{Failure, socket};
use crate::error::{Error, ErrorKind, Outcome, ServerCode};
use crate::topology::observation::Fault;

/// Where in its life a statement was when the error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A statement that commits by itself, or a COMMIT: a lost answer leaves it unknown.
    Committing,
    /// A statement inside an open transaction: without its COMMIT nothing of it stays.
    InTransaction,
}

/// Explains an error of a call on a connection.
pub(super) fn explain(error: tokio_postgres::Error, link: &Link, phase: Phase) -> Error {
    let explained = match error.as_db_error() {
        Some(answer) => of_server(answer, phase),
        None => of_client(&error, link, phase),
    };
    let explained = match link.reporter().instance() {
        Some(instance) => explained.with_instance(instance),
        None => explained,
    };
    explained.with_source(error)
}

/// Explains an error met while connecting or probing.
pub(super) fn failure(error: tokio_postgres::Error, link: &Link) -> Failure {
    let fault = match error.as_db_error() {
        Some(answer) => fault_of_sqlstate(answer.code().code()),
        None => error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
            .map_or(Fault::Lost, socket::fault_of),
    };
    let explained = explain(error, link, Phase::InTransaction).with_outcome(Outcome::NotSent);
    Failure {
        fault,
        error: explained,
    }
}

fn of_server(answer: &DbError, phase: Phase) -> Error {
    let code = answer.code().code();
    let (kind, advice) = kind_of_answer(fault_of_sqlstate(code));
    // FATAL and PANIC end the session; the server does not say at which point of a statement.
    let ends_session = matches!(
        answer.parsed_severity(),
        Some(Severity::Fatal | Severity::Panic)
    );
    let outcome = outcome_of_answer(ends_session, phase);
    Error::new(kind, format!("{}{advice}", answer.message()))
        .with_code(ServerCode::sqlstate(code))
        .with_outcome(outcome)
}

pub(super) fn outcome_of_answer(ends_session: bool, phase: Phase) -> Outcome {
    match (ends_session, phase) {
        (true, Phase::Committing) => Outcome::Unknown,
        (true, Phase::InTransaction) | (false, _) => Outcome::Rejected,
    }
}

fn of_client(error: &tokio_postgres::Error, link: &Link, phase: Phase) -> Error {
    let broke = error.is_closed()
        || error
            .source()
            .is_some_and(|source| source.is::<io::Error>());
    if !broke {
        // A parameter of the wrong type or number, a row count other than asked for: the call
        // itself is wrong. Nothing says whether it was sent.
        return Error::new(ErrorKind::Usage, error.to_string()).with_outcome(Outcome::Unknown);
    }
    let cause = link
        .end()
        .unwrap_or_else(|| "the server closed it".to_owned());
    let (outcome, fate) = match phase {
        Phase::Committing => (
            Outcome::Unknown,
            "whether the statement was applied is unknown",
        ),
        Phase::InTransaction => (Outcome::Rejected, "the transaction is rolled back"),
    };
    Error::new(
        ErrorKind::ConnectionLost,
        format!("the connection ended ({cause}); {fate}"),
    )
    .with_outcome(outcome)
}
