//! The databases' own tables and table functions: the replica status, variables, catalogs.
//!
//! Each is a relation inside SQL, so that any projection, filter, join or order over it works. A
//! relation's rows come as JSON from a function of the session (`sim_rows`) and are unfolded by
//! SQLite's `json_each`, or from SQLite's own schema tables.

use super::SqlType;
use super::context::Context;
use super::variables::{self, MYSQL_SWITCHES};
use crate::id::EngineKind;
use crate::sim::host::{MASTER_SESSION_ID, StatusRow};
use serde_json::{Value as Json, json};

/// A table or table function that is not the users'.
#[derive(Debug)]
pub(super) struct SystemRelation {
    engine: EngineKind,
    /// Whether it is called, with parentheses.
    is_function: bool,
    schema: &'static str,
    pub(super) name: &'static str,
    pub(super) is_topology: bool,
    pub(super) columns: &'static [SystemColumn],
    source: Source,
}

#[derive(Debug)]
pub(super) struct SystemColumn {
    pub(super) name: &'static str,
    pub(super) kind: SqlType,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    /// Rows of JSON values in the order of the columns.
    Rows(fn(&Context) -> Vec<Vec<Json>>),
    /// A query on SQLite's schema.
    Query(&'static str),
}

impl SystemRelation {
    /// The SQLite query that answers its rows.
    pub(super) fn query(&self) -> String {
        match self.source {
            Source::Query(query) => query.to_owned(),
            Source::Rows(_) => {
                let items = (0..self.columns.len()).map(|index| format!("value ->> {index}"));
                let items: Vec<String> = items.collect();
                let name = self.name;
                format!(
                    "SELECT {} FROM json_each(sim_rows('{name}'))",
                    items.join(", ")
                )
            }
        }
    }
}

/// A table by schema and name. MySQL's system names are not case sensitive.
pub(super) fn find(
    engine: EngineKind,
    schema: Option<&str>,
    name: &str,
) -> Option<&'static SystemRelation> {
    let schema = schema.unwrap_or("pg_catalog");
    TABLE.iter().find(|relation| {
        relation.engine == engine
            && !relation.is_function
            && relation.schema.eq_ignore_ascii_case(schema)
            && relation.name.eq_ignore_ascii_case(name)
    })
}

/// A table function by name.
pub(super) fn find_function(engine: EngineKind, name: &str) -> Option<&'static SystemRelation> {
    TABLE
        .iter()
        .find(|relation| relation.engine == engine && relation.is_function && relation.name == name)
}

/// The rows of a relation, as the function `sim_rows` answers them.
pub(super) fn rows(context: &Context, name: &str) -> Option<Json> {
    let relation = TABLE
        .iter()
        .find(|relation| relation.engine == context.engine && relation.name == name)?;
    match relation.source {
        Source::Rows(rows) => Some(rows(context).into()),
        Source::Query(_) => None,
    }
}

const fn column(name: &'static str, kind: SqlType) -> SystemColumn {
    SystemColumn { name, kind }
}

