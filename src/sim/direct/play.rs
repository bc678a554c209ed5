//! Timeline files carried out on a direct cluster.

use crate::id::InstanceId;
use crate::sim::cluster::SimError;
use crate::sim::fault::FaultGuard;
use crate::sim::script::{Action, Script, ScriptError, command, listening};
use crate::sim::world::Role;

use super::DirectCluster;

impl DirectCluster {
    /// Plays a timeline file, beginning now, to its last step, whose consequences may still come.
    /// See [`Script`]; there is nothing here that its steps about names and addresses could change.
    ///
    /// # Errors
    ///
    /// A step was refused, or is one about DNS, endpoints, names or the storage; none after it was
    /// carried out.
    ///
    /// # Cancellation
    ///
    /// May be dropped; the steps that have been carried out stay. Faults of statements end with it.
    pub async fn play(&self, script: &Script) -> Result<(), ScriptError> {
        let began = self.now();
        let mut faults = Vec::new();
        let mut writers = Writers::default();
        for step in script.steps.iter() {
            let wait = (began + step.at).saturating_sub(self.now());
            tokio::time::sleep(wait).await;
            writers.look(self);
            let done = self.perform_step(&step.action, &writers, &mut faults);
            done.map_err(|error| ScriptError::new(script, step.place, error.to_string()))?;
        }
        Ok(())
    }

    fn perform_step(
        &self,
        action: &Action,
        writers: &Writers,
        faults: &mut Vec<FaultGuard>,
    ) -> Result<(), SimError> {
        let named = |name: &str| writers.instance(self, name);
        if let Some((name, state)) = listening(action) {
            return self.set_listener(&named(name)?, state);
        }
        if let Some(command) = command(&named, action)? {
            return self.perform(command);
        }
        match action {
            Action::Fault { fault } => {
                let fault = fault.clone().fault();
                faults.push(self.fault(fault.map_err(|flaw| SimError::Refused(flaw.into()))?));
                Ok(())
            }
            Action::EndFaults {} => {
                faults.clear();
                Ok(())
            }
            _ => Err(SimError::Refused(
                "the direct front has no such thing: play it on a `SimCluster`".into(),
            )),
        }
    }
}

/// Who writes, and who did before, as far as the steps have seen.
#[derive(Debug, Default)]
struct Writers {
    present: Option<InstanceId>,
    former: Option<InstanceId>,
}

impl Writers {
    fn look(&mut self, cluster: &DirectCluster) {
        let writer = cluster.writer();
        if writer.is_some() && writer != self.present {
            self.former = std::mem::replace(&mut self.present, writer);
        }
    }

    /// An instance by its identifier, or by what it is now.
    fn instance(&self, cluster: &DirectCluster, name: &str) -> Result<InstanceId, SimError> {
        let missing = |what: &str| SimError::Refused(format!("there is no {what} now"));
        if let Some(number) = name.strip_prefix("reader-")
            && let Ok(number) = number.parse::<usize>()
        {
            let instances = cluster.instances();
            let mut readers = instances.iter().filter(|it| it.role == Role::Reader);
            let found = number.checked_sub(1).and_then(|skip| readers.nth(skip));
            return found
                .map(|reader| reader.id.clone())
                .ok_or_else(|| missing(name));
        }
        match name {
            "writer" => cluster.writer().ok_or_else(|| missing("writer")),
            "old-writer" => self.former.clone().ok_or_else(|| missing("old writer")),
            _ => Ok(name.into()),
        }
    }
}
