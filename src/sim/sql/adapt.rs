//! Words of a statement that the parser knows by other words.

use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use crate::id::EngineKind;

/// Puts the parser's words in the place of the client's, which mean the same.
pub(super) fn adapt(engine: EngineKind, tokens: &mut Vec<TokenWithSpan>) {
    if engine == EngineKind::Postgres {
        return;
    }
    binary_texts(tokens);
    let words: Vec<usize> = (0..tokens.len())
        .filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_)))
        .collect();
    let is = |tokens: &[TokenWithSpan], at: Option<&usize>, wanted: &str| {
        at.is_some_and(|at| is_word(&tokens[*at].token, wanted))
    };
    // For all transactions to come, which PostgreSQL writes so.
    if is(tokens, words.first(), "SET")
        && (is(tokens, words.get(1), "SESSION") || is(tokens, words.get(1), "LOCAL"))
        && is(tokens, words.get(2), "TRANSACTION")
    {
        replace(tokens, words.get(1), "SESSION");
        for word in ["AS", "CHARACTERISTICS"] {
            let mut token = tokens[words[2]].clone();
            token.token = Token::make_word(word, None);
            tokens.insert(words[2], token);
        }
        return;
    }
    let alters = is(tokens, words.first(), "ALTER");
    let sets = is(tokens, words.first(), "SET");
    for (place, at) in words.iter().enumerate() {
        let next = |ahead: usize| words.get(place + ahead);
        if alters && is(tokens, Some(at), "DROP") && is(tokens, next(1), "CHECK") {
            replace(tokens, next(1), "CONSTRAINT");
        }
        // `LOCK IN SHARE MODE` is the old name of `FOR SHARE`.
        let lock = ["LOCK", "IN", "SHARE", "MODE"].iter().enumerate();
        if place > 0
            && lock
                .into_iter()
                .all(|(ahead, word)| is(tokens, next(ahead), word))
        {
            replace(tokens, Some(at), "FOR");
            replace(tokens, next(1), "SHARE");
            blank(tokens, next(2));
            blank(tokens, next(3));
        }
        if sets && tokens[*at].token == Token::Assignment {
            tokens[*at].token = Token::Eq;
        }
        // `NAMES charset [COLLATE collation]` may be one of several assignments (MySQL 8.0 Reference
        // Manual, 15.7.6.1); the parser knows it only alone. It becomes an assignment to `NAMES`.
        let follows = place
            .checked_sub(1)
            .map(|before| &tokens[words[before]].token);
        if sets && follows == Some(&Token::Comma) && is(tokens, Some(at), "NAMES") {
            if let Some(gap) = tokens.get_mut(at + 1)
                && matches!(gap.token, Token::Whitespace(_))
            {
                gap.token = Token::Eq;
            }
            if is(tokens, next(2), "COLLATE") {
                blank(tokens, next(2));
                blank(tokens, next(3));
            }
        }
    }
}

/// `CHAR(36) BINARY` is the short form of a text type with a binary collation (MySQL 8.0
/// manual, 12.3.5, "Column character set and collation", and 11.3.1).
fn binary_texts(tokens: &mut Vec<TokenWithSpan>) {
    const TEXTS: [&str; 6] = [
        "CHAR",
        "VARCHAR",
        "TEXT",
        "TINYTEXT",
        "MEDIUMTEXT",
        "LONGTEXT",
    ];
    let is_gap = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    let first = tokens.iter().find(|it| !is_gap(it));
    let defines = |it: &TokenWithSpan| is_word(&it.token, "CREATE") || is_word(&it.token, "ALTER");
    if !first.is_some_and(defines) {
        return;
    }
    let mut at = 0;
    while at < tokens.len() {
        if is_word(&tokens[at].token, "BINARY") {
            let mut before = tokens[..at].iter().rev().filter(|it| !is_gap(it));
            let mut last = before.next();
            if last.is_some_and(|it| it.token == Token::RParen) {
                last = before.nth(2);
            }
            if last.is_some_and(|it| TEXTS.iter().any(|text| is_word(&it.token, text))) {
                let mut name = tokens[at].clone();
                name.token = Token::make_word("utf8mb4_bin", None);
                tokens[at].token = Token::make_word("COLLATE", None);
                tokens.insert(at + 1, name);
            }
        }
        at += 1;
    }
}

fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

fn replace(tokens: &mut [TokenWithSpan], at: Option<&usize>, word: &str) {
    if let Some(at) = at {
        tokens[*at].token = Token::make_word(word, None);
    }
}

fn blank(tokens: &mut [TokenWithSpan], at: Option<&usize>) {
    if let Some(at) = at {
        tokens[*at].token = Token::Whitespace(Whitespace::Space);
    }
}
