//! Snapshots as JSON.

use std::time::{Duration, SystemTime};

use super::snapshot::{Slowest, Snapshot, StatementInsight};
use crate::id::{InstanceId, Role};
use crate::observe::json::Object;

fn unix_millis(at: SystemTime) -> u128 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_millis()
}

impl Snapshot {
    /// The snapshot as one JSON object on one line: `since_unix_ms`, `taken_unix_ms`, and
    /// `statements` as in [`StatementInsight::to_json`].
    pub fn to_json(&self) -> String {
        Object::new()
            .raw("since_unix_ms", unix_millis(self.since))
            .raw("taken_unix_ms", unix_millis(self.taken_at))
            .list(
                "statements",
                self.statements.iter().map(StatementInsight::to_json),
            )
            .end()
    }
}

impl StatementInsight {
    /// The row as one JSON object on one line. Times are in milliseconds, the digest is 16
    /// hexadecimal digits, and what is not known is left out.
    pub fn to_json(&self) -> String {
        let quantile = |part| Some(self.latency.quantile(part));
        let mut object = Object::new()
            .text("digest", &format!("{:016x}", self.digest))
            .text("text", &self.text)
            .text("operation", &self.operation)
            .text("summary", &self.summary)
            .maybe_text("instance", self.instance.as_ref().map(InstanceId::as_str))
            .maybe_text("role", self.role.map(Role::name))
            .raw("calls", self.calls)
            .raw("errors", self.errors)
            .raw("rows", self.rows)
            .maybe_millis("server_ms", Some(self.server_time))
            .maybe_millis("waiting_ms", Some(self.waiting_time))
            .raw("prepared", self.prepared)
            .maybe_millis("preparing_ms", Some(self.preparing_time))
            .maybe_millis("mean_ms", Some(self.mean()))
            .maybe_millis("p50_ms", quantile(0.5))
            .maybe_millis("p95_ms", quantile(0.95))
            .maybe_millis("p99_ms", quantile(0.99));
        for (key, at) in [
            ("first_seen_unix_ms", self.first_seen),
            ("last_seen_unix_ms", self.last_seen),
        ] {
            if let Some(at) = at {
                object = object.raw(key, unix_millis(at));
            }
        }
        if let Some(slowest) = &self.slowest {
            object = object.raw("slowest", slowest.to_json());
        }
        object
            .list("latency", self.latency.buckets().map(bucket))
            .end()
    }
}

/// The least time of a bucket in milliseconds, and its count.
fn bucket((from, count): (Duration, u64)) -> String {
    format!("[{:.3},{count}]", from.as_secs_f64() * 1e3)
}

impl Slowest {
    fn to_json(&self) -> String {
        Object::new()
            .maybe_millis("took_ms", Some(self.took))
            .raw("at_unix_ms", unix_millis(self.at))
            .text("text", &self.text)
            .raw("rows", self.rows)
            .end()
    }
}
