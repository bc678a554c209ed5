//! How far the readers are behind: a lag that was set, a replication that was paused, and the
//! reader that restarts because it has fallen behind too much.

use std::time::Duration;

use crate::id::{EngineKind, InstanceId};
use crate::sim::front::Ending;

use super::instance::{Instance, InstanceState, Role};
use super::queue::Due;
use super::{Effect, Refusal, World};

/// How a reader follows the writer. The default: it sees each commit at once, and its row shows
/// the timeline's `replica_lag`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Following {
    /// How old its data is.
    lag: Duration,
    /// Since when nothing new reaches it.
    paused_at: Option<Duration>,
}

impl Following {
    /// How old its data is at `now`, if somebody has meddled with it.
    pub(super) fn lag_at(&self, now: Duration) -> Option<Duration> {
        let paused = self.paused_at.map(|at| now.saturating_sub(at));
        match (self.lag, paused) {
            (Duration::ZERO, None) => None,
            (lag, paused) => Some(lag.saturating_add(paused.unwrap_or_default())),
        }
    }
}

impl World {
    /// How old the data is that an instance shows, as far as it was told to lag.
    pub(crate) fn lag_of(&self, id: &InstanceId, now: Duration) -> Duration {
        let instance = self.instances.get(id);
        let lag = instance.and_then(|instance| instance.following.lag_at(now));
        lag.unwrap_or_default()
    }

    pub(super) fn set_lag(
        &mut self,
        id: &InstanceId,
        lag: Duration,
        now: Duration,
    ) -> Result<(), Refusal> {
        let limit = self.timeline.lag_limit;
        let mut following = self.reader(id)?.following;
        if lag > limit {
            return Err(Refusal::LagBeyondLimit {
                instance: id.clone(),
                lag,
                limit,
            });
        }
        following.lag = lag;
        self.follow_as(id, following, now);
        self.watch(id, following, now);
        Ok(())
    }

    pub(super) fn pause_replication(
        &mut self,
        id: &InstanceId,
        now: Duration,
    ) -> Result<(), Refusal> {
        let mut following = self.reader(id)?.following;
        if following.paused_at.is_none() {
            following.paused_at = Some(now);
            self.follow_as(id, following, now);
            self.watch(id, following, now);
        }
        Ok(())
    }

    pub(super) fn resume_replication(
        &mut self,
        id: &InstanceId,
        now: Duration,
    ) -> Result<(), Refusal> {
        let mut following = self.reader(id)?.following;
        if following.paused_at.take().is_some() {
            self.follow_as(id, following, now);
        }
        Ok(())
    }

    /// A promoted reader has no lag, nor has it one when it is a reader again.
    pub(super) fn forget_lag(&mut self, id: &InstanceId, now: Duration) {
        let instance = self.instances.get(id);
        if instance.is_some_and(|instance| instance.following != Following::default()) {
            self.follow_as(id, Following::default(), now);
        }
    }

    /// A paused reader whose data is too old restarts, and follows again from then on.
    pub(super) fn too_far_behind(&mut self, id: &InstanceId, paused_at: Duration, now: Duration) {
        let Some(instance) = self.instances.get(id) else {
            return;
        };
        let mut following = instance.following;
        let too_old = following
            .lag_at(now)
            .is_some_and(|lag| lag >= self.timeline.lag_limit);
        if following.paused_at != Some(paused_at) || !too_old {
            return;
        }
        following.paused_at = None;
        if instance.is_up() {
            let engine = match self.engine {
                EngineKind::MySql => "MySQL",
                EngineKind::Postgres => "postgres",
            };
            self.publish(
                now,
                NO_ID,
                id,
                format!("Read Replica has fallen behind the master too much. Restarting {engine}"),
            );
            self.stop(id, Ending::Goodbye, now);
            self.boot_at(id, now.saturating_add(self.timeline.restart), now);
            self.check_health_later(now);
        }
        self.follow_as(id, following, now);
    }

    /// Ends all connections and restarts all instances, while the storage goes back.
    pub(super) fn backtrack(&mut self, to: Duration, now: Duration) -> Result<(), Refusal> {
        let Some(writer) = self.writer().cloned() else {
            return Err(Refusal::FailoverInProgress);
        };
        self.restart_writer(&writer, now)?;
        let readers: Vec<(InstanceId, InstanceState)> = self
            .instances()
            .filter(|(_, role, _)| *role == Role::Reader)
            .map(|(id, _, state)| (id.clone(), state))
            .collect();
        for (id, state) in readers {
            match state {
                InstanceState::Up | InstanceState::Starting => {
                    self.stop(&id, Ending::Goodbye, now);
                    self.boot_at(&id, now.saturating_add(self.timeline.restart), now);
                    self.check_health_later(now);
                }
                InstanceState::Draining => {
                    self.stop(&id, Ending::Goodbye, now);
                    self.forget(&id, now);
                }
                // It is on its way to a restart.
                InstanceState::Refusing | InstanceState::Fenced => {}
            }
        }
        let message = format!("The DB cluster was backtracked to {to:?} after its start");
        self.publish(now, NO_ID, &writer, message);
        Ok(())
    }

    fn reader(&self, id: &InstanceId) -> Result<&Instance, Refusal> {
        match self.instances.get(id) {
            None => Err(Refusal::Unknown(id.clone())),
            Some(instance) if instance.role == Role::Writer => {
                Err(Refusal::WriterHasNoLag(id.clone()))
            }
            Some(instance) => Ok(instance),
        }
    }

    fn follow_as(&mut self, id: &InstanceId, following: Following, now: Duration) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.following = following;
        }
        self.edit_table(now, |table| {
            if let Some(row) = table.rows.get_mut(id).filter(|row| row.session.is_some()) {
                row.following = following;
            }
        });
        self.effects.push(Effect::Replication {
            instance: id.clone(),
            lag: following.lag,
            paused: following.paused_at.is_some(),
        });
    }

    /// Schedules the restart of a paused reader.
    fn watch(&mut self, id: &InstanceId, following: Following, now: Duration) {
        if let Some(paused_at) = following.paused_at {
            let left = self.timeline.lag_limit.saturating_sub(following.lag);
            let due = Due::TooFarBehind {
                instance: id.clone(),
                paused_at,
            };
            self.queue
                .push(paused_at.saturating_add(left).max(now), due);
        }
    }
}

/// The id of events whose id is not published.
const NO_ID: &str = "";
