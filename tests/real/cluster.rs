//! One primary, two standbys, and what a control plane does with them.
//!
//! The primary acknowledges a commit only when a standby has it on its disk
//! (`synchronous_standby_names`), and the standby that has received most is promoted: so whatever
//! was acknowledged survives, as on a shared volume. A promoted standby waits for nobody until
//! another follows it, as a cluster manager would have it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aurora_driver::postgres::tokio_postgres::{self, Client, NoTls, SimpleQueryMessage};
use tokio::task::JoinHandle;

use crate::ground::{Ground, postgres_programs};
use crate::network::Cuts;
use crate::process::{Processes, Server};

/// The instances: the last part of their addresses is their name.
pub(crate) const INSTANCES: [&str; 3] = ["21", "22", "23"];
/// Unusual, as without a network of one's own it is the machine's.
pub(crate) const PORT: u16 = 54_329;
pub(crate) const SUPERUSER: &str = "rdsadmin";
pub(crate) const PASSWORD: &str = "rehearsal";

/// For anything that is only waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The same for all: what differs is on the command line.
const SETTINGS: &str = "\
fsync = off
port = 54329
unix_socket_directories = ''
wal_level = replica
wal_log_hints = on
wal_keep_size = 256MB
max_wal_senders = 8
hot_standby = on
hot_standby_feedback = on
wal_retrieve_retry_interval = 10ms
wal_receiver_status_interval = 1s
synchronous_commit = on
shared_buffers = 32MB
max_connections = 100
dynamic_shared_memory_type = mmap
log_line_prefix = '%m [%p] '
log_min_messages = log
jit = off
";

/// Reachable from loopback only.
const ACCESS: &str = "\
host all all 127.0.0.0/8 scram-sha-256
host replication all 127.0.0.0/8 scram-sha-256
";

/// A table without a key, so that a number written twice is there twice; and one for polling.
const SCHEMA: &str = "\
CREATE ROLE app LOGIN PASSWORD 'rehearsal';
CREATE DATABASE shop OWNER app;";
const TABLES: &str = "\
CREATE TABLE writes (number bigint NOT NULL, server text NOT NULL);
CREATE TABLE polls (at timestamptz NOT NULL DEFAULT now());
GRANT ALL ON writes, polls TO app;";

/// What `aurora_replica_status()` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Who replicates: a writer shows the standbys that follow it, a standby itself and its writer.
    Replication,
    /// All three at all times, dead or alive.
    Members,
    /// As `Replication`, but a writer takes so long to tell.
    Delayed(Duration),
}

impl View {
    fn settings(self) -> Vec<String> {
        match self {
            Self::Replication => Vec::new(),
            Self::Delayed(delay) => vec![format!("aurora.delay={}", delay.as_secs_f64())],
            Self::Members => vec![format!("aurora.members={}", INSTANCES.join(","))],
        }
    }
}

/// Three real servers.
#[derive(Debug)]
pub(crate) struct RealCluster {
    ground: Ground,
    view: View,
    programs: PathBuf,
    nodes: BTreeMap<&'static str, Node>,
    writer: &'static str,
    cuts: Cuts,
}

#[derive(Debug)]
struct Node {
    server: Option<Server>,
    /// The control plane's own connection, open all the time.
    control: Option<Client>,
}

/// A promotion as the control plane saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promotion {
    pub(crate) ordered_at: Instant,
    /// When the server said that it is promoted.
    pub(crate) done_at: Instant,
}

pub(crate) fn address(id: &str) -> Ipv4Addr {
    Ipv4Addr::new(
        127,
        0,
        0,
        id.parse().expect("instances are named by numbers"),
    )
}

impl RealCluster {
    /// Starts all three, the first as the primary, and waits until both standbys follow it.
    pub(crate) async fn start(ground: Ground, view: View) -> Self {
        let programs = postgres_programs().expect("the test needs it, so it was looked for");
        let nodes = INSTANCES.map(|id| {
            let node = Node {
                server: None,
                control: None,
            };
            (id, node)
        });
        let mut cluster = Self {
            ground,
            view,
            programs,
            nodes: nodes.into(),
            writer: INSTANCES[0],
            cuts: Cuts::default(),
        };
        cluster.initialize().await;
        for id in INSTANCES {
            if id != cluster.writer {
                cluster.become_standby(id);
            }
            cluster.boot(id).await;
        }
        let primary = cluster.control(cluster.writer);
        wait_for(
            "both standbys",
            primary,
            "SELECT count(*) = 2 FROM pg_stat_replication WHERE state = 'streaming'",
        )
        .await;
        cluster.wait_for_standbys(cluster.writer).await;
        cluster
    }

