//! The loss of a reader.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aurora_driver::{Cluster, InstanceId, Postgres};
use tokio::task::JoinSet;

use crate::cluster::{PATIENCE, RealCluster, View};
use crate::failover::{Fault, eventually};
use crate::ground::{Ground, Need, stand_on};
use crate::load::{Load, check};

const TASKS: usize = 8;
const PERIOD: Duration = Duration::from_millis(5);

/// A generous bound of the time that a silent reader may hold up a read.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// How long reads and writes go on without the reader.
const LOSS_PERIOD: Duration = Duration::from_secs(2);

/// One read: where, and how it ended.
#[derive(Debug)]
struct Read {
    instance: Option<InstanceId>,
    sent_at: Instant,
    ended_at: Instant,
    error: Option<String>,
}

/// Tasks that read all the time.
struct Reads {
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Read>>,
}

impl Reads {
    fn start(cluster: &Cluster<Postgres>) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let (cluster, stopped) = (cluster.clone(), Arc::clone(&stopped));
            tasks.spawn(async move {
                let mut reads = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    reads.push(read(&cluster).await);
                    tokio::time::sleep(PERIOD).await;
                }
                reads
            });
        }
        Self { stopped, tasks }
    }

    async fn stop(self) -> Vec<Read> {
        self.stopped.store(true, Ordering::Relaxed);
        let ended = tokio::time::timeout(PATIENCE, self.tasks.join_all()).await;
        ended
            .expect("every read ends")
            .into_iter()
            .flatten()
            .collect()
    }
}

async fn read(cluster: &Cluster<Postgres>) -> Read {
    let mut read = Read {
        instance: None,
        sent_at: Instant::now(),
        ended_at: Instant::now(),
        error: None,
    };
    let question = "SELECT host(inet_server_addr()), pg_is_in_recovery()";
    let answered = async {
        let reader = cluster.reader().await?;
        read.instance = Some(reader.instance().clone());
        read.sent_at = Instant::now();
        let row = reader.query_one(question, &[]).await?;
        let address: String = row.get(0);
        assert_eq!(address, format!("127.0.0.{}", reader.instance()));
        assert!(
            row.get::<_, bool>(1),
            "a read went to the writer, with a reader up"
        );
        Ok::<_, aurora_driver::Error>(())
    };
    read.error = answered.await.err().map(|error| error.to_string());
    read.ended_at = Instant::now();
    read
}

/// Loses a reader under load: reads go on at the other one, writes as if nothing had been, and
/// what was in flight ends.
async fn lose(ground: Ground, fault: Fault) -> (RealCluster, Cluster<Postgres>, &'static str) {
    let mut rig = RealCluster::start(ground, View::Replication).await;
    let cluster = Cluster::<Postgres>::connect(&rig.url())
        .await
        .expect("it is there");
    eventually("both readers serve", || {
        cluster.topology().readers().count() == 2
    })
    .await;
    let lost = rig.readers().next().expect("two readers");
    let load = Load::start(&cluster);
    let reads = Reads::start(&cluster);
    load.goes_on(400).await;
    let struck_at = Instant::now();
    fault.strike(&mut rig, lost).await;
    tokio::time::sleep(LOSS_PERIOD).await;
    load.goes_on(200).await;
    let reads = reads.stop().await;
    let writes = load.stop().await;

    check(&writes, &rig.written(rig.writer()).await);
    let failed = writes.iter().find(|write| !write.is_acknowledged());
    assert!(failed.is_none(), "a write knows no reader: {failed:?}");
    let before: BTreeSet<_> = reads
        .iter()
        .filter(|read| read.ended_at < struck_at)
        .filter_map(|read| read.instance.clone())
        .collect();
    assert_eq!(before.len(), 2, "both readers got reads: {before:?}");
    let failed: Vec<&Read> = reads.iter().filter(|read| read.error.is_some()).collect();
    for read in &failed {
        let on_lost = read.instance.as_ref().is_some_and(|id| id.as_str() == lost);
        assert!(on_lost, "only reads on {lost} may fail: {read:?}");
    }
    let ended = failed
        .iter()
        .map(|read| read.ended_at.saturating_duration_since(struck_at));
    let last_sent = failed
        .iter()
        .map(|read| read.sent_at.saturating_duration_since(struck_at));
    eprintln!(
        "{fault:?} of a reader: {} of {} reads failed, the last ended {:.0?} and was sent {:.0?} after it",
        failed.len(),
        reads.len(),
        ended,
        sent.max().unwrap_or_default(),
    );
    assert!(ended < SILENCE_MAX, "a read was held up for {ended:?}");
    (rig, cluster, lost)
}

async fn gets_reads_again(cluster: &Cluster<Postgres>, id: &str) {
    let id = InstanceId::new(id);
    let began = Instant::now();
    loop {
        let read = read(cluster).await;
        assert_eq!(read.error, None);
        if read.instance.as_ref() == Some(&id) {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{id} gets no reads"
        );
        tokio::time::sleep(PERIOD).await;
    }
}

#[test]
fn reads_go_on_without_a_killed_reader_and_return_to_it() {
    stand_on(&[Need::Postgres], async |ground| {
        let (mut rig, cluster, lost) = lose(ground, Fault::Kill).await;
        rig.restart_as_standby(lost).await;
        gets_reads_again(&cluster, lost).await;
    });
}

#[test]
fn reads_go_on_without_a_stopped_reader_and_return_to_it() {
    stand_on(&[Need::Postgres], async |ground| {
        let (rig, cluster, lost) = lose(ground, Fault::Stop).await;
        rig.resume(lost);
        gets_reads_again(&cluster, lost).await;
    });
}

#[test]
fn reads_go_on_without_a_reader_that_was_cut_off_and_return_to_it() {
    stand_on(&[Need::Postgres, Need::Cuts], async |ground| {
        let (mut rig, cluster, lost) = lose(ground, Fault::Cut).await;
        rig.heal(lost);
        gets_reads_again(&cluster, lost).await;
    });
}

#[test]
fn reads_go_on_without_a_reader_that_is_shut_down_and_return_to_it() {
    stand_on(&[Need::Postgres], async |ground| {
        let (mut rig, cluster, lost) = lose(ground, Fault::Shutdown).await;
        rig.restart_as_standby(lost).await;
        gets_reads_again(&cluster, lost).await;
    });
}
