//! What happened, as pictures, as one line, and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use aurora_driver::sim::{LedgerEntry, Promotion};
use aurora_driver::{Event, InstanceId};
use serde_json::json;

use crate::load::{Notes, Tally};

const BUCKET: Duration = Duration::from_millis(100);
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LINE_WIDTH: usize = 80;

/// All that is known of one run.
pub(crate) struct Evidence<'a> {
    pub(crate) engine: &'static str,
    pub(crate) fault: &'static str,
    /// How long the simulated cluster took to start.
    pub(crate) started_in: Duration,
    /// The fault on the wall clock, which the driver's events carry.
    pub(crate) fault_wall: SystemTime,
    pub(crate) old_writer: InstanceId,
    pub(crate) tally: &'a Tally,
    pub(crate) promotion: &'a Promotion,
    pub(crate) ledger: &'a [LedgerEntry],
    pub(crate) events: &'a [Event],
}

/// The verdict over one run.
pub(crate) struct Report {
    engine: &'static str,
    fault: &'static str,
    started_in: Duration,
    acknowledged: usize,
    lost: usize,
    duplicated: usize,
    unknown: usize,
    reads: u64,
    reads_failed: u64,
    gap: Duration,
    promoted_after: Duration,
    added: f64,
    /// Milliseconds after the fault, and what happened.
    story: Vec<(f64, String)>,
    writes_per_bucket: Vec<usize>,
    fault_bucket: usize,
}

impl Report {
    pub(crate) fn new(evidence: &Evidence<'_>) -> Self {
        let Evidence {
            tally, promotion, ..
        } = evidence;
        let notes = tally.notes();
        let applied = count_applied(evidence.ledger);
        let lost = notes
            .acknowledged
            .iter()
            .filter(|(number, ..)| !applied.contains_key(number))
            .count();
        let last_before = notes
            .acknowledged
            .iter()
            .filter(|(_, _, instance)| *instance == evidence.old_writer)
            .map(|(_, at, _)| *at)
            .max();
        let first_after = notes
            .acknowledged
            .iter()
            .filter(|(_, at, instance)| *instance == promotion.instance && *at > promotion.fault_at)
            .map(|(_, at, _)| *at)
            .min();
        let first_after = first_after.unwrap_or(Duration::MAX);
        Self {
            engine: evidence.engine,
            fault: evidence.fault,
            started_in: evidence.started_in,
            acknowledged: notes.acknowledged.len(),
            lost,
            duplicated: applied.values().filter(|times| **times > 1).count(),
            unknown: notes.unknown.len(),
            reads: tally.reads(),
            reads_failed: tally.reads_failed(),
            gap: first_after.saturating_sub(last_before.unwrap_or_default()),
            promoted_after: promotion.accepting_at.saturating_sub(promotion.fault_at),
            added: millis(first_after) - millis(promotion.accepting_at),
            story: tell(evidence, &notes, first_after),
            writes_per_bucket: histogram(&notes),
            fault_bucket: bucket_of(promotion.fault_at),
        }
    }

