//! Functions behind PostgreSQL's catalogs: types by number, names of indexes, defaults, patterns.

use super::{Arguments, Registry};
use crate::id::EngineKind;
use crate::sim::sql::context::Context;
use crate::sim::sql::types::{self, Family, Generation, Type};
use crate::sim::sql::{SqlError, SqlType, Value, pattern};

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.pure("sim_always", |_, _| Ok(Value::Integer(1)))?;
    registry.pure("sim_nothing", |_, _| Ok(Value::Null))?;
    registry.pure("sim_first", |_, arguments| Ok(arguments.value(0)))?;
    registry.pure("sim_type_oid", type_oid)?;
    registry.pure("sim_type_modifier", type_modifier)?;
    registry.pure("sim_format_type", format_type)?;
    registry.pure("sim_type_fact", type_fact)?;
    registry.pure("sim_type_of_name", type_of_name)?;
    registry.pure("sim_index_name", index_name)?;
    registry.pure("sim_default", default)?;
    registry.pure("sim_array_to_string", array_to_string)?;
    registry.pure("sim_array_item", array_item)?;
    registry.pure("sim_array_upper", array_upper)?;
    // One page: the volume does not know how much of it a table fills.
    registry.pure("sim_table_size", |_, _| Ok(Value::Integer(8192)))?;
    registry.pure("sim_size_pretty", size_pretty)?;
    registry.pure("sim_regexp_like", regexp_like)?;
    registry.pure("sim_matches", matches)
}

/// Object ids of the types (PostgreSQL's `pg_type.dat`).
const OIDS: [(SqlType, i64); 38] = [
    (SqlType::Bool, 16),
    (SqlType::Bytes, 17),
    (SqlType::Int8, 20),
    (SqlType::Int2, 21),
    (SqlType::Int4, 23),
    (SqlType::Text, 25),
    (SqlType::Oid, 26),
    (SqlType::Json, 114),
    (SqlType::Float4, 700),
    (SqlType::Float8, 701),
    (SqlType::Varchar, 1043),
    (SqlType::Date, 1082),
    (SqlType::Time, 1083),
    (SqlType::Timestamp, 1114),
    (SqlType::TimestampTz, 1184),
    (SqlType::Interval, 1186),
    (SqlType::Numeric, 1700),
    (SqlType::Uuid, 2950),
    (SqlType::BoolArray, 1000),
    (SqlType::Int2Array, 1005),
    (SqlType::Int4Array, 1007),
    (SqlType::TextArray, 1009),
    (SqlType::Int8Array, 1016),
    (SqlType::Float8Array, 1022),
    (SqlType::UuidArray, 2951),
    (SqlType::Float4Array, 1021),
    (SqlType::NumericArray, 1231),
    (SqlType::BytesArray, 1001),
    (SqlType::DateArray, 1182),
    (SqlType::TimeArray, 1183),
    (SqlType::TimestampArray, 1115),
    (SqlType::TimestampTzArray, 1185),
    (SqlType::IntervalArray, 1187),
    (SqlType::JsonArray, 199),
    (SqlType::OidArray, 1028),
    (SqlType::InternalChar, 18),
    (SqlType::Name, 19),
    (SqlType::NameArray, 1003),
];

/// What PostgreSQL adds to a length: the header of a value (`VARHDRSZ`).
const HEADER: i64 = 4;

fn type_oid(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (of, _) = types::from_declaration(&arguments.text(0));
    let found = OIDS.iter().find(|(kind, _)| *kind == of.kind);
    // 705 is `unknown`.
    Ok(Value::Integer(found.map_or(705, |(_, oid)| *oid)))
}

fn type_modifier(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (of, _) = types::from_declaration(&arguments.text(0));
    Ok(Value::Integer(match of {
        Type {
            kind: SqlType::Varchar,
            modifier: Some(length),
        } => i64::from(length) + HEADER,
        Type {
            kind: SqlType::Numeric,
            modifier: Some(digits),
        } => {
            let (precision, scale) = types::precision_and_scale(digits);
            i64::from(precision << 16 | scale) + HEADER
        }
        _ => -1,
    }))
}

