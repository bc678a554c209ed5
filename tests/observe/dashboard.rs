//! The dashboard of the example service asks Prometheus only for what the driver exports.
//!
//! The table in `docs/metrics.md`, which `metrics` holds against the driver, has the names; what an
//! exporter for Prometheus makes of them is held against a real one here.

use std::collections::{BTreeMap, BTreeSet};

use aurora_driver::{EngineKind, Postgres};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use serde_json::Value;

use crate::metrics::documented;
use crate::{PATIENCE, start};

const DASHBOARD: &str = include_str!("../../examples/service/grafana.json");

/// Of PromQL only what the dashboard uses, so that nothing passes unread.
const FUNCTIONS: [&str; 5] = ["histogram_quantile", "increase", "max", "rate", "sum"];
const GROUPINGS: [&str; 3] = ["by", "group_left", "ignoring"];
const OPERATORS: [&str; 1] = ["or"];

/// Names as Prometheus knows them, each with its labels.
fn exported() -> BTreeMap<String, BTreeSet<String>> {
    let plain = |name: &str| name.replace('.', "_");
    let mut series = BTreeMap::new();
    for (name, (kind, _, labels)) in documented() {
        let labels: BTreeSet<String> = labels.iter().map(|label| plain(label)).collect();
        if kind != "histogram" {
            series.insert(plain(&name), labels);
            continue;
        }
        for suffix in ["bucket", "count", "sum"] {
            let mut labels = labels.clone();
            labels.extend((suffix == "bucket").then(|| "le".to_owned()));
            series.insert(format!("{}_{suffix}", plain(&name)), labels);
        }
    }
    series
}

/// What an expression asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    metrics: BTreeSet<String>,
    /// In matchers and groupings.
    labels: BTreeSet<String>,
    /// In `by` alone.
    groups: BTreeSet<String>,
}

/// Reads an expression; `Err` has what was not understood.
fn parse(expression: &str) -> Result<Query, String> {
    let mut query = Query::default();
    let mut rest = expression;
    let mut depth = 0_i32;
    while let Some(next) = rest.chars().next() {
        if next == '[' {
            let (range, after) = rest[1..].split_once(']').ok_or("a range without end")?;
            let known = ["$__range", "$__rate_interval"].contains(&range);
            rest = known.then_some(after).ok_or(format!("the range {range}"))?;
        } else if next.is_ascii_alphabetic() {
            rest = word(&mut query, rest)?;
        } else {
            depth += i32::from(next == '(') - i32::from(next == ')');
            let known = " (),=*/>.0123456789".contains(next) && depth >= 0;
            rest = known.then(|| &rest[1..]).ok_or(format!("`{rest}`"))?;
        }
    }
    if depth != 0 || query.metrics.is_empty() {
        return Err("it is not closed, or asks for nothing".to_owned());
    }
    Ok(query)
}

/// Reads a word with what belongs to it; what comes after.
fn word<'a>(query: &mut Query, text: &'a str) -> Result<&'a str, String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    if OPERATORS.contains(&name) || FUNCTIONS.contains(&name) {
        return Ok(after);
    }
    if GROUPINGS.contains(&name) {
        let list = after.trim_start().strip_prefix('(');
        let (list, after) = list.and_then(|list| list.split_once(')')).ok_or(name)?;
        let labels = list.split(',').map(str::trim).filter(|it| !it.is_empty());
        let labels: BTreeSet<String> = labels.map(str::to_owned).collect();
        if name == "by" {
            query.groups.extend(labels.clone());
        }
        query.labels.extend(labels);
        return Ok(after);
    }
    query.metrics.insert(name.to_owned());
    let Some(matchers) = after.strip_prefix('{') else {
        return Ok(after);
    };
    let (matchers, after) = matchers.split_once('}').ok_or("a matcher without end")?;
    for matcher in matchers.split(", ") {
        let (label, value) = matcher.split_once(['=', '!']).ok_or(matcher)?;
        let is_quoted = value.ends_with('"') && value.matches('"').count() == 2;
        if !is_quoted {
            return Err(matcher.to_owned());
        }
        query.labels.insert(label.to_owned());
    }
    Ok(after)
}

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).expect("it is JSON")
}

/// Every object in it that asks for something: panels' targets, and annotations.
fn queries() -> Vec<Value> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array());
    let annotations = dashboard["annotations"]["list"].as_array().expect("a list");
    targets.flatten().chain(annotations).cloned().collect()
}

