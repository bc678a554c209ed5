//! What is kept of the past, and told of the present, for people to look at.
//!
//! | file | idea |
//! |---|---|
//! | `settings` | what an application wants to be observed |
//! | `digest` | what a statement is, whatever its literals |
//! | `histogram` | how long things took |
//! | `insights` | statements by their digests: how often, how long, where |
//! | `lens` | how one connection finds out what it is asked, without a lock |
//! | `site` | what the connections of one handle to one instance tell of their statements |
//! | `latency` | how long an instance takes lately, which routing asks for |
//! | `slow` | which slow statements are logged |
//! | `span` | a span for each operation |
//! | `comment` | the comment behind a statement that says who sent it |
//! | `meters` | metrics, with the feature of that name |
//! | `phases` | how long each phase of a failover took |
//! | `story` | the pure accumulator that makes one story of a failover's events |
//! | `record` | [`FailoverRecord`], such a story: as a drawn timeline and as JSON |
//! | `json` | how JSON is written |
//! | `recorder` | keeps the last ones, and hears of the first write after each |
//!
//! Nothing is decided by any of it, and it knows nothing of engines, pools or the topology: they
//! tell it what happens.

mod comment;
mod digest;
mod histogram;
mod insights;
mod json;
pub(crate) mod latency;
pub(crate) mod lens;
pub(crate) mod meters;
#[cfg_attr(
    not(feature = "metrics"),
    allow(dead_code, reason = "only metrics tell of phases")
)]
mod phases;
mod record;
pub(crate) mod recorder;
pub(crate) mod settings;
pub(crate) mod site;
mod slow;
pub(crate) mod span;
mod story;

pub use comment::tagged;
pub use histogram::Histogram;
pub use insights::{By, Insights, Slowest, Snapshot, StatementInsight};
pub use record::{FailoverRecord, Moment, ProbeCount};
