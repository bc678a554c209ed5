//! The front as real clients see it, over loopback sockets.

mod copy;
mod endings;
mod hostile;
mod login;
mod psql;
mod queries;
mod raw;
mod values;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tokio_rustls::TlsAcceptor;

use super::super::{Door, Ending, Sessions, Users};
use super::{SCRAM_ITERATIONS, serve_within};
use crate::id::{EngineKind, InstanceId};
use crate::sim::host::{Count, Host, StatusRow};
use crate::sim::volume::Volume;

const PASSWORD: &str = "correct horse";

/// A limit for anything that should happen soon; only a failing test waits so long.
const SOON: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct FakeHost {
    instance: InstanceId,
    counts: Mutex<Vec<Count>>,
}

impl Host for FakeHost {
    fn engine(&self) -> EngineKind {
        EngineKind::Postgres
    }

    fn instance(&self) -> &InstanceId {
        &self.instance
    }

    fn is_writer(&self) -> bool {
        true
    }

    fn may_commit(&self) -> bool {
        true
    }

    fn epoch(&self) -> u64 {
        1
    }

    fn status_rows(&self) -> Vec<StatusRow> {
        Vec::new()
    }

    fn now_micros(&self) -> i64 {
        1_800_000_000_000_000
    }

    fn elapsed_micros(&self) -> u64 {
        0
    }

    fn count(&self, what: Count) {
        self.counts.lock().expect("no test panics here").push(what);
    }
}

/// One simulated instance with nothing but this front.
struct Server {
    address: SocketAddr,
    door: Door,
    host: Arc<FakeHost>,
    ending: watch::Sender<Option<Ending>>,
    /// The connections that are being served.
    served: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

struct Setup {
    tls: Option<TlsAcceptor>,
    starting: bool,
    login_timeout: Duration,
    scram_iterations: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            tls: None,
            starting: false,
            login_timeout: Duration::from_secs(60),
            scram_iterations: SCRAM_ITERATIONS,
        }
    }
}

impl Server {
    async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    async fn start_with(setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("it is bound");
        let host = Arc::new(FakeHost {
            instance: InstanceId::new("instance-1"),
            counts: Mutex::default(),
        });
        let (ending, watched) = watch::channel(None);
        let passwords = HashMap::from([("app".to_owned(), PASSWORD.to_owned())]);
        let mut users = Users::new(passwords, "main");
        users.scram_iterations = setup.scram_iterations;
        let door = Door {
            host: Arc::clone(&host) as Arc<dyn Host>,
            volume: Arc::new(Volume::create().expect("a temporary file")),
            users: Arc::new(users),
            tls: setup.tls,
            tls_required: false,
            starting: setup.starting,
            ending: watched,
            sessions: Arc::new(Sessions::default()),
            gate: Arc::default(),
            faults: Arc::default(),
        };
        let served = Arc::new(AtomicUsize::new(0));
        let listening = tokio::spawn({
            let (door, served) = (door.clone(), Arc::clone(&served));
            async move {
                while let Ok((socket, _)) = listener.accept().await {
                    let (door, served) = (door.clone(), Arc::clone(&served));
                    served.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(async move {
                        serve_within(socket, door, setup.login_timeout).await;
                        served.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self {
            address,
            door,
            host,
            ending,
            served,
            listening,
        }
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host(self.address.ip().to_string())
            .port(self.address.port())
            .user("app")
            .password(PASSWORD)
            .dbname("main");
        config
    }

    /// A client whose connection is driven in the background.
    async fn connect(&self) -> Client {
        let (client, connection) = self.config().connect(NoTls).await.expect("a login");
        tokio::spawn(connection);
        client
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    fn count(&self, what: Count) -> usize {
        let counts = self.host.counts.lock().expect("no test panics here");
        counts.iter().filter(|&&count| count == what).count()
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(what, waiting).await;
}

/// Waits for something that should happen soon.
async fn soon<T>(what: &str, happening: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, happening).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("never came: {what}"),
    }
}

/// The code of an error which came from the server.
fn code(error: &tokio_postgres::Error) -> &str {
    error
        .code()
        .map_or_else(|| panic!("not from the server: {error:?}"), SqlState::code)
}
