//! The text of a script. Clients that fill values in themselves send binary ones as they are,
//! between quotes and escaped, so a literal may hold any bytes.

use std::borrow::Cow;

use super::fault;
use crate::sim::sql::SqlError;

/// A script as UTF-8: literals that are none become hexadecimal ones, `X'...'`.
pub(super) fn readable(script: &[u8]) -> Result<Cow<'_, str>, SqlError> {
    if let Ok(text) = str::from_utf8(script) {
        return Ok(Cow::Borrowed(text));
    }
    let mut text = String::new();
    let mut rest = script;
    while let Some(start) = rest.iter().position(|byte| matches!(byte, b'\'' | b'"')) {
        text.push_str(plain(&rest[..start])?);
        let length = literal_length(&rest[start..]).ok_or_else(fault::not_utf8)?;
        let literal = &rest[start..start + length];
        match str::from_utf8(literal) {
            Ok(literal) => text.push_str(literal),
            Err(_) => push_hexadecimal(&mut text, literal),
        }
        rest = &rest[start + length..];
    }
    text.push_str(plain(rest)?);
    Ok(Cow::Owned(text))
}

fn plain(bytes: &[u8]) -> Result<&str, SqlError> {
    str::from_utf8(bytes).map_err(|_| fault::not_utf8())
}

/// The length of a literal with its quotes; `None` if it does not end.
fn literal_length(bytes: &[u8]) -> Option<usize> {
    let quote = *bytes.first()?;
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

fn push_hexadecimal(text: &mut String, literal: &[u8]) {
    // MySQL's introducer says what the prefix `X` says already.
    if text.ends_with("_binary") || text.ends_with("_binary ") {
        text.truncate(text.trim_end().len() - "_binary".len());
    }
    text.push_str("X'");
    let (quote, inner) = (literal[0], &literal[1..literal.len() - 1]);
    let mut at = 0;
    while at < inner.len() {
        let byte = match inner[at] {
            b'\\' => {
                at += 1;
                unescaped(inner.get(at).copied().unwrap_or(b'\\'))
            }
            byte => {
                // A doubled quote stands for one.
                at += usize::from(byte == quote);
                byte
            }
        };
        text.push_str(&format!("{byte:02x}"));
        at += 1;
    }
    text.push('\'');
}

/// What stands after a backslash (MySQL 8.0 manual, table 9.1).
fn unescaped(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'b' => 8,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'Z' => 26,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_any_bytes_become_hexadecimal() {
        let script = b"INSERT INTO t VALUES ('\xc3\xa9', _binary'\\0\xff\\'''', \"\xfe\")";
        let text = readable(script).expect("literals only");
        assert_eq!(text, "INSERT INTO t VALUES ('\u{e9}', X'00ff2727', X'fe')");
    }

    #[test]
    fn bytes_outside_of_literals_are_refused() {
        for script in [&b"SELECT \xff"[..], b"SELECT '\xff", b"SELECT '\xff\\"] {
            let error = readable(script).expect_err("not UTF-8");
            assert_eq!(error.number, 1300);
        }
    }
}