    /// Nothing acknowledged is missing, nothing was applied twice, and writing went on.
    pub(crate) fn is_correct(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.gap < Duration::MAX / 2
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let story: Vec<_> = self
            .story
            .iter()
            .map(|(at, what)| json!({ "at_ms": round(*at), "what": what }))
            .collect();
        json!({
            "engine": self.engine,
            "fault": self.fault,
            "started_in_ms": round(millis(self.started_in)),
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "unknown": self.unknown,
            "reads": self.reads,
            "reads_failed": self.reads_failed,
            "gap_ms": round(millis(self.gap)),
            "promoted_after_ms": round(millis(self.promoted_after)),
            "added_ms": round(self.added),
            "timeline": story,
            "writes_per_100_ms": self.writes_per_bucket,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the simulated cluster started in {:.1} ms\n",
            millis(self.started_in)
        )?;
        writeln!(f, "timeline (milliseconds after the fault)")?;
        for (at, what) in &self.story {
            writeln!(f, "  {at:>9.1}  {what}")?;
        }
        writeln!(f, "\nwrites acknowledged per 100 ms (the fault at ^)")?;
        self.draw_writes(f)?;
        writeln!(
            f,
            "\nresult: engine={} fault={} acknowledged={} lost={} duplicated={} unknown={} \
             reads_failed={} gap_ms={:.1} promoted_after_ms={:.1} added_ms={:.1}",
            self.engine,
            self.fault,
            self.acknowledged,
            self.lost,
            self.duplicated,
            self.unknown,
            self.reads_failed,
            millis(self.gap),
            millis(self.promoted_after),
            self.added,
        )
    }
}

impl Report {
    fn draw_writes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.writes_per_bucket.iter().max().copied().unwrap_or(0);
        let per_line = LINE_WIDTH;
        for (line, buckets) in self.writes_per_bucket.chunks(per_line).enumerate() {
            let bars: String = buckets.iter().map(|count| bar(*count, most)).collect();
            writeln!(f, "  {bars}")?;
            if let Some(column) = self.fault_bucket.checked_sub(line * per_line)
                && column < per_line
            {
                writeln!(f, "  {:>width$}", '^', width = column + 1)?;
            }
        }
        writeln!(f, "  the fullest bar is {most} writes")
    }
}

fn bar(count: usize, most: usize) -> char {
    match (count * BARS.len()).checked_div(most) {
        None | Some(0) if count == 0 => '·',
        None => '·',
        Some(height) => BARS[height.clamp(1, BARS.len()) - 1],
    }
}

/// How often each number was applied, by the ledger.
fn count_applied(ledger: &[LedgerEntry]) -> BTreeMap<i64, usize> {
    let mut applied = BTreeMap::new();
    for entry in ledger {
        if !entry.statement.starts_with("INSERT INTO numbers") {
            continue;
        }
        for number in entry.parameters.iter().filter_map(|value| value.as_i64()) {
            *applied.entry(number).or_default() += 1;
        }
    }
    applied
}

fn histogram(notes: &Notes) -> Vec<usize> {
    let last = notes.acknowledged.iter().map(|(_, at, _)| *at).max();
    let mut counts = vec![0; last.map_or(0, |last| bucket_of(last) + 1)];
    for (_, at, _) in &notes.acknowledged {
        counts[bucket_of(*at)] += 1;
    }
    counts
}

fn bucket_of(at: Duration) -> usize {
    usize::try_from(at.as_millis() / BUCKET.as_millis()).unwrap_or(usize::MAX)
}

fn tell(evidence: &Evidence<'_>, notes: &Notes, first_after: Duration) -> Vec<(f64, String)> {
    let Evidence {
        promotion,
        fault_wall,
        ..
    } = evidence;
    let on_simulators_clock = |at: Duration| millis(at) - millis(promotion.fault_at);
    let on_wall_clock = |at: SystemTime| match at.duration_since(*fault_wall) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    };
    let mut story = vec![
        (
            0.0,
            format!("fault: {} of {}", evidence.fault, evidence.old_writer),
        ),
        (
            on_simulators_clock(promotion.accepting_at),
            format!(
                "simulator: {} is the writer and accepts connections",
                promotion.instance
            ),
        ),
        (
            on_simulators_clock(first_after),
            format!(
                "application: first write acknowledged by {}",
                promotion.instance
            ),
        ),
    ];
    if let Some((at, error)) = &notes.first_error {
        story.push((
            on_wall_clock(*at),
            format!("application: first failed write: {error}"),
        ));
    }
    let told = evidence
        .events
        .iter()
        .filter(|event| event.at >= *fault_wall);
    story.extend(told.map(|event| (on_wall_clock(event.at), format!("driver: {}", event.kind))));
    story.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    story
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

fn round(millis: f64) -> f64 {
    (millis * 10.0).round() / 10.0
}
