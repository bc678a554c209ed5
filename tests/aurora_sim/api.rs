//! The control API: every route, every kind of refusal.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http::{ask, ask_with, send, wait_for};
use crate::program::{LIMIT, start};

/// A request, its headers, its body, and the status that it is refused with.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>, u16);

/// Three instances by name, on addresses that no other test uses.
pub(crate) fn three(block: u8) -> Vec<String> {
    let placed = (21..24).flat_map(|id| ["--instance".into(), format!("{id}@127.78.{block}.{id}")]);
    placed.collect()
}

pub(crate) async fn cluster_of_three(block: u8) -> crate::program::Program {
    let flags = three(block);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    start(&flags).await
}

pub(crate) fn instance<'a>(cluster: &'a Value, id: &str) -> Option<&'a Value> {
    let instances = cluster["instances"].as_array().expect("instances");
    instances.iter().find(|instance| instance["id"] == id)
}

pub(crate) fn settled(cluster: &Value) -> bool {
    let instances = cluster["instances"].as_array().expect("instances");
    cluster["failing_over"] == false && instances.iter().all(|one| one["state"] == "up")
}

#[tokio::test]
async fn a_crash_of_the_writer_is_followed_by_a_promotion_that_state_and_events_show() {
    let program = cluster_of_three(1).await;
    let control = &program.control;
    let before = ask(control, "GET /api/cluster").await.json();
    assert_eq!(
        (&before["writer"], &before["epoch"]),
        (&json!("21"), &json!(0))
    );
    assert_eq!(before["instances"][0]["connections"], 0);
    let crashed = ask(control, "POST /api/instances/21/crash").await;
    assert_eq!(crashed.status, 200);
    assert_eq!(
        instance(&crashed.json(), "21").unwrap()["state"],
        "refusing"
    );
    let after = wait_for(control, settled).await;
    assert_eq!(after["epoch"], 1);
    assert_eq!(instance(&after, "21").unwrap()["role"], "reader");
    let completed = async {
        loop {
            let events = ask(control, "GET /api/events").await.json();
            let events = events.as_array().expect("a list");
            if events.iter().any(|event| event["id"] == "RDS-EVENT-0071") {
                return;
            }
        }
    };
    let told = tokio::time::timeout(LIMIT, completed).await;
    told.expect("the failover's completion is an event");
}

