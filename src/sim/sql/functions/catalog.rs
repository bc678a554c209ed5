//! Functions on PostgreSQL's catalogs (PostgreSQL 15 manual, section 9.26.4).

use super::Returns::Kind;
use super::{Definition, PG, table};
use crate::sim::sql::SqlType::{Bool, Int4, Int8, Oid, Text, Unknown};

pub(super) const TABLE: &[Definition] = table! {
    PG   "pg_get_userbyid" (Oid) => Kind(Text), "sim_info|'user'";
    PG   "pg_table_is_visible" (Oid) => Kind(Bool), "sim_always";
    PG   "pg_type_is_visible" (Oid) => Kind(Bool), "sim_always";
    PG   "pg_function_is_visible" (Oid) => Kind(Bool), "sim_always";
    PG   "pg_collation_is_visible" (Oid) => Kind(Bool), "sim_always";
    PG   "pg_opclass_is_visible" (Oid) => Kind(Bool), "sim_always";
    PG   "pg_database_size" (Text) => Kind(Int8), "sim_table_size";
    PG   "pg_get_expr" (Text, Oid; Bool) => Kind(Text), "sim_first";
    PG   "pg_partition_ancestors" (Oid) => Kind(Oid), "sim_first";
    PG   "format_type" (Oid, Int4) => Kind(Text), "sim_format_type";
    PG   "to_regtype" (Text) => Kind(Oid), "sim_type_of_name";
    PG   "obj_description" (Oid; Text) => Kind(Text), "sim_nothing";
    PG   "col_description" (Oid, Int4) => Kind(Text), "sim_nothing";
    PG   "shobj_description" (Oid, Text) => Kind(Text), "sim_nothing";
    PG   "array_to_string" (Unknown, Text; Text) => Kind(Text), "sim_array_to_string";
    PG   "array_upper" (Text, Int4) => Kind(Int4), "sim_array_upper";
    PG   "pg_relation_is_publishable" (Oid) => Kind(Bool), "sim_always";
    PG   "pg_get_triggerdef" (Oid; Bool) => Kind(Text), "sim_nothing";
    PG   "pg_get_statisticsobjdef_columns" (Oid) => Kind(Text), "sim_nothing";
    PG   "pg_table_size" (Oid) => Kind(Int8), "sim_table_size";
    PG   "pg_relation_size" (Oid) => Kind(Int8), "sim_table_size";
    PG   "pg_total_relation_size" (Oid) => Kind(Int8), "sim_table_size";
    PG   "pg_size_pretty" (Int8) => Kind(Text), "sim_size_pretty";
    PG   "pg_get_function_result" (Oid) => Kind(Text), "sim_nothing";
    PG   "pg_get_function_arguments" (Oid) => Kind(Text), "sim_nothing";
};
