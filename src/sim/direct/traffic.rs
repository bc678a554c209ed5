//! What the instances see of their clients: every connection that was tried, and what became of
//! it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::cluster::Clock;

/// One attempt to connect to an instance of a [`DirectCluster`](super::DirectCluster), as the
/// instance saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectConnect {
    /// When it knocked, since the cluster started.
    pub at: Duration,
    /// The instance.
    pub instance: InstanceId,
    /// The client's [`application_name`](crate::Config::application_name); empty without one.
    pub process: Arc<str>,
    /// Who wanted it.
    pub purpose: DirectPurpose,
    /// What it met.
    pub answer: DirectAnswer,
    /// When its login had succeeded.
    pub logged_in_at: Option<Duration>,
    /// When the client gave it up, or closed it.
    pub ended_at: Option<Duration>,
}

/// Which part of the driver wanted a connection to an instance of a
/// [`DirectCluster`](super::DirectCluster).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DirectPurpose {
    /// The monitor, to ask a known instance.
    Monitor,
    /// A pool, for whoever calls.
    Pool,
    /// The monitor, to find the cluster by one of the names that it was given.
    Seed,
}

/// What a client met that connected to an instance of a [`DirectCluster`](super::DirectCluster).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DirectAnswer {
    /// The connection was opened, and the login begun.
    Accepted,
    /// There was no room for another connection (53300, 1040).
    Full,
    /// Nothing listened on the port.
    Refused,
    /// Nobody answered.
    Silent,
    /// No logins were taken yet, or any more (57P03, 1053).
    Starting,
}

/// The log of all attempts.
#[derive(Debug, Default)]
pub(super) struct Traffic(Mutex<Vec<DirectConnect>>);

impl Traffic {
    /// Writes an attempt down; it lasts until the entry is dropped.
    pub(super) fn begin(
        self: &Arc<Self>,
        clock: Clock,
        instance: InstanceId,
        (process, purpose): (Arc<str>, DirectPurpose),
        answer: DirectAnswer,
    ) -> Attempt {
        let mut log = self.log();
        log.push(DirectConnect {
            at: clock.now(),
            instance: instance.clone(),
            process,
            purpose,
            answer,
            logged_in_at: None,
            ended_at: None,
        });
        Attempt {
            traffic: Arc::clone(self),
            clock,
            instance,
            number: log.len() - 1,
        }
    }

    pub(super) fn all(&self) -> Vec<DirectConnect> {
        self.log().clone()
    }

    fn log(&self) -> MutexGuard<'_, Vec<DirectConnect>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt, or the connection that it became.
#[derive(Debug)]
pub(super) struct Attempt {
    traffic: Arc<Traffic>,
    clock: Clock,
    instance: InstanceId,
    number: usize,
}

impl Attempt {
    /// Where it went.
    pub(super) fn instance(&self) -> InstanceId {
        self.instance.clone()
    }

    pub(super) fn logged_in(&self) {
        let now = self.clock.now();
        if let Some(entry) = self.traffic.log().get_mut(self.number) {
            entry.logged_in_at = Some(now);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let now = self.clock.now();
        if let Some(entry) = self.traffic.log().get_mut(self.number) {
            entry.ended_at = Some(now);
        }
    }
}
