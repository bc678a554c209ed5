//! The server and session variables of both dialects: what `SHOW`, `SET`, `@@name` and
//! `current_setting` speak of.

use super::SqlType;
use super::context::Context;
use crate::id::EngineKind;

/// One variable.
#[derive(Debug)]
pub(super) struct Variable {
    /// Lower case, but for PostgreSQL's three that are reported otherwise.
    pub(super) name: &'static str,
    pub(super) kind: SqlType,
    pub(super) source: Source,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// The same for ever; `SET` is refused.
    Fixed(&'static str),
    /// The session's own, with this default.
    Session(&'static str),
    /// Asked of the instance or the session each time; `SET` is refused.
    Computed(fn(&Context) -> String),
}

/// The version that Aurora MySQL instances report; its Aurora number is 3.04.0.
pub(super) const MYSQL_VERSION: &str = "8.0.28";
/// The version that Aurora PostgreSQL instances report; its Aurora number is 15.4.0.
pub(super) const POSTGRES_VERSION: &str = "15.4";
const AURORA_MYSQL_VERSION: &str = "3.04.0";
const AURORA_POSTGRES_VERSION: &str = "15.4.0";

/// The variables of a dialect.
pub(super) fn all(engine: EngineKind) -> &'static [Variable] {
    match engine {
        EngineKind::Postgres => POSTGRES,
        EngineKind::MySql => MYSQL,
    }
}

/// Looks a variable up; names are not case sensitive in either dialect.
pub(super) fn find(engine: EngineKind, name: &str) -> Option<&'static Variable> {
    all(engine)
        .iter()
        .find(|variable| variable.name.eq_ignore_ascii_case(name))
}

/// PostgreSQL's parameters that are reported to the client at the start and on each change
/// (PostgreSQL protocol, section 55.2.7), as far as the simulator has them.
pub(super) const REPORTED: [&str; 13] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

const fn fixed(name: &'static str, kind: SqlType, value: &'static str) -> Variable {
    Variable {
        name,
        kind,
        source: Source::Fixed(value),
    }
}

const fn session(name: &'static str, kind: SqlType, default: &'static str) -> Variable {
    Variable {
        name,
        kind,
        source: Source::Session(default),
    }
}

const fn computed(name: &'static str, kind: SqlType, value: fn(&Context) -> String) -> Variable {
    Variable {
        name,
        kind,
        source: Source::Computed(value),
    }
}

/// What `aurora_version()` shows: it changes with a minor upgrade.
pub(super) fn aurora_version(context: &Context) -> String {
    let usual = match context.engine {
        EngineKind::MySql => AURORA_MYSQL_VERSION,
        EngineKind::Postgres => AURORA_POSTGRES_VERSION,
    };
    context.host.version().unwrap_or(usual).to_owned()
}

fn on_off(truth: bool) -> String {
    if truth { "on" } else { "off" }.to_owned()
}

fn one_zero(truth: bool) -> String {
    if truth { "1" } else { "0" }.to_owned()
}

const POSTGRES: &[Variable] = {
    use SqlType::{Bool, Int4, Text};
    &[
        session("application_name", Text, ""),
        session("bytea_output", Text, "hex"),
        session("client_encoding", Text, "UTF8"),
        session("client_min_messages", Text, "notice"),
        session("DateStyle", Text, "ISO, MDY"),
        session("default_table_access_method", Text, "heap"),
        session("default_tablespace", Text, ""),
        session("default_transaction_isolation", Text, "read committed"),
        session("default_transaction_read_only", Bool, "off"),
        session("default_transaction_deferrable", Bool, "off"),
        session("extra_float_digits", Int4, "1"),
        computed("in_hot_standby", Bool, |context| {
            on_off(!context.host.is_writer())
        }),
        fixed("integer_datetimes", Bool, "on"),
        session("idle_in_transaction_session_timeout", Text, "0"),
        session("IntervalStyle", Text, "postgres"),
        computed("is_superuser", Bool, |_| on_off(false)),
        session("jit", Bool, "on"),
        session("lock_timeout", Text, "0"),
        fixed("max_connections", Int4, "1000"),
        computed("port", Int4, |context| context.port().to_string()),
        fixed(
            "rds.extensions",
            Text,
            "aurora_stat_utils, pg_stat_statements, plpgsql",
        ),
        session("row_security", Bool, "on"),
        session("search_path", Text, "\"$user\", public"),
        fixed("server_encoding", Text, "UTF8"),
        fixed("server_version", Text, POSTGRES_VERSION),
        fixed("server_version_num", Int4, "150004"),
        computed("session_authorization", Text, |context| {
            context.user().to_owned()
        }),
        fixed("standard_conforming_strings", Bool, "on"),
        session("statement_timeout", Text, "0"),
        session("synchronous_commit", Text, "on"),
        session("TimeZone", Text, "UTC"),
        computed("transaction_isolation", Text, Context::isolation_name),
        computed("transaction_read_only", Bool, |context| {
            on_off(context.is_read_only())
        }),
        computed("transaction_deferrable", Bool, |_| on_off(false)),
        session("work_mem", Text, "4MB"),
    ]
};

