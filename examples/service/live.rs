//! What the page shows, as JSON messages: the cluster and the newest points of the plots several
//! times a second, the rest when it has changed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aurora_driver::observe::{By, Slowest, StatementInsight};
use aurora_driver::sim::SimCluster;
use aurora_driver::{Cluster, Event, Health, InstanceId, Phase, Role};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::shop::{Shop, Store};
use crate::traffic::{POINT, Point, Traffic};

/// Events kept for whoever opens the page later.
const EVENTS_KEPT: usize = 60;

/// Failovers shown.
const FAILOVERS_SHOWN: usize = 8;

/// Statements shown.
const STATEMENTS_SHOWN: usize = 8;

/// Between two messages for events that come in a burst.
const EVENT_SPACING: Duration = Duration::from_millis(50);

/// Statements are added up over all shards for each look, so seldom.
const STATEMENTS_INTERVAL: u32 = 4;

/// Messages that a slow viewer may fall behind before it gets the whole picture again.
const BACKLOG: usize = 16;

/// Makes the messages.
#[derive(Debug)]
pub(crate) struct Live<E: Store> {
    shop: Shop<E>,
    traffic: Arc<Traffic>,
    simulated: Option<Arc<SimCluster>>,
    events: Mutex<VecDeque<Value>>,
    messages: broadcast::Sender<Arc<str>>,
}

impl<E: Store> Live<E> {
    pub(crate) fn start(
        backend: &Backend<E>,
        traffic: &Arc<Traffic>,
        end: CancellationToken,
    ) -> Arc<Self> {
        let live = Arc::new(Self {
            shop: backend.shop.clone(),
            traffic: Arc::clone(traffic),
            simulated: backend.simulated.clone(),
            events: Mutex::default(),
            messages: broadcast::channel(BACKLOG).0,
        });
        tokio::spawn(Arc::clone(&live).tell(end));
        live
    }

    /// The messages from now on; begin with [`everything`](Self::everything).
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<str>> {
        self.messages.subscribe()
    }

    /// The whole picture.
    pub(crate) fn everything(&self) -> Value {
        let points = self.traffic.points_after(None);
        let mut message = self.picture(&points);
        self.add_history(&mut message);
        message["statements"] = self.statements();
        message
    }

    fn cluster(&self) -> &Cluster<E> {
        self.shop.cluster()
    }

    async fn tell(self: Arc<Self>, end: CancellationToken) {
        let mut events = self.cluster().events();
        let mut ticks = tokio::time::interval(POINT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut told, mut turn) = (None, 0_u32);
        loop {
            let event = tokio::select! {
                () = end.cancelled() => return,
                _ = ticks.tick() => None,
                event = events.next() => match event {
                    Some(event) => Some(event),
                    None => return,
                },
            };
            let has_event = event.is_some();
            if let Some(event) = event {
                self.keep(&event);
                // What has come with it goes with it.
                while let Some(Some(event)) = now_or_never(events.next()) {
                    self.keep(&event);
                }
            }
            if self.messages.receiver_count() == 0 {
                told = None;
                continue;
            }
            let points = self.traffic.points_after(told);
            told = points.last().map(|point| point.number).or(told);
            let mut message = self.picture(&points);
            turn = turn.wrapping_add(1);
            if has_event {
                self.add_history(&mut message);
            }
            if turn.is_multiple_of(STATEMENTS_INTERVAL) {
                message["statements"] = self.statements();
            }
            // Whoever left meanwhile hears nothing.
            let _ = self.messages.send(message.to_string().into());
            if has_event {
                tokio::time::sleep(EVENT_SPACING).await;
            }
        }
    }

    fn keep(&self, event: &Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push_back(json!({
            "at": unix_millis(event.at),
            "name": event.kind.name(),
            "instance": event.kind.instance().as_str(),
            "text": event.kind.to_string(),
        }));
        if events.len() > EVENTS_KEPT {
            events.pop_front();
        }
    }

