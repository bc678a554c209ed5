//! The front as real clients see it: `mysql_async`, the MariaDB command line, and bare bytes.

mod command_line;
mod ending;
mod hostile;
mod kinds;
mod login;
mod prepared;
mod query;
mod session;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::id::{EngineKind, InstanceId};
use crate::sim::certificates::Certificates;
use crate::sim::front::{Door, Ending, Sessions, Users};
use crate::sim::host::{Count, Host, StatusRow};
use crate::sim::sql::Session;
use crate::sim::volume::Volume;

/// Generous: it only ever passes when something hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// A writer that is well until its storage takes no more commits.
#[derive(Debug)]
struct FakeHost {
    instance: InstanceId,
    fenced: AtomicBool,
    counts: Mutex<Vec<Count>>,
}

impl Host for FakeHost {
    fn engine(&self) -> EngineKind {
        EngineKind::MySql
    }

    fn instance(&self) -> &InstanceId {
        &self.instance
    }

    fn is_writer(&self) -> bool {
        true
    }

    fn may_commit(&self) -> bool {
        !self.fenced.load(Ordering::SeqCst)
    }

    fn epoch(&self) -> u64 {
        1
    }

    fn status_rows(&self) -> Vec<StatusRow> {
        Vec::new()
    }

    fn now_micros(&self) -> i64 {
        1_767_225_600_000_000
    }

    fn elapsed_micros(&self) -> u64 {
        7_000_000
    }

    fn count(&self, what: Count) {
        self.counts.lock().expect("no panic under it").push(what);
    }
}

/// A listening front with one user, `app` with the password `secret`, and the database `shop`.
struct Server {
    address: SocketAddr,
    host: Arc<FakeHost>,
    volume: Arc<Volume>,
    sessions: Arc<Sessions>,
    ending: watch::Sender<Option<Ending>>,
    /// The authority to trust, as PEM. The server's certificate is for the name `db.example`.
    certificate: String,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Door)) -> Self {
        let names = ["db.example".to_owned()];
        let (acceptor, certificate) = Certificates::new()
            .and_then(|certificates| certificates.issue(&names, &[]))
            .expect("a certificate");
        let (ending, ending_receiver) = watch::channel(None);
        let host = Arc::new(FakeHost {
            instance: InstanceId::new("instance-1"),
            fenced: AtomicBool::new(false),
            counts: Mutex::default(),
        });
        let sessions = Arc::new(Sessions::default());
        let volume = Arc::new(Volume::create().expect("a temporary file"));
        let mut door = Door {
            host: host.clone(),
            volume: volume.clone(),
            users: Arc::new(Users::new(
                HashMap::from([
                    ("app".to_owned(), "secret".to_owned()),
                    ("other".to_owned(), "also secret".to_owned()),
                    ("open".to_owned(), String::new()),
                ]),
                "shop",
            )),
            tls: Some(acceptor),
            tls_required: false,
            starting: false,
            ending: ending_receiver,
            sessions: sessions.clone(),
            gate: Arc::default(),
            faults: Arc::default(),
        };
        change(&mut door);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(super::serve(socket, door.clone()));
            }
        });
        Self {
            address,
            host,
            volume,
            sessions,
            ending,
            certificate,
        }
    }

    /// What a client needs to log in as `app` without TLS.
    fn options(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.address.port())
            .prefer_socket(false)
            .max_allowed_packet(Some(64 * 1024 * 1024))
            .wait_timeout(Some(28_800))
            .user(Some("app"))
            .pass(Some("secret"))
            .db_name(Some("shop"))
    }

    /// The same over TLS, to a server of that name.
    fn tls_options(&self, name: &str) -> OptsBuilder {
        let tls = SslOpts::default()
            .with_disable_built_in_roots(true)
            .with_root_certs(vec![self.certificate.clone().into_bytes().into()]);
        self.options()
            .ip_or_hostname(name)
            .resolved_ips(Some(vec![self.address.ip()]))
            .ssl_opts(Some(tls))
    }

    /// The client's side of TLS to `db.example`.
    fn tls_client(&self) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        roots
            .add(authority.expect("a certificate"))
            .expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "db.example".try_into().expect("a name");
        ClientConnection::new(Arc::new(config), name).expect("a client")
    }

    async fn connect(&self) -> Conn {
        within(Conn::new(self.options())).await.expect("a login")
    }

    /// A session without a connection.
    fn session(&self) -> Session {
        Session::open(self.host.clone(), &self.volume, "app", "shop").expect("a session")
    }

    fn counted(&self, what: Count) -> usize {
        let counts = self.host.counts.lock().expect("no panic under it");
        counts.iter().filter(|count| **count == what).count()
    }

    /// Waits until that many sessions are left.
    async fn sessions_left(&self, count: usize) {
        within(async {
            while self.sessions.len() != count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it hangs")
}

/// Number, SQLSTATE and message of an error that the server sent.
fn server_error(error: &mysql_async::Error) -> (u16, &str, &str) {
    match error {
        mysql_async::Error::Server(error) => (error.code, &error.state, &error.message),
        other => panic!("not an error of the server: {other:?}"),
    }
}

/// The connection still answers.
async fn assert_usable(connection: &mut Conn) {
    let one: Option<i64> = within(connection.query_first("SELECT 1"))
        .await
        .expect("an answer");
    assert_eq!(one, Some(1));
}