    /// Fills a data directory and copies it: standbys begin as the primary's twins.
    async fn initialize(&mut self) {
        let first = self.writer;
        let data = self.data(first);
        initialize(&self.ground, &self.programs, &data);
        self.boot(first).await;
        let control = self.control(first);
        for statement in SCHEMA.lines() {
            control.batch_execute(statement).await.expect("the schema");
        }
        // Functions in the catalog belong to one database.
        let shop = connect(first, "shop", SUPERUSER)
            .await
            .expect("the database is new");
        let functions = include_str!("aurora.sql");
        shop.batch_execute(functions).await.expect("the functions");
        shop.batch_execute(TABLES).await.expect("the tables");
        self.shut_down(first).await;
        for id in &INSTANCES[1..] {
            let (from, to) = (
                data.display().to_string(),
                self.data(id).display().to_string(),
            );
            self.ground.run("/bin/cp".as_ref(), &["-a", &from, &to]);
        }
    }

    fn data(&self, id: &str) -> PathBuf {
        self.ground.directory().join(id)
    }

    pub(crate) fn writer(&self) -> &'static str {
        self.writer
    }

    /// The standbys that run.
    pub(crate) fn readers(&self) -> impl Iterator<Item = &'static str> {
        let running = self.nodes.iter().filter(|(_, node)| node.server.is_some());
        let ids = running.map(|(id, _)| *id);
        ids.filter(|id| *id != self.writer)
    }

    /// What the driver is given: the first instance as the seed.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://app:{PASSWORD}@{}:{PORT}/shop?instance_pattern=127.0.0.?",
            address(INSTANCES[0])
        )
    }

    fn control(&self, id: &str) -> &Client {
        let control = self.nodes[id].control.as_ref();
        control.expect("the control plane is connected to who runs")
    }

    /// A connection of the application's user, beside the driver.
    pub(crate) async fn connect(&self, id: &str) -> Client {
        let connected = connect(id, "shop", "app").await;
        connected.unwrap_or_else(|error| panic!("{id}: {error}"))
    }

    /// The numbers that are in the table, with the servers that wrote them.
    pub(crate) async fn written(&self, id: &str) -> Vec<(i64, String)> {
        let client = self.connect(id).await;
        let rows = client.query("SELECT number, server FROM writes", &[]).await;
        let rows = rows.expect("the table can be read");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    async fn boot(&mut self, id: &'static str) {
        let (server, control) =
            launch(&self.ground, &self.programs, id, &self.view.settings()).await;
        self.nodes.insert(
            id,
            Node {
                server: Some(server),
                control: Some(control),
            },
        );
    }

    /// Asked to end politely: it sends its standbys all that they lack.
    pub(crate) async fn shut_down(&mut self, id: &'static str) {
        let node = self.nodes.get_mut(id).expect("it is an instance");
        let mut server = node.server.take().expect("it runs");
        // The control plane's own connection ends with it.
        node.control = None;
        server.end("INT").await;
    }

    /// SIGKILL for all its processes at the same moment.
    pub(crate) fn kill(&mut self, id: &str) {
        let node = self.nodes.get_mut(id).expect("it is an instance");
        let mut server = node.server.take().expect("it runs");
        node.control = None;
        server.kill();
    }

    /// SIGSTOP for all its processes: its kernel goes on acknowledging what they are sent.
    pub(crate) fn stop(&self, id: &str) {
        self.server(id).processes().signal_all("STOP");
    }

    pub(crate) fn resume(&self, id: &str) {
        self.server(id).processes().signal_all("CONT");
    }

    fn server(&self, id: &str) -> &Server {
        self.nodes[id].server.as_ref().expect("it runs")
    }

    /// From now on no packet reaches it or leaves it, replication included.
    pub(crate) async fn cut(&mut self, id: &'static str) {
        let ports = if id == self.writer {
            Vec::new()
        } else {
            self.replication_ports(id).await
        };
        self.cut_off(id, ports);
    }

    /// As [`cut`](Self::cut), for a writer: its standbys come to it, so there is nothing to ask.
    pub(crate) fn cut_off(&mut self, id: &'static str, ports: Vec<u16>) {
        self.cuts.cut(address(id), ports);
    }

    pub(crate) fn heal(&mut self, id: &str) {
        self.cuts.heal(address(id));
    }

    /// A standby goes to its primary from 127.0.0.1, as any client on loopback does.
    async fn replication_ports(&self, id: &str) -> Vec<u16> {
        let question =
            format!("SELECT client_port FROM pg_stat_replication WHERE application_name = '{id}'");
        let rows = ask(self.control(self.writer), &question).await;
        let port = |text: String| text.parse().expect("a port");
        rows.into_iter().map(port).collect()
    }

    /// Lets it run only a part of the time, until the returned guard is dropped: each answer then
    /// takes up to `pause`.
    pub(crate) fn slow(&self, id: &str, run: Duration, pause: Duration) -> Slowness {
        let server = self.server(id).processes();
        Slowness::new(server, run, pause)
    }

    /// The standby that has received most: it has all that was acknowledged.
    pub(crate) async fn best_standby(&self) -> &'static str {
        let mut best = None;
        for id in self.readers() {
            let question = "SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn";
            let received = ask(self.control(id), question).await;
            let received: u64 = received[0].parse().expect("a position");
            if best.is_none_or(|(most, _)| received > most) {
                best = Some((received, id));
            }
        }
        best.expect("a standby runs").1
    }

    /// Makes a standby the primary. The other one follows it only when it is
    /// [told to](Self::reunite): until then the writer waits for nobody and shows itself alone, as
    /// Aurora's does.
    pub(crate) async fn promote(&mut self, id: &'static str) -> Promotion {
        let ordered_at = Instant::now();
        // Its own way to wait looks every 100 ms.
        let ordered = ask(self.control(id), "SELECT pg_promote(false)").await;
        assert_eq!(ordered, ["t"], "{id} cannot be promoted");
        wait_for(
            "promotion",
            self.control(id),
            "SELECT NOT pg_is_in_recovery()",
        )
        .await;
        let done_at = Instant::now();
        self.writer = id;
        Promotion {
            ordered_at,
            done_at,
        }
    }

    /// Lets the standbys follow the new writer, but for the earlier one.
    pub(crate) async fn reunite(&self, earlier: &str) {
        for standby in self.readers().filter(|id| *id != earlier) {
            self.follow(standby).await;
        }
    }

    /// Points a running standby to the writer, waits for it, and lets the writer wait for standbys.
    async fn follow(&self, id: &str) {
        let control = self.control(id);
        let source = self.source();
        let change = format!("ALTER SYSTEM SET primary_conninfo = '{source}'");
        control
            .batch_execute(&change)
            .await
            .expect("a superuser may");
        ask(control, "SELECT pg_reload_conf()").await;
        self.wait_for_standbys(self.writer).await;
    }

    /// From now on a commit waits for a standby.
    async fn wait_for_standbys(&self, writer: &str) {
        let control = self.control(writer);
        let any = "SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'streaming'";
        wait_for("a standby", control, any).await;
        let change = "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'";
        control
            .batch_execute(change)
            .await
            .expect("a superuser may");
        ask(control, "SELECT pg_reload_conf()").await;
        let set = "SELECT current_setting('synchronous_standby_names') <> ''";
        wait_for("the setting", control, set).await;
    }

    fn source(&self) -> String {
        let host = address(self.writer);
        format!("host={host} port={PORT} user={SUPERUSER} password={PASSWORD} connect_timeout=2")
    }

    /// Makes its data directory that of a standby of the writer.
    fn become_standby(&self, id: &str) {
        let data = self.data(id);
        self.ground.write(&data.join("standby.signal"), "");
        let source = format!("primary_conninfo = '{}'\n", self.source());
        self.ground
            .write(&data.join("postgresql.auto.conf"), &source);
    }

    /// Brings an earlier primary back as a standby, from a fresh copy: it may have written what
    /// nobody has. Ends it first if it still runs.
    pub(crate) async fn rejoin(&mut self, id: &'static str) {
        if self.nodes[id].server.is_some() {
            self.kill(id);
        }
        self.heal(id);
        let data = self.data(id);
        std::fs::remove_dir_all(&data).expect("nobody uses it any more");
        self.ground.run(
            &self.programs.join("pg_basebackup"),
            &[
                "--no-sync",
                "--checkpoint=fast",
                "--wal-method=stream",
                &format!("--dbname={}", self.source()),
                &format!("--pgdata={}", data.display()),
            ],
        );
        self.restart_as_standby(id).await;
    }

    /// Starts an instance that was shut down or killed, as a standby with the data that it has.
    pub(crate) async fn restart_as_standby(&mut self, id: &'static str) {
        self.become_standby(id);
        self.boot(id).await;
        let follows = format!(
            "SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'streaming' \
             AND application_name = '{id}'"
        );
        let writer = self.control(self.writer);
        wait_for("the earlier primary as a standby", writer, &follows).await;
    }
}

