//! What answers look like: the cluster as JSON, and refusals with a cause and a next step.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::id::InstanceId;
use crate::sim::{ClusterEvent, LedgerEntry, SimCluster, SimError};

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: String,
    next: String,
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
        }
    }

    pub(super) fn unknown_instance(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("there is no instance `{id}` in the cluster"),
            "name one of the instances in GET /api/cluster",
        )
    }
}

impl From<SimError> for Refused {
    fn from(error: SimError) -> Self {
        match error {
            SimError::Refused(text) => {
                let (error, next) = text
                    .split_once(": ")
                    .unwrap_or((&text, "look at the state in GET /api/cluster"));
                Self::new(StatusCode::CONFLICT, error, next)
            }
            other => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                other.to_string(),
                "start the simulator again",
            ),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "next": self.next});
        (self.status, Json(body)).into_response()
    }
}

pub(super) fn cluster(cluster: &SimCluster) -> Value {
    let state = cluster.state();
    let port = cluster.port();
    let instances: Vec<Value> = state
        .instances
        .iter()
        .map(|instance| {
            json!({
                "id": instance.id.as_str(),
                "role": instance.role.to_string(),
                "state": instance.state.to_string(),
                "tier": instance.tier,
                "lag_ms": milliseconds(instance.lag),
                "address": instance.address.to_string(),
                "port": port,
                "endpoint": cluster.instance_endpoint(instance.id.clone()),
                "listener": instance.listener.to_string(),
                "connections": instance.connections,
            })
        })
        .collect();
    json!({
        "engine": cluster.engine().name(),
        "epoch": state.epoch,
        "writer": state.writer.as_ref().map(|id| id.as_str().to_owned()),
        "failing_over": state.failing_over,
        "cluster_endpoint": cluster.cluster_endpoint(),
        "reader_endpoint": cluster.reader_endpoint(),
        "dns": cluster.dns_address().to_string(),
        "names": names(cluster),
        "instances": instances,
    })
}

/// What the DNS answers for each name now.
pub(super) fn names(cluster: &SimCluster) -> Value {
    let answers = cluster.dns_answers().into_iter().map(|answer| {
        json!({
            "name": answer.name,
            "target": answer.target,
            "address": answer.address.map(|address| address.to_string()),
            "ttl_s": answer.ttl.as_secs(),
        })
    });
    answers.collect()
}

pub(super) fn identifiers(ids: &[InstanceId]) -> Value {
    let ids: Vec<&str> = ids.iter().map(InstanceId::as_str).collect();
    json!({"instances": ids})
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn event(event: &ClusterEvent) -> Value {
    json!({
        "at_ms": milliseconds(event.at),
        "id": event.id,
        "instance": event.instance.as_str(),
        "message": event.message,
    })
}

pub(super) fn ledger_entry(entry: &LedgerEntry) -> Value {
    json!({
        "sequence": entry.sequence,
        "elapsed_micros": entry.elapsed_micros,
        "instance": entry.instance.as_str(),
        "epoch": entry.epoch,
        "session": entry.session,
        "transaction": entry.transaction,
        "statement": entry.statement,
        "parameters": entry.parameters,
        "rows_affected": entry.rows_affected,
    })
}
