//! What must hold after every trial: each invariant is a small function with a name of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aurora_driver::ErrorKind;

use super::evidence::Evidence;
use super::history::{Call, Fate, HandOut, Intent, Phase};
use super::run::RECOVERY_LIMIT;
use super::{alarms, reigns, traffic};

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    /// The first thing that breaks it.
    pub(crate) what: String,
}

type Check = fn(&Evidence) -> Result<(), String>;

/// All invariants, by name.
pub(crate) const INVARIANTS: [(&str, Check); 28] = [
    ("an acknowledged write is applied", acknowledged_is_applied),
    ("nothing is applied twice", nothing_is_applied_twice),
    (
        "what is said not to be applied is not",
        denied_is_not_applied,
    ),
    (
        "a connection for writes leads to the writer",
        writes_go_to_the_writer,
    ),
    (
        "a read goes to a reader while one serves",
        reads_go_to_readers,
    ),
    (
        "a read goes to no reader that lags too much",
        reads_respect_the_lag,
    ),
    (
        "no connection of an old generation is handed out",
        no_old_generation,
    ),
    (
        "no connection with an open transaction is handed out",
        no_open_transaction,
    ),
    ("no call gets the answer of another", no_answers_cross),
    ("the epoch never goes back", epochs_grow),
    (
        "no writer of an earlier promotion is confirmed again",
        reigns::confirmed_in_order,
    ),
    (
        "no write goes back to the writer of an earlier promotion",
        reigns::written_in_order,
    ),
    ("a new writer is found soon", reigns::found_soon),
    ("no reader takes a write", reigns::taken_by_the_writer),
    ("a checkout ends by its deadline", checkouts_end_in_time),
    ("no call hangs", no_call_hangs),
    (
        "calls on an instance that falls silent end soon",
        alarms::silence_ends_calls,
    ),
    (
        "calls on a writer that is replaced end at once",
        alarms::demotion_ends_calls,
    ),
    (
        "nobody is condemned while all is well",
        alarms::nobody_is_condemned_in_health,
    ),
    (
        "a closure is run five times at most",
        closures_run_within_bounds,
    ),
    (
        "closures are repeated within a budget",
        repetitions_are_paid_for,
    ),
    ("connections are within bounds", traffic::connections),
    (
        "the pools' handshakes are within bounds",
        traffic::handshakes_of_pools,
    ),
    (
        "the monitor makes one login at a time",
        traffic::logins_of_monitor,
    ),
    (
        "the monitor tries who refuses within its budget",
        traffic::attempts_of_monitor,
    ),
    (
        "the pools try who refuses within bounds",
        traffic::attempts_of_pools,
    ),
    ("once all is healed all calls succeed", healed_calls_succeed),
    ("nothing is left running after close", nothing_is_left),
];

/// The invariants that did not hold.
pub(crate) fn violations(evidence: &Evidence) -> Vec<Violation> {
    let broken = INVARIANTS.iter().filter_map(|(invariant, check)| {
        let what = check(evidence).err()?;
        Some(Violation { invariant, what })
    });
    broken.collect()
}

fn applied(evidence: &Evidence) -> BTreeMap<u64, usize> {
    let mut applied = BTreeMap::new();
    for write in &evidence.ledger {
        *applied.entry(write.key).or_default() += 1;
    }
    applied
}

pub(super) fn none_or<T>(
    found: Option<T>,
    describe: impl FnOnce(T) -> String,
) -> Result<(), String> {
    match found {
        Some(found) => Err(describe(found)),
        None => Ok(()),
    }
}

fn acknowledged_is_applied(evidence: &Evidence) -> Result<(), String> {
    let applied = applied(evidence);
    let lost = evidence.fates.iter().find(|(key, fate)| {
        matches!(fate, Fate::Acknowledged | Fate::Applied) && !applied.contains_key(key)
    });
    none_or(lost, |(key, fate)| {
        format!("key {key} is {fate:?} and not in the ledger")
    })
}

fn nothing_is_applied_twice(evidence: &Evidence) -> Result<(), String> {
    let applied = applied(evidence);
    let twice = applied.into_iter().find(|(_, times)| *times > 1);
    none_or(twice, |(key, times)| {
        format!("key {key} is in the ledger {times} times")
    })
}

fn denied_is_not_applied(evidence: &Evidence) -> Result<(), String> {
    let applied = applied(evidence);
    let denied = |key: &&u64| match evidence.fates.get(key) {
        Some(Fate::NotSent | Fate::Rejected) | None => true,
        Some(Fate::Acknowledged | Fate::Applied | Fate::Unknown) => false,
    };
    none_or(applied.keys().find(denied), |key| {
        format!(
            "key {key} is in the ledger, its writer was told {:?}",
            evidence.fates.get(key)
        )
    })
}

