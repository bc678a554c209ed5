//! Functions of the instance, the session and its counters.

use super::Returns::Kind;
use super::{Definition, MY, PG, table};
use crate::sim::sql::SqlType::{
    Bool, Float8, Int4, Int8, Text, TimestampTz, Unknown, Uuid, Varchar,
};

pub(super) const TABLE: &[Definition] = table! {
    PG   "aurora_db_instance_identifier" () => Kind(Varchar), "sim_info|'instance'";
    PG   "aurora_version" () => Kind(Text), "sim_info|'aurora_version'";
    MY   "aurora_version" () => Kind(Varchar), "sim_info|'aurora_version'";
    PG   "pg_is_in_recovery" () => Kind(Bool), "sim_info|'in_recovery'";
    PG   "version" () => Kind(Text), "sim_info|'version'";
    MY   "version" () => Kind(Varchar), "sim_info|'version'";
    PG   "inet_server_addr" () => Kind(Text), "sim_info|'address'";
    PG   "inet_server_port" () => Kind(Int4), "sim_info|'port'";
    PG   "pg_backend_pid" () => Kind(Int4), "sim_info|'connection'";
    MY   "connection_id" () => Kind(Int8), "sim_info|'connection'";
    PG   "current_database" () => Kind(Text), "sim_info|'database'";
    PG   "current_catalog" () => Kind(Text), "sim_info|'database'";
    MY   "database" () => Kind(Varchar), "sim_info|'database'";
    MY   "schema" () => Kind(Varchar), "sim_info|'database'";
    PG   "current_schema" () => Kind(Text), "sim_info|'schema'";
    PG   "current_user" () => Kind(Text), "sim_info|'user'";
    PG   "current_role" () => Kind(Text), "sim_info|'user'";
    PG   "session_user" () => Kind(Text), "sim_info|'user'";
    PG   "user" () => Kind(Text), "sim_info|'user'";
    MY   "user" () => Kind(Varchar), "sim_info|'account'";
    MY   "current_user" () => Kind(Varchar), "sim_info|'account'";
    MY   "session_user" () => Kind(Varchar), "sim_info|'account'";
    MY   "system_user" () => Kind(Varchar), "sim_info|'account'";
    MY   "last_insert_id" () => Kind(Int8), "sim_info|'last_insert_id'";
    MY   "row_count" () => Kind(Int8), "sim_info|'row_count'";
    PG   "lastval" () => Kind(Int8), "sim_info|'last_number'";
    PG   "pg_postmaster_start_time" () => Kind(TimestampTz), "sim_info|'started'";
    PG   "current_setting" (Text; Bool) => Kind(Text), "sim_setting";
    PG   "set_config" (Text, Text, Bool) => Kind(Text), "sim_set_config";
    PG   "pg_sleep" (Float8) => Kind(Text), "sim_sleep";
    MY   "sleep" (Float8) => Kind(Int8), "sim_sleep";
    PG   "pg_typeof" (Unknown) => Kind(Text), "sim_type_name";
    PG   "nextval" (Text) => Kind(Int8), "sim_next_of_sequence";
    PG   "currval" (Text) => Kind(Int8), "sim_current_of_sequence";
    PG   "random" () => Kind(Float8), "sim_random";
    MY   "rand" () => Kind(Float8), "sim_random";
    PG   "gen_random_uuid" () => Kind(Uuid), "sim_uuid";
    MY   "uuid" () => Kind(Varchar), "sim_uuid";
};
