//! One loss of a writer under load, measured and checked.

use std::fmt;
use std::time::{Duration, Instant};

use aurora_driver::postgres::tokio_postgres::Client;
use aurora_driver::{Cluster, Postgres};
use tokio::task::JoinHandle;

use crate::cluster::{PATIENCE, RealCluster};
use crate::load::{End, Load, Write, check};

/// How often the new writer is asked for its first write, as in the measurements of other
/// drivers.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Enough to be under way.
const WARM_UP_WRITES: usize = 400;
const WRITES_AFTERWARDS: usize = 200;

/// What happens to the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// All its processes are killed.
    Kill,
    /// All its processes are stopped; its kernel goes on.
    Stop,
    /// Its packets are dropped.
    Cut,
    /// It is shut down in order.
    Shutdown,
}

impl Fault {
    pub(crate) async fn strike(self, rig: &mut RealCluster, id: &'static str) {
        match self {
            Self::Kill => rig.kill(id),
            Self::Stop => rig.stop(id),
            Self::Cut => rig.cut(id).await,
            Self::Shutdown => rig.shut_down(id).await,
        }
    }
}

/// The times of a failover.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    /// From the fault to the first write acknowledged by the new writer.
    pub(crate) first_write: Duration,
    /// From the fault to the first write of a client that polls the new writer.
    pub(crate) accepted: Duration,
    /// How long the promotion took.
    pub(crate) promotion: Duration,
    /// What the driver added: the first minus the second, in milliseconds.
    pub(crate) added_millis: f64,
    /// From the fault to the end of the first and of the last call that was in flight.
    pub(crate) in_flight_ended: Option<(Duration, Duration)>,
    pub(crate) in_flight: usize,
    /// Writes that failed, and those whose fate is unknown.
    pub(crate) failed: usize,
    pub(crate) unknown: usize,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "first write {:.0} ms after the fault, {:.1} ms added (promotion {:.0}, accepted after {:.0})",
            millis(self.first_write),
            self.added_millis,
            millis(self.promotion),
            millis(self.accepted),
        )?;
        if let Some((first, last)) = self.in_flight_ended {
            write!(
                f,
                "; {} calls in flight ended after {:.0} to {:.0} ms",
                self.in_flight,
                millis(first),
                millis(last)
            )?;
        }
        write!(f, "; {} failed, {} unknown", self.failed, self.unknown)
    }
}

/// Strikes the writer of a cluster under load and promotes the best standby `after` that; checks
/// the table of the new writer, and returns the times.
pub(crate) async fn lose_the_writer(
    rig: &mut RealCluster,
    cluster: &Cluster<Postgres>,
    fault: Fault,
    after: Duration,
) -> Times {
    let old = rig.writer();
    let load = Load::start(cluster);
    load.goes_on(WARM_UP_WRITES).await;
    let mut polls = Vec::new();
    for reader in rig.readers() {
        polls.push((reader, Poller::start(rig.connect(reader).await)));
    }

    let struck_at = Instant::now();
    fault.strike(rig, old).await;
    tokio::time::sleep_until((struck_at + after).into()).await;
    let new = rig.best_standby().await;
    let promotion = rig.promote(new).await;
    let mut accepted_at = None;
    for (reader, poller) in polls {
        if reader == new {
            accepted_at = Some(poller.accepted().await);
        }
    }
    let accepted_at = accepted_at.expect("the new writer was polled");
    load.reaches(new).await;
    load.goes_on(WRITES_AFTERWARDS).await;
    let writes = load.stop().await;
    check(&writes, &rig.written(new).await);
    assert_eq!(promotion.instance, new);
    times(
        &writes,
        old,
        new,
        struck_at,
        accepted_at,
        promotion.done_at - promotion.ordered_at,
    )
}

fn times(
    writes: &[Write],
    old: &str,
    new: &str,
    struck_at: Instant,
    accepted_at: Instant,
    promotion: Duration,
) -> Times {
    let first_write = writes
        .iter()
        .filter(|write| write.is_acknowledged() && write.is_on(new))
        .map(|write| write.ended_at)
        .min()
        .expect("the new writer was reached");
    let in_flight: Vec<&Write> = writes
        .iter()
        .filter(|write| write.is_on(old) && !write.is_acknowledged())
        .collect();
    let ends = || {
        in_flight
            .iter()
            .map(|write| write.ended_at.saturating_duration_since(struck_at))
    };
    let failures = writes.iter().filter(|write| !write.is_acknowledged());
    let unknown = |write: &&Write| {
        let End::Failed { outcome, .. } = &write.end else {
            return false;
        };
        *outcome == aurora_driver::Outcome::Unknown
    };
    let signed = |later: Instant, earlier: Instant| {
        let ahead = earlier.saturating_duration_since(later).as_secs_f64();
        (later.saturating_duration_since(earlier).as_secs_f64() - ahead) * 1e3
    };
    Times {
        first_write: first_write - struck_at,
        accepted: accepted_at - struck_at,
        promotion,
        added_millis: signed(first_write, accepted_at),
        in_flight_ended: ends().min().zip(ends().max()),
        in_flight: in_flight.len(),
        failed: failures.clone().count(),
        unknown: failures.filter(unknown).count(),
    }
}

/// A client that is connected to a standby all the time and tries to write there.
struct Poller(JoinHandle<Instant>);

impl Poller {
    fn start(client: Client) -> Self {
        Self(tokio::spawn(async move {
            let mut pace = tokio::time::interval(POLL_INTERVAL);
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                pace.tick().await;
                if client
                    .batch_execute("INSERT INTO polls DEFAULT VALUES")
                    .await
                    .is_ok()
                {
                    return Instant::now();
                }
                assert!(!client.is_closed(), "the standby that is polled has ended");
            }
        }))
    }

    /// When the first write was acknowledged.
    async fn accepted(mut self) -> Instant {
        let accepted = tokio::time::timeout(PATIENCE, &mut self.0).await;
        accepted
            .expect("the new writer takes writes")
            .expect("the poller does not panic")
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
