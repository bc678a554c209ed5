//! HTTP: the shop, the page, and what machines want to know.
//!
//! | path | what |
//! |---|---|
//! | `GET /products`, `/products/{id}`, `/orders/{key}`; `POST /orders`, `/orders/{key}/payment`; `GET /reports/sales` | the shop ([`shop`]) |
//! | `GET /`, `/api/stream`, `/api/state`, `/api/failovers`, `/api/statements` | the page and its data ([`page`]) |
//! | `POST /api/simulator/…`, `DELETE /api/simulator/instances/{id}` | faults, with the embedded cluster ([`simulator`]) |
//! | `GET /healthz`, `/readyz`, `/metrics` | for a supervisor ([`health`], [`metrics`]) |

mod answer;
mod health;
pub(crate) mod metrics;
mod page;
mod shop;
mod simulator;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use aurora_driver::Outcome;
use aurora_driver::sim::SimCluster;
use axum::Router;
use axum::extract::{Request, State as Of};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use metrics_exporter_prometheus::PrometheusHandle;

use self::answer::{Refused, SEND_AGAIN, echo};
use crate::backend::Backend;
use crate::closing::Ending;
use crate::live::Live;
use crate::shop::{Shop, Store};
use crate::traffic::{Kind, Traffic};

/// No request takes longer, whatever it waits for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

// The limits of its parts come first: each knows what became of the request, and this does not.
const _: () = assert!(
    wanted::BODY_TIMEOUT.as_millis() + shop::REQUEST_TIMEOUT.as_millis()
        < REQUEST_TIMEOUT.as_millis()
);

/// What every handler may need.
pub(crate) struct State<E: Store> {
    shop: Shop<E>,
    traffic: Arc<Traffic>,
    live: Arc<Live<E>>,
    simulated: Option<Arc<SimCluster>>,
    metrics: PrometheusHandle,
    ending: Ending,
}

impl<E: Store> State<E> {
    pub(crate) fn new(
        backend: &Backend<E>,
        traffic: &Arc<Traffic>,
        live: Arc<Live<E>>,
        metrics: PrometheusHandle,
        ending: Ending,
    ) -> Arc<Self> {
        Arc::new(Self {
            shop: backend.shop.clone(),
            traffic: Arc::clone(traffic),
            live,
            simulated: backend.simulated.clone(),
            metrics,
            ending,
        })
    }
}

pub(crate) fn router<E: Store>(state: Arc<State<E>>) -> Router {
    Router::new()
        .route("/products", get(shop::products::<E>))
        .route("/products/{id}", get(shop::product::<E>))
        .route("/orders", post(shop::take_order::<E>))
        .route("/orders/{key}", get(shop::order::<E>))
        .route("/orders/{key}/payment", post(shop::pay::<E>))
        .route("/reports/sales", get(shop::sales::<E>))
        .route("/", get(page::page))
        .route("/api/state", get(page::state::<E>))
        .route("/api/failovers", get(page::failovers::<E>))
        .route("/api/statements", get(page::statements::<E>))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz::<E>))
        .route("/metrics", get(metrics::metrics::<E>))
        .route(
            "/api/simulator/{operation}",
            post(simulator::on_cluster::<E>),
        )
        .route(
            "/api/simulator/instances/{id}/{operation}",
            post(simulator::on_instance::<E>),
        )
        .route(
            "/api/simulator/instances/{id}",
            delete(simulator::remove::<E>),
        )
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            in_time::<E>,
        ))
        // The one answer that has no end.
        .route("/api/stream", get(page::stream::<E>))
        .method_not_allowed_fallback(not_allowed)
        .with_state(state)
}

async fn in_time<E: Store>(Of(state): Of<Arc<State<E>>>, request: Request, next: Next) -> Response {
    let what = format!("{} {}", request.method(), echo(request.uri().path()));
    let (kind, again) = match request.method().is_safe() {
        true => (Kind::Read, "ask again"),
        false if request.uri().path().starts_with("/orders") => (Kind::Write, SEND_AGAIN),
        false => (Kind::Write, "GET /api/state shows whether it was done"),
    };
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let error = format!("it took longer than {REQUEST_TIMEOUT:?}");
        state.traffic.failures().tell(&what, &error);
        let refused = Refused::new(StatusCode::GATEWAY_TIMEOUT, error, again);
        refused.with_outcome(kind, Outcome::Unknown).into_response()
    })
}

async fn unknown(uri: Uri) -> Response {
    let error = format!("there is nothing at {}", echo(uri.path()));
    let next = match uri.path().starts_with("/api/") {
        true => "GET /api/state is what the page shows, POST /api/simulator/… what its buttons do",
        false => "GET / is the page, GET /products what is for sale",
    };
    Refused::new(StatusCode::NOT_FOUND, error, next).into_response()
}

/// The header `Allow` is added by the router.
async fn not_allowed(method: Method, uri: Uri) -> Response {
    let error = format!("{method} is nothing for {}", echo(uri.path()));
    let next = "use a method of those in the header `Allow`";
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, error, next).into_response()
}
