//! One port of 127.0.0.1, for UDP and TCP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_server::Server;
use tokio::net::{TcpListener, UdpSocket};

use super::SharedZone;
use super::handler::Handler;

/// An idle TCP client is let go after this.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers queued for one TCP client.
const TCP_BUFFER: usize = 16;

/// How often a port is tried that is free for both UDP and TCP.
const BIND_ATTEMPTS: usize = 16;

/// Serves a zone on one port of 127.0.0.1, over UDP and TCP. Dropping it ends it.
pub(crate) struct DnsServer {
    server: Server<Handler>,
    address: SocketAddr,
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl DnsServer {
    /// Binds and begins to answer.
    pub(crate) async fn start(zone: SharedZone, port: u16) -> io::Result<Self> {
        let (udp, tcp) = bind(port).await?;
        let address = udp.local_addr()?;
        let mut server = Server::new(Handler::new(zone));
        server.register_socket(udp);
        server.register_listener(tcp, TCP_TIMEOUT, TCP_BUFFER);
        Ok(Self { server, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers no more, and waits for its tasks to end.
    pub(crate) async fn stop(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::debug!(%error, "the simulated DNS server ended with an error");
        }
    }
}

/// A UDP socket and a TCP listener on the same port.
async fn bind(port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..BIND_ATTEMPTS {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}
