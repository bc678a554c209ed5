//! The server's small packets as bytes.
//!
//! Layouts: MySQL client/server protocol, "Generic Response Packets" and "COM_STMT_PREPARE
//! Response". `mysql_common` reads these but does not write them.

use mysql_common::constants::{CapabilityFlags, StatusFlags};
use mysql_common::io::BufMutExt;

use crate::sim::sql::{Done, SqlError};

/// An OK packet.
pub(super) fn ok(outcome: Done, status: StatusFlags, capabilities: CapabilityFlags) -> Vec<u8> {
    // With CLIENT_FOUND_ROWS an UPDATE reports the rows that it matched. Other statements match
    // none, and report what they changed.
    let affected = if capabilities.contains(CapabilityFlags::CLIENT_FOUND_ROWS) {
        outcome.matched.max(outcome.affected)
    } else {
        outcome.affected
    };
    with_header(0x00, affected, outcome.last_insert_id, status)
}

/// What follows the last row, or the last column definition of a list of fields.
pub(super) fn end_of_rows(status: StatusFlags, capabilities: CapabilityFlags) -> Vec<u8> {
    if capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
        with_header(0xFE, 0, 0, status)
    } else {
        eof(status)
    }
}

/// What follows column definitions that rows or other definitions come after: nothing where EOF
/// packets are deprecated.
pub(super) fn end_of_columns(
    status: StatusFlags,
    capabilities: CapabilityFlags,
) -> Option<Vec<u8>> {
    let deprecated = capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF);
    (!deprecated).then(|| eof(status))
}

/// An ERR packet.
pub(super) fn error(error: &SqlError) -> Vec<u8> {
    let mut packet = vec![0xFF];
    packet.extend_from_slice(&error.number.to_le_bytes());
    packet.push(b'#');
    packet.extend_from_slice(error.sqlstate.as_bytes());
    packet.extend_from_slice(error.message.as_bytes());
    packet
}

/// An ERR packet in place of the greeting. There the SQLSTATE is left out: nobody has said yet
/// that they speak protocol 4.1.
pub(super) fn early_error(error: &SqlError) -> Vec<u8> {
    let mut packet = vec![0xFF];
    packet.extend_from_slice(&error.number.to_le_bytes());
    packet.extend_from_slice(error.message.as_bytes());
    packet
}

/// The head of the answer to COM_STMT_PREPARE.
pub(super) fn prepared(id: u32, columns: u16, parameters: u16) -> Vec<u8> {
    let mut packet = vec![0x00];
    packet.extend_from_slice(&id.to_le_bytes());
    packet.extend_from_slice(&columns.to_le_bytes());
    packet.extend_from_slice(&parameters.to_le_bytes());
    // A filler, and no warnings.
    packet.extend_from_slice(&[0, 0, 0]);
    packet
}

fn with_header(header: u8, affected: u64, last_insert_id: u64, status: StatusFlags) -> Vec<u8> {
    let mut packet = vec![header];
    packet.put_lenenc_int(affected);
    packet.put_lenenc_int(last_insert_id);
    packet.extend_from_slice(&status.bits().to_le_bytes());
    // No warnings.
    packet.extend_from_slice(&[0, 0]);
    packet
}

fn eof(status: StatusFlags) -> Vec<u8> {
    let mut packet = vec![0xFE, 0, 0];
    packet.extend_from_slice(&status.bits().to_le_bytes());
    packet
}
