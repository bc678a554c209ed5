//! The one table of what is served: the router and the OpenAPI document are both made of it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::routing::{MethodRouter, delete, get, post, put};

use super::answer::Refused;
use super::{Controlled, guard, openapi, operations, stream};

/// The largest body that is read, in bytes.
const BODY_MAX: usize = 16 * 1024;

/// One method of one path.
pub(super) struct Route {
    /// In lower case, as OpenAPI has it.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// The one field of the body, its JSON type, and whether it must be there.
    pub(super) field: Option<(&'static str, &'static str, bool)>,
    serve: fn() -> MethodRouter<Controlled>,
}

const fn route(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    serve: fn() -> MethodRouter<Controlled>,
) -> Route {
    Route {
        method,
        path,
        summary,
        field: None,
        serve,
    }
}

impl Route {
    const fn field(mut self, name: &'static str, kind: &'static str, required: bool) -> Self {
        self.field = Some((name, kind, required));
        self
    }
}

pub(super) const ROUTES: &[Route] = &[
    route("get", "/", "The web page", || get(operations::page)),
    route("get", "/openapi.json", "This description", || {
        get(openapi::document)
    }),
    route("get", "/api/cluster", "The cluster as it is now", || {
        get(operations::cluster)
    }),
    route(
        "get",
        "/api/events",
        "What RDS would have published, oldest first",
        || get(operations::events),
    ),
    route(
        "get",
        "/api/ledger",
        "All that was committed, in order",
        || get(operations::ledger),
    ),
    route(
        "get",
        "/api/stream",
        "State and last events at each change, as server-sent events",
        || get(stream::stream),
    ),
    route("post", "/api/instances", "Adds a reader", || {
        post(operations::add)
    }),
    route(
        "delete",
        "/api/instances/{id}",
        "Deletes an instance",
        || delete(operations::remove),
    ),
    route(
        "get",
        "/api/instances/{id}/counters",
        "What an instance has been asked",
        || get(operations::counters),
    ),
    route(
        "post",
        "/api/instances/{id}/crash",
        "Kills an instance's engine",
        || post(operations::crash),
    ),
    route(
        "post",
        "/api/instances/{id}/restart",
        "Restarts an instance in good order",
        || post(operations::restart),
    ),
    route(
        "put",
        "/api/instances/{id}/tier",
        "Changes an instance's promotion tier, 0 to 15",
        || put(operations::tier),
    )
    .field("tier", "integer", true),
    route(
        "put",
        "/api/instances/{id}/lag",
        "Makes a reader's data that many milliseconds old; 0 ends it",
        || put(operations::lag),
    )
    .field("ms", "integer", true),
    route(
        "post",
        "/api/instances/{id}/pause-replication",
        "Cuts a reader off from the writer's changes",
        || post(operations::pause),
    ),
    route(
        "post",
        "/api/instances/{id}/resume-replication",
        "Lets a reader follow the writer again",
        || post(operations::resume),
    ),
    route(
        "post",
        "/api/cluster/failover",
        "Requests a planned failover, to the target or to the best reader",
        || post(operations::failover),
    )
    .field("target", "string", false),
];

pub(super) fn router(controlled: Controlled) -> Router {
    let empty: Router<Controlled> = Router::new();
    ROUTES
        .iter()
        .fold(empty, |router, route| {
            router.route(route.path, (route.serve)())
        })
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(guard::guard))
        .with_state(controlled)
}

async fn unknown(uri: Uri) -> Refused {
    Refused::new(
        StatusCode::NOT_FOUND,
        format!("there is no {}", uri.path()),
        "see /openapi.json for what there is",
    )
}

async fn wrong_method(method: Method, uri: Uri) -> Refused {
    Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
        "see /openapi.json for the methods of each path",
    )
}
