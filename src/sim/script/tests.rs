//! What a timeline file may say, and how it is told that it is wrong.

use super::*;

fn message(text: &str) -> String {
    let error = Script::parse("wrong.toml", text).expect_err(text);
    error.to_string()
}

#[test]
fn steps_are_in_the_order_of_their_times_and_know_their_lines() {
    let text = "description = \"Two.\"\n[cluster]\nreaders = 3\n\
                [[step]]\nat_ms = 50\ndo = \"add-reader\"\n\
                [[step]]\nat_ms = 10\ndo = \"crash\"\ninstance = \"writer\"\n";
    let script = Script::parse("two.toml", text).expect("a timeline");
    assert_eq!(script.description(), "Two.");
    assert_eq!(script.readers(), Some(3));
    assert_eq!(script.length(), Duration::from_millis(50));
    let lines: Vec<(usize, usize)> = script
        .steps
        .iter()
        .map(|step| (step.place.number, step.place.line))
        .collect();
    assert_eq!(lines, [(2, 7), (1, 4)]);
    let instance = "writer".to_owned();
    assert_eq!(script.steps[0].action, Action::Crash { instance });
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_step() {
    for (text, parts) in [
        ("step = 3", &["wrong.toml, line 1"][..]),
        ("\n\nnonsense = 1", &["line 3", "nonsense"]),
        (
            "[[step]]\ndo = \"crash\"\ninstance = \"a\"",
            &["line 1, step 1", "at_ms"],
        ),
        (
            "\n[[step]]\nat_ms = -1\ndo = \"mend-dns\"",
            &["line 2, step 1", "0 or more"],
        ),
        (
            "[[step]]\nat_ms = 1\ndo = \"explode\"",
            &["step 1", "explode"],
        ),
        (
            "[[step]]\nat_ms = 1\ndo = \"crash\"",
            &["step 1", "instance"],
        ),
        (
            "[[step]]\nat_ms = 1\ndo = \"crash\"\ninstance = \"a\"\nmore = 1",
            &["more"],
        ),
        (
            "[[step]]\nat_ms = 1\ndo = \"add-reader\"\nmore = 1",
            &["more"],
        ),
        (
            "[[step]]\nat_ms = 1\ndo = \"break-dns\"\nfault = \"slow\"",
            &["step 1", "`ms`"],
        ),
        (
            "[[step]]\nat_ms = 1\ndo = \"break-dns\"\nfault = \"silent\"\nms = 1",
            &["`ms`"],
        ),
        (
            "[[step]]\nat_ms = 1\ndo = \"break-dns\"\nfault = \"wrong\"\nname = \"a\"",
            &["`address`"],
        ),
        (
            "[[step]]\nat_ms = 1\ndo = \"custom-endpoint\"\nname = \"a\"\nkind = \"any\"",
            &["`except`"],
        ),
        (
            "[[step]]\nat_ms = 1\ndo = \"view\"\ninstance = \"a\"\nshows = \"lingering\"",
            &["`other`"],
        ),
        ("[expect]\nwriters = 1", &["line 2", "writers"]),
    ] {
        let message = message(text);
        for part in parts {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
    let error = Script::load("/nowhere/at/all.toml").expect_err("no such file");
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn an_expectation_names_all_that_is_not_met() {
    let text = "[expect]\nwriter = \"b\"\nreaders = 1\npromotions = 1\nevents = [\"2\", \"1\"]\n\
                [expect.roles]\na = \"reader\"\nc = \"reader\"\n";
    let script = Script::parse("end.toml", text).expect("a timeline");
    let met = Outcome {
        writer: Some("b"),
        up: [("b", ExpectedRole::Writer), ("c", ExpectedRole::Reader)].into(),
        promotions: 1,
        events: vec!["1", "2", "3", "1"],
    };
    assert_eq!(script.expectation.unmet(&met), ["a is not up"]);
    let unmet = Outcome {
        events: vec!["1", "2"],
        ..Outcome::default()
    };
    assert_eq!(script.expectation.unmet(&unmet).len(), 6);
}
