//! Messages from the client, cut out of the stream and decoded strictly.
//!
//! `pgwire`'s own decoder trusts the inner lengths of a message and panics where they lie, so it
//! serves clients only; what the server sends is encoded by it.

use bytes::{Buf, Bytes, BytesMut};

use super::failure::{error, protocol_violation};
use super::types::Format;
use crate::sim::sql::SqlError;

/// The greatest message taken from a client. PostgreSQL takes a gigabyte; no test needs that much.
const LARGE_MESSAGE_LIMIT: usize = 64 * 1024 * 1024;

/// PostgreSQL's limit for messages which carry no data of the client's (`PQ_SMALL_MESSAGE_LIMIT`).
const SMALL_MESSAGE_LIMIT: usize = 10_000;

/// PostgreSQL's limit for a message of an authentication (`PG_MAX_AUTH_TOKEN_LENGTH`).
const AUTHENTICATION_MESSAGE_LIMIT: usize = 65_535;

/// One message as it came: its kind, and its body with the right length.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) body: Bytes,
}

/// A message of a session (PostgreSQL protocol, section 55.7, message formats).
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    Query(String),
    Parse {
        name: String,
        query: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    Execute {
        portal: String,
        /// 0 for no limit.
        max_rows: usize,
    },
    Close(Target),
    Flush,
    Sync,
    FunctionCall,
    /// Data or the end of a copy which has failed.
    Copy,
    Terminate,
}

/// The parameters of a statement and the formats of its answer.
#[derive(Debug, PartialEq)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    pub(super) parameter_formats: Vec<Format>,
    /// `None` is NULL.
    pub(super) parameters: Vec<Option<Bytes>>,
    pub(super) result_formats: Vec<Format>,
}

/// What a Describe or a Close is about, by name; the empty name is the unnamed one.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    Statement(String),
    Portal(String),
}

impl Frame {
    /// Takes one message from the front of `input`, when it is there as a whole.
    ///
    /// A length out of bounds or an unknown kind is fatal: the stream has lost its step.
    pub(super) fn take(
        input: &mut BytesMut,
        limit: fn(u8) -> Option<usize>,
    ) -> Result<Option<Self>, SqlError> {
        let Some(&kind) = input.first() else {
            return Ok(None);
        };
        let Some(limit) = limit(kind) else {
            return Err(
                protocol_violation(format!("invalid frontend message type {kind}")).fatal(),
            );
        };
        let Some(length) = input.get(1..5) else {
            return Ok(None);
        };
        // The length counts itself and not the kind.
        let length = usize::try_from((&length[..]).get_i32()).unwrap_or(0);
        if !(4..=limit).contains(&length) {
            return Err(protocol_violation("invalid message length").fatal());
        }
        if input.len() < length + 1 {
            return Ok(None);
        }
        let mut body = input.split_to(length + 1).freeze();
        body.advance(5);
        Ok(Some(Self { kind, body }))
    }

    /// Whether an error in this message is followed by skipping to the next Sync.
    pub(super) fn is_extended(&self) -> bool {
        matches!(self.kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H')
    }
}

/// The limits of a session's messages.
pub(super) fn session_limit(kind: u8) -> Option<usize> {
    match kind {
        b'Q' | b'P' | b'B' | b'F' | b'd' | b'f' => Some(LARGE_MESSAGE_LIMIT),
        b'D' | b'E' | b'C' | b'H' | b'S' | b'c' | b'X' => Some(SMALL_MESSAGE_LIMIT),
        _ => None,
    }
}

/// The limits of a login's messages.
pub(super) fn authentication_limit(kind: u8) -> Option<usize> {
    match kind {
        b'p' => Some(AUTHENTICATION_MESSAGE_LIMIT),
        b'X' => Some(SMALL_MESSAGE_LIMIT),
        _ => None,
    }
}

impl Message {
    pub(super) fn decode(frame: Frame) -> Result<Self, SqlError> {
        let mut fields = Fields(frame.body);
        let message = match frame.kind {
            b'Q' => Self::Query(fields.string()?),
            b'P' => Self::Parse {
                name: fields.string()?,
                query: fields.string()?,
                types: fields.list(Fields::u32)?,
            },
            b'B' => Self::Bind(Bind {
                portal: fields.string()?,
                statement: fields.string()?,
                parameter_formats: fields.list(Fields::format)?,
                parameters: fields.list(Fields::value)?,
                result_formats: fields.list(Fields::format)?,
            }),
            b'D' => Self::Describe(fields.target()?),
            b'E' => Self::Execute {
                portal: fields.string()?,
                // PostgreSQL takes a negative limit for none too.
                max_rows: usize::try_from(fields.i32()?).unwrap_or(0),
            },
            b'C' => Self::Close(fields.target()?),
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'F' => return Ok(Self::FunctionCall),
            b'd' | b'c' | b'f' => return Ok(Self::Copy),
            other => {
                return Err(
                    protocol_violation(format!("invalid frontend message type {other}")).fatal(),
                );
            }
        };
        fields.end()?;
        Ok(message)
    }
}

/// A reader over the fields of one message, none of which it trusts.
pub(super) struct Fields(pub(super) Bytes);

impl Fields {
    pub(super) fn string(&mut self) -> Result<String, SqlError> {
        let end = self
            .0
            .iter()
            .position(|&byte| byte == 0)
            .ok_or_else(|| protocol_violation("invalid string in message"))?;
        let bytes = self.0.split_to(end);
        self.0.advance(1);
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(error(
                "22021",
                "invalid byte sequence for encoding \"UTF8\"",
            )),
        }
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<Bytes, SqlError> {
        if self.0.len() < length {
            return Err(protocol_violation("insufficient data left in message"));
        }
        Ok(self.0.split_to(length))
    }

    pub(super) fn i32(&mut self) -> Result<i32, SqlError> {
        Ok(self.bytes(4)?.get_i32())
    }

    fn u32(&mut self) -> Result<u32, SqlError> {
        Ok(self.bytes(4)?.get_u32())
    }

    fn format(&mut self) -> Result<Format, SqlError> {
        match self.bytes(2)?.get_i16() {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(protocol_violation(format!(
                "unsupported format code: {other}"
            ))),
        }
    }

    /// A length and so many bytes; the length -1 stands for none.
    pub(super) fn value(&mut self) -> Result<Option<Bytes>, SqlError> {
        match self.i32()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => self.bytes(length).map(Some),
                Err(_) => Err(protocol_violation("insufficient data left in message")),
            },
        }
    }

    /// A count and so many items. Nothing is set aside for them before they are seen to be there.
    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let count = self.bytes(2)?.get_u16();
        (0..count).map(|_| item(self)).collect()
    }

    fn target(&mut self) -> Result<Target, SqlError> {
        let kind = self.bytes(1)?[0];
        let name = self.string()?;
        match kind {
            b'S' => Ok(Target::Statement(name)),
            b'P' => Ok(Target::Portal(name)),
            other => Err(protocol_violation(format!(
                "invalid message subtype {other}"
            ))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn end(&self) -> Result<(), SqlError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(protocol_violation("invalid message format"))
        }
    }
}
