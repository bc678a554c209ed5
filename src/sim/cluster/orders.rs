//! What sessions ask to happen to their cluster, carried out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::id::InstanceId;
use crate::sim::fault::StatementFault;
use crate::sim::host::{Order, StorageTrouble};
use crate::sim::world::{Command, Role};

use super::shell::Shared;

/// How often it is drawn anew whether replication is blocked, where it is so in part.
const REPLICATION_DRAW: Duration = Duration::from_millis(50);

impl Shared {
    /// Takes orders until the cluster is stopped.
    pub(super) async fn take_orders(
        self: Arc<Self>,
        mut orders: mpsc::Receiver<(InstanceId, Order)>,
    ) {
        loop {
            let next = tokio::select! {
                () = self.serving.stopped.cancelled() => return,
                next = orders.recv() => next,
            };
            let Some((instance, order)) = next else {
                return;
            };
            self.carry_out(instance, order);
        }
    }

    fn carry_out(self: &Arc<Self>, instance: InstanceId, order: Order) {
        let command = match order {
            Order::Crash => Command::Crash(instance),
            Order::CrashInPlace => Command::CrashInPlace(instance),
            Order::BlockReplication {
                percent,
                replica,
                interval,
            } => {
                let shared = Arc::clone(self);
                let blocked = shared.block_replication(percent / 100.0, replica, interval);
                self.serving.tasks.spawn_on(blocked, &self.runtime);
                return;
            }
            Order::TroubleStorage {
                probability,
                trouble,
                interval,
            } => {
                let fault = match trouble {
                    StorageTrouble::Block => StatementFault::block(),
                    StorageTrouble::Delay(least, most) => {
                        StatementFault::delay_between(least, most)
                    }
                };
                let fault = fault.of_the_storage().at_instance(instance);
                let guard = self.faults.add(fault.with_probability(probability));
                let shared = Arc::clone(self);
                let lasting = async move {
                    shared.pause(interval).await;
                    drop(guard);
                };
                self.serving.tasks.spawn_on(lasting, &self.runtime);
                return;
            }
        };
        if let Err(error) = self.perform(command) {
            tracing::debug!(%error, "a session's order was refused");
        }
    }

    /// Keeps the writer's changes from readers, all the time or a part of it.
    async fn block_replication(
        self: Arc<Self>,
        probability: f64,
        replica: Option<String>,
        interval: Duration,
    ) {
        let draws = fastrand::Rng::with_seed(self.clock.epoch_micros.unsigned_abs());
        let mut draws = draws;
        let whole = probability >= 1.0;
        let end = self.clock.now().saturating_add(interval);
        loop {
            let left = end.saturating_sub(self.clock.now());
            if left.is_zero() || self.serving.stopped.is_cancelled() {
                break;
            }
            let blocked = whole || draws.f64() < probability;
            self.set_blocked(replica.as_deref(), blocked);
            self.pause(if whole {
                left
            } else {
                left.min(REPLICATION_DRAW)
            })
            .await;
        }
        self.set_blocked(replica.as_deref(), false);
    }

    fn set_blocked(&self, replica: Option<&str>, blocked: bool) {
        let readers: Vec<InstanceId> = {
            let world = self.world();
            let instances = world.instances();
            let readers = instances.filter(|(id, role, _)| {
                *role == Role::Reader && replica.is_none_or(|name| name == id.as_str())
            });
            readers.map(|(id, _, _)| id.clone()).collect()
        };
        for id in readers {
            let command = match blocked {
                true => Command::PauseReplication(id),
                false => Command::ResumeReplication(id),
            };
            if let Err(error) = self.perform(command) {
                tracing::debug!(%error, "replication stays as it is");
            }
        }
    }

    /// Waits, unless the cluster is stopped before.
    async fn pause(&self, duration: Duration) {
        tokio::select! {
            () = self.serving.stopped.cancelled() => {}
            () = tokio::time::sleep(duration) => {}
        }
    }
}
