//! Faults at the press of a button, while the cluster is the embedded one.

use std::sync::Arc;
use std::time::Duration;

use aurora_driver::sim::{InstanceStatus, Role, SimCluster, SimError};
use axum::Json;
use axum::extract::State as Of;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::answer::{Refused, echo};
use super::wanted::{Body, Place, Sent};
use crate::shop::Store;

/// More than any client waits for, and as far as a reader of Aurora may be behind before it restarts.
const MS_MAX: u64 = 60_000;

/// Every request carries a JSON body, which no other site's form can send unasked. What is nowhere is
/// told before a body that makes no sense.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// For `lag` and `slow`.
    #[serde(default)]
    ms: u64,
}

impl Sent for Wanted {
    const HOW: &'static str = "send {}, or {\"ms\": 500}, 0 to 60000, to lag or slow, as `Content-Type: application/json`";
}

pub(super) async fn on_cluster<E: Store>(
    Of(state): Of<Arc<State<E>>>,
    Place(operation): Place<String>,
    wanted: Result<Body<Wanted>, Refused>,
) -> Response {
    answer(state.simulated.as_deref(), |simulated| {
        wanted?;
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
    wanted: Result<Body<Wanted>, Refused>,
) -> Response {
    answer(state.simulated.as_deref(), |simulated| {
        let instance = known(simulated, id)?;
        let Body(Wanted { ms }) = wanted?;
        let id = &instance.id;
        if ms > MS_MAX {
            let error = format!("{ms} ms are too many: 0 to {MS_MAX}");
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Refused::new(status, error, Wanted::HOW));
        }
        let span = Duration::from_millis(ms);
        let (done, told) = match operation.as_str() {
            "crash" => (simulated.crash(id), "crashes".to_owned()),
            "failover" => (simulated.failover(Some(id)), "is being promoted".to_owned()),
            "silence" => (simulated.silence(id), "falls silent".to_owned()),
            "restore" => (restore(simulated, &instance), "serves as before".to_owned()),
            "lag" => (simulated.set_lag(id, span), format!("is {ms} ms behind")),
            "slow" => (simulated.slow(id, span), format!("answers {ms} ms later")),
            _ => return Err(unknown(&operation)),
        };
        done.map_err(|error| match instance.role {
            // It neither lags nor is it promoted once more, however long one waits.
            Role::Writer if matches!(operation.as_str(), "lag" | "failover") => {
                Refused::new(StatusCode::CONFLICT, error.to_string(), "choose a reader")
            }
            _ => unable(error),
        })?;
        Ok(format!("{id} {told}."))
    })
}

/// As before each of the faults that there are buttons for, the lag included.
fn restore(simulated: &SimCluster, instance: &InstanceStatus) -> Result<(), SimError> {
    if instance.lag > Duration::ZERO {
        simulated.set_lag(&instance.id, Duration::ZERO)?;
    }
    simulated.restore(&instance.id)
}

pub(super) async fn remove<E: Store>(
    Of(state): Of<Arc<State<E>>>,
    Place(id): Place<String>,
    wanted: Result<Body<Wanted>, Refused>,
) -> Response {
    answer(state.simulated.as_deref(), |simulated| {
        let id = known(simulated, id)?.id;
        wanted?;
        if simulated.instances().len() == 1 {
            let error = format!("{id} is the only one of the cluster");
            return Err(Refused::new(
                StatusCode::CONFLICT,
                error,
                "add a reader first",
            ));
        }
        simulated.remove_instance(&id).map_err(unable)?;
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

fn known(simulated: &SimCluster, id: String) -> Result<InstanceStatus, Refused> {
    let state = simulated.state();
    state.instance(id.as_str()).cloned().ok_or_else(|| {
        let error = format!("there is no instance {}", echo(&id));
        let next = "GET /api/state lists those that there are";
        Refused::new(StatusCode::NOT_FOUND, error, next)
    })
}

fn unable(error: impl ToString) -> Refused {
    let next = "wait until the cluster is whole again, or choose another instance";
    Refused::new(StatusCode::CONFLICT, error.to_string(), next)
}

fn unknown(operation: &str) -> Refused {
    Refused::new(
        StatusCode::NOT_FOUND,
        format!("there is no operation `{}`", echo(operation)),
        "crash, failover, add; for an instance crash, failover, silence, restore, lag, slow",
    )
}

#[cfg(test)]
mod tests {
    use aurora_driver::sim::SimCluster;
    use aurora_driver::{EngineKind, Postgres};
    use serde_json::json;

    use super::MS_MAX;
    use crate::backend::{Backend, configuration};
    use crate::testing::{JSON, Open};

    #[tokio::test]
    async fn a_restored_reader_lags_no_more_and_the_page_is_told_what_was_set() {
        let open = Open::<Postgres>::start(&["--readers", "1"]).await;
        let reader = open.simulated().readers().remove(0);
        let set = async || {
            let state = open.get("/api/state").await.json();
            let instances = state["cluster"]["instances"].as_array().cloned();
            let mut instances = instances.unwrap_or_default().into_iter();
            let of_reader = instances.find(|one| one["id"] == reader.as_str());
            of_reader.unwrap_or_default()["set_lag_ms"].clone()
        };
        let place = format!("/api/simulator/instances/{reader}");
        let lag = format!("{place}/lag");
        let lagging = open.post(&lag, &json!({ "ms": 500 })).await;
        assert_eq!(lagging.status, 200, "{}", lagging.body);
        assert_eq!(set().await, 500.0);
        let restored = open.post(&format!("{place}/restore"), &json!({})).await;
        assert_eq!(restored.status, 200, "{}", restored.body);
        assert_eq!(set().await, 0.0);
        open.close().await;
    }

    #[tokio::test]
    async fn what_cannot_be_done_to_an_instance_is_refused_with_what_can() {
        let open = Open::<Postgres>::start(&["--readers", "1"]).await;
        let writer = open.simulated().writer().expect("there is one");
        let reader = open.simulated().readers().remove(0);
        let range = format!("0 to {MS_MAX}");
        let absurd = json!({ "ms": u64::MAX });
        for (instance, operation, body, status, next) in [
            (
                writer.as_str(),
                "lag",
                &json!({ "ms": 500 }),
                409,
                "choose a reader",
            ),
            (
                writer.as_str(),
                "failover",
                &json!({}),
                409,
                "choose a reader",
            ),
            (reader.as_str(), "lag", &absurd, 422, "\"ms\": 500"),
            (reader.as_str(), "slow", &absurd, 422, "\"ms\": 500"),
            (reader.as_str(), "slow", &json!({ "ms": -200 }), 422, &range),
            ("nobody", "crash", &json!({}), 404, "/api/state"),
            (
                reader.as_str(),
                "praise",
                &json!({}),
                404,
                "crash, failover",
            ),
        ] {
            let path = format!("/api/simulator/instances/{instance}/{operation}");
            let refused = open.post(&path, body).await;
            assert_eq!(refused.status, status, "{path}: {}", refused.body);
            let told = refused.json()["next"].to_string().replace("\\\"", "\"");
            assert!(told.contains(next), "{path}: {told}");
        }
        // Though nothing says what to do to it.
        let unsaid = "POST /api/simulator/instances/nobody/crash";
        assert_eq!(open.send(unsaid, "Accept: */*", "").await.status, 404);
        let removal = "DELETE /api/simulator/instances/nobody";
        assert_eq!(open.send(removal, JSON, "{}").await.status, 404);
        open.close().await;
    }

    #[tokio::test]
    async fn over_a_real_cluster_faults_are_refused_with_the_way_to_a_simulated_one() {
        let simulated = SimCluster::builder(EngineKind::Postgres).readers(0);
        let simulated = simulated.start().await.expect("a cluster");
        let given = configuration(&simulated.url()).expect("a URL");
        // The service knows nothing of its being simulated.
        let backend = Backend::<Postgres>::over(given, None).await;
        let open = Open::over(backend.expect("it serves")).await;
        for (request, header, body) in [
            ("POST /api/simulator/crash", JSON, "{}"),
            ("POST /api/simulator/crash", "Accept: */*", ""),
            (
                "POST /api/simulator/instances/db/lag",
                JSON,
                "{\"ms\": 500}",
            ),
            ("DELETE /api/simulator/instances/db", JSON, "{}"),
        ] {
            let refused = open.send(request, header, body).await;
            assert_eq!(refused.status, 404, "{request}: {}", refused.body);
            let told = refused.json();
            assert_eq!(told["error"], "the cluster is a real one");
            assert_eq!(told["next"], "start the service without --database-url");
        }
        open.close().await;
    }
}
