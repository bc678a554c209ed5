//! Locks by name: `pg_advisory_lock` and its family, `GET_LOCK` and its.
//!
//! SQLite calls functions that cannot wait. One that has to fails its statement and leaves what
//! it waits for in the session's state; the session waits, and runs the statement again.

use std::time::Duration;

use super::{Arguments, Registry};
use crate::id::EngineKind;
use crate::sim::sql::context::{Context, LockWait, TakenLock};
use crate::sim::sql::{SqlError, Value};

/// MySQL's limit for the name of a lock, in characters.
const LONGEST_NAME: usize = 64;

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.volatile("sim_advisory", advisory)?;
    registry.volatile("sim_advisory_all", advisory_all)?;
    registry.volatile("sim_get_lock", get_lock)?;
    registry.volatile("sim_release_lock", release_lock)?;
    registry.volatile("sim_used_lock", used_lock)
}

/// The first argument says what is done with the lock that the rest names.
fn advisory(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let words = arguments.text(0);
    let has = |word: &str| words.split('_').any(|it| it == word);
    let name = match arguments.len() {
        2 => format!("{}", arguments.integer(1)),
        // Two integers are another space of keys than one bigint.
        _ => format!("{}/{}", arguments.integer(1), arguments.integer(2)),
    };
    let lock = TakenLock {
        key: key(context, &name),
        shared: has("shared"),
        of_transaction: has("xact"),
    };
    let locks = context.volume.named_locks();
    if has("unlock") {
        let released = locks.release(&lock.key, context.session, lock.shared);
        return Ok(Value::Integer(released.into()));
    }
    if locks.try_take(&lock.key, context.session, lock.shared) {
        context.state().taken_locks.push(lock);
    } else if has("try") {
        return Ok(Value::Integer(0));
    } else {
        return Err(wait(context, lock.key, None));
    }
    Ok(match has("try") {
        true => Value::Integer(1),
        false => Value::Text(String::new()),
    })
}

fn advisory_all(context: &Context, _: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    context.volume.named_locks().release_all(context.session);
    Ok(Value::Text(String::new()))
}

fn get_lock(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let key = mysql_key(context, arguments)?;
    let locks = context.volume.named_locks();
    if locks.try_take(&key, context.session, false) {
        context.state().taken_locks.push(TakenLock {
            key,
            shared: false,
            of_transaction: false,
        });
        return Ok(Value::Integer(1));
    }
    let seconds = arguments.real(1);
    let given_up = context.state().given_up_locks.contains(&key);
    if seconds == 0.0 || given_up {
        return Ok(Value::Integer(0));
    }
    // A negative timeout is an endless one.
    let limit = (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(1e8)));
    Err(wait(context, key, limit))
}

fn release_lock(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let locks = context.volume.named_locks();
    if arguments.len() == 0 {
        let released = locks.release_all(context.session);
        return Ok(Value::Integer(i64::try_from(released).unwrap_or(i64::MAX)));
    }
    let key = mysql_key(context, arguments)?;
    Ok(match locks.release(&key, context.session, false) {
        true => Value::Integer(1),
        false if locks.holder(&key).is_some() => Value::Integer(0),
        false => Value::Null,
    })
}

/// `IS_USED_LOCK(name)`, and with `'free'` before it `IS_FREE_LOCK(name)`.
fn used_lock(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let free = arguments.len() == 2;
    let place = usize::from(free);
    let holder = context
        .volume
        .named_locks()
        .holder(&checked(context, arguments, place)?);
    Ok(match (free, holder) {
        (true, holder) => Value::Integer(holder.is_none().into()),
        (false, None) => Value::Null,
        (false, Some(session)) if session == context.session => {
            Value::Integer(i64::try_from(context.state().connection_id).unwrap_or(i64::MAX))
        }
        (false, Some(session)) => Value::Integer(i64::try_from(session).unwrap_or(i64::MAX)),
    })
}

fn mysql_key(context: &Context, arguments: &Arguments<'_, '_>) -> Result<String, SqlError> {
    checked(context, arguments, 0)
}

fn checked(
    context: &Context,
    arguments: &Arguments<'_, '_>,
    place: usize,
) -> Result<String, SqlError> {
    let name = arguments.text(place);
    let wrong = arguments.is_null(place) || name.is_empty() || name.chars().count() > LONGEST_NAME;
    if wrong {
        let shown: String = name.chars().take(LONGEST_NAME).collect();
        let message = format!("Incorrect user-level lock name '{shown}'.");
        return Err(SqlError::new("42000", 3057, message));
    }
    Ok(key(context, &name.to_lowercase()))
}

/// Each instance has locks of its own.
fn key(context: &Context, name: &str) -> String {
    format!("{}/{name}", context.host.instance())
}

fn wait(context: &Context, key: String, limit: Option<Duration>) -> SqlError {
    context.state().lock_wait = Some(LockWait { key, limit });
    let message = "waiting for a lock by name inside a statement that changes data";
    SqlError::unsupported(context.engine, message)
}

/// A circle of sessions that wait for each other.
pub(in super::super) fn deadlock(engine: EngineKind) -> SqlError {
    let message = match engine {
        EngineKind::Postgres => "deadlock detected",
        EngineKind::MySql => {
            "Deadlock found when trying to get user-level lock; try rolling back transaction/\
             releasing locks and restarting lock acquisition."
        }
    };
    SqlError::of(engine, "40P01", (3058, "HY000"), message)
}
