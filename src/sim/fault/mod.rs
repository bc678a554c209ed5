//! Faults of one instance as its clients meet them, and the limits it sets them.
//!
//! - `listener_state`: what becomes of connections and logins as a whole;
//! - `gate`: who is let in, how many, and how fast;
//! - `statement`: what goes wrong with single statements; `table`: which of them meet it.
//!
//! Not here: which instance is up, and as what (`sim::world`); sockets (`sim::cluster`); how a
//! refusal is worded (`sim::front`).

mod gate;
mod listener_state;
mod statement;
mod table;

pub(crate) use gate::{Gate, Limits, Place, Turned};
pub use listener_state::ListenerState;
pub(crate) use statement::{Cut, FaultError, WrittenFault};
pub use statement::{FaultPoint, StatementFault, StatementKind};
pub use table::{ActiveFault, FaultGuard};
pub(crate) use table::{End, Faults, Occurrence};
