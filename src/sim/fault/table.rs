//! The faults of single statements in force: which statement meets which.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::statement::{Cut, FaultError, Reaction, Scope, Turn};
use super::{FaultPoint, StatementFault, StatementKind};
use crate::id::InstanceId;

/// The faults of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// How many there are, so that statements of a healthy cluster look at nothing else.
    count: AtomicUsize,
    table: Mutex<Table>,
    /// Some fault has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    random: u64,
    faults: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    fault: StatementFault,
    /// How many statements have fitted.
    seen: u64,
    fired: u64,
}

/// A statement, or a login, at one point of its life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occurrence<'a> {
    pub(crate) point: FaultPoint,
    pub(crate) instance: &'a InstanceId,
    pub(crate) is_writer: bool,
    pub(crate) user: &'a str,
    /// None at a login.
    pub(crate) statement: Option<(&'a str, StatementKind)>,
}

/// What is to become of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    /// First of all, a wait.
    pub(crate) delay: Duration,
    pub(crate) end: Option<End>,
    /// Faults whose end is waited for after that.
    pub(crate) blocked_by: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Error(FaultError),
    Cut(Cut),
    Crash,
}

impl Faults {
    pub(crate) fn seeded(seed: u64) -> Self {
        let faults = Self::default();
        // Never zero, which xorshift would stay at.
        faults.lock().random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        faults
    }

    /// What becomes of a statement. Delays of several faults add up; of the ends, the oldest
    /// fault's counts.
    pub(crate) fn meet(&self, occurrence: &Occurrence<'_>) -> Verdict {
        if self.is_empty() {
            return Verdict::default();
        }
        self.lock().meet(occurrence)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(self: &Arc<Self>, fault: StatementFault) -> FaultGuard {
        let mut table = self.lock();
        table.last += 1;
        let number = table.last;
        table.faults.push(Entry {
            number,
            fault,
            seen: 0,
            fired: 0,
        });
        self.count.store(table.faults.len(), Ordering::Relaxed);
        FaultGuard {
            faults: Arc::clone(self),
            number,
            kept: false,
        }
    }

    /// Ends a fault; `false` if there is none of that number.
    pub(crate) fn remove(&self, number: u64) -> bool {
        let mut table = self.lock();
        let before = table.faults.len();
        table.faults.retain(|entry| entry.number != number);
        let fewer = table.faults.len() < before;
        self.count.store(table.faults.len(), Ordering::Relaxed);
        drop(table);
        self.ended.notify_waiters();
        fewer
    }

    /// Waits until a fault has ended.
    pub(crate) async fn end_of(&self, number: u64) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if !self
                .lock()
                .faults
                .iter()
                .any(|entry| entry.number == number)
            {
                return;
            }
            ended.await;
        }
    }

    pub(crate) fn list(&self) -> Vec<ActiveFault> {
        let table = self.lock();
        let entries = table.faults.iter();
        let active = entries.map(|entry| ActiveFault {
            number: entry.number,
            fault: entry.fault.clone(),
            fired: entry.fired,
        });
        active.collect()
    }
}

impl Table {
    fn meet(&mut self, occurrence: &Occurrence<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for entry in &mut self.faults {
            if verdict.end.is_some() || !entry.fault.fits(occurrence) {
                continue;
            }
            entry.seen += 1;
            let its_turn = match entry.fault.turn {
                Turn::Each => true,
                Turn::Nth(number) => entry.seen == number,
                Turn::First(count) => entry.seen <= count,
                Turn::Every(k) => entry.seen % k == 0,
            };
            if !its_turn || !happens(&mut self.random, entry.fault.probability) {
                continue;
            }
            entry.fired += 1;
            match &entry.fault.reaction {
                Reaction::Delay(delay) => verdict.delay = verdict.delay.saturating_add(*delay),
                Reaction::DelayBetween(least, most) => {
                    let more = (*most - *least).mul_f64(draw(&mut self.random));
                    verdict.delay = verdict.delay.saturating_add(*least + more);
                }
                Reaction::Block => verdict.blocked_by.push(entry.number),
                Reaction::Error(error) => verdict.end = Some(End::Error(error.clone())),
                Reaction::Cut(cut) => verdict.end = Some(End::Cut(*cut)),
                Reaction::Crash => verdict.end = Some(End::Crash),
            }
        }
        verdict
    }
}

