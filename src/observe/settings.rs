//! What an application wants to be observed.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// What is observed of statements, and where it is told. All of it together costs some hundred
/// nanoseconds for a statement (`cargo bench --bench observe`).
///
/// Values of parameters are never seen by any of it, and literals in a statement's text are
/// replaced by `?` unless [`keep_literals`](Self::keep_literals) says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observe {
    /// Whether statements are counted and timed by their digests, for
    /// [`Cluster::insights`](crate::Cluster::insights). Default: yes. It allocates nothing for a
    /// statement that is known, and takes no lock; some kilobytes for each statement and instance.
    pub insights: bool,
    /// How many kinds of statements are told apart; all others are counted together. Default: 500.
    ///
    /// Raise it when the table has a row of other statements. An application that writes values
    /// into names of tables or columns has more kinds than can be told apart.
    pub insights_max: usize,
    /// Whether metrics are told to the `metrics` facade, where the crate has the feature `metrics`.
    /// Default: yes. Install the recorder before the handle is opened: what is measured by one is
    /// told to the recorder of that moment.
    pub metrics: bool,
    /// Statements that take longer are logged: by `tracing`, at WARN, to the target
    /// `aurora_driver::slow`. Default: none are; the slowest of each kind are kept by the insights
    /// anyway.
    pub slow_statement: Option<Duration>,
    /// The most slow statements that are logged in a second; the next line says how many were left
    /// out. Default: 10.
    pub slow_per_second: u32,
    /// Of slow statements, one of so many is logged. Default: 1, all of them.
    pub slow_sample: u32,
    /// Whether spans carry the statement's digest as `db.query.text`. Default: no.
    pub span_text: bool,
    /// Whether texts keep their literals where they are examples: the slowest statement of a kind,
    /// and the slow-statement log. Default: no, as they may be anybody's secrets.
    pub keep_literals: bool,
    /// Whether statements that are sent as text carry a comment after the sqlcommenter
    /// specification. Default: no.
    ///
    /// It names the `application_name`, the driver, and what the caller supplies by
    /// [`observe::tagged`](crate::observe::tagged), such as a `traceparent`. A statement that is
    /// prepared by `prepare` (PostgreSQL) or `prep`, and one that is run by `exec` (MySQL), gets
    /// none: with a text of its own each time, no cache of prepared statements would ever find it.
    pub sqlcommenter: bool,
}

const INSIGHTS_MAX: usize = 10_000;

impl Default for Observe {
    fn default() -> Self {
        Self {
            insights: true,
            insights_max: 500,
            metrics: true,
            slow_statement: None,
            slow_per_second: 10,
            slow_sample: 1,
            span_text: false,
            keep_literals: false,
            sqlcommenter: false,
        }
    }
}

impl Observe {
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Config, message));
        if !(1..=INSIGHTS_MAX).contains(&self.insights_max) {
            return wrong(format!(
                "insights_max is {}: use 1 to {INSIGHTS_MAX}",
                self.insights_max
            ));
        }
        if self.slow_sample == 0 {
            return wrong("slow_sample is 0: use 1 to log all slow statements".to_owned());
        }
        Ok(())
    }
}
