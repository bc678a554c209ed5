use proptest::prelude::*;

use super::{Dialect, Digest, Normaliser, TEXT_MAX, hash};

fn digest(dialect: Dialect, text: &str) -> String {
    let mut normaliser = Normaliser::default();
    let digest = normaliser.digest(text.as_bytes(), true, dialect);
    String::from_utf8_lossy(digest).into_owned()
}

fn postgres(text: &str) -> String {
    digest(Dialect::Postgres, text)
}

fn mysql(text: &str) -> String {
    digest(Dialect::MySql, text)
}

#[test]
fn literals_of_every_kind_become_question_marks() {
    for (text, expected) in [
        ("select 1", "SELECT ?"),
        ("select 1.5e-10, .5, 0xFF, 1_000", "SELECT ?, ?, ?, ?"),
        ("SELECT 'it''s'", "SELECT ?"),
        (r"SELECT 'a\', b", "SELECT ?, b"),
        (r"SELECT E'a\', b'", "SELECT ?"),
        (
            "SELECT B'101', X'1F', N'n', U&'d\\0061'",
            "SELECT ?, ?, ?, ?",
        ),
        ("SELECT $1, $2::int", "SELECT ?, ?::int"),
        ("SELECT $$it's$$, $a$ $$ $b$ $a$, 1", "SELECT ?, ?, ?"),
        ("SELECT 'a'\n'b'", "SELECT ?"),
        (
            "SELECT a FROM t WHERE x = -1 AND y=+ 2",
            "SELECT a FROM t WHERE x = ? AND y = ?",
        ),
        ("SELECT a - 1, a-1", "SELECT a - ?, a - ?"),
        ("SELECT \"a 'b\" FROM \"T\"", "SELECT \"a 'b\" FROM \"T\""),
        (
            "SELECT data->>'k', d @> '{}' FROM t",
            "SELECT data ->> ?, d @> ? FROM t",
        ),
    ] {
        assert_eq!(postgres(text), expected, "{text}");
    }
    for (text, expected) in [
        (r"SELECT 'a\', b', 1", "SELECT ?, ?"),
        ("SELECT \"it's\", `a'b` FROM t", "SELECT ?, `a'b` FROM t"),
        (
            "SELECT _utf8mb4'x', x'1f', @v, @@session.a",
            "SELECT ?, ?, @v, @@session.a",
        ),
        ("SELECT a # a comment\nFROM t", "SELECT a FROM t"),
        ("SELECT 5--3", "SELECT ? - ?"),
        (
            "SELECT /*!40001 SQL_NO_CACHE */ a FROM t",
            "SELECT SQL_NO_CACHE a FROM t",
        ),
        (
            "SELECT a FROM t WHERE b = :name AND c=?",
            "SELECT a FROM t WHERE b = ? AND c = ?",
        ),
    ] {
        assert_eq!(mysql(text), expected, "{text}");
    }
}

#[test]
fn white_space_comments_and_the_case_of_keywords_make_no_difference() {
    let expected = "SELECT a.id, COUNT(*) FROM Orders a WHERE a.x IN (?) GROUP BY a.id";
    for text in [
        "select a.id,count(*) from Orders a where a.x in(1) group by a.id",
        "SELECT  a . id , COUNT ( * )\nFROM Orders a /* b /* nested */ c */ WHERE a.x IN (1,2) -- end\n GROUP BY a.id;",
        "Select a.id, Count(*) From Orders a Where a.x In ($1, $2, 3) Group By a.id ; ",
    ] {
        assert_eq!(postgres(text), expected, "{text}");
    }
}

#[test]
fn lists_and_rows_are_as_long_as_one() {
    for (text, expected) in [
        (
            "INSERT INTO t (a, b) VALUES (1, 'x')",
            "INSERT INTO t(a, b) VALUES (?)",
        ),
        (
            "INSERT INTO t(a,b) VALUES (1,NULL),(2,'y'), (-3, DEFAULT)",
            "INSERT INTO t(a, b) VALUES (?)",
        ),
        (
            "INSERT INTO t VALUES (1, now()), (2, now())",
            "INSERT INTO t VALUES (?, now())",
        ),
        (
            "INSERT INTO t VALUES (1), (2) ON CONFLICT DO NOTHING",
            "INSERT INTO t VALUES (?) ON CONFLICT DO NOTHING",
        ),
        (
            "SELECT 1 WHERE (a, b) IN ((1, 2), (3, 4))",
            "SELECT ? WHERE (a, b) IN ((?))",
        ),
        ("SELECT ARRAY[1,2,3]", "SELECT ARRAY[?]"),
        ("SELECT f(1, 2), g((1), (2))", "SELECT f(?, ?), g((?), (?))"),
        (
            "SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d IN (1,2))",
            "SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d IN (?))",
        ),
    ] {
        assert_eq!(postgres(text), expected, "{text}");
        assert_eq!(mysql(text), expected, "{text}");
    }
}

