use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const ENGINES: [EngineKind; 2] = [EngineKind::MySql, EngineKind::Postgres];

/// One file of `fixtures/statements`; the README there is the format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    engines: Vec<String>,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    text: String,
    kind: String,
    reason: Option<String>,
    asks_of_earlier: Option<bool>,
    asks_for_id: Option<bool>,
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::PureRead => "pure_read",
        Kind::Other => "other",
        Kind::AsksSession => "asks_session",
        Kind::Begins { read_only: false } => "begins",
        Kind::Begins { read_only: true } => "begins_read_only",
        Kind::Ends { chains: false, .. } => "ends",
        Kind::Ends { chains: true, .. } => "ends_and_chains",
        Kind::Savepoint => "savepoint",
        Kind::LeavesState => "leaves_state",
        Kind::Unclear => "unclear",
    }
}

#[test]
fn statements_are_what_the_fixtures_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/statements");
    let only = std::env::var("FIXTURE").ok();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let wanted = only.as_ref().is_none_or(|only| *only == name);
        if !wanted || path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let fixture: Fixture = toml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for engine in fixture.engines {
            let engine: EngineKind = engine.parse().unwrap();
            for case in &fixture.case {
                checked += 1;
                let found = classify(engine, &case.text);
                let said = case.reason.as_ref();
                let fits = said.is_none_or(|part| found.reason.contains(part));
                let is_so = |said: Option<bool>, found| said.is_none_or(|said| said == found);
                let asks_so = is_so(case.asks_of_earlier, found.asks_of_earlier)
                    && is_so(case.asks_for_id, found.asks_for_id);
                if name_of(found.kind) != case.kind || !fits || !asks_so {
                    wrong.push(format!("{name}, {engine}: {:?} is {found:?}", case.text));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(checked > 300 || only.is_some(), "only {checked} cases");
}

#[test]
fn a_function_is_in_one_list_only() {
    for (lists, engine) in [
        (
            [
                &postgres::FUNCTIONS,
                &postgres::LEAVES_STATE,
                &postgres::OF_SESSION,
            ],
            "PostgreSQL",
        ),
        (
            [&mysql::FUNCTIONS, &mysql::LEAVES_STATE, &mysql::OF_SESSION],
            "MySQL",
        ),
    ] {
        let mut seen = BTreeSet::new();
        for name in lists.into_iter().flat_map(words::Words::all) {
            assert!(seen.insert(name), "{engine}: {name} is there twice");
            assert_eq!(name, name.to_ascii_lowercase());
        }
    }
}

#[test]
fn what_tells_of_earlier_statements_is_of_the_session() {
    for name in mysql::OF_EARLIER.all() {
        assert!(mysql::OF_SESSION.contain(name), "{name}");
    }
    for name in postgres::OF_EARLIER.all() {
        assert!(postgres::OF_SESSION.contain(name), "{name}");
    }
}

/// A text of one kind of bracket or operator, again and again.
fn repeated(opening: &str, inner: &str, closing: &str, times: usize) -> String {
    [&opening.repeat(times), inner, &closing.repeat(times)].concat()
}

#[test]
fn what_nests_deeply_or_never_ends_is_no_pure_read_and_overflows_nothing() {
    let chains = [
        "1+", "NOT ", "- ", "1 = ", "a.", "'x' || ", "1 OR ", "x IN ",
    ];
    let mut texts: Vec<String> = Vec::new();
    for times in [15, 100, 2_000, 20_000] {
        texts.push(repeated("SELECT (", "1", ")", times));
        texts.push(repeated("(", "SELECT 1", ")", times));
        texts.push(format!("SELECT {}", repeated("(", "1", ")", times)));
        for call in [
            "lower(",
            "CAST(",
            "position(",
            "(SELECT ",
            "EXISTS (",
            "x IN (",
            "trim(",
        ] {
            texts.push(format!("SELECT {}", repeated(call, "1", ")", times)));
            texts.push(format!("SELECT * FROM {}", repeated(call, "t", ")", times)));
        }
        texts.push(format!(
            "SELECT {}",
            repeated("CASE WHEN ", "1", " THEN 1 END", times)
        ));
        texts.push(format!("SELECT * FROM {}", repeated("(", "t", ")", times)));
        texts.push(format!("SELECT 1{}", " UNION SELECT 1, 2".repeat(times)));
        texts.push(format!("SELECT x{}", "[1]".repeat(times)));
        texts.push(format!("SELECT x{}", "::text".repeat(times)));
        texts.push(format!("SELECT * FROM t{}", " JOIN t ON 1".repeat(times)));
        texts.push("/*".repeat(times));
        texts.push(repeated("EXPLAIN ", "SELECT 1", "", times));
        for chain in chains {
            texts.push(format!("SELECT {}1", chain.repeat(times)));
        }
    }
    // Little stack is left where an application calls deep within itself.
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let classified = small.spawn(move || {
        for text in texts {
            for engine in ENGINES {
                let found = classify(engine, &text);
                let beginning = text.get(..40).unwrap_or(&text);
                let may_be_read = text.len() < 3_000;
                assert!(
                    may_be_read || found.kind != Kind::PureRead,
                    "{engine}: {beginning} is {found:?}"
                );
            }
        }
    });
    classified.unwrap().join().unwrap();
}

/// Words and signs of SQL in any order.
fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "SELECT",
        "FROM",
        "WHERE",
        "t",
        "a",
        "*",
        "(",
        ")",
        ",",
        "1",
        "'x'",
        "\"q\"",
        "`b`",
        "$1",
        "?",
        ";",
        "--",
        "/*",
        "*/",
        "/*!",
        "\n",
        "@x",
        ":=",
        "FOR",
        "UPDATE",
        "WITH",
        "AS",
        "INSERT",
        "INTO",
        "VALUES",
        "UNION",
        "lower",
        "now",
        "nextval",
        "CASE",
        "WHEN",
        "END",
        "::",
        "int",
        "[",
        "]",
        "$$",
        "\\",
        "'",
        "BEGIN",
        "COMMIT",
        "SET",
        "LOCK",
        "IN",
        "SHARE",
        "MODE",
        "EXISTS",
        "JOIN",
        "ON",
        "LATERAL",
        "OVER",
        "PARTITION",
        "BY",
        ".",
        "EXPLAIN",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.join(" "))
}

