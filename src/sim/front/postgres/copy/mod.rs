//! COPY between a table and the client (PostgreSQL protocol, section 55.2.6).
//!
//! What is copied and how it is written down is said by `sim::sql`'s `Copy`; rows are read and
//! inserted by ordinary statements. [`lines`] and [`binary`] take the client's data apart,
//! [`write`](mod@write) puts rows into it.

mod binary;
mod lines;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyData, CopyDone, CopyInResponse, CopyOutResponse};

use self::binary::BinaryRows;
use self::lines::Lines;
use self::write::Writer;
use super::engine::Engine;
use super::failure::{Failure, error, protocol_violation};
use super::message::session_limit;
use super::types::{self, Format};
use super::wire::Wire;
use crate::sim::sql::{
    Column, CommandTag, Copy, CopyFormat, Reply, SqlError, SqlType, Statement, TransactionState,
    Value,
};

/// The fields of one row; `None` is NULL.
type Fields = Vec<Option<Bytes>>;

/// The longest row that is taken from a client.
const LONGEST_ROW: usize = 64 * 1024 * 1024;

/// Carries a copy out. It stands alone or in the client's transaction: all rows or none.
///
/// Dropping the future leaves a transaction of its own to the session, which rolls it back.
pub(super) async fn run(
    wire: &mut Wire,
    engine: &mut Engine,
    copy: &Copy,
) -> Result<CommandTag, Failure> {
    let own = engine.transaction() == TransactionState::Idle;
    if own {
        engine.command("BEGIN").await?;
    }
    let outcome = match copy.to_client {
        true => send(wire, engine, copy).await,
        false => receive(wire, engine, copy).await,
    };
    if own {
        match outcome {
            Ok(_) => engine.command("COMMIT").await?,
            // The copy's own error is the one to tell.
            Err(_) => drop(engine.command("ROLLBACK").await),
        }
    }
    Ok(CommandTag(format!("COPY {}", outcome?)))
}

/// Sends all rows to the client and returns their number.
async fn send(wire: &mut Wire, engine: &mut Engine, copy: &Copy) -> Result<usize, Failure> {
    let statement = single(engine.parse(&copy.query)?)?;
    let Reply::Rows { columns, rows, .. } = engine.run_unharmed(&statement, &[]).await? else {
        return Err(error("0A000", "COPY query must have a RETURNING clause").into());
    };
    let (code, formats) = formats(copy, columns.len())?;
    wire.put(&PgWireBackendMessage::CopyOutResponse(
        CopyOutResponse::new(code, columns_count(columns.len())?, formats),
    ))?;
    let writer = Writer::new(&copy.options);
    let mut data = |bytes: Vec<u8>| match bytes.is_empty() {
        true => Ok(()),
        false => wire.put(&PgWireBackendMessage::CopyData(CopyData::new(bytes.into()))),
    };
    // PostgreSQL sends the binary header in one message with what follows it, and clients rely
    // on that; a line of names is a message of its own.
    let mut pending = writer.head(&columns);
    if copy.options.format != CopyFormat::Binary {
        data(std::mem::take(&mut pending))?;
    }
    let count = rows.len();
    for row in rows {
        pending.extend(writer.row(&columns, &row)?);
        data(std::mem::take(&mut pending))?;
    }
    pending.extend(writer.tail());
    data(pending)?;
    wire.put(&PgWireBackendMessage::CopyDone(CopyDone::new()))?;
    Ok(count)
}

/// Takes all rows from the client and returns their number.
async fn receive(wire: &mut Wire, engine: &mut Engine, copy: &Copy) -> Result<usize, Failure> {
    let mut target = Target::prepare(engine, copy).await?;
    let (code, formats) = formats(copy, target.columns.len())?;
    wire.put(&PgWireBackendMessage::CopyInResponse(CopyInResponse::new(
        code,
        columns_count(target.columns.len())?,
        formats,
    )))?;
    wire.flush().await?;
    let mut rows = Rows::of(copy);
    loop {
        let Some(frame) = wire.frame(session_limit).await? else {
            return Err(Failure::Gone);
        };
        let ended = match frame.kind {
            b'd' => rows.feed(&frame.body)?,
            b'c' => true,
            b'f' => {
                let reason = String::from_utf8_lossy(&frame.body);
                let reason = reason.trim_end_matches('\0');
                return Err(error("57014", format!("COPY from stdin failed: {reason}")).into());
            }
            // Clients may send these before they know that a copy has begun.
            b'H' | b'S' => false,
            b'X' => return Err(Failure::Gone),
            other => {
                return Err(protocol_violation(format!(
                    "unexpected message type 0x{other:02X} during COPY from stdin"
                ))
                .into());
            }
        };
        while let Some(fields) = rows.next(ended)? {
            target.insert(engine, &fields, rows.number()).await?;
        }
        if ended {
            return Ok(target.count);
        }
    }
}

