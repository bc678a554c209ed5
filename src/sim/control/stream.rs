//! The cluster's state as server-sent events (HTML Standard, "Server-sent events").

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::Controlled;
use super::answer::{self, Refused};

/// How often it looks for a change. Connections come and go without a word.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How many of the last events are told.
const EVENTS_TOLD: usize = 50;

struct Watcher {
    controlled: Controlled,
    told: String,
    /// Held as long as the stream is open.
    _permit: OwnedSemaphorePermit,
}

pub(super) async fn stream(
    State(controlled): State<Controlled>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refused> {
    let permit = controlled.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        let next = "close a page that shows the cluster, or ask GET /api/cluster";
        Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many streams are open",
            next,
        )
    })?;
    let watcher = Watcher {
        controlled,
        told: String::new(),
        _permit: permit,
    };
    let changes = stream::unfold(watcher, |mut watcher| async {
        loop {
            let seen = snapshot(&watcher.controlled).to_string();
            if seen != watcher.told {
                let event = Event::default().data(&seen);
                watcher.told = seen;
                return Some((Ok(event), watcher));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    });
    Ok(Sse::new(changes).keep_alive(KeepAlive::default()))
}

fn snapshot(controlled: &Controlled) -> Value {
    let events = controlled.cluster.events();
    let first = events.len().saturating_sub(EVENTS_TOLD);
    let events: Vec<Value> = events[first..].iter().map(answer::event).collect();
    json!({"cluster": answer::cluster(&controlled.cluster), "events": events})
}
