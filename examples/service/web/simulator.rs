//! Faults at the press of a button, while the cluster is the embedded one.

use std::sync::Arc;
use std::time::Duration;

use aurora_driver::InstanceId;
use aurora_driver::sim::SimCluster;
use axum::Json;
use axum::extract::State as Of;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::answer::Refused;
use super::wanted::{Body, Place, Sent};
use crate::shop::Store;

/// Every request carries a JSON body, which no other site's form can send unasked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// For `lag` and `slow`.
    #[serde(default)]
    ms: u64,
}

impl Sent for Wanted {
    const HOW: &'static str =
        "send {}, or {\"ms\": 500} to lag or slow, as `Content-Type: application/json`";
}

pub(super) async fn on_cluster<E: Store>(
    Of(state): Of<Arc<State<E>>>,
    Place(operation): Place<String>,
    Body(_): Body<Wanted>,
) -> Response {
    answer(state.simulated.as_deref(), |simulated| {
        Ok(match operation.as_str() {
            "crash" => simulated
                .crash_writer()
                .map(|writer| format!("{writer} crashes."))
                .map_err(unable)?,
            "failover" => {
                simulated.failover(None).map_err(unable)?;
                "A failover begins.".to_owned()
            }
            "add" => {
                let id = simulated.add_reader().map_err(unable)?;
                format!("{id} is being added.")
            }
            _ => return Err(unknown(&operation)),
        })
    })
}

pub(super) async fn on_instance<E: Store>(
    Of(state): Of<Arc<State<E>>>,
    Place((id, operation)): Place<(String, String)>,
    Body(wanted): Body<Wanted>,
) -> Response {
    answer(state.simulated.as_deref(), |simulated| {
        let id = InstanceId::new(id);
        let span = Duration::from_millis(wanted.ms);
        let ms = wanted.ms;
        let (done, told) = match operation.as_str() {
            "crash" => (simulated.crash(&id), "crashes".to_owned()),
            "failover" => (
                simulated.failover(Some(&id)),
                "is being promoted".to_owned(),
            ),
            "silence" => (simulated.silence(&id), "falls silent".to_owned()),
            "restore" => (simulated.restore(&id), "serves as before".to_owned()),
            "lag" => (simulated.set_lag(&id, span), format!("is {ms} ms behind")),
            "slow" => (simulated.slow(&id, span), format!("answers {ms} ms later")),
            _ => return Err(unknown(&operation)),
        };
        done.map_err(unable)?;
        Ok(format!("{id} {told}."))
    })
}

pub(super) async fn remove<E: Store>(
    Of(state): Of<Arc<State<E>>>,
    Place(id): Place<String>,
    Body(_): Body<Wanted>,
) -> Response {
    answer(state.simulated.as_deref(), |simulated| {
        simulated.remove_instance(id.as_str()).map_err(unable)?;
        Ok(format!(
            "{id} is being removed; the driver forgets it after half a minute."
        ))
    })
}

fn answer(
    simulated: Option<&SimCluster>,
    act: impl FnOnce(&SimCluster) -> Result<String, Refused>,
) -> Response {
    let Some(simulated) = simulated else {
        let next = "start the service without --database-url";
        let error = "the cluster is a real one";
        return Refused::new(StatusCode::NOT_FOUND, error, next).into_response();
    };
    match act(simulated) {
        Ok(told) => Json(json!({ "told": told })).into_response(),
        Err(refused) => refused.into_response(),
    }
}

fn unable(error: impl ToString) -> Refused {
    let next = "wait until the cluster is whole again, or choose another instance";
    Refused::new(StatusCode::CONFLICT, error.to_string(), next)
}

fn unknown(operation: &str) -> Refused {
    Refused::new(
        StatusCode::NOT_FOUND,
        format!("there is no operation `{operation}`"),
        "crash, failover, add; for an instance crash, failover, silence, restore, lag, slow",
    )
}