/// One draw of xorshift64*; certainties draw nothing.
fn happens(random: &mut u64, probability: f64) -> bool {
    if probability >= 1.0 {
        return true;
    }
    draw(random) < probability
}

/// A number from 0 up to 1.
fn draw(random: &mut u64) -> f64 {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    let bits = random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

impl StatementFault {
    fn fits(&self, occurrence: &Occurrence<'_>) -> bool {
        let here = match &self.place {
            Scope::Everywhere => true,
            Scope::Writer => occurrence.is_writer,
            Scope::Readers => !occurrence.is_writer,
            Scope::Instance(id) => id == occurrence.instance,
        };
        let user = self.user.as_deref();
        here && self.point == occurrence.point
            && user.is_none_or(|user| user == occurrence.user)
            && self.fits_statement(occurrence.statement)
    }

    fn fits_statement(&self, statement: Option<(&str, StatementKind)>) -> bool {
        let Some((text, kind)) = statement else {
            return self.text.is_none() && self.kind.is_none() && !self.storage;
        };
        let contains = |wanted: &String| text.to_lowercase().contains(wanted);
        let stored = !self.storage || kind.needs_storage();
        stored
            && self.kind.is_none_or(|wanted| wanted == kind)
            && self.text.as_ref().is_none_or(contains)
    }
}

/// A fault in force, as [`SimCluster::faults`](crate::sim::SimCluster::faults) lists it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ActiveFault {
    /// Its number, which no other fault of the cluster has had.
    pub number: u64,
    /// What it is.
    pub fault: StatementFault,
    /// How many statements it has struck.
    pub fired: u64,
}

/// Ends a fault when it is dropped.
#[must_use = "the fault ends when this is dropped"]
pub struct FaultGuard {
    faults: Arc<Faults>,
    number: u64,
    kept: bool,
}

impl FaultGuard {
    /// How many statements the fault has struck so far.
    pub fn fired(&self) -> u64 {
        let table = self.faults.lock();
        let entry = table
            .faults
            .iter()
            .find(|entry| entry.number == self.number);
        entry.map_or(0, |entry| entry.fired)
    }

    /// Leaves the fault in force as long as the cluster lives, and returns its number.
    pub fn keep(mut self) -> u64 {
        self.kept = true;
        self.number
    }
}

