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
    fn only_a_plain_statement_in_an_open_transaction_is_sure_to_be_inside_it() {
        let insert = b"INSERT INTO t VALUES (1);";
        assert_eq!(of_text(true, insert), Phase::InTransaction);
        assert_eq!(of_text(false, insert), Phase::Committing);
        assert_eq!(of_text(true, b"COMMIT"), Phase::Committing);
    }
}
