//! The application under load: numbered writes to the writer, reads from the readers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aurora_driver::sim::SimCluster;
use aurora_driver::{Cluster, InstanceId, Outcome};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::engine::Database;

const WRITERS: usize = 8;
const READERS: usize = 4;

/// Each task's pace: some 1,600 writes and 800 reads per second in all.
const PERIOD: Duration = Duration::from_millis(5);

/// What the application remembers of its own doings. The verdict is not taken from it.
#[derive(Clone)]
pub(crate) struct Tally(Arc<Inner>);

struct Inner {
    /// For its clock: all times are the simulator's.
    simulated: Arc<SimCluster>,
    next: AtomicI64,
    notes: Mutex<Notes>,
    reads: AtomicU64,
    reads_failed: AtomicU64,
    writes_failed: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Notes {
    /// Number, when it was acknowledged, and by whom.
    pub(crate) acknowledged: Vec<(i64, Duration, InstanceId)>,
    pub(crate) unknown: BTreeSet<i64>,
    pub(crate) fault: Option<InstanceId>,
    /// When the first write failed after the fault, and how.
    pub(crate) first_error: Option<(SystemTime, String)>,
}

impl Tally {
    pub(crate) fn new(simulated: &Arc<SimCluster>) -> Self {
        Self(Arc::new(Inner {
            simulated: Arc::clone(simulated),
            next: AtomicI64::new(1),
            notes: Mutex::default(),
            reads: AtomicU64::new(0),
            reads_failed: AtomicU64::new(0),
            writes_failed: AtomicU64::new(0),
        }))
    }

    pub(crate) fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.0.notes.lock().expect("no task panics with the notes")
    }

    pub(crate) fn mark_fault(&self, writer: InstanceId) {
        self.notes().fault = Some(writer);
    }

    pub(crate) fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }

    pub(crate) fn reads_failed(&self) -> u64 {
        self.0.reads_failed.load(Ordering::Relaxed)
    }

    pub(crate) fn writes_failed(&self) -> u64 {
        self.0.writes_failed.load(Ordering::Relaxed)
    }

    fn acknowledge(&self, number: i64, instance: InstanceId) {
        let at = self.0.simulated.now();
        self.notes().acknowledged.push((number, at, instance));
    }

    fn write_failed(&self, number: i64, error: &aurora_driver::Error) {
        self.0.writes_failed.fetch_add(1, Ordering::Relaxed);
        let mut notes = self.notes();
        if error.outcome() == Outcome::Unknown {
            notes.unknown.insert(number);
        }
        if notes.first_error.is_none() {
            notes.first_error = Some((SystemTime::now(), error.to_string()));
        }
    }
}

/// The running tasks.
pub(crate) struct Load {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Load {
    pub(crate) fn start<E: Database>(cluster: &Cluster<E>, tally: &Tally) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for _ in 0..WRITERS {
            tasks.spawn(write(cluster.clone(), tally.clone(), stop.clone()));
        }
        for _ in 0..READERS {
            tasks.spawn(read(cluster.clone(), tally.clone(), stop.clone()));
        }
        Self { tasks, stop }
    }

    /// Lets every task finish what it has begun, so that no write is left half-way.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.join_all().await;
    }
}

async fn write<E: Database>(cluster: Cluster<E>, tally: Tally, stop: CancellationToken) {
    let mut pace = tokio::time::interval(PERIOD);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        pace.tick().await;
        let number = tally.0.next.fetch_add(1, Ordering::Relaxed);
        loop {
            let error = match write_once(&cluster, &tally, number).await {
                Ok(()) => break,
                Err(error) => error,
            };
            tally.write_failed(number, &error);
            // Never sent twice unless the first is known to have had no effect.
            let safe = matches!(error.outcome(), Outcome::NotSent | Outcome::Rejected);
            if !(safe && error.is_retryable()) {
                break;
            }
        }
    }
}

async fn write_once<E: Database>(
    cluster: &Cluster<E>,
    tally: &Tally,
    number: i64,
) -> aurora_driver::Result<()> {
    let mut connection = cluster.writer().await?;
    E::write(&mut connection, number).await?;
    tally.acknowledge(number, connection.instance().clone());
    Ok(())
}

async fn read<E: Database>(cluster: Cluster<E>, tally: Tally, stop: CancellationToken) {
    let mut pace = tokio::time::interval(PERIOD);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        pace.tick().await;
        let counted = async { E::count(&mut cluster.reader().await?).await };
        match counted.await {
            Ok(_) => tally.0.reads.fetch_add(1, Ordering::Relaxed),
            Err(_) => tally.0.reads_failed.fetch_add(1, Ordering::Relaxed),
        };
    }
}
