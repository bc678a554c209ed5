//! The control API: what it does to connections, to the fleet, to the DNS and to the data.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{cluster_of_three, instance, settled, three};
use crate::http::{ask, ask_with, wait_for};
use crate::program::{LIMIT, start};

#[tokio::test]
async fn connections_are_refused_silenced_slowed_and_restored() {
    let program = cluster_of_three(6).await;
    let control = &program.control;
    let listener = |cluster: &Value, id: &str| instance(cluster, id).unwrap()["listener"].clone();
    let refusing = ask(control, "POST /api/instances/22/refuse").await;
    assert_eq!(listener(&refusing.json(), "22"), "refusing");
    let slow = ask_with(control, "POST /api/instances/22/slow", r#"{"ms": 50}"#).await;
    assert_eq!(listener(&slow.json(), "22"), "slow by 50 ms");
    let full = json!({"state": "full"}).to_string();
    let full = ask_with(control, "PUT /api/instances/22/listener", &full).await;
    assert_eq!(listener(&full.json(), "22"), "full");
    let restored = ask(control, "POST /api/instances/22/restore").await;
    assert_eq!(listener(&restored.json(), "22"), "normal");

    let silent = ask(control, "POST /api/instances/21/silence").await;
    assert_eq!(silent.status, 200, "{}", silent.body);
    assert_eq!(listener(&silent.json(), "21"), "silent");
    let promoted = wait_for(control, |now| now["epoch"] == 1).await;
    assert_ne!(promoted["writer"], "21");
    let restored = ask(control, "POST /api/instances/21/restore").await;
    assert_eq!(restored.status, 200);
    let after = wait_for(control, settled).await;
    assert_eq!(instance(&after, "21").unwrap()["role"], "reader");
}

#[tokio::test]
async fn the_fleet_grows_shrinks_is_renamed_and_upgraded() {
    let program = cluster_of_three(7).await;
    let control = &program.control;
    let one = r#"{"count": 1}"#;
    let added = ask_with(control, "POST /api/cluster/scale-out", one).await;
    let added = added.json()["instances"][0].as_str().unwrap().to_owned();
    assert!(added.starts_with("application-autoscaling-"), "{added}");
    wait_for(control, |now| {
        instance(now, &added).is_some() && settled(now)
    })
    .await;
    let deleted = ask_with(control, "POST /api/cluster/scale-in", one).await;
    assert_eq!(deleted.json()["instances"], json!([added]));
    wait_for(control, |now| {
        instance(now, &added).is_none() && settled(now)
    })
    .await;

    let name = r#"{"name": "reports"}"#;
    let renamed = ask_with(control, "PUT /api/instances/23/name", name).await;
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    wait_for(control, |now| {
        instance(now, "reports").is_some() && settled(now)
    })
    .await;

    let version = json!({"version": "16.9"}).to_string();
    let upgraded = ask_with(control, "POST /api/cluster/upgrade", &version).await;
    assert_eq!(upgraded.status, 200, "{}", upgraded.body);
    wait_for(control, settled).await;

    let view = json!({"kind": "stale-claim", "instance": "22"}).to_string();
    let view = ask_with(control, "PUT /api/instances/22/view", &view).await;
    assert_eq!(view.status, 200, "{}", view.body);
    let right = ask(control, "DELETE /api/instances/22/view").await;
    assert_eq!(right.status, 200, "{}", right.body);
}

#[tokio::test]
async fn the_dns_is_shown_delayed_broken_and_mended() {
    let program = cluster_of_three(8).await;
    let control = &program.control;
    let endpoint = json!({"name": "reports", "kind": "reader", "members": ["23"]}).to_string();
    let endpoint = ask_with(control, "POST /api/endpoints", &endpoint).await;
    assert_eq!(endpoint.status, 201, "{}", endpoint.body);
    let host = endpoint.json()["host"].clone();
    let about = |names: &Value, host: &Value| {
        let mut names = names.as_array().expect("names").clone().into_iter();
        names
            .find(|answer| answer["name"] == *host)
            .expect("listed")
    };
    let names = ask(control, "GET /api/dns").await.json();
    assert_eq!(about(&names, &host)["address"], "127.78.8.23");

    let cluster = ask(control, "GET /api/cluster").await.json()["cluster_endpoint"].clone();
    let wrong = json!({"kind": "wrong", "name": cluster, "address": "127.78.8.99"}).to_string();
    let fault = ask_with(control, "POST /api/dns/faults", &wrong).await;
    assert_eq!(fault.status, 201, "{}", fault.body);
    let names = ask(control, "GET /api/dns").await.json();
    assert_eq!(about(&names, &cluster)["address"], "127.78.8.99");
    let faults = ask(control, "GET /api/dns/faults").await.json();
    assert_eq!(faults[0]["kind"], "wrong");
    let mend = format!("DELETE /api/dns/faults/{}", faults[0]["id"]);
    assert_eq!(ask(control, &mend).await.status, 200);
    assert_eq!(ask(control, &mend).await.status, 404);
    let names = ask(control, "GET /api/dns").await.json();
    assert_eq!(about(&names, &cluster)["address"], "127.78.8.21");

    let ttl = json!({"name": cluster, "seconds": 1}).to_string();
    let names = ask_with(control, "PUT /api/dns/ttl", &ttl).await.json();
    assert_eq!(about(&names, &cluster)["ttl_s"], 1);
    let flip = ask_with(control, "PUT /api/dns/flip", r#"{"ms": 5}"#).await;
    assert_eq!(flip.status, 200);
    for status in [200, 409] {
        let removed = ask(control, "DELETE /api/endpoints/reports").await;
        assert_eq!(removed.status, status, "{}", removed.body);
    }
}

#[tokio::test]
async fn a_backtrack_takes_the_data_back_and_shows_what_it_undid() {
    let mut flags = three(9);
    flags.extend(["--engine", "mysql", "--backtrack-window", "600"].map(str::to_owned));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let program = start(&flags).await;
    let control = &program.control;
    // Until a state has been kept that is so old, the request is refused.
    let back = async {
        loop {
            let to = r#"{"to_ms": 60}"#;
            let back = ask_with(control, "POST /api/cluster/backtrack", to).await;
            match back.status {
                409 => tokio::time::sleep(Duration::from_millis(10)).await,
                _ => return back,
            }
        }
    };
    let back = tokio::time::timeout(LIMIT, back).await.expect("in time");
    assert_eq!(back.status, 200, "{}", back.body);
    wait_for(control, settled).await;
    let undone = ask(control, "GET /api/ledger/undone").await;
    assert_eq!(undone.json(), json!([]));
    let future = r#"{"to_ms": 99999999}"#;
    let refused = ask_with(control, "POST /api/cluster/backtrack", future).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
}

/// Methods of `SimCluster` that have no route of their own, and why.
const NOT_ROUTES: &[(&str, &str)] = &[
    ("builder", "flags and the file"),
    ("start", "flags and the file"),
    ("stop", "Ctrl-C"),
    ("url", "printed at the start, as it holds the password"),
    ("user", "printed at the start"),
    ("password", "printed at the start"),
    ("database", "printed at the start"),
    ("ca_pem", "printed at the start"),
    ("ca_file", "printed at the start"),
    ("clone_cluster", "a second cluster needs a second program"),
    ("wait_for", "GET /api/stream"),
    ("failover_finished", "GET /api/events"),
    ("last_promotion", "GET /api/events"),
    ("query", "any client"),
    ("run_sql", "--sql-file, and any client"),
    (
        "unmet",
        "POST /api/timeline plays, and GET /api/cluster shows the end",
    ),
    ("finished", "GET /api/cluster"),
    ("ledger_len", "GET /api/ledger"),
    ("crash_writer", "POST /api/instances/{id}/crash"),
    ("now", "GET /api/events"),
];

/// The path by which each of the others is reached.
const ROUTES: &[(&str, &str)] = &[
    ("engine", "/api/cluster"),
    ("cluster_endpoint", "/api/cluster"),
    ("reader_endpoint", "/api/cluster"),
    ("instance_endpoint", "/api/cluster"),
    ("address_of", "/api/cluster"),
    ("port", "/api/cluster"),
    ("dns_address", "/api/cluster"),
    ("state", "/api/cluster"),
    ("instances", "/api/cluster"),
    ("writer", "/api/cluster"),
    ("readers", "/api/cluster"),
    ("events", "/api/events"),
    ("counters", "/api/instances/{id}/counters"),
    ("ledger", "/api/ledger"),
    ("undone", "/api/ledger/undone"),
    ("failover", "/api/cluster/failover"),
    ("scale_out", "/api/cluster/scale-out"),
    ("scale_in", "/api/cluster/scale-in"),
    ("upgrade", "/api/cluster/upgrade"),
    ("backtrack", "/api/cluster/backtrack"),
    ("play", "/api/timeline"),
    ("add_reader", "/api/instances"),
    ("remove_instance", "/api/instances/{id}"),
    ("crash", "/api/instances/{id}/crash"),
    ("restart", "/api/instances/{id}/restart"),
    ("silence", "/api/instances/{id}/silence"),
    ("refuse", "/api/instances/{id}/refuse"),
    ("slow", "/api/instances/{id}/slow"),
    ("restore", "/api/instances/{id}/restore"),
    ("set_listener", "/api/instances/{id}/listener"),
    ("rename_instance", "/api/instances/{id}/name"),
    ("set_promotion_tier", "/api/instances/{id}/tier"),
    ("set_lag", "/api/instances/{id}/lag"),
    ("pause_replication", "/api/instances/{id}/pause-replication"),
    (
        "resume_replication",
        "/api/instances/{id}/resume-replication",
    ),
    ("set_view", "/api/instances/{id}/view"),
    ("clear_view", "/api/instances/{id}/view"),
    ("dns_answers", "/api/dns"),
    ("set_dns_flip", "/api/dns/flip"),
    ("set_dns_ttl", "/api/dns/ttl"),
    ("break_dns", "/api/dns/faults"),
    ("fault", "/api/faults"),
    ("faults", "/api/faults"),
    ("end_fault", "/api/faults/{number}"),
    ("custom_endpoint", "/api/endpoints"),
    ("remove_custom_endpoint", "/api/endpoints/{name}"),
];

#[tokio::test]
async fn every_method_of_the_simulated_cluster_is_reached_or_has_its_reason() {
    let program = cluster_of_three(10).await;
    let document = ask(&program.control, "GET /openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    for (method, path) in ROUTES {
        assert!(
            paths.contains_key(*path),
            "{method} is to be reached by {path}"
        );
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sim/cluster");
    let mut methods = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the cluster's folder") {
        let path = entry.expect("an entry").path();
        let skipped = ["builder.rs", "state.rs"].map(|name| path.ends_with(name));
        if path.extension().is_none_or(|it| it != "rs") || skipped.contains(&true) {
            continue;
        }
        let text = std::fs::read_to_string(path).expect("a source file");
        let lines = text.lines().filter_map(|line| {
            let line = line.strip_prefix("    pub ")?;
            let line = line.strip_prefix("async ").unwrap_or(line);
            line.strip_prefix("fn ")?
                .split(['(', '<'])
                .next()
                .map(str::to_owned)
        });
        methods.extend(lines);
    }
    assert!(methods.len() > 40, "{methods:?}");
    for method in methods {
        let known = |list: &[(&str, &str)]| list.iter().any(|(name, _)| *name == method);
        assert!(
            known(ROUTES) || known(NOT_ROUTES),
            "SimCluster::{method} has no route: add one, or say here why not"
        );
    }
}

#[tokio::test]
async fn a_timeline_file_is_played() {
    let program = cluster_of_three(11).await;
    let control = &program.control;
    let toml =
        "description = 'the end of 21'\n[[step]]\nat_ms = 5\ndo = 'crash'\ninstance = 'writer'\n";
    let body = json!({"toml": toml}).to_string();
    let played = ask_with(control, "POST /api/timeline", &body).await;
    assert_eq!(
        played.json(),
        json!({"description": "the end of 21", "length_ms": 5})
    );
    let after = wait_for(control, |now| now["epoch"] == 1 && settled(now)).await;
    assert_ne!(after["writer"], "21");
    let wrong = json!({"toml": "[[step]]\nat_ms = 5\ndo = 'explode'\n"}).to_string();
    let refused = ask_with(control, "POST /api/timeline", &wrong).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("line 1, step 1"), "{}", refused.body);
}

#[tokio::test]
async fn faults_of_single_statements_are_begun_listed_and_ended() {
    let program = cluster_of_three(12).await;
    let control = &program.control;
    let fault = json!({"then": "error", "sqlstate": "40001", "kind": "commit", "nth": 3});
    let begun = ask_with(control, "POST /api/faults", &fault.to_string()).await;
    assert_eq!(begun.status, 201, "{}", begun.body);
    let listed = ask(control, "GET /api/faults").await.json();
    assert_eq!(
        (&listed[0]["id"], &listed[0]["fired"]),
        (&begun.json()["id"], &json!(0))
    );
    let end = format!("DELETE /api/faults/{}", listed[0]["id"]);
    assert_eq!(ask(control, &end).await.status, 200);
    assert_eq!(ask(control, &end).await.status, 404);
    let flawed = json!({"then": "delay"}).to_string();
    let refused = ask_with(control, "POST /api/faults", &flawed).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("`ms`"), "{}", refused.body);
}
