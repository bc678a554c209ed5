//! The questions about the cluster, asked in one round trip. A server without Aurora's tables is
//! asked about itself alone.

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{FromRowError, Row as NativeRow};

use super::phase::Phase;
use super::{Client, explain};
use crate::engine::{Failure, Survey};
use crate::error::{Error, ErrorKind, ServerCode};
use crate::id::InstanceId;
use crate::topology::observation::{Fault, Row};

/// Who are you, what are you, what time is it; then the table.
///
/// Source of variables and columns: Aurora User Guide, "Aurora MySQL information_schema tables"
/// and "Best practices with Aurora MySQL" (`@@innodb_read_only`; `@@read_only` is 0 on readers
/// too).
const QUESTIONS: &str = "\
    SELECT @@aurora_server_id, @@innodb_read_only, UNIX_TIMESTAMP(NOW(6)); \
    SELECT SERVER_ID, SESSION_ID, UNIX_TIMESTAMP(LAST_UPDATE_TIMESTAMP), \
    REPLICA_LAG_IN_MILLISECONDS FROM information_schema.replica_host_status";

/// The same of a server without Aurora's variables: a plain replica is read-only by convention
/// (MySQL Reference Manual, 19.1.2.2 and "read_only").
const OWN_PLAIN: &str = "SELECT NULL, @@read_only, UNIX_TIMESTAMP(NOW(6))";

/// The session id of the writer's row.
const MASTER_SESSION_ID: &str = "MASTER_SESSION_ID";

/// ER_UNKNOWN_SYSTEM_VARIABLE, ER_UNKNOWN_TABLE in information_schema, ER_NO_SUCH_TABLE.
const NOT_AURORA: [u16; 3] = [1193, 1109, 1146];

pub(super) async fn survey(client: &mut Client) -> Result<Survey, Failure> {
    if client.is_plain {
        return ask(client, OWN_PLAIN).await;
    }
    match ask(client, QUESTIONS).await {
        Err(failure) if is_unknown(&failure) => {
            client.is_plain = true;
            ask(client, OWN_PLAIN).await
        }
        answer => answer,
    }
}

/// Whether the server has no such variable or table: it is no Aurora instance.
fn is_unknown(failure: &Failure) -> bool {
    matches!(failure.error.code(), Some(ServerCode::MySql(number)) if NOT_AURORA.contains(&number))
}

async fn ask(client: &mut Client, questions: &str) -> Result<Survey, Failure> {
    let Client { native, watch, .. } = client;
    let asked = async {
        let mut answer = native.query_iter(questions).await?;
        let own: Vec<NativeRow> = answer.collect().await?;
        let rows: Vec<NativeRow> = answer.collect().await?;
        Ok((own, rows))
    };
    let (own, rows) = watch
        .call(Phase::InTransaction, asked)
        .await
        .map_err(explain::failure)?;
    read(own, rows).ok_or_else(|| Failure {
        fault: Fault::Other,
        error: Error::new(
            ErrorKind::NotAurora,
            "the server's answer about the cluster cannot be understood: is it MySQL?",
        ),
    })
}

fn read(own: Vec<NativeRow>, rows: Vec<NativeRow>) -> Option<Survey> {
    let own = own.into_iter().next()?;
    let (identity, read_only, now): (Option<String>, String, String) =
        FromRow::from_row_opt(own).ok()?;
    let rows = rows
        .into_iter()
        .filter_map(|row| read_row(row).ok())
        .collect();
    Some(Survey {
        identity: identity.map(InstanceId::new),
        // MariaDB 12 has more than one way of being read-only, and names them.
        is_writer: matches!(&*read_only, "0" | "OFF"),
        server_now_micros: micros(&now)?,
        rows,
    })
}

fn read_row(row: NativeRow) -> Result<Row, FromRowError> {
    let (id, session, updated, lag): (String, String, Option<String>, Option<String>) =
        FromRow::from_row_opt(row)?;
    Ok(Row {
        id: InstanceId::new(id),
        is_writer: session == MASTER_SESSION_ID,
        updated_micros: updated.as_deref().and_then(micros),
        lag_millis: lag.and_then(|lag| lag.parse().ok()),
    })
}

/// `1764000000.123456` seconds to microseconds.
fn micros(seconds: &str) -> Option<i64> {
    let seconds: f64 = seconds.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates far beyond any calendar"
    )]
    Some((seconds * 1e6) as i64)
}
