//! One instance as the network reaches it, and who is let in.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::sync::watch;

use crate::id::{EngineKind, InstanceId};
use crate::sim::fault::{Gate, Limits, ListenerState, Place, Turned};
use crate::sim::world::Opening;

use super::fate::Fate;
use super::shell::Shared;
use super::traffic::{Attempt, DirectAnswer, DirectPurpose};

/// One instance, over all its boots.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) address: Ipv4Addr,
    pub(super) is_listening: bool,
    pub(super) gate: Arc<Gate>,
    pub(super) boot: Option<Boot>,
}

/// One life of its engine process.
#[derive(Debug)]
pub(super) struct Boot {
    pub(super) opening: Opening,
    pub(super) may_commit: bool,
    pub(super) fate: Fate,
}

impl Drop for Boot {
    fn drop(&mut self) {
        self.fate.abandon();
    }
}

/// What somebody who knocks meets.
#[derive(Debug)]
pub(super) enum Knock {
    /// The port refuses.
    Refused,
    /// The connection is reset before anything is said.
    Reset,
    /// Nobody answers, ever.
    Silent,
    /// The server takes no logins yet, or any more (57P03, 1053).
    Starting,
    /// There is no room for another connection (53300, 1040).
    Full,
    In(Session, Place),
}

/// One connection to one boot of one instance.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) instance: InstanceId,
    pub(super) boot: u64,
    pub(super) fate: Fate,
    pub(super) gate: Arc<Gate>,
}

impl Machine {
    pub(super) fn new(number: u8, limits: Limits) -> Self {
        Self {
            address: Ipv4Addr::new(127, 7, 0, number),
            is_listening: false,
            gate: Arc::new(Gate::new(limits, watch::Sender::new(()))),
            boot: None,
        }
    }

    fn knock(&self, instance: &InstanceId, engine: EngineKind) -> Knock {
        match self.gate.state() {
            ListenerState::Silent => return Knock::Silent,
            ListenerState::Refusing => return Knock::Refused,
            // MySQL opens its port late: whoever was queued at it is reset.
            ListenerState::Starting if engine == EngineKind::MySql => return Knock::Reset,
            ListenerState::Normal
            | ListenerState::Slow(_)
            | ListenerState::Draining
            | ListenerState::Full
            | ListenerState::Starting => {}
        }
        let Some(boot) = self.boot.as_ref().filter(|_| self.is_listening) else {
            return Knock::Refused;
        };
        if boot.fate.is_silence() {
            return Knock::Silent;
        }
        if boot.opening.starting {
            return Knock::Starting;
        }
        let session = Session {
            instance: instance.clone(),
            boot: boot.opening.boot,
            fate: boot.fate.clone(),
            gate: Arc::clone(&self.gate),
        };
        match self.gate.enter() {
            Ok(place) => Knock::In(session, place),
            Err(Turned::Starting | Turned::Draining) => Knock::Starting,
            Err(Turned::Full) => Knock::Full,
        }
    }
}

impl Shared {
    /// Connects to an address. The attempt lasts as long as its second half.
    pub(super) fn knock(
        &self,
        address: IpAddr,
        client: &(Arc<str>, DirectPurpose),
    ) -> (Knock, Option<Attempt>) {
        let (knock, instance) = {
            let inner = self.inner();
            let mut machines = inner.machines.iter();
            let Some((id, machine)) = machines.find(|(_, machine)| machine.address == address)
            else {
                return (Knock::Refused, None);
            };
            (machine.knock(id, self.engine), id.clone())
        };
        let answer = match &knock {
            Knock::Refused | Knock::Reset => DirectAnswer::Refused,
            Knock::Silent => DirectAnswer::Silent,
            Knock::Starting => DirectAnswer::Starting,
            Knock::Full => DirectAnswer::Full,
            Knock::In(..) => DirectAnswer::Accepted,
        };
        let (process, purpose) = client;
        self.note(format_args!(
            "connect to {instance} by {process} ({purpose:?}): {answer:?}"
        ));
        let client = (Arc::clone(process), *purpose);
        let attempt = self.traffic.begin(self.clock, instance, client, answer);
        (knock, Some(attempt))
    }
}
