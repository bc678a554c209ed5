//! The rules of CONTRIBUTING that a machine can check, checked: which way imports point, who may
//! look at the clock, who may start a task, how long things may be.
//!
//! Sources are read as text with comments and literals blanked out, which is enough for code that
//! rustfmt has laid out. Each rule is a function from one file to its breaches, and has a test
//! that shows it can fail.

mod conformance;
mod source;

use source::{Source, blank, modules_named, sources};

/// The layers, from left to right: imports point left only.
const LAYERS: [&str; 8] = [
    "base", "config", "resolve", "topology", "routing", "engine", "pool", "cluster",
];
/// Under all layers.
const BASE: [&str; 7] = ["error", "event", "id", "observe", "rng", "task", "time"];
/// What the simulator may know of the rest of the crate: names of things.
const SIM_IMPORTS: [&str; 1] = ["id"];
/// The direct front is an engine of the driver's, and a workload over it, so it alone sees the
/// driver. Nothing imports it in turn.
const DIRECT_IMPORTS: [&str; 8] = [
    "cluster", "config", "engine", "error", "id", "resolve", "sim", "topology",
];
/// What decides and does not act.
const PURE: [&str; 24] = [
    "cluster/budget.rs",
    "cluster/retry.rs",
    "cluster/routed/rules.rs",
    "engine/mysql/faults.rs",
    "engine/postgres/faults.rs",
    "engine/statement.rs",
    "observe/digest",
    "observe/histogram.rs",
    "observe/latency.rs",
    "observe/insights/snapshot.rs",
    "observe/phases.rs",
    "observe/record.rs",
    "observe/slow.rs",
    "observe/story.rs",
    "resolve/answers.rs",
    "resolve/endpoint.rs",
    "resolve/members.rs",
    "resolve/pattern.rs",
    "routing/",
    "sim/world/",
    "topology/apply.rs",
    "topology/cadence.rs",
    "topology/silence.rs",
    "topology/table.rs",
];
/// The doors to the clock: the driver's, and the simulator's.
const CLOCKS: [&str; 2] = ["time.rs", "sim/cluster/boot.rs"];
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

fn rank(module: &str) -> Option<usize> {
    let layer = if BASE.contains(&module) {
        "base"
    } else {
        module
    };
    LAYERS.iter().position(|known| *known == layer)
}

fn imports_point_left(source: &Source) -> Vec<String> {
    let module = source.module();
    let mut breaches = Vec::new();
    if source.is_test || module == "lib" {
        return breaches;
    }
    for (line, named) in modules_named(source) {
        let allowed = if source.path.starts_with("sim/direct/") {
            DIRECT_IMPORTS.contains(&named.as_str())
        } else if module == "sim" {
            named == "sim" || SIM_IMPORTS.contains(&named.as_str())
        } else {
            match (rank(module), rank(&named)) {
                (Some(own), Some(other)) => other <= own,
                _ => false,
            }
        };
        if !allowed {
            breaches.push(source.breach(line, format!("`{module}` must not import `{named}`")));
        }
    }
    breaches
}

fn the_clock_has_one_door(source: &Source) -> Vec<String> {
    if source.is_test || CLOCKS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let readings = ["Instant::now", "SystemTime::now", ".elapsed()"];
    let found = readings
        .iter()
        .flat_map(|reading| source.lines_with(reading));
    found
        .map(|line| source.breach(line, "ask `time` for the time"))
        .collect()
}

fn randomness_has_one_door(source: &Source) -> Vec<String> {
    if source.is_test || source.path == "rng.rs" || source.module() == "sim" {
        return Vec::new();
    }
    let found = source.lines_with("fastrand::");
    found
        .map(|line| source.breach(line, "ask `rng` for randomness"))
        .collect()
}

