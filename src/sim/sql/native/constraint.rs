//! `sim_constraints(text)`: the checks and foreign keys in the text of a `CREATE TABLE`, for the
//! catalogs of both dialects.

use serde_json::json;

use super::{Arguments, Registry};
use crate::id::EngineKind;
use crate::sim::sql::compile::UNIQUE_CONSTRAINT;
use crate::sim::sql::context::Context;
use crate::sim::sql::shape::{self, Constraint};
use crate::sim::sql::{SqlError, Value};

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.pure("sim_is_constraint", |_, arguments| {
        Ok(Value::Integer(
            arguments.text(0).contains(UNIQUE_CONSTRAINT).into(),
        ))
    })?;
    registry.pure("sim_constraints", constraints)
}

/// A JSON array of objects; `columns` and `referred` are arrays.
fn constraints(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let found = shape::constraints(&arguments.text(0));
    let rows = found.iter().map(|it| match (&it.check, &it.foreign) {
        (_, Some(foreign)) => json!({
            "kind": "f",
            "name": it.name,
            "definition": definition(context.engine, it),
            "columns": foreign.columns,
            "table": foreign.table,
            "referred": foreign.referred,
            "on_delete": foreign.on_delete.as_deref().unwrap_or("NO ACTION"),
            "on_update": foreign.on_update.as_deref().unwrap_or("NO ACTION"),
            "deferred": i32::from(foreign.deferred),
        }),
        (check, None) => json!({
            "kind": "c",
            "name": it.name,
            "definition": definition(context.engine, it),
            "check": check,
            "columns": [],
            "deferred": 0,
        }),
    });
    Ok(Value::Text(
        serde_json::Value::Array(rows.collect()).to_string(),
    ))
}

/// The constraint as `pg_get_constraintdef` and `SHOW CREATE TABLE` give it.
fn definition(engine: EngineKind, constraint: &Constraint) -> String {
    let Some(foreign) = &constraint.foreign else {
        let check = constraint.check.as_deref().unwrap_or_default();
        return format!("CHECK (({check}))");
    };
    let names = |names: &[String]| {
        let quoted = names.iter().map(|name| quoted(engine, name));
        quoted.collect::<Vec<_>>().join(", ")
    };
    let space = match engine {
        EngineKind::Postgres => "",
        EngineKind::MySql => " ",
    };
    let mut text = format!(
        "FOREIGN KEY ({}) REFERENCES {}{space}({})",
        names(&foreign.columns),
        quoted(engine, &foreign.table),
        names(&foreign.referred)
    );
    let mut events = [
        ("DELETE", &foreign.on_delete),
        ("UPDATE", &foreign.on_update),
    ];
    if engine == EngineKind::Postgres {
        events.reverse();
    }
    for (event, action) in events {
        if let Some(action) = action.as_ref().filter(|it| *it != "NO ACTION") {
            text.push_str(&format!(" ON {event} {action}"));
        }
    }
    if foreign.deferred {
        text.push_str(" DEFERRABLE INITIALLY DEFERRED");
    }
    text
}

fn quoted(engine: EngineKind, name: &str) -> String {
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    match engine {
        EngineKind::MySql => format!("`{}`", name.replace('`', "``")),
        EngineKind::Postgres if name.chars().all(plain) => name.to_owned(),
        EngineKind::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}
