//! The one task of a cluster handle: it asks, applies what it hears, and publishes.
//!
//! It decides nothing. Whom to ask and when is [`Cadence`]'s, what an answer means is
//! [`apply`]'s, and how to ask is the [`Prober`]'s.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};

use super::apply::{Effect, Step, apply};
use super::cadence::{Cadence, Reply, Target};
use super::observation::{Fault, Observation, Report};
use super::snapshot::{Instance, Topology};
use crate::error::ErrorKind;
use crate::event::{Disbelief, EventKind, EventSender};
use crate::time::{self, Instant};

/// News beyond this are dropped: by then the monitor has long been alarmed.
const MAILBOX_CAPACITY: usize = 1_024;

/// The same refusal by the same target is logged so often at most.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What the monitor needs of the layers to its right.
pub(crate) trait Prober: Send + Sync + 'static {
    /// Asks a target. Bounded in time by itself; dropping the future is safe.
    fn ask(
        &self,
        target: &Target,
        asked_at: Instant,
    ) -> impl Future<Output = Result<Report, ProbeFailure>> + Send;

    /// Brings pools in line with a new picture, before anybody else sees it; what there is to
    /// tell of it.
    fn carry_out(&self, topology: &Topology, effects: &[Effect]) -> Vec<EventKind>;
}

/// Why a target gave no report.
#[derive(Debug, Clone)]
pub(crate) struct ProbeFailure {
    pub(crate) fault: Fault,
    pub(crate) kind: ErrorKind,
    /// For people: the target, the cause and the next step.
    pub(crate) message: String,
}

/// Puts news into the monitor's mailbox; never waits.
#[derive(Debug, Clone)]
pub(crate) struct News(mpsc::Sender<Observation>);

impl News {
    pub(crate) fn send(&self, observation: Observation) {
        // Full: the monitor is alarmed already. Closed: nobody needs news any more.
        let _ = self.0.try_send(observation);
    }

    /// A mailbox without a monitor.
    #[cfg(test)]
    pub(crate) fn mailbox() -> (Self, mpsc::Receiver<Observation>) {
        let (sender, receiver) = mpsc::channel(MAILBOX_CAPACITY);
        (Self(sender), receiver)
    }
}

/// What the rest of the driver reads of the monitor.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) topology: watch::Receiver<Arc<Topology>>,
    /// For errors that must say why there is no writer.
    pub(crate) failures: watch::Receiver<Failures>,
}

/// The failed probes that no answer has made worthless yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures {
    /// The most recent one.
    pub(crate) last: Option<(Target, ProbeFailure)>,
    /// The most recent one of each seed; none once an instance has answered.
    pub(crate) seeds: BTreeMap<usize, ProbeFailure>,
}

impl Failures {
    fn add(&mut self, target: &Target, failure: ProbeFailure) {
        if let Target::Seed(seed) = target {
            self.seeds.insert(*seed, failure.clone());
        }
        self.last = Some((target.clone(), failure));
    }

    fn answered(&mut self, target: &Target) {
        self.seeds.clear();
        // Seeds are asked no more once an instance answers.
        let is_over = |failed: &Target| failed == target || matches!(failed, Target::Seed(_));
        self.last.take_if(|(failed, _)| is_over(failed));
    }
}

/// The monitor before it runs.
#[derive(Debug)]
pub(crate) struct Monitor {
    cadence: Cadence,
    events: EventSender,
    mailbox: mpsc::Receiver<Observation>,
    publisher: watch::Sender<Arc<Topology>>,
    failures: watch::Sender<Failures>,
    /// Which refusals of whom have been logged lately.
    logged: BTreeMap<(Target, Fault), Instant>,
}

impl Monitor {
    pub(crate) fn new(cadence: Cadence, events: EventSender) -> (Self, News, Published) {
        let (sender, mailbox) = mpsc::channel(MAILBOX_CAPACITY);
        let (publisher, topology) = watch::channel(Arc::new(Topology::empty()));
        let (failures, listener) = watch::channel(Failures::default());
        let monitor = Self {
            cadence,
            events,
            mailbox,
            publisher,
            failures,
            logged: BTreeMap::new(),
        };
        let published = Published {
            topology,
            failures: listener,
        };
        (monitor, News(sender), published)
    }

    /// Runs until the future is dropped.
    pub(crate) async fn run<P: Prober>(mut self, prober: Arc<P>) {
        let mut probes = FuturesUnordered::new();
        loop {
            let now = time::now();
            self.cadence.follow(&self.publisher.borrow(), now);
            for target in self.cadence.take_due(now) {
                let prober = &*prober;
                probes.push(async move {
                    let answer = prober.ask(&target, now).await;
                    (target, now, answer)
                });
            }
            // Every arm is cancel-safe: `recv` and `next` lose nothing when dropped.
            tokio::select! {
                biased;
                Some(observation) = self.mailbox.recv() => {
                    self.take_in(&*prober, &observation);
                }
                Some((target, asked_at, answer)) = probes.next(), if !probes.is_empty() => {
                    self.cadence.done(&target, asked_at, time::now(), reply(&target, &answer));
                    self.take_in_answer(&*prober, &target, asked_at, answer);
                }
                () = time::sleep_until(self.cadence.next_due()) => {
                    self.take_in(&*prober, &Observation::Tick);
                }
            }
        }
    }

