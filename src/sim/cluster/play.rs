//! Timeline files carried out on the cluster's clock.

mod perform;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::sim::script::{ExpectedRole, Outcome, Script, ScriptError};
use crate::sim::world::{InstanceState, Role};

use super::SimCluster;
use super::shell::Shared;
use perform::Player;

/// A timeline file that is being played. Dropping this changes nothing; the script ends with the
/// cluster at the latest.
#[derive(Debug)]
pub struct Playback {
    script: Script,
    end: watch::Receiver<Option<Result<(), ScriptError>>>,
}

impl Playback {
    /// Waits until the last step has been carried out, whose consequences may still come.
    ///
    /// # Errors
    ///
    /// A step was refused, and none after it was carried out; or the cluster ended before.
    ///
    /// # Cancellation
    ///
    /// May be dropped and called again.
    pub async fn finished(&mut self) -> Result<(), ScriptError> {
        match self.end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(Ok(())),
            // The task ends with a result, unless the runtime dropped it.
            Err(_) => Err(ScriptError::runtime_ended(&self.script)),
        }
    }
}

impl SimCluster {
    /// Plays a timeline file, beginning now. Returns at once.
    ///
    /// A step is never sooner than its time, and never closer to the one before it than the file
    /// says, however busy the machine: where one is late, those after it are as late. A DNS that
    /// is broken and not mended stays broken, and so do faults of statements that are not ended. Several scripts may play at a time.
    pub fn play(&self, script: &Script) -> Playback {
        let (sender, end) = watch::channel(None);
        let shared = Arc::clone(&self.shared);
        let tasks = &self.shared.serving.tasks;
        tasks.spawn_on(play(shared, script.clone(), sender), &self.shared.runtime);
        Playback {
            script: script.clone(),
            end,
        }
    }

    /// What a script's `[expect]` says and is not so now, one sentence each; empty when all is as
    /// expected. Ask when the cluster has come to rest.
    pub fn unmet(&self, script: &Script) -> Vec<String> {
        let state = self.state();
        let events = self.events();
        let up = state
            .instances
            .iter()
            .filter(|instance| instance.state == InstanceState::Up);
        let role = |role| match role {
            Role::Writer => ExpectedRole::Writer,
            Role::Reader => ExpectedRole::Reader,
        };
        let up: BTreeMap<&str, ExpectedRole> = up
            .map(|instance| (instance.id.as_str(), role(instance.role)))
            .collect();
        script.expectation.unmet(&Outcome {
            writer: state.writer.as_ref().map(|id| id.as_str()),
            up,
            promotions: state.epoch,
            events: events.iter().map(|event| event.id).collect(),
        })
    }
}

async fn play(
    shared: Arc<Shared>,
    script: Script,
    sender: watch::Sender<Option<Result<(), ScriptError>>>,
) {
    let mut player = Player::new(&shared);
    let end = steps(&mut player, &shared, &script).await;
    if let Err(error) = &end {
        tracing::warn!(%error, "a timeline file was not played to its end");
    }
    sender.send_replace(Some(end));
    if player.keeps_faults() {
        shared.serving.stopped.cancelled().await;
    }
}

async fn steps(
    player: &mut Player<'_>,
    shared: &Shared,
    script: &Script,
) -> Result<(), ScriptError> {
    let started = shared.clock.now();
    // How much later than planned everything is.
    let mut late = Duration::ZERO;
    for step in script.steps.iter() {
        let failed = |message| ScriptError::new(script, step.place, message);
        let due = started.saturating_add(step.at).saturating_add(late);
        let wait = async {
            match shared.clock.instant(due) {
                Some(instant) => tokio::time::sleep_until(instant).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.serving.stopped.cancelled() => {
                return Err(failed("the cluster ended before this step".into()));
            }
            () = wait => {}
        }
        late = late.saturating_add(shared.clock.now().saturating_sub(due));
        let done = player.perform(&step.action).await;
        done.map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
