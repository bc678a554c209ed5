//! One trial: a driver over a simulated cluster in virtual time, faults that a seed drew, and the
//! verdict on what it left behind.
//!
//! | file | idea |
//! |---|---|
//! | `plan` | a trial as plain data, which can be written down and repeated |
//! | `draw` | a plan from a seed |
//! | `director` | carries the plan's faults out, and mends everything again |
//! | `workload` | the application: callers of many kinds |
//! | `closures` | those that give their work as closures |
//! | `crew` | all callers at once, in an order that repeats |
//! | `history` | what the callers saw |
//! | `evidence` | all that the verdict rests on |
//! | `invariants` | what must hold, each by its name |
//! | `reigns`, `alarms` | whom the driver takes for the writer, and for lost |
//! | `traffic` | what the instances may meet of a process |
//! | `run` | from a plan to a verdict |
//! | `shrink` | the same violation from fewer faults |
//!
//! The example and the tests both take it in by its path.

mod alarms;
mod closures;
pub(crate) mod crew;
pub(crate) mod director;
pub(crate) mod draw;
pub(crate) mod evidence;
pub(crate) mod history;
pub(crate) mod invariants;
pub(crate) mod plan;
mod reigns;
pub(crate) mod run;
pub(crate) mod shrink;
pub(crate) mod traffic;
pub(crate) mod workload;
