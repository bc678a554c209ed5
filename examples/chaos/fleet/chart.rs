//! What an instance saw, drawn: bars in the terminal, an SVG picture, and the numbers as JSON.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use aurora_driver::sim::direct::{DirectAnswer, DirectConnect, DirectPurpose};
use serde::Serialize;

use super::Run;

const SLOT_MS: u64 = 100;
/// How much is drawn before the crash.
const LEAD_MS: u64 = 500;
/// How many bars fit into a line of a terminal.
const LINE_BARS: usize = 100;
const EIGHTHS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What happened in a slot.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Slot {
    /// Since the crash.
    at_ms: i64,
    /// Attempts that were turned away: the port was closed, or the engine starting.
    turned_away: usize,
    monitor_logins: usize,
    pool_logins: usize,
}

#[derive(Debug, Serialize)]
struct Drawn<'a> {
    timeline: &'a str,
    processes: usize,
    promoted: &'a str,
    /// Since the crash.
    accepts_at_ms: u64,
    slot_ms: u64,
    slots: Vec<Slot>,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn add(slot: &mut Slot, connect: &DirectConnect) {
    match (connect.answer, connect.purpose) {
        (DirectAnswer::Accepted, DirectPurpose::Pool) => slot.pool_logins += 1,
        (DirectAnswer::Accepted, _) => slot.monitor_logins += 1,
        _ => slot.turned_away += 1,
    }
}

fn drawn(run: &Run) -> Drawn<'_> {
    let from = millis(run.crashed_at).saturating_sub(LEAD_MS);
    let until = millis(run.accepts_at + super::AFTER);
    let count = usize::try_from((until - from) / SLOT_MS).unwrap_or_default();
    let mut slots = vec![Slot::default(); count];
    for (number, slot) in slots.iter_mut().enumerate() {
        slot.at_ms = number as i64 * SLOT_MS as i64 - LEAD_MS as i64;
    }
    for connect in &run.connects {
        let slot = millis(connect.at).checked_sub(from).map(|at| at / SLOT_MS);
        let slot = slot.and_then(|slot| slots.get_mut(usize::try_from(slot).ok()?));
        if let Some(slot) = slot {
            add(slot, connect);
        }
    }
    Drawn {
        timeline: run.name,
        processes: run.processes,
        promoted: run.promoted.as_str(),
        accepts_at_ms: millis(run.accepts_at - run.crashed_at),
        slot_ms: SLOT_MS,
        slots,
    }
}

fn bars(line: &[Slot], most: usize, count: fn(&Slot) -> usize) -> String {
    let bar = |slot| EIGHTHS[(count(slot) * 8).div_ceil(most.max(1)).min(8)];
    line.iter().map(bar).collect()
}

/// One row of bars for the attempts that were turned away, one for the logins.
pub(super) fn in_terminal(run: &Run) -> String {
    let drawn = drawn(run);
    let turned: fn(&Slot) -> usize = |slot| slot.turned_away;
    let logins: fn(&Slot) -> usize = |slot| slot.monitor_logins + slot.pool_logins;
    let [most_turned, most_logins] =
        [turned, logins].map(|count| drawn.slots.iter().map(count).max().unwrap_or_default());
    let mut text = format!(
        "\n{} processes, timeline {}: {} crash at 0, {} accepts at {} ms; per {SLOT_MS} ms:\n",
        run.processes, run.name, "the writer's", run.promoted, drawn.accepts_at_ms,
    );
    for line in drawn.slots.chunks(LINE_BARS) {
        let start = line.first().map_or(0, |slot| slot.at_ms);
        let turned = bars(line, most_turned, turned);
        let logins = bars(line, most_logins, logins);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {start:>6} ms  turned away {turned}");
        let _ = writeln!(text, "             logins      {logins}");
    }
    let _ = write!(
        text,
        "  the fullest bars are {most_turned} attempts and {most_logins} logins; {} writes",
        run.writes
    );
    text
}

