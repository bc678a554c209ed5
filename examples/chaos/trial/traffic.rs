//! What the instances may meet of a process: how many connections, handshakes and attempts.

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::EventKind;
use aurora_driver::sim::direct::{DirectAnswer, DirectConnect, DirectPurpose};

use super::evidence::Evidence;
use super::run::{RECOVERY_LIMIT, process};

/// What a process may have open at an instance besides its pools: the monitor's connection, and
/// the one by which it finds out whether that one is all that is silent.
const EXTRA_CONNECTIONS: usize = 2;

/// The same while all is well.
const EXTRA_CONNECTIONS_IN_HEALTH: usize = 1;

/// How many attempts the monitor of a process may make at an instance that refuses or is starting
/// in any second that begins that long after its first: in the first second, after that, and
/// after five.
const MONITOR_ATTEMPTS_MAX: [(Duration, usize); 3] = [
    (Duration::ZERO, 100),
    (Duration::from_secs(1), 20),
    (Duration::from_secs(5), 10),
];

/// Who was not tried for so long has answered meanwhile on a connection that was open.
const ANSWERED_GAP: Duration = Duration::from_millis(900);

/// How long a renewal lasts; the monitor counts from its question, which may be a time limit
/// earlier than the refusal.
const RENEWAL_PERIOD: Duration = Duration::from_millis(5_500);

/// How many attempts one pool may make at an instance that refuses, in any second, besides those
/// that were under way together: delays double from 10 ms.
const POOL_ATTEMPTS_MAX: usize = 12;

/// The attempts of each process at each instance, in order.
fn by_process(evidence: &Evidence) -> BTreeMap<(&str, &str), Vec<&DirectConnect>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for connect in &evidence.connects {
        let group = (&*connect.process, connect.instance.as_str());
        groups.entry(group).or_default().push(connect);
    }
    groups
}

/// How many handles a process of the trial has.
fn handles_per_process(evidence: &Evidence) -> usize {
    match evidence.plan.driver.share_monitor {
        true => evidence.plan.driver.handles,
        false => 1,
    }
}

/// The most of these spans that there are at one moment, and when. One that ends as another
/// begins is over.
pub(crate) fn peak(spans: impl Iterator<Item = (Duration, Duration)>) -> (usize, Duration) {
    let mut steps: Vec<(Duration, i8)> = spans
        .filter(|(from, until)| from < until)
        .flat_map(|(from, until)| [(from, 1), (until, -1)])
        .collect();
    steps.sort_unstable();
    let (mut open, mut peak) = (0_i64, (0, Duration::ZERO));
    for (at, step) in steps {
        open += i64::from(step);
        if let Ok(count) = usize::try_from(open)
            && count > peak.0
        {
            peak = (count, at);
        }
    }
    peak
}

/// Checks the most spans that any process has at any instance.
fn at_most(
    evidence: &Evidence,
    most: usize,
    what: &str,
    span: impl Fn(&DirectConnect) -> Option<(Duration, Duration)>,
) -> Result<(), String> {
    for ((process, instance), connects) in by_process(evidence) {
        let (count, at) = peak(connects.iter().filter_map(|connect| span(connect)));
        if count > most {
            return Err(format!(
                "{process} has {count} {what} {instance} at {at:?}, {most} are allowed"
            ));
        }
    }
    Ok(())
}

/// From the login to the end. A seed is asked only while there is nobody else to ask, and its
/// connection is closed with the answer.
fn lasting(connect: &DirectConnect) -> Option<(Duration, Duration)> {
    let logged_in_at = connect.logged_in_at?;
    let ended_at = connect.ended_at.unwrap_or(Duration::MAX);
    (connect.purpose != DirectPurpose::Seed).then_some((logged_in_at, ended_at))
}

pub(super) fn connections(evidence: &Evidence) -> Result<(), String> {
    let pools = evidence.plan.driver.pool_max * handles_per_process(evidence);
    let most = pools + EXTRA_CONNECTIONS;
    at_most(evidence, most, "connections to", lasting)?;
    let healthy_from = evidence
        .whole_at
        .unwrap_or(Duration::MAX)
        .saturating_add(RECOVERY_LIMIT);
    let most = pools + EXTRA_CONNECTIONS_IN_HEALTH;
    at_most(
        evidence,
        most,
        "connections, all being well, to",
        |connect| {
            let (from, until) = lasting(connect)?;
            Some((from.max(healthy_from), until))
        },
    )
}

/// From the knock to the end of the login, however it ends.
pub(crate) fn handshake(connect: &DirectConnect) -> (Duration, Duration) {
    let over = connect.logged_in_at.or(connect.ended_at);
    (connect.at, over.unwrap_or(Duration::MAX))
}

pub(super) fn handshakes_of_pools(evidence: &Evidence) -> Result<(), String> {
    let most = evidence.plan.driver.max_connecting * handles_per_process(evidence);
    at_most(evidence, most, "handshakes under way with", |connect| {
        (connect.purpose == DirectPurpose::Pool).then(|| handshake(connect))
    })
}