/// Where rows go that come in.
struct Target {
    table: String,
    columns: Arc<[Column]>,
    kinds: Vec<SqlType>,
    insert: Statement,
    format: Format,
    count: usize,
}

impl Target {
    async fn prepare(engine: &mut Engine, copy: &Copy) -> Result<Self, Failure> {
        let query = single(engine.parse(&copy.query)?)?;
        let columns = engine.describe(&query, &[])?.columns;
        let columns = columns.unwrap_or_else(|| Arc::from([]));
        let insert = copy.insert(columns.iter().map(|column| column.name.as_str()));
        let nothing = format!("{} LIMIT 0", copy.query);
        let prefix = insert.split(" VALUES ").next().unwrap_or_default();
        // Whether this session may write here is found out before the client sends anything.
        let dry_run = single(engine.parse(&format!("{prefix} {nothing}"))?)?;
        engine.run_unharmed(&dry_run, &[]).await.map_err(as_copy)?;
        let insert = single(engine.parse(&insert)?)?;
        Ok(Self {
            table: copy.table.clone().unwrap_or_default(),
            kinds: engine.describe(&insert, &[])?.parameters,
            columns,
            insert,
            format: match copy.options.format {
                CopyFormat::Binary => Format::Binary,
                CopyFormat::Text | CopyFormat::Csv => Format::Text,
            },
            count: 0,
        })
    }

    async fn insert(
        &mut self,
        engine: &mut Engine,
        fields: &Fields,
        line: usize,
    ) -> Result<(), SqlError> {
        let values = self.values(fields, line)?;
        let outcome = engine.run_unharmed(&self.insert, &values).await;
        outcome.map_err(|error| error.with_context(format!("COPY {}, line {line}", self.table)))?;
        self.count += 1;
        Ok(())
    }

    fn values(&self, fields: &Fields, line: usize) -> Result<Vec<Value>, SqlError> {
        let place = || format!("COPY {}, line {line}", self.table);
        if let Some(missing) = self.columns.get(fields.len()) {
            let message = format!("missing data for column \"{}\"", missing.name);
            return Err(error("22P04", message).with_context(place()));
        }
        if fields.len() > self.columns.len() {
            let error = error("22P04", "extra data after last expected column");
            return Err(error.with_context(place()));
        }
        let fields = fields.iter().zip(&self.kinds).enumerate();
        let values = fields.map(|(index, (bytes, &kind))| match bytes {
            None => Ok(Value::Null),
            Some(bytes) => {
                let oid = types::oid(kind);
                types::decode(bytes.clone(), kind, oid, self.format, index + 1).map_err(|error| {
                    let column = &self.columns[index].name;
                    error.with_context(format!("{}, column {column}", place()))
                })
            }
        });
        values.collect()
    }
}

/// The client's data, one row after the other.
enum Rows {
    Lines(Lines),
    Binary(BinaryRows),
}

impl Rows {
    fn of(copy: &Copy) -> Self {
        match copy.options.format {
            CopyFormat::Binary => Self::Binary(BinaryRows::default()),
            CopyFormat::Text | CopyFormat::Csv => Self::Lines(Lines::new(copy.options.clone())),
        }
    }

    /// Takes more data; whether it is the last of it, said by the data itself, is left to `next`.
    fn feed(&mut self, data: &[u8]) -> Result<bool, SqlError> {
        let waiting = match self {
            Self::Lines(lines) => lines.feed(data),
            Self::Binary(rows) => rows.feed(data),
        };
        match waiting > LONGEST_ROW {
            true => Err(error("54000", "a row of the copy is too long")),
            false => Ok(false),
        }
    }

    fn next(&mut self, ended: bool) -> Result<Option<Fields>, SqlError> {
        match self {
            Self::Lines(lines) => lines.next(ended),
            Self::Binary(rows) => rows.next(ended),
        }
    }

    /// The line on which the last row began, counted from 1.
    fn number(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.number(),
            Self::Binary(rows) => rows.number(),
        }
    }
}

/// PostgreSQL speaks of the copy where its statement here is an INSERT.
fn as_copy(mut error: SqlError) -> SqlError {
    error.message = error.message.replace("execute INSERT", "execute COPY FROM");
    error.position = None;
    error
}

/// The copy's statements are built here, one at a time.
fn single(mut statements: Vec<Statement>) -> Result<Statement, SqlError> {
    let statement = statements.pop();
    statement.ok_or_else(|| error("42601", "COPY of an empty query"))
}

fn columns_count(columns: usize) -> Result<i16, SqlError> {
    i16::try_from(columns).map_err(|_| error("54011", "a copy cannot have so many columns"))
}

/// The format code of the whole, and of each column.
fn formats(copy: &Copy, columns: usize) -> Result<(i8, Vec<i16>), SqlError> {
    columns_count(columns)?;
    let binary = copy.options.format == CopyFormat::Binary;
    Ok((i8::from(binary), vec![i16::from(binary); columns]))
}
