//! PostgreSQL's catalog of objects (`pg_class` and what hangs on it), read from SQLite's schema.
//!
//! Columns and order follow the PostgreSQL 15 manual, chapter 53, as far as clients ask for them.
//! Object ids are 16384 and the row of SQLite's schema, as user objects begin there. Arrays are
//! given in their text form.

use super::{Source, SystemColumn, SystemRelation, column};
use crate::sim::sql::SqlType::{
    self, Bool, Float4, Int2, Int2Array, Int4, InternalChar, Name, Oid, Text,
};

const fn table(
    name: &'static str,
    columns: &'static [SystemColumn],
    query: &'static str,
) -> SystemRelation {
    SystemRelation {
        is_function: false,
        schema: "pg_catalog",
        name,
        is_topology: false,
        columns,
        source: Source::Query(query),
    }
}

pub(super) const CLASS: SystemRelation = table(
    "pg_class",
    &[
        column("oid", Oid),
        column("relname", Name),
        column("relnamespace", Oid),
        column("reltype", Oid),
        column("reloftype", Oid),
        column("relowner", Oid),
        column("relam", Oid),
        column("reltablespace", Oid),
        column("relpages", Int4),
        column("reltuples", Float4),
        column("reltoastrelid", Oid),
        column("relhasindex", Bool),
        column("relisshared", Bool),
        column("relpersistence", InternalChar),
        column("relkind", InternalChar),
        column("relnatts", Int2),
        column("relchecks", Int2),
        column("relhasrules", Bool),
        column("relhastriggers", Bool),
        column("relhassubclass", Bool),
        column("relrowsecurity", Bool),
        column("relforcerowsecurity", Bool),
        column("relispopulated", Bool),
        column("relreplident", InternalChar),
        column("relispartition", Bool),
        column("relacl", Text),
        column("reloptions", Text),
        column("relpartbound", Text),
    ],
    "SELECT 16384 + m.rowid,
         CASE WHEN m.type <> 'index' THEN m.name ELSE sim_index_name(m.name, m.tbl_name,
             (SELECT origin FROM pragma_index_list(m.tbl_name) l WHERE l.name = m.name),
             (SELECT group_concat(name, '_') FROM pragma_index_info(m.name))) END,
         2200, 0, 0, 10, CASE m.type WHEN 'table' THEN 2 WHEN 'index' THEN 403 ELSE 0 END, 0, 0,
         -1, 0, m.type = 'table' AND EXISTS (SELECT 1 FROM pragma_index_list(m.name)), 0, 'p',
         CASE m.type WHEN 'table' THEN 'r' WHEN 'index' THEN 'i' ELSE 'v' END,
         (SELECT count(*) FROM pragma_table_info(m.name)), 0, 0,
         m.type = 'table' AND (EXISTS (SELECT 1 FROM pragma_foreign_key_list(m.name))
             OR EXISTS (SELECT 1 FROM sqlite_master o, pragma_foreign_key_list(o.name) f
                 WHERE o.type = 'table' AND f.\"table\" = m.name)), 0, 0, 0, 1,
         CASE m.type WHEN 'table' THEN 'd' ELSE 'n' END, 0, NULL, NULL, NULL
     FROM sqlite_master m
     WHERE m.type IN ('table', 'index', 'view') AND sim_is_visible(m.tbl_name)
     UNION ALL
     SELECT 16384 + rowid, substr(name, 21), 2200, 0, 0, 10, 0, 0, 1, 1, 0, 0, 0, 'p', 'S', 3, 0,
         0, 0, 0, 0, 0, 1, 'n', 0, NULL, NULL, NULL
     FROM sqlite_master WHERE type = 'view' AND name LIKE 'aurora\\_sim\\_sequence\\_%' ESCAPE '\\'",
);

pub(super) const ATTRIBUTE: SystemRelation = table(
    "pg_attribute",
    &[
        column("attrelid", Oid),
        column("attname", Name),
        column("atttypid", Oid),
        column("attnum", Int2),
        column("atttypmod", Int4),
        column("attnotnull", Bool),
        column("atthasdef", Bool),
        column("attidentity", InternalChar),
        column("attgenerated", InternalChar),
        column("attisdropped", Bool),
        column("attcollation", Oid),
        column("attacl", Text),
        column("attoptions", Text),
        column("attstorage", InternalChar),
        column("attcompression", InternalChar),
        column("attstattarget", Int4),
    ],
    "SELECT 16384 + m.rowid, c.name, sim_type_oid(c.type), c.cid + 1, sim_type_modifier(c.type),
         c.\"notnull\" OR c.pk > 0,
         sim_default(m.name, c.name, c.type, c.dflt_value) IS NOT NULL, '', '', 0,
         0, NULL, NULL, iif(sim_type_modifier(c.type) > 0 OR c.type LIKE 'TEXT%', 'x', 'p'), '', -1
     FROM sqlite_master m, pragma_table_info(m.name) c
     WHERE m.type = 'table' AND sim_is_visible(m.name)",
);

pub(super) const ATTRDEF: SystemRelation = table(
    "pg_attrdef",
    &[
        column("oid", Oid),
        column("adrelid", Oid),
        column("adnum", Int2),
        column("adbin", Text),
    ],
    "SELECT 3000000 + m.rowid * 1600 + c.cid, 16384 + m.rowid, c.cid + 1,
         sim_default(m.name, c.name, c.type, c.dflt_value)
     FROM sqlite_master m, pragma_table_info(m.name) c
     WHERE m.type = 'table' AND sim_is_visible(m.name)
         AND sim_default(m.name, c.name, c.type, c.dflt_value) IS NOT NULL",
);

pub(super) const INDEX: SystemRelation = table(
    "pg_index",
    &[
        column("indexrelid", Oid),
        column("indrelid", Oid),
        column("indnatts", Int2),
        column("indisunique", Bool),
        column("indisprimary", Bool),
        column("indisexclusion", Bool),
        column("indisclustered", Bool),
        column("indisvalid", Bool),
        column("indisready", Bool),
        column("indislive", Bool),
        column("indisreplident", Bool),
        column("indkey", Text),
        column("indpred", Text),
        column("indexprs", Text),
        column("indnkeyatts", Int2),
        column("indnullsnotdistinct", Bool),
        column("indoption", Text),
        column("indclass", Text),
        column("indcollation", Text),
    ],
    "SELECT 16384 + i.rowid, 16384 + t.rowid, (SELECT count(*) FROM pragma_index_info(i.name)),
         l.\"unique\", l.origin = 'pk', 0, 0, 1, 1, 1, 0,
         (SELECT group_concat(cid + 1, ' ') FROM pragma_index_info(i.name)), NULL, NULL,
         (SELECT count(*) FROM pragma_index_info(i.name)), 0,
         (SELECT group_concat(0, ' ') FROM pragma_index_info(i.name)),
         (SELECT group_concat(0, ' ') FROM pragma_index_info(i.name)),
         (SELECT group_concat(0, ' ') FROM pragma_index_info(i.name))
     FROM sqlite_master t, pragma_index_list(t.name) l
     JOIN sqlite_master i ON i.type = 'index' AND i.name = l.name
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

/// Primary keys, unique indexes, foreign keys and checks.
pub(super) const CONSTRAINT: SystemRelation = table(
    "pg_constraint",
    &[
        column("oid", Oid),
        column("conname", Name),
        column("connamespace", Oid),
        column("contype", InternalChar),
        column("condeferrable", Bool),
        column("condeferred", Bool),
        column("convalidated", Bool),
        column("conrelid", Oid),
        column("contypid", Oid),
        column("conindid", Oid),
        column("conparentid", Oid),
        column("confrelid", Oid),
        column("conislocal", Bool),
        column("definition", Text),
        column("confupdtype", InternalChar),
        column("confdeltype", InternalChar),
        column("confmatchtype", InternalChar),
        column("coninhcount", Int4),
        column("connoinherit", Bool),
        column("conkey", Int2Array),
        column("confkey", Int2Array),
        column("conbin", Text),
    ],
    "SELECT 1000000 + i.rowid, sim_index_name(i.name, t.name, l.origin,
             (SELECT group_concat(name, '_') FROM pragma_index_info(i.name))),
         2200, iif(l.origin = 'pk', 'p', 'u'), 0, 0, 1, 16384 + t.rowid, 0, 16384 + i.rowid,
         0, 0, 1, iif(l.origin = 'pk', 'PRIMARY KEY (', 'UNIQUE (') ||
             (SELECT group_concat(sim_quote_ident(name), ', ') FROM pragma_index_info(i.name))
             || ')', ' ', ' ', ' ', 0, 1,
         (SELECT json_group_array(cid + 1) FROM pragma_index_info(i.name)), NULL, NULL
     FROM sqlite_master t, pragma_index_list(t.name) l
     JOIN sqlite_master i ON i.type = 'index' AND i.name = l.name
     WHERE t.type = 'table' AND sim_is_visible(t.name)
         AND (l.origin IN ('pk', 'u') OR sim_is_constraint(i.sql))
     UNION ALL
     SELECT 2000000 + t.rowid * 100 + c.key, c.value ->> 'name', 2200, c.value ->> 'kind',
         c.value ->> 'deferred', c.value ->> 'deferred', 1, 16384 + t.rowid, 0, 0, 0,
         coalesce((SELECT 16384 + r.rowid FROM sqlite_master r
             WHERE r.type = 'table' AND r.name = c.value ->> 'table'), 0), 1,
         c.value ->> 'definition',
         CASE c.value ->> 'on_update' WHEN 'NO ACTION' THEN 'a' WHEN 'RESTRICT' THEN 'r'
             WHEN 'CASCADE' THEN 'c' WHEN 'SET NULL' THEN 'n' WHEN 'SET DEFAULT' THEN 'd' ELSE ' ' END,
         CASE c.value ->> 'on_delete' WHEN 'NO ACTION' THEN 'a' WHEN 'RESTRICT' THEN 'r'
             WHEN 'CASCADE' THEN 'c' WHEN 'SET NULL' THEN 'n' WHEN 'SET DEFAULT' THEN 'd' ELSE ' ' END,
         iif(c.value ->> 'kind' = 'f', 's', ' '), 0, 1,
         (SELECT json_group_array(p.cid + 1) FROM json_each(c.value -> 'columns') k
             JOIN pragma_table_info(t.name) p ON p.name = k.value),
         (SELECT json_group_array(p.cid + 1) FROM json_each(c.value -> 'referred') k
             JOIN pragma_table_info(c.value ->> 'table') p ON p.name = k.value),
         c.value ->> 'check'
     FROM sqlite_master t, json_each(sim_constraints(t.sql)) c
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

pub(super) const TYPE: SystemRelation = table(
    "pg_type",
    &[
        column("oid", Oid),
        column("typname", Name),
        column("typnamespace", Oid),
        column("typowner", Oid),
        column("typlen", Int2),
        column("typtype", InternalChar),
        column("typcategory", InternalChar),
        column("typdelim", InternalChar),
        column("typrelid", Oid),
        column("typelem", Oid),
        column("typarray", Oid),
        column("typbasetype", Oid),
        column("typnotnull", Bool),
        column("typtypmod", Int4),
        column("typcollation", Oid),
        column("typdefault", Text),
    ],
    "WITH t(oid, name, len, category, arrays) AS (VALUES (16, 'bool', 1, 'B', 1000),
         (17, 'bytea', -1, 'U', 1001), (18, 'char', 1, 'Z', 1002), (19, 'name', 64, 'S', 1003),
         (20, 'int8', 8, 'N', 1016), (21, 'int2', 2, 'N', 1005), (23, 'int4', 4, 'N', 1007),
         (25, 'text', -1, 'S', 1009), (26, 'oid', 4, 'N', 1028), (114, 'json', -1, 'U', 199),
         (700, 'float4', 4, 'N', 1021), (701, 'float8', 8, 'N', 1022),
         (1042, 'bpchar', -1, 'S', 1014), (1043, 'varchar', -1, 'S', 1015),
         (1082, 'date', 4, 'D', 1182), (1083, 'time', 8, 'D', 1183),
         (1114, 'timestamp', 8, 'D', 1115), (1184, 'timestamptz', 8, 'D', 1185),
         (1186, 'interval', 16, 'T', 1187), (1700, 'numeric', -1, 'N', 1231),
         (2950, 'uuid', 16, 'U', 2951), (3802, 'jsonb', -1, 'U', 3807))
     SELECT oid, name, 11, 10, len, 'b', category, ',', 0, 0, arrays, 0, 0, -1, 0, NULL FROM t
     UNION ALL
     SELECT arrays, '_' || name, 11, 10, -1, 'b', 'A', ',', 0, oid, 0, 0, 0, -1, 0, NULL
     FROM t WHERE arrays <> 0
     UNION ALL
     SELECT 16384 + rowid, substr(name, 17), 2200, 10, 4, 'e', 'E', ',', 0, 0, 0, 0, 0, -1, 0, NULL
     FROM sqlite_master WHERE type = 'view' AND name LIKE 'aurora\\_sim\\_type\\_%' ESCAPE '\\'",
);

/// The tables of which statistics are kept; the counts themselves are not.
pub(super) const STATIO_ALL_TABLES: SystemRelation = table(
    "pg_statio_all_tables",
    &[
        column("relid", Oid),
        column("schemaname", Name),
        column("relname", Name),
    ],
    "SELECT 16384 + rowid, 'public', name FROM sqlite_master
     WHERE type = 'table' AND sim_is_visible(name)",
);

pub(super) const ROLES: SystemRelation = table(
    "pg_roles",
    &[
        column("oid", Oid),
        column("rolname", Name),
        column("rolsuper", Bool),
        column("rolinherit", Bool),
        column("rolcreaterole", Bool),
        column("rolcreatedb", Bool),
        column("rolcanlogin", Bool),
        column("rolreplication", Bool),
        column("rolconnlimit", Int4),
        column("rolvaliduntil", SqlType::TimestampTz),
        column("rolbypassrls", Bool),
    ],
    "SELECT 10, sim_info('user'), 0, 1, 0, 1, 1, 0, -1, NULL, 0",
);

pub(super) const ACCESS_METHODS: SystemRelation = table(
    "pg_am",
    &[
        column("oid", Oid),
        column("amname", Name),
        column("amtype", InternalChar),
    ],
    "VALUES (2, 'heap', 't'), (403, 'btree', 'i')",
);

pub(super) const INDEXES: SystemRelation = table(
    "pg_indexes",
    &[
        column("schemaname", Name),
        column("tablename", Name),
        column("indexname", Name),
        column("tablespace", Text),
        column("indexdef", Text),
    ],
    "SELECT 'public', t.name, sim_index_name(l.name, t.name, l.origin,
             (SELECT group_concat(name, '_') FROM pragma_index_info(l.name))), NULL,
         'CREATE ' || iif(l.\"unique\", 'UNIQUE ', '') || 'INDEX '
             || sim_quote_ident(sim_index_name(l.name, t.name, l.origin,
                 (SELECT group_concat(name, '_') FROM pragma_index_info(l.name))))
             || ' ON public.' || sim_quote_ident(t.name) || ' USING btree ('
             || (SELECT group_concat(sim_quote_ident(name), ', ') FROM pragma_index_info(l.name))
             || ')'
     FROM sqlite_master t, pragma_index_list(t.name) l
     WHERE t.type = 'table' AND sim_is_visible(t.name)",
);

/// What `pg_get_indexdef` answers, by object id.
pub(in crate::sim::sql) const INDEX_DEFINITIONS: &str =
    "SELECT 16384 + i.rowid AS oid, i.name AS name, 'CREATE ' || iif(l.\"unique\", 'UNIQUE ', '') || 'INDEX '
         || sim_quote_ident(sim_index_name(i.name, t.name, l.origin,
             (SELECT group_concat(name, '_') FROM pragma_index_info(i.name))))
         || ' ON public.' || sim_quote_ident(t.name) || ' USING btree ('
         || (SELECT group_concat(sim_quote_ident(name), ', ') FROM pragma_index_info(i.name))
         || ')' AS definition
     FROM sqlite_master t, pragma_index_list(t.name) l
     JOIN sqlite_master i ON i.type = 'index' AND i.name = l.name
     WHERE t.type = 'table' AND sim_is_visible(t.name)";