const MYSQL: &[Variable] = {
    use SqlType::{Int8, Text, Varchar};
    &[
        computed("aurora_server_id", Varchar, |context| {
            context.host.instance().to_string()
        }),
        computed("aurora_version", Varchar, aurora_version),
        fixed("auto_increment_increment", Int8, "1"),
        fixed("auto_increment_offset", Int8, "1"),
        computed("autocommit", Int8, |context| one_zero(context.autocommit())),
        session("character_set_client", Varchar, "utf8mb4"),
        session("character_set_connection", Varchar, "utf8mb4"),
        fixed("character_set_database", Varchar, "utf8mb4"),
        session("character_set_results", Varchar, "utf8mb4"),
        fixed("character_set_server", Varchar, "utf8mb4"),
        session("collation_connection", Varchar, "utf8mb4_0900_ai_ci"),
        fixed("collation_database", Varchar, "utf8mb4_0900_ai_ci"),
        fixed("collation_server", Varchar, "utf8mb4_0900_ai_ci"),
        session("default_storage_engine", Varchar, "InnoDB"),
        session("foreign_key_checks", Int8, "1"),
        session("group_concat_max_len", Int8, "1024"),
        computed("hostname", Varchar, Context::host_name),
        session("init_connect", Varchar, ""),
        computed("innodb_read_only", Int8, |context| {
            one_zero(!context.host.is_writer())
        }),
        session("innodb_lock_wait_timeout", Int8, "50"),
        session("interactive_timeout", Int8, "28800"),
        fixed("license", Varchar, "GPL"),
        session("lock_wait_timeout", Int8, "31536000"),
        fixed("lower_case_table_names", Int8, "0"),
        session("max_allowed_packet", Int8, "67108864"),
        fixed("max_connections", Int8, "1000"),
        session("max_execution_time", Int8, "0"),
        session("net_buffer_length", Int8, "16384"),
        session("net_read_timeout", Int8, "30"),
        session("net_write_timeout", Int8, "60"),
        fixed("performance_schema", Int8, "0"),
        computed("port", Int8, |context| context.port().to_string()),
        fixed("protocol_version", Int8, "10"),
        fixed("query_cache_size", Int8, "0"),
        fixed("query_cache_type", Varchar, "OFF"),
        // Aurora's readers report OFF here, too: `innodb_read_only` tells the role.
        fixed("read_only", Int8, "0"),
        computed("server_id", Int8, |context| {
            context.server_number().to_string()
        }),
        fixed("socket", Varchar, "/tmp/mysql.sock"),
        session("sql_auto_is_null", Int8, "0"),
        session(
            "sql_mode",
            Varchar,
            "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
             ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
        ),
        session("sql_notes", Int8, "1"),
        session("sql_quote_show_create", Int8, "1"),
        session("sql_safe_updates", Int8, "0"),
        session("sql_select_limit", Int8, "9223372036854775807"),
        fixed("super_read_only", Int8, "0"),
        fixed("system_time_zone", Varchar, "UTC"),
        session("time_zone", Varchar, "SYSTEM"),
        computed("transaction_isolation", Varchar, Context::isolation_name),
        computed("tx_isolation", Varchar, Context::isolation_name),
        computed("transaction_read_only", Int8, |context| {
            one_zero(context.is_session_read_only())
        }),
        computed("tx_read_only", Int8, |context| {
            one_zero(context.is_session_read_only())
        }),
        session("unique_checks", Int8, "1"),
        fixed("version", Text, MYSQL_VERSION),
        fixed("version_comment", Varchar, "Source distribution"),
        fixed("version_compile_machine", Varchar, "x86_64"),
        fixed("version_compile_os", Varchar, "Linux"),
        session("wait_timeout", Int8, "28800"),
    ]
};

/// MySQL's switches, which `SHOW VARIABLES` prints as ON and OFF and `@@name` as 1 and 0.
pub(super) const MYSQL_SWITCHES: [&str; 13] = [
    "autocommit",
    "foreign_key_checks",
    "innodb_read_only",
    "performance_schema",
    "read_only",
    "sql_auto_is_null",
    "sql_notes",
    "sql_quote_show_create",
    "sql_safe_updates",
    "super_read_only",
    "transaction_read_only",
    "tx_read_only",
    "unique_checks",
];
