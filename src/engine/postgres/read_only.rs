//! Whether a text makes its own transaction READ ONLY, so that a write which is refused there says
//! nothing of the instance. Pure; it reads what applications write, not all of SQL: what it does not
//! understand counts as news of the instance, which is then asked.
//!
//! Of the session's default the server tells itself, from PostgreSQL 14 on.

use crate::engine::residue::{TEXT_MAX, from_first_word, is, is_one_of, words};

/// How a transaction may change data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Access {
    /// As the session's default has it.
    Default,
    ReadOnly,
    ReadWrite,
}

/// What the transaction is after these statements; `None` where none of them says so (PostgreSQL
/// manual, "BEGIN" and "SET TRANSACTION").
pub(super) fn asked_by(text: &[u8]) -> Option<Access> {
    if text.len() > TEXT_MAX {
        return None;
    }
    let parts = text.split(|byte| *byte == b';');
    parts.filter_map(asked_by_statement).next_back()
}

fn asked_by_statement(text: &[u8]) -> Option<Access> {
    // What stands behind a comment is not looked at, as it may stand within it.
    let text = before_comment(from_first_word(text));
    let mut all = words(text);
    let first = all.next()?;
    if is_one_of(first, &["begin", "start"]) {
        Some(mode(text).unwrap_or(Access::Default))
    } else if is(first, "set") && all.next().is_some_and(is_of_transaction) {
        mode(text)
    } else {
        None
    }
}

fn is_of_transaction(word: &[u8]) -> bool {
    is_one_of(word, &["local", "transaction", "transaction_read_only"])
}

fn before_comment(text: &[u8]) -> &[u8] {
    let found = text.windows(2).position(|two| matches!(two, b"--" | b"/*"));
    found.map_or(text, |found| &text[..found])
}

/// The access mode that is named last.
fn mode(text: &[u8]) -> Option<Access> {
    let pairs = words(text).zip(words(text).skip(1));
    let named = pairs.filter_map(|(one, next)| match one {
        _ if is(one, "read") && is(next, "only") => Some(Access::ReadOnly),
        _ if is(one, "read") && is(next, "write") => Some(Access::ReadWrite),
        _ => None,
    });
    named.last().or_else(|| setting(text))
}

fn setting(text: &[u8]) -> Option<Access> {
    let mut after = words(text).skip_while(|word| !is(word, "transaction_read_only"));
    after.next()?;
    Some(
        match after.any(|word| is_one_of(word, &["on", "true", "yes", "1"])) {
            true => Access::ReadOnly,
            false => Access::ReadWrite,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_whether_it_makes_its_transaction_read_only() {
        let cases: [(Option<Access>, &[&str]); 4] = [
            (
                None,
                &[
                    "",
                    "SELECT 'BEGIN READ ONLY'",
                    "INSERT INTO t (a) VALUES ('set transaction read only')",
                    "SET default_transaction_read_only = on",
                    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                    "set transaction isolation level serializable",
                    "set work_mem = '1MB'",
                    "set",
                ],
            ),
            (
                Some(Access::Default),
                &[
                    "BEGIN",
                    "BEGIN /*action='read only'*/",
                    "begin -- read only",
                    "BEGIN READ ONLY; COMMIT; BEGIN",
                ],
            ),
            (
                Some(Access::ReadWrite),
                &[
                    "START TRANSACTION READ WRITE",
                    "BEGIN READ ONLY; SET TRANSACTION READ WRITE",
                    "SET LOCAL transaction_read_only = off",
                ],
            ),
            (
                Some(Access::ReadOnly),
                &[
                    "BEGIN READ ONLY",
                    "begin transaction isolation level repeatable read, read only",
                    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
                    "/* report */ BEGIN; SET TRANSACTION READ ONLY; SELECT 1",
                    "SET LOCAL transaction_read_only TO on",
                    "set transaction_read_only = 'true'",
                ],
            ),
        ];
        for (access, texts) in cases {
            for text in texts {
                assert_eq!(asked_by(text.as_bytes()), access, "{text}");
            }
        }
        let long = format!("BEGIN READ ONLY{}", " ".repeat(TEXT_MAX));
        assert_eq!(asked_by(long.as_bytes()), None);
    }
}
