//! The library's metrics, as Prometheus reads them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::State as Of;
use axum::http::header;
use axum::response::IntoResponse;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::State;
use crate::shop::Store;

/// OpenTelemetry's advice for the durations of database calls, in seconds (semantic conventions,
/// "Database metrics").
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// How often what was told is sorted into the buckets. Until then the exporter keeps each value.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Collects what the library tells from now on.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    builder()
        .and_then(|builder| Ok(builder.install_recorder()?))
        .context("no metrics can be collected")
}

fn builder() -> anyhow::Result<PrometheusBuilder> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("duration".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("time".to_owned()), SECONDS)?;
    Ok(builder)
}

/// Keeps the memory bounded, whether anybody reads the metrics or not.
pub(crate) async fn keep_up(handle: PrometheusHandle, end: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while end.run_until_cancelled(ticks.tick()).await.is_some() {
        handle.run_upkeep();
    }
}

pub(super) async fn metrics<E: Store>(Of(state): Of<Arc<State<E>>>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, state.metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUNDS: usize = 20;
    const VALUES: usize = 10_000;

    #[test]
    fn metrics_that_nobody_reads_take_no_memory_for_each_value() {
        let recorder = builder().expect("valid buckets").build_recorder();
        let handle = recorder.handle();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let kept = allocation_counter::measure(|| {
            runtime.block_on(async {
                let end = CancellationToken::new();
                let keeping = tokio::spawn(keep_up(handle.clone(), end.clone()));
                for _ in 0..ROUNDS {
                    metrics::with_local_recorder(&recorder, || {
                        let duration = metrics::histogram!("db.client.operation.duration");
                        (0..VALUES).for_each(|_| duration.record(0.002));
                    });
                    tokio::time::sleep(UPKEEP_INTERVAL).await;
                }
                end.cancel();
                keeping.await.expect("it ends when it is told to");
            });
        });
        // What was sorted is freed some time later, so the values of a few rounds may be left.
        let least = i64::try_from(ROUNDS * VALUES * size_of::<f64>()).expect("it is small");
        assert!(
            kept.bytes_current < least / 4,
            "{} bytes for values of {least}",
            kept.bytes_current
        );
        assert!(
            handle
                .render()
                .contains(&format!("_count {}", ROUNDS * VALUES))
        );
    }
}
