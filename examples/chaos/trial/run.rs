//! From a plan to a verdict.

use std::pin::Pin;
use std::time::Duration;

use aurora_driver::sim::direct::{Direct, DirectCluster, replay};
use aurora_driver::{Cluster, Config, EventKind};
use futures_util::future;
use tokio::runtime::{Builder, Handle, Runtime};

use super::crew::Crew;
use super::director::Director;
use super::evidence::Evidence;
use super::history::{History, Phase};
use super::invariants::{self, Violation};
use super::plan::Plan;
use super::workload;

/// How long a mended cluster may take until it is whole: as long as its timeline says, and then
/// some.
const WORLD_PATIENCE: Duration = Duration::from_secs(300);
const WORLD_LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// How long the driver has, once the cluster is whole again, before every call must succeed: it
/// disbelieves a demoted writer that still calls itself the writer for five seconds, and waits as
/// long before it asks a server that was full for another connection.
pub(crate) const RECOVERY_LIMIT: Duration = Duration::from_secs(6);

/// How long every call must succeed then.
const HEALTHY_PERIOD: Duration = Duration::from_millis(1_500);

/// How long the driver has to clean up after the callers.
const CLEANING_PERIOD: Duration = Duration::from_millis(200);

/// How long the callers have to come to an end, and `close` to wait for them.
const END_PERIOD: Duration = Duration::from_secs(60);

/// What came of a trial.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) evidence: Evidence,
    pub(crate) violations: Vec<Violation>,
    /// All that happened, if it was asked for.
    pub(crate) trace: String,
    /// The trace as one number, which two runs of one plan share.
    pub(crate) trace_hash: u64,
}

/// Runs a trial in a runtime of its own. Without a trace it takes less time, and runs the same.
pub(crate) fn trial(plan: &Plan, is_traced: bool) -> Verdict {
    replay(paused(), plan.seed, async {
        let mut world = DirectCluster::builder(plan.seed)
            .engine(plan.cluster.engine())
            .readers(plan.cluster.readers)
            .timeline(plan.cluster.timeline())
            .login_cost(Duration::from_millis(plan.cluster.login_cost_ms))
            .fenced_writer_answers(plan.cluster.fenced_writer_answers);
        if let Some(rate) = plan.cluster.login_rate {
            world = world.login_rate(rate);
        }
        if !is_traced {
            world = world.without_trace();
        }
        let world = world.start();
        let evidence = live_through(plan, &world).await;
        let violations = invariants::violations(&evidence);
        Verdict {
            evidence,
            violations,
            trace: world.trace(),
            trace_hash: world.trace_hash(),
        }
    })
}

/// A runtime in which time passes at once.
pub(crate) fn paused() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let built = builder.enable_time().start_paused(true).build();
    built.expect("a runtime without sockets")
}

async fn live_through(plan: &Plan, world: &DirectCluster) -> Evidence {
    let history = History::new();
    let first_writer = world.writer().map(|writer| (Duration::ZERO, writer));
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let clusters = handles(plan, world);
    let callers = workload::callers(&plan.load, plan.seed, &clusters, &history);
    let callers = callers.into_iter();
    let work = Crew::new(callers.map(|caller| Box::pin(caller.run()) as Pin<Box<_>>));
    let course = course(plan, world, &history);
    let listening = clusters.iter().enumerate();
    let listening = listening.map(|(handle, cluster)| follow(handle, cluster, &history));
    let everything = async {
        let (whole_at, work) = future::join(course, tokio::time::timeout(PATIENCE, work)).await;
        if !plan.close_under_faults {
            history.enter(Phase::Alone);
            // The last transactions that the callers left open are being rolled back.
            tokio::time::sleep(CLEANING_PERIOD).await;
            for (handle, cluster) in clusters.iter().enumerate() {
                workload::alone(handle, cluster, &history).await;
            }
        }
        (whole_at, work.is_ok())
    };
    let (whole_at, callers_ended) = tokio::select! {
        biased;
        ended = everything => ended,
        _ = future::join_all(listening) => (None, false),
    };
    let closing = clusters.iter().map(|cluster| cluster.close(END_PERIOD));
    let closed = future::join_all(closing).await;
    drop(clusters);
    // The last tasks end with their next poll.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let tasks_after = Handle::current().metrics().num_alive_tasks();
    Evidence {
        plan: plan.clone(),
        whole_at,
        callers_ended,
        fates: history.fates.take(),
        hand_outs: history.hand_outs.take(),
        calls: history.calls.take(),
        epochs: history.epochs.take(),
        events: history.events.take(),
        runs: history.runs.take(),
        silences: history.silences.take(),
        pauses: history.pauses.take(),
        ledger: world.ledger(),
        connects: world.connects(),
        outages: world.outages(),
        reigns: first_writer.into_iter().chain(world.promotions()).collect(),
        answers_crossed: world.answers_crossed(),
        closed,
        tasks_left: tasks_after.saturating_sub(tasks_before),
        cancelled: history.cancelled.get(),
        faults: history.faults.take(),
    }
}

