//! Whether the driver notices what is wrong with an instance, and nothing where nothing is.

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::{EventKind, InstanceId};

use super::evidence::Evidence;
use super::history::{Call, Silence};
use super::invariants::{length, none_or};
use super::plan::{DnsOutage, Fault, Plan, StatementTrouble};
use super::run::RECOVERY_LIMIT;

/// How long a call may go on after its instance fell silent: twice what the driver takes where
/// round trips are as short as they are here, and the ticks that it counts in.
const SILENCE_LIMIT: Duration = Duration::from_millis(600);

/// The same where something made round trips or logins longer before: the driver waits for three
/// of what it then takes for usual, which is half a second at most.
const SLOW_SILENCE_LIMIT: Duration = Duration::from_millis(2_000);

fn has_long_round_trips(plan: &Plan) -> bool {
    let is_slow = |fault: &Fault| {
        matches!(
            fault,
            Fault::Slow { .. }
                // A login begins with its name.
                | Fault::DnsOutage {
                    kind: DnsOutage::SlowMs(_),
                    ..
                }
                | Fault::Statements {
                    kind: StatementTrouble::DelayMs(_),
                    ..
                }
        )
    };
    plan.cluster.login_rate.is_some() || plan.faults.iter().any(|it| is_slow(&it.fault))
}

/// How long a call was under way while its instance was silent.
fn in_silence(evidence: &Evidence, call: &Call, silence: &Silence) -> Duration {
    let met = Call {
        began: call.began.max(silence.from),
        ended: call.ended.min(silence.until.unwrap_or(Duration::MAX)),
        ..call.clone()
    };
    match met.began < met.ended {
        true => length(evidence, &met),
        false => Duration::ZERO,
    }
}

pub(super) fn silence_ends_calls(evidence: &Evidence) -> Result<(), String> {
    let limit = match has_long_round_trips(&evidence.plan) {
        true => SLOW_SILENCE_LIMIT,
        false => SILENCE_LIMIT,
    };
    for silence in &evidence.silences {
        let is_there = |call: &&Call| call.instance.as_ref() == Some(&silence.instance);
        let mut calls = evidence.calls.iter().filter(is_there);
        let late = calls.find(|call| in_silence(evidence, call, silence) > limit);
        none_or(late, |call| {
            let took = in_silence(evidence, call, silence);
            format!("after {took:?} of {silence:?}: {call:?}")
        })?;
    }
    Ok(())
}

/// How much later than the news of a new writer a call may end that it ends.
const DEMOTION_SLACK: Duration = Duration::from_millis(5);

/// A call that may write. Reads may go to an instance that was the writer before and is a reader
/// now.
fn writes(call: &Call) -> bool {
    let what = call.what;
    what.starts_with("write") || matches!(what, "begin" | "commit")
}

pub(super) fn demotion_ends_calls(evidence: &Evidence) -> Result<(), String> {
    let mut writers = BTreeMap::<usize, &InstanceId>::new();
    for (handle, at, event) in &evidence.events {
        let EventKind::WriterConfirmed { instance, .. } = event else {
            continue;
        };
        let Some(old) = writers.insert(*handle, instance) else {
            continue;
        };
        let mut calls = evidence.calls.iter();
        let late = calls.find(|call| {
            let was_there = call.handle == *handle && call.instance.as_ref() == Some(old);
            let goes_on = call.began < *at && call.ended > *at + DEMOTION_SLACK;
            old != instance && was_there && goes_on && writes(call)
        });
        none_or(late, |call| {
            format!("{instance} was confirmed at {at:?} as the writer: {call:?}")
        })?;
    }
    Ok(())
}

/// Whom it says to be no good. The end of a generation is told of those that left, too.
fn condemned(event: &EventKind) -> Option<&InstanceId> {
    match event {
        EventKind::InstanceDown { instance, .. }
        | EventKind::WriterLost { instance, .. }
        | EventKind::WriterSuspected { instance, .. } => Some(instance),
        _ => None,
    }
}

pub(super) fn nobody_is_condemned_in_health(evidence: &Evidence) -> Result<(), String> {
    let healthy_from = match evidence.whole_at {
        Some(whole_at) => whole_at + RECOVERY_LIMIT,
        // Another invariant says so.
        None => return Ok(()),
    };
    let mut events = evidence.events.iter();
    let alarm = events.find(|(_, at, event)| *at >= healthy_from && condemned(event).is_some());
    none_or(alarm, |(handle, at, event)| {
        format!(
            "by handle {handle} at {at:?}, where all is well from {healthy_from:?}, the process \
             stood still {:?}: {event:?}",
            evidence.pauses
        )
    })
}
