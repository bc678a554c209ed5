//! An instance without a cluster: what it reports is set by the test.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::id::{EngineKind, InstanceId};
use crate::sim::host::{Count, Host, MASTER_SESSION_ID, Order, StatusRow};

/// 2026-01-31 12:34:56.789012 UTC.
pub(super) const NOW_MICROS: i64 = 1_769_862_896_789_012;

#[derive(Debug)]
pub(super) struct FakeHost {
    engine: EngineKind,
    instance: InstanceId,
    writer: AtomicBool,
    may_commit: AtomicBool,
    now: AtomicI64,
    counts: Mutex<Vec<Count>>,
    orders: Mutex<Vec<Order>>,
}

impl FakeHost {
    pub(super) fn new(engine: EngineKind, name: &str, writer: bool) -> Self {
        Self {
            engine,
            instance: InstanceId::new(name),
            writer: AtomicBool::new(writer),
            may_commit: AtomicBool::new(writer),
            now: AtomicI64::new(NOW_MICROS),
            counts: Mutex::default(),
            orders: Mutex::default(),
        }
    }

    /// The storage takes no more commits, though the instance still believes in its role.
    pub(super) fn fence(&self) {
        self.may_commit.store(false, Ordering::SeqCst);
    }

    pub(super) fn demote(&self) {
        self.fence();
        self.writer.store(false, Ordering::SeqCst);
    }

    pub(super) fn advance(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::SeqCst);
    }

    /// What sessions have asked the cluster for.
    pub(super) fn orders(&self) -> Vec<Order> {
        self.orders.lock().expect("the orders").clone()
    }

    pub(super) fn counted(&self, what: Count) -> usize {
        let counts = self.counts.lock().expect("the counts");
        counts.iter().filter(|count| **count == what).count()
    }
}

impl Host for FakeHost {
    fn engine(&self) -> EngineKind {
        self.engine
    }

    fn instance(&self) -> &InstanceId {
        &self.instance
    }

    fn is_writer(&self) -> bool {
        self.writer.load(Ordering::SeqCst)
    }

    fn may_commit(&self) -> bool {
        self.may_commit.load(Ordering::SeqCst)
    }

    fn address(&self) -> Option<std::net::SocketAddr> {
        Some(([127, 0, 0, 21], 5432).into())
    }

    fn epoch(&self) -> u64 {
        7
    }

    /// A writer; a live reader; a reader that was deleted an hour ago and lingers.
    fn status_rows(&self) -> Vec<StatusRow> {
        let now = self.now_micros();
        let row = |server: &str, session: &str, age: i64, lag: Option<f64>| StatusRow {
            server_id: server.to_owned(),
            session_id: session.to_owned(),
            last_update_micros: Some(now - age),
            lag_millis: lag,
            cpu_percent: 12.5,
            durable_lsn: 1000,
            read_lsn: (session != MASTER_SESSION_ID).then_some(990),
        };
        let lag_of_writer = match self.engine {
            EngineKind::Postgres => None,
            EngineKind::MySql => Some(0.0),
        };
        let mut rows = vec![
            row("instance-1", MASTER_SESSION_ID, 400_000, lag_of_writer),
            row(
                "instance-2",
                "7d9ee6d2-5e8a-4c56-88f0-4370e59b7ed6",
                800_000,
                Some(19.5),
            ),
            row(
                "instance-3",
                "2d9e2da9-220b-4ef7-a36e-6cc8a6fb090b",
                3_600_000_000,
                Some(900_000.0),
            ),
        ];
        // An Aurora PostgreSQL instance shows no time for itself.
        if self.engine == EngineKind::Postgres {
            let own = rows
                .iter_mut()
                .find(|row| row.server_id == self.instance.as_str());
            if let Some(own) = own {
                own.last_update_micros = None;
            }
        }
        rows
    }

    fn now_micros(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn elapsed_micros(&self) -> u64 {
        5_000_000
    }

    fn order(&self, order: Order) {
        self.orders.lock().expect("the orders").push(order);
    }

    fn count(&self, what: Count) {
        self.counts.lock().expect("the counts").push(what);
    }
}
