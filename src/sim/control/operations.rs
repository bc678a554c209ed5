//! Routes of the whole cluster: what is seen of it, and what is done to all of it.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::sim::fault::WrittenFault;
use crate::sim::{ActiveFault, Script};

use super::Controlled;
use super::answer::{self, Refused};
use super::body::{Body, known, read, read_or_default, unfit};

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
    let to = Duration::from_millis(to_ms);
    controlled.cluster.backtrack(to).await?;
    Ok(Json(answer::cluster(&controlled.cluster)))
}

/// What is told of a fault of single statements.
fn shown(active: &ActiveFault) -> Value {
    json!({
        "id": active.number,
        "fault": format!("{:?}", active.fault),
        "fired": active.fired,
    })
}

pub(super) async fn faults(State(controlled): State<Controlled>) -> Json<Value> {
    Json(controlled.cluster.faults().iter().map(shown).collect())
}

pub(super) async fn add_fault(
    State(controlled): State<Controlled>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let fault = read::<WrittenFault>(body)?.fault().map_err(unfit)?;
    let number = controlled.cluster.fault(fault).keep();
    Ok((StatusCode::CREATED, Json(json!({"id": number}))))
}

pub(super) async fn end_fault(
    State(controlled): State<Controlled>,
    Path(number): Path<String>,
) -> Answer {
    let ended = number
        .parse()
        .is_ok_and(|number| controlled.cluster.end_fault(number));
    match ended {
        true => Ok(Json(json!({}))),
        false => Err(Refused::new(
            StatusCode::NOT_FOUND,
            format!("there is no fault `{number}`"),
            "see GET /api/faults for those in force",
        )),
    }
}

/// Plays a timeline file, whose text is the body, from now on.
pub(super) async fn play(State(controlled): State<Controlled>, body: Body) -> Answer {
    let Timeline { toml } = read(body)?;
    let script = Script::parse("the timeline", &toml).map_err(|error| unfit(error.to_string()))?;
    controlled.cluster.play(&script);
    let length = u64::try_from(script.length().as_millis()).unwrap_or(u64::MAX);
    let description = script.description();
    Ok(Json(
        json!({"description": description, "length_ms": length}),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timeline {
    toml: String,
}
