//! The MySQL front: protocol 10 over `mysql_common`.

use tokio::net::TcpStream;

use super::Door;

/// Serves one accepted socket until the client leaves or the door closes.
pub(crate) async fn serve(_socket: TcpStream, _door: Door) {}
