//! PostgreSQL's sequences and enumerations: objects of the schema that SQLite has not.
//!
//! Each is kept as a view of SQLite with a reserved name, of one row and column, as views are. So
//! it is a part of the schema and comes and goes with its transaction.

use rusqlite::OptionalExtension;
use sqlparser::ast::{
    self, DataType, Expr, ObjectName, SequenceOptions, Statement, UserDefinedTypeRepresentation,
};

use super::super::plan::{Action, Definition};
use super::super::types::{self, Generation, Type};
use super::super::written_type;
use super::super::{SqlError, SqlType, Value, catalog};
use super::typed::{Typed, quote_name, quote_text};
use super::{Compiler, Draft};
use crate::sim::volume::Sequences;

/// Names of the views that stand for sequences start so; `start:increment` is in them.
const SEQUENCE: &str = "aurora_sim_sequence_";
/// Names of the views that stand for enumerations start so; their labels are in them, as JSON.
const ENUMERATION: &str = "aurora_sim_type_";

impl Compiler<'_> {
    /// The draft of a statement that makes or drops such an object; `None` for others.
    pub(super) fn named_object(
        &mut self,
        statement: &Statement,
    ) -> Result<Option<Draft>, SqlError> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let draft = match statement {
            Statement::CreateSequence {
                temporary: false,
                if_not_exists,
                name,
                sequence_options,
                ..
            } => self.create_sequence(name, sequence_options, *if_not_exists)?,
            Statement::CreateType {
                name,
                representation: Some(UserDefinedTypeRepresentation::Enum { labels }),
            } => {
                let labels: Vec<&str> = labels.iter().map(|it| it.value.as_str()).collect();
                let labels = serde_json::json!(labels).to_string();
                let (_, name) = self.split_name(name)?;
                if self.object_text(ENUMERATION, &name)?.is_some() {
                    let message = format!("type \"{name}\" already exists");
                    return Err(SqlError::new("42710", 0, message));
                }
                self.create_object("CREATE TYPE", ENUMERATION, &name, &labels)
            }
            Statement::Drop {
                object_type: ast::ObjectType::Sequence,
                if_exists,
                names,
                ..
            } => self.drop_objects_of("DROP SEQUENCE", SEQUENCE, names, *if_exists)?,
            Statement::Drop {
                object_type: ast::ObjectType::Type,
                if_exists,
                names,
                ..
            } => self.drop_objects_of("DROP TYPE", ENUMERATION, names, *if_exists)?,
            _ => return Ok(None),
        };
        Ok(Some(draft))
    }

    fn create_sequence(
        &mut self,
        name: &ObjectName,
        options: &[SequenceOptions],
        if_not_exists: bool,
    ) -> Result<Draft, SqlError> {
        let (_, name) = self.split_name(name)?;
        if self.object_text(SEQUENCE, &name)?.is_some() {
            if if_not_exists {
                self.defines(false);
                let definition = Definition::default();
                return Ok(Draft::act("CREATE SEQUENCE", Action::Define(definition)));
            }
            let message = format!("relation \"{name}\" already exists");
            return Err(SqlError::new("42P07", 0, message));
        }
        let (mut start, mut increment) = (1, 1);
        for option in options {
            match option {
                SequenceOptions::StartWith(expr, _) => start = self.whole_number(expr)?,
                SequenceOptions::IncrementBy(expr, _) => increment = self.whole_number(expr)?,
                SequenceOptions::MinValue(_)
                | SequenceOptions::MaxValue(_)
                | SequenceOptions::Cache(_)
                | SequenceOptions::Cycle(false) => {}
                SequenceOptions::Cycle(true) => return Err(self.unsupported("CYCLE")),
            }
        }
        if increment <= 0 {
            return Err(self.unsupported("a sequence that does not count upwards"));
        }
        let text = format!("{start}:{increment}");
        Ok(self.create_object("CREATE SEQUENCE", SEQUENCE, &name, &text))
    }

    fn whole_number(&mut self, expr: &Expr) -> Result<i64, SqlError> {
        let typed = self.expression(expr)?;
        match typed.origin {
            super::typed::Origin::Literal(Value::Integer(number)) => Ok(number),
            _ => Err(self.unsupported(format!("the sequence option {expr}"))),
        }
    }

    fn create_object(&mut self, verb: &'static str, prefix: &str, name: &str, text: &str) -> Draft {
        self.defines(false);
        let view = quote_name(&format!("{prefix}{name}"));
        let definition = Definition {
            steps: vec![
                format!("CREATE VIEW {view} AS SELECT {} AS text", quote_text(text)).into(),
            ],
            forget_counters: vec![format!("{prefix}{name}")],
            ..Definition::default()
        };
        Draft::act(verb, Action::Define(definition))
    }

    fn drop_objects_of(
        &mut self,
        verb: &'static str,
        prefix: &str,
        names: &[ObjectName],
        if_exists: bool,
    ) -> Result<Draft, SqlError> {
        self.defines(false);
        let mut definition = Definition::default();
        for name in names {
            let (_, name) = self.split_name(name)?;
            if self.object_text(prefix, &name)?.is_some() {
                let view = format!("{prefix}{name}");
                definition
                    .steps
                    .push(format!("DROP VIEW {}", quote_name(&view)).into());
                definition.forget_counters.push(view);
            } else if !if_exists {
                let (code, kind) = match prefix {
                    SEQUENCE => ("42P01", "sequence"),
                    _ => ("42704", "type"),
                };
                let message = format!("{kind} \"{name}\" does not exist");
                return Err(SqlError::new(code, 0, message));
            }
        }
        Ok(Draft::act(verb, Action::Define(definition)))
    }

    /// What is kept of an object; `None` if there is none of that name.
    fn object_text(&self, prefix: &str, name: &str) -> Result<Option<String>, SqlError> {
        let found = self.connection.query_row(
            "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = ?1",
            [format!("{prefix}{name}")],
            |row| row.get::<_, String>(0),
        );
        let sql = found.optional().map_err(|error| self.internal(&error))?;
        let text = sql.as_deref().and_then(|sql| {
            let (_, text) = sql.split_once(" AS SELECT '")?;
            text.strip_suffix("' AS text")
        });
        Ok(text.map(|text| text.replace("''", "'")))
    }

    /// A type by the name that the client wrote: an enumeration is a text here.
    pub(super) fn type_of(&self, data_type: &DataType) -> Result<(Type, Generation), SqlError> {
        match self.labels_of(data_type)? {
            Some(_) => Ok((SqlType::Text.into(), Generation::None)),
            None => types::from_sql(self.engine, data_type),
        }
    }

    /// The labels of an enumeration; `None` for other types.
    pub(super) fn labels_of(&self, data_type: &DataType) -> Result<Option<Vec<String>>, SqlError> {
        let DataType::Custom(name, arguments) = data_type else {
            return Ok(written_type::enum_labels(data_type));
        };
        if !self.is_postgres() || !arguments.is_empty() {
            return Ok(None);
        }
        let (_, name) = self.split_name(name)?;
        let text = self.object_text(ENUMERATION, &name)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// A cast to an enumeration of what is known by now.
    pub(super) fn check_label(&self, data_type: &DataType, typed: &Typed) -> Result<(), SqlError> {
        let (Some(labels), Some(text)) = (self.labels_of(data_type)?, typed.constant_text()) else {
            return Ok(());
        };
        if labels.iter().any(|label| label == text) {
            return Ok(());
        }
        let message = format!("invalid input value for enum {data_type}: \"{text}\"");
        Err(SqlError::new("22P02", 0, message))
    }

    /// `nextval('name')` and `setval('name', number)` of a name that is known by now: the counter
    /// of a column or of a sequence. `None` leaves the call to the session.
    pub(super) fn sequence_call(
        &mut self,
        name: &str,
        arguments: &[Typed],
    ) -> Result<Option<Typed>, SqlError> {
        if !self.is_postgres() || !matches!(name, "nextval" | "setval" | "currval") {
            return Ok(None);
        }
        let Some(text) = arguments.first().and_then(Typed::constant_text) else {
            return Ok(None);
        };
        let text = text.trim_start_matches("public.").trim_matches('"');
        let (key, step) = match self.object_text(SEQUENCE, text)? {
            Some(step) => (Sequences::key(&format!("{SEQUENCE}{text}"), ""), step),
            None => match self.counter_of_column(text)? {
                Some(key) => (key, "1:1".to_owned()),
                None => return Err(self.unknown_table(None, text)),
            },
        };
        let (start, increment) = step.split_once(':').unwrap_or(("1", "1"));
        let key = quote_text(&key);
        let sql = match (name, &arguments[1..]) {
            ("nextval", []) => format!("sim_next({key}, {start}, {increment})"),
            ("currval", []) => format!("sim_current({key}, {})", quote_text(text)),
            ("setval", [number]) => {
                let number = self.number_of_counter(number)?;
                format!("sim_set_counter({key}, {number}, {increment})")
            }
            ("setval", [number, called]) => {
                let number = self.number_of_counter(number)?;
                let called = self.condition_of(called)?;
                format!("sim_set_counter({key}, {number}, iif({called}, {increment}, 0))")
            }
            _ => return Ok(None),
        };
        Ok(Some(Typed::new(sql, SqlType::Int8)))
    }

    fn number_of_counter(&mut self, number: &Typed) -> Result<String, SqlError> {
        let coercion = super::coerce::Coercion::Implicit;
        Ok(self
            .coerce(number.clone(), SqlType::Int8.into(), coercion)?
            .sql)
    }

    fn condition_of(&mut self, typed: &Typed) -> Result<String, SqlError> {
        self.as_condition(typed.clone(), "setval")
    }

    /// The key of the counter that is called `<table>_<column>_seq`.
    fn counter_of_column(&self, name: &str) -> Result<Option<String>, SqlError> {
        let Some(stem) = name.strip_suffix("_seq") else {
            return Ok(None);
        };
        for (at, _) in stem.match_indices('_') {
            let (table, column) = (&stem[..at], &stem[at + 1..]);
            let found = catalog::table(self.connection, table).map_err(|it| self.internal(&it))?;
            let counts = found.and_then(|table| {
                let column = table.column(column)?;
                Some(column.generation != Generation::None)
            });
            if counts == Some(true) {
                return Ok(Some(Sequences::key(table, column)));
            }
        }
        Ok(None)
    }
}
