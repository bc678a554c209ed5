//! Each route, carried out by the cluster's public methods.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::id::InstanceId;
use crate::sim::SimCluster;

use super::Controlled;
use super::answer::{self, Refused};

type Answer = Result<Json<Value>, Refused>;
type Body = Result<Bytes, BytesRejection>;

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

pub(super) async fn counters(
    State(controlled): State<Controlled>,
    Path(id): Path<String>,
) -> Answer {
    let counters = controlled.cluster.counters(id.as_str());
    let counters = counters.ok_or_else(|| Refused::unknown_instance(&id))?;
    Ok(Json(json!({
        "connects": counters.connects,
        "logins": counters.logins,
        "logins_refused": counters.logins_refused,
        "statements": counters.statements,
        "reads": counters.reads,
        "writes": counters.writes,
        "topology_queries": counters.topology_queries,
        "open_sessions": counters.open_sessions,
    })))
}

pub(super) async fn add(
    State(controlled): State<Controlled>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let id = controlled.cluster.add_reader()?;
    Ok((StatusCode::CREATED, Json(json!({"id": id.as_str()}))))
}

pub(super) async fn remove(State(controlled): State<Controlled>, Path(id): Path<String>) -> Answer {
    let cluster = &controlled.cluster;
    cluster.remove_instance(known(cluster, &id)?)?;
    Ok(Json(answer::cluster(cluster)))
}

pub(super) async fn crash(State(controlled): State<Controlled>, Path(id): Path<String>) -> Answer {
    let cluster = &controlled.cluster;
    cluster.crash(known(cluster, &id)?)?;
    Ok(Json(answer::cluster(cluster)))
}

pub(super) async fn restart(
    State(controlled): State<Controlled>,
    Path(id): Path<String>,
) -> Answer {
    let cluster = &controlled.cluster;
    cluster.restart(known(cluster, &id)?)?;
    Ok(Json(answer::cluster(cluster)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    tier: u8,
}

pub(super) async fn tier(
    State(controlled): State<Controlled>,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    let cluster = &controlled.cluster;
    let known = known(cluster, &id)?;
    let Tier { tier } = read(&body?)?;
    if tier > 15 {
        return Err(unfit(format!("promotion tier {tier}: a tier is 0 to 15")));
    }
    cluster.set_promotion_tier(known, tier)?;
    Ok(Json(answer::cluster(cluster)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lag {
    ms: u64,
}

pub(super) async fn lag(
    State(controlled): State<Controlled>,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    let cluster = &controlled.cluster;
    let known = known(cluster, &id)?;
    let Lag { ms } = read(&body?)?;
    cluster.set_lag(known, Duration::from_millis(ms))?;
    Ok(Json(answer::cluster(cluster)))
}

pub(super) async fn pause(State(controlled): State<Controlled>, Path(id): Path<String>) -> Answer {
    let cluster = &controlled.cluster;
    cluster.pause_replication(known(cluster, &id)?)?;
    Ok(Json(answer::cluster(cluster)))
}

pub(super) async fn resume(State(controlled): State<Controlled>, Path(id): Path<String>) -> Answer {
    let cluster = &controlled.cluster;
    cluster.resume_replication(known(cluster, &id)?)?;
    Ok(Json(answer::cluster(cluster)))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Failover {
    target: Option<String>,
}

pub(super) async fn failover(State(controlled): State<Controlled>, body: Body) -> Answer {
    let cluster = &controlled.cluster;
    let body = body?;
    let wish: Failover = if body.is_empty() {
        Failover::default()
    } else {
        read(&body)?
    };
    let target = wish.target.map(|id| known(cluster, &id)).transpose()?;
    cluster.failover(target.as_ref())?;
    Ok(Json(answer::cluster(cluster)))
}

fn known(cluster: &SimCluster, id: &str) -> Result<InstanceId, Refused> {
    let state = cluster.state();
    let instance = state.instance(id);
    let instance = instance.ok_or_else(|| Refused::unknown_instance(id))?;
    Ok(instance.id.clone())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| unfit(format!("the body cannot be used: {error}")))
}

fn unfit(error: String) -> Refused {
    let next = "see /openapi.json for the body of this request";
    Refused::new(StatusCode::UNPROCESSABLE_ENTITY, error, next)
}

impl From<BytesRejection> for Refused {
    fn from(rejection: BytesRejection) -> Self {
        let next = "send a short JSON object, as in /openapi.json";
        Self::new(rejection.status(), rejection.body_text(), next)
    }
}
