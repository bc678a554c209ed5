//! Whether a fleet came like a crowd through a gate or like a wave.

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_driver::sim::direct::{DirectAnswer, DirectConnect, DirectPurpose};

use super::Run;

/// A bound, and what was measured against it.
type Judgement = (&'static str, Result<String, String>);

/// All bounds.
pub(super) fn judge(run: &Run) -> Vec<Judgement> {
    vec![
        stub(run),
    ]
}

fn stub(run: &Run) -> Judgement {
    let mut out = String::new();
    let mut slots: BTreeMap<i64, (usize, usize, usize)> = BTreeMap::new();
    for c in &run.connects {
        let rel = c.at.as_micros() as i64 - run.accepts_at.as_micros() as i64;
        let slot = slots.entry(rel.div_euclid(10_000)).or_default();
        match (c.answer, c.purpose) {
            (DirectAnswer::Accepted, DirectPurpose::Pool) => slot.2 += 1,
            (DirectAnswer::Accepted, _) => slot.1 += 1,
            _ => slot.0 += 1,
        }
    }
    for (slot, (refused, monitor, pool)) in slots {
        if (-100..300).contains(&slot) || pool + monitor > 20 {
            out += &format!("{:>6} ms: {refused:>5} {monitor:>5} {pool:>5}\n", slot * 10);
        }
    }
    let _ = Duration::ZERO;
    let _: Option<DirectConnect> = None;
    ("slots", Ok(out))
}
