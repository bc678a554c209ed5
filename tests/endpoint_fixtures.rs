//! Runs `fixtures/endpoint/*.json`; the format is in the README beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aurora_driver::InstanceId;
use aurora_driver::endpoint::{Endpoint, InstancePattern};
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    description: String,
    #[serde(default)]
    names: Vec<Name>,
    #[serde(default)]
    patterns: Vec<Pattern>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
    error: Option<String>,
    kind: Option<String>,
    host: Option<String>,
    #[serde(default, deserialize_with = "asserted")]
    identifier: Option<Option<String>>,
    #[serde(default, deserialize_with = "asserted")]
    domain: Option<Option<String>>,
    #[serde(default, deserialize_with = "asserted")]
    region: Option<Option<String>>,
    green: Option<bool>,
    retired: Option<bool>,
    pattern: Option<String>,
    pattern_error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    pattern: String,
    error: Option<String>,
    shown: Option<String>,
    #[serde(default)]
    hosts: BTreeMap<String, String>,
    #[serde(default)]
    not_instances: Vec<String>,
}

/// Tells a key that is `null` (asserted to be none) from one that is absent (not asserted).
fn asserted<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

#[test]
fn every_endpoint_fixture_holds() {
    let only = std::env::var("FIXTURE").ok();
    let (mut files, mut names, mut failures) = (0, 0, Vec::new());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/endpoint");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        if !is_json || only.as_ref().is_some_and(|only| *only != stem) {
            continue;
        }
        let fixture: Fixture = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{stem}: {error}"));
        let checks = fixture.names.iter().map(check_name);
        let checks = checks.chain(fixture.patterns.iter().map(check_pattern));
        for failure in checks.filter_map(Result::err) {
            failures.push(format!("{stem} ({}): {failure}", fixture.description));
        }
        files += 1;
        names += fixture.names.len();
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    match only {
        Some(only) => assert_eq!(files, 1, "there is one fixture called {only}"),
        None => assert!(files >= 11 && names >= 40, "{files} files, {names} names"),
    }
}

fn check_name(case: &Name) -> Result<(), String> {
    let name = &case.name;
    let parsed = Endpoint::parse(name);
    if let Some(expected) = &case.error {
        return refused(name, parsed.err(), expected);
    }
    let endpoint = parsed.map_err(|error| format!("{name}: {error}"))?;
    same(name, "kind", case.kind.as_deref(), endpoint.kind().name())?;
    let host = case.host.as_deref().unwrap_or(name);
    same(name, "host", Some(host), endpoint.host())?;
    let told = |value: &'static str, expected: &Option<Option<String>>, told: Option<&str>| {
        same(name, value, expected.clone(), told.map(str::to_owned))
    };
    told("identifier", &case.identifier, endpoint.identifier())?;
    told("domain", &case.domain, endpoint.domain())?;
    told("region", &case.region, endpoint.region())?;
    same(name, "green", case.green, endpoint.is_green())?;
    same(name, "retired", case.retired, endpoint.is_retired())?;

    let pattern = InstancePattern::derive(&endpoint);
    if let Some(expected) = &case.pattern_error {
        return refused(name, pattern.err(), expected);
    }
    match (&case.pattern, pattern) {
        (None, _) => Ok(()),
        (Some(expected), Ok(pattern)) => {
            let expected = Some(expected.clone());
            same(name, "pattern", expected, pattern.to_string())
        }
        (Some(_), Err(error)) => Err(format!("{name}: no pattern: {error}")),
    }
}

fn check_pattern(case: &Pattern) -> Result<(), String> {
    let text = &case.pattern;
    let parsed = text.parse::<InstancePattern>();
    if let Some(expected) = &case.error {
        return refused(text, parsed.err(), expected);
    }
    let pattern = parsed.map_err(|error| format!("{text}: {error}"))?;
    let shown = case.shown.clone().unwrap_or_else(|| text.clone());
    same(text, "shown", Some(shown), pattern.to_string())?;
    for (instance, expected) in &case.hosts {
        let instance = InstanceId::new(instance);
        let host = pattern
            .host_for(&instance, 3306)
            .map_err(|error| format!("{text}: {error}"))?;
        same(text, "host", Some(expected.clone()), host.to_string())?;
        let back = pattern.instance_of(&host.host);
        same(text, "instance", Some(Some(instance)), back)?;
    }
    for other in &case.not_instances {
        same(text, other, Some(None), pattern.instance_of(other))?;
    }
    Ok(())
}

fn refused(text: &str, error: Option<aurora_driver::Error>, expected: &str) -> Result<(), String> {
    let Some(error) = error else {
        return Err(format!("`{text}` is not refused"));
    };
    let message = error.to_string();
    if error.kind() != aurora_driver::ErrorKind::Config || !message.contains(expected) {
        return Err(format!(
            "`{text}`: `{message}` does not contain `{expected}`"
        ));
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(
    text: &str,
    what: &str,
    expected: Option<T>,
    found: T,
) -> Result<(), String> {
    match expected {
        Some(expected) if expected != found => Err(format!(
            "`{text}`: {what} is {found:?}, expected {expected:?}"
        )),
        _ => Ok(()),
    }
}
