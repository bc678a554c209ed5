//! The replica status: Aurora's view of its own topology, as each engine shows it.

use serde_json::{Value as Json, json};

use super::{SystemColumn, column};
use crate::sim::host::{MASTER_SESSION_ID, StatusRow};
use crate::sim::sql::context::Context;
use crate::sim::sql::{SqlType, datetime};

/// `information_schema.replica_host_status`: the documented columns as documented, the others
/// in the order and with the types of its twin.
pub(super) const REPLICA_HOST_STATUS: &[SystemColumn] = {
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
pub(super) const RO_REPLICA_STATUS: &[SystemColumn] = {
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

/// `aurora_replica_status()`.
pub(super) const AURORA_REPLICA_STATUS: &[SystemColumn] = {
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
        Some(micros) => datetime::format_timestamp(micros).into(),
        None => Json::Null,
    }
}

fn replay_latency_micros(row: &StatusRow) -> i64 {
    // A lag of 900000 ms and more fits easily; what is beyond is clamped by the cast.
    (row.lag_millis.unwrap_or(0.0) * 1000.0) as i64
}

pub(super) fn mysql(context: &Context) -> Vec<Vec<Json>> {
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

pub(super) fn postgres(context: &Context) -> Vec<Vec<Json>> {
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
