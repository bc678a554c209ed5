//! The one door to the clock, so that a paused tokio clock rules the whole driver.

use std::future::Future;
use std::time::Duration;

pub(crate) use tokio::time::Instant;

use crate::error::{Error, ErrorKind};

/// The present moment on tokio's clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sleeps until `deadline`; for ever where there is none.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Gives up on `future` at `deadline`, with an error that says what was waited for.
pub(crate) async fn by<T>(
    deadline: Instant,
    what: &'static str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout_at(deadline, future).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::Timeout, what)),
    }
}

/// The later part of a span: `deadline - now`, or zero.
pub(crate) fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(now())
}