#[test]
fn a_statement_that_was_cut_off_is_counted_with_its_like() {
    let mut normaliser = Normaliser::default();
    let text = format!("INSERT INTO t VALUES {}", "(1, 'abc'), ".repeat(100));
    for end in 40..text.len() {
        let cut = &text.as_bytes()[..end];
        let digest = normaliser.digest(cut, false, Dialect::Postgres);
        let digest = String::from_utf8_lossy(digest).into_owned();
        let digest = digest.replace(",…", "…");
        assert_eq!(digest, "INSERT INTO t VALUES (?)…", "{end}");
    }
}

#[test]
fn the_summary_names_the_operation_and_its_tables() {
    for (text, operation, summary) in [
        (
            "select * from orders o join items i on true",
            "SELECT",
            "SELECT orders items",
        ),
        (
            "insert into shop.orders values (1)",
            "INSERT",
            "INSERT shop.orders",
        ),
        ("update t set a = 1", "UPDATE", "UPDATE t"),
        (
            "with x as (select 1 from a) delete from b using x",
            "DELETE",
            "DELETE a b",
        ),
        ("commit", "COMMIT", "COMMIT"),
        ("select 1 for update", "SELECT", "SELECT"),
        ("", "", ""),
    ] {
        let digest = Digest::of(postgres(text).as_bytes());
        assert_eq!(
            (&*digest.operation, &*digest.summary),
            (operation, summary),
            "{text}"
        );
    }
}

#[test]
fn hashes_differ_by_every_byte_and_length() {
    let text = b"SELECT a, b, c FROM some_table WHERE d = 1 AND e = 2";
    let whole = hash(text);
    for at in 0..text.len() {
        let mut other = *text;
        other[at] ^= 1;
        assert_ne!(hash(&other), whole, "{at}");
        assert_ne!(hash(&text[..at]), whole, "{at}");
    }
}

#[test]
fn a_huge_or_deeply_nested_text_stays_within_its_bounds() {
    for text in [
        "(".repeat(100_000),
        format!("SELECT {}", "a, ".repeat(100_000)),
        format!("SELECT 1 WHERE a IN ({}", "1, ".repeat(100_000)),
        "/*".repeat(100_000),
        "$a".repeat(100_000),
        "$$a".repeat(33_333),
        "'".repeat(99_999),
    ] {
        assert!(postgres(&text).len() <= TEXT_MAX);
        assert!(mysql(&text).len() <= TEXT_MAX);
    }
}

/// Pieces that together make texts that look like SQL, and some that do not.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("select ".to_owned()),
        Just(" in (1,2)".to_owned()),
        Just("values (1),(2)".to_owned()),
        Just("$a$".to_owned()),
        Just("/*!50000 x */".to_owned()),
        "[-+*/()\\[\\],;.'\"`$#?:@!<>= \\\\\n]{0,4}",
        "[a-zA-Z_0-9]{0,6}",
        "\\PC{0,3}",
    ]
}

proptest! {
    #[test]
    fn any_bytes_give_a_digest_within_bounds(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        is_whole in any::<bool>(),
    ) {
        let mut normaliser = Normaliser::default();
        for dialect in [Dialect::Postgres, Dialect::MySql] {
            let made = normaliser.digest(&bytes, is_whole, dialect);
            prop_assert!(made.len() <= TEXT_MAX);
            let digest = Digest::of(made);
            prop_assert!(digest.summary.len() <= 255 + 300);
        }
    }

    #[test]
    fn any_text_of_sql_pieces_gives_the_same_digest_twice(
        pieces in proptest::collection::vec(piece(), 0..20),
    ) {
        let text = pieces.concat();
        let mut reused = Normaliser::default();
        for dialect in [Dialect::Postgres, Dialect::MySql] {
            let first = reused.digest(text.as_bytes(), true, dialect).to_vec();
            let fresh = Normaliser::default().digest(text.as_bytes(), true, dialect).to_vec();
            prop_assert_eq!(first, fresh);
        }
    }

    #[test]
    fn no_literal_shows_in_a_digest(
        number in 1_000_000_u64..,
        secret in "[a-z' ]{0,12}",
        count in 1_usize..20,
    ) {
        let quoted = format!("'secret {}'", secret.replace('\'', "''"));
        let list = vec![quoted.clone(); count].join(",");
        let text = format!("SELECT a FROM t WHERE b = {number} AND c = {quoted} AND d IN ({list})");
        for digest in [postgres(&text), mysql(&text)] {
            prop_assert_eq!(digest, "SELECT a FROM t WHERE b = ? AND c = ? AND d IN (?)");
        }
    }

    #[test]
    fn spacing_makes_no_difference(spaces in proptest::collection::vec("[ \t\n]{0,3}", 12)) {
        let tokens = ["SELECT ", "a", ",", "b", "=", "1", " FROM ", "t", " WHERE ", "c", "<>", "2"];
        let mut text = String::new();
        for (token, space) in tokens.iter().zip(&spaces) {
            text.push_str(token);
            text.push_str(space);
        }
        prop_assert_eq!(postgres(&text), "SELECT a, b = ? FROM t WHERE c <> ?");
    }
}
