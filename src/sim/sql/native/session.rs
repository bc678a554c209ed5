//! Functions of the session and the instance: identity, variables, counters, sleep.

use std::time::Duration;

use super::{Arguments, Registry, convert};
use crate::id::EngineKind;
use crate::sim::sql::context::Context;
use crate::sim::sql::types::{self, Type};
use crate::sim::sql::variables::{self, MYSQL_VERSION, POSTGRES_VERSION, Source};
use crate::sim::sql::{SqlError, SqlType, Value, catalog, relations};
use crate::sim::volume::Sequences;

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.volatile("sim_info", info)?;
    registry.volatile("sim_rows", rows)?;
    registry.volatile("sim_variable", variable)?;
    registry.volatile("sim_user_variable", user_variable)?;
    registry.volatile("sim_setting", setting)?;
    registry.volatile("sim_set_config", set_config)?;
    registry.volatile("sim_sleep", sleep)?;
    registry.volatile("sim_next", next)?;
    registry.volatile("sim_set_counter", set_counter)?;
    registry.volatile("sim_current", current)?;
    registry.volatile("sim_set_last_insert_id", set_last_insert_id)?;
    registry.volatile("sim_next_of_sequence", next_of_sequence)?;
    registry.volatile("sim_current_of_sequence", current_of_sequence)?;
    registry.volatile("sim_random", random)?;
    registry.volatile("sim_uuid", uuid)?;
    registry.pure("sim_cast", cast)?;
    registry.pure("sim_is_visible", is_visible)?;
    registry.pure("sim_declared_type", declared_type)
}

fn text(text: impl Into<String>) -> Result<Value, SqlError> {
    Ok(Value::Text(text.into()))
}

fn info(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let postgres = context.engine == EngineKind::Postgres;
    match arguments.text(0).as_str() {
        "instance" => text(context.host.instance().as_str()),
        "aurora_version" => text(variables::aurora_version(context)),
        "in_recovery" => Ok(Value::Integer((!context.host.is_writer()).into())),
        "version" if postgres => text(format!(
            "PostgreSQL {POSTGRES_VERSION} on x86_64-pc-linux-gnu, compiled by \
             x86_64-pc-linux-gnu-gcc (GCC) 9.5.0, 64-bit"
        )),
        "version" => text(MYSQL_VERSION),
        "address" => match context.host.address() {
            Some(address) => text(address.ip().to_string()),
            None => Ok(Value::Null),
        },
        "port" => Ok(Value::Integer(context.port().into())),
        "connection" => Ok(integer(context.state().connection_id)),
        "database" => match context.state().database.as_str() {
            "" => Ok(Value::Null),
            database => text(database),
        },
        "schema" => text("public"),
        "user" => text(context.user()),
        "account" => text(format!("{}@%", context.user())),
        "encoding" => text("UTF8"),
        "last_insert_id" => Ok(integer(context.state().last_insert_id)),
        "row_count" => Ok(Value::Integer(context.state().row_count)),
        "last_number" => match context.state().last_number {
            Some(number) => Ok(Value::Integer(number)),
            None => Err(SqlError::new(
                "55000",
                0,
                "lastval is not yet defined in this session",
            )),
        },
        "started" => {
            let elapsed = i64::try_from(context.host.elapsed_micros()).unwrap_or(0);
            let started = context.host.now_micros() - elapsed;
            text(crate::sim::sql::datetime::format_timestamp(started))
        }
        _ => Ok(Value::Null),
    }
}

fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn rows(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    match relations::rows(context, &arguments.text(0)) {
        Some(rows) => text(rows.to_string()),
        None => text("[]"),
    }
}

/// A MySQL system variable in its own type.
fn variable(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let name = arguments.text(0);
    let Some(value) = context.variable(&name) else {
        return Ok(Value::Null);
    };
    let kind = variables::find(context.engine, &name).map(|variable| variable.kind);
    match kind {
        Some(kind) if kind.is_integer() => Ok(match value.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Null,
        }),
        _ => text(value),
    }
}

fn user_variable(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let state = context.state();
    let value = state.user_variables.get(&arguments.text(0));
    Ok(value.cloned().unwrap_or(Value::Null))
}

/// `current_setting(name [, missing_ok])`, and `SHOW name`.
fn setting(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let name = arguments.text(0);
    match context.variable(&name) {
        Some(value) => text(value),
        None if arguments.integer(1) != 0 => Ok(Value::Null),
        None => Err(unknown_setting(&name)),
    }
}

pub(in super::super) fn unknown_setting(name: &str) -> SqlError {
    let message = format!("unrecognized configuration parameter \"{name}\"");
    SqlError::new("42704", 0, message)
}

fn set_config(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let name = arguments.text(0).to_ascii_lowercase();
    let known = variables::find(context.engine, &name);
    match known.map(|variable| variable.source) {
        Some(Source::Session(_)) => {}
        None if name.contains('.') => {}
        Some(_) => {
            let message = format!("parameter \"{name}\" cannot be changed");
            return Err(SqlError::new("55P02", 0, message));
        }
        None => return Err(unknown_setting(&name)),
    }
    let value = arguments.text(1);
    let mut state = context.state();
    let variables = match arguments.integer(2) {
        0 => &mut state.variables,
        _ => &mut state.local_variables,
    };
    variables.insert(name, value.clone());
    text(value)
}

/// Adds to what the session will sleep once the statement has been read to its end.
fn sleep(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let seconds = arguments.real(0);
    if seconds < 0.0 && context.engine == EngineKind::MySql {
        let message = "Incorrect arguments to sleep.";
        return Err(SqlError::new("HY000", 1210, message));
    }
    // Longer than any test: so that the sum cannot overflow.
    let seconds = seconds.clamp(0.0, 1e8);
    let mut state = context.state();
    state.sleep = state.sleep.saturating_add(Duration::from_secs_f64(seconds));
    Ok(match context.engine {
        EngineKind::Postgres => Value::Text(String::new()),
        EngineKind::MySql => Value::Integer(0),
    })
}

