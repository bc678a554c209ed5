//! Timeline files: what is to happen to a cluster, and when.
//!
//! | file | idea |
//! |---|---|
//! | `action` | the words of a step |
//! | `command` | what a step is to the world |
//! | `expectation` | what the end is to look like |
//! | `read` | from TOML to a script |
//! | `recorded` | from a failover that the driver has recorded to a script |
//!
//! Not here: how a script is carried out (`sim::cluster::play`).

mod action;
mod command;
mod expectation;
mod read;
mod recorded;

#[cfg(test)]
mod tests;

pub use recorded::RecordedFailover;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use action::{Action, BrokenDns, Fault, Kind};
pub(crate) use command::{command, listening};
pub(crate) use expectation::{Expectation, Outcome, Role as ExpectedRole};

/// What is to happen to a simulated cluster, and when: the content of a timeline file.
///
/// A file is TOML. `at_ms` counts from the call of
/// [`SimCluster::play`](crate::sim::SimCluster::play), `do` says what, and an instance is named
/// by its identifier or by what it is at that moment: `writer`, `old-writer` (the writer before
/// the last promotion), `reader-1`, `reader-2` ... (the readers that are up, by name).
///
/// ```
/// use aurora_driver::EngineKind;
/// use aurora_driver::sim::{Script, SimCluster};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let script = Script::parse(
///     "failover.toml",
///     r#"
///         description = "A planned failover."
///
///         [[step]]
///         at_ms = 0
///         do = "failover"
///         instance = "reader-1"
///
///         [expect]
///         writer = "demo-instance-2"
///     "#,
/// )?;
/// let cluster = SimCluster::builder(EngineKind::Postgres).start().await?;
/// cluster.play(&script).finished().await?;
/// cluster.failover_finished().await;
/// assert_eq!(cluster.unmet(&script), Vec::<String>::new());
/// # cluster.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// | `do` | further keys |
/// |---|---|
/// | `crash`, `restart`, `remove`, `silence`, `refuse`, `restore` | `instance` |
/// | `pause-replication`, `resume-replication`, `clear-view` | `instance` |
/// | `failover` | `instance`, or nothing for the best reader |
/// | `add-reader` | |
/// | `scale-out`, `scale-in` | `count` |
/// | `rename` | `instance`, `to` |
/// | `upgrade` | `version` |
/// | `backtrack` | `to_ms`, counted from the cluster's start |
/// | `tier` | `instance`, `tier` (0 to 15) |
/// | `listener` | `instance`, `state` (`draining`, `full`, `starting`) |
/// | `slow`, `lag` | `instance`, `ms` |
/// | `view` | `instance`, `shows` (`no-writer`, `one-row`, `garbage-lag`, `foreign-rows`, `second-writer`, `stale-claim`, `lingering`), `other` for the last three |
/// | `dns-flip` | `ms` |
/// | `dns-ttl` | `name`, `seconds` |
/// | `break-dns` | `fault` (`silent`, `slow`, `serv-fail`, `nx-domain`, `wrong`, `truncated`), `ms` for `slow`, `name` and `address` for `wrong` |
/// | `mend-dns` | |
/// | `fault` | `fault`, a table: `then` (`delay`, `error`, `reset`, `close`, `silence`, `half-close`, `truncate`, `garbage`, `crash`) with `ms`, or `sqlstate`, `number` and `message`; `on` (`writer`, `readers` or an instance), `user`, `point` (`login`, `prepare`, `execute`, `answer`), `containing`, `kind` (`read`, `write`, `define`, `begin`, `commit`, `rollback`, `set`, `topology`, `other`), one of `nth`, `first`, `every`, and `probability` narrow it down; see [`StatementFault`](crate::sim::StatementFault) |
/// | `end-faults` | ends those that this file began |
/// | `custom-endpoint` | `name`, `kind` (`reader`, `writer`, `any`), one of the lists `members` and `except` |
/// | `remove-custom-endpoint` | `name` |
///
/// Where a host name is wanted, `cluster-endpoint` and `reader-endpoint` stand for the cluster's,
/// and an instance for its own; where an address is wanted, an instance stands for its own.
///
/// In `[expect]`, all of which is optional: `writer`; `roles`, a table from instance to `reader`
/// or `writer`; `readers`, how many are up; `promotions`, how many there were; `events`, ids of
/// events that are published in this order, with others between them. In `[cluster]`: `readers`,
/// how many the scenario is written for.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    pub(crate) name: Arc<str>,
    description: String,
    readers: Option<usize>,
    /// In the order of their times.
    pub(crate) steps: Arc<[Step]>,
    pub(crate) expectation: Expectation,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) action: Action,
    pub(crate) place: Place,
}

/// Where a step stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    /// Counted from 1, in the order of the file.
    pub(crate) number: usize,
}

/// Why a timeline file cannot be read or carried out; names the file, the line and the step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", shown(*place))]
pub struct ScriptError {
    file: Arc<str>,
    place: Option<Place>,
    message: String,
}

fn shown(place: Option<Place>) -> String {
    match place {
        Some(Place { line, number: 0 }) => format!(", line {line}"),
        Some(Place { line, number }) => format!(", line {line}, step {number}"),
        None => String::new(),
    }
}

impl ScriptError {
    pub(crate) fn runtime_ended(script: &Script) -> Self {
        Self {
            file: Arc::clone(&script.name),
            place: None,
            message: "the runtime that played it has ended".into(),
        }
    }

    pub(crate) fn new(script: &Script, place: Place, message: String) -> Self {
        Self {
            file: Arc::clone(&script.name),
            place: Some(place),
            message,
        }
    }
}

impl Script {
    /// Reads a timeline file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a timeline.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScriptError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ScriptError {
            file: name.as_str().into(),
            place: None,
            message: format!("the file cannot be read: {error}; name a TOML file"),
        })?;
        Self::parse(&name, &text)
    }

    /// Reads the text of a timeline file; errors call it `name`.
    ///
    /// # Errors
    ///
    /// The text is not a timeline: not TOML, an unknown word, a missing key.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        read::read(name, text)
    }

    /// What the file says that it is about.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How many readers the cluster is meant to start with, if the file says so.
    pub fn readers(&self) -> Option<usize> {
        self.readers
    }

    /// When the last step is due, counted from the start.
    pub fn length(&self) -> Duration {
        self.steps.last().map_or(Duration::ZERO, |step| step.at)
    }
}
