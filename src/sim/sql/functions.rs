//! The functions with a fixed signature, as a table: name, arguments, result, and what SQLite is
//! to call. Names that start with `sim_` are our own, from `native`.

use super::SqlType;
use crate::id::EngineKind;

/// A function as the compiler sees it.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    /// `None`: both dialects have it.
    engine: Option<EngineKind>,
    /// The types wanted, the last one repeated for variadic functions. `Unknown` takes any.
    parameters: &'static [SqlType],
    required: usize,
    variadic: bool,
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

impl Definition {
    /// The type wanted at a place.
    pub(super) fn parameter(&self, place: usize) -> SqlType {
        let last = self.parameters.last();
        let wanted = self.parameters.get(place).or(last);
        wanted.copied().unwrap_or(SqlType::Unknown)
    }

    fn takes(&self, count: usize) -> bool {
        count >= self.required && (self.variadic || count <= self.parameters.len())
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

fn named(engine: EngineKind, name: &str) -> impl Iterator<Item = &'static Definition> {
    TABLE.iter().filter(move |definition| {
        definition.name == name && definition.engine.is_none_or(|only| only == engine)
    })
}

/// The names of all functions of a dialect, for its catalog.
pub(super) fn names(engine: EngineKind) -> impl Iterator<Item = &'static str> {
    let of_engine =
        move |definition: &&Definition| definition.engine.is_none_or(|only| only == engine);
    TABLE
        .iter()
        .filter(of_engine)
        .map(|definition| definition.name)
        .chain(SPECIAL)
}

pub(super) fn is_aggregate(engine: EngineKind, name: &str) -> bool {
    match name {
        "count" | "sum" | "avg" | "min" | "max" => true,
        "bool_and" | "bool_or" | "every" | "string_agg" => engine == EngineKind::Postgres,
        "group_concat" => engine == EngineKind::MySql,
        _ => false,
    }
}

/// The functions that the compiler handles by name.
const SPECIAL: [&str; 6] = [
    "coalesce",
    "concat",
    "greatest",
    "least",
    "nullif",
    "date_part",
];

const fn define(
    name: &'static str,
    engine: Option<EngineKind>,
    parameters: &'static [SqlType],
    required: usize,
    returns: Returns,
    sqlite: &'static str,
) -> Definition {
    Definition {
        name,
        engine,
        parameters,
        required,
        variadic: false,
        returns,
        sqlite,
    }
}

const fn variadic(definition: Definition) -> Definition {
    Definition {
        variadic: true,
        ..definition
    }
}

