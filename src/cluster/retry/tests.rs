//! Runs `fixtures/retries`; the format is in the README beside them.

use std::path::Path;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "description")]
    _description: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    failed: Option<Failed>,
    #[serde(default)]
    left_traces: bool,
    #[serde(default = "first")]
    attempt: u32,
    #[serde(default)]
    refused_before: bool,
    /// Milliseconds; absent: it is not run again.
    again_after_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    kind: String,
    outcome: String,
    sqlstate: Option<String>,
    number: Option<u16>,
}

fn first() -> u32 {
    1
}

fn kind(name: &str) -> ErrorKind {
    match name {
        "authentication" => ErrorKind::Authentication,
        "closed" => ErrorKind::Closed,
        "config" => ErrorKind::Config,
        "connect" => ErrorKind::Connect,
        "connection_lost" => ErrorKind::ConnectionLost,
        "no_reader" => ErrorKind::NoReader,
        "no_writer" => ErrorKind::NoWriter,
        "not_aurora" => ErrorKind::NotAurora,
        "overloaded" => ErrorKind::Overloaded,
        "read_only" => ErrorKind::ReadOnly,
        "resolve" => ErrorKind::Resolve,
        "server" => ErrorKind::Server,
        "timeout" => ErrorKind::Timeout,
        "usage" => ErrorKind::Usage,
        other => panic!("`{other}` is no kind of error"),
    }
}

fn outcome(name: &str) -> Outcome {
    match name {
        "applied" => Outcome::Applied,
        "not_sent" => Outcome::NotSent,
        "rejected" => Outcome::Rejected,
        "unknown" => Outcome::Unknown,
        other => panic!("`{other}` is no outcome"),
    }
}

fn met(failed: &Failed) -> Met {
    let state = failed.sqlstate.as_deref().map(|state| {
        ServerCode::sqlstate(state).unwrap_or_else(|| panic!("`{state}` is no SQLSTATE"))
    });
    Met {
        kind: kind(&failed.kind),
        outcome: outcome(&failed.outcome),
        code: state.or(failed.number.map(ServerCode::MySql)),
    }
}

fn run(file: &str, intent: Intent) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/retries");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let table: Table =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(table.cases.len() >= 15, "{file}: cases are missing");
    for case in table.cases {
        let attempt = Attempt {
            intent,
            number: case.attempt,
            record: Record {
                failed: case.failed.as_ref().map(met),
                left_traces: case.left_traces,
            },
            refused_before: case.refused_before,
        };
        let expected = match case.again_after_ms {
            None => Verdict::Return,
            Some(after) => Verdict::Again {
                elsewhere: intent == Intent::Read,
                after: Duration::from_millis(after),
            },
        };
        assert_eq!(judge(&attempt), expected, "{file}: {}", case.name);
    }
}

#[test]
fn reads_are_run_again_as_the_fixture_says() {
    run("reads.json", Intent::Read);
}

#[test]
fn writes_are_run_again_as_the_fixture_says() {
    run("writes.json", Intent::Write);
}

#[test]
fn a_write_of_which_anything_may_have_stayed_is_never_run_again() {
    let kinds = [
        ErrorKind::ConnectionLost,
        ErrorKind::ReadOnly,
        ErrorKind::Server,
        ErrorKind::Timeout,
        ErrorKind::Overloaded,
    ];
    let outcomes = [
        Outcome::Applied,
        Outcome::NotSent,
        Outcome::Rejected,
        Outcome::Unknown,
    ];
    for kind in kinds {
        for outcome in outcomes {
            for left_traces in [false, true] {
                let failed = Met {
                    kind,
                    outcome,
                    code: ServerCode::sqlstate("40001"),
                };
                let verdict = judge(&Attempt {
                    intent: Intent::Write,
                    number: 1,
                    record: Record {
                        failed: Some(failed),
                        left_traces,
                    },
                    refused_before: false,
                });
                let nothing_stayed =
                    !left_traces && matches!(outcome, Outcome::NotSent | Outcome::Rejected);
                let again = verdict != Verdict::Return;
                assert!(nothing_stayed || !again, "{failed:?}, {left_traces}");
            }
        }
    }
}
