//! The PostgreSQL front: protocol 3.0 over `pgwire`.

use tokio::net::TcpStream;

use super::Door;

/// Serves one accepted socket until the client leaves or the door closes.
pub(crate) async fn serve(_socket: TcpStream, _door: Door) {}
