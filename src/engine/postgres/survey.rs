//! The questions about the cluster: asked in one round trip, but of a reader that may have become
//! the writer. A server without Aurora's functions is asked about itself alone.

use std::time::Duration;

use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::Client;
use super::explain::failure;
use crate::engine::{Failure, Survey};
use crate::error::{Error, ErrorKind, ServerCode};
use crate::id::InstanceId;
use crate::time::{self, Instant};
use crate::topology::observation::{Fault, Row};

/// Who are you, what are you, what time is it; then the table. Everything is schema-qualified,
/// so that no `search_path` can put something else in its place.
///
/// Source of functions and columns: Aurora User Guide, "aurora_replica_status" and
/// "aurora_db_instance_identifier".
const OWN: &str = "\
    SELECT pg_catalog.aurora_db_instance_identifier(), pg_catalog.pg_is_in_recovery(), \
    EXTRACT(EPOCH FROM pg_catalog.now())";
const TABLE: &str = "\
    SELECT server_id, session_id, EXTRACT(EPOCH FROM last_update_timestamp), replica_lag_in_msec \
    FROM pg_catalog.aurora_replica_status()";

/// How often a reader's table is asked for at most, while the reader itself is asked every few
/// milliseconds whether it has been promoted.
const READERS_TABLE_INTERVAL: Duration = Duration::from_millis(100);

/// The same of a server without Aurora's functions.
const OWN_PLAIN: &str = "\
    SELECT NULL, pg_catalog.pg_is_in_recovery(), EXTRACT(EPOCH FROM pg_catalog.now())";

/// The session id of the writer's row.
const MASTER_SESSION_ID: &str = "MASTER_SESSION_ID";

pub(super) async fn survey(client: &mut Client) -> Result<Survey, Failure> {
    if client.is_plain {
        return ask(client, OWN_PLAIN).await;
    }
    match survey_aurora(client).await {
        Err(failure) if is_undefined(&failure) => {
            client.is_plain = true;
            ask(client, OWN_PLAIN).await
        }
        answer => answer,
    }
}

async fn survey_aurora(client: &mut Client) -> Result<Survey, Failure> {
    let Some(table_from) = client.readers_table_from else {
        let survey = ask(client, &format!("{OWN}; {TABLE}")).await?;
        client.readers_table_from = (!survey.is_writer).then(next_readers_table);
        return Ok(survey);
    };
    // No answer leaves a server before it has the last one, and a promoted one takes its time for
    // the table. That it is the writer is what is waited for; the table comes with the next
    // questions, and without one nothing is concluded of the others. A reader's is a hint, and
    // seldom asked for: the promotion may come just before it is.
    let mut survey = ask(client, OWN).await?;
    if survey.is_writer {
        client.readers_table_from = None;
    } else if time::now() >= table_from {
        let rows = messages(client, TABLE).await?;
        survey.rows = rows_of(&rows).filter_map(read_row).collect();
        client.readers_table_from = Some(next_readers_table());
    }
    Ok(survey)
}

fn next_readers_table() -> Instant {
    time::now() + READERS_TABLE_INTERVAL
}

async fn ask(client: &Client, questions: &str) -> Result<Survey, Failure> {
    let messages = messages(client, questions).await?;
    read(&messages).ok_or_else(|| Failure {
        fault: Fault::Other,
        error: Error::new(
            ErrorKind::NotAurora,
            "the server's answer about the cluster cannot be understood: is it PostgreSQL?",
        ),
    })
}

async fn messages(client: &Client, questions: &str) -> Result<Vec<SimpleQueryMessage>, Failure> {
    let answer = client.native().simple_query(questions).await;
    answer.map_err(|error| failure(error, client.link()))
}

/// Whether the server has no such function: it is no Aurora instance, or older than 10.21, 11.16,
/// 12.11 and 13.7.
fn is_undefined(failure: &Failure) -> bool {
    let undefined = tokio_postgres::error::SqlState::UNDEFINED_FUNCTION.code();
    matches!(failure.error.code(), Some(ServerCode::SqlState(state)) if state == *undefined.as_bytes())
}

fn rows_of(messages: &[SimpleQueryMessage]) -> impl Iterator<Item = &SimpleQueryRow> {
    messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

/// `None` for what makes no sense: `SimpleQueryRow::get` would panic at a column that is not there,
/// or is no text.
fn read(messages: &[SimpleQueryMessage]) -> Option<Survey> {
    let mut rows = rows_of(messages);
    let own = rows.next()?;
    let is_reader = match own.try_get(1).ok()?? {
        "t" => true,
        "f" => false,
        _ => return None,
    };
    Some(Survey {
        identity: own.try_get(0).ok()?.map(InstanceId::new),
        is_writer: !is_reader,
        server_now_micros: micros(own.try_get(2).ok()??)?,
        rows: rows.filter_map(read_row).collect(),
    })
}

fn read_row(row: &SimpleQueryRow) -> Option<Row> {
    Some(Row {
        id: InstanceId::new(row.try_get(0).ok()??),
        is_writer: row.try_get(1).ok()?? == MASTER_SESSION_ID,
        updated_micros: row.try_get(2).ok()?.and_then(micros),
        lag_millis: row.try_get(3).ok()?.and_then(|lag| lag.parse().ok()),
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