fn hand_out(
    evidence: &Evidence,
    intent: Intent,
    is_wrong: impl Fn(&HandOut) -> bool,
) -> Result<(), String> {
    let mut hand_outs = evidence.hand_outs.iter();
    none_or(
        hand_outs.find(|it| it.intent == intent && is_wrong(it)),
        describe,
    )
}

fn describe(hand_out: &HandOut) -> String {
    format!(
        "at {:?} {} was handed out to {:?}, of generation {} where {:?} is known{}; the writer was {:?}, the readers {:?}",
        hand_out.at,
        hand_out.instance,
        hand_out.intent,
        hand_out.generation,
        hand_out.known_generation,
        if hand_out.is_in_transaction {
            ", with an open transaction"
        } else {
            ""
        },
        hand_out.writer,
        hand_out.readers,
    )
}

fn writes_go_to_the_writer(evidence: &Evidence) -> Result<(), String> {
    hand_out(evidence, Intent::Write, |it| {
        it.writer.as_ref() != Some(&it.instance)
    })
}

/// The readers that a read may go to.
fn fresh<'a>(evidence: &Evidence, hand_out: &'a HandOut) -> Vec<&'a str> {
    let most = evidence.plan.driver.max_reader_lag_ms;
    let most = most.map(Duration::from_millis);
    let readers = hand_out.readers.iter();
    readers
        .filter(|(_, lag)| most.is_none_or(|most| lag.is_none_or(|lag| lag <= most)))
        .map(|(reader, _)| reader.as_str())
        .collect()
}

fn reads_go_to_readers(evidence: &Evidence) -> Result<(), String> {
    hand_out(evidence, Intent::Read, |it| {
        it.writer.as_ref() == Some(&it.instance) && !fresh(evidence, it).is_empty()
    })
}

fn reads_respect_the_lag(evidence: &Evidence) -> Result<(), String> {
    hand_out(evidence, Intent::Read, |it| {
        it.writer.as_ref() != Some(&it.instance)
            && !fresh(evidence, it).contains(&it.instance.as_str())
    })
}

fn no_old_generation(evidence: &Evidence) -> Result<(), String> {
    let mut hand_outs = evidence.hand_outs.iter();
    let old = hand_outs.find(|it| {
        it.is_outdated
            || it
                .known_generation
                .is_some_and(|known| known != it.generation)
    });
    none_or(old, describe)
}

fn no_open_transaction(evidence: &Evidence) -> Result<(), String> {
    let mut hand_outs = evidence.hand_outs.iter();
    none_or(hand_outs.find(|it| it.is_in_transaction), describe)
}

fn no_answers_cross(evidence: &Evidence) -> Result<(), String> {
    none_or(
        (evidence.answers_crossed > 0).then_some(evidence.answers_crossed),
        |count| format!("{count} calls got the answer of another"),
    )
}

fn epochs_grow(evidence: &Evidence) -> Result<(), String> {
    let mut last = BTreeMap::<usize, u64>::new();
    for (handle, epoch) in &evidence.epochs {
        let before = last.insert(*handle, *epoch).unwrap_or_default();
        if *epoch < before {
            return Err(format!(
                "handle {handle} went from epoch {before} back to {epoch}"
            ));
        }
    }
    Ok(())
}

/// Timers are no finer, and a call may meet its end in the same moment as another.
const DEADLINE_SLACK: Duration = Duration::from_millis(5);

fn is_checkout(call: &Call) -> bool {
    matches!(call.what, "writer()" | "reader()")
}

/// Whether it may be several checkouts and statements.
fn is_closure(call: &Call) -> bool {
    matches!(call.what, "write()" | "read()" | "transaction()")
}

/// How long a call took while its process ran.
pub(super) fn length(evidence: &Evidence, call: &Call) -> Duration {
    let stood_still = evidence.pauses.iter().map(|(from, until)| {
        let (from, until) = (call.began.max(*from), call.ended.min(*until));
        until.saturating_sub(from)
    });
    (call.ended - call.began).saturating_sub(stood_still.sum())
}

fn checkouts_end_in_time(evidence: &Evidence) -> Result<(), String> {
    let most = Duration::from_millis(evidence.plan.driver.checkout_timeout_ms) + DEADLINE_SLACK;
    let mut checkouts = evidence.calls.iter().filter(|call| is_checkout(call));
    none_or(
        checkouts.find(|call| length(evidence, call) > most),
        |call| format!("{} took {:?}: {call:?}", call.what, length(evidence, call)),
    )
}

