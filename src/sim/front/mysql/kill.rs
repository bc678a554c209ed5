//! `KILL`, which the front answers itself: it acts on connections, not on data.

use std::str::SplitWhitespace;

/// What is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The running statement of a connection.
    Query(u64),
    /// A connection.
    Connection(u64),
}

impl Target {
    /// Reads `KILL [CONNECTION | QUERY] id`, and RDS's procedures for users without the privilege:
    /// `CALL mysql.rds_kill(id)` and `CALL mysql.rds_kill_query(id)`. `None`: it is something else.
    pub(super) fn parse(script: &str) -> Option<Self> {
        // Long scripts are not even looked at.
        if script.len() > 400 {
            return None;
        }
        let script = without_comment(script.trim()).trim_end_matches([';', ' ']);
        let spaced = script.replace(['(', ')'], " ");
        let mut words = spaced.split_whitespace();
        let target = match words.next()?.to_ascii_lowercase().as_str() {
            "kill" => Self::parse_kill(&mut words)?,
            "call" => Self::parse_call(&mut words)?,
            _ => return None,
        };
        words.next().is_none().then_some(target)
    }

    fn parse_kill(words: &mut SplitWhitespace<'_>) -> Option<Self> {
        let word = words.next()?;
        match word.to_ascii_lowercase().as_str() {
            "query" => Some(Self::Query(words.next()?.parse().ok()?)),
            "connection" => Some(Self::Connection(words.next()?.parse().ok()?)),
            id => Some(Self::Connection(id.parse().ok()?)),
        }
    }

    fn parse_call(words: &mut SplitWhitespace<'_>) -> Option<Self> {
        let procedure = words.next()?.to_ascii_lowercase();
        let id = words.next()?.parse().ok()?;
        match procedure.as_str() {
            "mysql.rds_kill" => Some(Self::Connection(id)),
            "mysql.rds_kill_query" => Some(Self::Query(id)),
            _ => None,
        }
    }
}

/// Drivers and proxies put a comment in front of what they send.
fn without_comment(script: &str) -> &str {
    script
        .strip_prefix("/*")
        .and_then(|rest| rest.split_once("*/"))
        .map_or(script, |(_, rest)| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn every_form_of_kill_is_understood() {
        for (script, target) in [
            ("KILL 7", Target::Connection(7)),
            ("kill connection 7;", Target::Connection(7)),
            (" Kill\n Query  7 ; ", Target::Query(7)),
            ("/* from the pool */ KILL QUERY 7", Target::Query(7)),
            ("CALL mysql.rds_kill(7)", Target::Connection(7)),
            ("call mysql.rds_kill_query( 7 );", Target::Query(7)),
        ] {
            assert_eq!(Target::parse(script), Some(target), "{script}");
        }
    }

    #[test]
    fn other_statements_are_left_alone() {
        for script in [
            "",
            "KILL",
            "KILL QUERY",
            "KILL QUERY 7 8",
            "KILL 7; SELECT 1",
            "KILL -1",
            "SELECT 'KILL 7'",
            "CALL other.procedure(7)",
        ] {
            assert_eq!(Target::parse(script), None, "{script}");
        }
    }
}
