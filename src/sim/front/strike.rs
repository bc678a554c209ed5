//! Faults of single statements, as both fronts carry them out.

use super::Door;
use crate::sim::fault::{Cut, End, FaultPoint, Occurrence, StatementKind};
use crate::sim::host::Order;
use crate::sim::sql::SqlError;

/// What a fault makes of a statement.
#[derive(Debug)]
pub(crate) enum Struck {
    Error(SqlError),
    Cut(Cut),
}

/// The start of a PostgreSQL DataRow of 100 bytes, or of a MySQL packet of 100 bytes.
pub(super) const HALF_A_ROW: &[u8] = b"D\0\0\0\x64\0\x01";
pub(super) const HALF_A_PACKET: &[u8] = b"\x64\0\0\x01\0\0\0";

/// What neither protocol's clients take for an answer.
pub(super) const GARBAGE: &[u8] = &[0xff; 64];

impl Door {
    /// Lets the faults in force meet a login or a statement. Waits as long as they delay it.
    pub(super) async fn meet(
        &self,
        point: FaultPoint,
        user: &str,
        text: Option<&str>,
    ) -> Result<(), Struck> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let verdict = self.faults.meet(&Occurrence {
            point,
            instance: self.host.instance(),
            is_writer: self.host.is_writer(),
            user,
            statement: text.map(|text| (text, StatementKind::of(text))),
        });
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        for number in verdict.blocked_by {
            self.faults.end_of(number).await;
        }
        match verdict.end {
            None => Ok(()),
            Some(End::Error(error)) => {
                let number = error.number;
                Err(Struck::Error(SqlError::new(
                    error.sqlstate,
                    number,
                    error.message,
                )))
            }
            Some(End::Cut(cut)) => Err(Struck::Cut(cut)),
            Some(End::Crash) => {
                self.host.order(Order::Crash);
                // Its sockets end with the instance.
                Err(Struck::Cut(Cut::Silence))
            }
        }
    }
}
