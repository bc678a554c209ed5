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
}