/// The longest that a statement may be without an answer: an instance that is silent must be
/// found out by then.
const CALL_LIMIT: Duration = Duration::from_secs(9);

/// The most statements of one run of a closure: BEGIN, three writes, COMMIT, and a rollback.
const STATEMENTS_OF_CLOSURE_MAX: u32 = 6;

fn no_call_hangs(evidence: &Evidence) -> Result<(), String> {
    if !evidence.callers_ended {
        return Err("some caller did not come to its end".to_owned());
    }
    // No attempt of a closure begins after the deadline of a checkout.
    let checkout = Duration::from_millis(evidence.plan.driver.checkout_timeout_ms);
    let limit = |call: &Call| match is_closure(call) {
        true => checkout + CALL_LIMIT * STATEMENTS_OF_CLOSURE_MAX,
        false => CALL_LIMIT,
    };
    let mut statements = evidence.calls.iter().filter(|call| !is_checkout(call));
    none_or(
        statements.find(|call| length(evidence, call) > limit(call)),
        |call| format!("{} took {:?}: {call:?}", call.what, length(evidence, call)),
    )
}

fn healed_calls_succeed(evidence: &Evidence) -> Result<(), String> {
    if evidence.plan.close_under_faults {
        return Ok(());
    }
    let Some(whole_at) = evidence.whole_at else {
        return Err("the cluster never became whole".to_owned());
    };
    let callers = evidence.plan.load.callers();
    let driver = &evidence.plan.driver;
    // Where more want a connection than there are, some may be turned away.
    let is_crowded =
        callers.div_ceil(driver.handles) > driver.pool_max || driver.max_waiting < callers;
    let mut failed = evidence.calls.iter().filter(|call| {
        let turned_away = call
            .error
            .as_ref()
            .is_some_and(|(kind, _, _)| matches!(kind, ErrorKind::Overloaded | ErrorKind::Timeout));
        let is_alone = call.began_in == Phase::Alone;
        call.error.is_some()
            && (is_alone || call.began_in == Phase::Healthy)
            && !(turned_away && !is_alone && (is_crowded || met_a_pause(evidence, call)))
    });
    none_or(failed.next(), |call| {
        format!(
            "more than {RECOVERY_LIMIT:?} after the cluster was whole at {whole_at:?}: {call:?}"
        )
    })
}

/// Whether it is of a time in which the process stood still, so that its patience was at its end
/// before anything could be done.
fn met_a_pause(evidence: &Evidence, call: &Call) -> bool {
    let mut pauses = evidence.pauses.iter();
    pauses.any(|(from, until)| call.began < *until && call.ended >= *from)
}

fn closures_run_within_bounds(evidence: &Evidence) -> Result<(), String> {
    let mut runs = evidence.runs.iter();
    none_or(runs.find(|(_, runs)| *runs > RUNS_MAX), |(handle, runs)| {
        format!("one of handle {handle} was run {runs} times")
    })
}

/// How often a closure is run at most.
const RUNS_MAX: u32 = 5;

/// How many repetitions a handle's closures may have besides one for every five of them.
const REPETITIONS_SAVED: usize = 100;

fn repetitions_are_paid_for(evidence: &Evidence) -> Result<(), String> {
    let mut counts = BTreeMap::<usize, (usize, usize)>::new();
    for (handle, runs) in &evidence.runs {
        let (closures, repetitions) = counts.entry(*handle).or_default();
        *closures += 1;
        *repetitions += usize::try_from(runs.saturating_sub(1)).unwrap_or(usize::MAX);
    }
    let too_many = counts
        .iter()
        .find(|(_, (closures, repetitions))| *repetitions > closures / 5 + REPETITIONS_SAVED);
    none_or(too_many, |(handle, (closures, repetitions))| {
        format!("{closures} of handle {handle} were repeated {repetitions} times")
    })
}

fn nothing_is_left(evidence: &Evidence) -> Result<(), String> {
    if let Some(report) = evidence.closed.iter().find(|report| !report.is_clean()) {
        return Err(format!("{report:?}"));
    }
    if evidence.tasks_left > 0 {
        return Err(format!("{} tasks are still alive", evidence.tasks_left));
    }
    let open: BTreeSet<&str> = evidence
        .connects
        .iter()
        .filter(|connect| connect.ended_at.is_none())
        .map(|connect| connect.instance.as_str())
        .collect();
    match open.is_empty() {
        true => Ok(()),
        false => Err(format!("connections are still open at {open:?}")),
    }
}
