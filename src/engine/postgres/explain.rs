//! From `tokio-postgres` errors to ours: what happened, and whether the statement may have run.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::{DbError, Severity};

use super::faults::fault_of_sqlstate;
use super::link::Link;
use crate::engine::faults::{kind_of_answer, of_login};
use crate::engine::{Failure, socket, statement, tls};
use crate::error::{Error, ErrorKind, Outcome, ServerCode};
use crate::topology::observation::Fault;

/// Where in its life a statement was when the error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A statement that commits by itself, or a COMMIT: a lost answer leaves it unknown.
    Committing,
    /// A statement inside an open transaction: without its COMMIT nothing of it stays.
    InTransaction,
    /// It had only been prepared: nothing of it was run.
    Preparing,
    /// Several statements, of which some may be committed: any error leaves it unknown.
    Script,
}

impl Phase {
    /// The phase of a script sent outside of a [`Transaction`](super::Transaction).
    pub(super) fn of_script(text: &str) -> Self {
        let call = text.trim_start().get(..4);
        let runs_procedure = call.is_some_and(|word| word.eq_ignore_ascii_case("call"))
            || text
                .trim_start()
                .get(..2)
                .is_some_and(|word| word.eq_ignore_ascii_case("do"));
        if statement::may_commit(text) && (statement::has_parts(text) || runs_procedure) {
            Self::Script
        } else {
            Self::Committing
        }
    }
}

/// Explains an error of a call on a connection.
pub(super) fn explain(error: tokio_postgres::Error, link: &Link, phase: Phase) -> Error {
    let explained = match error.as_db_error() {
        Some(answer) => of_server(answer, link.fault_of(answer.code().code()), phase),
        None => of_client(&error, link, phase),
    };
    let explained = match link.reporter().instance() {
        Some(instance) => explained.with_instance(instance),
        None => explained,
    };
    explained.with_source(error)
}

/// Explains an error met while logging in.
pub(super) fn login_failure(error: tokio_postgres::Error, link: &Link) -> Failure {
    let refusal = match error.source().and_then(tls::refusal) {
        Some(refusal) => Some(refusal.to_string()),
        // `tokio-postgres` says this in words only.
        None => Some(with_cause(&error)).filter(|text| text.contains("does not support TLS")),
    };
    match refusal {
        Some(refusal) => Failure {
            fault: Fault::Other,
            error: tls::refused(refusal).with_source(error),
        },
        None => of_login(failure(error, link)),
    }
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
    let closed = error.as_db_error().is_none() && error.is_closed();
    let explained = if closed {
        Error::new(
            ErrorKind::Connect,
            "the server closed the connection during the login or a probe: is it PostgreSQL?",
        )
        .with_source(error)
    } else {
        explain(error, link, Phase::InTransaction).with_outcome(Outcome::NotSent)
    };
    Failure {
        fault,
        error: explained,
    }
}

fn of_server(answer: &DbError, fault: Fault, phase: Phase) -> Error {
    let code = answer.code().code();
    let (kind, advice) = kind_of_answer(fault);
    // FATAL and PANIC end the session; the server does not say at which point of a statement.
    let ends_session = matches!(
        answer.parsed_severity(),
        Some(Severity::Fatal | Severity::Panic)
    );
    let outcome = outcome_of_answer(code, ends_session, phase);
    Error::new(kind, format!("{}{advice}", answer.message()))
        .with_code(ServerCode::sqlstate(code))
        .with_outcome(outcome)
}

pub(super) fn outcome_of_answer(code: &str, ends_session: bool, phase: Phase) -> Outcome {
    // 40003 is statement_completion_unknown; poolers send class 08 without ending the session.
    let unclear = ends_session || code == "40003" || condemns_outcome(fault_of_sqlstate(code));
    match phase {
        Phase::InTransaction | Phase::Preparing => Outcome::Rejected,
        Phase::Script => Outcome::Unknown,
        Phase::Committing if unclear => Outcome::Unknown,
        Phase::Committing => Outcome::Rejected,
    }
}

fn condemns_outcome(fault: Fault) -> bool {
    matches!(fault, Fault::Crashed | Fault::Lost | Fault::Terminated)
}

/// `tokio-postgres` keeps the cause out of its messages.
fn with_cause(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn of_client(error: &tokio_postgres::Error, link: &Link, phase: Phase) -> Error {
    let text = with_cause(error);
    if text.starts_with("invalid configuration") {
        return Error::new(
            ErrorKind::Config,
            format!("the login cannot be made ({text}): is a password given in the URL?"),
        );
    }
    // Found out before anything of the statement was sent. `tokio-postgres` tells these kinds
    // apart in words only.
    let never_sent = [
        "error serializing parameter",
        "expected ",
        "error encoding message",
    ]
    .iter()
    .any(|words| text.starts_with(words));
    if never_sent {
        return Error::new(ErrorKind::Usage, text);
    }
    let broke = error.is_closed()
        || error
            .source()
            .is_some_and(|source| source.is::<io::Error>());
    if !broke {
        return Error::new(ErrorKind::Usage, text).with_outcome(match phase {
            Phase::Preparing => Outcome::NotSent,
            Phase::Committing | Phase::InTransaction | Phase::Script => Outcome::Unknown,
        });
    }
    let cause = link
        .end()
        .unwrap_or_else(|| "the server closed it".to_owned());
    let (outcome, fate) = match phase {
        Phase::Committing | Phase::Script => (
            Outcome::Unknown,
            "whether the statement was applied is unknown",
        ),
        Phase::InTransaction => (Outcome::Rejected, "the transaction is rolled back"),
        Phase::Preparing => (Outcome::NotSent, "the statement was not run"),
    };
    Error::new(
        ErrorKind::ConnectionLost,
        format!("the connection ended ({cause}); {fate}"),
    )
    .with_outcome(outcome)
}
