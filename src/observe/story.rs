//! Makes one story of a failover's events. Pure: every piece comes with its time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use super::record::{FailoverRecord, Moment};
use crate::event::EventKind;
use crate::id::InstanceId;
use crate::time::Instant;

/// How many failovers are kept.
const FAILOVERS_MAX: usize = 32;

/// How many moments of one failover are kept: a cluster of 15 readers that all fall and rise again
/// has some 60.
const MOMENTS_MAX: usize = 256;

/// How many targets' probes are counted: all instances of a cluster, and its seeds.
const TARGETS_MAX: usize = 128;

/// For so long after the confirmation what happens still belongs to the failover: other readers
/// restart within seconds.
const EPILOGUE_LEAST: Duration = Duration::from_secs(5);

/// And for so long at most while an instance that fell in it, such as the old writer, is not back.
const EPILOGUE_MOST: Duration = Duration::from_secs(60);

/// The stories told so far.
#[derive(Debug, Default)]
pub(super) struct Stories {
    told: VecDeque<FailoverRecord>,
    /// The one that is being told.
    open: Option<Open>,
    count: u64,
    writer: Option<InstanceId>,
}

#[derive(Debug)]
struct Open {
    began: Instant,
    /// The writer was lost, and not only in doubt for a moment.
    lost: bool,
    confirmed_at: Option<Instant>,
    /// Who fell in it and is not back.
    away: BTreeSet<InstanceId>,
    record: FailoverRecord,
}

/// What there is to do after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// A new writer was confirmed: the first statement that succeeds there is news.
    AwaitWrite,
}

impl Stories {
    /// The failovers so far, the oldest first; the last may still go on.
    pub(super) fn all(&self) -> Vec<FailoverRecord> {
        let open = self.open.as_ref().filter(|open| open.lost);
        let open = open.map(|open| open.record.clone());
        let kept = FAILOVERS_MAX - open.iter().len();
        let surplus = self.told.len().saturating_sub(kept);
        let told = self.told.iter().skip(surplus).cloned();
        told.chain(open).collect()
    }

    /// Takes an event in.
    pub(super) fn hear(&mut self, now: Instant, at: SystemTime, what: &EventKind) -> Next {
        if self.open.as_ref().is_some_and(|open| open.is_over(now)) {
            self.close();
        }
        let begins = match what {
            EventKind::WriterSuspected { .. } | EventKind::WriterLost { .. } => true,
            EventKind::InstanceDown { instance, .. } => self.writer.as_ref() == Some(instance),
            EventKind::GenerationEnded { .. }
            | EventKind::InstanceAdded { .. }
            | EventKind::InstanceRemoved { .. }
            | EventKind::InstanceUp { .. }
            | EventKind::WriterConfirmed { .. }
            | EventKind::WritesResumed { .. } => false,
        };
        let told_to_its_end = |open: &Open| open.confirmed_at.is_some();
        if begins && self.open.as_ref().is_none_or(told_to_its_end) {
            self.close();
            self.open = Some(Open::begin(now, at, what));
        }
        if let EventKind::WriterConfirmed { instance, .. } = what {
            self.writer = Some(instance.clone());
        }
        let Some(open) = &mut self.open else {
            return Next::Nothing;
        };
        open.add(now, what);
        if open.lost && open.record.number == 0 {
            self.count += 1;
            open.record.number = self.count;
        }
        match what {
            EventKind::WriterConfirmed { .. } if open.lost => Next::AwaitWrite,
            EventKind::WriterConfirmed { .. } => {
                // It was asked and is the writer: no failover, and no story.
                self.open = None;
                Next::Nothing
            }
            _ => Next::Nothing,
        }
    }

    /// Takes the end of a question to a target in: whether it said that it is the writer, or why
    /// it gave no answer.
    pub(super) fn probed(
        &mut self,
        now: Instant,
        target: impl FnOnce() -> String,
        answer: Result<bool, &'static str>,
    ) {
        let Some(open) = self
            .open
            .as_mut()
            .filter(|open| open.confirmed_at.is_none())
        else {
            return;
        };
        let after = now.saturating_duration_since(open.began);
        let (probes, target) = (&mut open.record.probes, target());
        if probes.len() >= TARGETS_MAX && !probes.contains_key(&target) {
            return;
        }
        let count = probes.entry(target).or_default();
        count.asked += 1;
        match answer {
            Ok(says_writer) => {
                count.answered += 1;
                count.first_answer_after.get_or_insert(after);
                count.says_writer = Some(says_writer);
            }
            Err(failure) => count.last_failure = Some(failure),
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take().filter(|open| open.lost) else {
            return;
        };
        if self.told.len() >= FAILOVERS_MAX {
            self.told.pop_front();
        }
        self.told.push_back(open.record);
    }
}

impl Open {
    fn begin(now: Instant, at: SystemTime, what: &EventKind) -> Self {
        Self {
            began: now,
            lost: false,
            confirmed_at: None,
            away: BTreeSet::new(),
            record: FailoverRecord {
                number: 0,
                began_at: at,
                writer_before: what.instance().clone(),
                writer_after: None,
                epoch: None,
                detected_by: what.cause().unwrap_or_default(),
                confirmed_after: None,
                resumed_after: None,
                moments: Vec::new(),
                moments_left_out: 0,
                probes: BTreeMap::new(),
            },
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.record.resumed_after.is_some() && self.is_epilogue_over(now)
    }

    fn is_epilogue_over(&self, now: Instant) -> bool {
        let period = match self.away.is_empty() {
            true => EPILOGUE_LEAST,
            false => EPILOGUE_MOST,
        };
        self.confirmed_at
            .is_some_and(|at| now.saturating_duration_since(at) > period)
    }

    fn add(&mut self, now: Instant, what: &EventKind) {
        let after = now.saturating_duration_since(self.began);
        let resumes = matches!(what, EventKind::WritesResumed { .. });
        if self.is_epilogue_over(now) && !resumes {
            return;
        }
        let record = &mut self.record;
        match what {
            EventKind::WriterLost { .. } => self.lost = true,
            EventKind::WriterConfirmed {
                instance, epoch, ..
            } => {
                self.confirmed_at = Some(now);
                record.writer_after = Some(instance.clone());
                record.epoch = Some(*epoch);
                record.confirmed_after = Some(after);
            }
            EventKind::WritesResumed { .. } => {
                record.resumed_after.get_or_insert(after);
            }
            EventKind::InstanceDown { instance, .. } => {
                self.away.insert(instance.clone());
            }
            EventKind::InstanceRemoved { instance } | EventKind::InstanceUp { instance } => {
                self.away.remove(instance);
            }
            EventKind::GenerationEnded { .. }
            | EventKind::InstanceAdded { .. }
            | EventKind::WriterSuspected { .. } => {}
        }
        if record.moments.len() >= MOMENTS_MAX {
            record.moments_left_out += 1;
            return;
        }
        record.moments.push(Moment {
            after,
            what: what.clone(),
        });
    }
}

#[cfg(test)]
mod tests;
