//! What both fuzz targets share: one simulated cluster, and the feeding of bytes to it.
//!
//! The first byte of an input chooses where its other bytes begin: right after the connect, or
//! after a login. Any panic in the simulator ends the run, as does an answer that does not end.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aurora_driver::EngineKind;
use aurora_driver::sim::SimCluster;
use socket2::{Domain, Socket, Type};
use tokio::runtime::Runtime;

/// An answer that takes longer than this counts as a hang.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A running cluster of one writer.
pub struct Target {
    pub runtime: Runtime,
    pub address: SocketAddr,
    pub cluster: SimCluster,
}

impl Target {
    /// The cluster of this process.
    pub fn of(engine: EngineKind) -> &'static Self {
        static TARGET: OnceLock<Target> = OnceLock::new();
        TARGET.get_or_init(|| Self::start(engine))
    }

    fn start(engine: EngineKind) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let cluster = runtime
            .block_on(SimCluster::builder(engine).readers(0).start())
            .expect("a cluster");
        let writer = cluster.writer().expect("a writer");
        let ip = cluster.address_of(&writer).expect("its address");
        Self {
            address: SocketAddr::from((ip, cluster.port())),
            runtime,
            cluster,
        }
    }

    /// Connects from an address of its own each time, as the ports of one would soon all be
    /// waiting for late packets.
    pub fn connect(&self) -> TcpStream {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed) % (1 << 22);
        let source = Ipv4Addr::from((127 << 24) + (1 << 23) + number + 1);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let source = SocketAddr::from((source, 0));
        socket.bind(&source.into()).expect("a loopback address");
        // With a timeout, as that form of it goes on after libFuzzer's alarm has interrupted it.
        socket
            .connect_timeout(&self.address.into(), ANSWER_LIMIT)
            .expect("a listener");
        TcpStream::from(socket)
    }

    /// Sends the bytes, then nothing more, and reads whatever comes until the simulator hangs up.
    pub fn feed(&self, mut stream: TcpStream, bytes: &[u8]) {
        stream.set_read_timeout(Some(ANSWER_LIMIT)).expect("a timeout");
        stream.set_write_timeout(Some(ANSWER_LIMIT)).expect("a timeout");
        // The simulator may hang up before it has read all: that is its good right.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = [0; 16 * 1024];
        loop {
            match stream.read(&mut answer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("no end of the answer within {ANSWER_LIMIT:?}")
                }
                Err(_) => return,
            }
        }
    }
}
