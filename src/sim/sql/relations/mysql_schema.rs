//! MySQL's `information_schema` of the users' tables, read from SQLite's schema. Columns and order
//! follow the MySQL 8.0 manual, chapter 26.3.

use super::{Source, SystemColumn, SystemRelation, column};
use crate::sim::sql::SqlType::{Int8, Text, Varchar};

const fn table(
    name: &'static str,
    columns: &'static [SystemColumn],
    query: &'static str,
) -> SystemRelation {
    SystemRelation {
        is_function: false,
        schema: "information_schema",
        name,
        is_topology: false,
        columns,
        source: Source::Query(query),
    }
}

pub(super) const COLUMNS: SystemRelation = table(
    "columns",
    &[
        column("TABLE_CATALOG", Varchar),
        column("TABLE_SCHEMA", Varchar),
        column("TABLE_NAME", Varchar),
        column("COLUMN_NAME", Varchar),
        column("ORDINAL_POSITION", Int8),
        column("COLUMN_DEFAULT", Text),
        column("IS_NULLABLE", Varchar),
        column("DATA_TYPE", Varchar),
        column("CHARACTER_MAXIMUM_LENGTH", Int8),
        column("CHARACTER_SET_NAME", Varchar),
        column("COLLATION_NAME", Varchar),
        column("COLUMN_TYPE", Varchar),
        column("COLUMN_KEY", Varchar),
        column("EXTRA", Varchar),
        column("PRIVILEGES", Varchar),
        column("COLUMN_COMMENT", Varchar),
        column("GENERATION_EXPRESSION", Varchar),
    ],
    "SELECT 'def', sim_info('database'), t.name, c.name, c.cid + 1,
         sim_column_default(c.dflt_value), iif(c.\"notnull\" OR c.pk, 'NO', 'YES'),
         sim_column_type(c.type, 'name'), sim_column_type(c.type, 'length'),
         iif(sim_column_type(c.type, 'is text'), 'utf8mb4', NULL),
         iif(sim_column_type(c.type, 'is text'), 'utf8mb4_0900_ai_ci', NULL),
         sim_column_type(c.type, 'full'),
         CASE WHEN c.pk THEN 'PRI'
             WHEN EXISTS (SELECT 1 FROM pragma_index_list(t.name) l WHERE l.\"unique\"
                 AND 1 = (SELECT count(*) FROM pragma_index_info(l.name))
                 AND c.name = (SELECT name FROM pragma_index_info(l.name))) THEN 'UNI'
             WHEN EXISTS (SELECT 1 FROM pragma_index_list(t.name) l WHERE
                 c.name = (SELECT name FROM pragma_index_info(l.name) WHERE seqno = 0)) THEN 'MUL'
             ELSE '' END,
         sim_column_extra(c.type, c.dflt_value), 'select,insert,update,references', '', ''
     FROM sqlite_master t, pragma_table_info(t.name) c
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

pub(super) const STATISTICS: SystemRelation = table(
    "statistics",
    &[
        column("TABLE_CATALOG", Varchar),
        column("TABLE_SCHEMA", Varchar),
        column("TABLE_NAME", Varchar),
        column("NON_UNIQUE", Int8),
        column("INDEX_SCHEMA", Varchar),
        column("INDEX_NAME", Varchar),
        column("SEQ_IN_INDEX", Int8),
        column("COLUMN_NAME", Varchar),
        column("COLLATION", Varchar),
        column("CARDINALITY", Int8),
        column("SUB_PART", Int8),
        column("PACKED", Varchar),
        column("NULLABLE", Varchar),
        column("INDEX_TYPE", Varchar),
        column("COMMENT", Varchar),
        column("INDEX_COMMENT", Varchar),
        column("IS_VISIBLE", Varchar),
        column("EXPRESSION", Text),
    ],
    "SELECT 'def', sim_info('database'), t.name, NOT l.\"unique\", sim_info('database'),
         sim_key_name(l.name, t.name, l.origin), i.seqno + 1, i.name, 'A', 0, NULL, NULL,
         (SELECT iif(c.\"notnull\" OR c.pk, '', 'YES') FROM pragma_table_info(t.name) c
             WHERE c.name = i.name), 'BTREE', '', '', 'YES', NULL
     FROM sqlite_master t, pragma_index_list(t.name) l, pragma_index_info(l.name) i
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

pub(super) const TABLE_CONSTRAINTS: SystemRelation = table(
    "table_constraints",
    &[
        column("CONSTRAINT_CATALOG", Varchar),
        column("CONSTRAINT_SCHEMA", Varchar),
        column("CONSTRAINT_NAME", Varchar),
        column("TABLE_SCHEMA", Varchar),
        column("TABLE_NAME", Varchar),
        column("CONSTRAINT_TYPE", Varchar),
        column("ENFORCED", Varchar),
    ],
    "SELECT 'def', sim_info('database'), sim_key_name(l.name, t.name, l.origin),
         sim_info('database'), t.name, iif(l.origin = 'pk', 'PRIMARY KEY', 'UNIQUE'), 'YES'
     FROM sqlite_master t, pragma_index_list(t.name) l
     WHERE t.type = 'table' AND sim_is_visible(t.name) AND l.\"unique\"
     UNION ALL
     SELECT 'def', sim_info('database'), c.value ->> 'name', sim_info('database'), t.name,
         iif(c.value ->> 'kind' = 'f', 'FOREIGN KEY', 'CHECK'), 'YES'
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

pub(super) const KEY_COLUMN_USAGE: SystemRelation = table(
    "key_column_usage",
    &[
        column("CONSTRAINT_CATALOG", Varchar),
        column("CONSTRAINT_SCHEMA", Varchar),
        column("CONSTRAINT_NAME", Varchar),
        column("TABLE_CATALOG", Varchar),
        column("TABLE_SCHEMA", Varchar),
        column("TABLE_NAME", Varchar),
        column("COLUMN_NAME", Varchar),
        column("ORDINAL_POSITION", Int8),
        column("POSITION_IN_UNIQUE_CONSTRAINT", Int8),
        column("REFERENCED_TABLE_SCHEMA", Varchar),
        column("REFERENCED_TABLE_NAME", Varchar),
        column("REFERENCED_COLUMN_NAME", Varchar),
    ],
    "SELECT 'def', sim_info('database'), sim_key_name(l.name, t.name, l.origin), 'def',
         sim_info('database'), t.name, i.name, i.seqno + 1, NULL, NULL, NULL, NULL
     FROM sqlite_master t, pragma_index_list(t.name) l, pragma_index_info(l.name) i
     WHERE t.type = 'table' AND sim_is_visible(t.name) AND l.\"unique\"
     UNION ALL
     SELECT 'def', sim_info('database'), c.value ->> 'name', 'def', sim_info('database'), t.name,
         k.value, k.key + 1, k.key + 1, sim_info('database'), c.value ->> 'table',
         c.value -> 'referred' ->> k.key
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c, json_each(c.value -> 'columns') k
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

/// Checks, by the database: MySQL's names of them belong to it.
pub(super) const CHECK_CONSTRAINTS: SystemRelation = table(
    "check_constraints",
    &[
        column("CONSTRAINT_CATALOG", Varchar),
        column("CONSTRAINT_SCHEMA", Varchar),
        column("CONSTRAINT_NAME", Varchar),
        column("CHECK_CLAUSE", Text),
    ],
    "SELECT 'def', sim_info('database'), c.value ->> 'name', '(' || (c.value ->> 'check') || ')'
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c
     WHERE t.type = 'table' AND sim_is_visible(t.name) AND c.value ->> 'kind' = 'c'",
);

pub(super) const REFERENTIAL_CONSTRAINTS: SystemRelation = table(
    "referential_constraints",
    &[
        column("CONSTRAINT_CATALOG", Varchar),
        column("CONSTRAINT_SCHEMA", Varchar),
        column("CONSTRAINT_NAME", Varchar),
        column("UNIQUE_CONSTRAINT_CATALOG", Varchar),
        column("UNIQUE_CONSTRAINT_SCHEMA", Varchar),
        column("UNIQUE_CONSTRAINT_NAME", Varchar),
        column("MATCH_OPTION", Varchar),
        column("UPDATE_RULE", Varchar),
        column("DELETE_RULE", Varchar),
        column("TABLE_NAME", Varchar),
        column("REFERENCED_TABLE_NAME", Varchar),
    ],
    "SELECT 'def', sim_info('database'), c.value ->> 'name', 'def', sim_info('database'),
         'PRIMARY', 'NONE', c.value ->> 'on_update', c.value ->> 'on_delete', t.name,
         c.value ->> 'table'
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c
     WHERE t.type = 'table' AND sim_is_visible(t.name) AND c.value ->> 'kind' = 'f'",
);

pub(super) const VIEWS: SystemRelation = table(
    "views",
    &[
        column("TABLE_CATALOG", Varchar),
        column("TABLE_SCHEMA", Varchar),
        column("TABLE_NAME", Varchar),
        column("VIEW_DEFINITION", Text),
    ],
    "SELECT NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const ENGINES: SystemRelation = table(
    "engines",
    &[
        column("ENGINE", Varchar),
        column("SUPPORT", Varchar),
        column("COMMENT", Varchar),
        column("TRANSACTIONS", Varchar),
        column("XA", Varchar),
        column("SAVEPOINTS", Varchar),
    ],
    "SELECT 'InnoDB', 'DEFAULT', 'Supports transactions, row-level locking, and foreign keys',
         'YES', 'NO', 'YES'",
);

pub(super) const COLLATIONS: SystemRelation = table(
    "collations",
    &[
        column("COLLATION_NAME", Varchar),
        column("CHARACTER_SET_NAME", Varchar),
        column("ID", Int8),
        column("IS_DEFAULT", Varchar),
        column("IS_COMPILED", Varchar),
        column("SORTLEN", Int8),
        column("PAD_ATTRIBUTE", Varchar),
    ],
    "SELECT 'utf8mb4_0900_ai_ci', 'utf8mb4', 255, 'Yes', 'Yes', 0, 'NO PAD'",
);

pub(super) const CHARACTER_SETS: SystemRelation = table(
    "character_sets",
    &[
        column("CHARACTER_SET_NAME", Varchar),
        column("DEFAULT_COLLATE_NAME", Varchar),
        column("DESCRIPTION", Varchar),
        column("MAXLEN", Int8),
    ],
    "SELECT 'utf8mb4', 'utf8mb4_0900_ai_ci', 'UTF-8 Unicode', 4",
);

/// Only the asking session: an instance's sessions do not see each other's state.
pub(super) const PROCESSLIST: SystemRelation = table(
    "processlist",
    &[
        column("ID", Int8),
        column("USER", Varchar),
        column("HOST", Varchar),
        column("DB", Varchar),
        column("COMMAND", Varchar),
        column("TIME", Int8),
        column("STATE", Varchar),
        column("INFO", Text),
    ],
    "SELECT sim_info('connection'), sim_info('user'), '%', sim_info('database'), 'Query', 0,
         'executing', NULL",
);
