//! The service over a simulated cluster of its own, on a loopback port, for the tests beside the code.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_driver::sim::SimCluster;
use clap::Parser;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::backend::Backend;
use crate::closing::Ending;
use crate::live::Live;
use crate::shop::{Store, schema};
use crate::traffic::Traffic;
use crate::{Arguments, web};

/// What a request with a body of JSON says.
pub(crate) const JSON: &str = "Content-Type: application/json";

/// A machine that runs other tests too may need some of it; each wait takes far less.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than any test waits, so that a drain that is not cut short is noticed.
pub(crate) const DRAIN: Duration = Duration::from_secs(90);

/// A service that serves.
pub(crate) struct Open<E: Store> {
    pub(crate) backend: Backend<E>,
    pub(crate) traffic: Arc<Traffic>,
    address: SocketAddr,
    signals: mpsc::Sender<()>,
    serving: JoinHandle<()>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.body))
    }
}

impl<E: Store> Open<E> {
    /// With these flags besides the engine.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let engine = E::KIND.to_string();
        let flags = flags.iter().copied();
        let arguments = ["service", "--engine", &engine].into_iter().chain(flags);
        let arguments = Arguments::parse_from(arguments);
        let backend = Backend::<E>::open(&arguments, None).await;
        Self::over(backend.expect("a cluster")).await
    }

    pub(crate) async fn over(backend: Backend<E>) -> Self {
        let migrated = schema::migrate(backend.shop.cluster()).await;
        migrated.expect("a schema");
        let traffic = Arc::new(Traffic::new());
        let ending = Ending::default();
        let live = Live::start(&backend, &traffic, ending.begun.clone());
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let state = web::State::new(&backend, &traffic, live, metrics, ending.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (signals, asked) = mpsc::channel(2);
        let serving = tokio::spawn(async move {
            let serving = axum::serve(listener, web::router(state));
            let served = serving
                .with_graceful_shutdown(ending.follow(asked, DRAIN))
                .await;
            served.expect("it serves");
        });
        Self {
            backend,
            traffic,
            address,
            signals,
            serving,
        }
    }

    pub(crate) fn simulated(&self) -> &SimCluster {
        self.backend.simulated.as_deref().expect("a simulated one")
    }

    pub(crate) async fn send(&self, request: &str, header: &str, body: &str) -> Answer {
        send(self.address, request, header, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), "Accept: */*", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = format!("POST {path}");
        self.send(&request, JSON, &body.to_string()).await
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn get_until(&self, path: &str, is_so: impl Fn(&Answer) -> bool) -> Answer {
        let began = Instant::now();
        loop {
            let answer = self.get(path).await;
            if is_so(&answer) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{path} stays {answer:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// As a first Ctrl-C does.
    pub(crate) async fn ask_to_close(&self) {
        self.signals.send(()).await.expect("it listens");
    }

    pub(crate) async fn close(self) {
        // The second one ends the drain, and whether it is the second or the third is the same.
        let _ = self.signals.send(()).await;
        let _ = self.signals.send(()).await;
        self.serving.await.expect("it ends");
        self.backend.close(PATIENCE).await;
    }
}

/// One request on a connection of its own.
pub(crate) async fn send(address: SocketAddr, request: &str, header: &str, body: &str) -> Answer {
    let head = format!(
        "{request} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{header}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let whole = async {
        let mut stream = TcpStream::connect(address).await.expect("it accepts");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        // What is too long is not read to its end.
        let _ = stream.write_all(body.as_bytes()).await;
        let mut answer = Vec::new();
        // Nor is such a connection closed in order.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("it answers in UTF-8")
    };
    let answer = tokio::time::timeout(PATIENCE, whole)
        .await
        .expect("in time");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Answer {
        status: head[9..12].parse().expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}
