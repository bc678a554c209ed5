//! The constraints in a table's text: checks, with what the client wrote, and foreign keys.

use super::reader::{Reader, parts};

/// A constraint that is not an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim::sql) struct Constraint {
    pub(in crate::sim::sql) name: String,
    /// The condition as the client wrote it, of a check.
    pub(in crate::sim::sql) check: Option<String>,
    pub(in crate::sim::sql) foreign: Option<ForeignKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim::sql) struct ForeignKey {
    pub(in crate::sim::sql) columns: Vec<String>,
    pub(in crate::sim::sql) table: String,
    /// Empty: the other table's primary key.
    pub(in crate::sim::sql) referred: Vec<String>,
    /// As in `ON DELETE CASCADE`.
    pub(in crate::sim::sql) on_delete: Option<String>,
    pub(in crate::sim::sql) on_update: Option<String>,
    pub(in crate::sim::sql) deferred: bool,
}

/// The constraints of a table by its text.
pub(in crate::sim::sql) fn constraints(sql: &str) -> Vec<Constraint> {
    let parts = parts(sql).unwrap_or_default();
    let named = parts.into_iter().filter(|it| it.starts_with("CONSTRAINT "));
    named.filter_map(constraint).collect()
}

fn constraint(text: &str) -> Option<Constraint> {
    let mut reader = Reader::new(text);
    reader.word()?;
    let name = reader.name()?;
    if reader.accept("CHECK") {
        let condition = reader.word()?;
        let written = reader.word().and_then(uncomment);
        return Some(Constraint {
            name,
            check: Some(written.unwrap_or_else(|| condition.to_owned())),
            foreign: None,
        });
    }
    if !(reader.accept("FOREIGN") && reader.accept("KEY")) {
        return None;
    }
    let columns = reader.name_list()?;
    if !reader.accept("REFERENCES") {
        return None;
    }
    let mut foreign = ForeignKey {
        columns,
        table: reader.name()?,
        referred: Vec::new(),
        on_delete: None,
        on_update: None,
        deferred: false,
    };
    if reader.rest_starts_with('(') {
        foreign.referred = reader.name_list()?;
    }
    while let Some(word) = reader.word() {
        match word {
            "ON" => {
                let event = reader.word()?;
                let mut action = reader.word()?.to_owned();
                if matches!(action.as_str(), "SET" | "NO") {
                    action = format!("{action} {}", reader.word()?);
                }
                match event {
                    "DELETE" => foreign.on_delete = Some(action),
                    _ => foreign.on_update = Some(action),
                }
            }
            "DEFERRED" => foreign.deferred = true,
            _ => {}
        }
    }
    Some(Constraint {
        name,
        check: None,
        foreign: Some(foreign),
    })
}

/// What the client wrote, as a comment that no text can end early.
pub(in crate::sim::sql) fn comment(text: &str) -> String {
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("/*{digits}*/")
}

fn uncomment(comment: &str) -> Option<String> {
    let digits = comment.strip_prefix("/*")?.strip_suffix("*/")?;
    let bytes = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}