/// What does not belong into a read, at the beginning of a statement or after a semicolon.
fn verb() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "CREATE TABLE u (a int)",
        "DROP TABLE t",
        "ALTER TABLE t ADD b int",
        "TRUNCATE TABLE t",
        "CALL p()",
        "GRANT SELECT ON t TO u",
        "SET x = 1",
        "LOCK TABLE t",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
        "SELECT nextval('s')",
        "SELECT * FROM t FOR UPDATE",
        "SELECT f(1)",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_classified(text in prop_oneof![soup(), ".*", "[ -~]{0,80}"]) {
        for engine in ENGINES {
            prop_assert!(!classify(engine, &text).reason.is_empty());
        }
    }

    #[test]
    fn a_text_with_a_write_at_its_top_level_is_never_a_pure_read(
        before in prop_oneof![
            Just(String::new()),
            Just("SELECT 1; ".to_owned()),
            Just("/* SELECT */ ".to_owned()),
            Just("-- SELECT\n".to_owned()),
            soup().prop_map(|soup| soup + "; "),
        ],
        verb in verb(),
        after in prop_oneof![Just(String::new()), soup().prop_map(|soup| format!("; {soup}"))],
    ) {
        // What stands in a literal or a comment is not at the top level.
        let opens = ['\'', '"', '`', '$', '\\', '-', '*'];
        prop_assume!(!before.contains(opens) || before.starts_with("/* S") || before.starts_with("-- S"));
        for engine in ENGINES {
            let text = format!("{before}{verb}{after}");
            let found = classify(engine, &text);
            prop_assert_ne!(found.kind, Kind::PureRead, "{}: {:?}", engine, text);
        }
    }

    #[test]
    fn comments_and_the_case_of_words_change_nothing(
        gap in prop::sample::select(vec![" ", "\n", "\t ", " /* DELETE */ ", " -- it's\n"]),
        text in prop::sample::select(vec![
            "SELECT a , b FROM t WHERE a = 1",
            "SELECT a FROM t FOR UPDATE",
            "BEGIN",
            "COMMIT",
            "DELETE FROM t",
            "WITH x AS ( SELECT 1 ) SELECT * FROM x",
        ]),
        small in any::<bool>(),
    ) {
        let other = text.replace(' ', gap);
        let other = if small { other.to_ascii_lowercase() } else { other };
        for engine in ENGINES {
            prop_assert_eq!(classify(engine, text).kind, classify(engine, &other).kind, "{:?}", other);
        }
    }
}