/// Tasks are started by a `Spawner`, or in the simulator by its one `TaskTracker`, so that they
/// are owned and awaited.
fn tasks_have_owners(source: &Source) -> Vec<String> {
    if source.is_test || source.path == "task.rs" {
        return Vec::new();
    }
    let loose = [
        "tokio::spawn",
        "task::spawn",
        "thread::spawn",
        "spawn_blocking",
        "spawn_local",
        "JoinSet",
    ];
    let found = loose.iter().flat_map(|start| source.lines_with(start));
    let mut breaches: Vec<_> = found
        .map(|line| source.breach(line, "a task that nobody owns"))
        .collect();
    let owners: &[&str] = match source.module() {
        "sim" => &["tasks"],
        _ => &["spawner", "spawner()"],
    };
    for (offset, _) in source.code.match_indices(".spawn(") {
        let receiver = source.code[..offset].trim_end();
        if !owners.iter().any(|owner| receiver.ends_with(owner)) {
            let line = source.line_of(offset);
            breaches.push(source.breach(line, format!("spawn by one of {owners:?}")));
        }
    }
    breaches
}

fn pure_code_does_not_act(source: &Source) -> Vec<String> {
    let is_pure = PURE.iter().any(|pure| source.path.starts_with(pure));
    if source.is_test || !is_pure {
        return Vec::new();
    }
    let acts = [
        "async ",
        ".await",
        "tokio::",
        "time::now()",
        "std::fs",
        "TcpStream",
    ];
    let found = acts.iter().flat_map(|act| source.lines_with(act));
    found
        .map(|line| source.breach(line, "this file decides, it must not act"))
        .collect()
}

fn nothing_is_left_undone(source: &Source) -> Vec<String> {
    let code = blank(&source.text);
    let whole = Source {
        path: source.path.clone(),
        text: String::new(),
        code,
        is_test: source.is_test,
    };
    let mut found: Vec<usize> = ["todo!", "unimplemented!", "dbg!", "fn test_"]
        .iter()
        .flat_map(|word| whole.lines_with(word))
        .collect();
    if !source.is_test {
        for word in ["println!", "print!(", ".unwrap()"] {
            found.extend(source.lines_with(word));
        }
    }
    found
        .into_iter()
        .map(|line| source.breach(line, "left over, or a name that begins with `test_`"))
        .collect()
}

fn exceptions_give_their_reason(source: &Source) -> Vec<String> {
    let mut breaches = Vec::new();
    for opening in ["[allow(", "[expect("] {
        for (offset, _) in source.code.match_indices(opening) {
            let attribute = &source.code[offset..];
            let end = attribute.find(")]").unwrap_or(attribute.len());
            if !attribute[..end].contains("reason =") {
                let line = source.line_of(offset);
                breaches.push(source.breach(line, "add `reason = \"...\"`"));
            }
        }
    }
    breaches
}

fn files_are_one_idea(source: &Source) -> Vec<String> {
    let mut breaches = Vec::new();
    if !source.is_test && source.code.lines().count() > FILE_LINES_MAX {
        breaches.push(source.breach(FILE_LINES_MAX, "longer than a file may be: split it"));
    }
    if !source.is_test && source.path != "lib.rs" && !source.text.starts_with("//!") {
        breaches.push(source.breach(1, "begin with `//!`: what lives here"));
    }
    breaches
}

/// Relies on rustfmt: the brace that closes a function stands under its first letter.
fn functions_fit_on_a_screen(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.code.lines().collect();
    let mut breaches = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let is_function = bare.starts_with("fn ") || bare.contains(" fn ");
        if !is_function || source.is_test || is_declaration(&lines[start..]) {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(line.len() - bare.len()));
        let length = lines[start..].iter().position(|line| *line == closing);
        if length.is_some_and(|length| length > FUNCTION_LINES_MAX) {
            breaches.push(source.breach(start + 1, "longer than a function may be"));
        }
    }
    breaches
}

/// A trait's function without a body: its signature ends with a semicolon before any brace opens.
fn is_declaration(lines: &[&str]) -> bool {
    let ends = |line: &&&str| line.ends_with([';', '{', '}']);
    lines
        .iter()
        .find(ends)
        .is_some_and(|line| line.ends_with(';'))
}

