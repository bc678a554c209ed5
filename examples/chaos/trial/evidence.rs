//! All that the verdict on a trial rests on.

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::CloseReport;
use aurora_driver::sim::direct::{DirectConnect, DirectWrite};

use super::history::{Call, Fate, HandOut};
use super::plan::Plan;

/// What a trial left behind: what the callers saw, and what the cluster knows.
#[derive(Debug)]
pub struct Evidence {
    pub plan: Plan,
    /// When the last fault was over and the cluster was whole again; `None` if it never was.
    pub whole_at: Option<Duration>,
    /// Whether every caller came to its end.
    pub callers_ended: bool,
    pub fates: BTreeMap<u64, Fate>,
    pub hand_outs: Vec<HandOut>,
    pub calls: Vec<Call>,
    pub epochs: Vec<(usize, u64)>,
    pub pauses: Vec<(Duration, Duration)>,
    pub ledger: Vec<DirectWrite>,
    pub connects: Vec<DirectConnect>,
    /// When there was no writer.
    pub outages: Vec<(Duration, Duration)>,
    pub answers_crossed: u64,
    pub closed: Vec<CloseReport>,
    /// Tasks of the driver that were still alive after everything was closed and dropped.
    pub tasks_left: usize,
    pub cancelled: u64,
    pub faults: BTreeMap<&'static str, u64>,
}
