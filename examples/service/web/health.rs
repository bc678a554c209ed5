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
        "obstacle": if is_steady { None } else { state.shop.cluster().last_obstacle() },
        "writer": topology.writer().map(|writer| writer.id().as_str()),
        "readers": topology.readers().count(),
    });
    let status = match is_ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use aurora_driver::config::Credentials;
    use aurora_driver::sim::SimCluster;
    use aurora_driver::{Config, EngineKind, Postgres};

    use crate::backend::Backend;
    use crate::testing::Open;

    #[tokio::test]
    async fn readiness_that_is_lost_comes_with_the_last_obstacle() {
        let builder = SimCluster::builder(EngineKind::Postgres).readers(0);
        let simulated = Arc::new(builder.start().await.expect("a cluster"));
        let mut config = Config::from_url(&simulated.url()).expect("a URL");
        // Less than a request may take, so that the driver's own reason comes first.
        config.timing.checkout_timeout = Duration::from_secs(1);
        let is_changed = Arc::new(AtomicBool::new(false));
        let (right, changed) = (simulated.password().to_owned(), Arc::clone(&is_changed));
        let user = simulated.user().to_owned();
        config.credentials = Credentials::with_provider(user, move |_| {
            let password = match changed.load(Ordering::Relaxed) {
                true => "open-sesame".to_owned(),
                false => right.clone(),
            };
            async move { Ok::<_, std::convert::Infallible>(password) }
        });
        let backend = Backend::<Postgres>::over(config, Some(Arc::clone(&simulated))).await;
        let open = Open::over(backend.expect("a cluster")).await;
        let ready = open.get_until("/readyz", |answer| answer.status == 200);
        assert!(ready.await.json()["obstacle"].is_null());

        is_changed.store(true, Ordering::Relaxed);
        simulated.crash_writer().expect("there is one");
        let names_it = |body: &str| body.contains("password") && !body.contains("open-sesame");
        let unready = open.get_until("/readyz", |answer| {
            answer.status == 503 && names_it(&answer.body)
        });
        let told = unready.await.json();
        assert_eq!(told["reason"], "no writer is confirmed");
        // Whoever asks the shop meanwhile is told where that stands.
        let unanswered = open.get("/products").await;
        assert_eq!(unanswered.status, 503, "{}", unanswered.body);
        let next = unanswered.json()["next"].to_string();
        assert!(next.contains("again") && next.contains("/readyz"), "{next}");
        open.close().await;
    }
}
