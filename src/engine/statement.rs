//! What can be said of a statement from its text without parsing it. Pure and cautious.

/// Whether a statement surely leaves an open transaction open, so that it leaves nothing behind
/// when the connection is lost before the COMMIT.
///
/// Only plain queries and changes of rows count; a script, or anything that may commit by itself
/// (COMMIT, and in MySQL every DDL statement: MySQL manual, section 15.3.3), does not.
pub(super) fn stays_in_transaction(text: &[u8]) -> bool {
    const PLAIN: [&[u8]; 6] = [
        b"select", b"insert", b"update", b"delete", b"replace", b"with",
    ];
    let text = text.trim_ascii();
    let text = text.strip_suffix(b";").unwrap_or(text);
    let word = text
        .iter()
        .position(|byte| !byte.is_ascii_alphabetic())
        .map_or(text, |end| &text[..end]);
    !text.contains(&b';') && PLAIN.iter().any(|plain| word.eq_ignore_ascii_case(plain))
}

/// Whether a script may end a transaction that is open, or commit parts of itself.
///
/// Any word of transaction control anywhere counts, also within a string; so do CALL and DO, whose
/// procedures may commit (PostgreSQL manual, section 43.8).
#[cfg(feature = "postgres")]
pub(super) fn may_commit(text: &str) -> bool {
    const WORDS: [&str; 8] = [
        "abort", "begin", "call", "commit", "do", "end", "prepare", "rollback",
    ];
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .any(|word| WORDS.iter().any(|end| word.eq_ignore_ascii_case(end)))
}

/// Whether a text holds more than one statement, as far as its semicolons tell.
#[cfg(feature = "postgres")]
pub(super) fn has_parts(text: &str) -> bool {
    text.trim().trim_end_matches(';').contains(';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_plain_statements_are_sure_to_stay_in_their_transaction() {
        for text in [
            "insert into t values (1)",
            " SELECT 1;",
            "With x as (select 1) select 1",
        ] {
            assert!(stays_in_transaction(text.as_bytes()), "{text}");
        }
        for text in [
            "commit",
            "insert into t values (1); commit",
            "create table t (a int)",
            "/* */ insert into t values (1)",
            "",
            "insertion",
        ] {
            assert!(!stays_in_transaction(text.as_bytes()), "{text}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn any_word_of_transaction_control_makes_a_script_suspicious() {
        for text in [
            "COMMIT",
            "insert into t values (1);\ncommit;",
            "CALL settle()",
            "do $$ $$",
        ] {
            assert!(may_commit(text), "{text}");
        }
        for text in [
            "insert into t values (1)",
            "select endless, done from committees",
        ] {
            assert!(!may_commit(text), "{text}");
        }
        assert!(has_parts("select 1; select 2"));
        assert!(!has_parts(" select 1 ; "));
    }
}
