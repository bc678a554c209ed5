//! What a statement answered, on its way to the client.
//!
//! Order of packets: MySQL client/server protocol, "Text Resultset" and "Binary Protocol Resultset".

use mysql_common::constants::{CapabilityFlags, StatusFlags};
use mysql_common::io::BufMutExt;

use super::fault::Failure;
use super::wire::Wire;
use super::{column, packet, row};
use crate::sim::sql::{Column, Value};

/// How the values of a row are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// For COM_QUERY.
    Text,
    /// For COM_STMT_EXECUTE.
    Binary,
}

/// One result set.
pub(super) struct ResultSet<'a> {
    pub(super) columns: &'a [Column],
    pub(super) rows: &'a [Vec<Value>],
    pub(super) database: &'a str,
    pub(super) encoding: Encoding,
    pub(super) status: StatusFlags,
    pub(super) capabilities: CapabilityFlags,
}

impl ResultSet<'_> {
    /// Queues the packets, and writes when many have come together.
    pub(super) async fn write(&self, wire: &mut Wire) -> Result<(), Failure> {
        let mut count = Vec::new();
        count.put_lenenc_int(self.columns.len() as u64);
        wire.queue(&count)?;
        for column in self.columns {
            wire.queue(&column::definition(column, self.database))?;
        }
        if let Some(end) = packet::end_of_columns(self.status, self.capabilities) {
            wire.queue(&end)?;
        }
        for values in self.rows {
            wire.queue(&match self.encoding {
                Encoding::Text => row::text(self.columns, values),
                Encoding::Binary => row::binary(self.columns, values),
            })?;
            wire.flush_much().await?;
        }
        wire.queue(&packet::end_of_rows(self.status, self.capabilities))
    }
}
