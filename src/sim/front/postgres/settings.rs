//! Settings of the session that a client names in its startup packet.

use std::collections::BTreeMap;

use super::engine::Engine;
use super::failure::error;
use crate::sim::sql::SqlError;

/// More settings than this are refused; the startup packet holds at most some thousand.
const SETTINGS_LIMIT: usize = 100;

/// Applies the settings among the parameters of a startup packet, and those in its `options`.
///
/// As in PostgreSQL an unknown setting ends the login. A setting which the simulator knows but
/// cannot give the wished value keeps its own.
pub(super) async fn apply(
    engine: &mut Engine,
    parameters: &BTreeMap<String, String>,
) -> Result<(), SqlError> {
    let mut settings = match parameters.get("options") {
        Some(options) => parse_options(options)?,
        None => Vec::new(),
    };
    let named = parameters.iter().filter(|(name, _)| {
        !matches!(
            name.as_str(),
            "user" | "database" | "options" | "replication"
        ) && !name.starts_with("_pq_.")
    });
    settings.extend(named.map(|(name, value)| (name.clone(), value.clone())));
    if settings.len() > SETTINGS_LIMIT {
        return Err(error("54000", "too many settings in the startup packet").fatal());
    }
    for (name, value) in settings {
        if is_default(&name, &value) {
            continue;
        }
        if !is_name(&name) {
            return Err(unknown(&name));
        }
        let value = value.replace('\'', "''");
        match engine.command(&format!("SET {name} TO '{value}'")).await {
            Err(error) if error.sqlstate == "42704" => return Err(error.fatal()),
            _ => {}
        }
    }
    engine.session().keep_settings();
    Ok(())
}

/// Reads command-line options for a server: `-c name=value` and `--name=value`, with blanks
/// escaped by a backslash.
fn parse_options(options: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut words = split_words(options).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(assignment), _) => Some(assignment.to_owned()),
            (None, Some("")) => words.next(),
            (None, Some(assignment)) => Some(assignment.to_owned()),
            (None, None) => None,
        };
        let setting = assignment.as_deref().and_then(|text| text.split_once('='));
        let Some((name, value)) = setting else {
            return Err(error(
                "42601",
                format!("invalid command-line argument for server process: {word}"),
            )
            .fatal());
        };
        // Hyphens are underscores here, as in PostgreSQL.
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split_words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            blank if blank.is_ascii_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Whether the setting asks for what every session has: nearly every client asks for this one.
fn is_default(name: &str, value: &str) -> bool {
    name.eq_ignore_ascii_case("client_encoding")
        && matches!(
            value.trim_matches('\'').to_ascii_uppercase().as_str(),
            "UTF8" | "UTF-8" | "UNICODE"
        )
}

/// Whether a name can stand in a statement as it is.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

fn unknown(name: &str) -> SqlError {
    error(
        "42704",
        format!("unrecognized configuration parameter \"{name}\""),
    )
    .fatal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_all_their_forms() {
        let read = parse_options("-c a=1 -cb=2  --work-mem=4\\ MB -c d=").expect("options");
        let expected = [("a", "1"), ("b", "2"), ("work_mem", "4 MB"), ("d", "")];
        assert_eq!(
            read,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        for odd in ["-c", "-c a", "a=1", "--a", "-d 5"] {
            assert_eq!(
                parse_options(odd).map_err(|error| error.sqlstate),
                Err("42601"),
                "{odd}"
            );
        }
    }

    #[test]
    fn a_name_with_anything_odd_in_it_is_not_put_into_a_statement() {
        assert!(is_name("application_name") && is_name("my.setting1"));
        for odd in ["", "1a", "a b", "a;drop table t", "a'", "\u{e4}"] {
            assert!(!is_name(odd), "{odd}");
        }
    }
}
