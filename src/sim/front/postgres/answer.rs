//! What a session answers, as messages.

use bytes::BytesMut;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{DataRow, FieldDescription, RowDescription};
use pgwire::messages::response::{CommandComplete, ReadyForQuery, TransactionStatus};

use super::failure::{Failure, error};
use super::types::{self, Format};
use super::wire::Wire;
use crate::sim::sql::{Column, CommandTag, SqlError, TransactionState, Value};

/// PostgreSQL's marks for "no such thing" in a row description.
const NO_TABLE: i32 = 0;
const NO_ATTRIBUTE: i16 = 0;
const NO_MODIFIER: i32 = -1;

pub(super) fn row_description(
    columns: &[Column],
    formats: &[Format],
) -> Result<PgWireBackendMessage, SqlError> {
    if i16::try_from(columns.len()).is_err() {
        return Err(error("54011", "a result cannot have so many columns"));
    }
    let fields = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            FieldDescription::new(
                // A NUL would shift all that follows it.
                column.name.replace('\0', ""),
                NO_TABLE,
                NO_ATTRIBUTE,
                types::oid(column.kind),
                types::size(column.kind),
                NO_MODIFIER,
                Format::of(formats, index).code(),
            )
        })
        .collect();
    Ok(PgWireBackendMessage::RowDescription(RowDescription::new(
        fields,
    )))
}

/// Sends rows, at the pace at which the client takes them.
pub(super) async fn send_rows(
    wire: &mut Wire,
    columns: &[Column],
    formats: &[Format],
    rows: impl Iterator<Item = Vec<Value>>,
) -> Result<(), Failure> {
    let count = i16::try_from(columns.len())
        .map_err(|_| error("54011", "a result cannot have so many columns"))?;
    for row in rows {
        let mut data = BytesMut::new();
        for (index, column) in columns.iter().enumerate() {
            let value = row.get(index).unwrap_or(&Value::Null);
            types::encode(value, column.kind, Format::of(formats, index), &mut data)?;
        }
        wire.put(&PgWireBackendMessage::DataRow(DataRow::new(data, count)))?;
        if wire.is_full() {
            wire.flush().await?;
        }
    }
    Ok(())
}

pub(super) fn command_complete(tag: CommandTag) -> PgWireBackendMessage {
    PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.0))
}

pub(super) fn ready_for_query(state: TransactionState) -> PgWireBackendMessage {
    PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(match state {
        TransactionState::Idle => TransactionStatus::Idle,
        TransactionState::Open => TransactionStatus::Transaction,
        TransactionState::Failed => TransactionStatus::Error,
    }))
}
