//! The page, and its data as JSON.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Of;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use futures_util::stream::{self, Stream};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use super::State;
use crate::shop::Store;

const PAGE: &str = include_str!("page.html");

/// Nothing but its own scripts and data: what a statement's text holds can do no harm.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:";

pub(super) async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE))
}

/// Server-sent events: everything at first, then what is new (HTML standard, 9.2).
pub(super) async fn stream<E: Store>(
    Of(state): Of<Arc<State<E>>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let messages = state.live.listen();
    let ending = state.ending.begun.clone().cancelled_owned();
    let first = Some(state.live.everything().to_string());
    let told = stream::unfold(
        (state, messages, first),
        async |(state, mut messages, first)| {
            let text: String = match first {
                Some(first) => first,
                None => match messages.recv().await {
                    Ok(message) => message.to_string(),
                    Err(RecvError::Lagged(_)) => state.live.everything().to_string(),
                    Err(RecvError::Closed) => return None,
                },
            };
            let event = Event::default().data(text);
            Some((Ok(event), (state, messages, None)))
        },
    );
    // An open page must not keep the service from closing.
    let told = futures_util::StreamExt::take_until(told, Box::pin(ending));
    Sse::new(told).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

pub(super) async fn state<E: Store>(Of(state): Of<Arc<State<E>>>) -> Json<Value> {
    Json(state.live.everything())
}

pub(super) async fn failovers<E: Store>(Of(state): Of<Arc<State<E>>>) -> Json<Value> {
    Json(state.live.failovers())
}

pub(super) async fn statements<E: Store>(Of(state): Of<Arc<State<E>>>) -> Json<Value> {
    Json(state.live.statements())
}
