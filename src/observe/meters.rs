//! Metrics through the `metrics` facade, with the feature of that name; without it, nothing.
//!
//! Handles are made once, for each pool and instance, so that no statement looks one up. The
//! names, and what they mean, stand in `docs/metrics.md`.

#[cfg(feature = "metrics")]
mod names;
#[cfg(not(feature = "metrics"))]
mod off;
#[cfg(feature = "metrics")]
mod on;

#[cfg(not(feature = "metrics"))]
pub(crate) use off::{HandleMeters, HubMeters, SiteMeters};
#[cfg(feature = "metrics")]
pub(crate) use on::{HandleMeters, HubMeters, SiteMeters};

use std::time::Duration;

/// What a pool looks like at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PoolLevels {
    pub(crate) used: usize,
    pub(crate) idle: usize,
    pub(crate) max: usize,
    pub(crate) min_idle: usize,
    pub(crate) waiting: usize,
}

/// What is known of an instance at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct InstanceLevels {
    pub(crate) is_up: bool,
    pub(crate) lag: Option<Duration>,
}

/// Why an instance was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routed {
    /// A write goes to the writer.
    Writer,
    /// A read goes to the reader that is least busy.
    LeastBusy,
    /// A read took the first connection that any reader had.
    FirstFree,
    /// A read goes to a reader that it is not meant for, for want of those.
    OtherReader,
    /// A read goes to the writer, as there is no reader.
    NoReader,
    /// A read goes to the writer, as all readers lag too much.
    AllLag,
}

impl Routed {
    #[cfg(feature = "metrics")]
    const ALL: [Self; 6] = [
        Self::Writer,
        Self::LeastBusy,
        Self::FirstFree,
        Self::OtherReader,
        Self::NoReader,
        Self::AllLag,
    ];

    /// The intent and the reason, as labels.
    #[cfg(feature = "metrics")]
    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Writer => ("write", "writer"),
            Self::LeastBusy => ("read", "least_busy"),
            Self::FirstFree => ("read", "first_free"),
            Self::OtherReader => ("read", "other_reader"),
            Self::NoReader => ("read", "no_reader"),
            Self::AllLag => ("read", "all_lag"),
        }
    }
}
