//! The system tables of MySQL.

use serde_json::{Value as Json, json};

use super::{Source, SystemRelation, column, mysql_schema, replica_status};
use crate::id::EngineKind;
use crate::sim::sql::SqlType;
use crate::sim::sql::context::Context;
use crate::sim::sql::variables::{self, MYSQL_SWITCHES};

pub(super) const TABLE: &[SystemRelation] = &[
    SystemRelation {
        is_function: false,
        schema: "information_schema",
        name: "replica_host_status",
        is_topology: true,
        columns: replica_status::REPLICA_HOST_STATUS,
        source: Source::Rows(replica_status::mysql),
    },
    SystemRelation {
        is_function: false,
        schema: "mysql",
        name: "ro_replica_status",
        is_topology: true,
        columns: replica_status::RO_REPLICA_STATUS,
        source: Source::Rows(replica_status::mysql),
    },
    SystemRelation {
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
            "SELECT 'def', sim_info('database'), name,
             iif(type = 'view', 'VIEW', 'BASE TABLE'), iif(type = 'view', NULL, 'InnoDB')
             FROM sqlite_master WHERE type IN ('table', 'view') AND sim_is_visible(name)
             UNION ALL
             SELECT 'def', value ->> 0, value ->> 1, 'SYSTEM VIEW', NULL
             FROM json_each(sim_rows('system_tables'))",
        ),
    },
    mysql_schema::COLUMNS,
    mysql_schema::STATISTICS,
    mysql_schema::TABLE_CONSTRAINTS,
    mysql_schema::KEY_COLUMN_USAGE,
    mysql_schema::REFERENTIAL_CONSTRAINTS,
    mysql_schema::CHECK_CONSTRAINTS,
    mysql_schema::VIEWS,
    mysql_schema::ENGINES,
    mysql_schema::COLLATIONS,
    mysql_schema::CHARACTER_SETS,
    mysql_schema::PROCESSLIST,
    SystemRelation {
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
];

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