impl fmt::Debug for FaultGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultGuard")
            .field("number", &self.number)
            .field("fired", &self.fired())
            .finish_non_exhaustive()
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        if !self.kept {
            self.faults.remove(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn insert(instance: &InstanceId, is_writer: bool) -> Occurrence<'_> {
        Occurrence {
            point: FaultPoint::Execute,
            instance,
            is_writer,
            user: "app",
            statement: Some(("INSERT INTO Orders VALUES (1)", StatementKind::Write)),
        }
    }

    /// Which of ten inserts a fault strikes.
    fn struck(fault: StatementFault) -> Vec<usize> {
        let faults = Arc::new(Faults::seeded(7));
        let _guard = faults.add(fault);
        let id = InstanceId::new("w");
        let hit = (1..=10).filter(|_| faults.meet(&insert(&id, true)).end.is_some());
        hit.collect()
    }

    #[test]
    fn turns_decide_which_statements_are_struck() {
        assert_eq!(struck(StatementFault::reset()).len(), 10);
        assert_eq!(struck(StatementFault::reset().nth(3)), [3]);
        assert_eq!(struck(StatementFault::reset().first(2)), [1, 2]);
        assert_eq!(struck(StatementFault::reset().every(4)), [4, 8]);
        assert!(struck(StatementFault::reset().with_probability(0.0)).is_empty());
        let some = struck(StatementFault::reset().with_probability(0.5));
        assert!((1..10).contains(&some.len()), "{some:?}");
        assert_eq!(some, struck(StatementFault::reset().with_probability(0.5)));
    }

    #[test]
    fn scope_text_kind_and_point_narrow_a_fault_down() {
        let hits = |fault: StatementFault| !struck(fault).is_empty();
        assert!(hits(StatementFault::reset().containing("into orders")));
        assert!(!hits(StatementFault::reset().containing("into payments")));
        assert!(hits(StatementFault::reset().kind(StatementKind::Write)));
        assert!(!hits(StatementFault::reset().kind(StatementKind::Read)));
        assert!(hits(StatementFault::reset().at_the_writer()));
        assert!(!hits(StatementFault::reset().at_readers()));
        assert!(hits(StatementFault::reset().at_instance("w")));
        assert!(!hits(StatementFault::reset().at_instance("r")));
        assert!(hits(StatementFault::reset().of_user("app")));
        assert!(!hits(StatementFault::reset().of_user("root")));
        assert!(!hits(StatementFault::reset().at(FaultPoint::Answer)));
        assert!(!hits(StatementFault::reset().at(FaultPoint::Login)));
    }

    #[test]
    fn a_fault_ends_with_its_guard_unless_it_is_kept() {
        let faults = Arc::new(Faults::seeded(1));
        let id = InstanceId::new("w");
        let guard = faults.add(StatementFault::delay(Duration::from_secs(1)));
        let delay = faults.meet(&insert(&id, true)).delay;
        assert_eq!((delay, guard.fired()), (Duration::from_secs(1), 1));
        drop(guard);
        assert_eq!(faults.meet(&insert(&id, true)), Verdict::default());
        let number = faults.add(StatementFault::crash()).keep();
        assert_eq!(faults.meet(&insert(&id, true)).end, Some(End::Crash));
        assert_eq!(faults.list()[0].number, number);
        assert!(faults.remove(number) && !faults.remove(number));
    }

    #[test]
    fn a_written_fault_says_what_is_wrong_with_it() {
        let read = |text: &str| {
            let written: Result<super::super::WrittenFault, _> = toml::from_str(text);
            written.map_err(|error| error.message().to_owned())
        };
        let text = "then = 'error'\nsqlstate = '40001'\nnumber = 1213\non = 'writer'\n\
                    kind = 'commit'\npoint = 'answer'\nnth = 2";
        let fault = read(text).expect("it is well written").fault();
        let same = StatementFault::error("40001", 1213, "injected by a fault").at_the_writer();
        let same = same
            .kind(StatementKind::Commit)
            .at(FaultPoint::Answer)
            .nth(2);
        assert_eq!(fault, Ok(same));
        for (text, words) in [
            ("then = 'delay'", "`ms`"),
            ("then = 'reset'\nms = 3", "`ms`"),
            ("then = 'error'", "`sqlstate` or a `number`"),
            ("then = 'reset'\nnth = 1\nfirst = 2", "exclude each other"),
        ] {
            let error = read(text).expect("it can be read").fault().expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(
            read("then = 'explode'")
                .expect_err("unknown")
                .contains("explode")
        );
        assert!(
            read("then = 'reset'\nwhen = 3")
                .expect_err("unknown")
                .contains("when")
        );
    }

    proptest! {
        #[test]
        fn a_fault_strikes_as_often_as_its_turn_allows(
            turn in 0_u8..4, number in 1_u64..20, count in 0_u64..60,
        ) {
            let fault = StatementFault::close();
            let (fault, expected) = match turn {
                0 => (fault, count),
                1 => (fault.nth(number), u64::from(count >= number)),
                2 => (fault.first(number), count.min(number)),
                _ => (fault.every(number), count / number),
            };
            let faults = Arc::new(Faults::seeded(number));
            let guard = faults.add(fault);
            let id = InstanceId::new("w");
            for _ in 0..count {
                faults.meet(&insert(&id, false));
            }
            prop_assert_eq!(guard.fired(), expected);
        }
    }
}
