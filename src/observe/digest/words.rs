//! The words that a digest writes in capitals, so that their case makes no difference.
//!
//! Only words that are seldom names: a column called `date` or `value` stays as it was written.

/// In the order of their bytes.
const KEYWORDS: [&str; 118] = [
    "ABORT",
    "ADD",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "ANY",
    "ARRAY",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CALL",
    "CASE",
    "CAST",
    "CHECK",
    "COLLATE",
    "COLUMN",
    "COMMIT",
    "CONFLICT",
    "CONSTRAINT",
    "COPY",
    "CREATE",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DATABASE",
    "DEALLOCATE",
    "DECLARE",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DISCARD",
    "DISTINCT",
    "DO",
    "DROP",
    "DUPLICATE",
    "ELSE",
    "END",
    "EXCEPT",
    "EXECUTE",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FETCH",
    "FOR",
    "FOREIGN",
    "FROM",
    "FULL",
    "GRANT",
    "GROUP",
    "HAVING",
    "IGNORE",
    "ILIKE",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "ISNULL",
    "JOIN",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LISTEN",
    "LOCK",
    "LOCKED",
    "MERGE",
    "NATURAL",
    "NOT",
    "NOTHING",
    "NOTNULL",
    "NOWAIT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PREPARE",
    "PRIMARY",
    "REFERENCES",
    "RELEASE",
    "REPLACE",
    "RETURNING",
    "REVOKE",
    "RIGHT",
    "ROLLBACK",
    "ROW",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "SKIP",
    "START",
    "TABLE",
    "THEN",
    "TRANSACTION",
    "TRUE",
    "TRUNCATE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USE",
    "USING",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// Functions of both engines, which are followed by their bracket without a space.
const FUNCTIONS: [&str; 12] = [
    "AVG", "COALESCE", "CONCAT", "COUNT", "GREATEST", "LEAST", "LENGTH", "LOWER", "MAX", "MIN",
    "SUM", "UPPER",
];

/// Longer words are none of these.
const LENGTH_MAX: usize = 17;

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Keyword(&'static str),
    Function(&'static str),
}

/// What a word is, if it is one of these.
pub(super) fn known(word: &[u8]) -> Option<Known> {
    let mut capitals = [0; LENGTH_MAX];
    let capitals = capitals.get_mut(..word.len())?;
    capitals.copy_from_slice(word);
    capitals.make_ascii_uppercase();
    let capitals = &*capitals;
    let find = |words: &'static [&'static str]| {
        let place = words.binary_search_by(|known| known.as_bytes().cmp(capitals));
        place.ok().map(|place| words[place])
    };
    find(&KEYWORDS)
        .map(Known::Keyword)
        .or_else(|| find(&FUNCTIONS).map(Known::Function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_lists_is_found_in_any_case() {
        for words in [&KEYWORDS[..], &FUNCTIONS[..]] {
            assert!(words.is_sorted());
            for word in words {
                assert!(word.len() <= LENGTH_MAX, "{word}");
                assert!(known(word.to_lowercase().as_bytes()).is_some(), "{word}");
            }
        }
        assert_eq!(known(b"orders"), None);
        assert_eq!(known(b"a_word_that_is_much_longer_than_any"), None);
    }
}
