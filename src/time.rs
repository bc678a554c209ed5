//! The one door to the clock, so that a paused tokio clock rules the whole driver.

use std::time::{Duration, SystemTime};

pub(crate) use tokio::time::Instant;

/// The present moment on tokio's clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day, for people to read; nothing is decided by it.
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// Sleeps until `deadline`; for ever where there is none.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The later part of a span: `deadline - now`, or zero.
pub(crate) fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(now())
}
