//! For the terminal.

use std::fmt::Write;

use super::{Group, Report};
use crate::measure::Run;
use crate::numbers::{Cell, Percentiles};

/// One run in one line.
pub(crate) fn line(run: &Run) -> String {
    let gap = match run.gap {
        Some(gap) => format!("gap_ms={gap:.1}"),
        None => format!("not within {:.0} s", run.waited / 1_000.0),
    };
    let added = run
        .added
        .map_or_else(String::new, |added| format!(" added_ms={added:.1}"));
    let ended = run
        .calls_ended
        .map_or_else(|| "never".to_owned(), |ms| format!("{ms:.0}"));
    format!(
        "{gap}{added} calls_ended_ms={ended} caught={} errors={} connects={} lost={} duplicated={}",
        run.caught,
        run.errors.values().sum::<usize>(),
        run.connects,
        run.lost,
        run.duplicated,
    )
}

pub(super) fn summary(report: &Report) -> String {
    let mut text = String::new();
    for group in report.groups() {
        table(&mut text, &group);
    }
    for absent in &report.absent {
        append(&mut text, format_args!("absent: {absent}\n"));
    }
    text
}

fn append(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a String takes everything");
}

fn table(text: &mut String, group: &Group<'_>) {
    let Group { engine, fault, .. } = group;
    append(text, format_args!("\n{engine}, {fault} (milliseconds)\n"));
    let head = [
        "",
        "runs",
        "added p50",
        "p90",
        "p99",
        "max",
        "gap p50",
        "p99",
        "calls ended p50",
        "p99",
        "connects",
        "lost",
        "doubled",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(group.cells.iter().map(row));
    let mut widths = [0; 13];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        append(
            text,
            format_args!("  {:<width$}", row[0], width = widths[0]),
        );
        for (cell, width) in row.iter().zip(widths).skip(1) {
            append(text, format_args!("  {cell:>width$}"));
        }
        text.push('\n');
    }
    for (cell, gap, added) in group.ratios() {
        let told = |ratio: Option<crate::numbers::Ratio>| {
            ratio.map_or_else(|| "-".to_owned(), |ratio| ratio.to_string())
        };
        append(
            text,
            format_args!(
                "  ratio: {} takes {} as long in all, adds {} as much\n",
                cell.contestant,
                told(gap),
                told(added),
            ),
        );
    }
}

fn row(cell: &Cell) -> [String; 13] {
    let (added, gap, ended) = (cell.added(), cell.gap(), cell.calls_ended());
    let wait = cell.shortest_wait();
    let of = |all: Option<Percentiles>, which: fn(&Percentiles) -> f64| {
        all.map_or_else(|| "-".to_owned(), |all| millis(which(&all), wait))
    };
    [
        cell.contestant.clone(),
        cell.runs.len().to_string(),
        of(added, |of| of.p50),
        of(added, |of| of.p90),
        of(added, |of| of.p99),
        of(added, |of| of.max),
        of(gap, |of| of.p50),
        of(gap, |of| of.p99),
        of(ended, |of| of.p50),
        of(ended, |of| of.p99),
        of(cell.connects(), |of| of.p50),
        cell.lost().to_string(),
        cell.duplicated().to_string(),
    ]
}

/// From so many milliseconds on a time is told in seconds.
const SECONDS_FROM: f64 = 10_000.0;

/// What did not come within the time that was waited is said to be over it.
pub(super) fn millis(value: f64, waited: f64) -> String {
    match value {
        value if value.is_infinite() && waited.is_finite() => {
            format!("> {}", millis(waited, waited))
        }
        value if value.is_infinite() => "never".to_owned(),
        value if value.abs() < 10.0 => format!("{value:.1}"),
        value if value >= SECONDS_FROM => format!("{:.1} s", value / 1_000.0),
        value => format!("{value:.0}"),
    }
}
