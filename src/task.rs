//! The one door to spawning: every task is named, owned by a [`TaskSet`], and can be awaited.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::time::{self, Instant};

/// The tasks of one cluster handle. Dropping it cancels them without waiting.
#[derive(Debug)]
pub(crate) struct TaskSet {
    shared: Arc<Shared>,
    _cancel_on_drop: tokio_util::sync::DropGuard,
}

#[derive(Debug)]
struct Shared {
    tracker: TaskTracker,
    /// Connections are dropped anywhere, also where no runtime is entered.
    runtime: Handle,
    cancelled: CancellationToken,
    running: Mutex<BTreeMap<&'static str, usize>>,
}

/// Spawns into a [`TaskSet`] without keeping it alive.
#[derive(Debug, Clone)]
pub(crate) struct Spawner(Arc<Shared>);

impl TaskSet {
    /// Must be called within a tokio runtime, which runs the tasks.
    pub(crate) fn new() -> Self {
        let cancelled = CancellationToken::new();
        Self {
            _cancel_on_drop: cancelled.clone().drop_guard(),
            shared: Arc::new(Shared {
                tracker: TaskTracker::new(),
                runtime: Handle::current(),
                cancelled,
                running: Mutex::default(),
            }),
        }
    }

    pub(crate) fn spawner(&self) -> Spawner {
        Spawner(Arc::clone(&self.shared))
    }

    /// Cancels all tasks and waits for them until `deadline`; the names of those still running
    /// then, which are left to end by themselves.
    pub(crate) async fn close(&self, deadline: Instant) -> Vec<&'static str> {
        self.shared.cancelled.cancel();
        self.shared.tracker.close();
        tokio::select! {
            biased;
            () = self.shared.tracker.wait() => Vec::new(),
            () = time::sleep_until(Some(deadline)) => {
                let running = self.shared.running.lock().unwrap_or_else(PoisonError::into_inner);
                running.keys().copied().collect()
            }
        }
    }
}

impl Spawner {
    /// Runs `future` as a task of the set; it is dropped at its next await when the set closes.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let cancelled = self.0.cancelled.clone();
        let running = Running::enter(Arc::clone(&self.0), name);
        let task = async move {
            let _running = running;
            tokio::select! {
                biased;
                () = cancelled.cancelled() => {}
                () = future => {}
            }
        };
        self.0.tracker.spawn_on(task, &self.0.runtime);
    }
}

/// Counts a task by name for as long as it lives, also when it panics or is never polled.
struct Running {
    shared: Arc<Shared>,
    name: &'static str,
}

impl Running {
    fn enter(shared: Arc<Shared>, name: &'static str) -> Self {
        *shared
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
        Self { shared, name }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self
            .shared
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn closing_ends_every_task_and_names_none() {
        let tasks = TaskSet::new();
        tasks.spawner().spawn("sleeper", std::future::pending());
        let late = tasks.close(time::now() + Duration::from_secs(1)).await;
        assert!(late.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_set_cancels_its_tasks() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let tasks = TaskSet::new();
        tasks.spawner().spawn("holder", async move {
            let _held = sender;
            std::future::pending::<()>().await;
        });
        drop(tasks);
        assert!(receiver.await.is_err(), "the task was dropped");
    }

    #[test]
    fn a_task_may_be_started_from_outside_the_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let tasks = runtime.block_on(async { TaskSet::new() });
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tasks.spawner().spawn("messenger", async move {
            let _ = sender.send(7);
        });
        assert_eq!(runtime.block_on(receiver), Ok(7));
    }

    #[tokio::test]
    async fn a_task_that_panics_does_not_hold_up_the_end() {
        let tasks = TaskSet::new();
        tasks
            .spawner()
            .spawn("clumsy", async { panic!("on purpose") });
        tokio::task::yield_now().await;
        let late = tasks.close(time::now() + Duration::from_secs(5)).await;
        assert!(late.is_empty());
    }
}
