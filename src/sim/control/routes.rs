//! The one table of what is served: the router and the OpenAPI document are both made of it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::routing::{MethodRouter, delete, get, post, put};

use super::answer::Refused;
use super::{Controlled, guard, instances, names, openapi, operations, stream};

/// The largest body that is read, in bytes.
const BODY_MAX: usize = 16 * 1024;

/// One method of one path.
pub(super) struct Route {
    /// In lower case, as OpenAPI has it.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// The fields of the body.
    pub(super) fields: &'static [Field],
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
        fields: &[],
        serve,
    }
}

/// A field of a body.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Its JSON type; `strings` is a list of them.
    pub(super) kind: &'static str,
    pub(super) required: bool,
    /// What it may be, if that is a list.
    pub(super) values: Option<&'static [&'static str]>,
}

const fn required(name: &'static str, kind: &'static str) -> Field {
    Field {
        name,
        kind,
        required: true,
        values: None,
    }
}

const fn optional(name: &'static str, kind: &'static str) -> Field {
    Field {
        required: false,
        ..required(name, kind)
    }
}

impl Field {
    const fn of(mut self, values: &'static [&'static str]) -> Self {
        self.values = Some(values);
        self
    }
}

impl Route {
    const fn fields(mut self, fields: &'static [Field]) -> Self {
        self.fields = fields;
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
        "/api/ledger/undone",
        "What backtracks have undone",
        || get(operations::undone),
    ),
    route(
        "get",
        "/api/stream",
        "State and last events at each change, as server-sent events",
        || get(stream::stream),
    ),
    route(
        "post",
        "/api/cluster/failover",
        "Requests a planned failover, to the target or to the best reader",
        || post(operations::failover),
    )
    .fields(&[optional("target", "string")]),
    route(
        "post",
        "/api/cluster/scale-out",
        "Adds readers as auto scaling does",
        || post(operations::scale_out),
    )
    .fields(&[required("count", "integer")]),
    route(
        "post",
        "/api/cluster/scale-in",
        "Deletes readers that auto scaling has added",
        || post(operations::scale_in),
    )
    .fields(&[required("count", "integer")]),
    route(
        "post",
        "/api/cluster/upgrade",
        "Upgrades to a minor version: a rolling restart",
        || post(operations::upgrade),
    )
    .fields(&[required("version", "string")]),
    route(
        "post",
        "/api/cluster/backtrack",
        "Takes the data back to so many milliseconds after the cluster's start (MySQL)",
        || post(operations::backtrack),
    )
    .fields(&[required("to_ms", "integer")]),
    route(
        "post",
        "/api/timeline",
        "Plays a timeline file from now on",
        || post(operations::play),
    )
    .fields(&[required("toml", "string")]),
    route("post", "/api/instances", "Adds a reader", || {
        post(operations::add)
    }),
    route(
        "delete",
        "/api/instances/{id}",
        "Deletes an instance",
        || delete(instances::remove),
    ),
    route(
        "get",
        "/api/instances/{id}/counters",
        "What an instance has been asked",
        || get(instances::counters),
    ),
    route(
        "post",
        "/api/instances/{id}/crash",
        "Kills an instance's engine",
        || post(instances::crash),
    ),
    route(
        "post",
        "/api/instances/{id}/restart",
        "Restarts an instance in good order",
        || post(instances::restart),
    ),
    route(
        "post",
        "/api/instances/{id}/silence",
        "Lets a host fall silent: nothing is closed, connects hang",
        || post(instances::silence),
    ),
    route(
        "post",
        "/api/instances/{id}/refuse",
        "Makes a port refuse; its connections go on",
        || post(instances::refuse),
    ),
    route(
        "post",
        "/api/instances/{id}/slow",
        "Makes each answer so many milliseconds later",
        || post(instances::slow),
    )
    .fields(&[required("ms", "integer")]),
    route(
        "post",
        "/api/instances/{id}/restore",
        "Lets an instance serve connections again",
        || post(instances::restore),
    ),
    route(
        "put",
        "/api/instances/{id}/listener",
        "Sets what an instance does with connections",
        || put(instances::listener),
    )
    .fields(&[required("state", "string").of(&[
        "normal", "refusing", "silent", "draining", "full", "starting",
    ])]),
    route(
        "put",
        "/api/instances/{id}/name",
        "Renames an instance, which restarts",
        || put(instances::rename),
    )
    .fields(&[required("name", "string")]),
    route(
        "put",
        "/api/instances/{id}/tier",
        "Changes an instance's promotion tier, 0 to 15",
        || put(instances::tier),
    )
    .fields(&[required("tier", "integer")]),
    route(
        "put",
        "/api/instances/{id}/lag",
        "Makes a reader's data that many milliseconds old; 0 ends it",
        || put(instances::lag),
    )
    .fields(&[required("ms", "integer")]),
    route(
        "post",
        "/api/instances/{id}/pause-replication",
        "Cuts a reader off from the writer's changes",
        || post(instances::pause),
    ),
    route(
        "post",
        "/api/instances/{id}/resume-replication",
        "Lets a reader follow the writer again",
        || post(instances::resume),
    ),
    route(
        "put",
        "/api/instances/{id}/view",
        "Makes an instance's topology table wrong",
        || put(instances::set_view),
    )
    .fields(&[
        required("kind", "string").of(&[
            "second-writer",
            "stale-claim",
            "lingering",
            "no-writer",
            "one-row",
            "garbage-lag",
            "foreign-rows",
            "own-timestamp-null",
            "own-timestamp",
            "propagation",
        ]),
        optional("instance", "string"),
        optional("ms", "integer"),
    ]),
    route(
        "delete",
        "/api/instances/{id}/view",
        "Makes an instance's topology table right again",
        || delete(instances::clear_view),
    ),
    route(
        "get",
        "/api/dns",
        "What the DNS answers for each name",
        || get(names::answers),
    ),
    route(
        "put",
        "/api/dns/flip",
        "How many milliseconds the DNS is behind a promotion",
        || put(names::flip),
    )
    .fields(&[required("ms", "integer")]),
    route(
        "put",
        "/api/dns/ttl",
        "How long resolvers may remember a name",
        || put(names::ttl),
    )
    .fields(&[required("name", "string"), required("seconds", "integer")]),
    route("get", "/api/dns/faults", "The DNS faults in force", || {
        get(names::faults)
    }),
    route(
        "post",
        "/api/dns/faults",
        "Breaks the DNS until the fault is deleted",
        || post(names::break_dns),
    )
    .fields(&[
        required("kind", "string").of(&[
            "silent",
            "servfail",
            "nxdomain",
            "truncated",
            "slow",
            "wrong",
        ]),
        optional("ms", "integer"),
        optional("name", "string"),
        optional("address", "string"),
    ]),
    route(
        "delete",
        "/api/dns/faults/{number}",
        "Ends a DNS fault",
        || delete(names::mend_dns),
    ),
    route(
        "get",
        "/api/faults",
        "The faults of single statements in force",
        || get(operations::faults),
    ),
    route(
        "post",
        "/api/faults",
        "Puts a fault of single statements in force until it is deleted",
        || post(operations::add_fault),
    )
    .fields(&[
        required("then", "string").of(&[
            "delay",
            "error",
            "reset",
            "close",
            "silence",
            "half-close",
            "truncate",
            "garbage",
            "crash",
        ]),
        optional("on", "string"),
        optional("user", "string"),
        optional("point", "string").of(&["login", "prepare", "execute", "answer"]),
        optional("containing", "string"),
        optional("kind", "string").of(&[
            "read", "write", "define", "begin", "commit", "rollback", "set", "topology", "other",
        ]),
        optional("nth", "integer"),
        optional("first", "integer"),
        optional("every", "integer"),
        optional("probability", "number"),
        optional("ms", "integer"),
        optional("sqlstate", "string"),
        optional("number", "integer"),
        optional("message", "string"),
    ]),
    route(
        "delete",
        "/api/faults/{number}",
        "Ends a fault of single statements",
        || delete(operations::end_fault),
    ),
    route(
        "post",
        "/api/endpoints",
        "Adds a custom endpoint: of these members, or of all but those excluded",
        || post(names::add_endpoint),
    )
    .fields(&[
        required("name", "string"),
        optional("kind", "string").of(&["any", "reader", "writer"]),
        optional("members", "strings"),
        optional("excluded", "strings"),
    ]),
    route(
        "delete",
        "/api/endpoints/{name}",
        "Deletes a custom endpoint",
        || delete(names::remove_endpoint),
    ),
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