pub(super) fn logins_of_monitor(evidence: &Evidence) -> Result<(), String> {
    let what = "logins of its monitor under way with";
    at_most(evidence, 1, what, |connect| {
        (connect.purpose == DirectPurpose::Monitor).then(|| handshake(connect))
    })
}

/// An attempt that was turned away: when, and how.
type Refused = (Duration, DirectAnswer);

/// The attempts of one part of a process at an instance, in stretches in which it was never let
/// in.
fn refused_attempts(connects: &[&DirectConnect], purpose: DirectPurpose) -> Vec<Vec<Refused>> {
    let is_turned = |answer: DirectAnswer| {
        matches!(
            answer,
            DirectAnswer::Refused
                | DirectAnswer::Starting
                | DirectAnswer::Full
                | DirectAnswer::Silent
        )
    };
    let own: Vec<Refused> = connects
        .iter()
        .filter(|connect| connect.purpose == purpose)
        .map(|connect| (connect.at, connect.answer))
        .collect();
    own.chunk_by(|(_, one), (_, other)| is_turned(*one) == is_turned(*other))
        .filter(|stretch| stretch.first().is_some_and(|(_, it)| is_turned(*it)))
        .map(<[Refused]>::to_vec)
        .collect()
}

/// How many of these fall into the second that begins with the first of them.
fn within_a_second(attempts: &[Refused]) -> usize {
    let first = attempts.first().map_or(Duration::ZERO, |(at, _)| *at);
    attempts.partition_point(|(at, _)| *at < first + Duration::from_secs(1))
}

pub(super) fn attempts_of_monitor(evidence: &Evidence) -> Result<(), String> {
    for ((name, instance), connects) in by_process(evidence) {
        let own = evidence
            .events
            .iter()
            .filter(|(handle, _, _)| process(&evidence.plan, *handle) == name);
        let alarms: Vec<Duration> = own
            .filter(|(_, _, event)| is_alarm(event))
            .map(|(_, at, _)| *at)
            .collect();
        for attempts in refused_attempts(&connects, DirectPurpose::Monitor) {
            for attempts in attempts.chunk_by(|one, next| next.0 - one.0 < ANSWERED_GAP) {
                check_budget(attempts, &alarms)
                    .map_err(|what| format!("{name} tried {instance} {what}"))?;
            }
        }
    }
    Ok(())
}

/// Whether it says that the writer is in doubt or lost.
fn is_alarm(event: &EventKind) -> bool {
    matches!(
        event,
        EventKind::WriterLost { .. } | EventKind::WriterSuspected { .. }
    )
}

/// A new alarm, and an engine that begins to start, let the monitor try as often as a second after
/// the first refusal again, for the time until five seconds after it.
fn check_budget(attempts: &[Refused], alarms: &[Duration]) -> Result<(), String> {
    let Some((began, _)) = attempts.first().copied() else {
        return Ok(());
    };
    let starts = attempts
        .windows(2)
        .filter(|pair| pair[1].1 == DirectAnswer::Starting && pair[0].1 != pair[1].1)
        .map(|pair| pair[1].0);
    let renewals: Vec<Duration> = alarms.iter().copied().chain(starts).collect();
    for (number, (at, _)) in attempts.iter().enumerate() {
        let mut age = *at - began;
        let is_renewed = |renewal: &Duration| {
            *renewal < *at + Duration::from_secs(1) && *at < *renewal + RENEWAL_PERIOD
        };
        if age >= Duration::from_secs(5) && renewals.iter().any(is_renewed) {
            age = Duration::from_secs(1);
        }
        let mut limits = MONITOR_ATTEMPTS_MAX.iter();
        let limit = limits.rfind(|(from, _)| age >= *from);
        let most = limit.map_or(0, |(_, most)| *most);
        let count = within_a_second(&attempts[number..]);
        // One more may come early, as the one before it was late on its way.
        if count > most + 1 {
            return Err(format!(
                "{count} times in the second from {at:?}, {age:?} after the first refusal; \
                 {most} are allowed"
            ));
        }
    }
    Ok(())
}

pub(super) fn attempts_of_pools(evidence: &Evidence) -> Result<(), String> {
    let handles = handles_per_process(evidence);
    let most = (evidence.plan.driver.max_connecting + POOL_ATTEMPTS_MAX) * handles;
    for ((process, instance), connects) in by_process(evidence) {
        for attempts in refused_attempts(&connects, DirectPurpose::Pool) {
            for (number, (at, _)) in attempts.iter().enumerate() {
                let count = within_a_second(&attempts[number..]);
                if count > most {
                    return Err(format!(
                        "the pools of {process} tried {instance} {count} times in the second \
                         from {at:?}; {most} are allowed",
                    ));
                }
            }
        }
    }
    Ok(())
}
