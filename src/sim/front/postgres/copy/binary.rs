//! Rows in the binary format (PostgreSQL manual, COPY, "Binary Format").

use bytes::{Buf, BytesMut};

use super::Fields;
use crate::sim::front::postgres::failure::error;
use crate::sim::sql::SqlError;

pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// The signature, the flags, and the length of the header's extension.
const HEADER: usize = SIGNATURE.len() + 4 + 4;

/// The client's data, cut into rows. It trusts no length before the bytes are there.
#[derive(Default)]
pub(super) struct BinaryRows {
    data: BytesMut,
    begun: bool,
    done: bool,
    number: usize,
}

impl BinaryRows {
    /// Takes more data and returns how much waits.
    pub(super) fn feed(&mut self, data: &[u8]) -> usize {
        if !self.done {
            self.data.extend_from_slice(data);
        }
        self.data.len()
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn next(&mut self, ended: bool) -> Result<Option<Fields>, SqlError> {
        if !self.begun && !self.begin()? {
            return self.wait(ended);
        }
        if self.done {
            return Ok(None);
        }
        let Some(length) = self.row_length()? else {
            return self.wait(ended);
        };
        if length == 0 {
            self.done = true;
            self.data.clear();
            return Ok(None);
        }
        self.number += 1;
        let mut row = self.data.split_to(length).freeze();
        let count = row.get_i16();
        let fields = (0..count).map(|_| match usize::try_from(row.get_i32()) {
            Ok(length) => Some(row.split_to(length)),
            Err(_) => None,
        });
        Ok(Some(fields.collect()))
    }

    fn wait(&self, ended: bool) -> Result<Option<Fields>, SqlError> {
        match ended && !self.done {
            true => Err(error("22P04", "unexpected EOF in COPY data")),
            false => Ok(None),
        }
    }

    /// Takes the header; `false` while it is not there as a whole.
    fn begin(&mut self) -> Result<bool, SqlError> {
        let known = self.data.len().min(SIGNATURE.len());
        if self.data[..known] != SIGNATURE[..known] {
            return Err(error("22P04", "COPY file signature not recognized"));
        }
        let Some(header) = self.data.get(SIGNATURE.len()..HEADER) else {
            return Ok(false);
        };
        let (mut flags, mut extension) = header.split_at(4);
        // The upper sixteen bits are for what a reader must understand.
        if flags.get_u32() >> 16 != 0 {
            return Err(error(
                "22P04",
                "unrecognized critical flags in COPY file header",
            ));
        }
        let extension = usize::try_from(extension.get_i32())
            .map_err(|_| error("22P04", "invalid COPY file header (missing length)"))?;
        if self.data.len() - HEADER < extension {
            return Ok(false);
        }
        self.data.advance(HEADER + extension);
        self.begun = true;
        Ok(true)
    }

    /// The length of the next row with its count; 0 for the trailer, `None` while it is not
    /// there as a whole.
    fn row_length(&self) -> Result<Option<usize>, SqlError> {
        let mut rest = &self.data[..];
        if rest.len() < 2 {
            return Ok(None);
        }
        let count = rest.get_i16();
        if count == -1 {
            return Ok(Some(0));
        }
        for _ in 0..count {
            if rest.len() < 4 {
                return Ok(None);
            }
            let length = match rest.get_i32() {
                -1 => 0,
                length => {
                    usize::try_from(length).map_err(|_| error("22P04", "invalid field size"))?
                }
            };
            if rest.len() < length {
                return Ok(None);
            }
            rest.advance(length);
        }
        match count < 0 {
            true => Err(error("22P04", format!("row field count is {count}"))),
            false => Ok(Some(self.data.len() - rest.len())),
        }
    }
}
