//! A workload through one failover in virtual time, and the check of what it left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future;
use tokio::runtime::Runtime;

use crate::cluster::Cluster;
use crate::error::{Error, Outcome};
use crate::sim::world::Timeline;

use super::{Direct, DirectCluster, DirectWrite, replay};

const CLIENTS: u64 = 4;
/// Virtual time after which writes that have not resumed never will: Aurora's own failovers take
/// some 30 s.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a workload knows of the keys that it wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writes {
    /// Keys whose write was acknowledged.
    pub acknowledged: BTreeSet<u64>,
    /// Keys that may have been written: the answer was lost.
    pub unknown: BTreeSet<u64>,
}

impl Writes {
    /// Compares with what the storage holds.
    ///
    /// # Errors
    ///
    /// A sentence that names the first key that was lost, applied twice, or applied although its
    /// writer was told that it was not.
    pub fn check(&self, ledger: &[DirectWrite]) -> Result<(), String> {
        let mut applied = BTreeMap::<u64, usize>::new();
        for write in ledger {
            *applied.entry(write.key).or_default() += 1;
        }
        if let Some(key) = self
            .acknowledged
            .iter()
            .find(|key| !applied.contains_key(key))
        {
            return Err(format!("key {key} was acknowledged and is lost"));
        }
        if let Some((key, times)) = applied.iter().find(|(_, times)| **times > 1) {
            return Err(format!("key {key} was applied {times} times"));
        }
        let known = |key: &u64| self.acknowledged.contains(key) || self.unknown.contains(key);
        if let Some(key) = applied.keys().find(|key| !known(key)) {
            return Err(format!(
                "key {key} was applied, but reported as not applied"
            ));
        }
        Ok(())
    }
}

/// What came of a virtual failover.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailoverReport {
    /// What the clients know of their keys.
    pub writes: Writes,
    /// The longest time between two keys taken by the storage: the outage as writers met it, in
    /// virtual time.
    pub outage: Duration,
    /// All that happened.
    pub trace: String,
    /// The trace as one number.
    pub trace_hash: u64,
}

/// Runs the driver through one failover, in virtual time if the runtime's clock is paused (see
/// [`replay`]): four clients write unique keys, two of
/// them in transactions, the writer fails, and each goes on until a key of its own was taken by
/// the new writer. They repeat a key only if the error says that it was not applied.
///
/// Seeds alternate between a crash and a planned failover, and between the fast timeline and
/// Aurora's own.
///
/// # Errors
///
/// What was violated: an acknowledged key was lost, a key was applied twice or against the word
/// of its error, or writes did not resume within 300 s.
///
/// # Panics
///
/// As [`replay`].
pub fn virtual_failover(runtime: Runtime, seed: u64) -> Result<FailoverReport, String> {
    replay(runtime, seed, run(seed))
}

async fn run(seed: u64) -> Result<FailoverReport, String> {
    let timeline = if seed & 2 == 0 {
        Timeline::fast()
    } else {
        Timeline::aurora_postgres()
    };
    let world = DirectCluster::start(seed, 2, timeline);
    let explain = |error: Error| format!("the driver cannot be opened: {error}");
    let driver = Cluster::<Direct>::new(world.config().map_err(explain)?).map_err(explain)?;
    driver.ready(PATIENCE).await.map_err(explain)?;
    let clients = (0..CLIENTS).map(|number| client(number, seed, &world, &driver));
    let clients = future::join_all(clients);
    let everything = async { future::join(clients, fail(seed, &world)).await };
    let (clients, failed) = tokio::time::timeout(PATIENCE, everything)
        .await
        .map_err(|_| format!("writes did not resume: {:?}", driver.topology()))?;
    failed?;
    let mut writes = Writes::default();
    for mut client in clients {
        writes.acknowledged.append(&mut client.acknowledged);
        writes.unknown.append(&mut client.unknown);
    }
    let ledger = world.ledger();
    writes.check(&ledger)?;
    let gaps = ledger
        .windows(2)
        .map(|pair| pair[1].at.saturating_sub(pair[0].at));
    Ok(FailoverReport {
        outage: gaps.max().unwrap_or_default(),
        writes,
        trace: world.trace(),
        trace_hash: world.trace_hash(),
    })
}

async fn fail(seed: u64, world: &DirectCluster) -> Result<(), String> {
    tokio::time::sleep(Duration::from_millis(200 + seed % 100)).await;
    let outcome = match world.writer() {
        Some(writer) if seed & 1 == 0 => world.crash(&writer),
        _ => world.failover(None),
    };
    outcome.map_err(|error| format!("the failover could not begin: {error}"))
}

/// Writes keys one after the other until the new writer has taken one.
async fn client(number: u64, seed: u64, world: &DirectCluster, driver: &Cluster<Direct>) -> Writes {
    let mut random = fastrand::Rng::with_seed(seed ^ (number << 32));
    let mut writes = Writes::default();
    let mut key = number << 32;
    loop {
        tokio::time::sleep(Duration::from_millis(random.u64(5..30))).await;
        let answer = write(key, number % 2 == 1, driver).await;
        match answer.map_err(|error| error.outcome()) {
            Ok(()) => {
                writes.acknowledged.insert(key);
                let ledger = world.ledger();
                let taken = ledger.iter().rev().find(|write| write.key == key);
                if taken.is_some_and(|write| write.epoch > 0) {
                    return writes;
                }
                key += 1;
            }
            Err(Outcome::Unknown | Outcome::Applied) => {
                world.note(format_args!("client {number}: key {key} is in doubt"));
                writes.unknown.insert(key);
                key += 1;
            }
            Err(Outcome::NotSent | Outcome::Rejected) => {}
        }
    }
}

async fn write(key: u64, in_transaction: bool, driver: &Cluster<Direct>) -> Result<(), Error> {
    let mut connection = driver.writer().await?;
    if !in_transaction {
        return connection.write(key).await;
    }
    connection.begin().await?;
    connection.write(key).await?;
    connection.commit().await
}
