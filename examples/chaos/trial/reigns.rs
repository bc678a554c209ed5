//! What the driver took for the writer, held against who was.

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::{EventKind, InstanceId};

use super::evidence::Evidence;
use super::history::Intent;
use super::invariants::none_or;
use super::plan::{Fault, Pace, Plan};

/// The last reign of an instance that had begun by then.
fn reign(evidence: &Evidence, instance: &InstanceId, at: Duration) -> Option<usize> {
    let mut reigns = evidence.reigns.iter();
    reigns.rposition(|(since, writer)| *since <= at && writer == instance)
}

/// Checks that each handle goes forward through the reigns, never back.
fn in_order<'a>(
    evidence: &Evidence,
    what: &str,
    taken: impl Iterator<Item = (usize, Duration, &'a InstanceId)>,
) -> Result<(), String> {
    let mut latest = BTreeMap::<usize, usize>::new();
    for (handle, at, instance) in taken {
        let Some(reign) = reign(evidence, instance, at) else {
            return Err(format!(
                "{instance} was {what} by handle {handle} at {at:?}, and never was the writer: {:?}",
                evidence.reigns
            ));
        };
        let last = latest.entry(handle).or_default();
        if reign < *last {
            return Err(format!(
                "{instance} was {what} by handle {handle} at {at:?}, after the writer of a later \
                 promotion: {:?}",
                evidence.reigns
            ));
        }
        *last = reign;
    }
    Ok(())
}

pub(super) fn confirmed_in_order(evidence: &Evidence) -> Result<(), String> {
    let events = evidence.events.iter();
    let confirmed = events.filter_map(|(handle, at, event)| match event {
        EventKind::WriterConfirmed { instance, .. } => Some((*handle, *at, instance)),
        _ => None,
    });
    in_order(evidence, "confirmed", confirmed)
}

pub(super) fn written_in_order(evidence: &Evidence) -> Result<(), String> {
    let writes = evidence.hand_outs.iter();
    let writes = writes.filter(|it| it.intent == Intent::Write);
    let given = writes.map(|it| (it.handle, it.at, &it.instance));
    in_order(evidence, "given for writes", given)
}

/// How long after it accepts a new writer may go unnoticed where it can be reached: twice the
/// longest interval between two tries in the first minute of an outage.
const DISCOVERY_LIMIT: Duration = Duration::from_millis(220);

/// Whether engines crash and restart, and nothing stands between them and the driver.
fn only_engines_fail(plan: &Plan) -> bool {
    let is_engines = |fault: &Fault| {
        matches!(
            fault,
            Fault::Crash { .. }
                | Fault::CrashInPlace { .. }
                | Fault::Failover { .. }
                | Fault::Restart { .. }
                | Fault::Upgrade
                | Fault::AddReader
                | Fault::Remove { .. }
                | Fault::Lag { .. }
                | Fault::PauseReplication { .. }
                | Fault::View { .. }
                | Fault::DnsFlip { .. }
                | Fault::ClientPause { .. }
        )
    };
    let cluster = &plan.cluster;
    cluster.pace == Pace::Fast
        && cluster.login_rate.is_none()
        && cluster.fenced_hold_ms == 0
        && plan.faults.iter().all(|it| is_engines(&it.fault))
}

pub(super) fn found_soon(evidence: &Evidence) -> Result<(), String> {
    if !only_engines_fail(&evidence.plan) {
        return Ok(());
    }
    for (since, writer) in evidence.reigns.iter().skip(1) {
        let by = *since + DISCOVERY_LIMIT;
        let meets = |(from, until): &(Duration, Duration)| *from <= by && *until > *since;
        let is_cut_short = evidence.outages.iter().any(meets) || evidence.pauses.iter().any(meets);
        let is_last = Some(by) >= evidence.whole_at;
        if is_cut_short || is_last {
            continue;
        }
        for handle in 0..evidence.plan.driver.handles {
            let mut events = evidence.events.iter();
            let is_found = events.any(|(by_handle, at, event)| {
                let in_time = *by_handle == handle && (*since..=by).contains(at);
                in_time
                    && matches!(event, EventKind::WriterConfirmed { instance, .. } if instance == writer)
            });
            if !is_found {
                return Err(format!(
                    "{writer} has accepted since {since:?}, handle {handle} had not confirmed it \
                     at {by:?}"
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn taken_by_the_writer(evidence: &Evidence) -> Result<(), String> {
    let is_wrong = |write: &&aurora_driver::sim::direct::DirectWrite| {
        let reign = usize::try_from(write.epoch).ok();
        let reign = reign.and_then(|reign| evidence.reigns.get(reign));
        reign.is_none_or(|(since, writer)| *writer != write.instance || write.at < *since)
    };
    none_or(evidence.ledger.iter().find(is_wrong), |write| {
        format!("{write:?}, while the writers were {:?}", evidence.reigns)
    })
}
