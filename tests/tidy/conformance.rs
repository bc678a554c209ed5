//! The conformance table names tests and checks that there are.

use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../docs/simulator-conformance.md");
const CHECKS: &str = include_str!("../../.ci/run");

/// What stands in backticks in the last column, row by row.
fn named(table: &str) -> Vec<&str> {
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let shown_by = rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next());
    let quoted = shown_by.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.collect()
}

fn missing(table: &str) -> Vec<&str> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for directory in ["src", "tests"] {
        collect(&root.join(directory), &mut sources);
    }
    let exists = |name: &str| match name.strip_prefix(".ci/run ") {
        Some(step) => CHECKS.contains(&format!("step_{step}()")),
        None if name.contains('/') => root.join(name).exists(),
        None => sources.contains(&format!("fn {name}()")),
    };
    let names = named(table).into_iter();
    names.filter(|name| !exists(name)).collect()
}

fn collect(directory: &Path, sources: &mut String) {
    let entries = fs::read_dir(directory).expect("a folder of this repository");
    for entry in entries {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).expect("a text"));
        }
    }
}

#[test]
fn every_test_that_the_conformance_table_names_exists() {
    assert!(named(TABLE).len() > 40, "the table was not understood");
    assert_eq!(missing(TABLE), Vec::<&str>::new());
    let wrong = "| a | b | `no_such_test`, `.ci/run nothing`, `tests/nowhere` |";
    assert_eq!(missing(wrong).len(), 3);
}
