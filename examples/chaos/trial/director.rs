//! Carries the plan's faults out, each at its time, and mends everything in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::InstanceId;
use aurora_driver::sim::direct::DirectCluster;
use aurora_driver::sim::{
    DnsFault, FaultGuard, FaultPoint, ListenerState, Role, SimError, StatementFault, StatementKind,
    ViewAnomaly,
};

use super::history::History;
use super::plan::{DnsOutage, Fault, PlannedFault, StatementTrouble, Target, View};

/// The director of one trial.
pub(crate) struct Director<'a> {
    world: &'a DirectCluster,
    history: &'a History,
    /// What ends, by when it does; the number keeps two of the same moment apart.
    ends: BTreeMap<(Duration, usize), End>,
    begun: usize,
}

/// So often that the repetitions of closures are more than a fifth of their number.
const CONFLICTS_PROBABILITY: f64 = 0.9;

/// How a fault ends.
enum End {
    Listener(InstanceId),
    View(InstanceId),
    Lag(InstanceId),
    Replication(InstanceId),
    Dns,
    Statements(FaultGuard),
}

impl<'a> Director<'a> {
    pub(crate) fn new(world: &'a DirectCluster, history: &'a History) -> Self {
        Self {
            world,
            history,
            ends: BTreeMap::new(),
            begun: 0,
        }
    }

    /// Lets every fault of the plan strike, and end, until `length` is over.
    pub(crate) async fn play(&mut self, faults: &[PlannedFault], length: Duration) {
        let mut faults = faults.iter().peekable();
        loop {
            let next = faults
                .peek()
                .map(|planned| Duration::from_millis(planned.at_ms));
            let end = self.ends.first_key_value().map(|((at, _), _)| *at);
            let at = match (next, end) {
                (Some(next), Some(end)) => next.min(end),
                (Some(next), None) => next,
                (None, Some(end)) => end,
                (None, None) => length,
            };
            self.sleep_until(at.min(length)).await;
            let now = self.world.now();
            while let Some(entry) = self.ends.first_entry()
                && entry.key().0 <= now
            {
                let end = entry.remove();
                self.end(end);
            }
            if now >= length {
                return;
            }
            while let Some(planned) = faults.next_if(|it| Duration::from_millis(it.at_ms) <= now) {
                self.begin(&planned.fault).await;
            }
        }
    }

    /// Mends all that is still broken.
    pub(crate) fn mend(&mut self) {
        for (_, end) in std::mem::take(&mut self.ends) {
            self.end(end);
        }
        self.world.set_dns(None);
        for instance in self.world.instances() {
            // What is gone by now needs no mending.
            let _ = self.world.restore(&instance.id);
            self.history.speaks_again(&instance.id);
            let _ = self.world.clear_view(&instance.id);
            let _ = self.world.set_lag(&instance.id, Duration::ZERO);
            let _ = self.world.resume_replication(&instance.id);
        }
    }

    async fn sleep_until(&self, at: Duration) {
        tokio::time::sleep(at.saturating_sub(self.world.now())).await;
    }

    async fn begin(&mut self, fault: &Fault) {
        self.world.note(format_args!("director: {fault:?}"));
        if let Fault::ClientPause { ms } = fault {
            self.history.stand_still(Duration::from_millis(*ms)).await;
        }
        match self.strike(fault) {
            Ok(()) => {
                let mut faults = self.history.faults.borrow_mut();
                *faults.entry(fault.kind()).or_default() += 1;
            }
            // A fault that does not fit the moment is left out.
            Err(refusal) => self.world.note(format_args!("director: {refusal}")),
        }
    }

    fn strike(&mut self, fault: &Fault) -> Result<(), SimError> {
        let world = self.world;
        match fault {
            Fault::Crash { target } => world.crash(&self.instance(*target)),
            Fault::CrashInPlace { target } => world.crash_in_place(&self.instance(*target)),
            Fault::Failover { to: None } => world.failover(None),
            Fault::Failover { to: Some(reader) } => {
                world.failover(Some(&self.instance(Target::Reader(*reader))))
            }
            Fault::Restart { target } => world.restart(&self.instance(*target)),
            Fault::Upgrade => world.upgrade("17.9"),
            Fault::AddReader => world.add_reader(),
            Fault::Remove { target } => world.remove_instance(&self.instance(*target)),
            Fault::Silence { target, ms } => self.listener(*target, ListenerState::Silent, *ms),
            Fault::Refuse { target, ms } => self.listener(*target, ListenerState::Refusing, *ms),
            Fault::Full { target, ms } => self.listener(*target, ListenerState::Full, *ms),
            Fault::Starting { target, ms } => self.listener(*target, ListenerState::Starting, *ms),
            Fault::Draining { target, ms } => self.listener(*target, ListenerState::Draining, *ms),
            Fault::Slow { target, by_ms, ms } => {
                let slow = ListenerState::Slow(Duration::from_millis(*by_ms));
                self.listener(*target, slow, *ms)
            }
            Fault::Lag { reader, by_ms, ms } => {
                let id = self.instance(Target::Reader(*reader));
                world.set_lag(&id, Duration::from_millis(*by_ms))?;
                self.ends_after(*ms, End::Lag(id));
                Ok(())
            }
            Fault::PauseReplication { reader, ms } => {
                let id = self.instance(Target::Reader(*reader));
                world.pause_replication(&id)?;
                self.ends_after(*ms, End::Replication(id));
                Ok(())
            }
            Fault::View { target, view, ms } => {
                let id = self.instance(*target);
                world.set_view(&id, self.anomaly(*view))?;
                self.ends_after(*ms, End::View(id));
                Ok(())
            }
            Fault::DnsFlip { by_ms } => world.set_dns_flip(Duration::from_millis(*by_ms)),
            Fault::DnsOutage { kind, ms } => {
                world.set_dns(Some(dns_fault(*kind)));
                self.ends_after(*ms, End::Dns);
                Ok(())
            }
            Fault::Statements {
                kind,
                probability,
                ms,
            } => {
                let probability = match kind {
                    StatementTrouble::Conflicts => CONFLICTS_PROBABILITY,
                    _ => *probability,
                };
                let fault = statement_fault(*kind).with_probability(probability);
                let guard = world.fault(fault);
                self.ends_after(*ms, End::Statements(guard));
                Ok(())
            }
            // It is over by now.
            Fault::ClientPause { .. } => Ok(()),
        }
    }