/// The longest that a whole trial may take, in virtual time: beyond it some call hangs.
const PATIENCE: Duration = Duration::from_secs(900);

/// The phases of a trial, one after the other; when the cluster was whole again.
async fn course(plan: &Plan, world: &DirectCluster, history: &History) -> Option<Duration> {
    let mut director = Director::new(world, history);
    let length = Duration::from_millis(plan.length_ms);
    director.play(&plan.faults, length).await;
    if plan.close_under_faults {
        history.enter(Phase::Over);
        world.note("everything is closed");
        return None;
    }
    history.enter(Phase::Healing);
    world.note("the faults are over");
    director.mend();
    let whole = async {
        while !world.is_settled() {
            tokio::time::sleep(WORLD_LOOK_INTERVAL).await;
        }
    };
    let whole = tokio::time::timeout(WORLD_PATIENCE, whole).await;
    let whole_at = whole.ok().map(|()| world.now());
    world.note("the cluster is whole");
    tokio::time::sleep(RECOVERY_LIMIT).await;
    history.enter(Phase::Healthy);
    world.note("every call must succeed");
    tokio::time::sleep(HEALTHY_PERIOD / 2).await;
    if plan.pause_in_health_ms > 0 {
        world.note("the process stands still");
        let pause = Duration::from_millis(plan.pause_in_health_ms);
        history.stand_still(pause).await;
    }
    tokio::time::sleep(HEALTHY_PERIOD / 2).await;
    history.enter(Phase::Over);
    whole_at
}

async fn follow(handle: usize, cluster: &Cluster<Direct>, history: &History) {
    let mut events = cluster.events();
    while let Some(event) = events.next().await {
        if let EventKind::WriterConfirmed { epoch, .. } = event.kind {
            history.saw_epoch(handle, epoch.0);
        }
        let told = (handle, history.now(), event.kind);
        history.events.borrow_mut().push(told);
    }
}

/// What the instances know the process of a handle by.
pub(crate) fn process(plan: &Plan, handle: usize) -> String {
    match plan.driver.share_monitor {
        true => "trial".to_owned(),
        false => format!("trial-{handle}"),
    }
}

fn handles(plan: &Plan, world: &DirectCluster) -> Vec<Cluster<Direct>> {
    (0..plan.driver.handles)
        .map(|number| {
            let config = config(plan, world, number);
            Cluster::new(config).expect("the plan's configuration fits together")
        })
        .collect()
}

fn config(plan: &Plan, world: &DirectCluster, number: usize) -> Config {
    let driver = &plan.driver;
    let mut config = world.config().expect("a direct cluster's configuration");
    config.share_monitor = driver.share_monitor;
    config.application_name = Some(process(plan, number));
    config.pool.max = driver.pool_max;
    config.pool.min_idle = driver.pool_min_idle.min(driver.pool_max);
    config.pool.max_connecting = driver.max_connecting;
    config.pool.max_waiting = driver.max_waiting;
    config.max_reader_lag = driver.max_reader_lag_ms.map(Duration::from_millis);
    let timing = &mut config.timing;
    timing.checkout_timeout = Duration::from_millis(driver.checkout_timeout_ms);
    timing.failover_timeout = Duration::from_millis(driver.failover_timeout_ms);
    timing.max_lifetime = Duration::from_millis(driver.max_lifetime_ms);
    timing.validation_period = Duration::from_millis(driver.validation_period_ms);
    config
}
