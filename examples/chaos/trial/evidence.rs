//! All that the verdict on a trial rests on.

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::sim::direct::{DirectConnect, DirectWrite};
use aurora_driver::{CloseReport, EventKind, InstanceId};

use super::history::{Call, Fate, HandOut, Silence};
use super::plan::Plan;

/// What a trial left behind: what the callers saw, and what the cluster knows.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) plan: Plan,
    /// When the last fault was over and the cluster was whole again; `None` if it never was.
    pub(crate) whole_at: Option<Duration>,
    /// Whether every caller came to its end.
    pub(crate) callers_ended: bool,
    pub(crate) fates: BTreeMap<u64, Fate>,
    pub(crate) hand_outs: Vec<HandOut>,
    pub(crate) calls: Vec<Call>,
    pub(crate) epochs: Vec<(usize, u64)>,
    /// What the handles told of the instances.
    pub(crate) events: Vec<(usize, Duration, EventKind)>,
    /// Of each closure, by its handle: how often it was run.
    pub(crate) runs: Vec<(usize, u32)>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) pauses: Vec<(Duration, Duration)>,
    pub(crate) ledger: Vec<DirectWrite>,
    pub(crate) connects: Vec<DirectConnect>,
    /// When there was no writer.
    pub(crate) outages: Vec<(Duration, Duration)>,
    /// Since when which instance was the writer, the first included.
    pub(crate) reigns: Vec<(Duration, InstanceId)>,
    pub(crate) answers_crossed: u64,
    pub(crate) closed: Vec<CloseReport>,
    /// Tasks of the driver that were still alive after everything was closed and dropped.
    pub(crate) tasks_left: usize,
    pub(crate) cancelled: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
}
