//! Writes through the driver, each with a number of its own, and what became of each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aurora_driver::postgres::tokio_postgres::types::Type;
use aurora_driver::{Cluster, ErrorKind, InstanceId, Outcome, Postgres};
use tokio::task::JoinSet;

use crate::cluster::PATIENCE;

/// How many tasks write.
const TASKS: usize = 16;
/// Each task's pace, as in the measurements of other drivers.
const PERIOD: Duration = Duration::from_millis(10);

const INSERT: &str = "INSERT INTO writes (number, server) \
                      VALUES ($1, pg_catalog.host(pg_catalog.inet_server_addr()))";

/// One write, from the call for a writer to its end.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) number: i64,
    /// Who was given; `None` while nobody was.
    pub(crate) instance: Option<InstanceId>,
    /// When the statement was sent.
    pub(crate) sent_at: Instant,
    pub(crate) ended_at: Instant,
    pub(crate) end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Acknowledged,
    Failed {
        kind: ErrorKind,
        outcome: Outcome,
        message: String,
    },
}

impl Write {
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.end == End::Acknowledged
    }

    pub(crate) fn is_on(&self, id: &str) -> bool {
        self.instance
            .as_ref()
            .is_some_and(|instance| instance.as_str() == id)
    }
}

/// The next number: no load of this process uses another's.
static NEXT: AtomicI64 = AtomicI64::new(1);

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    acknowledged: AtomicUsize,
    writes: Mutex<Vec<Write>>,
}

impl Shared {
    fn writes(&self) -> MutexGuard<'_, Vec<Write>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tasks that write.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(cluster: &Cluster<Postgres>) -> Self {
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            tasks.spawn(write_on(cluster.clone(), Arc::clone(&shared)));
        }
        Self { shared, tasks }
    }

    /// How many writes have been acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits for so many more acknowledged writes.
    pub(crate) async fn goes_on(&self, more: usize) {
        let enough = self.acknowledged() + more;
        let began = Instant::now();
        while self.acknowledged() < enough {
            assert!(
                began.elapsed() < PATIENCE,
                "writes do not go on: {:?}",
                self.last_failure()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until a server has acknowledged a write.
    pub(crate) async fn reaches(&self, id: &str) {
        let began = Instant::now();
        let reached = || {
            let writes = self.shared.writes();
            writes
                .iter()
                .rev()
                .any(|write| write.is_acknowledged() && write.is_on(id))
        };
        while !reached() {
            assert!(
                began.elapsed() < PATIENCE,
                "no write on {id}: {:?}",
                self.last_failure()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn last_failure(&self) -> Option<Write> {
        let writes = self.shared.writes();
        writes
            .iter()
            .rev()
            .find(|write| !write.is_acknowledged())
            .cloned()
    }

    /// Lets every task finish what it has begun. In the order of their ends.
    pub(crate) async fn stop(self) -> Vec<Write> {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let ended = tokio::time::timeout(PATIENCE, self.tasks.join_all()).await;
        ended.expect("every call ends");
        std::mem::take(&mut *self.shared.writes())
    }
}

async fn write_on(cluster: Cluster<Postgres>, shared: Arc<Shared>) {
    while !shared.stopped.load(Ordering::Relaxed) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let write = write(&cluster, number).await;
        if write.is_acknowledged() {
            shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        let next = write.sent_at + PERIOD;
        shared.writes().push(write);
        tokio::time::sleep_until(next.into()).await;
    }
}

async fn write(cluster: &Cluster<Postgres>, number: i64) -> Write {
    let mut write = Write {
        number,
        instance: None,
        sent_at: Instant::now(),
        ended_at: Instant::now(),
        end: End::Acknowledged,
    };
    let done = async {
        let writer = cluster.writer().await?;
        write.instance = Some(writer.instance().clone());
        write.sent_at = Instant::now();
        writer.execute_typed(INSERT, &[(&number, Type::INT8)]).await
    };
    if let Err(error) = done.await {
        write.end = End::Failed {
            kind: error.kind(),
            outcome: error.outcome(),
            message: error.to_string(),
        };
    }
    write.ended_at = Instant::now();
    write
}

/// Holds what the application was told of one load against what is in the table.
pub(crate) fn check(writes: &[Write], written: &[(i64, String)]) {
    let first = writes.iter().map(|write| write.number).min().unwrap_or(0);
    let mut rows: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    // Those below are of earlier loads.
    for (number, server) in written.iter().filter(|(number, _)| *number >= first) {
        rows.entry(*number).or_default().push(server);
    }
    for write in writes {
        let there = rows.remove(&write.number).unwrap_or_default();
        assert!(there.len() <= 1, "written twice: {write:?} {there:?}");
        let allowed = match &write.end {
            End::Acknowledged => there.len() == 1,
            End::Failed { outcome, .. } => match outcome {
                Outcome::NotSent | Outcome::Rejected => there.is_empty(),
                Outcome::Unknown => true,
                Outcome::Applied => there.len() == 1,
            },
        };
        assert!(allowed, "the table disagrees: {write:?} {there:?}");
        if let (Some(server), Some(instance)) = (there.first(), &write.instance) {
            // The instance 21 is 127.0.0.21.
            assert_eq!(*server, format!("127.0.0.{instance}"), "{write:?}");
        }
        if let End::Failed { kind, .. } = &write.end {
            assert_ne!(*kind, ErrorKind::ReadOnly, "sent to a standby: {write:?}");
        }
    }
    assert!(rows.is_empty(), "nobody wrote these: {rows:?}");
}
