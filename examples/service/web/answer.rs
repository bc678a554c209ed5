//! How an error is told over HTTP: what is wrong, and what to do.

use aurora_driver::{ErrorKind, Outcome};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::shop::ShopError;

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: String,
    next: &'static str,
    outcome: Option<Outcome>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, error: impl Into<String>, next: &'static str) -> Self {
        Self {
            status,
            error: error.into(),
            next,
            outcome: None,
        }
    }
}

impl From<ShopError> for Refused {
    fn from(error: ShopError) -> Self {
        match &error {
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
            ShopError::TooSlow(_) => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                error.to_string(),
                "ask again; an order may be sent again under its key",
            ),
            ShopError::Database(cause) => {
                let status = match cause.kind() {
                    ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                Self {
                    outcome: Some(cause.outcome()),
                    ..Self::new(
                        status,
                        "the database cannot do it now",
                        "ask again; an order may be sent again under its key",
                    )
                }
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let outcome = self.outcome.map(|outcome| match outcome {
            Outcome::NotSent => "not applied: it was not sent",
            Outcome::Rejected => "not applied: the database refused it",
            _ => "unknown: it may have been applied",
        });
        let body = json!({ "error": self.error, "next": self.next, "outcome": outcome });
        (self.status, Json(body)).into_response()
    }
}
