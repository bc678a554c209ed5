//! Everything, as one object. A time is null where there is none: who was not back has no gap.

use serde_json::{Value, json};

use super::{Group, Report};
use crate::measure::{BEFORE_MICROS, BUCKET_MICROS, Run};
use crate::numbers::{Cell, Percentiles, Ratio};

pub(crate) fn json(report: &Report) -> Value {
    let conditions = &report.conditions;
    json!({
        "conditions": {
            "timeline": conditions.timeline,
            "writers": conditions.writers,
            "readers": conditions.readers,
            "limit_seconds": conditions.limit_seconds,
            "processors": conditions.processors,
            "load_average": conditions.load_average.trim(),
        },
        "absent": report.absent,
        "bucket_ms": BUCKET_MICROS / 1_000,
        "before_fault_ms": BEFORE_MICROS / 1_000,
        "groups": report.groups().map(group).collect::<Vec<_>>(),
    })
}

fn group(group: Group<'_>) -> Value {
    let ratios = group.ratios();
    let ratios = ratios.iter().map(|(cell, gap, added)| {
        json!({ "contestant": cell.contestant, "gap": ratio(*gap), "added": ratio(*added) })
    });
    json!({
        "engine": group.engine,
        "fault": group.fault,
        "contestants": group.cells.iter().map(cell).collect::<Vec<_>>(),
        "ratios": ratios.collect::<Vec<_>>(),
    })
}

fn ratio(ratio: Option<Ratio>) -> Value {
    let told = |ratio: Ratio| json!({ "times": tenths(ratio.value), "at_least": ratio.at_least });
    ratio.map_or(Value::Null, told)
}

fn cell(cell: &Cell) -> Value {
    json!({
        "contestant": cell.contestant,
        "added_ms": percentiles(cell.added()),
        "gap_ms": percentiles(cell.gap()),
        "calls_ended_ms": percentiles(cell.calls_ended()),
        "connects": percentiles(cell.connects()),
        "errors": cell.errors(),
        "acknowledged": cell.acknowledged(),
        "lost": cell.lost(),
        "duplicated": cell.duplicated(),
        "runs": cell.runs.iter().map(run).collect::<Vec<_>>(),
    })
}

fn percentiles(of: Option<Percentiles>) -> Value {
    let told = |of: Percentiles| {
        json!({
            "count": of.count,
            "p50": finite(of.p50),
            "p90": finite(of.p90),
            "p99": finite(of.p99),
            "max": finite(of.max),
        })
    };
    of.map_or(Value::Null, told)
}

fn run(run: &Run) -> Value {
    json!({
        "added_ms": run.added,
        "gap_ms": run.gap,
        "able_after_ms": run.able_after,
        "calls_ended_ms": run.calls_ended,
        "calls_caught": run.caught,
        "waited_ms": run.waited,
        "errors": run.errors,
        "connects": run.connects,
        "logins": run.logins,
        "acknowledged": run.acknowledged,
        "lost": run.lost,
        "duplicated": run.duplicated,
        "acknowledged_per_bucket": run.timeline,
        "driver_events": run.story.iter().map(|(at, words)| json!({ "at_ms": at, "what": words })).collect::<Vec<_>>(),
    })
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
