//! A server for tests of pools: no network, and as slow, full, dead or silent as it is told. Who
//! asks it is told that it is the instance `9`, the writer.

pub(super) mod cluster;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::dialer::Dialer;
use super::instance::InstancePool;
use super::lease::Lease;
use super::member::Member;
use super::station::Station;
use crate::config::Config;
use crate::engine::record::Record;
use crate::engine::reporter::Reporter;
use crate::engine::{Backend, Condition, Dial, Failure, Survey};
use crate::error::{Error, ErrorKind};
use crate::id::{EngineKind, Generation, InstanceId};
use crate::resolve::{Lookup, Resolver};
use crate::task::TaskSet;
use crate::time::{self, Instant};
use crate::topology::monitor::News;
use crate::topology::observation::{Fault, Observation};

/// How the server behaves, and what it has seen.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) login_time: Duration,
    pub(super) ping_time: Duration,
    pub(super) refuses: bool,
    /// Its logins panic, as a provider of passwords may.
    pub(super) panics: bool,
    pub(super) is_silent: bool,
    pub(super) capacity: usize,
    pub(super) open: usize,
    pub(super) most_open: usize,
    /// How many there have been.
    pub(super) opened: usize,
    pub(super) logging_in: usize,
    pub(super) most_logging_in: usize,
    pub(super) too_many: usize,
    pub(super) attempts: Vec<Instant>,
    /// Each ended all connections of before it.
    pub(super) crashes: usize,
    /// Where its custom endpoint leads; `None` while DNS does not answer.
    pub(super) endpoint_leads_to: Option<Vec<IpAddr>>,
    pub(super) lookups: Vec<Instant>,
    pub(super) pings: usize,
}

pub(super) type Shared = Arc<Mutex<Server>>;

/// The servers of all tests, by the name of the database.
static SERVERS: Mutex<BTreeMap<String, Shared>> = Mutex::new(BTreeMap::new());
static NUMBER: AtomicU64 = AtomicU64::new(0);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(super) struct Told;

#[derive(Debug)]
pub(super) struct Client {
    server: Shared,
    reporter: Reporter,
    is_broken: AtomicBool,
    /// How many crashes there had been when it was opened.
    crashes: usize,
}

impl Client {
    fn has_crashed(&self) -> bool {
        lock(&self.server).crashes > self.crashes
    }

    pub(super) fn break_it(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        lock(&self.server).open -= 1;
    }
}

fn failure(fault: Fault, kind: ErrorKind) -> Failure {
    Failure {
        fault,
        error: Error::new(kind, "so it was told"),
    }
}

/// A login under way.
struct Knocking(Shared);

impl Knocking {
    fn at(server: &Shared) -> Self {
        let mut locked = lock(server);
        locked.attempts.push(time::now());
        locked.logging_in += 1;
        locked.most_logging_in = locked.most_logging_in.max(locked.logging_in);
        Self(Arc::clone(server))
    }
}

impl Drop for Knocking {
    fn drop(&mut self) {
        lock(&self.0).logging_in -= 1;
    }
}

impl Backend for Told {
    const KIND: EngineKind = EngineKind::Postgres;

    type Client = Client;

    type Transaction<'a> = &'a mut Client;

    async fn begin(client: &mut Client) -> Result<&mut Client, Error> {
        Ok(client)
    }

    async fn commit(_: &mut Client) -> Result<(), Error> {
        Ok(())
    }

    fn begin_record(_: &mut Client) {}

    fn record(_: &Client) -> Record {
        Record::default()
    }

    /// The custom endpoint of each server has its name.
    async fn resolve_anew(_: &Resolver, host: &str) -> Result<(Lookup, Duration), Error> {
        let server = lock(&SERVERS).get(host).cloned().expect("it was started");
        let mut server = lock(&server);
        server.lookups.push(time::now());
        let addresses = server.endpoint_leads_to.clone();
        let addresses = addresses.ok_or_else(|| Error::new(ErrorKind::Resolve, "no answer"))?;
        let lookup = Lookup {
            addresses: addresses.into(),
            canonical: None,
            stale: false,
        };
        Ok((lookup, Duration::from_secs(5)))
    }

    async fn connect(dial: Dial) -> Result<Client, Failure> {
        let name = dial.config.database.clone().unwrap_or_default();
        let server = lock(&SERVERS).get(&name).cloned().expect("it was started");
        let _knocking = Knocking::at(&server);
        let (silent, login_time) = {
            let server = lock(&server);
            (server.is_silent, server.login_time)
        };
        let login = async {
            if silent {
                std::future::pending::<()>().await;
            }
            if login_time > Duration::ZERO {
                tokio::time::sleep(login_time).await;
            }
        };
        if tokio::time::timeout_at(dial.deadline, login).await.is_err() {
            return Err(Failure::timed_out("so it was told"));
        }
        let mut locked = lock(&server);
        if locked.panics {
            drop(locked);
            panic!("so it was told");
        }
        if locked.refuses {
            return Err(failure(Fault::Refused, ErrorKind::Connect));
        }
        if locked.open >= locked.capacity {
            locked.too_many += 1;
            return Err(failure(Fault::Full, ErrorKind::Overloaded));
        }
        locked.open += 1;
        locked.opened += 1;
        locked.most_open = locked.most_open.max(locked.open);
        let crashes = locked.crashes;
        drop(locked);
        Ok(Client {
            server,
            crashes,
            reporter: dial.reporter,
            is_broken: AtomicBool::new(false),
        })
    }