fn assert_kept(rule: fn(&Source) -> Vec<String>) {
    let breaches: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[track_caller]
fn assert_breached(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) {
    let source = Source::new(path, text, false);
    assert_eq!(rule(&source).len(), 1, "{path}: {text}");
}

#[test]
fn every_import_points_left() {
    assert_kept(imports_point_left);
    for (path, text) in [
        ("topology/apply.rs", "use crate::pool::set::PoolSet;"),
        ("topology/apply.rs", "use crate::{id::Epoch, pool::set};"),
        (
            "engine/mysql/client.rs",
            "use super::super::super::cluster::Cluster;",
        ),
        ("error.rs", "use crate::config::Config;"),
        ("sim/world/mod.rs", "use crate::topology::Role;"),
        ("sim/cluster/mod.rs", "use crate::engine::Engine;"),
        ("sim/direct/mod.rs", "use crate::pool::set::PoolSet;"),
        ("cluster/mod.rs", "use crate::sim::SimCluster;"),
        ("newcomer/mod.rs", "use crate::id::InstanceId;"),
    ] {
        assert_breached(imports_point_left, path, text);
    }
}

#[test]
fn nobody_else_reads_the_clock() {
    assert_kept(the_clock_has_one_door);
    assert_breached(
        the_clock_has_one_door,
        "pool/set.rs",
        "let now = Instant::now();",
    );
}

#[test]
fn nobody_else_draws_random_numbers() {
    assert_kept(randomness_has_one_door);
    assert_breached(randomness_has_one_door, "pool/set.rs", "fastrand::u8(..)");
}

#[test]
fn every_task_is_owned() {
    assert_kept(tasks_have_owners);
    assert_breached(tasks_have_owners, "pool/set.rs", "tokio::spawn(work());");
    assert_breached(tasks_have_owners, "sim/dns.rs", "handle.spawn(work());");
}

#[test]
fn pure_files_neither_wait_nor_touch_the_outside() {
    assert_kept(pure_code_does_not_act);
    assert_breached(
        pure_code_does_not_act,
        "routing/mod.rs",
        "let now = time::now();",
    );
}

#[test]
fn no_stubs_prints_or_unwraps_stay_behind() {
    assert_kept(nothing_is_left_undone);
    assert_breached(nothing_is_left_undone, "id.rs", "fn f() { todo!() }");
    assert_breached(nothing_is_left_undone, "id.rs", "let x = y.unwrap();");
}

#[test]
fn every_silenced_lint_gives_its_reason() {
    assert_kept(exceptions_give_their_reason);
    assert_breached(exceptions_give_their_reason, "id.rs", "#[allow(dead_code)]");
}

#[test]
fn no_file_is_longer_than_an_idea_and_each_says_what_it_is() {
    assert_kept(files_are_one_idea);
    let long = format!("//! Long.\n{}", "\n".repeat(FILE_LINES_MAX));
    assert_breached(files_are_one_idea, "id.rs", &long);
    assert_breached(files_are_one_idea, "id.rs", "struct Unexplained;");
}

#[test]
fn no_function_is_longer_than_a_screen() {
    assert_kept(functions_fit_on_a_screen);
    let long = format!("fn f() {{\n{}}}\n", "\n".repeat(FUNCTION_LINES_MAX));
    assert_breached(functions_fit_on_a_screen, "id.rs", &long);
    let declared = format!(
        "trait T {{\n    fn f();\n{}    fn g() {{\n    }}\n}}\n",
        "\n".repeat(FUNCTION_LINES_MAX)
    );
    assert_eq!(
        functions_fit_on_a_screen(&Source::new("id.rs", &declared, false)),
        Vec::<String>::new()
    );
}

#[test]
fn comments_literals_and_tests_are_not_code() {
    let text = "// todo!()\nlet a = \"dbg!\\\"\"; let b = r#\"tokio::spawn\"#; let c = '\"';\n\
                fn f<'a>(x: &'a str) {}\n#[cfg(test)]\nmod tests {\n    Instant::now();\n}\n";
    let source = Source::new("id.rs", text, false);
    assert!(
        source.code.contains("fn f<'a>(x: &'a str) {}"),
        "{}",
        source.code
    );
    for word in ["todo", "dbg", "spawn", "Instant", "'\"'"] {
        assert!(!source.code.contains(word), "{word}: {}", source.code);
    }
}