/// `sim_type_fact(declared, what)`, for `information_schema.columns`.
fn type_fact(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (of, _) = types::from_declaration(&arguments.text(0));
    let digits = of.modifier.map(types::precision_and_scale);
    let bits = match of.kind {
        SqlType::Int2 => Some(16),
        SqlType::Int4 => Some(32),
        SqlType::Int8 => Some(64),
        SqlType::Float4 => Some(24),
        SqlType::Float8 => Some(53),
        _ => None,
    };
    let exact = of.kind == SqlType::Numeric;
    let fact = match arguments.text(1).as_str() {
        "length" if of.kind == SqlType::Varchar => of.modifier,
        "precision" if exact => digits.map(|(precision, _)| precision),
        "precision" => bits,
        "radix" if exact => Some(10),
        "radix" => bits.map(|_| 2),
        "scale" if exact => digits.map(|(_, scale)| scale),
        "scale" if of.kind.is_integer() => Some(0),
        "fraction" => match of.kind {
            SqlType::Date => Some(0),
            SqlType::Time | SqlType::Timestamp | SqlType::TimestampTz => Some(6),
            _ => None,
        },
        "name" => return Ok(Value::Text(internal_name(of.kind))),
        _ => None,
    };
    Ok(fact.map_or(Value::Null, |fact| Value::Integer(fact.into())))
}

/// A type's name in `pg_type`.
fn internal_name(kind: SqlType) -> String {
    if let Some(element) = kind.element() {
        return format!("_{}", internal_name(element));
    }
    match kind {
        SqlType::Bool => "bool",
        SqlType::Int2 => "int2",
        SqlType::Int4 => "int4",
        SqlType::Int8 => "int8",
        SqlType::Float4 => "float4",
        SqlType::Float8 => "float8",
        SqlType::Varchar => "varchar",
        SqlType::Time => "time",
        SqlType::Timestamp => "timestamp",
        SqlType::TimestampTz => "timestamptz",
        SqlType::InternalChar => "char",
        other => other.name(EngineKind::Postgres),
    }
    .to_owned()
}

/// `sim_type_of_name(name, must exist)`: a type's object id; NULL for one that there is not.
fn type_of_name(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.is_null(0) {
        return Ok(Value::Null);
    }
    let name = arguments.text(0);
    match (oid_of_name(&name), arguments.integer(1)) {
        (Some(oid), _) => Ok(Value::Integer(oid)),
        (None, 0) => Ok(Value::Null),
        (None, _) => Err(SqlError::of(
            context.engine,
            "42704",
            (1235, "42000"),
            format!("type \"{name}\" does not exist"),
        )),
    }
}

/// A type's object id by any of its names, perhaps with its schema and in quotes.
fn oid_of_name(name: &str) -> Option<i64> {
    let name = name.replace('"', "").to_lowercase();
    let name = ["pg_catalog.", "public."]
        .iter()
        .find_map(|schema| name.strip_prefix(schema))
        .unwrap_or(&name);
    if let Ok(oid) = name.parse() {
        return Some(oid);
    }
    let kind = match name.strip_suffix("[]") {
        Some(element) => SqlType::array_of(kind_of_name(element)?)?,
        None => kind_of_name(name)?,
    };
    let found = OIDS.iter().find(|(known, _)| *known == kind);
    found.map(|(_, oid)| *oid)
}

fn kind_of_name(name: &str) -> Option<SqlType> {
    let named =
        |kind: SqlType| kind.name(EngineKind::Postgres) == name || internal_name(kind) == name;
    let kinds = OIDS.iter().map(|(kind, _)| *kind);
    kinds.into_iter().find(|kind| named(*kind)).or(match name {
        "int" => Some(SqlType::Int4),
        "decimal" => Some(SqlType::Numeric),
        "float" => Some(SqlType::Float8),
        "time" => Some(SqlType::Time),
        "timestamp" => Some(SqlType::Timestamp),
        "jsonb" => Some(SqlType::Json),
        _ => None,
    })
}

fn format_type(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.is_null(0) {
        return Ok(Value::Null);
    }
    let oid = arguments.integer(0);
    let name = match OIDS.iter().find(|(_, known)| *known == oid) {
        Some((kind, _)) => kind.name(EngineKind::Postgres),
        None => match oid {
            0 => "-",
            1042 => "character",
            3802 => "jsonb",
            1002 => "\"char\"[]",
            1014 => "character[]",
            1015 => "character varying[]",
            3807 => "jsonb[]",
            _ => "???",
        },
    };
    let modifier = arguments.integer(1);
    if oid == 1700 && modifier > HEADER {
        let digits = modifier - HEADER;
        let text = format!("{name}({},{})", digits >> 16, digits & 0xffff);
        return Ok(Value::Text(text));
    }
    let limited = matches!(oid, 1042 | 1043) && modifier > HEADER;
    Ok(Value::Text(match limited {
        true => format!("{name}({})", modifier - HEADER),
        false => name.to_owned(),
    }))
}

/// `sim_index_name(name, table, origin, columns)`: SQLite's own indexes by PostgreSQL's names.
fn index_name(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let name = arguments.text(0);
    let table = arguments.text(1);
    Ok(Value::Text(match arguments.text(2).as_str() {
        _ if !name.starts_with("sqlite_autoindex_") => name,
        "pk" => format!("{table}_pkey"),
        _ => format!("{table}_{}_key", arguments.text(3)),
    }))
}