const TABLE: &[Definition] = {
    use Returns::{First, Kind, WholeSeconds};
    use SqlType::{
        Bool, Date, Float8, Int4, Int8, Interval, Numeric, Oid, Text, Time, Timestamp, TimestampTz,
        Unknown, Uuid, Varchar,
    };
    const PG: Option<EngineKind> = Some(EngineKind::Postgres);
    const MY: Option<EngineKind> = Some(EngineKind::MySql);
    const BOTH: Option<EngineKind> = None;
    &[
        // Who and where.
        define(
            "aurora_db_instance_identifier",
            PG,
            &[],
            0,
            Kind(Varchar),
            "sim_info|'instance'",
        ),
        define(
            "aurora_version",
            PG,
            &[],
            0,
            Kind(Text),
            "sim_info|'aurora_version'",
        ),
        define(
            "aurora_version",
            MY,
            &[],
            0,
            Kind(Varchar),
            "sim_info|'aurora_version'",
        ),
        define(
            "pg_is_in_recovery",
            PG,
            &[],
            0,
            Kind(Bool),
            "sim_info|'in_recovery'",
        ),
        define("version", PG, &[], 0, Kind(Text), "sim_info|'version'"),
        define("version", MY, &[], 0, Kind(Varchar), "sim_info|'version'"),
        define(
            "inet_server_addr",
            PG,
            &[],
            0,
            Kind(Text),
            "sim_info|'address'",
        ),
        define(
            "inet_server_port",
            PG,
            &[],
            0,
            Kind(Int4),
            "sim_info|'port'",
        ),
        define(
            "pg_backend_pid",
            PG,
            &[],
            0,
            Kind(Int4),
            "sim_info|'connection'",
        ),
        define(
            "connection_id",
            MY,
            &[],
            0,
            Kind(Int8),
            "sim_info|'connection'",
        ),
        define(
            "current_database",
            PG,
            &[],
            0,
            Kind(Text),
            "sim_info|'database'",
        ),
        define(
            "current_catalog",
            PG,
            &[],
            0,
            Kind(Text),
            "sim_info|'database'",
        ),
        define("database", MY, &[], 0, Kind(Varchar), "sim_info|'database'"),
        define("schema", MY, &[], 0, Kind(Varchar), "sim_info|'database'"),
        define(
            "current_schema",
            PG,
            &[],
            0,
            Kind(Text),
            "sim_info|'schema'",
        ),
        define("current_user", PG, &[], 0, Kind(Text), "sim_info|'user'"),
        define("current_role", PG, &[], 0, Kind(Text), "sim_info|'user'"),
        define("session_user", PG, &[], 0, Kind(Text), "sim_info|'user'"),
        define("user", PG, &[], 0, Kind(Text), "sim_info|'user'"),
        define("user", MY, &[], 0, Kind(Varchar), "sim_info|'account'"),
        define(
            "current_user",
            MY,
            &[],
            0,
            Kind(Varchar),
            "sim_info|'account'",
        ),
        define(
            "session_user",
            MY,
            &[],
            0,
            Kind(Varchar),
            "sim_info|'account'",
        ),
        define(
            "system_user",
            MY,
            &[],
            0,
            Kind(Varchar),
            "sim_info|'account'",
        ),
        define(
            "last_insert_id",
            MY,
            &[],
            0,
            Kind(Int8),
            "sim_info|'last_insert_id'",
        ),
        define("row_count", MY, &[], 0, Kind(Int8), "sim_info|'row_count'"),
        define("lastval", PG, &[], 0, Kind(Int8), "sim_info|'last_number'"),
        define(
            "pg_postmaster_start_time",
            PG,
            &[],
            0,
            Kind(TimestampTz),
            "sim_info|'started'",
        ),
        define(
            "current_setting",
            PG,
            &[Text, Bool],
            1,
            Kind(Text),
            "sim_setting",
        ),
        define(
            "set_config",
            PG,
            &[Text, Text, Bool],
            3,
            Kind(Text),
            "sim_set_config",
        ),
        define("pg_sleep", PG, &[Float8], 1, Kind(Text), "sim_sleep"),
        define("sleep", MY, &[Float8], 1, Kind(Int8), "sim_sleep"),
        define("pg_typeof", PG, &[Unknown], 1, Kind(Text), "sim_type_name"),
        // Generated numbers.
        define(
            "nextval",
            PG,
            &[Text],
            1,
            Kind(Int8),
            "sim_next_of_sequence",
        ),
        define(
            "currval",
            PG,
            &[Text],
            1,
            Kind(Int8),
            "sim_current_of_sequence",
        ),
        define("random", PG, &[], 0, Kind(Float8), "sim_random"),
        define("rand", MY, &[], 0, Kind(Float8), "sim_random"),
        define("gen_random_uuid", PG, &[], 0, Kind(Uuid), "sim_uuid"),
        define("uuid", MY, &[], 0, Kind(Varchar), "sim_uuid"),
        // Time.
        define("now", PG, &[], 0, Kind(TimestampTz), "sim_now"),
        define(
            "current_timestamp",
            PG,
            &[Int4],
            0,
            Kind(TimestampTz),
            "sim_now",
        ),
        define(
            "transaction_timestamp",
            PG,
            &[],
            0,
            Kind(TimestampTz),
            "sim_now",
        ),
        define(
            "statement_timestamp",
            PG,
            &[],
            0,
            Kind(TimestampTz),
            "sim_statement_time",
        ),
        define(
            "clock_timestamp",
            PG,
            &[],
            0,
            Kind(TimestampTz),
            "sim_clock",
        ),
        define("localtimestamp", PG, &[], 0, Kind(Timestamp), "sim_now"),
        define("current_date", BOTH, &[], 0, Kind(Date), "sim_today"),
        define("curdate", MY, &[], 0, Kind(Date), "sim_today"),
        define("utc_date", MY, &[], 0, Kind(Date), "sim_today"),
        define("now", MY, &[], 0, WholeSeconds(Timestamp), "sim_now_to|0"),
        define("now", MY, &[Int8], 1, Kind(Timestamp), "sim_now_to"),
        define(
            "current_timestamp",
            MY,
            &[],
            0,
            WholeSeconds(Timestamp),
            "sim_now_to|0",
        ),
        define(
            "current_timestamp",
            MY,
            &[Int8],
            1,
            Kind(Timestamp),
            "sim_now_to",
        ),
        define(
            "localtimestamp",
            MY,
            &[],
            0,
            WholeSeconds(Timestamp),
            "sim_now_to|0",
        ),
        define(
            "localtime",
            MY,
            &[],
            0,
            WholeSeconds(Timestamp),
            "sim_now_to|0",
        ),
        define(
            "utc_timestamp",
            MY,
            &[],
            0,
            WholeSeconds(Timestamp),
            "sim_now_to|0",
        ),
        define(
            "utc_timestamp",
            MY,
            &[Int8],
            1,
            Kind(Timestamp),
            "sim_now_to",
        ),
        define(
            "sysdate",
            MY,
            &[],
            0,
            WholeSeconds(Timestamp),
            "sim_now_to|0",
        ),
        define("sysdate", MY, &[Int8], 1, Kind(Timestamp), "sim_now_to"),
        define(
            "current_time",
            MY,
            &[],
            0,
            WholeSeconds(Time),
            "sim_time_of_day",
        ),
        define("curtime", MY, &[], 0, WholeSeconds(Time), "sim_time_of_day"),
        define("unix_timestamp", MY, &[], 0, Kind(Int8), "sim_unix_now"),
        define(
            "unix_timestamp",
            MY,
            &[Timestamp],
            1,
            Kind(Numeric),
            "sim_unix",
        ),
        define(
            "from_unixtime",
            MY,
            &[Float8],
            1,
            Kind(Timestamp),
            "sim_from_unix",
        ),
        define(
            "to_timestamp",
            PG,
            &[Float8],
            1,
            Kind(TimestampTz),
            "sim_from_unix",
        ),
        define(
            "timediff",
            MY,
            &[Timestamp, Timestamp],
            2,
            Kind(Time),
            "sim_time_difference",
        ),
        define(
            "time_to_sec",
            MY,
            &[Time],
            1,
            Kind(Int8),
            "sim_time_to_seconds",
        ),
        define(
            "sec_to_time",
            MY,
            &[Int8],
            1,
            WholeSeconds(Time),
            "sim_seconds_to_time",
        ),
        define(
            "datediff",
            MY,
            &[Date, Date],
            2,
            Kind(Int8),
            "sim_days_between",
        ),
        define("date", MY, &[Date], 1, Kind(Date), "sim_same"),
        define("time", MY, &[Time], 1, Kind(Time), "sim_same"),
        define(
            "microsecond",
            MY,
            &[Timestamp],
            1,
            Kind(Int8),
            "sim_microsecond",
        ),
        define(
            "date_trunc",
            PG,
            &[Text, TimestampTz],
            2,
            Kind(TimestampTz),
            "sim_truncate_moment",
        ),
        // Numbers.
        define("abs", BOTH, &[Unknown], 1, First, "sim_absolute"),
        define("sign", BOTH, &[Unknown], 1, First, "sim_sign"),
        define("mod", BOTH, &[Int8, Int8], 2, Kind(Int8), "sim_integer|'%'"),
        define(
            "ceil",
            BOTH,
            &[Numeric],
            1,
            Kind(Numeric),
            "sim_round|'ceil'",
        ),
        define(
            "ceiling",
            BOTH,
            &[Numeric],
            1,
            Kind(Numeric),
            "sim_round|'ceil'",
        ),
        define(
            "floor",
            BOTH,
            &[Numeric],
            1,
            Kind(Numeric),
            "sim_round|'floor'",
        ),
        define(
            "round",
            BOTH,
            &[Numeric, Int4],
            1,
            Kind(Numeric),
            "sim_round|'round'",
        ),
        define(
            "trunc",
            PG,
            &[Numeric, Int4],
            1,
            Kind(Numeric),
            "sim_round|'trunc'",
        ),
        define(
            "truncate",
            MY,
            &[Numeric, Int4],
            2,
            Kind(Numeric),
            "sim_round|'trunc'",
        ),
        define(
            "power",
            BOTH,
            &[Float8, Float8],
            2,
            Kind(Float8),
            "sim_math|'power'",
        ),
        define(
            "pow",
            BOTH,
            &[Float8, Float8],
            2,
            Kind(Float8),
            "sim_math|'power'",
        ),
        define("sqrt", BOTH, &[Float8], 1, Kind(Float8), "sim_math|'sqrt'"),
        define("exp", BOTH, &[Float8], 1, Kind(Float8), "sim_math|'exp'"),
        define("ln", BOTH, &[Float8], 1, Kind(Float8), "sim_math|'ln'"),
        define("pi", BOTH, &[], 0, Kind(Float8), "sim_math|'pi'"),
        // Text.
        define("lower", BOTH, &[Text], 1, Kind(Text), "sim_lower"),
        define("lcase", MY, &[Text], 1, Kind(Text), "sim_lower"),
        define("upper", BOTH, &[Text], 1, Kind(Text), "sim_upper"),
        define("ucase", MY, &[Text], 1, Kind(Text), "sim_upper"),
        define("length", PG, &[Text], 1, Kind(Int4), "length"),
        define("length", MY, &[Unknown], 1, Kind(Int8), "octet_length"),
        define("char_length", BOTH, &[Text], 1, Kind(Int4), "length"),
        define("character_length", BOTH, &[Text], 1, Kind(Int4), "length"),
        define(
            "octet_length",
            BOTH,
            &[Unknown],
            1,
            Kind(Int4),
            "octet_length",
        ),
        variadic(define(
            "concat_ws",
            BOTH,
            &[Text, Unknown],
            2,
            Kind(Text),
            "concat_ws",
        )),
        define(
            "substring",
            BOTH,
            &[Text, Int8, Int8],
            2,
            Kind(Text),
            "sim_substring",
        ),
        define(
            "substr",
            BOTH,
            &[Text, Int8, Int8],
            2,
            Kind(Text),
            "sim_substring",
        ),
        define(
            "mid",
            MY,
            &[Text, Int8, Int8],
            3,
            Kind(Text),
            "sim_substring",
        ),
        define("left", BOTH, &[Text, Int8], 2, Kind(Text), "sim_left"),
        define("right", BOTH, &[Text, Int8], 2, Kind(Text), "sim_right"),
        define(
            "replace",
            BOTH,
            &[Text, Text, Text],
            3,
            Kind(Text),
            "replace",
        ),
        define("btrim", BOTH, &[Text, Text], 1, Kind(Text), "trim"),
        define("trim", MY, &[Text], 1, Kind(Text), "trim"),
        define("ltrim", BOTH, &[Text, Text], 1, Kind(Text), "ltrim"),
        define("rtrim", BOTH, &[Text, Text], 1, Kind(Text), "rtrim"),
        define(
            "lpad",
            BOTH,
            &[Text, Int8, Text],
            2,
            Kind(Text),
            "sim_pad|'left'",
        ),
        define(
            "rpad",
            BOTH,
            &[Text, Int8, Text],
            2,
            Kind(Text),
            "sim_pad|'right'",
        ),
        define("repeat", BOTH, &[Text, Int8], 2, Kind(Text), "sim_repeat"),
        define("reverse", BOTH, &[Text], 1, Kind(Text), "sim_reverse"),
        define("strpos", PG, &[Text, Text], 2, Kind(Int4), "instr"),
        define("instr", MY, &[Text, Text], 2, Kind(Int8), "sim_find"),
        define("position of", PG, &[Text, Text], 2, Kind(Int4), "instr"),
        define("position of", MY, &[Text, Text], 2, Kind(Int8), "sim_find"),
        define(
            "split_part",
            PG,
            &[Text, Text, Int4],
            3,
            Kind(Text),
            "sim_split_part",
        ),
        define(
            "substring_index",
            MY,
            &[Text, Text, Int8],
            3,
            Kind(Text),
            "sim_substring_index",
        ),
        define(
            "starts_with",
            PG,
            &[Text, Text],
            2,
            Kind(Bool),
            "sim_starts_with",
        ),
        define("quote_ident", PG, &[Text], 1, Kind(Text), "sim_quote_ident"),
        define("hex", MY, &[Unknown], 1, Kind(Text), "hex"),
        define(
            "pg_encoding_to_char",
            PG,
            &[Int4],
            1,
            Kind(Text),
            "sim_info|'encoding'",
        ),
        define(
            "pg_get_userbyid",
            PG,
            &[Oid],
            1,
            Kind(Text),
            "sim_info|'user'",
        ),
    ]
};
