//! The functions with a fixed signature, as tables: name, arguments, result, and what SQLite is
//! to call. Names that start with `sim_` are our own, from `native`.
//!
//! Functions whose types depend on their arguments are the compiler's (`compile::function`).

mod catalog;
mod number;
mod session;
mod text;
mod time;

use super::SqlType;
use crate::id::EngineKind;

/// A function as the compiler sees it.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    /// `None`: both dialects have it.
    engine: Option<EngineKind>,
    /// The types wanted. `Unknown` takes any.
    required: &'static [SqlType],
    optional: &'static [SqlType],
    pub(super) returns: Returns,
    /// What to call; after a `|` stands a first argument.
    pub(super) sqlite: &'static str,
}

/// The type of a function's result.
#[derive(Debug, Clone, Copy)]
pub(super) enum Returns {
    Kind(SqlType),
    /// A time or timestamp that MySQL shows without a fraction.
    WholeSeconds(SqlType),
    /// That of the first argument.
    First,
}

const PG: Option<EngineKind> = Some(EngineKind::Postgres);
const MY: Option<EngineKind> = Some(EngineKind::MySql);
const BOTH: Option<EngineKind> = None;

/// `dialect "name" (required; optional) => result, "what SQLite calls";`
macro_rules! table {
    ($($engine:ident $name:literal ($($required:ident),* $(; $optional:ident)*)
        => $returns:expr, $sqlite:literal;)*) => {
        &[$(Definition {
            name: $name,
            engine: $engine,
            required: &[$($required),*],
            optional: &[$($optional),*],
            returns: $returns,
            sqlite: $sqlite,
        }),*]
    };
}
use table;

impl Definition {
    /// The type wanted at a place.
    pub(super) fn parameter(&self, place: usize) -> SqlType {
        let mut all = self.required.iter().chain(self.optional);
        all.nth(place).copied().unwrap_or(SqlType::Unknown)
    }

    fn takes(&self, count: usize) -> bool {
        let required = self.required.len();
        (required..=required + self.optional.len()).contains(&count)
    }
}

/// The function of that name that takes so many arguments.
pub(super) fn find(
    engine: EngineKind,
    name: &str,
    arguments: usize,
) -> Option<&'static Definition> {
    named(engine, name).find(|definition| definition.takes(arguments))
}

/// Whether there is any function of that name, aggregates and special forms included.
pub(super) fn is_known(engine: EngineKind, name: &str) -> bool {
    is_aggregate(engine, name) || SPECIAL.contains(&name) || named(engine, name).next().is_some()
}

/// The names of all functions of a dialect, for its catalog.
pub(super) fn names(engine: EngineKind) -> impl Iterator<Item = &'static str> {
    let of_engine = of_engine(engine);
    let names = of_engine.map(|definition| definition.name);
    names.chain(SPECIAL)
}

fn named(engine: EngineKind, name: &str) -> impl Iterator<Item = &'static Definition> {
    of_engine(engine).filter(move |definition| definition.name == name)
}

fn of_engine(engine: EngineKind) -> impl Iterator<Item = &'static Definition> {
    let tables = [
        session::TABLE,
        time::TABLE,
        number::TABLE,
        text::TABLE,
        catalog::TABLE,
    ];
    let all = tables.into_iter().flatten();
    all.filter(move |definition| definition.engine.is_none_or(|only| only == engine))
}

pub(super) fn is_aggregate(engine: EngineKind, name: &str) -> bool {
    match name {
        "count" | "sum" | "avg" | "min" | "max" => true,
        "bool_and" | "bool_or" | "every" | "string_agg" | "array_agg" | "json_agg"
        | "jsonb_agg" => engine == EngineKind::Postgres,
        "group_concat" | "json_arrayagg" => engine == EngineKind::MySql,
        _ => false,
    }
}

/// The functions that the compiler handles by name.
const SPECIAL: [&str; 7] = [
    "coalesce",
    "concat",
    "concat_ws",
    "date_part",
    "greatest",
    "least",
    "nullif",
];
