//! Reads `fixtures/errors/*.json`; the format is in the README beside them.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Outcome};
use crate::topology::observation::Fault;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table<C> {
    #[serde(rename = "description")]
    _description: String,
    cases: Vec<C>,
}

/// What an error is expected to mean.
#[derive(Debug, PartialEq)]
pub(super) struct Meaning {
    pub(super) fault: String,
    pub(super) condemns: bool,
    pub(super) kind: String,
    pub(super) outcome: String,
    pub(super) is_retryable: bool,
}

impl Meaning {
    pub(super) fn found(fault: Fault, error: &Error) -> Self {
        Self {
            fault: snake_case(&format!("{fault:?}")),
            condemns: super::faults::condemns(fault),
            kind: kind(error.kind()),
            outcome: outcome(error.outcome()),
            is_retryable: error.is_retryable(),
        }
    }
}

/// The cases of one engine.
pub(super) fn cases<C: DeserializeOwned>(file: &str) -> Vec<C> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/errors");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let table: Table<C> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(table.cases.len() >= 20, "{file}: cases are missing");
    table.cases
}

fn kind(kind: ErrorKind) -> String {
    snake_case(&format!("{kind:?}"))
}

fn outcome(outcome: Outcome) -> String {
    snake_case(&format!("{outcome:?}"))
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
