//! What an instance does with connections, by request, whatever the world has made of it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::fault::ListenerState;
use crate::sim::front::Ending;
use crate::sim::world::{Command, Refusal};

use super::listener::{self, BlackHole};
use super::machines::Machines;
use super::shell::Shared;
use super::{SimCluster, SimError};

#[cfg(test)]
mod tests;

impl SimCluster {
    /// Sets what an instance does with connections. It outlasts the instance's restarts and
    /// changes of role; see [`InstanceStatus::listener`](super::InstanceStatus::listener).
    ///
    /// # Errors
    ///
    /// There is no such instance; it is to fall silent and is down already; or its port cannot be
    /// listened on.
    ///
    /// ```
    /// use aurora_driver::EngineKind;
    /// use aurora_driver::sim::{ListenerState, SimCluster};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = SimCluster::builder(EngineKind::Postgres).start().await?;
    /// let writer = cluster.writer().ok_or("no writer")?;
    /// cluster.set_listener(&writer, ListenerState::Full)?;
    /// // ... logins fail with 53300 ...
    /// cluster.restore(&writer)?;
    /// # cluster.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_listener(
        &self,
        id: impl Into<InstanceId>,
        state: ListenerState,
    ) -> Result<(), SimError> {
        self.shared.set_listener(&id.into(), state)
    }

    /// Makes an instance's port refuse. Its established connections go on.
    ///
    /// # Errors
    ///
    /// There is no such instance.
    pub fn refuse(&self, id: impl Into<InstanceId>) -> Result<(), SimError> {
        self.set_listener(id, ListenerState::Refusing)
    }

    /// Lets an instance's host fall silent: established connections are no longer read, written or
    /// closed, and connects hang.
    ///
    /// It is fenced at once, and what its sessions had not committed is rolled back. The cluster
    /// notices as it notices a crash: a reader is promoted in place of a silent writer, and a
    /// silent reader leaves the reader endpoint. It stays away until [`restore`](Self::restore).
    ///
    /// # Errors
    ///
    /// There is no such instance, it is not up, or its port cannot be listened on.
    pub fn silence(&self, id: impl Into<InstanceId>) -> Result<(), SimError> {
        self.set_listener(id, ListenerState::Silent)
    }

    /// Makes each answer of an instance so much later.
    ///
    /// # Errors
    ///
    /// There is no such instance.
    pub fn slow(&self, id: impl Into<InstanceId>, delay: Duration) -> Result<(), SimError> {
        self.set_listener(id, ListenerState::Slow(delay))
    }

    /// Lets an instance serve connections again.
    ///
    /// A silent one has rebooted: its old connections are reset, and it accepts again when its
    /// engine has restarted, as a reader if it was replaced as the writer. Wait for its state.
    ///
    /// # Errors
    ///
    /// There is no such instance, or its port cannot be listened on.
    pub fn restore(&self, id: impl Into<InstanceId>) -> Result<(), SimError> {
        self.set_listener(id, ListenerState::Normal)
    }
}

impl Shared {
    pub(super) fn set_listener(
        &self,
        id: &InstanceId,
        state: ListenerState,
    ) -> Result<(), SimError> {
        let mut machines = self.machines();
        if !self.world().instances().any(|(known, _, _)| known == id) {
            return Err(Refusal::Unknown(id.clone()).into());
        }
        let before = machines.machine(id).gate.state();
        match (before, state) {
            (ListenerState::Silent, ListenerState::Silent) => return Ok(()),
            (_, ListenerState::Silent) => self.fall_silent(&mut machines, id)?,
            (ListenerState::Silent, _) => self.end_silence(&mut machines, id, state)?,
            (_, ListenerState::Refusing) => {
                machines.machine(id).gate.set(state);
                machines.machine(id).listener = None;
            }
            _ => {
                machines.machine(id).gate.set(state);
                self.reopen(&mut machines, id)?;
            }
        }
        let snapshot = self.snapshot(&machines);
        self.state.send_replace(snapshot);
        self.changed.notify_one();
        Ok(())
    }

    fn fall_silent(&self, machines: &mut Machines, id: &InstanceId) -> Result<(), SimError> {
        let command = Command::Silence(id.clone());
        let effects = self.world().handle(command, self.clock.now())?;
        // The black hole comes first, so that the port never refuses in between.
        let address = SocketAddr::from((machines.addresses.give(id), self.port));
        let machine = machines.machine(id);
        machine.gate.set(ListenerState::Silent);
        let black_hole = match machine.listener.take() {
            Some(listener) => listener.into_black_hole(),
            None => listener::bind(address).and_then(BlackHole::open),
        };
        let opened = black_hole.map(|hole| machine.black_hole = Some(hole));
        self.apply(machines, effects);
        opened.map_err(|source| SimError::Listen { address, source })
    }

    fn end_silence(
        &self,
        machines: &mut Machines,
        id: &InstanceId,
        state: ListenerState,
    ) -> Result<(), SimError> {
        let command = Command::EndSilence(id.clone());
        let effects = self.world().handle(command, self.clock.now())?;
        let machine = machines.machine(id);
        machine.gate.set(state);
        machine.black_hole = None;
        // The host knows nothing of the connections it had.
        machines.end(id, Ending::Reset);
        self.apply(machines, effects);
        Ok(())
    }

    /// Listens again where the world has an engine up whose port refused.
    fn reopen(&self, machines: &mut Machines, id: &InstanceId) -> Result<(), SimError> {
        let machine = machines.machine(id);
        let Some(door) = machine.door.clone().filter(|_| machine.listener.is_none()) else {
            return Ok(());
        };
        let ip = machines.addresses.give(id);
        let listener = self
            .listen(machines, ip, door)
            .map_err(|source| SimError::Listen {
                address: SocketAddr::from((ip, self.port)),
                source,
            })?;
        machines.machine(id).listener = Some(listener);
        Ok(())
    }
}
