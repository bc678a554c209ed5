//! Routes of the whole cluster: what is seen of it, and what is done to all of it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Controlled;
use super::answer::{self, Refused};
use super::body::{Body, known, read, read_or_default};

type Answer = Result<Json<Value>, Refused>;

/// What the page may load and reach: itself alone.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src \
     'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'";

pub(super) async fn page() -> impl IntoResponse {
    let policy = [(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)];
    (policy, Html(include_str!("page.html")))
}

pub(super) async fn cluster(State(controlled): State<Controlled>) -> Json<Value> {
    Json(answer::cluster(&controlled.cluster))
}

pub(super) async fn events(State(controlled): State<Controlled>) -> Json<Value> {
    let events = controlled.cluster.events();
    Json(events.iter().map(answer::event).collect())
}

pub(super) async fn ledger(State(controlled): State<Controlled>) -> Answer {
    let entries = controlled.cluster.ledger()?;
    Ok(Json(entries.iter().map(answer::ledger_entry).collect()))
}

pub(super) async fn undone(State(controlled): State<Controlled>) -> Json<Value> {
    let entries = controlled.cluster.undone();
    Json(entries.iter().map(answer::ledger_entry).collect())
}

pub(super) async fn add(
    State(controlled): State<Controlled>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let id = controlled.cluster.add_reader()?;
    Ok((StatusCode::CREATED, Json(json!({"id": id.as_str()}))))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Failover {
    target: Option<String>,
}

pub(super) async fn failover(State(controlled): State<Controlled>, body: Body) -> Answer {
    let cluster = &controlled.cluster;
    let wish: Failover = read_or_default(body)?;
    let target = wish.target.map(|id| known(cluster, &id)).transpose()?;
    cluster.failover(target.as_ref())?;
    Ok(Json(answer::cluster(cluster)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    count: usize,
}

pub(super) async fn scale_out(State(controlled): State<Controlled>, body: Body) -> Answer {
    let Count { count } = read(body)?;
    let added = controlled.cluster.scale_out(count)?;
    Ok(Json(answer::identifiers(&added)))
}

pub(super) async fn scale_in(State(controlled): State<Controlled>, body: Body) -> Answer {
    let Count { count } = read(body)?;
    let deleted = controlled.cluster.scale_in(count)?;
    Ok(Json(answer::identifiers(&deleted)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upgrade {
    version: String,
}

pub(super) async fn upgrade(State(controlled): State<Controlled>, body: Body) -> Answer {
    let Upgrade { version } = read(body)?;
    controlled.cluster.upgrade(version)?;
    Ok(Json(answer::cluster(&controlled.cluster)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backtrack {
    to_ms: u64,
}

pub(super) async fn backtrack(State(controlled): State<Controlled>, body: Body) -> Answer {
    let Backtrack { to_ms } = read(body)?;
    let (tell, told) = tokio::sync::oneshot::channel();
    let cluster = std::sync::Arc::clone(&controlled.cluster);
    // A client that goes away must not leave the cluster half way back.
    controlled.tasks().spawn(async move {
        let outcome = cluster.backtrack(Duration::from_millis(to_ms)).await;
        // Nobody listens any more: then nobody has to be told.
        let _ = tell.send(outcome);
    });
    match told.await {
        Ok(outcome) => outcome?,
        Err(_) => {
            return Err(Refused::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the simulator is stopping",
                "start it again",
            ));
        }
    }
    Ok(Json(answer::cluster(&controlled.cluster)))
}