const WIDTH: f64 = 960.0;
const PANEL: f64 = 240.0;
const MARGIN: f64 = 50.0;
const COLOURS: [(&str, &str); 3] = [
    ("turned away", "#b8b8b8"),
    ("logins of monitors", "#2f6fb5"),
    ("logins of pools", "#e08a1e"),
];

/// The picture, and the numbers behind it.
pub(super) fn write(runs: &[Run]) -> anyhow::Result<Vec<PathBuf>> {
    let directory = PathBuf::from("target/chaos");
    std::fs::create_dir_all(&directory)?;
    let drawn: Vec<Drawn<'_>> = runs.iter().map(drawn).collect();
    let (json, svg) = (directory.join("fleet.json"), directory.join("fleet.svg"));
    std::fs::write(&json, serde_json::to_string_pretty(&drawn)?)?;
    std::fs::write(&svg, picture(&drawn))?;
    Ok(vec![json, svg])
}

fn picture(runs: &[Drawn<'_>]) -> String {
    let height = PANEL * runs.len() as f64 + 20.0;
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' \
         font-family='sans-serif' font-size='11'>\n<rect width='100%' height='100%' fill='white'/>\n"
    );
    for (number, run) in runs.iter().enumerate() {
        panel(&mut svg, run, PANEL * number as f64);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, run: &Drawn<'_>, top: f64) {
    let parts = |slot: &Slot| [slot.turned_away, slot.monitor_logins, slot.pool_logins];
    let sums = run
        .slots
        .iter()
        .map(|slot| parts(slot).iter().sum::<usize>());
    let most = sums.max().unwrap_or(1).max(1) as f64;
    let (floor, tall) = (top + PANEL - 30.0, PANEL - 70.0);
    let wide = (WIDTH - MARGIN * 2.0) / run.slots.len().max(1) as f64;
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<text x='{MARGIN}' y='{}'>{} processes, timeline {}: what {} sees per {} ms (fullest {most})</text>",
        top + 20.0,
        run.processes,
        run.timeline,
        run.promoted,
        run.slot_ms,
    );
    for (number, slot) in run.slots.iter().enumerate() {
        let (x, mut y) = (MARGIN + wide * number as f64, floor);
        for (count, (_, colour)) in parts(slot).into_iter().zip(COLOURS) {
            let high = count as f64 / most * tall;
            y -= high;
            if count > 0 {
                let _ = writeln!(
                    svg,
                    "<rect x='{x:.1}' y='{y:.1}' width='{:.2}' height='{high:.1}' fill='{colour}'/>",
                    wide * 0.9
                );
            }
        }
        if slot.at_ms % 5_000 == 0 {
            let _ = writeln!(
                svg,
                "<text x='{x:.1}' y='{}'>{} s</text>",
                floor + 14.0,
                slot.at_ms / 1_000
            );
        }
    }
    let lead = LEAD_MS as f64;
    for (label, at) in [("crash", 0.0), ("accepts", run.accepts_at_ms as f64)] {
        let x = MARGIN + (at + lead) / run.slot_ms as f64 * wide;
        let _ = writeln!(
            svg,
            "<line x1='{x:.1}' x2='{x:.1}' y1='{}' y2='{floor}' stroke='#c00' stroke-dasharray='3'/>\
             <text x='{:.1}' y='{}' fill='#c00'>{label}</text>",
            top + 30.0,
            x + 3.0,
            top + 40.0,
        );
    }
    for (number, (label, colour)) in COLOURS.iter().enumerate() {
        let x = WIDTH - 400.0 + 130.0 * number as f64;
        let _ = writeln!(
            svg,
            "<rect x='{x}' y='{}' width='10' height='10' fill='{colour}'/><text x='{}' y='{}'>{label}</text>",
            top + 11.0,
            x + 14.0,
            top + 20.0,
        );
    }
}
