//! One run: a cluster, a client under load, a fault, and the wait until the client writes again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use aurora_driver::sim::{LedgerEntry, SimCluster};
use aurora_driver::{EngineKind, InstanceId};
use tokio::time::timeout;

use crate::arguments::{Fault, Pace};
use crate::client::Contestant;
use crate::load::Size;
use crate::measure::{Run, Truth, measure};
use crate::relay::Network;

const READERS: usize = 2;
const CREATE: &str = "CREATE TABLE numbers (number BIGINT NOT NULL)";

/// The load counts as running when so many writes were applied.
const FLOWING_WRITES: u64 = 50;

/// For the load to flow, and for a promotion: far beyond any timeline.
const CLUSTER_LIMIT: Duration = Duration::from_secs(60);

/// How long the load goes on after the first write on the new writer.
const EPILOGUE: Duration = Duration::from_millis(500);

/// How long reads are watched after the loss of a reader; its restart takes 0.3 s, the DNS 0.2 s.
const READER_PERIOD: Duration = Duration::from_millis(1500);

/// How long the network stays cut: longer than silence goes unnoticed.
const CUT_PERIOD: Duration = Duration::from_secs(1);

/// A DNS record that never follows a promotion in any run.
const STALE_FOR_EVER: Duration = Duration::from_secs(24 * 3600);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What is done to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario<'a> {
    pub(crate) engine: EngineKind,
    pub(crate) fault: Fault,
    pub(crate) pace: Pace,
    pub(crate) size: Size,
    /// Who does not write again within it after the cluster was able to serve is not waited for.
    pub(crate) limit: Duration,
    /// For what clients need as files.
    pub(crate) work: &'a Path,
}

impl Scenario<'_> {
    pub(crate) async fn run(&self, who: &Contestant, seed: u64) -> anyhow::Result<Run> {
        let cluster = self.cluster(seed).await?;
        let network = match self.fault {
            Fault::NetworkCut => Some(Network::in_front_of(&cluster).await?),
            _ => None,
        };
        let client = who.start(&cluster, self.engine, self.size, self.work);
        let client = client.await?;
        flowing(&cluster).await?;
        tokio::time::sleep(who.warm_up()).await;

        let before = connections(&cluster);
        let old_writer = cluster.writer().context("the cluster has no writer")?;
        let (fault_at, able_at) = self.strike(&cluster, &old_writer, network.as_ref()).await?;
        self.back(&cluster, able_at).await;
        let given_up_at = cluster.now();
        tokio::time::sleep(EPILOGUE).await;
        let notes = client.stop().await?;
        let after = connections(&cluster);

        let wall = Wall::of(&cluster);
        let ledger = cluster.ledger().context("the ledger cannot be read")?;
        let truth = Truth {
            fault_at: wall.micros(fault_at),
            able_at: able_at.map(|at| wall.micros(at)),
            given_up_at: wall.micros(given_up_at),
            applied: applied(&ledger),
            old_writer: old_writer.to_string(),
            promotes: self.fault.promotes(),
            connects: after.0 - before.0,
            logins: after.1 - before.1,
        };
        if let Some(cluster) = Arc::into_inner(cluster) {
            cluster.stop().await;
        }
        Ok(measure(&notes, &truth))
    }

    async fn cluster(&self, seed: u64) -> anyhow::Result<Arc<SimCluster>> {
        let mut timeline = self.pace.timeline(self.engine);
        if self.fault == Fault::SilentStaleEndpoint {
            timeline.dns_flip = STALE_FOR_EVER;
        }
        let builder = SimCluster::builder(self.engine);
        let builder = builder.readers(READERS).timeline(timeline).seed(seed);
        let cluster = builder.start().await;
        let cluster = cluster.context("the simulated cluster does not start")?;
        cluster.run_sql(CREATE).await?;
        Ok(Arc::new(cluster))
    }

    /// Returns when the fault came, and when the cluster was able to serve again.
    async fn strike(
        &self,
        cluster: &SimCluster,
        writer: &InstanceId,
        network: Option<&Network>,
    ) -> anyhow::Result<(Duration, Option<Duration>)> {
        let began = cluster.now();
        match self.fault {
            Fault::Crash => cluster.crash(writer)?,
            Fault::Planned => cluster.failover(None)?,
            Fault::Silent | Fault::SilentStaleEndpoint => cluster.silence(writer)?,
            Fault::ReaderCrash => {
                let readers = cluster.readers();
                cluster.crash(readers.first().context("no reader")?)?;
                return Ok((began, None));
            }
            Fault::NetworkCut => {
                let network = network.context("this fault has a network")?;
                network.cut();
                tokio::time::sleep(CUT_PERIOD).await;
                let healed = cluster.now();
                network.heal();
                return Ok((began, Some(healed)));
            }
        }
        let promoted = timeout(CLUSTER_LIMIT, cluster.failover_finished()).await;
        let promotion = promoted
            .context("no promotion")?
            .context("nobody was promoted")?;
        Ok((promotion.fault_at, Some(promotion.accepting_at)))
    }

    /// Returns when the client writes again, or is not waited for any more.
    async fn back(&self, cluster: &SimCluster, able_at: Option<Duration>) {
        if able_at.is_none() {
            return tokio::time::sleep(READER_PERIOD).await;
        }
        // Before the promotion the new writer took none, and during the cut none came through but
        // those that were on their way.
        let on_their_way = if self.fault.promotes() {
            0
        } else {
            writes(cluster) + self.size.writers as u64
        };
        let again = async {
            while writes(cluster) <= on_their_way {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        // That it is not back is in its notes.
        let _ = timeout(self.limit, again).await;
    }
}

/// A cluster's clock against the clients'.
struct Wall {
    started_at: SystemTime,
}

impl Wall {
    fn of(cluster: &SimCluster) -> Self {
        Self {
            started_at: SystemTime::now() - cluster.now(),
        }
    }

    fn micros(&self, at: Duration) -> u64 {
        let since = (self.started_at + at).duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Writes on the instance that is the writer now.
fn writes(cluster: &SimCluster) -> u64 {
    let counters = cluster.writer().and_then(|writer| cluster.counters(writer));
    counters.map_or(0, |counters| counters.writes)
}

pub(crate) async fn flowing(cluster: &SimCluster) -> anyhow::Result<()> {
    let flows = async {
        while writes(cluster) < FLOWING_WRITES {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    let flows = timeout(CLUSTER_LIMIT, flows).await;
    flows.context("the client does not write")
}

/// Connects and logins at all instances.
fn connections(cluster: &SimCluster) -> (u64, u64) {
    let instances = cluster.instances();
    let counters = instances.iter().filter_map(|it| cluster.counters(&it.id));
    counters.fold((0, 0), |(connects, logins), of| {
        (connects + of.connects, logins + of.logins)
    })
}

/// Which number was applied by whom. Some clients put it among the parameters, some into the text.
fn applied(ledger: &[LedgerEntry]) -> BTreeMap<i64, Vec<String>> {
    let mut applied = BTreeMap::<i64, Vec<String>>::new();
    for entry in ledger {
        if !entry.statement.starts_with("INSERT INTO numbers") {
            continue;
        }
        let parameter = entry.parameters.first().and_then(|value| value.as_i64());
        let digits = || entry.statement.split(|it: char| !it.is_ascii_digit());
        let text = || digits().find_map(|word| word.parse().ok());
        if let Some(number) = parameter.or_else(text) {
            let by = entry.instance.to_string();
            applied.entry(number).or_default().push(by);
        }
    }
    applied
}