/// The next number of a generated column; the key is the compiler's.
fn next(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (start, increment) = match arguments.len() {
        3 => (arguments.integer(1), arguments.integer(2)),
        _ => (1, 1),
    };
    take(context, &arguments.text(0), start, increment)
}

/// `sim_set_counter(key, number, step to the next)`.
fn set_counter(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.is_null(1) {
        return Ok(Value::Null);
    }
    let (key, number) = (arguments.text(0), arguments.integer(1));
    let next = number.saturating_add(arguments.integer(2));
    context.volume.sequences().set(&key, next);
    let mut state = context.state();
    state.last_number = Some(number);
    state.last_numbers.insert(key, number);
    Ok(Value::Integer(number))
}

/// `LAST_INSERT_ID(number)`: what the next `LAST_INSERT_ID()` answers.
fn set_last_insert_id(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let number = arguments.integer(0);
    let mut state = context.state();
    state.generated = Some(number);
    state.last_insert_id = u64::try_from(number).unwrap_or(0);
    Ok(arguments.value(0))
}

fn take(context: &Context, key: &str, start: i64, increment: i64) -> Result<Value, SqlError> {
    let Some(number) = context.volume.sequences().take(key, start, increment) else {
        let message = "nextval: reached maximum value of sequence";
        return Err(SqlError::of(
            context.engine,
            "2200H",
            (1467, "HY000"),
            message,
        ));
    };
    let mut state = context.state();
    state.generated = state.generated.or(Some(number));
    state.last_number = Some(number);
    state.last_numbers.insert(key.to_owned(), number);
    Ok(Value::Integer(number))
}

/// The counter that a sequence's name means: `<table>_<column>_seq`.
fn key_of_sequence(context: &Context, name: &str) -> Result<String, SqlError> {
    let bare = name.trim_start_matches("public.").trim_matches('"');
    let sequences = context.volume.sequences();
    let key = bare.strip_suffix("_seq").and_then(|stem| {
        let splits = stem.match_indices('_');
        let mut keys = splits.map(|(at, _)| Sequences::key(&stem[..at], &stem[at + 1..]));
        keys.find(|key| sequences.is_known(key))
    });
    key.ok_or_else(|| SqlError::new("42P01", 0, format!("relation \"{bare}\" does not exist")))
}

fn next_of_sequence(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    take(
        context,
        &key_of_sequence(context, &arguments.text(0))?,
        1,
        1,
    )
}

fn current_of_sequence(
    context: &Context,
    arguments: &Arguments<'_, '_>,
) -> Result<Value, SqlError> {
    let name = arguments.text(0);
    let key = key_of_sequence(context, &name)?;
    current_number(context, &key, &name)
}

/// `sim_current(key, name)`.
fn current(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    current_number(context, &arguments.text(0), &arguments.text(1))
}

fn current_number(context: &Context, key: &str, name: &str) -> Result<Value, SqlError> {
    match context.state().last_numbers.get(key) {
        Some(number) => Ok(Value::Integer(*number)),
        None => {
            let message =
                format!("currval of sequence \"{name}\" is not yet defined in this session");
            Err(SqlError::new("55000", 0, message))
        }
    }
}

fn random(context: &Context, _: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let bits = context.state().next_random() >> 11;
    Ok(Value::Real(bits as f64 / (1_u64 << 53) as f64))
}

fn uuid(context: &Context, _: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let mut state = context.state();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&state.next_random().to_be_bytes());
    bytes[8..].copy_from_slice(&state.next_random().to_be_bytes());
    // RFC 9562, version 4.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    text(convert::format_uuid(&bytes))
}

/// `sim_cast(value, from, to, modifier)`, the types by their discriminants.
fn cast(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let from = kind_by_number(arguments.integer(1));
    let to = Type {
        kind: kind_by_number(arguments.integer(2)),
        modifier: u32::try_from(arguments.integer(3)).ok(),
    };
    convert::convert(context.engine, arguments.value(0), from, to)
}

fn kind_by_number(number: i64) -> SqlType {
    use SqlType as S;
    let kinds = [
        S::Bool,
        S::Int2,
        S::Int4,
        S::Int8,
        S::UnsignedInt8,
        S::Float4,
        S::Float8,
        S::Numeric,
        S::Text,
        S::Varchar,
        S::Bytes,
        S::Date,
        S::Time,
        S::Timestamp,
        S::TimestampTz,
        S::Interval,
        S::Uuid,
        S::Json,
        S::Oid,
        S::BoolArray,
        S::Int2Array,
        S::Int4Array,
        S::Int8Array,
        S::Float8Array,
        S::TextArray,
        S::UuidArray,
        S::Float4Array,
        S::NumericArray,
        S::BytesArray,
        S::DateArray,
        S::TimeArray,
        S::TimestampArray,
        S::TimestampTzArray,
        S::IntervalArray,
        S::JsonArray,
        S::OidArray,
        S::InternalChar,
        S::Name,
        S::NameArray,
    ];
    let found = kinds.into_iter().find(|kind| *kind as i64 == number);
    found.unwrap_or(S::Unknown)
}

/// Whether a table of SQLite's schema is one of the users'.
fn is_visible(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    Ok(Value::Integer(
        (!catalog::is_reserved(&arguments.text(0))).into(),
    ))
}

/// The dialect's name for a declared type of SQLite's schema.
fn declared_type(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (of, _) = types::from_declaration(&arguments.text(0));
    text(of.kind.name(context.engine))
}
