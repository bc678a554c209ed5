//! MySQL's statements.

use super::{Residue, TEXT_MAX, from_first_word, is, is_in_word, is_one_of, words};

/// First words of statements that leave nothing in the session by themselves.
const HARMLESS: [&str; 29] = [
    "alter",
    "analyze",
    "begin",
    "check",
    "commit",
    "create",
    "delete",
    "desc",
    "describe",
    "drop",
    "explain",
    "grant",
    "insert",
    "kill",
    "load",
    "optimize",
    "release",
    "rename",
    "repair",
    "replace",
    "revoke",
    "rollback",
    "savepoint",
    "select",
    "show",
    "start",
    "truncate",
    "unlock",
    "update",
];
const HARMLESS_TOO: [&str; 3] = ["table", "values", "with"];

/// What a text may leave behind, of one statement or several.
///
/// COM_RESET_CONNECTION takes away variables, locks, temporary tables and prepared statements
/// (MySQL manual, "mysql_reset_connection()"), but leads back to no other database.
pub(crate) fn of_text(text: &[u8]) -> Residue {
    if text.len() > TEXT_MAX {
        return Residue::Washable;
    }
    let parts = text.split(|byte| *byte == b';');
    let by_kind = parts.map(of_statement).max().unwrap_or_default();
    by_kind.max(of_details(text))
}

fn of_statement(text: &[u8]) -> Residue {
    let text = from_first_word(text);
    let Some(first) = words(text).next() else {
        return if text.is_empty() {
            Residue::Nothing
        } else {
            Residue::Washable
        };
    };
    if is_one_of(first, &HARMLESS) || is_one_of(first, &HARMLESS_TOO) {
        Residue::Nothing
    } else if is(first, "use") {
        Residue::Indelible
    } else {
        Residue::Washable
    }
}

/// What a statement of unknown text may have left, told by its answer: the names of its columns,
/// which are its expressions where it gave them no names of its own, and how many rows it changed.
///
/// Without columns and without a changed row it may have been a SET, a LOCK or a CREATE TEMPORARY
/// TABLE as well as an UPDATE that met nothing.
pub(crate) fn of_answer<'a>(
    mut columns: impl ExactSizeIterator<Item = &'a [u8]>,
    changed: u64,
) -> Residue {
    if columns.len() == 0 && changed == 0 {
        return Residue::Washable;
    }
    let tell = columns.any(|name| of_details(name) != Residue::Nothing);
    if tell {
        Residue::Washable
    } else {
        Residue::Nothing
    }
}

/// Variables, locks and tables of the session, wherever they are named; and comments that are
/// code (MySQL manual, "Comments").
fn of_details(text: &[u8]) -> Residue {
    let named = words(text).any(|word| is_one_of(word, &["get_lock", "temporary"]));
    let conditional = text
        .windows(3)
        .any(|three| matches!(three, b"/*!" | b"/*M" | b"/*m"));
    if named || conditional || names_variable(text) {
        Residue::Washable
    } else {
        Residue::Nothing
    }
}

/// Whether there is a variable of the user's: an `@` that neither begins a system variable
/// (`@@name`) nor joins the two halves of an address.
fn names_variable(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|byte| *byte == b'@') {
        at += found;
        if text.get(at + 1) == Some(&b'@') {
            at += 2;
            continue;
        }
        let before = &text[..at];
        let word = before.iter().rposition(|byte| !is_in_word(*byte));
        let word = &before[word.map_or(0, |end| end + 1)..];
        let joined = !word.is_empty()
            || matches!(
                before.last(),
                Some(b'\'' | b'"' | b'`' | b'.' | b'-' | b'+')
            );
        if !joined || is(word, "into") {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_statement_of_unknown_text_its_answer_tells() {
        let of = |columns: &[&str], changed| {
            of_answer(columns.iter().map(|name| name.as_bytes()), changed)
        };
        assert_eq!(of(&["n", "COUNT(*)"], 0), Residue::Nothing);
        assert_eq!(of(&[], 1), Residue::Nothing);
        assert_eq!(of(&[], 0), Residue::Washable);
        assert_eq!(of(&["n", "GET_LOCK(?, 1)"], 0), Residue::Washable);
        assert_eq!(of(&["@x := ?"], 0), Residue::Washable);
    }

    #[test]
    fn what_a_statement_leaves_in_its_session_is_told_by_its_text() {
        let cases: [(Residue, &[&str]); 3] = [
            (
                Residue::Nothing,
                &[
                    "",
                    "SELECT 1;",
                    "SELECT @@session.sql_mode, @@autocommit",
                    "INSERT INTO t VALUES ('somebody@example.org')",
                    "GRANT SELECT ON t TO 'me'@'localhost'",
                    "BEGIN; UPDATE t SET n = 1; COMMIT",
                    "/* a hint */ SELECT /*+ NO_INDEX_MERGE(t) */ 1",
                    "WITH x AS (SELECT 1) SELECT * FROM x",
                ],
            ),
            (
                Residue::Washable,
                &[
                    "SET sql_mode = ''",
                    "set @x = 1",
                    "SELECT @x := 1",
                    "SELECT 1 INTO @x",
                    "SELECT 1 INTO@x",
                    "SELECT @`x`",
                    "SELECT GET_LOCK('a', 1)",
                    "CREATE TEMPORARY TABLE t (n INT)",
                    "LOCK TABLES t READ",
                    "PREPARE p FROM 'SELECT 1'",
                    "HANDLER t OPEN",
                    "CALL p()",
                    "DO SLEEP(0)",
                    "SELECT 1; SET autocommit = 0",
                    "/*!50000 SET sql_mode = '' */",
                    "INSERT INTO t VALUES (';x')",
                ],
            ),
            (Residue::Indelible, &["USE other", "SELECT 1; use other"]),
        ];
        for (residue, texts) in cases {
            for text in texts {
                assert_eq!(of_text(text.as_bytes()), residue, "{text}");
            }
        }
        let long = format!("SELECT '{}'", "x".repeat(TEXT_MAX));
        assert_eq!(of_text(long.as_bytes()), Residue::Washable);
    }
}