    fn listener(&mut self, target: Target, state: ListenerState, ms: u64) -> Result<(), SimError> {
        let id = self.instance(target);
        self.world.set_listener(&id, state)?;
        match state {
            ListenerState::Silent => self.history.fell_silent(&id),
            _ => self.history.speaks_again(&id),
        }
        self.ends_after(ms, End::Listener(id));
        Ok(())
    }

    fn ends_after(&mut self, ms: u64, end: End) {
        self.begun += 1;
        let at = self.world.now() + Duration::from_millis(ms);
        self.ends.insert((at, self.begun), end);
    }

    fn end(&self, end: End) {
        let ended = match end {
            End::Listener(id) => {
                self.history.speaks_again(&id);
                self.world.restore(&id)
            }
            End::View(id) => self.world.clear_view(&id),
            End::Lag(id) => self.world.set_lag(&id, Duration::ZERO),
            End::Replication(id) => self.world.resume_replication(&id),
            End::Dns => {
                self.world.set_dns(None);
                Ok(())
            }
            End::Statements(guard) => {
                drop(guard);
                Ok(())
            }
        };
        if let Err(refusal) = ended {
            self.world.note(format_args!("director: {refusal}"));
        }
    }

    /// The instance that is meant, or a name that is refused.
    fn instance(&self, target: Target) -> InstanceId {
        let nobody = InstanceId::new("nobody");
        match target {
            Target::Writer => self.world.writer().unwrap_or(nobody),
            Target::Reader(number) => {
                let instances = self.world.instances();
                let mut readers: Vec<_> = instances
                    .into_iter()
                    .filter(|instance| instance.role == Role::Reader)
                    .collect();
                match readers.len() {
                    0 => nobody,
                    count => readers.swap_remove(number % count).id,
                }
            }
        }
    }

    fn any_instance(&self, number: usize) -> InstanceId {
        let mut instances = self.world.instances();
        let count = instances.len();
        instances.swap_remove(number % count).id
    }

    fn anomaly(&self, view: View) -> ViewAnomaly {
        match view {
            View::SecondWriter(other) => ViewAnomaly::SecondWriter(self.any_instance(other)),
            View::NoWriter => ViewAnomaly::NoWriter,
            View::OneRow => ViewAnomaly::OneRow,
            View::StaleClaim(other) => ViewAnomaly::StaleClaim(self.any_instance(other)),
            View::Lingering => ViewAnomaly::Lingering(InstanceId::new("demo-instance-of-yore")),
            View::OwnTimestamp(null) => ViewAnomaly::OwnTimestampNull(null),
            View::GarbageLag => ViewAnomaly::GarbageLag,
            View::ForeignRows => ViewAnomaly::ForeignRows,
            View::PropagationMs(ms) => ViewAnomaly::Propagation(Duration::from_millis(ms)),
        }
    }
}

fn dns_fault(kind: DnsOutage) -> DnsFault {
    match kind {
        DnsOutage::Silent => DnsFault::Silent,
        DnsOutage::SlowMs(ms) => DnsFault::Slow(Duration::from_millis(ms)),
        DnsOutage::ServFail => DnsFault::ServFail,
        DnsOutage::NxDomain => DnsFault::NxDomain,
    }
}

fn statement_fault(kind: StatementTrouble) -> StatementFault {
    match kind {
        StatementTrouble::Error => StatementFault::error("40001", 1213, "please try again"),
        StatementTrouble::Conflicts => {
            let conflict = StatementFault::error("40001", 1213, "please try again");
            conflict.kind(StatementKind::Write)
        }
        StatementTrouble::Reset => StatementFault::reset(),
        StatementTrouble::LostAnswer => StatementFault::reset().at(FaultPoint::Answer),
        StatementTrouble::DelayMs(ms) => StatementFault::delay(Duration::from_millis(ms)),
        StatementTrouble::Login => {
            let full = StatementFault::error("53300", 1040, "too many connections");
            full.at(FaultPoint::Login)
        }
        StatementTrouble::Crash => StatementFault::crash().kind(StatementKind::Write),
    }
}
