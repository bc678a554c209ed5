//! The story of one failover, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use super::json::Object;
use crate::event::EventKind;
use crate::id::{Epoch, InstanceId};

/// The story of one failover, as this process saw it: what it noticed, whom it asked, when it
/// could write again.
///
/// Its `Display` is a drawn timeline; [`to_json`](Self::to_json) is for programs. All times count
/// from the moment at which the driver first noticed something.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailoverRecord {
    /// Which one it is, counted from 1.
    pub number: u64,
    /// When it was noticed.
    pub began_at: SystemTime,
    /// The writer that was lost.
    pub writer_before: InstanceId,
    /// The writer that was confirmed; `None` while there is none. It may be the same one, which
    /// had restarted.
    pub writer_after: Option<InstanceId>,
    /// The promotion count that came with it.
    pub epoch: Option<Epoch>,
    /// What showed it first.
    pub detected_by: &'static str,
    /// When the new writer was confirmed.
    pub confirmed_after: Option<Duration>,
    /// When the first statement of the application had succeeded there, and with it its transaction. On
    /// MySQL one whose rows are read one by one (`query_iter`, `exec_iter`) does not count.
    pub resumed_after: Option<Duration>,
    /// What happened, in order, until 5 s after the confirmation; where an instance fell in it and was not
    /// back by then, until it was, for at most 60 s.
    pub moments: Vec<Moment>,
    /// How many further moments there was no room for.
    pub moments_left_out: u64,
    /// Who was asked until the writer was confirmed, by name; seeds as `seed 0`.
    pub probes: BTreeMap<String, ProbeCount>,
}

/// One thing that happened in a failover.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moment {
    /// When, after the beginning.
    pub after: Duration,
    /// What.
    pub what: EventKind,
}

/// How often an instance was asked in a failover, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeCount {
    /// Questions that ended, with an answer or without.
    pub asked: u64,
    /// Answers.
    pub answered: u64,
    /// When the first answer came: from then on it was a candidate.
    pub first_answer_after: Option<Duration>,
    /// Whether it said at last that it is the writer; `None` where it never answered.
    pub says_writer: Option<bool>,
    /// Why the last question without an answer had none.
    pub last_failure: Option<&'static str>,
}

impl FailoverRecord {
    /// The record as one JSON object on one line.
    ///
    /// Times are in milliseconds; `began_unix_ms` is since the Unix epoch, all others since the
    /// beginning of the failover. What is not known is left out.
    pub fn to_json(&self) -> String {
        let since = self.began_at.duration_since(SystemTime::UNIX_EPOCH);
        let writer_after = self.writer_after.as_ref().map(InstanceId::as_str);
        let mut object = Object::new()
            .raw("number", self.number)
            .raw("began_unix_ms", since.unwrap_or_default().as_millis())
            .text("writer_before", self.writer_before.as_str())
            .maybe_text("writer_after", writer_after)
            .text("detected_by", self.detected_by)
            .maybe_millis("confirmed_after_ms", self.confirmed_after)
            .maybe_millis("resumed_after_ms", self.resumed_after);
        if let Some(epoch) = self.epoch {
            object = object.raw("epoch", epoch);
        }
        object
            .list("moments", self.moments.iter().map(Moment::to_json))
            .raw("moments_left_out", self.moments_left_out)
            .list(
                "probes",
                self.probes.iter().map(|(name, count)| count.to_json(name)),
            )
            .end()
    }
}

impl Moment {
    fn to_json(&self) -> String {
        let object = Object::new()
            .maybe_millis("after_ms", Some(self.after))
            .text("event", self.what.name())
            .text("instance", self.what.instance().as_str())
            .maybe_text("cause", self.what.cause());
        match &self.what {
            EventKind::GenerationEnded { connections, .. } => {
                object.raw("connections", connections).end()
            }
            EventKind::WriterConfirmed { epoch, .. } => object.raw("epoch", epoch).end(),
            EventKind::InstanceAdded { .. }
            | EventKind::InstanceDown { .. }
            | EventKind::InstanceRemoved { .. }
            | EventKind::InstanceUp { .. }
            | EventKind::WriterLost { .. }
            | EventKind::WriterSuspected { .. }
            | EventKind::WritesResumed { .. } => object.end(),
        }
    }

    /// The mark beside it: what decides stands out.
    fn mark(&self) -> &'static str {
        match self.what {
            EventKind::WriterSuspected { .. } | EventKind::WriterLost { .. } => "┼",
            EventKind::WriterConfirmed { .. } | EventKind::WritesResumed { .. } => "╪",
            EventKind::GenerationEnded { .. }
            | EventKind::InstanceAdded { .. }
            | EventKind::InstanceDown { .. }
            | EventKind::InstanceRemoved { .. }
            | EventKind::InstanceUp { .. } => "│",
        }
    }
}

impl ProbeCount {
    fn to_json(&self, name: &str) -> String {
        let mut object = Object::new()
            .text("target", name)
            .raw("asked", self.asked)
            .raw("answered", self.answered)
            .maybe_millis("first_answer_after_ms", self.first_answer_after);
        if let Some(says_writer) = self.says_writer {
            object = object.raw("says_writer", says_writer);
        }
        object.maybe_text("last_failure", self.last_failure).end()
    }
}

/// In milliseconds, right-aligned.
fn millis(span: Duration) -> String {
    format!("{:>10.1} ms", span.as_secs_f64() * 1e3)
}

impl fmt::Display for FailoverRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failover {}: {} → ", self.number, self.writer_before)?;
        match (&self.writer_after, self.epoch) {
            (Some(writer), Some(epoch)) => writeln!(f, "{writer} (epoch {epoch})")?,
            (Some(writer), None) => writeln!(f, "{writer}")?,
            (None, _) => writeln!(f, "no writer yet")?,
        }
        for moment in &self.moments {
            let (after, mark) = (millis(moment.after), moment.mark());
            writeln!(f, "{after} {mark} {}", moment.what)?;
        }
        if self.moments_left_out > 0 {
            writeln!(f, "{:>13} │ and {} more", "", self.moments_left_out)?;
        }
        for (name, count) in &self.probes {
            write!(f, "{:>13}   {name} was asked {} times", "", count.asked)?;
            match (count.first_answer_after, count.last_failure) {
                (Some(first), _) => {
                    let says = match count.says_writer {
                        Some(true) => "the writer",
                        Some(false) | None => "a reader",
                    };
                    let first = first.as_secs_f64() * 1e3;
                    writeln!(f, ", answered from {first:.1} ms on, at last as {says}")?;
                }
                (None, Some(failure)) => writeln!(f, " and never answered: {failure}")?,
                (None, None) => writeln!(f)?,
            }
        }
        Ok(())
    }
}
