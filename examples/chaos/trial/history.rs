//! What the callers saw, written down as they see it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::sim::direct::Direct;
use aurora_driver::{
    Cluster, Connection, Error, ErrorKind, EventKind, Health, InstanceId, Outcome,
};

/// What its writer knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Acknowledged,
    /// It was told so, or it gave the call up.
    Unknown,
    Applied,
    Rejected,
    NotSent,
}

/// How far the trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Anything may happen.
    Faults,
    /// No fault is in force any more; the cluster and the driver have their time to recover.
    Healing,
    /// Every call must succeed.
    Healthy,
    /// The callers come to their end.
    Over,
    /// They are gone, and each handle is tried once more by itself.
    Alone,
}

/// What a connection was wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    Write,
    Read,
}

/// A connection at the moment at which a caller got it.
#[derive(Debug, Clone)]
pub(crate) struct HandOut {
    pub(crate) handle: usize,
    pub(crate) at: Duration,
    pub(crate) intent: Intent,
    pub(crate) instance: InstanceId,
    pub(crate) generation: u64,
    /// The generation of that instance in the picture at that moment.
    pub(crate) known_generation: Option<u64>,
    pub(crate) is_outdated: bool,
    pub(crate) is_in_transaction: bool,
    /// Who is the writer in that picture.
    pub(crate) writer: Option<InstanceId>,
    /// The instances that reads may go to in that picture, with their lag.
    pub(crate) readers: Vec<(InstanceId, Option<Duration>)>,
}

/// One call of a caller, a checkout or a statement.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) handle: usize,
    pub(crate) what: &'static str,
    /// Where it went, as far as that is one place.
    pub(crate) instance: Option<InstanceId>,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) began_in: Phase,
    pub(crate) error: Option<(ErrorKind, Outcome, String)>,
}

/// A time in which nothing came from an instance, and nothing reached it.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    pub(crate) instance: InstanceId,
    pub(crate) from: Duration,
    pub(crate) until: Option<Duration>,
}

/// The diary of one trial.
#[derive(Debug)]
pub(crate) struct History {
    started: tokio::time::Instant,
    phase: Cell<Phase>,
    next_key: Cell<u64>,
    pub(crate) fates: RefCell<BTreeMap<u64, Fate>>,
    pub(crate) hand_outs: RefCell<Vec<HandOut>>,
    pub(crate) calls: RefCell<Vec<Call>>,
    /// The epochs that each handle has shown, in order.
    pub(crate) epochs: RefCell<Vec<(usize, u64)>>,
    /// What each handle was told of its writer and the other instances, and when.
    pub(crate) events: RefCell<Vec<(usize, Duration, EventKind)>>,
    /// Of each closure, by its handle: how often it was run.
    pub(crate) runs: RefCell<Vec<(usize, u32)>>,
    /// When an instance was cut off from the network.
    pub(crate) silences: RefCell<Vec<Silence>>,
    /// When the process stood still.
    pub(crate) pauses: RefCell<Vec<(Duration, Duration)>>,
    /// How often each kind of fault struck.
    pub(crate) faults: RefCell<BTreeMap<&'static str, u64>>,
    pub(crate) cancelled: Cell<u64>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            started: tokio::time::Instant::now(),
            phase: Cell::new(Phase::Faults),
            next_key: Cell::new(1),
            fates: RefCell::default(),
            hand_outs: RefCell::default(),
            calls: RefCell::default(),
            epochs: RefCell::default(),
            events: RefCell::default(),
            runs: RefCell::default(),
            silences: RefCell::default(),
            pauses: RefCell::default(),
            faults: RefCell::default(),
            cancelled: Cell::new(0),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// A key that nobody has written yet. Until its writer says more its fate is unknown.
    pub(crate) fn new_key(&self) -> u64 {
        let key = self.next_key.get();
        self.next_key.set(key + 1);
        key
    }

    pub(crate) fn fate(&self, key: u64, fate: Fate) {
        self.fates.borrow_mut().insert(key, fate);
    }

    /// What an answer says of the keys that the call was to write.
    pub(crate) fn answered(&self, keys: &[u64], answer: &Result<(), Error>) {
        match answer {
            Ok(()) => {
                for key in keys {
                    self.fate(*key, Fate::Acknowledged);
                }
            }
            Err(error) => self.failed(keys, error),
        }
    }

    /// What an error says of them.
    pub(crate) fn failed(&self, keys: &[u64], error: &Error) {
        let fate = match error.outcome() {
            Outcome::Applied => Fate::Applied,
            Outcome::NotSent => Fate::NotSent,
            Outcome::Rejected => Fate::Rejected,
            Outcome::Unknown => Fate::Unknown,
        };
        for key in keys {
            self.fate(*key, fate);
        }
    }

    pub(crate) fn handed_out(
        &self,
        handle: usize,
        intent: Intent,
        cluster: &Cluster<Direct>,
        lease: &Connection<Direct>,
    ) {
        let picture = cluster.topology();
        let known = picture.instance(lease.instance());
        let readers = picture.readers();
        self.hand_outs.borrow_mut().push(HandOut {
            handle,
            at: self.now(),
            intent,
            instance: lease.instance().clone(),
            generation: lease.generation().0,
            known_generation: known.map(|known| known.generation().0),
            is_outdated: lease.is_outdated(),
            is_in_transaction: lease.is_in_transaction(),
            writer: picture.writer().map(|writer| writer.id().clone()),
            readers: readers
                .filter(|reader| reader.health() == Health::Up)
                .map(|reader| (reader.id().clone(), reader.lag()))
                .collect(),
        });
    }

    pub(crate) fn saw_epoch(&self, handle: usize, epoch: u64) {
        let mut epochs = self.epochs.borrow_mut();
        let last = epochs.iter().rev().find(|(other, _)| *other == handle);
        if last.is_none_or(|(_, last)| *last != epoch) {
            epochs.push((handle, epoch));
        }
    }

    /// The process stands still for so long, and nothing else does.
    pub(crate) async fn stand_still(&self, time: Duration) {
        let began = self.now();
        tokio::time::advance(time).await;
        self.pauses.borrow_mut().push((began, self.now()));
    }

    /// An instance is cut off from now on.
    pub(crate) fn fell_silent(&self, instance: &InstanceId) {
        self.speaks_again(instance);
        self.silences.borrow_mut().push(Silence {
            instance: instance.clone(),
            from: self.now(),
            until: None,
        });
    }

    /// The instance is not cut off any more, if it was.
    pub(crate) fn speaks_again(&self, instance: &InstanceId) {
        let now = self.now();
        for silence in &mut *self.silences.borrow_mut() {
            if silence.instance == *instance {
                silence.until.get_or_insert(now);
            }
        }
    }

    /// Writes a call down, with what came of it.
    pub(crate) async fn call<T>(
        &self,
        handle: usize,
        what: &'static str,
        instance: Option<&InstanceId>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let instance = instance.cloned();
        let (began, began_in) = (self.now(), self.phase());
        let answer = call.await;
        let error = answer.as_ref().err();
        self.calls.borrow_mut().push(Call {
            handle,
            what,
            instance,
            began,
            ended: self.now(),
            began_in,
            error: error.map(|error| (error.kind(), error.outcome(), error.to_string())),
        });
        answer
    }
}
