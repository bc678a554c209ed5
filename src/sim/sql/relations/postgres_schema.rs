//! PostgreSQL's `information_schema` of the users' tables, read from SQLite's schema. Columns and
//! order follow the PostgreSQL 15 manual, chapter 37, as far as clients ask for them.

use super::{Source, SystemColumn, SystemRelation, column};
use crate::sim::sql::SqlType::{Int4, Int8, Oid, Text, TimestampTz};

const fn table(
    schema: &'static str,
    name: &'static str,
    columns: &'static [SystemColumn],
    query: &'static str,
) -> SystemRelation {
    SystemRelation {
        is_function: false,
        schema,
        name,
        is_topology: false,
        columns,
        source: Source::Query(query),
    }
}

const SCHEMA: &str = "information_schema";

pub(super) const COLUMNS: SystemRelation = table(
    SCHEMA,
    "columns",
    &[
        column("table_catalog", Text),
        column("table_schema", Text),
        column("table_name", Text),
        column("column_name", Text),
        column("ordinal_position", Int4),
        column("column_default", Text),
        column("is_nullable", Text),
        column("data_type", Text),
        column("character_maximum_length", Int4),
        column("character_octet_length", Int4),
        column("numeric_precision", Int4),
        column("numeric_precision_radix", Int4),
        column("numeric_scale", Int4),
        column("datetime_precision", Int4),
        column("interval_type", Text),
        column("collation_name", Text),
        column("domain_name", Text),
        column("udt_catalog", Text),
        column("udt_schema", Text),
        column("udt_name", Text),
        column("is_identity", Text),
        column("identity_generation", Text),
        column("is_generated", Text),
        column("generation_expression", Text),
        column("is_updatable", Text),
    ],
    "SELECT sim_info('database'), 'public', t.name, c.name, c.cid + 1,
         sim_default(t.name, c.name, c.type, c.dflt_value), iif(c.\"notnull\" OR c.pk, 'NO', 'YES'),
         sim_declared_type(c.type), sim_type_fact(c.type, 'length'),
         4 * sim_type_fact(c.type, 'length'), sim_type_fact(c.type, 'precision'),
         sim_type_fact(c.type, 'radix'), sim_type_fact(c.type, 'scale'),
         sim_type_fact(c.type, 'fraction'), NULL, NULL, NULL, sim_info('database'), 'pg_catalog',
         sim_type_fact(c.type, 'name'), iif(c.type LIKE '%ALWAYS', 'YES', 'NO'),
         iif(c.type LIKE '%ALWAYS', 'ALWAYS', NULL), 'NEVER', NULL, 'YES'
     FROM sqlite_master t, pragma_table_info(t.name) c
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

pub(super) const TABLE_CONSTRAINTS: SystemRelation = table(
    SCHEMA,
    "table_constraints",
    &[
        column("constraint_catalog", Text),
        column("constraint_schema", Text),
        column("constraint_name", Text),
        column("table_catalog", Text),
        column("table_schema", Text),
        column("table_name", Text),
        column("constraint_type", Text),
        column("is_deferrable", Text),
        column("initially_deferred", Text),
        column("enforced", Text),
    ],
    "SELECT sim_info('database'), 'public', sim_index_name(l.name, t.name, l.origin, ''),
         sim_info('database'), 'public', t.name, iif(l.origin = 'pk', 'PRIMARY KEY', 'UNIQUE'),
         'NO', 'NO', 'YES'
     FROM sqlite_master t, pragma_index_list(t.name) l
     JOIN sqlite_master i ON i.type = 'index' AND i.name = l.name
     WHERE t.type = 'table' AND sim_is_visible(t.name)
         AND (l.origin = 'pk' OR sim_is_constraint(i.sql))
     UNION ALL
     SELECT sim_info('database'), 'public', c.value ->> 'name', sim_info('database'), 'public',
         t.name, iif(c.value ->> 'kind' = 'f', 'FOREIGN KEY', 'CHECK'),
         iif(c.value ->> 'deferred', 'YES', 'NO'), iif(c.value ->> 'deferred', 'YES', 'NO'), 'YES'
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

pub(super) const KEY_COLUMN_USAGE: SystemRelation = table(
    SCHEMA,
    "key_column_usage",
    &[
        column("constraint_catalog", Text),
        column("constraint_schema", Text),
        column("constraint_name", Text),
        column("table_catalog", Text),
        column("table_schema", Text),
        column("table_name", Text),
        column("column_name", Text),
        column("ordinal_position", Int4),
        column("position_in_unique_constraint", Int4),
    ],
    "SELECT sim_info('database'), 'public', sim_index_name(l.name, t.name, l.origin, ''),
         sim_info('database'), 'public', t.name, n.name, n.seqno + 1, NULL
     FROM sqlite_master t, pragma_index_list(t.name) l
     JOIN sqlite_master i ON i.type = 'index' AND i.name = l.name
     JOIN pragma_index_info(l.name) n
     WHERE t.type = 'table' AND sim_is_visible(t.name)
         AND (l.origin = 'pk' OR sim_is_constraint(i.sql))
     UNION ALL
     SELECT sim_info('database'), 'public', c.value ->> 'name', sim_info('database'), 'public',
         t.name, k.value, k.key + 1, k.key + 1
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c, json_each(c.value -> 'columns') k
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

/// The columns that a constraint is about: of a foreign key, those that it refers to.
pub(super) const CONSTRAINT_COLUMN_USAGE: SystemRelation = table(
    SCHEMA,
    "constraint_column_usage",
    &[
        column("table_catalog", Text),
        column("table_schema", Text),
        column("table_name", Text),
        column("column_name", Text),
        column("constraint_catalog", Text),
        column("constraint_schema", Text),
        column("constraint_name", Text),
    ],
    "SELECT sim_info('database'), 'public', t.name, n.name, sim_info('database'), 'public',
         sim_index_name(l.name, t.name, l.origin,
             (SELECT group_concat(name, '_') FROM pragma_index_info(l.name)))
     FROM sqlite_master t, pragma_index_list(t.name) l
     JOIN sqlite_master i ON i.type = 'index' AND i.name = l.name
     JOIN pragma_index_info(l.name) n
     WHERE t.type = 'table' AND sim_is_visible(t.name)
         AND (l.origin IN ('pk', 'u') OR sim_is_constraint(i.sql))
     UNION ALL
     SELECT sim_info('database'), 'public', c.value ->> 'table', k.value, sim_info('database'),
         'public', c.value ->> 'name'
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c, json_each(c.value -> 'referred') k
     WHERE t.type = 'table' AND sim_is_visible(t.name) AND c.value ->> 'kind' = 'f'",
);

pub(super) const REFERENTIAL_CONSTRAINTS: SystemRelation = table(
    SCHEMA,
    "referential_constraints",
    &[
        column("constraint_catalog", Text),
        column("constraint_schema", Text),
        column("constraint_name", Text),
        column("unique_constraint_catalog", Text),
        column("unique_constraint_schema", Text),
        column("unique_constraint_name", Text),
        column("match_option", Text),
        column("update_rule", Text),
        column("delete_rule", Text),
    ],
    "SELECT sim_info('database'), 'public', c.value ->> 'name', sim_info('database'), 'public',
         (c.value ->> 'table') || '_pkey', 'NONE', c.value ->> 'on_update', c.value ->> 'on_delete'
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c
     WHERE t.type = 'table' AND sim_is_visible(t.name) AND c.value ->> 'kind' = 'f'",
);

pub(super) const CHECK_CONSTRAINTS: SystemRelation = table(
    SCHEMA,
    "check_constraints",
    &[
        column("constraint_catalog", Text),
        column("constraint_schema", Text),
        column("constraint_name", Text),
        column("check_clause", Text),
    ],
    "SELECT sim_info('database'), 'public', c.value ->> 'name', '((' || (c.value ->> 'check') || '))'
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c
     WHERE t.type = 'table' AND sim_is_visible(t.name) AND c.value ->> 'kind' = 'c'",
);

pub(super) const SCHEMATA: SystemRelation = table(
    SCHEMA,
    "schemata",
    &[
        column("catalog_name", Text),
        column("schema_name", Text),
        column("schema_owner", Text),
    ],
    "SELECT sim_info('database'), column1, sim_info('user')
     FROM (VALUES ('pg_catalog'), ('information_schema'), ('public'))",
);

pub(super) const VIEWS: SystemRelation = table(
    SCHEMA,
    "views",
    &[
        column("table_catalog", Text),
        column("table_schema", Text),
        column("table_name", Text),
        column("is_updatable", Text),
    ],
    "SELECT sim_info('database'), 'public', name, 'NO'
     FROM sqlite_master WHERE type = 'view' AND sim_is_visible(name)",
);

/// Counters of columns are theirs; there are no others.
pub(super) const SEQUENCES: SystemRelation = table(
    SCHEMA,
    "sequences",
    &[
        column("sequence_catalog", Text),
        column("sequence_schema", Text),
        column("sequence_name", Text),
        column("data_type", Text),
    ],
    "SELECT sim_info('database'), 'public', t.name || '_' || c.name || '_seq', 'bigint'
     FROM sqlite_master t, pragma_table_info(t.name) c
     WHERE t.type = 'table' AND sim_is_visible(t.name)
         AND (c.type LIKE '%GENERATED%' OR c.type LIKE '%ALWAYS%')",
);

/// Only the asking session: an instance's sessions do not see each other's state.
pub(super) const ACTIVITY: SystemRelation = table(
    "pg_catalog",
    "pg_stat_activity",
    &[
        column("datid", Oid),
        column("datname", Text),
        column("pid", Int4),
        column("usesysid", Oid),
        column("usename", Text),
        column("application_name", Text),
        column("client_addr", Text),
        column("backend_start", TimestampTz),
        column("query_start", TimestampTz),
        column("wait_event_type", Text),
        column("wait_event", Text),
        column("state", Text),
        column("backend_xid", Int8),
        column("query", Text),
        column("backend_type", Text),
    ],
    "SELECT 16384, sim_info('database'), sim_info('connection'), 10, sim_info('user'),
         sim_setting('application_name'), NULL, NULL, sim_statement_time(), NULL, NULL, 'active',
         NULL, NULL, 'client backend'",
);
