//! How an error is told over HTTP: what is wrong, and what to do.

use std::borrow::Cow;

use aurora_driver::{ErrorKind, Outcome};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::shop::ShopError;
use crate::traffic::Kind;

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: String,
    next: String,
    outcome: Option<Outcome>,
}

impl Refused {
    pub(super) fn new(
        status: StatusCode,
        error: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error: error.into(),
            next: next.into(),
            outcome: None,
        }
    }
}

/// How much of what somebody sent an answer repeats: enough to recognise it.
const ECHO_MAX: usize = 200;

/// What somebody sent, as far as an answer repeats it.
pub(super) fn echo(sent: &str) -> Cow<'_, str> {
    match sent.char_indices().nth(ECHO_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", &sent[..end])),
        None => Cow::Borrowed(sent),
    }
}

/// What to do after a read of unknown fate.
const ASK_AGAIN: &str = "ask again";

/// What to do after an order or a payment of unknown fate.
pub(super) const SEND_AGAIN: &str = "send it again: an order under its key, and the payment of one, count once \
                                     however often they are sent";

/// The database's own words may tell more than a customer should read.
const WHERE_THE_CAUSE_IS: &str =
    "GET /readyz names the cause while no writer is confirmed, and the log has it in any case";

impl Refused {
    /// What the shop could not do.
    pub(super) fn of(kind: Kind, error: &ShopError) -> Self {
        let next = match kind {
            Kind::Read | Kind::Report => ASK_AGAIN,
            Kind::Write => SEND_AGAIN,
        };
        match error {
            ShopError::Missing("order") => Self::new(
                StatusCode::NOT_FOUND,
                error.to_string(),
                "look at the key: it is the one that came with POST /orders",
            ),
            ShopError::Missing(_) => Self::new(
                StatusCode::NOT_FOUND,
                error.to_string(),
                "GET /products lists what there is",
            ),
            ShopError::SoldOut => Self::new(
                StatusCode::CONFLICT,
                error.to_string(),
                "order less, or something else",
            ),
            ShopError::OtherOrder => Self::new(
                StatusCode::CONFLICT,
                error.to_string(),
                "send another order under a key of its own; GET /orders/{key} shows the one that was taken",
            ),
            ShopError::TooSlow { outcome, .. } => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, error.to_string(), next)
                    .with_outcome(kind, *outcome)
            }
            ShopError::Database { error, outcome } => {
                let (status, next) = match error.kind() {
                    ErrorKind::Overloaded => (StatusCode::TOO_MANY_REQUESTS, next.to_owned()),
                    _ => (
                        StatusCode::SERVICE_UNAVAILABLE,
                        format!("{next}; {WHERE_THE_CAUSE_IS}"),
                    ),
                };
                Self::new(status, "the database cannot do it now", next)
                    .with_outcome(kind, *outcome)
            }
        }
    }

    /// Of a read nobody asks whether it was applied.
    pub(super) fn with_outcome(mut self, kind: Kind, outcome: Outcome) -> Self {
        self.outcome = match kind {
            Kind::Read | Kind::Report => None,
            Kind::Write => Some(outcome),
        };
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let outcome = self.outcome.map(|outcome| match outcome {
            Outcome::NotSent => "not applied: it was not sent",
            Outcome::Rejected => "not applied: the database refused it",
            Outcome::Applied => "applied",
            Outcome::Unknown => "unknown: it may have been applied",
        });
        let body = json!({ "error": self.error, "next": self.next, "outcome": outcome });
        (self.status, Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_repeats_no_more_of_what_was_sent_than_is_needed_to_recognise_it() {
        let fits = "é".repeat(ECHO_MAX);
        assert_eq!(echo(&fits), fits);
        assert_eq!(echo(&"é".repeat(9_000)), format!("{fits}…"));
    }

    #[test]
    fn of_a_write_that_took_too_long_the_outcome_is_told_and_a_read_has_none() {
        for outcome in [Outcome::NotSent, Outcome::Unknown] {
            let limit = Duration::from_secs(5);
            let slow = ShopError::TooSlow { limit, outcome };
            let write = Refused::of(Kind::Write, &slow);
            assert_eq!(write.outcome, Some(outcome));
            assert!(write.next.contains("again") && write.next.contains("key"));
            for kind in [Kind::Read, Kind::Report] {
                let read = Refused::of(kind, &slow);
                assert_eq!((read.outcome, read.next.as_str()), (None, ASK_AGAIN));
            }
        }
    }
}
