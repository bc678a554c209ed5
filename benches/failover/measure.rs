//! From a client's notes, the storage's ledger and the cluster's own times to the numbers of one run.
//! Pure: all times are microseconds since 1970.

use std::collections::BTreeMap;

use anyhow::Context;

/// One bar of the timelines.
pub(crate) const BUCKET_MICROS: u64 = 50_000;

/// So much of the time before the fault is drawn.
pub(crate) const BEFORE_MICROS: u64 = 500_000;

/// Each task makes a call every 5 ms, so so soon after the fault each has met it.
const CAUGHT_MICROS: u64 = 10_000;

/// What a client noted.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) writes: Vec<Call>,
    pub(crate) reads: Vec<Call>,
    /// The driver's events: when, which, and in words.
    pub(crate) events: Vec<(u64, String, String)>,
}

/// One call of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: i64,
    pub(crate) began: u64,
    /// When its statement went out; none if it never got a connection.
    pub(crate) sent: Option<u64>,
    /// None if it still hung when the load was stopped.
    pub(crate) ended: Option<u64>,
    /// `ok`, or how it failed.
    pub(crate) result: String,
}

impl Call {
    fn acknowledged(&self) -> Option<u64> {
        self.ended.filter(|_| self.result == "ok")
    }
}

impl Notes {
    /// Takes in a line: `w NUMBER BEGAN SENT ENDED RESULT`, `r` likewise, or `e AT NAME WORDS`.
    pub(crate) fn read(&mut self, line: &str) -> anyhow::Result<()> {
        let note = self.note(line);
        note.with_context(|| format!("not a note: {line}"))
    }

    fn note(&mut self, line: &str) -> anyhow::Result<()> {
        let mut words = line.split(' ');
        let mut next = || words.next().context("too short");
        let kind = next()?;
        if kind == "e" {
            let (at, name) = (next()?.parse()?, next()?.to_owned());
            self.events
                .push((at, name, words.collect::<Vec<_>>().join(" ")));
            return Ok(());
        }
        let optional = |word: &str| match word {
            "-" => anyhow::Ok(None),
            micros => Ok(Some(micros.parse()?)),
        };
        let call = Call {
            number: next()?.parse()?,
            began: next()?.parse()?,
            sent: optional(next()?)?,
            ended: optional(next()?)?,
            result: next()?.to_owned(),
        };
        match kind {
            "w" => self.writes.push(call),
            "r" => self.reads.push(call),
            _ => anyhow::bail!("an unknown kind"),
        }
        Ok(())
    }
}

/// What the cluster itself knows of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    pub(crate) fault_at: u64,
    /// When the cluster was able to serve again: the promoted instance accepted, or the network was
    /// healed. None where only a reader was lost.
    pub(crate) able_at: Option<u64>,
    /// When the wait for the client ended.
    pub(crate) given_up_at: u64,
    /// For each number which instance applied it, once for each time.
    pub(crate) applied: BTreeMap<i64, Vec<String>>,
    /// The instance that took writes before the fault.
    pub(crate) old_writer: String,
    /// Whether another one took its place.
    pub(crate) promotes: bool,
    pub(crate) connects: u64,
    pub(crate) logins: u64,
}

/// The numbers of one run; times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Run {
    /// From when the cluster was able to serve to the first call that it acknowledged.
    pub(crate) added: Option<f64>,
    /// From the last acknowledgement before to the first after; none if there was none after.
    pub(crate) gap: Option<f64>,
    /// From the fault to the promotion or the healing.
    pub(crate) able_after: Option<f64>,
    /// From the fault, or the last acknowledgement if that came later, until the last call that it caught
    /// had ended; none if one still hung.
    pub(crate) calls_ended: Option<f64>,
    /// How many calls the fault caught: sent to what was lost, and not acknowledged by it.
    pub(crate) caught: usize,
    /// How long the client was waited for.
    pub(crate) waited: f64,
    /// How calls failed from the fault on, and how often.
    pub(crate) errors: BTreeMap<String, usize>,
    pub(crate) connects: u64,
    pub(crate) logins: u64,
    pub(crate) acknowledged: usize,
    pub(crate) lost: usize,
    pub(crate) duplicated: usize,
    /// Acknowledged calls per bucket, from half a second before the fault.
    pub(crate) timeline: Vec<u32>,
    /// What the driver told from the fault on, each with its time after it.
    pub(crate) story: Vec<(f64, String)>,
}

impl Run {
    pub(crate) fn is_correct(&self) -> bool {
        self.lost == 0 && self.duplicated == 0
    }
}

