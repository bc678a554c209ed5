//! A span for each operation, after OpenTelemetry's conventions for database clients.
//!
//! They are at DEBUG, to the target `aurora_driver::statement`: without a subscriber that wants
//! them a statement pays for one look at an atomic. All fields are declared up front and filled in
//! as they are known, as `tracing-opentelemetry` needs it.

use tracing::field::{Empty, display};
use tracing::{Span, debug_span};

use super::digest::Digest;
use super::site::Site;
use crate::id::EngineKind;

/// The span of an operation that begins now, on a connection to this instance.
pub(crate) fn operation(site: Option<&Site>) -> Span {
    let span = debug_span!(
        target: "aurora_driver::statement",
        "statement",
        "otel.name" = Empty,
        "otel.kind" = "client",
        "otel.status_code" = Empty,
        "db.system.name" = Empty,
        "db.namespace" = Empty,
        "db.operation.name" = Empty,
        "db.query.summary" = Empty,
        "db.query.text" = Empty,
        "db.response.status_code" = Empty,
        "server.address" = Empty,
        "server.port" = Empty,
        "error.type" = Empty,
        "aurora.instance" = Empty,
        "aurora.role" = Empty,
    );
    if !span.is_disabled()
        && let Some(site) = site
    {
        let observer = site.observer();
        span.record("db.system.name", system_name(observer.engine()));
        if let Some(database) = observer.database() {
            span.record("db.namespace", database);
        }
        span.record("server.address", site.host());
        span.record("server.port", site.port());
        span.record("aurora.instance", display(site.instance()));
        span.record("aurora.role", site.role().name());
    }
    span
}

/// The operation turned out to be this.
pub(crate) fn is_about(span: &Span, digest: &Digest, site: &Site) {
    span.record("otel.name", &*digest.summary);
    span.record("db.operation.name", &*digest.operation);
    span.record("db.query.summary", &*digest.summary);
    if site.observer().settings().span_text {
        span.record("db.query.text", &*digest.text);
    }
}

/// The operation failed: with the server's code if it gave one, and otherwise of this kind.
pub(crate) fn failed(span: &Span, code: Option<&str>, kind: &str) {
    if span.is_disabled() {
        return;
    }
    span.record("otel.status_code", "ERROR");
    span.record("error.type", code.unwrap_or(kind));
    if let Some(code) = code {
        span.record("db.response.status_code", code);
    }
}

/// The engine's name in OpenTelemetry's conventions.
pub(crate) fn system_name(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::MySql => "mysql",
        EngineKind::Postgres => "postgresql",
    }
}
