//! Rows in the text and CSV formats (PostgreSQL manual, COPY, "File Formats").

use bytes::{Buf, Bytes, BytesMut};

use super::Fields;
use crate::sim::front::postgres::failure::error;
use crate::sim::sql::{CopyFormat, CopyOptions, SqlError};

/// The client's data, cut into lines and these into fields.
pub(super) struct Lines {
    options: CopyOptions,
    data: BytesMut,
    /// How far the line under way has been looked at.
    scanned: usize,
    quoted: bool,
    /// The byte before was a backslash that stands for itself and what follows.
    escaped: bool,
    /// Lines begun, and lines of the row under way.
    number: usize,
    header: bool,
    /// The mark `\.` was seen: the rest does not count.
    done: bool,
}

impl Lines {
    pub(super) fn new(options: CopyOptions) -> Self {
        Self {
            header: options.header,
            options,
            data: BytesMut::new(),
            scanned: 0,
            quoted: false,
            escaped: false,
            number: 0,
            done: false,
        }
    }

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

    /// The next row, if it is there as a whole; at the end of the data the last one may lack its
    /// line end.
    pub(super) fn next(&mut self, ended: bool) -> Result<Option<Fields>, SqlError> {
        while !self.done {
            let Some(line) = self.line(ended)? else {
                return Ok(None);
            };
            self.number += 1;
            if std::mem::take(&mut self.header) {
                continue;
            }
            if line.as_ref() == b"\\." {
                self.done = true;
                self.data.clear();
                break;
            }
            return match self.options.format {
                CopyFormat::Csv => csv_fields(&line, &self.options).map(Some),
                CopyFormat::Text | CopyFormat::Binary => {
                    text_fields(&line, &self.options).map(Some)
                }
            };
        }
        Ok(None)
    }

    fn line(&mut self, ended: bool) -> Result<Option<Bytes>, SqlError> {
        while let Some(&byte) = self.data.get(self.scanned) {
            if byte == b'\n' && !self.quoted && !self.escaped {
                let mut line = self.data.split_to(self.scanned).freeze();
                self.data.advance(1);
                self.scanned = 0;
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                return Ok(Some(line));
            }
            self.step(byte);
            self.scanned += 1;
        }
        if !ended || self.data.is_empty() {
            return Ok(None);
        }
        if self.quoted {
            return Err(error("22P04", "unterminated CSV quoted field"));
        }
        self.scanned = 0;
        Ok(Some(self.data.split().freeze()))
    }

    /// Follows quotes and escapes, within which a line does not end.
    fn step(&mut self, byte: u8) {
        if self.options.format == CopyFormat::Text {
            self.escaped = byte == b'\\' && !self.escaped;
            return;
        }
        let (quote, escape) = (self.options.quote, self.options.escape);
        if self.escaped {
            self.escaped = false;
        } else if self.quoted && byte == escape && escape != quote {
            self.escaped = true;
        } else if byte == quote {
            // A doubled quote leaves and enters again.
            self.quoted = !self.quoted;
        }
    }
}

fn text_fields(line: &Bytes, options: &CopyOptions) -> Result<Fields, SqlError> {
    let mut fields = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (index, &byte) in line.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == options.delimiter {
            fields.push(text_field(&line.slice(start..index), options));
            start = index + 1;
        }
    }
    fields.push(text_field(&line.slice(start..), options));
    Ok(fields)
}

fn text_field(raw: &Bytes, options: &CopyOptions) -> Option<Bytes> {
    if raw.as_ref() == options.null.as_bytes() {
        return None;
    }
    if !raw.contains(&b'\\') {
        return Some(raw.clone());
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.as_ref();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&code, after)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = after;
        out.push(match code {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'0'..=b'7' => {
                let (byte, after) = number(code - b'0', after, 8, 2);
                rest = after;
                byte
            }
            b'x' if after.first().is_some_and(u8::is_ascii_hexdigit) => {
                let (byte, after) = number(0, after, 16, 2);
                rest = after;
                byte
            }
            other => other,
        });
    }
    Some(out.into())
}

/// A byte given by up to `more` further digits; PostgreSQL keeps its lowest eight bits.
fn number(first: u8, mut rest: &[u8], base: u32, more: usize) -> (u8, &[u8]) {
    let mut value = u32::from(first);
    for _ in 0..more {
        let digit = rest
            .first()
            .and_then(|&byte| char::from(byte).to_digit(base));
        let Some(digit) = digit else { break };
        value = value * base + digit;
        rest = &rest[1..];
    }
    (value.to_le_bytes()[0], rest)
}

fn csv_fields(line: &Bytes, options: &CopyOptions) -> Result<Fields, SqlError> {
    let mut fields = Vec::new();
    let mut field = Vec::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let mut bytes = line.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if quoted {
            let next = bytes.peek().copied();
            let escapes = next.is_some_and(|next| next == options.quote || next == options.escape);
            if byte == options.escape && escapes {
                field.extend(bytes.next());
            } else if byte == options.quote {
                quoted = false;
            } else {
                field.push(byte);
            }
        } else if byte == options.quote {
            (quoted, was_quoted) = (true, true);
        } else if byte == options.delimiter {
            fields.push(csv_field(std::mem::take(&mut field), was_quoted, options));
            was_quoted = false;
        } else {
            field.push(byte);
        }
    }
    if quoted {
        return Err(error("22P04", "unterminated CSV quoted field"));
    }
    fields.push(csv_field(field, was_quoted, options));
    Ok(fields)
}

fn csv_field(field: Vec<u8>, quoted: bool, options: &CopyOptions) -> Option<Bytes> {
    let is_null = !quoted && field == options.null.as_bytes();
    (!is_null).then(|| field.into())
}
