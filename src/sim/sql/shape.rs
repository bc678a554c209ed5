//! The parts of a table as SQLite keeps them, in the text of its `CREATE TABLE`: read, changed,
//! and written again.
//!
//! SQLite's own `ALTER TABLE` knows only a few changes. The others are made on this shape, and the
//! session then moves the rows into a table of the new one.

mod constraint;
mod reader;

pub(super) use constraint::{Constraint, comment, constraints};
use reader::Reader;

use super::compile::quote_name;

/// A table's parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) columns: Vec<ColumnShape>,
    pub(super) key: Vec<String>,
    /// Named, each as SQLite's text.
    pub(super) constraints: Vec<String>,
}

/// A column's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnShape {
    pub(super) name: String,
    pub(super) declared: String,
    pub(super) collation: Option<String>,
    pub(super) not_null: bool,
    /// A SQLite expression.
    pub(super) default: Option<String>,
    /// Where the rows that are there get its value from: a SQLite expression over the table as it
    /// was; the column itself if it was there.
    pub(super) source: Option<String>,
}

/// One change of a shape.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    AddColumn(ColumnShape, Place),
    /// Constraints that name the column go with it.
    DropColumn(String),
    /// Another definition, under the same name.
    Redefine(ColumnShape, Option<Place>),
    SetType {
        name: String,
        declared: String,
        collation: Option<String>,
        source: String,
    },
    SetNotNull(String, bool),
    SetDefault(String, Option<String>),
    /// The primary key; none to drop it.
    SetKey(Vec<String>),
    AddConstraint(String),
    DropConstraint {
        name: String,
        if_exists: bool,
    },
    RenameConstraint {
        old: String,
        new: String,
    },
}

/// Where among the columns.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Last,
    First,
    After(String),
}

/// Why a change cannot be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NoColumn(String),
    NoConstraint(String),
    SecondKey,
}

impl Shape {
    /// Reads the text of a `CREATE TABLE` that the simulator wrote.
    pub(super) fn read(sql: &str) -> Option<Self> {
        let mut shape = Self::default();
        for part in reader::parts(sql)? {
            if part.starts_with('"') {
                shape.columns.push(ColumnShape::read(part)?);
            } else if let Some(list) = part.strip_prefix("PRIMARY KEY ") {
                shape.key = Reader::new(list).name_list()?;
            } else {
                shape.constraints.push(part.to_owned());
            }
        }
        Some(shape)
    }

    /// What stands between the parentheses of `CREATE TABLE`.
    pub(super) fn text(&self) -> String {
        let mut parts: Vec<String> = self.columns.iter().map(|it| self.column_text(it)).collect();
        if !self.key.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", name_list(&self.key)));
        }
        parts.extend(self.constraints.iter().cloned());
        parts.join(", ")
    }

    fn column_text(&self, column: &ColumnShape) -> String {
        // SQLite lets key columns be NULL unless told otherwise.
        let in_key = self.key.contains(&column.name);
        column.text(in_key)
    }

    /// Makes one change.
    pub(super) fn apply(&mut self, edit: &Edit) -> Result<(), Refusal> {
        match edit {
            Edit::AddColumn(column, place) => self.place(column.clone(), place)?,
            Edit::DropColumn(name) => {
                let at = self.position(name)?;
                self.columns.remove(at);
                if self.key.contains(name) {
                    self.key.clear();
                }
                let quoted = quote_name(name);
                self.constraints.retain(|text| !text.contains(&quoted));
            }
            Edit::Redefine(column, place) => {
                let at = self.position(&column.name)?;
                match place {
                    Some(place) => {
                        self.columns.remove(at);
                        self.place(column.clone(), place)?;
                    }
                    None => self.columns[at] = column.clone(),
                }
            }
            Edit::SetType {
                name,
                declared,
                collation,
                source,
            } => {
                let at = self.position(name)?;
                self.columns[at].declared.clone_from(declared);
                self.columns[at].collation.clone_from(collation);
                self.columns[at].source = Some(source.clone());
            }
            Edit::SetNotNull(name, not_null) => {
                let at = self.position(name)?;
                self.columns[at].not_null = *not_null;
            }
            Edit::SetDefault(name, default) => {
                let at = self.position(name)?;
                self.columns[at].default.clone_from(default);
            }
            Edit::SetKey(key) if !key.is_empty() && !self.key.is_empty() => {
                return Err(Refusal::SecondKey);
            }
            Edit::SetKey(key) => {
                for name in key {
                    let at = self.position(name)?;
                    self.columns[at].not_null = true;
                }
                self.key.clone_from(key);
            }
            Edit::AddConstraint(text) => self.constraints.push(text.clone()),
            Edit::DropConstraint { name, if_exists } => match self.constraint(name) {
                Some(at) => drop(self.constraints.remove(at)),
                None if *if_exists => {}
                None => return Err(Refusal::NoConstraint(name.clone())),
            },
            Edit::RenameConstraint { old, new } => {
                let at = self
                    .constraint(old)
                    .ok_or_else(|| Refusal::NoConstraint(old.clone()))?;
                let text = &self.constraints[at];
                let rest = text["CONSTRAINT ".len() + quote_name(old).len()..].to_owned();
                self.constraints[at] = format!("CONSTRAINT {}{rest}", quote_name(new));
            }
        }
        Ok(())
    }

    fn place(&mut self, column: ColumnShape, place: &Place) -> Result<(), Refusal> {
        let at = match place {
            Place::Last => self.columns.len(),
            Place::First => 0,
            Place::After(name) => self.position(name)? + 1,
        };
        self.columns.insert(at, column);
        Ok(())
    }

    fn position(&self, name: &str) -> Result<usize, Refusal> {
        let mut columns = self.columns.iter();
        columns
            .position(|column| column.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| Refusal::NoColumn(name.to_owned()))
    }

    fn constraint(&self, name: &str) -> Option<usize> {
        let head = format!("CONSTRAINT {} ", quote_name(name));
        self.constraints
            .iter()
            .position(|text| text.starts_with(&head))
    }
}

impl ColumnShape {
    pub(super) fn new(name: impl Into<String>, declared: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            declared: declared.into(),
            collation: None,
            not_null: false,
            default: None,
            source: None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let mut reader = Reader::new(text);
        let mut column = Self::new(reader.name()?, "");
        while let Some(word) = reader.word() {
            match word {
                "COLLATE" => column.collation = Some(reader.word()?.to_owned()),
                "NOT" => {
                    reader.word()?;
                    column.not_null = true;
                }
                "DEFAULT" => {
                    let inner = reader.word()?.strip_prefix('(')?.strip_suffix(')')?;
                    column.default = Some(inner.to_owned());
                }
                declared if column.declared.is_empty() => column.declared = declared.to_owned(),
                more => {
                    column.declared.push(' ');
                    column.declared.push_str(more);
                }
            }
        }
        Some(column)
    }

    /// The column's text in `CREATE TABLE`.
    pub(super) fn text(&self, in_key: bool) -> String {
        let mut text = format!("{} {}", quote_name(&self.name), self.declared);
        if let Some(collation) = &self.collation {
            text.push_str(&format!(" COLLATE {collation}"));
        }
        if self.not_null || in_key {
            text.push_str(" NOT NULL");
        }
        if let Some(default) = &self.default {
            text.push_str(&format!(" DEFAULT ({default})"));
        }
        text
    }
}

/// Quoted names with commas between them.
pub(super) fn name_list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quote_name(name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
