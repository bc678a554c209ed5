//! The library's metrics, as Prometheus reads them.

use std::sync::Arc;

use anyhow::Context;
use axum::extract::State as Of;
use axum::http::header;
use axum::response::IntoResponse;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::State;
use crate::shop::Store;

/// OpenTelemetry's advice for the durations of database calls, in seconds (semantic conventions,
/// "Database metrics").
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Collects what the library tells from now on.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("duration".to_owned()), SECONDS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("time".to_owned()), SECONDS)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .context("no metrics can be collected")
}

pub(super) async fn metrics<E: Store>(Of(state): Of<Arc<State<E>>>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, state.metrics.render())
}
