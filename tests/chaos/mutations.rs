//! `fixtures/mutations`: bugs that the trials must find. `.ci/mutations` builds and runs them; here
//! they are only held against the sources, so that none falls out of use unnoticed.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::fixtures;
use super::trial::invariants::INVARIANTS;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutation {
    breaks: String,
    edits: Vec<Edit>,
    found_by: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: String,
    from: String,
    to: Option<String>,
    switched: Option<String>,
}

fn mutations() -> impl Iterator<Item = (String, Mutation)> {
    fixtures("mutations").into_iter().map(|file| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let mutation = serde_json::from_str(&text);
        let mutation = mutation.unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, mutation)
    })
}

#[test]
fn every_edit_of_a_mutation_fits_one_place_of_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, mutation) in mutations() {
        assert!(
            mutation.breaks.ends_with('.'),
            "{name} does not say what it breaks"
        );
        assert!(!mutation.edits.is_empty(), "{name}");
        for edit in &mutation.edits {
            let source = fs::read_to_string(root.join(&edit.file)).unwrap();
            let places = source.matches(&edit.from).count();
            assert_eq!(places, 1, "{name}: {}: {:?}", edit.file, edit.from);
            match (&edit.to, &edit.switched) {
                (Some(to), None) => assert_ne!(*to, edit.from, "{name}"),
                (None, Some(switched)) => assert!(switched.contains("{mutated}"), "{name}"),
                _ => panic!("{name}: `to` or `switched`, one of them"),
            }
        }
    }
}

#[test]
fn every_mutation_names_invariants_that_there_are() {
    for (name, mutation) in mutations() {
        for expected in &mutation.found_by {
            let is_there = INVARIANTS
                .iter()
                .any(|(invariant, _)| invariant == expected);
            assert!(is_there, "{name}: `{expected}`");
        }
    }
}
