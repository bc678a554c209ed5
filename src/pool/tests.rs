//! The pools of several instances and the monitor's connections, without a network.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures_util::future::join;

use super::dialer::Dialer;
use super::fixtures::{self, Client, Server, Shared, Told};
use super::lease::Lease;
use super::roster::Roster;
use super::set::PoolSet;
use super::upkeep;
use crate::config::PoolLimits;
use crate::engine::Backend;
use crate::error::ErrorKind;
use crate::event::EventKind;
use crate::id::InstanceId;
use crate::rng::Rng;
use crate::routing::Scope;
use crate::task::TaskSet;
use crate::time::{self, Instant};
use crate::topology::Topology;
use crate::topology::apply::{Effect, apply};
use crate::topology::cadence::Target;
use crate::topology::monitor::Prober;
use crate::topology::observation::{Fault, Observation, Report, Row, Way};

struct Bench {
    roster: Arc<Roster<Told>>,
    pools: Arc<PoolSet<Told>>,
    server: Shared,
    _tasks: TaskSet,
}

impl Bench {
    fn new() -> Self {
        Self::with("")
    }

    /// Pools of the instances `8` and `9`, with these keys in the URL. Both names lead to `9`.
    fn with(keys: &str) -> Self {
        let (server, config) = fixtures::start(keys);
        let tasks = TaskSet::new();
        let dialer = Dialer::new(Arc::clone(&config), tasks.spawner()).unwrap();
        let roster = Arc::new(Roster::new(dialer.clone(), fixtures::news(&config)));
        let pools = Arc::new(PoolSet::new(dialer, Scope::Everywhere));
        roster.attach(&pools);
        roster.carry_out(&topology(&["8", "9"]), &[]);
        Self {
            roster,
            pools,
            server,
            _tasks: tasks,
        }
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        fixtures::lock(&self.server)
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

    fn member(&self, instance: &str) -> Arc<super::member::Member<Told>> {
        let pools = self.pools.all().into_iter();
        let mut members: BTreeMap<_, _> = pools
            .map(|pool| (pool.member().id().to_string(), Arc::clone(pool.member())))
            .collect();
        members.remove(instance).expect("there is such a pool")
    }

    async fn lease(&self, instance: &str, deadline: Instant) -> Result<Lease<Told>, ErrorKind> {
        let instance = InstanceId::new(instance);
        let Some(pool) = self.pools.pool(&instance) else {
            return Err(ErrorKind::Connect);
        };
        let answer = pool.checkout(0, deadline).await;
        answer.map_err(|failure| failure.error.kind())
    }

    async fn checkout(&self, instance: &str, deadline: Instant) -> Result<(), ErrorKind> {
        self.lease(instance, deadline).await.map(drop)
    }
}

/// What `9`, the writer, shows of its cluster.
fn topology(instances: &[&str]) -> Topology {
    seen_by("9", instances)
}

/// What this writer shows of its cluster.
fn seen_by(writer: &str, instances: &[&str]) -> Topology {
    told_by(&Topology::empty(), writer, writer, instances)
}

/// The picture after all of these have spoken, of whom `9` is the writer.
fn heard(instances: &[&str]) -> Topology {
    let first = topology(instances);
    let speakers = instances.iter();
    speakers.fold(first, |before, id| told_by(&before, id, "9", instances))
}

fn told_by(before: &Topology, speaker: &str, writer: &str, instances: &[&str]) -> Topology {
    let row = |id: &&str| Row {
        id: InstanceId::new(id),
        is_writer: *id == writer,
        updated_micros: Some(1),
        lag_millis: Some(1.0),
    };
    let now = time::now();
    let report = Report {
        identity: InstanceId::new(speaker),
        asked_at: now,
        is_writer: speaker == writer,
        server_now_micros: 1,
        way: Way::Standing,
        rows: instances.iter().map(row).collect(),
    };
    apply(before, &Observation::Report(report), now).next
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
    client.break_it();
    bench.keep_standing("9", client);
    assert!(bench.standing_for_first_use("9").is_none());
}

#[tokio::test(start_paused = true)]
async fn closed_pools_open_keep_and_add_nothing() {
    let bench = Bench::new();
    bench.probe("9").await;
    let standing = bench.standing("9").unwrap();
    let deadline = time::now() + Duration::from_secs(1);
    assert_eq!(bench.checkout("9", deadline).await, Ok(()));
    assert_eq!(bench.pools.close(deadline).await, 0);
    bench.roster.close();
    bench.keep_standing("9", standing);
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
async fn the_monitors_idle_connections_are_kept_alive_and_silent_ones_found() {
    let bench = Bench::new();
    bench.probe("9").await;
    let upkeep = upkeep::run(Arc::clone(&bench.roster), Rng::seeded(1));
    tokio::pin!(upkeep);
    let minute = Duration::from_secs(60);
    let _ = tokio::time::timeout(minute, &mut upkeep).await;
    let client = bench.standing("9").expect("it answers");
    bench.keep_standing("9", client);
    bench.server().is_silent = true;
    let _ = tokio::time::timeout(minute, &mut upkeep).await;
    assert!(bench.standing("9").is_none(), "it does not answer");
}

#[tokio::test(start_paused = true)]
async fn the_monitor_asks_over_the_connection_that_it_keeps() {
    let bench = Bench::new();
    bench.server().ping_time = Duration::from_millis(200);
    assert_eq!(bench.probe("9").await.way, Way::New);
    assert_eq!(bench.probe("9").await.way, Way::Standing);
    assert_eq!(bench.server().attempts.len(), 1);
    bench.server().crashes += 1;
    assert_eq!(bench.probe("9").await.way, Way::AfterLoss);
    assert_eq!(
        bench.probe("9").await.way,
        Way::AfterLoss,
        "others may be dead"
    );
    assert_eq!(bench.server().attempts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_reason_to_log_in_anew_nor_a_lost_connection() {
    let bench = Bench::new();
    bench.probe("9").await;
    bench.server().is_silent = true;
    let nine = Target::Instance(InstanceId::new("9"));
    let silent = bench.roster.ask(&nine, time::now()).await.unwrap_err();
    assert_eq!(silent.fault, Fault::TimedOut);
    assert_eq!(bench.server().attempts.len(), 1);
    bench.server().is_silent = false;
    assert_eq!(bench.probe("9").await.way, Way::New);
}

#[tokio::test(start_paused = true)]
async fn a_seed_is_asked_over_a_connection_that_nobody_keeps() {
    let bench = Bench::new();
    bench.server().login_time = Duration::from_millis(200);
    let report = bench.roster.ask(&Target::Seed(0), time::now()).await;
    assert_eq!(report.unwrap().identity.as_str(), "9");
    assert_eq!(bench.server().open, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_says_of_whom() {
    let bench = Bench::new();
    bench.server().refuses = true;
    let nine = Target::Instance(InstanceId::new("9"));
    for (target, name) in [(nine, "9: "), (Target::Seed(0), "127.0.0.1:5432: ")] {
        let failure = bench.roster.ask(&target, time::now()).await.unwrap_err();
        assert!(failure.message.starts_with(name), "{}", failure.message);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_called_on_over_one_connection_beside_the_one_in_use_at_most() {
    let bench = Bench::new();
    bench.server().login_time = Duration::from_millis(200);
    let nine = bench.roster.station(&InstanceId::new("9")).unwrap();
    let in_use = (nine.asks(), nine.asks());
    bench.roster.call_on(&nine).await.unwrap();
    assert_eq!(bench.server().attempts.len(), 0);
    drop(in_use.0);
    bench.roster.call_on(&nine).await.unwrap();
    assert_eq!(bench.server().attempts.len(), 1);
    assert!(bench.standing("9").is_some());
    let login = nine.may_log_in().await;
    bench.roster.call_on(&nine).await.unwrap();
    assert_eq!(
        bench.server().attempts.len(),
        1,
        "it is being asked already"
    );
    drop((login, in_use.1));
}

#[tokio::test(start_paused = true)]
async fn who_stays_keeps_its_connections_when_another_leaves() {
    let bench = Bench::new();
    let deadline = time::now() + Duration::from_secs(1);
    bench.probe("9").await;
    let standing = bench.standing("9").unwrap();
    bench.keep_standing("8", standing);
    bench.probe("9").await;
    bench.checkout("9", deadline).await.unwrap();
    bench.probe("9").await;
    // The monitor's two, the first of which was handed over.
    assert_eq!(bench.server().open, 3);
    let generation = bench.member("9").generation();
    bench.roster.carry_out(&topology(&["9"]), &[]);
    assert_eq!(bench.server().open, 2);
    assert!(bench.standing("9").is_some());
    assert_eq!(bench.member("9").generation(), generation);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_generation_is_told_with_the_number_of_all_handles_connections() {
    let bench = Bench::new();
    let deadline = time::now() + Duration::from_secs(1);
    let other = Arc::new(PoolSet::new(
        bench.pools.dialer().clone(),
        Scope::Everywhere,
    ));
    bench.roster.attach(&other);
    let nine = InstanceId::new("9");
    let held = (
        bench.lease("9", deadline).await.unwrap(),
        bench.lease("9", deadline).await.unwrap(),
        other
            .pool(&nine)
            .unwrap()
            .checkout(0, deadline)
            .await
            .unwrap(),
    );
    let end = Effect::EndGeneration {
        instance: nine.clone(),
        cause: "it was demoted",
    };
    // It has left: its next generation is not in the picture.
    let told = bench.roster.carry_out(&seen_by("8", &["8"]), &[end]);
    let expected = EventKind::GenerationEnded {
        instance: nine,
        cause: "it was demoted",
        connections: 3,
    };
    assert_eq!(told, [expected]);
    assert!(held.0.is_outdated() && held.1.is_outdated() && held.2.is_outdated());
}

#[tokio::test(start_paused = true)]
async fn a_retired_generation_is_told_to_nobody_and_its_connections_go_on() {
    let bench = Bench::new();
    let deadline = time::now() + Duration::from_secs(1);
    let held = bench.lease("9", deadline).await.unwrap();
    let instance = InstanceId::new("9");
    let retire = Effect::RetireGeneration { instance };
    let told = bench.roster.carry_out(&seen_by("8", &["8"]), &[retire]);
    assert_eq!((told, held.is_outdated()), (Vec::new(), true));
    let end = Told::reporter(held.client()).generation_end();
    assert!(!end.has_ended());
}

#[tokio::test(start_paused = true)]
async fn reads_are_confined_to_their_scope_from_then_on() {
    let bench = Bench::new();
    let (eight, seven) = (InstanceId::new("8"), InstanceId::new("7"));
    bench.roster.carry_out(&heard(&["7", "8", "9"]), &[]);
    assert!(bench.pools.routes().reads_from(&eight));
    let members = Scope::Members(Arc::new([seven.clone()].into()));
    bench.roster.confine(&bench.pools, members.clone());
    let reads = |id: &InstanceId| bench.pools.routes().reads_from(id);
    assert_eq!((reads(&seven), reads(&eight)), (true, false));
    bench.roster.carry_out(&heard(&["7", "8", "9"]), &[]);
    assert_eq!((reads(&seven), reads(&eight)), (true, false));
    assert_eq!(*bench.pools.scope().borrow(), members);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_when_the_last_connection_has_come_back() {
    let bench = Bench::new();
    let began = time::now();
    let deadline = began + Duration::from_secs(20);
    let held = bench.lease("9", deadline).await.unwrap();
    let come_back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
    };
    let (in_use, ()) = join(bench.pools.close(deadline), come_back).await;
    assert_eq!((in_use, time::now() - began), (0, Duration::from_secs(1)));
    assert_eq!(bench.server().open, 0);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_no_caller_that_waits_for_a_connect() {
    let bench = Bench::new();
    bench.server().is_silent = true;
    let began = time::now();
    let deadline = began + Duration::from_secs(20);
    let waiting = bench.checkout("9", deadline);
    let (waited, in_use) = join(waiting, bench.pools.close(deadline)).await;
    assert_eq!((waited, in_use), (Err(ErrorKind::Closed), 0));
    assert_eq!(time::now(), began);
}
