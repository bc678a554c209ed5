//! The listening socket of one instance, and the connections it accepts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::id::EngineKind;
use crate::sim::front::{self, Door};

/// Connects that the kernel keeps waiting until they are accepted.
const BACKLOG: i32 = 1024;

/// Connections that one instance serves at a time; further ones wait in the backlog.
pub(super) const CONNECTIONS_MAX: usize = 4096;

/// How long to wait after the system refused to accept, for want of file descriptors say.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(20);

/// What all listeners of a cluster share.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    pub(super) engine: EngineKind,
    pub(super) tasks: TaskTracker,
    /// The cluster has been stopped.
    pub(super) stopped: CancellationToken,
}

impl Serving {
    pub(super) fn new(engine: EngineKind) -> Self {
        Self {
            engine,
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
        }
    }
}

/// A listening socket. Dropping it makes the port refuse at once.
pub(super) struct Listener {
    /// None once it has become a black hole.
    socket: Option<Socket>,
    closed: CancellationToken,
    door: watch::Sender<Door>,
}

impl Listener {
    /// Listens on a socket made by [`bind`]. Needs a runtime around it.
    pub(super) fn open(socket: Socket, door: Door, serving: Serving) -> io::Result<Self> {
        socket.listen(BACKLOG)?;
        let accepting = TcpListener::from_std(socket.try_clone()?.into())?;
        let (door, doors) = watch::channel(door);
        let closed = serving.stopped.child_token();
        let tasks = serving.tasks.clone();
        tasks.spawn(accept(accepting, doors, closed.clone(), serving));
        Ok(Self {
            socket: Some(socket),
            closed,
            door,
        })
    }

    /// What connections accepted from now on are served with.
    pub(super) fn replace_door(&self, door: Door) {
        self.door.send_replace(door);
    }

    /// Stops accepting without ever refusing.
    pub(super) fn into_black_hole(mut self) -> io::Result<BlackHole> {
        self.closed.cancel();
        self.socket
            .take()
            .map_or_else(|| Err(io::ErrorKind::NotConnected.into()), BlackHole::open)
    }
}

/// A port that neither accepts nor refuses: a connect to it hangs until the client gives up.
///
/// Linux drops the first packet of a connect when the backlog is full (tcp(7), listen(2)), so a
/// backlog of nobody is kept full. Dropping it resets those who wait in it, and the port refuses.
pub(super) struct BlackHole {
    socket: Socket,
    /// What fills the backlog; the second one itself waits to get in, in case the first was
    /// accepted just before.
    _fillers: [Socket; 2],
}

impl BlackHole {
    /// Opens one on a bound socket, listening already or not.
    pub(super) fn open(socket: Socket) -> io::Result<Self> {
        socket.listen(0)?;
        let address = socket.local_addr()?;
        let fill = || -> io::Result<Socket> {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            filler.set_nonblocking(true)?;
            // Why: it is under way, and nobody waits for it, whatever this says.
            let _ = filler.connect(&address);
            Ok(filler)
        };
        let fillers = [fill()?, fill()?];
        Ok(Self {
            socket,
            _fillers: fillers,
        })
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        stop_listening(&self.socket);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.closed.cancel();
        if let Some(socket) = &self.socket {
            stop_listening(socket);
        }
    }
}

fn stop_listening(socket: &Socket) {
    // Why: the accept task lets go of its copy of the socket only when it runs next. Shutting
    // a listening socket down ends the listening now, and resets what waits in its backlog.
    if let Err(error) = socket.shutdown(std::net::Shutdown::Both) {
        tracing::debug!(%error, "a listening socket could not be shut down");
    }
}

/// A socket bound to an instance's address, not listening yet.
pub(super) fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier boot may still be in TIME_WAIT on this address.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

async fn accept(
    listener: TcpListener,
    doors: watch::Receiver<Door>,
    closed: CancellationToken,
    serving: Serving,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            // The listener is going away: a socket accepted now would belong to a dead boot.
            biased;
            () = closed.cancelled() => return,
            accepted = accept_one(&listener, &room) => accepted,
        };
        let (socket, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a simulated instance could not accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        let door = doors.borrow().clone();
        let engine = serving.engine;
        let stopped = serving.stopped.clone();
        serving.tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = stopped.cancelled() => {}
                () = serve(engine, socket, door) => {}
            }
        });
    }
}

async fn accept_one(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (socket, _) = listener.accept().await?;
    // Both protocols are request and answer: a delayed last segment would stall the client.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a client left before it was served");
    }
    Ok((socket, permit))
}

async fn serve(engine: EngineKind, socket: TcpStream, door: Door) {
    match engine {
        EngineKind::Postgres => front::postgres::serve(socket, door).await,
        EngineKind::MySql => front::mysql::serve(socket, door).await,
    }
}