    /// The cluster, and the newest points.
    fn picture(&self, points: &[Point]) -> Value {
        let topology = self.cluster().topology();
        let pools = self.cluster().pools();
        let simulated = self.simulated.as_ref().map(|simulated| simulated.state());
        let instances: Vec<Value> = topology
            .instances()
            .map(|instance| {
                let pool = pools.iter().find(|pool| pool.instance == *instance.id());
                let pool = pool.map(|pool| {
                    json!({
                        "in_use": pool.in_use, "idle": pool.idle,
                        "waiting": pool.waiting, "max": pool.max,
                    })
                });
                json!({
                    "id": instance.id().as_str(),
                    "role": role(instance.role()),
                    "health": health(instance.health()),
                    "lag_ms": instance.lag().map(millis),
                    // By a button, whatever is observed of it.
                    "set_lag_ms": simulated.as_ref()
                        .and_then(|simulated| simulated.instance(instance.id()))
                        .map(|instance| millis(instance.lag)),
                    "pool": pool,
                })
            })
            .collect();
        let waiting = self.cluster().waiting_for_writer();
        json!({
            "now": unix_millis(SystemTime::now()),
            "cluster": {
                "engine": E::KIND.to_string(),
                "epoch": topology.epoch().0,
                "steady": topology.phase() == Phase::Steady,
                "writer": topology.writer().map(|writer| writer.id().as_str()),
                "waiting_for_writer": waiting,
                "instances": instances,
            },
            "simulated": self.simulated.is_some(),
            "point_ms": POINT.as_millis() as u64,
            "points": points.iter().map(point).collect::<Vec<_>>(),
        })
    }

    fn add_history(&self, message: &mut Value) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        message["events"] = events.iter().cloned().collect();
        drop(events);
        message["failovers"] = self.failovers();
    }

    /// The last failovers, newest first.
    pub(crate) fn failovers(&self) -> Value {
        let records = self.cluster().failovers();
        let shown = records.iter().rev().take(FAILOVERS_SHOWN);
        shown
            .map(|record| serde_json::from_str(&record.to_json()).unwrap_or(Value::Null))
            .collect()
    }

    /// The statements that took most of the time, and the slowest runs, each kind once for each
    /// instance; each workload counts its own.
    pub(crate) fn statements(&self) -> Value {
        let mut top = Vec::new();
        let mut slow = Vec::new();
        for (workload, cluster) in self.shop.workloads() {
            let snapshot = cluster.insights().snapshot();
            let most = snapshot.top(STATEMENTS_SHOWN, By::TotalTime);
            top.extend(most.into_iter().map(|one| (workload, one)));
            let rows = snapshot.statements.into_iter();
            slow.extend(rows.filter_map(|row| Some((row.slowest.clone()?, workload, row))));
        }
        top.sort_by_key(|(_, one)| std::cmp::Reverse(total_time(one)));
        slow.sort_by_key(|(slowest, ..)| std::cmp::Reverse(slowest.took));
        let top = top.iter().take(STATEMENTS_SHOWN);
        let slow = slow.iter().take(STATEMENTS_SHOWN);
        json!({
            "top": top.map(|(workload, one)| statement(*workload, one)).collect::<Vec<_>>(),
            "slow": slow.map(|(slowest, workload, row)| slow_run(slowest, *workload, row))
                .collect::<Vec<_>>(),
        })
    }
}

fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    futures_util::FutureExt::now_or_never(future)
}

fn total_time(one: &StatementInsight) -> Duration {
    one.server_time + one.preparing_time
}

fn statement(workload: Option<&str>, one: &StatementInsight) -> Value {
    json!({
        "text": one.text,
        "workload": workload,
        "summary": one.summary,
        "calls": one.calls,
        "errors": one.errors,
        "rows": one.rows,
        "total_ms": millis(total_time(one)),
        "waiting_ms": millis(one.waiting_time),
        "p50_ms": millis(one.latency.quantile(0.5)),
        "p99_ms": millis(one.latency.quantile(0.99)),
        "slowest_ms": one.slowest.as_ref().map(|slowest| millis(slowest.took)),
    })
}

fn slow_run(slowest: &Slowest, workload: Option<&str>, row: &StatementInsight) -> Value {
    json!({
        "text": slowest.text,
        "workload": workload,
        "at": unix_millis(slowest.at),
        "took_ms": millis(slowest.took),
        "p99_ms": millis(row.latency.quantile(0.99)),
        "rows": slowest.rows,
        "instance": row.instance.as_ref().map(InstanceId::as_str),
        "role": row.role.map(role),
    })
}

/// To a hundredth of a millisecond.
fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e5).round() / 1e2
}

fn point(point: &Point) -> Value {
    json!({
        "n": point.number,
        "reads": point.reads,
        "writes": point.writes,
        "reports": point.reports,
        "errors": point.errors,
        "read_ms": [millis(point.read_p50), millis(point.read_p99)],
        "write_ms": [millis(point.write_p50), millis(point.write_p99)],
        "shares": point.shares.iter().map(|(id, count)| (id.to_string(), json!(count)))
            .collect::<serde_json::Map<_, _>>(),
    })
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Reader => "reader",
        Role::Unknown => "unknown",
        Role::Writer => "writer",
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Down => "down",
        Health::Suspect => "suspect",
        Health::Unknown => "unknown",
        Health::Up => "up",
    }
}

fn unix_millis(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
