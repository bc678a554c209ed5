//! The pools over a backend without a network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::dialer::Dialer;
use super::roster::Roster;
use super::set::PoolSet;
use super::upkeep;
use crate::config::{Config, PoolLimits};
use crate::engine::record::Record;
use crate::engine::reporter::Reporter;
use crate::engine::{Backend, Condition, Dial, Failure, Survey};
use crate::error::{Error, ErrorKind};
use crate::event::EventSender;
use crate::id::{EngineKind, InstanceId};
use crate::rng::Rng;
use crate::routing::Scope;
use crate::task::TaskSet;
use crate::time::{self, Instant};
use crate::topology::Topology;
use crate::topology::apply::apply;
use crate::topology::cadence::{Cadence, Target};
use crate::topology::monitor::{Monitor, Prober};
use crate::topology::observation::{Observation, Report, Row, Way};

/// Every name leads to the instance `9`, and no connection is ever refused.
#[derive(Debug)]
struct OneServer;

#[derive(Debug)]
struct Client {
    is_broken: Arc<AtomicBool>,
    reporter: Reporter,
}

impl Backend for OneServer {
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

    async fn connect(dial: Dial) -> Result<Client, Failure> {
        Ok(Client {
            is_broken: Arc::default(),
            reporter: dial.reporter,
        })
    }

    async fn survey(_: &mut Client) -> Result<Survey, Failure> {
        Ok(Survey {
            identity: Some(InstanceId::new("9")),
            is_writer: true,
            server_now_micros: 1,
            rows: Vec::new(),
        })
    }

    async fn ping(client: &mut Client) -> Result<(), Failure> {
        if Self::condition(client) == Condition::Clean {
            return Ok(());
        }
        Err(Failure::timed_out("it is broken"))
    }

    fn condition(client: &Client) -> Condition {
        if client.is_broken.load(Ordering::Relaxed) {
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
        client.is_broken.store(true, Ordering::Relaxed);
    }
}

struct Bench {
    roster: Arc<Roster<OneServer>>,
    pools: Arc<PoolSet<OneServer>>,
    _tasks: TaskSet,
}

impl Bench {
    /// Pools of the instances `8` and `9`.
    fn new() -> Self {
        let url = "postgres://app:app@127.0.0.1/app?instance_pattern=127.0.0.%3F";
        let config = Arc::new(Config::from_url(url).unwrap());
        let tasks = TaskSet::new();
        let dialer = Dialer::new(Arc::clone(&config), tasks.spawner()).unwrap();
        let cadence = Cadence::new(1, config.timing.probe_interval, Rng::from_entropy());
        let (_monitor, news, _published) = Monitor::new(cadence, EventSender::new(None));
        let roster = Arc::new(Roster::new(dialer.clone(), news));
        let pools = Arc::new(PoolSet::new(dialer, Scope::Everywhere));
        roster.attach(&pools);
        roster.carry_out(&topology(&["8", "9"]), &[]);
        Self {
            roster,
            pools,
            _tasks: tasks,
        }
    }

    async fn probe(&self, instance: &str) -> Report {
        let target = Target::Instance(InstanceId::new(instance));
        self.roster.ask(&target, time::now()).await.unwrap()
    }

    /// The monitor's connection to an instance.
    fn standing(&self, instance: &str) -> Option<Client> {
        let station = self.roster.station(&InstanceId::new(instance))?;
        station.take().map(|(client, _)| client)
    }

    fn keep_standing(&self, instance: &str, client: Client) {
        let station = self.roster.station(&InstanceId::new(instance)).unwrap();
        let (generation, end, _) = station.reporter();
        station.keep(client, generation, end);
    }

    fn standing_for_first_use(&self, instance: &str) -> Option<Client> {
        let member = self.member(instance);
        member.take_standing_for_first_use(member.generation())
    }

    fn member(&self, instance: &str) -> Arc<super::member::Member<OneServer>> {
        let pools = self.pools.all().into_iter();
        let mut members: BTreeMap<_, _> = pools
            .map(|pool| (pool.member().id().to_string(), Arc::clone(pool.member())))
            .collect();
        members.remove(instance).expect("there is such a pool")
    }