/// `sim_default(table, column, type, default)`: a column's default as PostgreSQL shows it.
fn default(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (of, generation) = types::from_declaration(&arguments.text(2));
    Ok(match generation {
        Generation::ByDefault => {
            let (table, column) = (arguments.text(0), arguments.text(1));
            Value::Text(format!("nextval('{table}_{column}_seq'::regclass)"))
        }
        // The compiler's own functions by the names that a client would write.
        _ => match arguments.text(3).trim_matches(['(', ')']) {
            "sim_today" => Value::Text("CURRENT_DATE".to_owned()),
            own if own.starts_with("sim_now") => Value::Text("now()".to_owned()),
            own if own.starts_with("sim_uuid('ossp'") => {
                Value::Text("uuid_generate_v4()".to_owned())
            }
            own if own.starts_with("sim_uuid") => Value::Text("gen_random_uuid()".to_owned()),
            own if own.starts_with("sim_next('aurora_sim_sequence_") => {
                let name = own["sim_next('aurora_sim_sequence_".len()..]
                    .split('.')
                    .next();
                let name = name.unwrap_or_default();
                Value::Text(format!("nextval('{name}'::regclass)"))
            }
            "0" if of.kind == SqlType::Bool => Value::Text("false".to_owned()),
            "1" if of.kind == SqlType::Bool => Value::Text("true".to_owned()),
            text if text.starts_with('\'') => Value::Text(match of.kind.family() {
                Family::Number => text.trim_matches('\'').to_owned(),
                _ => format!("{text}::{}", of.kind.name(EngineKind::Postgres)),
            }),
            _ => arguments.value(3),
        },
    })
}

/// Arrays are texts in braces here.
fn array_to_string(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.is_null(0) {
        return Ok(Value::Null);
    }
    let array = arguments.text(0);
    let inner = array.trim_start_matches('{').trim_end_matches('}');
    Ok(Value::Text(inner.replace(',', &arguments.text(1))))
}

fn items(array: &str) -> Vec<&str> {
    let inner = array.trim_start_matches('{').trim_end_matches('}');
    let items = inner.split([',', ' ']);
    items.filter(|item| !item.is_empty()).collect()
}

/// `sim_array_item(array, place)`, counted from 1; in a vector (`1 2`) from 0.
fn array_item(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let array = arguments.text(0);
    let first = i64::from(array.starts_with('{'));
    let place = usize::try_from(arguments.integer(1) - first).ok();
    let item = place.and_then(|place| items(&array).get(place).copied());
    Ok(item
        .and_then(|item| item.parse().ok())
        .map_or(Value::Null, Value::Integer))
}

fn array_upper(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let length = i64::try_from(items(&arguments.text(0)).len()).unwrap_or(i64::MAX);
    Ok(match length {
        0 => Value::Null,
        length => Value::Integer(length),
    })
}

/// Bytes, or whole kilobytes from ten of them on, and so forth (`pg_size_pretty`).
fn size_pretty(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.is_null(0) {
        return Ok(Value::Null);
    }
    let mut size = arguments.integer(0);
    for unit in ["bytes", "kB", "MB", "GB"] {
        if size.abs() < 10 * 1024 {
            return Ok(Value::Text(format!("{size} {unit}")));
        }
        size = (size + 512) / 1024;
    }
    Ok(Value::Text(format!("{size} TB")))
}

/// MySQL's `REGEXP_LIKE(text, pattern, flags)`, which ignores case unless the flags have a `c`.
fn regexp_like(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let flags = arguments.text(2);
    if let Some(flag) = flags.chars().find(|flag| !matches!(flag, 'c' | 'i')) {
        let what = format!("REGEXP_LIKE() with the flag '{flag}'");
        return Err(SqlError::unsupported(context.engine, what));
    }
    // The last of them counts.
    let (text, wanted) = match flags.ends_with('c') {
        true => (arguments.text(0), arguments.text(1)),
        false => (
            arguments.text(0).to_lowercase(),
            arguments.text(1).to_lowercase(),
        ),
    };
    Ok(Value::Integer(pattern::matches(&text, &wanted)?.into()))
}

/// `sim_matches(text, pattern, ignore case)`: the operator `~`.
fn matches(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let (mut text, mut wanted) = (arguments.text(0), arguments.text(1));
    if arguments.integer(2) != 0 {
        text = text.to_lowercase();
        wanted = wanted.to_lowercase();
    }
    Ok(Value::Integer(pattern::matches(&text, &wanted)?.into()))
}
