//! The MySQL front: client/server protocol 10 over `mysql_common`.
//!
//! Here live packets, logins, commands and result sets. What a statement means is decided by
//! [`sql`](crate::sim::sql); which socket is accepted, and when, by the cluster.
//!
//! ```text
//! connection ──▸ greeting ──▸ login ──▸ auth        who comes in
//!      │
//!      └───────▸ client ──▸ command, kill          what is asked
//!                  └────▸ execution                statements and their answers
//!                            ├──▸ prepared ──▸ parameters
//!                            └──▸ resultset ──▸ column, row, temporal
//!
//! under all of them: wire ──▸ transport, packet, fault
//! ```

mod auth;
mod client;
mod column;
mod command;
mod connection;
mod execution;
mod fault;
mod greeting;
mod kill;
mod login;
mod packet;
mod parameters;
mod prepared;
mod resultset;
mod row;
mod script;
mod temporal;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

use tokio::net::TcpStream;

use self::connection::Connection;
use super::Door;

/// Serves one accepted socket until the client leaves or the door closes.
pub(crate) async fn serve(socket: TcpStream, door: Door) {
    Connection::new(socket, door).serve().await;
}