    /// What will not heal by itself, somebody must read of; how often it is met must not matter.
    fn log_refusal(&mut self, target: &Target, failure: &ProbeFailure) {
        let needs_somebody = matches!(
            failure.fault,
            Fault::Full | Fault::LoginRefused | Fault::Other
        );
        if !needs_somebody {
            return;
        }
        let now = time::now();
        self.logged
            .retain(|_, at| now.saturating_duration_since(*at) < LOG_INTERVAL);
        if let Entry::Vacant(entry) = self.logged.entry((target.clone(), failure.fault)) {
            entry.insert(now);
            let message = &failure.message;
            tracing::warn!(target: "aurora_driver::event", event = "refused", "{message}");
        }
    }

    fn take_in_answer<P: Prober>(
        &mut self,
        prober: &P,
        target: &Target,
        asked_at: Instant,
        answer: Result<Report, ProbeFailure>,
    ) {
        self.events.probed(&|| name_of(target), said(&answer));
        if let Err(failure) = &answer {
            self.log_refusal(target, failure);
        }
        self.failures.send_modify(|failures| match &answer {
            Ok(_) => failures.answered(target),
            Err(failure) => failures.add(target, failure.clone()),
        });
        match (answer, target) {
            (Ok(report), Target::Instance(asked)) if report.identity != *asked => {
                // The name leads to another instance: nothing was heard of the one asked.
                let silence = Observation::Silence {
                    instance: asked.clone(),
                    fault: Fault::Other,
                    asked_at,
                };
                self.take_in(prober, &silence);
                self.take_in(prober, &Observation::Report(report));
            }
            (Ok(report), _) => self.take_in(prober, &Observation::Report(report)),
            (Err(failure), Target::Instance(instance)) => {
                let silence = Observation::Silence {
                    instance: instance.clone(),
                    fault: failure.fault,
                    asked_at,
                };
                self.take_in(prober, &silence);
            }
            (Err(_), Target::Seed(_)) => {}
        }
    }

    fn take_in<P: Prober>(&mut self, prober: &P, observation: &Observation) {
        let now = time::now();
        let current = Arc::clone(&self.publisher.borrow());
        let Step { next, effects } = apply(&current, observation, now);
        if let Observation::Report(report) = observation
            && let Some(why) = disbelief(&current, &next, report)
        {
            self.events.disbelieved(why);
        }
        let carried_out = prober.carry_out(&next, &effects);
        for effect in &effects {
            match effect {
                Effect::Ask(instance) => self.cadence.ask_now(instance, now),
                Effect::Tell(event) => self.events.send(event.clone()),
                Effect::EndGeneration { .. } | Effect::RetireGeneration { .. } => {}
            }
        }
        for event in carried_out {
            self.events.send(event);
        }
        let news = !next.routes_like(&current);
        if news {
            tracing::debug!(topology = %next, "topology changed");
        }
        self.publisher.send_if_modified(|published| {
            *published = Arc::new(next);
            news
        });
    }
}

fn name_of(target: &Target) -> String {
    match target {
        Target::Instance(instance) => instance.to_string(),
        Target::Seed(seed) => format!("seed {seed}"),
    }
}

/// Why an answer was not believed, or not all of it, if so.
fn disbelief(before: &Topology, after: &Topology, report: &Report) -> Option<Disbelief> {
    let id = &report.identity;
    let known = before.instance(id);
    if known.is_some_and(|known| !known.believes_report(report.asked_at)) {
        Some(Disbelief::Outdated)
    } else if report.is_writer && after.writer().map(Instance::id) != Some(id) {
        Some(Disbelief::ContestedClaim)
    } else {
        None
    }
}

/// Whether the answer was "I am the writer", or why there was none.
fn said(answer: &Result<Report, ProbeFailure>) -> Result<bool, &'static str> {
    match answer {
        Ok(report) => Ok(report.is_writer),
        Err(failure) => Err(failure.fault.describe()),
    }
}

/// Whether the target that was asked answered: not so where its name led to another instance.
fn reply(target: &Target, answer: &Result<Report, ProbeFailure>) -> Reply {
    match (answer, target) {
        (Ok(report), Target::Instance(asked)) if report.identity != *asked => {
            Reply::Failed(Fault::Other)
        }
        (Ok(_), _) => Reply::Answered,
        (Err(failure), _) => Reply::Failed(failure.fault),
    }
}

#[cfg(test)]
mod tests;