    async fn survey(client: &mut Client) -> Result<Survey, Failure> {
        Self::ping(client).await?;
        Ok(Survey {
            identity: Some(InstanceId::new("9")),
            is_writer: true,
            server_now_micros: 1,
            rows: Vec::new(),
        })
    }

    async fn ping(client: &mut Client) -> Result<(), Failure> {
        let (silent, ping_time) = {
            let mut server = lock(&client.server);
            server.pings += 1;
            (server.is_silent, server.ping_time)
        };
        client.break_it();
        if silent {
            std::future::pending::<()>().await;
        }
        if ping_time > Duration::ZERO {
            tokio::time::sleep(ping_time).await;
        }
        if client.has_crashed() {
            return Err(failure(Fault::Lost, ErrorKind::Connect));
        }
        client.is_broken.store(false, Ordering::Relaxed);
        client.reporter.pulse().beat();
        Ok(())
    }

    fn condition(client: &Client) -> Condition {
        if client.is_broken.load(Ordering::Relaxed) || client.has_crashed() {
            Condition::Broken
        } else {
            Condition::Clean
        }
    }

    async fn clean(_: &mut Client) -> Result<(), Failure> {
        Ok(())
    }

    fn reporter(client: &Client) -> &Reporter {
        &client.reporter
    }

    fn kill(client: Client) {
        drop(client);
    }
}

/// A new server, and what leads to it: with these keys in its URL every one-digit instance does.
pub(super) fn start(keys: &str) -> (Shared, Arc<Config>) {
    let name = format!("told{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let server = Arc::new(Mutex::new(Server {
        login_time: Duration::ZERO,
        ping_time: Duration::ZERO,
        refuses: false,
        panics: false,
        is_silent: false,
        capacity: usize::MAX,
        open: 0,
        most_open: 0,
        opened: 0,
        logging_in: 0,
        most_logging_in: 0,
        too_many: 0,
        attempts: Vec::new(),
        crashes: 0,
        endpoint_leads_to: None,
        lookups: Vec::new(),
        pings: 0,
    }));
    lock(&SERVERS).insert(name.clone(), Arc::clone(&server));
    let url = format!("postgres://app:app@127.0.0.1/{name}?instance_pattern=127.0.0.%3F&{keys}");
    (server, Arc::new(Config::from_url(&url).unwrap()))
}

/// How many connections were told to have ended, by cause.
pub(super) fn told_ends(exported: &PrometheusHandle) -> BTreeMap<String, usize> {
    let text = exported.render();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("aurora_connections_ended"));
    let told = lines.map(|line| {
        let (_, cause) = line.split_once("cause=\"").expect("a cause");
        let (cause, _) = cause.split_once('"').expect("its end");
        let count = line.rsplit(' ').next().and_then(|count| count.parse().ok());
        (cause.to_owned(), count.expect("a count"))
    });
    told.collect()
}

/// What a monitor, which there is not, would hear.
#[derive(Debug)]
pub(super) struct Mailbox(Mutex<mpsc::Receiver<Observation>>);

impl Mailbox {
    pub(super) fn new() -> (News, Self) {
        let (news, receiver) = News::mailbox();
        (news, Self(Mutex::new(receiver)))
    }

    /// What was told since the last look.
    pub(super) fn read(&self) -> Vec<Observation> {
        let mut receiver = lock(&self.0);
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    /// The faults among it.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let faults = self.read().into_iter().filter_map(|told| match told {
            Observation::Trouble { fault, .. } => Some(fault),
            _ => None,
        });
        faults.collect()
    }
}

/// One pool and its server.
pub(super) struct Bench {
    pub(super) pool: Arc<InstancePool<Told>>,
    pub(super) mailbox: Mailbox,
    server: Shared,
    _tasks: TaskSet,
}

impl Bench {
    /// With these keys in the URL.
    pub(super) fn new(keys: &str) -> Self {
        let (server, config) = start(keys);
        let (news, mailbox) = Mailbox::new();
        let tasks = TaskSet::new();
        let dialer = Dialer::new(config, tasks.spawner()).unwrap();
        let station = Station::new(
            InstanceId::new("9"),
            Generation::default(),
            dialer.clone(),
            news,
            Arc::new(Notify::new()),
            CancellationToken::new(),
        );
        let member = Member::new(Arc::new(station.unwrap()), dialer, Arc::default());
        Self {
            pool: Arc::new(InstancePool::new(member).unwrap()),
            mailbox,
            server,
            _tasks: tasks,
        }
    }

    pub(super) fn server(&self) -> MutexGuard<'_, Server> {
        lock(&self.server)
    }

    /// A connection of a server that lets everybody in, if need be after a while.
    pub(super) async fn checkout(&self) -> Lease<Told> {
        let deadline = time::now() + Duration::from_secs(30);
        let lease = self.pool.checkout(0, deadline).await;
        lease.expect("the server lets us in")
    }
}