    async fn checkout(&self, instance: &str, deadline: Instant) -> Result<(), ErrorKind> {
        let instance = InstanceId::new(instance);
        let Some(pool) = self.pools.pool(&instance) else {
            return Err(ErrorKind::Connect);
        };
        let answer = pool.checkout(0, deadline).await;
        answer.map(drop).map_err(|failure| failure.error.kind())
    }
}

/// What `9`, the writer, shows of its cluster.
fn topology(instances: &[&str]) -> Topology {
    let row = |id: &&str| Row {
        id: InstanceId::new(id),
        is_writer: *id == "9",
        updated_micros: Some(1),
        lag_millis: Some(1.0),
    };
    let now = time::now();
    let report = Report {
        identity: InstanceId::new("9"),
        asked_at: now,
        is_writer: true,
        server_now_micros: 1,
        way: Way::Standing,
        rows: instances.iter().map(row).collect(),
    };
    apply(&Topology::empty(), &Observation::Report(report), now).next
}

#[tokio::test]
async fn a_probes_connection_is_kept_only_if_it_leads_where_its_name_says() {
    let bench = Bench::new();
    bench.probe("9").await;
    assert!(bench.standing("9").is_some());
    let report = bench.probe("8").await;
    assert_eq!(report.identity.as_str(), "9", "the name leads elsewhere");
    assert!(bench.standing("8").is_none());
}

#[tokio::test(start_paused = true)]
async fn the_monitors_connection_is_handed_over_while_it_is_fresh() {
    let bench = Bench::new();
    bench.probe("9").await;
    assert!(bench.standing_for_first_use("9").is_some());
    assert!(bench.standing_for_first_use("9").is_none(), "given away");
}

#[tokio::test(start_paused = true)]
async fn the_monitors_connection_is_not_handed_over_when_long_unused_or_broken() {
    let bench = Bench::new();
    bench.probe("9").await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(bench.standing_for_first_use("9").is_none());
    assert!(bench.standing("9").is_some(), "the next probe may judge it");

    let bench = Bench::new();
    bench.probe("9").await;
    let client = bench.standing("9").unwrap();
    let is_broken = Arc::clone(&client.is_broken);
    bench.keep_standing("9", client);
    is_broken.store(true, Ordering::Relaxed);
    assert!(bench.standing_for_first_use("9").is_none());
}

#[tokio::test(start_paused = true)]
async fn closed_pools_open_keep_and_add_nothing() {
    let bench = Bench::new();
    let deadline = time::now() + Duration::from_secs(1);
    assert_eq!(bench.checkout("9", deadline).await, Ok(()));
    assert_eq!(bench.pools.close(deadline).await, 0);
    bench.roster.close();
    bench.keep_standing(
        "9",
        Client {
            is_broken: Arc::default(),
            reporter: Reporter::silent(),
        },
    );
    assert!(bench.standing("9").is_none());
    let refused = bench.checkout("9", deadline).await;
    assert_eq!(refused, Err(ErrorKind::Closed));
    bench.roster.carry_out(&topology(&["7", "8", "9"]), &[]);
    assert_eq!(bench.pools.all().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_connections_to_instances_that_have_left() {
    let bench = Bench::new();
    let deadline = time::now() + Duration::from_secs(1);
    let eight = InstanceId::new("8");
    let pool = bench.pools.pool(&eight).unwrap();
    let held = pool.checkout(0, deadline).await.unwrap();
    bench.roster.carry_out(&topology(&["9"]), &[]);
    assert!(!held.is_outdated(), "who leaves may still answer");
    let refused = bench.checkout("8", deadline).await;
    assert_eq!(refused, Err(ErrorKind::Connect));
    assert_eq!(bench.pools.close(deadline).await, 1);
    assert!(held.is_outdated());
}

#[tokio::test(start_paused = true)]
async fn all_idle_connections_of_a_pool_and_no_more_are_taken_at_once() {
    let bench = Bench::new();
    let nine = InstanceId::new("9");
    let deadline = time::now() + Duration::from_secs(1);
    let pool = bench.pools.pool(&nine).unwrap();
    let mut held = Vec::new();
    while let Some(lease) = pool.checkout_at_once(deadline).await.unwrap() {
        held.push(lease);
    }
    assert_eq!(held.len(), PoolLimits::default().max);
    held.pop();
    let again = pool.checkout_at_once(deadline).await.unwrap();
    assert!(again.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_monitors_idle_connections_are_kept_alive_and_broken_ones_found() {
    let bench = Bench::new();
    bench.probe("9").await;
    let upkeep = upkeep::run(Arc::clone(&bench.roster), Rng::seeded(1));
    tokio::pin!(upkeep);
    let minute = Duration::from_secs(60);
    let _ = tokio::time::timeout(minute, &mut upkeep).await;
    let client = bench.standing("9").expect("it answers");
    client.is_broken.store(true, Ordering::Relaxed);
    bench.keep_standing("9", client);
    let _ = tokio::time::timeout(minute, &mut upkeep).await;
    assert!(bench.standing("9").is_none(), "it does not answer");
}
