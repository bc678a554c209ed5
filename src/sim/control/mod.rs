//! The control of a simulated cluster over HTTP: JSON, server-sent events and a web page.
//!
//! | file | idea |
//! |---|---|
//! | `routes` | the one table of what is served |
//! | `operations`, `instances`, `names` | each route, carried out by the cluster's public methods: of all of it, of one instance, of the DNS |
//! | `body` | what requests bring with them |
//! | `answer` | what answers look like, refusals too |
//! | `guard` | refuses what another web site makes a browser send |
//! | `stream` | the cluster's state as server-sent events |
//! | `openapi` | the table as an OpenAPI document |
//!
//! Not here: what the operations do (`sim::cluster`). Passwords are in no answer.

mod answer;
mod body;
mod guard;
mod instances;
mod names;
mod openapi;
mod operations;
mod routes;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use self::names::DnsFaults;

use super::SimCluster;

/// Server-sent event streams that may be open at once.
const STREAMS_MAX: usize = 32;

/// What every route may use.
#[derive(Clone)]
struct Controlled {
    cluster: Arc<SimCluster>,
    streams: Arc<Semaphore>,
    dns_faults: Arc<DnsFaults>,
}

/// Where a simulated cluster is looked at and disturbed over HTTP.
///
/// It has no login: whoever reaches the address may do everything. Bind it to a loopback address.
#[derive(Debug)]
pub struct Control {
    listener: TcpListener,
    address: SocketAddr,
}

impl Control {
    /// Binds the address; port 0 chooses a free one.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the API and the page until the returned future is dropped.
    ///
    /// # Errors
    ///
    /// The listening socket broke.
    pub async fn serve(self, cluster: Arc<SimCluster>) -> io::Result<()> {
        let controlled = Controlled {
            cluster,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            dns_faults: Arc::default(),
        };
        axum::serve(self.listener, routes::router(controlled)).await
    }
}
