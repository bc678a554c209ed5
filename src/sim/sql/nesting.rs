//! A limit on how deep a statement nests, applied to its tokens.
//!
//! The parser limits its own recursion but not the length of a chain such as `1+1+1+…`, which
//! becomes a tree as deep as the chain is long. Walking, or merely dropping, such a tree would
//! overflow the stack; so it is never built.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::SqlError;
use crate::id::EngineKind;

/// The most tokens between two commas, counted through parentheses.
const MAX_CHAIN_TOKENS: usize = 4_000;
/// The most `UNION`, `INTERSECT` and `EXCEPT` in a statement.
const MAX_SET_OPERATIONS: usize = 200;

/// Refuses a statement that would become too deep a tree.
pub(super) fn check(engine: EngineKind, words: &[&TokenWithSpan]) -> Result<(), SqlError> {
    let mut levels = vec![0_usize];
    let mut set_operations = 0;
    for word in words {
        let level = levels.len() - 1;
        match &word.token {
            Token::LParen | Token::LBracket => levels.push(0),
            Token::RParen | Token::RBracket if level > 0 => {
                // What stands in the parentheses may be the start of a longer chain.
                let inner = levels.pop().unwrap_or(0);
                levels[level - 1] += inner + 1;
            }
            Token::Comma => levels[level] = 0,
            Token::Word(word) if is_set_operator(&word.value) => set_operations += 1,
            _ => levels[level] += 1,
        }
        let top = levels.last().copied().unwrap_or(0);
        if top > MAX_CHAIN_TOKENS || set_operations > MAX_SET_OPERATIONS {
            return Err(too_deep(engine));
        }
    }
    Ok(())
}

fn is_set_operator(word: &str) -> bool {
    ["union", "intersect", "except", "minus"]
        .iter()
        .any(|operator| word.eq_ignore_ascii_case(operator))
}

/// The error for a statement that nests too deeply.
pub(super) fn too_deep(engine: EngineKind) -> SqlError {
    SqlError::of(
        engine,
        "54001",
        (1436, "HY000"),
        "stack depth limit exceeded: the statement nests too deeply",
    )
}
