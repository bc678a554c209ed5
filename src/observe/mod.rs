//! What is kept of the past, for people to look at afterwards.
//!
//! | file | idea |
//! |---|---|
//! | `story` | the pure accumulator that makes one story of a failover's events |
//! | `record` | [`FailoverRecord`], such a story: as a drawn timeline and as JSON |
//! | `json` | how JSON is written |
//! | `recorder` | keeps the last ones, and hears of the first write after each |
//!
//! Nothing is decided by any of it.

mod json;
mod record;
pub(crate) mod recorder;
mod story;

pub use record::{FailoverRecord, Moment, ProbeCount};