const TABLE: &[SystemRelation] = &[
    SystemRelation {
        engine: EngineKind::MySql,
        is_function: false,
        schema: "information_schema",
        name: "replica_host_status",
        is_topology: true,
        columns: REPLICA_HOST_STATUS,
        source: Source::Rows(mysql_status),
    },
    SystemRelation {
        engine: EngineKind::MySql,
        is_function: false,
        schema: "mysql",
        name: "ro_replica_status",
        is_topology: true,
        columns: RO_REPLICA_STATUS,
        source: Source::Rows(mysql_status),
    },
    SystemRelation {
        engine: EngineKind::MySql,
        is_function: false,
        schema: "information_schema",
        name: "tables",
        is_topology: false,
        columns: &[
            column("TABLE_CATALOG", SqlType::Varchar),
            column("TABLE_SCHEMA", SqlType::Varchar),
            column("TABLE_NAME", SqlType::Varchar),
            column("TABLE_TYPE", SqlType::Varchar),
            column("ENGINE", SqlType::Varchar),
        ],
        source: Source::Query(
            "SELECT 'def', sim_info('database'), name, 'BASE TABLE', 'InnoDB'
             FROM sqlite_master WHERE type = 'table' AND sim_is_visible(name)
             UNION ALL
             SELECT 'def', value ->> 0, value ->> 1, 'SYSTEM VIEW', NULL
             FROM json_each(sim_rows('system_tables'))",
        ),
    },
    SystemRelation {
        engine: EngineKind::MySql,
        is_function: false,
        schema: "information_schema",
        name: "columns",
        is_topology: false,
        columns: &[
            column("TABLE_CATALOG", SqlType::Varchar),
            column("TABLE_SCHEMA", SqlType::Varchar),
            column("TABLE_NAME", SqlType::Varchar),
            column("COLUMN_NAME", SqlType::Varchar),
            column("ORDINAL_POSITION", SqlType::Int8),
            column("COLUMN_DEFAULT", SqlType::Text),
            column("IS_NULLABLE", SqlType::Varchar),
            column("DATA_TYPE", SqlType::Varchar),
            column("COLUMN_KEY", SqlType::Varchar),
        ],
        source: Source::Query(
            "SELECT 'def', sim_info('database'), t.name, c.name, c.cid + 1, c.dflt_value,
                 iif(c.\"notnull\", 'NO', 'YES'), sim_declared_type(c.type), iif(c.pk, 'PRI', '')
             FROM sqlite_master t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND sim_is_visible(t.name)",
        ),
    },
    SystemRelation {
        engine: EngineKind::MySql,
        is_function: false,
        schema: "information_schema",
        name: "schemata",
        is_topology: false,
        columns: &[
            column("CATALOG_NAME", SqlType::Varchar),
            column("SCHEMA_NAME", SqlType::Varchar),
            column("DEFAULT_CHARACTER_SET_NAME", SqlType::Varchar),
            column("DEFAULT_COLLATION_NAME", SqlType::Varchar),
        ],
        source: Source::Rows(mysql_schemata),
    },
    SystemRelation {
        engine: EngineKind::MySql,
        is_function: false,
        schema: "performance_schema",
        name: "session_variables",
        is_topology: false,
        columns: &[
            column("VARIABLE_NAME", SqlType::Varchar),
            column("VARIABLE_VALUE", SqlType::Varchar),
        ],
        source: Source::Rows(mysql_variables),
    },
    SystemRelation {
        engine: EngineKind::MySql,
        is_function: false,
        schema: "performance_schema",
        name: "session_status",
        is_topology: false,
        columns: &[
            column("VARIABLE_NAME", SqlType::Varchar),
            column("VARIABLE_VALUE", SqlType::Varchar),
        ],
        source: Source::Rows(mysql_status_variables),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: true,
        schema: "pg_catalog",
        name: "aurora_replica_status",
        is_topology: true,
        columns: AURORA_REPLICA_STATUS,
        source: Source::Rows(postgres_status),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: false,
        schema: "pg_catalog",
        name: "pg_settings",
        is_topology: false,
        columns: &[
            column("name", SqlType::Text),
            column("setting", SqlType::Text),
            column("vartype", SqlType::Text),
            column("source", SqlType::Text),
        ],
        source: Source::Rows(postgres_settings),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: false,
        schema: "pg_catalog",
        name: "pg_proc",
        is_topology: false,
        columns: &[
            column("oid", SqlType::Oid),
            column("proname", SqlType::Text),
            column("pronamespace", SqlType::Oid),
        ],
        source: Source::Rows(postgres_functions),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: false,
        schema: "pg_catalog",
        name: "pg_database",
        is_topology: false,
        columns: &[
            column("oid", SqlType::Oid),
            column("datname", SqlType::Text),
            column("encoding", SqlType::Int4),
        ],
        source: Source::Query("SELECT 16384, sim_info('database'), 6"),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: false,
        schema: "pg_catalog",
        name: "pg_namespace",
        is_topology: false,
        columns: &[
            column("oid", SqlType::Oid),
            column("nspname", SqlType::Text),
            column("nspowner", SqlType::Oid),
        ],
        source: Source::Query(
            "VALUES (11, 'pg_catalog', 10), (2200, 'public', 10), (13000, 'information_schema', 10)",
        ),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: false,
        schema: "pg_catalog",
        name: "pg_extension",
        is_topology: false,
        columns: &[
            column("oid", SqlType::Oid),
            column("extname", SqlType::Text),
        ],
        source: Source::Query("VALUES (13500, 'plpgsql'), (16390, 'aurora_stat_utils')"),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: false,
        schema: "pg_catalog",
        name: "pg_tables",
        is_topology: false,
        columns: &[
            column("schemaname", SqlType::Text),
            column("tablename", SqlType::Text),
            column("tableowner", SqlType::Text),
        ],
        source: Source::Query(
            "SELECT 'public', name, sim_info('user') FROM sqlite_master
             WHERE type = 'table' AND sim_is_visible(name)",
        ),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: false,
        schema: "information_schema",
        name: "tables",
        is_topology: false,
        columns: &[
            column("table_catalog", SqlType::Text),
            column("table_schema", SqlType::Text),
            column("table_name", SqlType::Text),
            column("table_type", SqlType::Text),
        ],
        source: Source::Query(
            "SELECT sim_info('database'), 'public', name, 'BASE TABLE' FROM sqlite_master
             WHERE type = 'table' AND sim_is_visible(name)
             UNION ALL
             SELECT sim_info('database'), value ->> 0, value ->> 1, 'VIEW'
             FROM json_each(sim_rows('system_tables'))",
        ),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: false,
        schema: "information_schema",
        name: "columns",
        is_topology: false,
        columns: &[
            column("table_catalog", SqlType::Text),
            column("table_schema", SqlType::Text),
            column("table_name", SqlType::Text),
            column("column_name", SqlType::Text),
            column("ordinal_position", SqlType::Int4),
            column("column_default", SqlType::Text),
            column("is_nullable", SqlType::Text),
            column("data_type", SqlType::Text),
        ],
        source: Source::Query(
            "SELECT sim_info('database'), 'public', t.name, c.name, c.cid + 1, c.dflt_value,
                 iif(c.\"notnull\", 'NO', 'YES'), sim_declared_type(c.type)
             FROM sqlite_master t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND sim_is_visible(t.name)",
        ),
    },
    SystemRelation {
        engine: EngineKind::Postgres,
        is_function: false,
        schema: "sim",
        name: "system_tables",
        is_topology: false,
        columns: &[],
        source: Source::Rows(system_tables),
    },
    SystemRelation {
        engine: EngineKind::MySql,
        is_function: false,
        schema: "sim",
        name: "system_tables",
        is_topology: false,
        columns: &[],
        source: Source::Rows(system_tables),
    },
];

/// `information_schema.replica_host_status`: the documented columns as documented, the others
/// in the order and with the types of its twin.
const REPLICA_HOST_STATUS: &[SystemColumn] = {
    use SqlType::{Bool, Float8, Int4, Int8, Timestamp, Varchar};
    &[
        column("SERVER_ID", Varchar),
        column("SESSION_ID", Varchar),
        column("IOPS", Int8),
        column("READ_IOS", Int8),
        column("PENDING_READ_IOS", Int8),
        column("CPU", Float8),
        column("DURABLE_LSN", Int8),
        column("ACTIVE_LSN", Int8),
        column("LAST_TRANSPORT_ERROR", Int4),
        column("LAST_ERROR_TIMESTAMP", Timestamp),
        column("LAST_UPDATE_TIMESTAMP", Timestamp),
        column("MASTER_SLAVE_LATENCY_IN_MICROSECONDS", Int8),
        column("REPLICA_LAG_IN_MILLISECONDS", Float8),
        column("LOG_STREAM_SPEED_IN_KiB_PER_SECOND", Float8),
        column("LOG_BUFFER_SEQUENCE_NUMBER", Int8),
        column("IS_CURRENT", Bool),
        column("OLDEST_READ_VIEW_TRX_ID", Int8),
        column("OLDEST_READ_VIEW_LSN", Int8),
        column("HIGHEST_LSN_RECEIVED", Int8),
        column("CURRENT_READ_LSN", Int8),
        column("CURRENT_REPLAY_LATENCY_IN_MICROSECONDS", Int8),
        column("AVERAGE_REPLAY_LATENCY_IN_MICROSECONDS", Int8),
        column("MAX_REPLAY_LATENCY_IN_MICROSECONDS", Int8),
    ]
};

/// `mysql.ro_replica_status`, the same under other names.
const RO_REPLICA_STATUS: &[SystemColumn] = {
    use SqlType::{Bool, Float8, Int4, Int8, Timestamp, Varchar};
    &[
        column("Server_id", Varchar),
        column("Session_id", Varchar),
        column("Iops", Int8),
        column("Read_IOs", Int8),
        column("Pending_Read_IOs", Int8),
        column("Cpu", Float8),
        column("Durable_lsn", Int8),
        column("Active_lsn", Int8),
        column("Last_transport_error", Int4),
        column("Last_error_timestamp", Timestamp),
        column("Last_updated_timestamp", Timestamp),
        column("Master_slave_latency_in_usec", Int8),
        column("Replica_lag_in_msec", Float8),
        column("Log_stream_speed_in_KiB_per_second", Float8),
        column("Log_buffer_sequence_number", Int8),
        column("Is_current", Bool),
        column("Oldest_read_view_trx_id", Int8),
        column("Oldest_read_view_lsn", Int8),
        column("Highest_lsn_received", Int8),
        column("Current_read_lsn", Int8),
        column("Current_replay_latency_in_usec", Int8),
        column("Average_replay_latency_in_usec", Int8),
        column("Max_replay_latency_in_usec", Int8),
    ]
};

const AURORA_REPLICA_STATUS: &[SystemColumn] = {
    use SqlType::{Bool, Float8, Int4, Int8, Text, TimestampTz};
    &[
        column("server_id", Text),
        column("session_id", Text),
        column("durable_lsn", Int8),
        column("highest_lsn_rcvd", Int8),
        column("current_read_lsn", Int8),
        column("cur_replay_latency_in_usec", Int8),
        column("active_txns", Int8),
        column("is_current", Bool),
        column("last_transport_error", Int4),
        column("last_error_timestamp", TimestampTz),
        column("last_update_timestamp", TimestampTz),
        column("feedback_xmin", Int8),
        column("feedback_epoch", Int8),
        column("replica_lag_in_msec", Float8),
        column("log_stream_speed_in_kib_per_second", Float8),
        column("log_buffer_sequence_number", Int8),
        column("oldest_read_view_trx_id", Int8),
        column("oldest_read_view_lsn", Int8),
        column("pending_read_ios", Int8),
        column("read_ios", Int8),
        column("iops", Int4),
        column("cpu", Float8),
    ]
};

/// The start of the epoch: "never" in columns that cannot be NULL.
const NEVER: &str = "1970-01-01 00:00:00.000000";

fn moment(micros: Option<i64>) -> Json {
    match micros {
        Some(micros) => super::datetime::format_timestamp(micros).into(),
        None => Json::Null,
    }
}

fn replay_latency_micros(row: &StatusRow) -> i64 {
    // A lag of 900000 ms and more fits easily; what is beyond is clamped by the cast.
    (row.lag_millis.unwrap_or(0.0) * 1000.0) as i64
}

fn mysql_status(context: &Context) -> Vec<Vec<Json>> {
    let rows = context.host.status_rows();
    let rows = rows.iter().map(|row| {
        let latency = replay_latency_micros(row);
        let read_lsn = row.read_lsn.unwrap_or(row.durable_lsn);
        vec![
            json!(row.server_id),
            json!(row.session_id),
            json!(0),
            json!(0),
            json!(0),
            json!(row.cpu_percent),
            json!(row.durable_lsn),
            json!(row.durable_lsn),
            json!(0),
            json!(NEVER),
            moment(row.last_update_micros),
            json!(latency),
            json!(row.lag_millis.unwrap_or(0.0)),
            json!(0.0),
            json!(0),
            json!(1),
            json!(0),
            json!(read_lsn),
            json!(read_lsn),
            json!(read_lsn),
            json!(latency),
            json!(latency),
            json!(latency),
        ]
    });
    rows.collect()
}

fn postgres_status(context: &Context) -> Vec<Vec<Json>> {
    let rows = context.host.status_rows();
    let rows = rows.iter().map(|row| {
        let is_writer = row.session_id == MASTER_SESSION_ID;
        // The documented writer's row has NULL in all that speaks of replication.
        let of_reader = |value: Json| if is_writer { Json::Null } else { value };
        vec![
            json!(row.server_id),
            json!(row.session_id),
            json!(row.durable_lsn),
            json!(row.read_lsn),
            json!(row.read_lsn),
            of_reader(json!(replay_latency_micros(row))),
            of_reader(json!(0)),
            json!(1),
            json!(0),
            json!(NEVER),
            moment(row.last_update_micros),
            of_reader(json!(0)),
            of_reader(json!(0)),
            json!(row.lag_millis),
            json!(0.0),
            json!(0),
            json!(0),
            json!(row.read_lsn.unwrap_or(row.durable_lsn)),
            json!(0),
            json!(0),
            json!(0),
            json!(row.cpu_percent),
        ]
    });
    rows.collect()
}

fn mysql_schemata(context: &Context) -> Vec<Vec<Json>> {
    let mut names = vec!["information_schema", "mysql", "performance_schema"];
    let database = context.state().database.clone();
    if !database.is_empty() && !names.contains(&database.as_str()) {
        names.push(&database);
    }
    names.sort_unstable();
    let rows = names.iter().map(|name| {
        vec![
            json!("def"),
            json!(name),
            json!("utf8mb4"),
            json!("utf8mb4_0900_ai_ci"),
        ]
    });
    rows.collect()
}

fn mysql_variables(context: &Context) -> Vec<Vec<Json>> {
    let rows = variables::all(EngineKind::MySql).iter().map(|variable| {
        let value = context.variable(variable.name).unwrap_or_default();
        let value = match value.as_str() {
            "1" if MYSQL_SWITCHES.contains(&variable.name) => "ON".to_owned(),
            "0" if MYSQL_SWITCHES.contains(&variable.name) => "OFF".to_owned(),
            _ => value,
        };
        vec![json!(variable.name), json!(value)]
    });
    rows.collect()
}

fn mysql_status_variables(context: &Context) -> Vec<Vec<Json>> {
    let uptime = context.host.elapsed_micros() / 1_000_000;
    vec![
        vec![json!("Threads_connected"), json!("1")],
        vec![json!("Threads_running"), json!("1")],
        vec![json!("Uptime"), json!(uptime.to_string())],
    ]
}

fn postgres_settings(context: &Context) -> Vec<Vec<Json>> {
    let rows = variables::all(EngineKind::Postgres).iter().map(|variable| {
        let kind = match variable.kind {
            SqlType::Bool => "bool",
            SqlType::Int4 => "integer",
            _ => "string",
        };
        let value = context.variable(variable.name);
        vec![
            json!(variable.name),
            json!(value),
            json!(kind),
            json!("default"),
        ]
    });
    rows.collect()
}

fn postgres_functions(context: &Context) -> Vec<Vec<Json>> {
    let names = super::functions::names(context.engine);
    let rows = names
        .enumerate()
        .map(|(index, name)| vec![json!(20_000 + index), json!(name), json!(11)]);
    rows.collect()
}

fn system_tables(context: &Context) -> Vec<Vec<Json>> {
    let shown = TABLE.iter().filter(|relation| {
        relation.engine == context.engine && !relation.is_function && relation.schema != "sim"
    });
    let rows = shown.map(|relation| {
        let name = match (context.engine, relation.schema) {
            (EngineKind::MySql, "information_schema") => relation.name.to_ascii_uppercase(),
            _ => relation.name.to_owned(),
        };
        vec![json!(relation.schema), json!(name)]
    });
    rows.collect()
}
