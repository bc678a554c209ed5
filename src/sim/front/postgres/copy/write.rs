//! Rows on their way to the client, in the three formats of COPY.

use bytes::BytesMut;

use super::binary::SIGNATURE;
use crate::sim::front::postgres::types::{self, Format};
use crate::sim::sql::{Column, CopyFormat, CopyOptions, SqlError, Value};

/// The length that stands before a value.
const LENGTH: usize = 4;

pub(super) struct Writer<'a> {
    options: &'a CopyOptions,
}

impl<'a> Writer<'a> {
    pub(super) fn new(options: &'a CopyOptions) -> Self {
        Self { options }
    }

    /// What stands before the first row.
    pub(super) fn head(&self, columns: &[Column]) -> Vec<u8> {
        match self.options.format {
            CopyFormat::Binary => {
                let mut head = SIGNATURE.to_vec();
                // No flags, no extension.
                head.extend_from_slice(&[0; 8]);
                head
            }
            CopyFormat::Text | CopyFormat::Csv if self.options.header => {
                let names = columns.iter().map(|column| Some(column.name.as_bytes()));
                self.line(names)
            }
            CopyFormat::Text | CopyFormat::Csv => Vec::new(),
        }
    }

    /// What stands after the last row.
    pub(super) fn tail(&self) -> Vec<u8> {
        match self.options.format {
            CopyFormat::Binary => (-1_i16).to_be_bytes().to_vec(),
            CopyFormat::Text | CopyFormat::Csv => Vec::new(),
        }
    }

    pub(super) fn row(&self, columns: &[Column], row: &[Value]) -> Result<Vec<u8>, SqlError> {
        let binary = self.options.format == CopyFormat::Binary;
        let format = if binary { Format::Binary } else { Format::Text };
        let mut fields = Vec::with_capacity(columns.len());
        for (column, value) in columns.iter().zip(row) {
            let mut field = BytesMut::new();
            types::encode(value, column.kind, format, &mut field)?;
            fields.push(field);
        }
        if binary {
            let count = i16::try_from(fields.len()).unwrap_or(i16::MAX);
            let mut out = count.to_be_bytes().to_vec();
            fields.iter().for_each(|field| out.extend_from_slice(field));
            return Ok(out);
        }
        let texts = fields.iter().zip(row).map(|(field, value)| match value {
            Value::Null => None,
            _ => field.get(LENGTH..),
        });
        Ok(self.line(texts))
    }

    fn line<'b>(&self, fields: impl ExactSizeIterator<Item = Option<&'b [u8]>>) -> Vec<u8> {
        let alone = fields.len() == 1;
        let mut out = Vec::new();
        for (index, field) in fields.enumerate() {
            if index > 0 {
                out.push(self.options.delimiter);
            }
            match (field, self.options.format) {
                (None, _) => out.extend_from_slice(self.options.null.as_bytes()),
                (Some(field), CopyFormat::Csv) => self.csv(field, alone, &mut out),
                (Some(field), _) => self.text(field, &mut out),
            }
        }
        out.push(b'\n');
        out
    }

    fn text(&self, field: &[u8], out: &mut Vec<u8>) {
        for &byte in field {
            let code = match byte {
                8 => b'b',
                12 => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                11 => b'v',
                b'\\' => b'\\',
                byte if byte == self.options.delimiter => byte,
                byte => {
                    out.push(byte);
                    continue;
                }
            };
            out.extend_from_slice(&[b'\\', code]);
        }
    }

    fn csv(&self, field: &[u8], alone: bool, out: &mut Vec<u8>) {
        let CopyOptions {
            delimiter,
            quote,
            escape,
            ..
        } = *self.options;
        let special = |byte: &u8| [delimiter, quote, b'\n', b'\r'].contains(byte);
        let needs_quotes = field.iter().any(special)
            || field == self.options.null.as_bytes()
            || (alone && field == b"\\.");
        if !needs_quotes {
            out.extend_from_slice(field);
            return;
        }
        out.push(quote);
        for &byte in field {
            if byte == quote || byte == escape {
                out.push(escape);
            }
            out.push(byte);
        }
        out.push(quote);
    }
}
