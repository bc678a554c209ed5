//! The report, in its three forms.

use crate::measure::Run;
use crate::numbers::Cell;
use crate::report::{Conditions, OURS, Report, csv, escape, html, json};

const HOSTILE: &str = "<script>alert(\"1\")</script>, & '=x'";

fn run(gap: Option<f64>) -> Run {
    Run {
        gap,
        added: gap.map(|gap| gap - 300.0),
        able_after: Some(300.0),
        waited: 10_000.0,
        timeline: vec![80, 80, 0, 12],
        errors: [(HOSTILE.to_owned(), 2)].into(),
        ..Run::default()
    }
}

fn report() -> Report {
    report_of(run(Some(305.0)))
}

fn report_of(ours: Run) -> Report {
    let mut report = Report::new(Conditions::default(), vec![HOSTILE.to_owned()]);
    for (contestant, run) in [(OURS, ours), (HOSTILE, run(None))] {
        report.add(Cell {
            engine: "postgres".into(),
            fault: "crash".into(),
            contestant: contestant.into(),
            runs: vec![run],
        });
    }
    report
}

#[test]
fn the_page_shows_hostile_text_and_does_not_run_it() {
    let page = html::page(&report());
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;, &amp; &#39;=x&#39;"));
    assert_eq!(escape::html("a & b"), "a &amp; b");
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = html::page(&report());
    for outside in ["http:", "https:", "src=", "url(", "@import", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_field_of_csv_may_hold_anything() {
    assert_eq!(escape::csv("crash"), "crash");
    assert_eq!(escape::csv("a \"b\", c"), "\"a \"\"b\"\", c\"");
    assert_eq!(escape::csv("=SUM(A1)"), "'=SUM(A1)");
    assert_eq!(escape::csv("-1.5"), "-1.5");
    let text = csv::csv(&report());
    assert_eq!(text.lines().count(), 3, "a head and a line for each run");
    let quoted = "\"<script>alert(\"\"1\"\")</script>, & '=x'\"";
    assert!(text.contains(quoted), "{text}");
}

#[test]
fn the_json_is_read_back_and_who_was_not_back_has_no_gap() {
    let text = json::json(&report()).to_string();
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let group = &value["groups"][0];
    assert_eq!(group["contestants"][0]["gap_ms"]["p50"], 305.0);
    assert_eq!(group["contestants"][1]["contestant"], HOSTILE);
    assert!(group["contestants"][1]["gap_ms"]["p50"].is_null());
    assert_eq!(group["ratios"][0]["added"]["at_least"], true);
    assert_eq!(group["ratios"][0]["added"]["times"], 1940.0);
}

#[test]
fn the_terminal_is_told_the_ratios_and_who_is_absent() {
    let text = report().summary();
    assert!(
        text.contains("as long in all, adds ≥ 1940× as much"),
        "{text}"
    );
    assert!(text.contains("> 10.0 s"), "{text}");
    assert!(text.contains("absent: <script>"), "{text}");
}

#[test]
fn a_report_is_good_when_this_driver_was_back_and_lost_nothing() {
    assert!(report().is_good(), "what others lose is their own affair");
    assert!(!report_of(run(None)).is_good(), "it was not back");
    let mut lossy = run(Some(305.0));
    lossy.lost = 1;
    assert!(!report_of(lossy).is_good());
}

#[test]
fn all_clients_of_a_group_are_drawn_on_one_axis() {
    let page = html::page(&report());
    let boxes: Vec<&str> = page.split("viewBox=\"").skip(1).collect();
    assert_eq!(boxes.len(), 2);
    let sizes: Vec<_> = boxes.iter().map(|rest| rest.split('"').next()).collect();
    assert_eq!(sizes[0], sizes[1]);
    assert!(page.contains("not back within 10 s"));
}