/// Takes the measure of one run. Where only a reader was lost its reads are looked at, otherwise its
/// writes.
pub(crate) fn measure(notes: &Notes, truth: &Truth) -> Run {
    let calls = match truth.able_at {
        Some(_) => &notes.writes,
        None => &notes.reads,
    };
    let acknowledged = |call: &Call| call.acknowledged();
    let mut ends: Vec<u64> = calls.iter().filter_map(acknowledged).collect();
    ends.sort_unstable();
    let (last_before, first_after) = match truth.able_at {
        Some(able_at) => around(calls, truth, able_at),
        None => (None, None),
    };
    let gap = match truth.able_at {
        Some(_) => last_before
            .zip(first_after)
            .map(|(last, first)| millis(last, first)),
        None => longest_pause(&ends, truth),
    };
    // In a planned failover the old writer goes on for a while after the request.
    let struck_at = last_before
        .filter(|_| truth.promotes)
        .map_or(truth.fault_at, |last| last.max(truth.fault_at));
    let caught: Vec<&Call> = calls
        .iter()
        .filter(|call| is_caught(call, struck_at))
        .collect();
    let last = caught
        .iter()
        .map(|call| call.ended)
        .max_by_key(|ended| ended.unwrap_or(u64::MAX));
    let calls_ended = last.flatten().map(|ended| millis(struck_at, ended));
    let numbers = notes
        .writes
        .iter()
        .filter(|call| acknowledged(call).is_some());
    Run {
        added: truth
            .able_at
            .zip(first_after)
            .map(|(able, first)| millis(able, first)),
        gap,
        able_after: truth.able_at.map(|able| millis(truth.fault_at, able)),
        calls_ended: calls_ended.or(caught.is_empty().then_some(0.0)),
        caught: caught.len(),
        waited: millis(truth.fault_at, truth.given_up_at),
        errors: errors(notes, truth.fault_at),
        connects: truth.connects,
        logins: truth.logins,
        acknowledged: numbers.clone().count(),
        lost: numbers
            .filter(|call| !truth.applied.contains_key(&call.number))
            .count(),
        duplicated: truth.applied.values().filter(|by| by.len() > 1).count(),
        timeline: timeline(&ends, truth),
        story: story(notes, truth.fault_at),
    }
}

fn story(notes: &Notes, fault_at: u64) -> Vec<(f64, String)> {
    let events = notes.events.iter();
    let events = events.map(|(at, _, words)| (millis(fault_at, *at), words.clone()));
    events.filter(|(after, _)| *after >= 0.0).collect()
}

/// The last acknowledgement before the outage and the first after it. Which instance acknowledged a
/// write, the ledger says.
fn around(calls: &[Call], truth: &Truth, able_at: u64) -> (Option<u64>, Option<u64>) {
    let by_old = |call: &Call| {
        let by = truth.applied.get(&call.number).and_then(|by| by.first());
        by.is_some_and(|instance| *instance == truth.old_writer)
    };
    let ends = |wanted: &dyn Fn(&Call, u64) -> bool| -> Vec<u64> {
        let ends = calls
            .iter()
            .filter_map(|call| Some((call, call.acknowledged()?)));
        ends.filter(|(call, at)| wanted(call, *at))
            .map(|(_, at)| at)
            .collect()
    };
    let (before, after) = if truth.promotes {
        (
            // An answer that was long there and taken late is none of the time before.
            ends(&|call, at| by_old(call) && at <= able_at),
            ends(&|call, at| !by_old(call) && at > truth.fault_at),
        )
    } else {
        (
            // What was on its way when the network was cut is acknowledged after the healing.
            ends(&|_, at| at <= able_at),
            ends(&|_, at| at > able_at),
        )
    };
    (before.into_iter().max(), after.into_iter().min())
}

/// The longest time without an acknowledgement from the fault on; none if there was none any more.
fn longest_pause(ends: &[u64], truth: &Truth) -> Option<f64> {
    let last = *ends.last()?;
    let pauses = ends.windows(2).filter(|pair| pair[1] >= truth.fault_at);
    let longest = pauses
        .map(|pair| millis(pair[0], pair[1]))
        .max_by(f64::total_cmp);
    longest.filter(|_| last > truth.fault_at)
}

/// It was sent to what was lost, and did not come back in time.
fn is_caught(call: &Call, struck_at: u64) -> bool {
    let was_sent = call
        .sent
        .is_some_and(|sent| sent <= struck_at + CAUGHT_MICROS);
    let outlived = call.ended.is_none_or(|ended| ended > struck_at);
    was_sent && outlived && call.result != "ok"
}

fn errors(notes: &Notes, fault_at: u64) -> BTreeMap<String, usize> {
    let mut errors = BTreeMap::new();
    for call in notes.writes.iter().chain(&notes.reads) {
        let after = call.ended.is_none_or(|ended| ended >= fault_at);
        if call.result != "ok" && after {
            *errors.entry(call.result.clone()).or_default() += 1;
        }
    }
    errors
}

fn timeline(ends: &[u64], truth: &Truth) -> Vec<u32> {
    let start = truth.fault_at - BEFORE_MICROS;
    let mut counts = Vec::new();
    for end in ends.iter().filter(|end| **end >= start) {
        let Ok(bucket) = usize::try_from((end - start) / BUCKET_MICROS) else {
            continue;
        };
        if counts.len() <= bucket {
            counts.resize(bucket + 1, 0);
        }
        counts[bucket] += 1;
    }
    counts
}

fn millis(from: u64, to: u64) -> f64 {
    let micros = i64::try_from(to).unwrap_or(i64::MAX) - i64::try_from(from).unwrap_or(i64::MAX);
    micros as f64 / 1_000.0
}
