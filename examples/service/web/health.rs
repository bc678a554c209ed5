//! Whether the service lives, and whether it may be given requests.

use std::sync::Arc;

use aurora_driver::Phase;
use axum::Json;
use axum::extract::State as Of;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::State;
use crate::shop::Store;

/// The process runs.
pub(super) async fn healthz() -> &'static str {
    "alive\n"
}

/// It may be given requests: a writer is confirmed, and nobody has asked it to stop.
///
/// A failover makes it unready for as long as it lasts; calls that are here already wait for the
/// new writer and are answered.
pub(super) async fn readyz<E: Store>(Of(state): Of<Arc<State<E>>>) -> Response {
    let topology = state.shop.cluster().topology();
    let is_steady = topology.phase() == Phase::Steady;
    let is_closing = state.ending.announced.is_cancelled();
    let is_ready = is_steady && !is_closing;
    let reason = if is_closing {
        "it is closing"
    } else if is_steady {
        "a writer is confirmed"
    } else {
        "no writer is confirmed"
    };
    let body = json!({
        "ready": is_ready,
        "reason": reason,
        "writer": topology.writer().map(|writer| writer.id().as_str()),
        "readers": topology.readers().count(),
    });
    let status = match is_ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(body)).into_response()
}
