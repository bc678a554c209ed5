//! Whether a text makes its own transaction or session READ ONLY, so that a write which is refused
//! there says nothing of the instance. Pure; it reads what applications write, not all of SQL: what
//! it does not understand counts as news of the instance, which is then asked.

use crate::engine::residue::{TEXT_MAX, from_first_word, is, is_one_of, words};

/// How long it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Transaction,
    /// Until the session is reset.
    Session,
}

/// The widest scope for which one of the statements in the text asks for it (PostgreSQL manual,
/// "SET TRANSACTION" and "default_transaction_read_only").
pub(super) fn asked_by(text: &[u8]) -> Option<Scope> {
    if text.len() > TEXT_MAX {
        return None;
    }
    text.split(|byte| *byte == b';')
        .filter_map(asked_by_statement)
        .max()
}

fn asked_by_statement(text: &[u8]) -> Option<Scope> {
    let text = from_first_word(text);
    let mut all = words(text);
    let first = all.next()?;
    if is_one_of(first, &["begin", "start"]) {
        return says_read_only(text).then_some(Scope::Transaction);
    }
    if !is(first, "set") {
        return None;
    }
    let of_transaction = [
        "local",
        "transaction",
        "transaction_isolation",
        "transaction_read_only",
    ];
    let scope = if is_one_of(all.next()?, &of_transaction) {
        Scope::Transaction
    } else {
        Scope::Session
    };
    (says_read_only(text) || turns_on(text)).then_some(scope)
}

fn says_read_only(text: &[u8]) -> bool {
    let after = words(text).skip(1);
    words(text)
        .zip(after)
        .any(|(one, next)| is(one, "read") && is(next, "only"))
}

fn turns_on(text: &[u8]) -> bool {
    let settings = ["default_transaction_read_only", "transaction_read_only"];
    let mut after = words(text).skip_while(|word| !is_one_of(word, &settings));
    after.next().is_some() && after.any(|word| is_one_of(word, &["on", "true", "yes", "1"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_whether_it_makes_its_transaction_or_its_session_read_only() {
        let cases: [(Option<Scope>, &[&str]); 3] = [
            (
                None,
                &[
                    "",
                    "BEGIN",
                    "START TRANSACTION READ WRITE",
                    "SELECT 'BEGIN READ ONLY'",
                    "INSERT INTO t (a) VALUES ('set transaction read only')",
                    "SET default_transaction_read_only = off",
                    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
                    "set work_mem = '1MB'",
                    "set",
                ],
            ),
            (
                Some(Scope::Transaction),
                &[
                    "BEGIN READ ONLY",
                    "begin transaction isolation level repeatable read, read only",
                    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
                    "/* report */ BEGIN; SET TRANSACTION READ ONLY; SELECT 1",
                    "SET LOCAL transaction_read_only TO on",
                    "set transaction_read_only = 'true'",
                ],
            ),
            (
                Some(Scope::Session),
                &[
                    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                    "SET default_transaction_read_only = on",
                    "BEGIN READ ONLY; SET SESSION default_transaction_read_only TO 'on'",
                ],
            ),
        ];
        for (scope, texts) in cases {
            for text in texts {
                assert_eq!(asked_by(text.as_bytes()), scope, "{text}");
            }
        }
        let long = format!("BEGIN READ ONLY{}", " ".repeat(TEXT_MAX));
        assert_eq!(asked_by(long.as_bytes()), None);
    }
}