#[test]
fn every_query_of_the_dashboard_asks_for_metrics_and_labels_that_are_exported() {
    let exported = exported();
    let mut used = BTreeSet::new();
    for query in queries() {
        let expression = query["expr"].as_str().expect("an expression");
        let parsed = parse(expression).unwrap_or_else(|why| panic!("{expression}: {why}"));
        for metric in &parsed.metrics {
            let labels = exported.get(metric);
            let labels = labels.unwrap_or_else(|| panic!("{metric} is not exported"));
            let unknown: Vec<_> = parsed.labels.difference(labels).collect();
            assert!(unknown.is_empty(), "{metric} has no {unknown:?}");
        }
        assert!(
            parsed.labels.contains("cluster"),
            "of all clusters: {expression}"
        );
        // A legend can name only what the grouping leaves.
        for text in ["legendFormat", "textFormat"] {
            let text = query[text].as_str().unwrap_or_default();
            for part in text.split("{{").skip(1) {
                let (label, _) = part.split_once("}}").expect("it is closed");
                assert!(parsed.groups.contains(label), "{label}: {expression}");
            }
        }
        used.extend(parsed.metrics);
    }
    for name in documented().keys() {
        let name = name.replace('.', "_");
        let is_shown = used.iter().any(|used| used.starts_with(&name));
        assert!(is_shown, "{name} is on no panel");
    }
}

#[test]
fn the_dashboard_can_be_imported_anywhere() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().expect("a list");
    let named = |name: &str| {
        let found = variables.iter().find(|variable| variable["name"] == name);
        found.unwrap_or_else(|| panic!("no variable {name}"))
    };
    assert_eq!(named("datasource")["type"], "datasource");
    assert_eq!(named("datasource")["query"], "prometheus");
    let clusters = "label_values(aurora_instance_up, cluster)";
    assert_eq!(named("cluster")["query"]["query"], clusters);
    assert!(exported()["aurora_instance_up"].contains("cluster"));
    for query in queries() {
        assert_eq!(query["datasource"]["uid"], "${datasource}", "{query}");
    }
    let mut cells = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(ids.insert(panel["id"].as_u64()), "an id twice");
        let of = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
        for x in of("x")..of("x") + of("w") {
            assert!(x < 24, "Grafana's grid has 24 columns");
            for y in of("y")..of("y") + of("h") {
                assert!(cells.insert((x, y)), "{} lies on another", panel["title"]);
            }
        }
    }
}

/// A write, a read and a failover, as an exporter for Prometheus tells them.
async fn told(rendered: impl Fn() -> String) -> String {
    let (simulated, cluster) =
        start::<Postgres>(EngineKind::Postgres, "pool_max=2", |it| it.readers(2)).await;
    let insert = async |row: &'static str| {
        let writer = cluster.writer().await.expect("a connection");
        writer.execute(row, &[]).await
    };
    insert("INSERT INTO t VALUES (1, 'a')")
        .await
        .expect("it is free");
    insert("INSERT INTO t VALUES (1, 'a')").await.unwrap_err();
    let reader = cluster.reader().await.expect("a connection");
    reader.query("SELECT n FROM t", &[]).await.expect("rows");
    drop(reader);
    simulated.crash_writer().expect("it runs");
    simulated.failover_finished().await;
    insert("INSERT INTO t VALUES (2, 'b')")
        .await
        .expect("it is free");
    let complete = async {
        loop {
            let rendered = rendered();
            if rendered.contains("phase=\"total\"") && rendered.contains("aurora_replica_lag{") {
                return rendered;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, complete).await;
    cluster.close(PATIENCE).await;
    simulated.stop().await;
    told.expect("the failover is told of")
}

#[test]
fn an_exporter_for_prometheus_names_them_as_the_dashboard_does() {
    let builder = PrometheusBuilder::new();
    let suffix = |suffix: &str| Matcher::Suffix(suffix.to_owned());
    let builder = builder.set_buckets_for_metric(suffix("duration"), &[0.01, 1.0]);
    let builder = builder.expect("buckets");
    let builder = builder.set_buckets_for_metric(suffix("time"), &[0.01, 1.0]);
    let recorder = builder.expect("buckets").build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let rendered =
        ::metrics::with_local_recorder(&recorder, || runtime.block_on(told(|| handle.render())));
    let exported = exported();
    let mut seen = BTreeSet::new();
    for line in rendered.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, labels)) = line.split_once('{') else {
            assert!(line.is_empty(), "no labels: {line}");
            continue;
        };
        let (labels, _) = labels.rsplit_once('}').expect("a set of labels");
        let known = exported.get(name);
        let known = known.unwrap_or_else(|| panic!("not in the table: {line}"));
        for label in labels.split(',') {
            let (label, _) = label.split_once('=').expect("a label");
            assert!(known.contains(label), "not in the table: {label} in {line}");
        }
        seen.insert(name.to_owned());
    }
    // All but the checks of connections that were idle for long.
    let unseen: Vec<_> = exported
        .keys()
        .filter(|name| !seen.contains(*name))
        .collect();
    assert!(
        unseen
            .iter()
            .all(|name| name.starts_with("aurora_connection_check_time")),
        "{unseen:?}"
    );
}

#[test]
fn an_expression_is_read_whole_or_not_at_all() {
    let query = parse(r#"sum by (le) (rate(a_bucket{cluster=~"$cluster", b!=""}[$__range])) > 0"#);
    let set = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    let expected = Query {
        metrics: set(&["a_bucket"]),
        labels: set(&["b", "cluster", "le"]),
        groups: set(&["le"]),
    };
    assert_eq!(query, Ok(expected));
    for wrong in [
        "sum(a", "a[5x]", "a{b}", "a{b=c}", "by", "1 + a", "sum()", "a)(",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
