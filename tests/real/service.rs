//! The example service over one real server, PostgreSQL 15 or MariaDB: `--database-url` as a user
//! of it gives it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::{PASSWORD, PATIENCE};
use crate::ground::{Ground, Need, stand_on};
use crate::process::Server;
use crate::single::{MariaDb, SinglePostgres, mariadb_url, single_url};

/// Signals to end reach it within these, though a viewer and half a request are still there: calls
/// under way get five seconds, connections in use five more.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

/// The service as a process.
struct Service {
    process: Server,
    address: SocketAddr,
    log: PathBuf,
}

/// An answer over HTTP.
struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

/// Builds the example as the tests were built; nothing is left to do where it has been before.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this program has a path");
    let profile = test.ancestors().nth(2).expect("it is in target/*/deps");
    let target = profile.parent().expect("a profile is in target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--offline", "--example", "service"])
        .args(profile.ends_with("release").then_some("--release"))
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .arg("--target-dir")
        .arg(target);
    // What cargo tells a test of its package is news to build scripts: they would all run again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "the example service does not compile");
    profile.join("examples/service")
}

impl Service {
    /// Starts it, and waits until it says that it is open.
    async fn start(ground: &Ground, configure: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(program());
        // As of a user who has set nothing.
        command.env_clear().args(["--listen", "127.0.0.1:0"]);
        configure(&mut command);
        let log = ground.directory().join("service.log");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let before = said().len();
        let mut process = Server::start(ground, "service", command);
        let began = Instant::now();
        loop {
            let said = said();
            if let Some((introduction, _)) = said[before..].split_once("Ctrl-C closes it.") {
                let (_, place) = introduction
                    .split_once("http://")
                    .expect("the page's place");
                let (address, _) = place.split_once('/').expect("the page's place");
                let address = address.parse().expect("an address");
                return Self {
                    process,
                    address,
                    log,
                };
            }
            assert!(!process.has_ended(), "the service has ended: {said}");
            assert!(began.elapsed() < PATIENCE, "it does not open: {said}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("it has a log")
    }

    async fn send(&self, request: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let whole = async {
            let mut stream = TcpStream::connect(self.address).await.expect("it accepts");
            stream.write_all(text.as_bytes()).await.expect("it reads");
            let mut answer = String::new();
            let read = stream.read_to_string(&mut answer).await;
            read.expect("it answers in UTF-8");
            answer
        };
        let answer = tokio::time::timeout(PATIENCE, whole)
            .await
            .expect("in time");
        assert!(!answer.contains(PASSWORD), "{request} tells the password");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        Answer {
            status: head[9..12].parse().expect("a status"),
            body: body.to_owned(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), None).await
    }

    async fn order(&self, key: &str) -> Answer {
        let order = json!({ "key": key, "product": 2, "quantity": 3 });
        self.send("POST /orders", Some(order)).await
    }

    async fn is_ready_as(&self, wanted: u16) {
        let began = Instant::now();
        loop {
            let answer = self.get("/readyz").await;
            if answer.status == wanted {
                return;
            }
            let late = began.elapsed() > PATIENCE;
            assert!(!late, "/readyz is not {wanted}: {}", answer.body);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Orders, payments, reads and reports.
async fn sells(service: &Service) {
    let stock = async || {
        let products = service.get("/products").await;
        assert_eq!(products.status, 200, "{}", products.body);
        let products = products.json();
        assert_eq!(products.as_array().map(Vec::len), Some(5));
        products[1]["stock"].as_i64().expect("a number")
    };
    let before = stock().await;
    for status in [201, 200] {
        let taken = service.order("first").await;
        assert_eq!(taken.status, status, "{}", taken.body);
    }
    let other = json!({ "key": "first", "product": 2, "quantity": 4 });
    let other = service.send("POST /orders", Some(other)).await;
    assert_eq!(other.status, 409, "{}", other.body);
    assert_eq!(stock().await, before - 3, "an order sent twice counts once");
    assert_eq!(service.order("First").await.status, 201);
    assert_eq!(stock().await, before - 6, "another key is another order");
    let found = service.get("/orders/first").await.json();
    let expected = json!({ "key": "first", "product": 2, "quantity": 3, "paid": false });
    assert_eq!(found, expected);
    let paid = service.send("POST /orders/first/payment", None).await;
    assert_eq!(paid.status, 200, "{}", paid.body);
    assert_eq!(service.get("/orders/first").await.json()["paid"], true);
    let sales = service.get("/reports/sales").await;
    assert_eq!(sales.status, 200, "{}", sales.body);
    assert_eq!(
        sales.json(),
        json!([{ "product": "Teapot", "orders": 2, "cents": 23400 }])
    );
    assert_eq!(service.get("/orders/nobody's").await.status, 404);
    for nonsense in ["", "with space", "a\0", "é", &"k".repeat(65)] {
        let refused = service.order(nonsense).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
    }
    assert_eq!(service.get("/orders/%00").await.status, 422);
    assert_eq!(service.get("/nothing").await.status, 404);
}

/// What a supervisor, Prometheus and the page ask.
async fn tells_of_itself(service: &Service, place: &str) {
    assert_eq!(service.get("/healthz").await.status, 200);
    let ready = service.get("/readyz").await.json();
    assert_eq!(
        (&ready["ready"], &ready["writer"]),
        (&json!(true), &json!(place))
    );
    let metrics = service.get("/metrics").await.body;
    for series in [
        "db_client_operation_duration_bucket{",
        "db_client_connection_count{",
        "aurora_instance_up{",
        "role=\"writer\"",
    ] {
        assert!(metrics.contains(series), "no {series} in\n{metrics}");
    }
    let state = service.get("/api/state").await.json();
    assert_eq!(state["cluster"]["writer"], place);
    assert_eq!(state["simulated"], false);
    // Often enough to be among those that take the most time.
    for _ in 0..50 {
        assert_eq!(service.get("/reports/sales").await.status, 200);
    }
    let statements = service.get("/api/statements").await.json();
    for list in ["top", "slow"] {
        let texts = statements[list].as_array().expect("a list").iter();
        let mut texts = texts.filter_map(|one| one["text"].as_str());
        assert!(texts.any(|text| text.contains("orders")), "{statements}");
    }
    let top = statements["top"].as_array().expect("a list");
    let of_reports = top.iter().any(|one| one["workload"] == "reports");
    assert!(of_reports, "{statements}");
    assert_eq!(service.get("/api/failovers").await.json(), json!([]));
    // Nobody crashes a real server by a button.
    let crash = service
        .send("POST /api/simulator/crash", Some(json!({})))
        .await;
    assert_eq!(crash.status, 404);
    let page = service.get("/").await;
    assert!(page.status == 200 && page.body.contains("EventSource"));
}

/// Without its server it lives, is not ready, and says of each request what became of it.
async fn waits_for_the_server(service: &Service) {
    service.is_ready_as(503).await;
    assert_eq!(service.get("/healthz").await.status, 200);
    let obstacle = service.get("/readyz").await.json()["obstacle"].clone();
    assert!(obstacle.is_string(), "{obstacle}");
    let refused = service.order("lost").await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.json()["next"].is_string(), "{}", refused.body);
    let outcome = refused.json()["outcome"].clone();
    assert_eq!(outcome, "not applied: it was not sent");
}

async fn goes_on(service: &Service) {
    service.is_ready_as(200).await;
    assert_eq!(service.get("/orders/first").await.json()["paid"], true);
    let taken = service.order("second").await;
    assert_eq!(taken.status, 201, "{}", taken.body);
    let failovers = service.get("/api/failovers").await.json();
    assert_eq!(failovers.as_array().map(Vec::len), Some(1), "{failovers}");
}

/// A viewer and half a request are there when it is asked to end.
async fn closes(mut service: Service) {
    let connect = async || {
        TcpStream::connect(service.address)
            .await
            .expect("it accepts")
    };
    let (mut viewer, mut half) = (connect().await, connect().await);
    let asked = viewer.write_all(b"GET /api/stream HTTP/1.1\r\nHost: shop\r\n\r\n");
    asked.await.expect("it reads");
    let mut first = vec![0; 4096];
    let length = viewer.read(&mut first).await.expect("it tells the viewer");
    assert!(first[..length].starts_with(b"HTTP/1.1 200"));
    let asked = half.write_all(b"POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Le");
    asked.await.expect("it reads");

    let began = Instant::now();
    let status = service.process.end("TERM").await;
    assert_eq!(status.code(), Some(0), "{}", service.said());
    assert!(began.elapsed() < CLOSED_WITHIN);
    let said = service.said();
    assert!(said.contains("Closing."), "{said}");
    assert!(!said.contains(PASSWORD), "the password is in the log");
    assert!(
        said.contains("WARN") && said.contains("a write failed"),
        "{said}"
    );
    assert!(!said.contains('\x1b'), "a file is no terminal: {said}");
}

/// All of it: `restart` ends the server, waits for what it is given, and starts it again.
async fn serves_the_shop(ground: &Ground, url: &str, restart: impl AsyncFnOnce(&Service)) {
    let place = url.split(['@', '/']).nth(3).expect("a host");
    let service = Service::start(ground, |command| {
        command.args(["--database-url", url]);
    })
    .await;
    assert!(service.said().contains("2 migrations applied"));
    sells(&service).await;
    tells_of_itself(&service, place).await;
    restart(&service).await;
    goes_on(&service).await;
    closes(service).await;

    let mut service = Service::start(ground, |command| {
        command.env("SHOP_DATABASE_URL", url).args(["--load", "4"]);
    })
    .await;
    assert!(service.said().contains("0 migrations applied"));
    let began = Instant::now();
    while service.get("/api/state").await.json()["points"]
        .as_array()
        .is_none_or(|points| points.iter().all(|point| point["writes"] == 0))
    {
        assert!(began.elapsed() < PATIENCE, "no customer orders anything");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    refuses_what_cannot_be(&service, url);
    let status = service.process.end("INT").await;
    assert_eq!(status.code(), Some(0), "{}", service.said());
    assert!(!service.said().contains(PASSWORD));
}

/// URLs that cannot be used, and a place that is taken: each is told with what to do, and never
/// with the password.
fn refuses_what_cannot_be(running: &Service, url: &str) {
    let (scheme, _) = url.split_once("://").expect("a URL");
    let taken = running.address.to_string();
    let (taken, free) = (taken.as_str(), "127.0.0.1:0");
    let wrong = "open-sesame";
    let nameless = match scheme {
        "mysql" => (2, "names no database"),
        // The user's own, but the port is taken.
        _ => (1, "with --listen"),
    };
    for (listen, url, code, next) in [
        (
            taken,
            format!("{scheme}://app:{wrong}@localhost"),
            nameless.0,
            nameless.1,
        ),
        (
            free,
            format!("{scheme}://app:{wrong}@"),
            2,
            "a host is missing",
        ),
        (
            free,
            format!("oracle://app:{wrong}@localhost/shop"),
            2,
            "use `postgres`",
        ),
        (
            taken,
            format!("{scheme}://app:{wrong}@localhost/shop"),
            1,
            "with --listen",
        ),
        (taken, String::new(), 1, "with --listen"),
    ] {
        let mut command = Command::new(program());
        command.env_clear();
        command.args(["--listen", listen]);
        match url.as_str() {
            // An empty variable is as good as none.
            "" => command
                .env("SHOP_DATABASE_URL", "")
                .args(["--engine", "mysql"]),
            url => command.args(["--database-url", url]),
        };
        let output = command.output().expect("it can be started");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.starts_with("error: ") && said.contains(next), "{said}");
        assert!(!said.contains(wrong), "{said}");
    }
}

/// How many failed requests the log tells of, as the last of a line or as left out before it.
fn failures_told(said: &str) -> u64 {
    let lines = said.lines().filter_map(|line| {
        let (_, told) = line.split_once("service::failures: ")?;
        let others = told
            .split_once(" more failed since")
            .map_or("0", |(others, _)| {
                others.rsplit(' ').next().unwrap_or_default()
            });
        Some(1 + others.parse::<u64>().expect("a number"))
    });
    lines.sum()
}

#[test]
fn the_example_service_tells_of_every_request_that_fails_while_it_closes() {
    stand_on(&[], async |ground| {
        let mut service = Service::start(&ground, |command| {
            command.args(["--readers", "0", "--load", "30", "--drain", "0s"]);
        })
        .await;
        // Its customers wait for it then, and fail one and all some seconds after the end began.
        let silence = "POST /api/simulator/instances/shop-instance-1/silence";
        let silent = service.send(silence, Some(json!({}))).await;
        assert_eq!(silent.status, 200, "{}", silent.body);
        service.is_ready_as(503).await;
        let status = service.process.end("TERM").await;
        let said = service.said();
        assert_eq!(status.code(), Some(0), "{said}");
        let (sum, _) = said.rsplit_once(" errors.").expect("the sum of it all");
        let errors = sum.rsplit(' ').next().and_then(|count| count.parse().ok());
        assert!(errors >= Some(30), "{said}");
        assert_eq!(Some(failures_told(&said)), errors, "{said}");
    });
}

#[test]
fn the_example_service_runs_over_a_single_postgresql_server() {
    stand_on(&[Need::Postgres], async |ground| {
        let mut server = SinglePostgres::start(&ground).await;
        serves_the_shop(&ground, &single_url("postgres"), async |service| {
            server.server.end("INT").await;
            waits_for_the_server(service).await;
            server = SinglePostgres::start_again(&ground).await;
        })
        .await;
        server.server.end("INT").await;
    });
}

#[test]
fn the_example_service_runs_over_a_single_mariadb_server() {
    stand_on(&[Need::MariaDb], async |ground| {
        let mut server = MariaDb::start(&ground).await;
        serves_the_shop(&ground, &mariadb_url(), async |service| {
            server.0.end("TERM").await;
            waits_for_the_server(service).await;
            server = MariaDb::start_again(&ground).await;
        })
        .await;
        server.0.end("TERM").await;
    });
}