/// Fills a data directory.
pub(crate) fn initialize(ground: &Ground, programs: &Path, data: &Path) {
    let password = ground.directory().join("password");
    ground.write(&password, PASSWORD);
    ground.run(
        &programs.join("initdb"),
        &[
            "--no-sync",
            "--no-instructions",
            "--encoding=UTF8",
            "--auth=scram-sha-256",
            &format!("--username={SUPERUSER}"),
            &format!("--pwfile={}", password.display()),
            &format!("--pgdata={}", data.display()),
        ],
    );
    ground.write(&data.join("pg_hba.conf"), ACCESS);
    ground.write(&data.join("postgresql.conf"), SETTINGS);
}

/// Starts a server on its data directory, and waits until it takes connections.
pub(crate) async fn launch(
    ground: &Ground,
    programs: &Path,
    id: &str,
    settings: &[String],
) -> (Server, Client) {
    let mut command = ground.command(&programs.join("postgres"));
    command
        .arg(format!("-D{}", ground.directory().join(id).display()))
        .args(["-c", &format!("listen_addresses={}", address(id))])
        .args(["-c", &format!("cluster_name={id}")])
        .args(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
    let mut server = Server::start(ground, id, command);
    let began = Instant::now();
    loop {
        match connect(id, "postgres", SUPERUSER).await {
            Ok(control) => return (server, control),
            Err(error) => {
                assert!(!server.has_ended(), "{id} has ended: {error}");
                assert!(began.elapsed() < PATIENCE, "{id} does not start: {error}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// A server that only runs some of the time, like one on a machine that is much too small.
#[derive(Debug)]
pub(crate) struct Slowness(JoinHandle<()>, Processes);

impl Slowness {
    fn new(server: Processes, run: Duration, pause: Duration) -> Self {
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(run).await;
                server.signal_all("STOP");
                tokio::time::sleep(pause).await;
                server.signal_all("CONT");
            }
        });
        Self(task, server)
    }
}

impl Drop for Slowness {
    fn drop(&mut self) {
        self.0.abort();
        self.1.signal_all("CONT");
    }
}

async fn connect(id: &str, database: &str, user: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config
        .host(address(id).to_string())
        .port(PORT)
        .dbname(database)
        .user(user)
        .password(PASSWORD)
        .application_name("rig")
        .connect_timeout(Duration::from_secs(2));
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        // Its end is noticed by whoever uses the client.
        let _ = connection.await;
    });
    Ok(client)
}

/// The first column of the answer.
pub(crate) async fn ask(client: &Client, question: &str) -> Vec<String> {
    let answer = tokio::time::timeout(PATIENCE, client.simple_query(question)).await;
    let messages = answer.expect("an answer in time");
    let messages = messages.unwrap_or_else(|error| panic!("{question}: {error}"));
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    });
    rows.collect()
}

/// Waits until a question is answered by yes.
async fn wait_for(what: &str, client: &Client, question: &str) {
    let began = Instant::now();
    while ask(client, question).await != ["t"] {
        assert!(began.elapsed() < PATIENCE, "no {what} in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
