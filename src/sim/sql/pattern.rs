//! The regular expressions that clients search catalogs with: `^`, `$`, `.`, `*`, `+`, `?`, one
//! group of alternatives around the whole. Anything else is refused by name.
//!
//! Matching walks all alternatives at once, so no pattern takes more than its length times the
//! text's.

use super::SqlError;
use crate::id::EngineKind;

/// One step of a pattern.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// `None`: any character.
    wanted: Option<char>,
    optional: bool,
    repeated: bool,
}

/// Whether a text contains what a pattern means.
pub(super) fn matches(text: &str, pattern: &str) -> Result<bool, SqlError> {
    let (pattern, from_start) = match pattern.strip_prefix('^') {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let (pattern, to_end) = match pattern.strip_suffix('$') {
        Some(rest) if !rest.ends_with('\\') => (rest, true),
        _ => (pattern, false),
    };
    let grouped = pattern
        .strip_prefix('(')
        .and_then(|it| it.strip_suffix(')'));
    // Outside of a group `|` would split the anchors, too.
    if grouped.is_none() && pattern.contains('|') {
        return Err(unsupported(pattern));
    }
    let text: Vec<char> = text.chars().collect();
    for alternative in grouped.unwrap_or(pattern).split('|') {
        if contains(&text, &steps(alternative)?, from_start, to_end) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn steps(pattern: &str) -> Result<Vec<Step>, SqlError> {
    let mut steps: Vec<Step> = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let wanted = match character {
            '.' => None,
            '\\' => match characters.next() {
                Some(escaped) if !escaped.is_alphanumeric() => Some(escaped),
                _ => return Err(unsupported(pattern)),
            },
            '*' | '+' | '?' => {
                let Some(last) = steps.last_mut().filter(|it| !it.optional && !it.repeated) else {
                    return Err(unsupported(pattern));
                };
                last.optional = character != '+';
                last.repeated = character != '?';
                continue;
            }
            '[' | ']' | '(' | ')' | '{' | '}' | '^' | '$' => return Err(unsupported(pattern)),
            plain => Some(plain),
        };
        steps.push(Step {
            wanted,
            optional: false,
            repeated: false,
        });
    }
    Ok(steps)
}

/// `reached[n]`: the first `n` steps can be behind us at this place of the text.
fn contains(text: &[char], steps: &[Step], from_start: bool, to_end: bool) -> bool {
    let mut reached = vec![false; steps.len() + 1];
    for place in 0..=text.len() {
        reached[0] |= place == 0 || !from_start;
        for (index, step) in steps.iter().enumerate() {
            reached[index + 1] |= reached[index] && step.optional;
        }
        if reached[steps.len()] && (!to_end || place == text.len()) {
            return true;
        }
        let Some(character) = text.get(place) else {
            break;
        };
        let mut next = vec![false; steps.len() + 1];
        for (index, step) in steps.iter().enumerate() {
            if step.wanted.is_none_or(|wanted| wanted == *character) {
                next[index + 1] |= reached[index] || reached[index + 1] && step.repeated;
            }
        }
        reached = next;
    }
    false
}

fn unsupported(pattern: &str) -> SqlError {
    let what = format!("the regular expression {pattern}");
    SqlError::unsupported(EngineKind::Postgres, what)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_postgresql() {
        for (text, pattern, expected) in [
            ("people", "^(people)$", true),
            ("peoples", "^(people)$", false),
            ("people", "^(notes|people)$", true),
            ("pg_toast", "^pg_", true),
            ("my_pg_", "^pg_", false),
            ("people", "eopl", true),
            ("people", "^p.*e$", true),
            ("people", "^(p.*x)$", false),
            ("a.b", "^a\\.b$", true),
            ("axb", "^a\\.b$", false),
            ("aab", "^a+b$", true),
            ("b", "^a+b$", false),
            ("b", "^a?b$", true),
            ("", "^$", true),
            ("", "x", false),
        ] {
            let matched = matches(text, pattern).expect(pattern);
            assert_eq!(matched, expected, "{text} ~ {pattern}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for pattern in ["[a-z]", "a{2}", "a|b", "(a)(b)", "\\d", "*a", "a**"] {
            let error = matches("a", pattern).expect_err(pattern);
            assert_eq!(error.sqlstate, "0A000", "{pattern}");
        }
    }
}
