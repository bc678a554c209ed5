//! The pictures: acknowledged calls per 50 ms, one strip for each client, all on one axis of time.
//!
//! Bars and marks are drawn in a picture that is stretched to the page's width; words stand beside it
//! as text of the page, so that they keep their size on a phone.

use super::Group;
use super::escape;
use super::text::millis;
use crate::measure::{BEFORE_MICROS, BUCKET_MICROS, Run};
use crate::numbers::Cell;

const BUCKET_MS: f64 = BUCKET_MICROS as f64 / 1_000.0;
const BEFORE_MS: f64 = BEFORE_MICROS as f64 / 1_000.0;

/// An axis shows at least so much after the fault, and at most so much for the sake of those who are
/// late, or twice what this driver takes.
const AFTER_MIN_MS: f64 = 1_000.0;
const AFTER_MAX_MS: f64 = 5_000.0;

/// Something is to be seen after the last of them is back.
const MARGIN_MS: f64 = 300.0;

/// The height of a strip; the width is counted in milliseconds.
const HEIGHT: f64 = 100.0;

/// About so many numbers fit under the axis on a phone.
const TICKS: f64 = 6.0;

pub(super) fn plot(group: &Group<'_>) -> String {
    let after = after(group);
    let most = group.cells.iter().filter_map(Cell::typical);
    let most = most
        .flat_map(|run| &run.timeline)
        .max()
        .copied()
        .unwrap_or(0)
        .max(1);
    let mut html = String::from("<div class=\"plot\">\n");
    for cell in group.cells {
        let Some(run) = cell.typical() else { continue };
        html.push_str(&strip(cell, run, after, most));
    }
    html.push_str(&axis(after));
    html.push_str(&format!(
        "<p class=\"note\">Calls acknowledged per 50 ms; the highest bar is {most}. The run with the \
         median gap of each.</p>\n</div>\n"
    ));
    html
}

/// When the last bars that matter end.
fn after(group: &Group<'_>) -> f64 {
    let back = |cell: &Cell| Some(cell.typical()?.gap? + MARGIN_MS);
    let ours = group.ours().and_then(back).unwrap_or(0.0);
    let all = group.cells.iter().filter_map(back).fold(0.0, f64::max);
    let limit = AFTER_MAX_MS.max(2.0 * ours);
    let hidden = group
        .cells
        .iter()
        .any(|cell| cell.typical().is_some_and(|run| run.gap.is_none()));
    let wanted = if hidden { limit } else { all };
    (wanted.clamp(AFTER_MIN_MS, limit) / BUCKET_MS).ceil() * BUCKET_MS
}

fn strip(cell: &Cell, run: &Run, after: f64, most: u32) -> String {
    let width = BEFORE_MS + after;
    let mut bars = String::new();
    for (index, count) in run.timeline.iter().enumerate() {
        let left = index as f64 * BUCKET_MS;
        if *count == 0 || left >= width {
            continue;
        }
        let height = f64::from(*count) / f64::from(most) * HEIGHT;
        bars.push_str(&format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            left + BUCKET_MS * 0.08,
            HEIGHT - height,
            BUCKET_MS * 0.84,
        ));
    }
    let mark = |class: &str, at: f64| {
        format!("<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{HEIGHT}\"/>")
    };
    // Without it the time after the measurement would look like an outage.
    let end = match run.gap {
        Some(_) => run.timeline.len() as f64 * BUCKET_MS,
        None => BEFORE_MS + run.waited,
    };
    let rest = (width - end).max(0.0);
    bars.push_str(&format!(
        "<rect class=\"rest\" x=\"{end:.1}\" y=\"0\" width=\"{rest:.1}\" height=\"{HEIGHT}\"/>"
    ));
    let mut marks = mark("fault", BEFORE_MS);
    if let Some(able) = run.able_after.filter(|able| *able < after) {
        marks.push_str(&mark("able", BEFORE_MS + able));
    }
    let who = if cell.contestant == super::OURS {
        "ours"
    } else {
        "theirs"
    };
    format!(
        "<div class=\"strip {who}\"><div class=\"label\"><b>{name}</b> <span>{told}</span></div>\
         <svg viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{name}: {told}\">\
         <line class=\"ground\" x1=\"0\" x2=\"{width}\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\"/>\
         {bars}{marks}</svg></div>\n",
        name = escape::html(&cell.contestant),
        told = escape::html(&told(run)),
    )
}

fn told(run: &Run) -> String {
    let Some(gap) = run.gap else {
        return format!("not back within {:.0} s", run.waited / 1_000.0);
    };
    let gap = format!("{} without an answer", span(gap));
    match run.added {
        Some(added) => format!("{gap}, {} of it added", span(added)),
        None => gap,
    }
}

fn span(value: f64) -> String {
    match millis(value, f64::INFINITY) {
        told if told.ends_with('s') => told,
        told => format!("{told} ms"),
    }
}

/// Seconds from the fault on.
fn axis(after: f64) -> String {
    let width = BEFORE_MS + after;
    let step = step(width);
    let mut html = String::from("<div class=\"axis\" aria-hidden=\"true\">");
    let mut at = 0.0;
    while at <= after {
        let left = (BEFORE_MS + at) / width * 100.0;
        let label = match at {
            0.0 => "fault".to_owned(),
            at => format!("{} s", at / 1_000.0),
        };
        if left < 96.0 {
            html.push_str(&format!("<span style=\"left:{left:.2}%\">{label}</span>"));
        }
        at += step;
    }
    html.push_str("</div>\n");
    html
}

/// The smallest round number of milliseconds with which the numbers do not run into each other.
fn step(width: f64) -> f64 {
    let rounds = [
        100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0,
    ];
    let fits = |step: &f64| width / step <= TICKS;
    rounds.into_iter().find(fits).unwrap_or(60_000.0)
}
