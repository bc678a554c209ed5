//! One page, which needs nothing but itself.

use super::escape;
use super::plot;
use super::text::millis;
use super::{Group, Report};
use crate::numbers::{Cell, Percentiles, Ratio};

const STYLE: &str = include_str!("page.css");

const HEAD: [&str; 14] = [
    "client",
    "runs",
    "added p50",
    "p90",
    "p99",
    "max",
    "gap p50",
    "p90",
    "p99",
    "max",
    "calls ended p50",
    "p99",
    "connects p50",
    "lost / doubled",
];

pub(crate) fn page(report: &Report) -> String {
    let mut groups = String::new();
    for group in report.groups() {
        groups.push_str(&section(&group));
    }
    let absent: String = report
        .absent
        .iter()
        .map(|why| format!("<li>{}</li>", escape::html(why)))
        .collect();
    let absent = match absent.as_str() {
        "" => String::new(),
        list => format!("<h2>Not measured</h2>\n<ul>{list}</ul>\n"),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Failover latency</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Failover latency</h1>\n{intro}{ratios}{groups}{absent}</main>\n</body>\n</html>\n",
        intro = intro(report),
        ratios = ratios(report),
    )
}

fn intro(report: &Report) -> String {
    let conditions = &report.conditions;
    format!(
        "<p>An application writes ({} tasks) and reads ({} tasks), each every 5 ms, while its cluster \
         suffers a fault: the bundled simulator on its <code>{}</code> timeline, {} processors, load \
         average at the start {}. <b>Gap</b>: from the last acknowledged write before to the first \
         after. <b>Added</b>: the part of it after the new writer accepted connections, or after the \
         network was healed. <b>Calls ended</b>: from the fault until the last call that it caught had \
         failed. All times are milliseconds. After {} s nobody was waited for.</p>\n\
         <p class=\"legend\"><span class=\"key ours\">this driver</span> \
         <span class=\"key theirs\">others</span> <span class=\"key fault\">fault</span> \
         <span class=\"key able\">new writer accepts, or network healed</span> \
         <span class=\"key rest\">not measured any more</span></p>\n",
        conditions.writers,
        conditions.readers,
        escape::html(&conditions.timeline),
        conditions.processors,
        escape::html(conditions.load_average.trim()),
        conditions.limit_seconds,
    )
}

/// All ratios at a glance.
fn ratios(report: &Report) -> String {
    let mut rows = String::new();
    for group in report.groups() {
        for (cell, gap, added) in group.ratios() {
            let told =
                |ratio: Option<Ratio>| ratio.map_or_else(|| "–".to_owned(), |it| it.to_string());
            rows.push_str(&format!(
                "<tr><th>{}, {}</th><td class=\"name\">{}</td><td>{}</td><td>{}</td></tr>\n",
                escape::html(group.engine),
                escape::html(group.fault),
                escape::html(&cell.contestant),
                told(gap),
                told(added),
            ));
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<h2>How many times as long as this driver</h2>\n<div class=\"wide\"><table>\n<tr><th>fault</th>\
         <th class=\"name\">client</th><th>gap</th><th>added</th></tr>\n{rows}</table></div>\n"
    )
}

fn section(group: &Group<'_>) -> String {
    let head: String = HEAD
        .iter()
        .map(|title| format!("<th>{title}</th>"))
        .collect();
    let rows: String = group.cells.iter().map(row).collect();
    format!(
        "<section>\n<h2>{}, {}</h2>\n{}<div class=\"wide\"><table>\n<tr>{head}</tr>\n{rows}</table></div>\n\
         {}</section>\n",
        escape::html(group.engine),
        escape::html(group.fault),
        plot::plot(group),
        errors(group),
    )
}

fn row(cell: &Cell) -> String {
    let (added, gap, ended) = (cell.added(), cell.gap(), cell.calls_ended());
    let of = |all: Option<Percentiles>, which: fn(&Percentiles) -> f64| {
        all.map_or_else(
            || "–".to_owned(),
            |all| millis(which(&all), cell.shortest_wait()),
        )
    };
    let numbers = [
        cell.runs.len().to_string(),
        of(added, |of| of.p50),
        of(added, |of| of.p90),
        of(added, |of| of.p99),
        of(added, |of| of.max),
        of(gap, |of| of.p50),
        of(gap, |of| of.p90),
        of(gap, |of| of.p99),
        of(gap, |of| of.max),
        of(ended, |of| of.p50),
        of(ended, |of| of.p99),
        of(cell.connects(), |of| of.p50),
        format!("{} / {}", cell.lost(), cell.duplicated()),
    ];
    let numbers: String = numbers
        .iter()
        .map(|number| format!("<td>{}</td>", escape::html(number)))
        .collect();
    format!(
        "<tr><th>{}</th>{numbers}</tr>\n",
        escape::html(&cell.contestant)
    )
}

fn errors(group: &Group<'_>) -> String {
    let mut told = Vec::new();
    for cell in group.cells {
        let errors = cell.errors();
        if errors.is_empty() {
            continue;
        }
        let runs = cell.runs.len() as f64;
        let classes = errors
            .iter()
            .map(|(class, count)| format!("{class} {:.1}", *count as f64 / runs));
        let classes = classes.collect::<Vec<_>>().join(", ");
        told.push(escape::html(&format!("{}: {classes}", cell.contestant)));
    }
    match told.is_empty() {
        true => String::new(),
        false => format!(
            "<p class=\"note\">Errors seen per run. {}.</p>\n",
            told.join("; ")
        ),
    }
}
