//! The system tables and table functions of PostgreSQL.

use serde_json::{Value as Json, json};

use super::{
    Source, SystemRelation, column, postgres_absent as absent, postgres_catalog as catalog,
    postgres_schema as schema, replica_status,
};
use crate::id::EngineKind;
use crate::sim::sql::SqlType;
use crate::sim::sql::context::Context;
use crate::sim::sql::injection::{DISKS, NODES};
use crate::sim::sql::{functions, variables};

pub(super) const TABLE: &[SystemRelation] = &[
    catalog::CLASS,
    catalog::ATTRIBUTE,
    catalog::ATTRDEF,
    catalog::INDEX,
    catalog::CONSTRAINT,
    catalog::TYPE,
    catalog::ROLES,
    catalog::STATIO_ALL_TABLES,
    catalog::ACCESS_METHODS,
    catalog::INDEXES,
    absent::AUTH_MEMBERS,
    absent::INHERITS,
    absent::RANGE,
    absent::COLLATION,
    absent::DESCRIPTION,
    absent::POLICY,
    absent::STATISTIC_EXT,
    absent::PUBLICATION,
    absent::PUBLICATION_REL,
    absent::PUBLICATION_NAMESPACE,
    absent::TRIGGER,
    absent::REWRITE,
    absent::SEQUENCE,
    absent::FOREIGN_TABLE,
    absent::FOREIGN_SERVER,
    absent::DEPEND,
    absent::ENUM,
    absent::VIEWS,
    absent::OPERATOR_CLASS,
    absent::TABLESPACE,
    schema::COLUMNS,
    schema::TABLE_CONSTRAINTS,
    schema::KEY_COLUMN_USAGE,
    schema::CONSTRAINT_COLUMN_USAGE,
    schema::REFERENTIAL_CONSTRAINTS,
    schema::CHECK_CONSTRAINTS,
    schema::SCHEMATA,
    schema::VIEWS,
    schema::SEQUENCES,
    schema::ACTIVITY,
    SystemRelation {
        is_function: true,
        schema: "pg_catalog",
        name: "aurora_show_volume_status",
        is_topology: false,
        columns: &[
            column("disks", SqlType::Int8),
            column("nodes", SqlType::Int8),
        ],
        source: Source::Rows(|_| vec![vec![json!(DISKS), json!(NODES)]]),
    },
    SystemRelation {
        is_function: true,
        schema: "pg_catalog",
        name: "aurora_replica_status",
        is_topology: true,
        columns: replica_status::AURORA_REPLICA_STATUS,
        source: Source::Rows(replica_status::postgres),
    },
    SystemRelation {
        is_function: false,
        schema: "pg_catalog",
        name: "pg_cursors",
        is_topology: false,
        columns: &[
            column("name", SqlType::Text),
            column("is_holdable", SqlType::Bool),
            column("is_binary", SqlType::Bool),
            column("is_scrollable", SqlType::Bool),
        ],
        source: Source::Rows(postgres_cursors),
    },
    SystemRelation {
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
        is_function: false,
        schema: "pg_catalog",
        name: "pg_proc",
        is_topology: false,
        columns: &[
            column("oid", SqlType::Oid),
            column("proname", SqlType::Name),
            column("pronamespace", SqlType::Oid),
            column("prokind", SqlType::Text),
        ],
        source: Source::Rows(postgres_functions),
    },
    SystemRelation {
        is_function: false,
        schema: "pg_catalog",
        name: "pg_database",
        is_topology: false,
        columns: &[
            column("oid", SqlType::Oid),
            column("datname", SqlType::Name),
            column("datdba", SqlType::Oid),
            column("encoding", SqlType::Int4),
            column("datlocprovider", SqlType::Text),
            column("datistemplate", SqlType::Bool),
            column("datallowconn", SqlType::Bool),
            column("datcollate", SqlType::Text),
            column("datctype", SqlType::Text),
            column("daticulocale", SqlType::Text),
            column("datacl", SqlType::Text),
        ],
        source: Source::Query(
            "SELECT 16384, sim_info('database'), 10, 6, 'c', 0, 1, 'en_US.UTF-8', 'en_US.UTF-8',
                 NULL, NULL",
        ),
    },
    SystemRelation {
        is_function: false,
        schema: "pg_catalog",
        name: "pg_namespace",
        is_topology: false,
        columns: &[
            column("oid", SqlType::Oid),
            column("nspname", SqlType::Name),
            column("nspowner", SqlType::Oid),
            column("nspacl", SqlType::Text),
        ],
        source: Source::Query(
            "VALUES (11, 'pg_catalog', 10, NULL), (2200, 'public', 10, NULL),
                 (13000, 'information_schema', 10, NULL)",
        ),
    },
    SystemRelation {
        is_function: false,
        schema: "pg_catalog",
        name: "pg_extension",
        is_topology: false,
        columns: &[
            column("oid", SqlType::Oid),
            column("extname", SqlType::Name),
            column("extnamespace", SqlType::Oid),
            column("extversion", SqlType::Text),
        ],
        source: Source::Query(
            "VALUES (13500, 'plpgsql', 11, '1.0'), (13501, 'aurora_stat_utils', 11, '1.0')",
        ),
    },
    SystemRelation {
        is_function: false,
        schema: "pg_catalog",
        name: "pg_tables",
        is_topology: false,
        columns: &[
            column("schemaname", SqlType::Name),
            column("tablename", SqlType::Name),
            column("tableowner", SqlType::Name),
        ],
        source: Source::Query(
            "SELECT 'public', name, sim_info('user') FROM sqlite_master
             WHERE type = 'table' AND sim_is_visible(name)",
        ),
    },
    SystemRelation {
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
            "SELECT sim_info('database'), 'public', name, iif(type = 'view', 'VIEW', 'BASE TABLE')
             FROM sqlite_master WHERE type IN ('table', 'view') AND sim_is_visible(name)
             UNION ALL
             SELECT sim_info('database'), value ->> 0, value ->> 1, 'VIEW'
             FROM json_each(sim_rows('system_tables'))",
        ),
    },
];

fn postgres_cursors(context: &Context) -> Vec<Vec<Json>> {
    let state = context.state();
    let mut rows: Vec<Vec<Json>> = state
        .cursors
        .iter()
        .map(|(name, cursor)| {
            let (hold, scroll) = cursor.traits();
            vec![
                json!(name),
                json!(i32::from(hold)),
                json!(0),
                json!(i32::from(scroll)),
            ]
        })
        .collect();
    rows.sort_by_key(|row| row[0].to_string());
    rows
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
    let names = functions::names(context.engine);
    let rows = names
        .enumerate()
        .map(|(index, name)| vec![json!(2_000 + index), json!(name), json!(11), json!("f")]);
    rows.collect()
}
