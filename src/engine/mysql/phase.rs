//! Where in its life a statement is, which decides what an error leaves of it. Pure.

use crate::engine::statement;

/// Where in its life a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Commits by itself, is a COMMIT, or may be: a lost answer leaves it unknown.
    Committing,
    /// Has parts, or may have, that commit one by one: any error leaves it unknown.
    Script,
    /// Surely inside an open transaction: without its COMMIT nothing of it stays.
    InTransaction,
    /// It is only being prepared, or only looks after the session: nothing is run by it.
    Preparing,
}

/// What a call that went well may have left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    /// Nothing that outlives the session or its open transaction.
    Nothing,
    /// Something, unless a transaction is open after it.
    UnlessInTransaction,
    /// Something, whatever the state of the session after it.
    Something,
}

/// What a statement with this text may leave behind.
pub(super) fn trace_of_text(in_transaction: bool, text: &[u8]) -> Trace {
    const SESSION: [&[u8]; 5] = [b"set", b"show", b"use", b"savepoint", b"release"];
    if has_parts(text) {
        return Trace::Something;
    }
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| !byte.is_ascii_alphabetic());
    let word = &text[..end.unwrap_or(text.len())];
    let is = |other: &[u8]| word.eq_ignore_ascii_case(other);
    if is(b"rollback") || (in_transaction && statement::stays_in_transaction(text)) {
        Trace::Nothing
    } else if in_transaction && (is(b"begin") || is(b"start")) {
        // It commits the transaction that was open (MySQL manual, section 15.3.3).
        Trace::Something
    } else if !in_transaction && SESSION.iter().any(|session| is(session)) {
        Trace::Nothing
    } else {
        Trace::UnlessInTransaction
    }
}

/// The phase of a statement with this text.
pub(super) fn of_text(in_transaction: bool, text: &[u8]) -> Phase {
    if in_transaction && statement::stays_in_transaction(text) {
        Phase::InTransaction
    } else if has_parts(text) {
        Phase::Script
    } else {
        Phase::Committing
    }
}

/// Whether there may be several statements. Cautious: a semicolon in a string counts too, and
/// what a procedure does cannot be seen.
fn has_parts(text: &[u8]) -> bool {
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || *byte == b';';
    let end = text.iter().rposition(|byte| !is_end(byte));
    let text = end
        .map_or(&[][..], |last| &text[..=last])
        .trim_ascii_start();
    let is_call = text
        .get(..4)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"call"));
    text.contains(&b';') || is_call
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_several_statements_is_a_script() {
        for text in [
            "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)",
            "BEGIN; INSERT INTO t VALUES (1); COMMIT;",
            "INSERT INTO t VALUES ('a;b')",
            " call p(1)",
        ] {
            assert_eq!(of_text(false, text.as_bytes()), Phase::Script, "{text}");
            assert_eq!(of_text(true, text.as_bytes()), Phase::Script, "{text}");
        }
    }

    #[test]
    fn a_lone_statement_is_no_script_whatever_ends_it() {
        for text in [
            "INSERT INTO t VALUES (1)",
            "COMMIT;",
            "COMMIT ; ;\n",
            ";",
            "",
        ] {
            assert_eq!(of_text(false, text.as_bytes()), Phase::Committing, "{text}");
        }
    }

    #[test]
    fn what_a_statement_leaves_behind_is_told_by_its_text_and_the_open_transaction() {
        let cases: [(bool, &str, Trace); 12] = [
            (
                false,
                "INSERT INTO t VALUES (1)",
                Trace::UnlessInTransaction,
            ),
            (false, "SELECT f()", Trace::UnlessInTransaction),
            (false, "BEGIN", Trace::UnlessInTransaction),
            (false, " set autocommit = 0", Trace::Nothing),
            (false, "ROLLBACK", Trace::Nothing),
            (false, "CALL p()", Trace::Something),
            (true, "INSERT INTO t VALUES (1)", Trace::Nothing),
            (true, "rollback;", Trace::Nothing),
            (true, "SET autocommit = 1", Trace::UnlessInTransaction),
            (true, "COMMIT", Trace::UnlessInTransaction),
            (true, "START TRANSACTION", Trace::Something),
            (true, "COMMIT; BEGIN", Trace::Something),
        ];
        for (in_transaction, text, trace) in cases {
            let found = trace_of_text(in_transaction, text.as_bytes());
            assert_eq!(found, trace, "{in_transaction}, {text}");
        }
    }

    #[test]
    fn only_a_plain_statement_in_an_open_transaction_is_sure_to_be_inside_it() {
        let insert = b"INSERT INTO t VALUES (1);";
        assert_eq!(of_text(true, insert), Phase::InTransaction);
        assert_eq!(of_text(false, insert), Phase::Committing);
        assert_eq!(of_text(true, b"COMMIT"), Phase::Committing);
    }
}
