//! TCP connections that notice a dead peer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::Failure;
use crate::error::{Error, ErrorKind};
use crate::time::{self, Instant};
use crate::topology::observation::Fault;

/// Keepalive probes start after this much silence. Aurora's fast-failover guidance finds a dead
/// peer in about 5 s: idle 1 s, interval 1 s, 5 probes (Aurora User Guide, "Fast failover with
/// Amazon Aurora PostgreSQL").
pub(super) const KEEPALIVE_IDLE_PERIOD: Duration = Duration::from_secs(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_PROBES: u32 = 5;

/// How long sent data may stay unacknowledged (RFC 5482). Keepalives do not cover that case:
/// without it Linux repeats for some 15 minutes.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// What this process or machine has run out of, where the standard library has no kind for it:
/// open files (EMFILE, ENFILE) and socket buffers (ENOBUFS).
#[cfg(any(target_os = "linux", target_os = "android"))]
const OWN_SHORTAGES: [i32; 3] = [24, 23, 105];
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const OWN_SHORTAGES: [i32; 3] = [24, 23, 55];
/// The same as Winsock names it: WSAEMFILE, WSAENOBUFS.
#[cfg(not(unix))]
const OWN_SHORTAGES: [i32; 2] = [10_024, 10_055];

/// Connects to the first address that takes the connection.
pub(super) async fn open(
    addresses: &[IpAddr],
    port: u16,
    deadline: Instant,
) -> Result<TcpStream, Failure> {
    let mut last = None;
    for (position, address) in addresses.iter().enumerate() {
        // A silent first address must leave time for the others.
        let left = u32::try_from(addresses.len() - position).unwrap_or(u32::MAX);
        let share = time::now() + time::remaining(deadline) / left;
        let target = SocketAddr::new(*address, port);
        match tokio::time::timeout_at(share, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => {
                if let Err(error) = tune(&stream) {
                    tracing::debug!(%error, "socket options not set");
                }
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(failure(target, error)),
            Err(_) => {
                last = Some(Failure::timed_out(format!(
                    "no answer from {target} in time"
                )));
            }
        }
    }
    Err(last.unwrap_or_else(|| Failure {
        fault: Fault::Unresolved,
        error: Error::new(ErrorKind::Resolve, "the host name has no address"),
    }))
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE_PERIOD)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

fn failure(target: SocketAddr, error: io::Error) -> Failure {
    Failure {
        fault: fault_of(&error),
        error: Error::new(
            ErrorKind::Connect,
            format!("cannot connect to {target}: {error}"),
        )
        .with_source(error),
    }
}

/// What an I/O error says about the other side.
pub(super) fn fault_of(error: &io::Error) -> Fault {
    if error
        .raw_os_error()
        .is_some_and(|code| OWN_SHORTAGES.contains(&code))
    {
        return Fault::Other;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Fault::Refused,
        io::ErrorKind::TimedOut => Fault::TimedOut,
        // This machine has no memory or no port left, which says nothing about the other side.
        io::ErrorKind::OutOfMemory | io::ErrorKind::AddrNotAvailable => Fault::Other,
        // Unknown I/O errors are news too: whatever it was, the connection is of no more use.
        _ => Fault::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_lacks_is_no_news_of_the_other_side() {
        for code in OWN_SHORTAGES {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(fault_of(&error), Fault::Other, "{error}");
        }
        for kind in [io::ErrorKind::OutOfMemory, io::ErrorKind::AddrNotAvailable] {
            assert_eq!(fault_of(&kind.into()), Fault::Other, "{kind}");
        }
    }

    #[test]
    fn a_reset_or_an_unknown_error_is_a_lost_connection() {
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::Other] {
            assert_eq!(fault_of(&kind.into()), Fault::Lost, "{kind}");
        }
        let refused = io::ErrorKind::ConnectionRefused.into();
        assert_eq!(fault_of(&refused), Fault::Refused);
    }
}
