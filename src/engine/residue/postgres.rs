//! PostgreSQL's statements.

use super::{Residue, TEXT_MAX, begins_with, contains, from_first_word, is, is_one_of, words};

/// First words of statements that leave nothing in the session by themselves; what their
/// functions do is looked at as well. RESET and UNLISTEN only take away.
const HARMLESS: [&str; 42] = [
    "abort",
    "alter",
    "analyze",
    "begin",
    "checkpoint",
    "close",
    "cluster",
    "comment",
    "commit",
    "copy",
    "create",
    "delete",
    "drop",
    "end",
    "explain",
    "fetch",
    "grant",
    "import",
    "insert",
    "lock",
    "merge",
    "move",
    "notify",
    "reassign",
    "refresh",
    "reindex",
    "release",
    "reset",
    "revoke",
    "rollback",
    "savepoint",
    "security",
    "select",
    "show",
    "start",
    "table",
    "truncate",
    "unlisten",
    "update",
    "vacuum",
    "values",
    "with",
];

/// What is sent to a session for its next user: what DISCARD ALL does (PostgreSQL manual,
/// "DISCARD") but for prepared statements, which the client library keeps by name, and plans.
///
/// RESET ALL leads back to what the login asked for, so that the settings of the configuration
/// hold again (PostgreSQL manual, "RESET").
pub(crate) const WASH: &str = "\
    CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// What a text may leave behind, of one statement or several.
pub(crate) fn of_text(text: &[u8]) -> Residue {
    if text.len() > TEXT_MAX {
        return Residue::Washable;
    }
    // A semicolon within a literal makes a part of it look like a statement: an unknown one.
    let parts = text.split(|byte| *byte == b';');
    parts.map(of_statement).max().unwrap_or_default()
}

fn of_statement(text: &[u8]) -> Residue {
    let text = from_first_word(text);
    let mut all = words(text);
    let Some(first) = all.next() else {
        return if text.is_empty() {
            Residue::Nothing
        } else {
            Residue::Washable
        };
    };
    let second = all.next().unwrap_or_default();
    let by_kind = match first {
        _ if is_one_of(first, &HARMLESS) => Residue::Nothing,
        _ if is(first, "set") && is_one_of(second, &["constraints", "local", "transaction"]) => {
            Residue::Nothing
        }
        _ if is(first, "discard")
            && is_one_of(second, &["plans", "sequences", "temp", "temporary"]) =>
        {
            Residue::Nothing
        }
        _ if is(first, "prepare") && is(second, "transaction") => Residue::Nothing,
        // The client library would miss its own prepared statements, or a later user find ours.
        _ if is_one_of(first, &["deallocate", "discard", "load", "prepare"]) => Residue::Indelible,
        _ => Residue::Washable,
    };
    by_kind.max(of_words(text, is(first, "create")))
}

/// Functions and clauses that outlive their statement.
fn of_words(text: &[u8], mut creates: bool) -> Residue {
    let mut found = Residue::Nothing;
    let mut before: &[u8] = b"";
    for word in words(text) {
        let temporary = is_one_of(word, &["temp", "temporary"]);
        let lasting_lock = contains(word, "advisory") && !contains(word, "xact");
        if begins_with(word, "dblink") {
            return Residue::Indelible;
        } else if lasting_lock
            || is_one_of(word, &["pg_temp", "set_config", "set_limit", "setseed"])
            || (temporary && (is(before, "into") || creates))
        {
            found = Residue::Washable;
        }
        // TEMPORARY stands before what is created.
        creates &= !is_one_of(word, &["sequence", "table", "view"]);
        before = word;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_leaves_in_its_session_is_told_by_its_text() {
        let cases: [(Residue, &[&str]); 3] = [
            (
                Residue::Nothing,
                &[
                    "",
                    " ; ",
                    "SELECT 1",
                    "select * from t where temp = 3 and name = $1",
                    "/* route:7 */ -- why\n (SELECT 1) UNION (SELECT 2);",
                    "INSERT INTO t (n) VALUES ($1) RETURNING n",
                    "BEGIN; UPDATE t SET n = 1; COMMIT;",
                    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                    "SET LOCAL work_mem = '1MB'",
                    "set transaction read only",
                    "SELECT pg_advisory_xact_lock(1)",
                    "PREPARE TRANSACTION 'x'",
                    "CREATE TABLE t (temp int, since date, until date)",
                    "RESET ALL",
                ],
            ),
            (
                Residue::Washable,
                &[
                    "SET search_path = x",
                    "set session characteristics as transaction read only",
                    "SET ROLE admin",
                    "BEGIN; SET work_mem = '1MB'; COMMIT",
                    "SELECT set_config('a.b', 'c', false)",
                    "select pg_catalog.PG_TRY_ADVISORY_LOCK(1)",
                    "LISTEN x",
                    "CREATE TEMP TABLE t (n int)",
                    "create or replace temporary view v as select 1",
                    "SELECT * INTO TEMPORARY t2 FROM t",
                    "CREATE TABLE pg_temp.t (n int)",
                    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
                    "DO $$ BEGIN PERFORM 1; END $$",
                    "CALL p()",
                    "SELECT ';no word of SQL'",
                    "\"quoted\" first",
                    "?",
                ],
            ),
            (
                Residue::Indelible,
                &[
                    "PREPARE p AS SELECT 1",
                    "DEALLOCATE ALL",
                    "DISCARD ALL",
                    "LOAD 'auto_explain'",
                    "SELECT dblink_connect('c', 'x')",
                    "SELECT 1; PREPARE p AS SELECT 1",
                ],
            ),
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
