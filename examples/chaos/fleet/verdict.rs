//! Whether the processes of a fleet came one by one or as a wave.
//!
//! Nothing makes them wait for each other, so the bounds follow from what each does by itself: it
//! tries at intervals that vary by a fifth, so that after a few tries a fleet's are spread evenly
//! over the interval; and it logs in once by its monitor and as often as its callers need, as many
//! at a time as its gate lets through.

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::sim::direct::{DirectAnswer, DirectConnect, DirectPurpose};

use super::Run;
use crate::trial::traffic::{handshake, peak};

/// A bound, and what was measured.
pub(super) struct Judgement {
    pub(super) bound: String,
    pub(super) measured: String,
    pub(super) is_kept: bool,
}

const SLOT: Duration = Duration::from_millis(10);
/// All begin to try together, as all have lost the same writer, and again a second later, when the
/// first second's budget is renewed. After that a fifth of jitter has spread them.
const FIRST_ROUNDS: Duration = Duration::from_secs(2);
/// How many standard deviations above the mean a slot may be that fills by chance alone (Poisson):
/// of a thousand slots hardly one is beyond four.
const DEVIATIONS_MAX: f64 = 4.5;
/// When the failover itself is over, and all that follows is an echo.
const ECHO_AFTER: Duration = Duration::from_secs(5);
/// What part of the processes may connect within the same 100 ms then, on the mean.
const ECHO_SHARE: f64 = 0.2;

pub(super) fn judge(run: &Run) -> Vec<Judgement> {
    vec![
        tries_in_a_second(run),
        handshakes(run, DirectPurpose::Monitor, 1),
        handshakes(run, DirectPurpose::Pool, run.max_connecting),
        tries_are_spread(run),
        arrivals_are_spread(run),
        no_echo(run),
    ]
}

fn is_try(connect: &&DirectConnect) -> bool {
    connect.purpose == DirectPurpose::Monitor && connect.answer != DirectAnswer::Accepted
}

fn by_process(run: &Run) -> BTreeMap<&str, Vec<&DirectConnect>> {
    let mut processes = BTreeMap::<_, Vec<_>>::new();
    for connect in &run.connects {
        processes
            .entry(&*connect.process)
            .or_default()
            .push(connect);
    }
    processes
}

/// The most of these times that fall into one span of a length, wherever it begins.
fn fullest(times: &[Duration], span: Duration) -> usize {
    let counts = times
        .iter()
        .enumerate()
        .map(|(number, from)| times[number..].partition_point(|at| *at < *from + span));
    counts.max().unwrap_or_default()
}

/// One more than the budget, as a try may have been late on its way.
fn tries_in_a_second(run: &Run) -> Judgement {
    let most = by_process(run).into_values().map(|connects| {
        let tries = connects.into_iter().filter(is_try);
        let tries: Vec<Duration> = tries.map(|it| it.at).collect();
        fullest(&tries, Duration::from_secs(1))
    });
    let most = most.max().unwrap_or_default();
    Judgement {
        bound: "tries of one process in any second: at most 100, and one that was late".to_owned(),
        measured: most.to_string(),
        is_kept: most <= 101,
    }
}

fn handshakes(run: &Run, purpose: DirectPurpose, allowed: usize) -> Judgement {
    let most = by_process(run).into_values().map(|connects| {
        let own = connects.into_iter().filter(|it| it.purpose == purpose);
        peak(own.map(handshake)).0
    });
    let most = most.max().unwrap_or_default();
    Judgement {
        bound: format!("handshakes of one process' {purpose:?} under way: at most {allowed}"),
        measured: most.to_string(),
        is_kept: most <= allowed,
    }
}

/// How full the fullest slot may be where so many come on the mean, each when it likes.
fn by_chance(mean: f64) -> f64 {
    mean + DEVIATIONS_MAX * mean.sqrt()
}

/// How full each slot of 10 ms between two times is.
fn slots(times: &[Duration], from: Duration, until: Duration) -> Vec<usize> {
    let mut slots = Vec::new();
    let mut begins = from;
    while begins + SLOT <= until {
        let count = |at| times.partition_point(|time| *time < at);
        slots.push(count(begins + SLOT) - count(begins));
        begins += SLOT;
    }
    slots
}

/// In every second without a change of pace the tries are spread evenly.
fn tries_are_spread(run: &Run) -> Judgement {
    let tries: Vec<Duration> = run.connects.iter().filter(is_try).map(|it| it.at).collect();
    let began = tries.first().map_or(run.crashed_at, |at| *at) + FIRST_ROUNDS;
    let all = slots(&tries, began, run.accepts_at);
    // Tries come at least every 100 ms: a window of as many slots holds one of each process.
    let worst = all.chunks_exact(10).map(|window| {
        let mean = window.iter().sum::<usize>() as f64 / window.len() as f64;
        let most = window.iter().copied().max().unwrap_or_default() as f64;
        // Where next to nothing comes, chance is all that there is.
        match mean * 50.0 < run.processes as f64 {
            true => 0.0,
            false => most / by_chance(mean),
        }
    });
    let worst = worst.fold(0.0, f64::max);
    Judgement {
        bound: format!(
            "tries are spread evenly after {FIRST_ROUNDS:?}: no 10 ms fuller than chance makes one of its 100 ms"
        ),
        measured: format!("{:.0} % of that", worst * 100.0),
        is_kept: worst <= 1.0,
    }
}

/// The monitors arrive over one interval between two tries, not at one moment.
fn arrivals_are_spread(run: &Run) -> Judgement {
    let is_arrival = |it: &&DirectConnect| {
        it.purpose == DirectPurpose::Monitor
            && it.answer == DirectAnswer::Accepted
            && it.at >= run.accepts_at
    };
    let arrivals = run.connects.iter().filter(is_arrival);
    let arrivals: Vec<Duration> = arrivals.map(|it| it.at).collect();
    let interval = last_interval(run).max(SLOT);
    let even = run.processes as f64 * SLOT.as_secs_f64() / interval.as_secs_f64();
    let allowed = by_chance(even).min(run.processes as f64);
    let most = fullest(&arrivals, SLOT);
    Judgement {
        bound: format!(
            "monitors that log in within 10 ms: at most {allowed:.0}, as each tries every {} ms then",
            last_interval(run).as_millis()
        ),
        measured: most.to_string(),
        is_kept: most as f64 <= allowed,
    }
}

/// How far apart a process' last two tries were before the instance let it in, on average.
fn last_interval(run: &Run) -> Duration {
    let gaps: Vec<Duration> = by_process(run)
        .into_values()
        .filter_map(|connects| {
            let tries = connects.into_iter().filter(is_try);
            let mut tries = tries.map(|it| it.at).rev();
            let (last, before) = (tries.next()?, tries.next()?);
            Some(last - before)
        })
        .collect();
    let count = u32::try_from(gaps.len()).unwrap_or(u32::MAX).max(1);
    gaps.iter().sum::<Duration>() / count
}

/// What was opened together does not end, nor repeat itself, together.
fn no_echo(run: &Run) -> Judgement {
    let echo = run
        .connects
        .iter()
        .filter(|it| it.at >= run.accepts_at + ECHO_AFTER);
    let echo: Vec<Duration> = echo.map(|it| it.at).collect();
    let most = fullest(&echo, SLOT * 10);
    let allowed = by_chance(run.processes as f64 * ECHO_SHARE);
    Judgement {
        bound: format!(
            "connects within 100 ms, from {ECHO_AFTER:?} after the promotion on: at most {allowed:.0}"
        ),
        measured: most.to_string(),
        is_kept: most as f64 <= allowed,
    }
}