#[tokio::test]
async fn every_other_operation_does_what_it_says() {
    let program = cluster_of_three(2).await;
    let control = &program.control;
    let target = json!({"target": "23"}).to_string();
    let failover = ask_with(control, "POST /api/cluster/failover", &target).await;
    assert_eq!(failover.status, 200, "{}", failover.body);
    let after = wait_for(control, |now| now["epoch"] == 1 && settled(now)).await;
    assert_eq!(after["writer"], "23");

    assert_eq!(ask(control, "POST /api/cluster/failover").await.status, 200);
    wait_for(control, |now| now["epoch"] == 2 && settled(now)).await;

    let restarted = ask(control, "POST /api/instances/22/restart").await;
    assert_eq!(restarted.status, 200);
    assert_ne!(instance(&restarted.json(), "22").unwrap()["state"], "up");
    wait_for(control, settled).await;

    let tier = ask_with(control, "PUT /api/instances/22/tier", r#"{"tier": 7}"#).await;
    assert_eq!(instance(&tier.json(), "22").unwrap()["tier"], 7);

    let lagging = ask_with(control, "PUT /api/instances/22/lag", r#"{"ms": 200}"#).await;
    assert_eq!(instance(&lagging.json(), "22").unwrap()["lag_ms"], 200);
    for (operation, status) in [("pause", 200), ("resume", 200)] {
        let request = format!("POST /api/instances/22/{operation}-replication");
        assert_eq!(ask(control, &request).await.status, status, "{request}");
    }

    let added = ask(control, "POST /api/instances").await;
    assert_eq!(added.status, 201);
    let id = added.json()["id"].as_str().unwrap().to_owned();
    wait_for(control, |now| instance(now, &id).is_some() && settled(now)).await;
    let removed = ask(control, &format!("DELETE /api/instances/{id}")).await;
    assert_eq!(removed.status, 200);
    wait_for(control, |now| instance(now, &id).is_none()).await;

    let counters = ask(control, "GET /api/instances/21/counters").await;
    assert_eq!(counters.json()["logins"], 0);
    assert_eq!(ask(control, "GET /api/ledger").await.json(), json!([]));
}

#[tokio::test]
async fn each_refusal_has_its_status_a_cause_and_a_next_step() {
    let program = cluster_of_three(3).await;
    let control = &program.control;
    let long = format!("{{\"target\": \"{}\"}}", "x".repeat(20_000));
    let json_type: &[(&str, &str)] = &[("Content-Type", "application/json")];
    let none: &[(&str, &str)] = &[];
    let cases: [Case<'_>; 15] = [
        ("POST /api/instances/99/crash", none, None, 404),
        ("DELETE /api/instances/99", none, None, 404),
        ("GET /api/instances/99/counters", none, None, 404),
        ("GET /api/nothing", none, None, 404),
        ("DELETE /api/cluster", none, None, 405),
        (
            "POST /api/cluster/failover",
            json_type,
            Some(r#"{"target":"99"}"#),
            404,
        ),
        (
            "POST /api/cluster/failover",
            json_type,
            Some(r#"{"target":"21"}"#),
            409,
        ),
        (
            "POST /api/cluster/failover",
            json_type,
            Some(r#"{"goal":"22"}"#),
            422,
        ),
        ("POST /api/cluster/failover", json_type, Some("{"), 422),
        ("POST /api/cluster/failover", json_type, Some(&long), 413),
        ("POST /api/cluster/failover", none, Some("{}"), 415),
        (
            "PUT /api/instances/22/tier",
            json_type,
            Some(r#"{"tier":16}"#),
            422,
        ),
        ("PUT /api/instances/22/tier", json_type, None, 422),
        (
            "POST /api/instances/21/crash",
            &[("Origin", "http://example.com")],
            None,
            403,
        ),
        (
            "GET /api/cluster",
            &[("Host", "example.com:8080")],
            None,
            403,
        ),
    ];
    for (request, headers, body, status) in cases {
        let answer = send(control, request, headers, body).await;
        assert_eq!(answer.status, status, "{request}: {}", answer.body);
        let told = answer.json();
        for part in ["error", "next"] {
            let text = told[part].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{request}: {told}");
        }
    }
    let after = ask(control, "GET /api/cluster").await.json();
    assert_eq!(
        (&after["writer"], &after["epoch"]),
        (&json!("21"), &json!(0))
    );
}

#[tokio::test]
async fn each_route_of_the_openapi_document_answers_and_no_other_method_does() {
    let program = cluster_of_three(4).await;
    let control = &program.control;
    let document = ask(control, "GET /openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 8, "{paths:?}");
    for (path, methods) in paths {
        let place = path
            .replace("{id}", "99")
            .replace("{name}", "x")
            .replace("{number}", "9");
        for method in ["get", "post", "put", "delete", "patch"] {
            // A stream does not end: it has a test of its own.
            if (path.as_str(), method) == ("/api/stream", "get") {
                continue;
            }
            let request = format!("{} {place}", method.to_uppercase());
            let status = ask(control, &request).await.status;
            let served = methods.get(method).is_some();
            assert_eq!(served, status != 405, "{request}: {status}");
        }
    }
}

#[tokio::test]
async fn the_stream_tells_the_state_at_once_and_each_change_after() {
    let program = cluster_of_three(5).await;
    let control = &program.control;
    let mut stream = tokio::net::TcpStream::connect(control).await.unwrap();
    let request = format!("GET /api/stream HTTP/1.1\r\nHost: {control}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = String::new();
    let mut crashed = false;
    let reading = async {
        let mut part = [0; 4096];
        while !told.contains(r#""epoch":1"#) {
            let length = stream.read(&mut part).await.unwrap();
            assert_ne!(length, 0, "the stream ended after: {told}");
            told.push_str(&String::from_utf8_lossy(&part[..length]));
            if !crashed && told.contains(r#""epoch":0"#) {
                crashed = true;
                ask(control, "POST /api/instances/21/crash").await;
            }
        }
    };
    tokio::time::timeout(LIMIT, reading).await.expect("in time");
    assert!(told.contains("text/event-stream"), "{told}");
}

#[tokio::test]
async fn no_answer_shows_a_password_and_the_page_needs_nothing_from_elsewhere() {
    let program = start(&["--user", "app", "--password", "hush-hush"]).await;
    let control = &program.control;
    assert!(program.introduction.contains("hush-hush"));
    for path in [
        "/",
        "/api/cluster",
        "/api/events",
        "/api/ledger",
        "/openapi.json",
    ] {
        let answer = ask(control, &format!("GET {path}")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("hush-hush"), "{path}");
    }
    let page = ask(control, "GET /").await;
    assert!(
        page.head
            .to_lowercase()
            .contains("content-security-policy: default-src 'none'")
    );
    assert!(page.body.len() < 60 * 1024);
}
