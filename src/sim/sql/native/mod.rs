//! The functions and collations that compiled statements call, registered on each connection.
//!
//! All their names start with `sim_`; the compiler lets no client call them by name.

mod catalog;
mod constraint;
mod date_format;
mod injection;
mod json;
mod locks;
mod number;
mod schema;
mod session;
mod text;
mod text_more;
mod time;

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::functions::{Context as Call, FunctionFlags};

use super::context::Context;
use super::{SqlError, Value, convert, decimal};

pub(super) use locks::deadlock;

/// Gives a connection everything that a compiled statement may call.
pub(super) fn register(connection: &Connection, context: &Arc<Context>) -> rusqlite::Result<()> {
    register_collations(connection)?;
    let registry = Registry {
        connection,
        context,
    };
    session::register(&registry)?;
    locks::register(&registry)?;
    json::register(&registry)?;
    injection::register(&registry)?;
    catalog::register(&registry)?;
    constraint::register(&registry)?;
    schema::register(&registry)?;
    text::register(&registry)?;
    text_more::register(&registry)?;
    time::register(&registry)?;
    date_format::register(&registry)?;
    number::register(&registry)
}

/// The collation of decimal columns, which every reader of such a column needs.
pub(crate) fn register_collations(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_collation("sim_decimal", decimal::collate)
}

/// Where the parts of this folder register their functions.
struct Registry<'a> {
    connection: &'a Connection,
    context: &'a Arc<Context>,
}

/// The arguments of a call.
struct Arguments<'a, 'b> {
    call: &'a Call<'b>,
}

impl Registry<'_> {
    /// A function whose result depends on its arguments alone.
    fn pure(
        &self,
        name: &str,
        function: fn(&Context, &Arguments<'_, '_>) -> Result<Value, SqlError>,
    ) -> rusqlite::Result<()> {
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        self.add(name, flags, function)
    }

    /// A function of the session's or the instance's state.
    fn volatile(
        &self,
        name: &str,
        function: fn(&Context, &Arguments<'_, '_>) -> Result<Value, SqlError>,
    ) -> rusqlite::Result<()> {
        self.add(name, FunctionFlags::SQLITE_UTF8, function)
    }

    fn add(
        &self,
        name: &str,
        flags: FunctionFlags,
        function: fn(&Context, &Arguments<'_, '_>) -> Result<Value, SqlError>,
    ) -> rusqlite::Result<()> {
        let context = Arc::clone(self.context);
        self.connection
            .create_scalar_function(name, -1, flags, move |call| {
                let arguments = Arguments { call };
                let answer = function(&context, &arguments);
                let value = answer.map_err(|error| context.fail(error))?;
                Ok(rusqlite::types::Value::from(value))
            })
    }
}

impl Arguments<'_, '_> {
    fn len(&self) -> usize {
        self.call.len()
    }

    /// The argument at a place; NULL where there is none.
    fn value(&self, place: usize) -> Value {
        match place < self.call.len() {
            true => Value::from(self.call.get_raw(place)),
            false => Value::Null,
        }
    }

    fn is_null(&self, place: usize) -> bool {
        matches!(self.value(place), Value::Null)
    }

    fn any_null(&self) -> bool {
        (0..self.len()).any(|place| self.is_null(place))
    }

    fn text(&self, place: usize) -> String {
        match self.value(place) {
            Value::Text(text) => text,
            Value::Null => String::new(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    fn integer(&self, place: usize) -> i64 {
        match self.value(place) {
            Value::Integer(number) => number,
            // Rust's float casts saturate.
            Value::Real(number) => number as i64,
            Value::Text(text) => text.trim().parse().unwrap_or(0),
            _ => 0,
        }
    }

    fn real(&self, place: usize) -> f64 {
        match self.value(place) {
            Value::Integer(number) => number as f64,
            Value::Real(number) => number,
            Value::Text(text) => text.trim().parse().unwrap_or(0.0),
            _ => 0.0,
        }
    }
}

impl From<Value> for rusqlite::types::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(number) => Self::Integer(number),
            Value::Real(number) => Self::Real(number),
            Value::Text(text) => Self::Text(text),
            Value::Bytes(bytes) => Self::Blob(bytes),
        }
    }
}
