//! The same violation from fewer faults and callers, so that the trace can be read.

use super::invariants::Violation;
use super::plan::Plan;
use super::run::trial;

/// The plan without all that the violation does not need.
pub(crate) fn shrink(plan: &Plan, violation: &Violation) -> Plan {
    let still_broken = |plan: &Plan| {
        let found = trial(plan, false).violations;
        found.iter().any(|it| it.invariant == violation.invariant)
    };
    let mut smallest = plan.clone();
    let mut number = smallest.faults.len();
    while number > 0 {
        number -= 1;
        let mut fewer = smallest.clone();
        fewer.faults.remove(number);
        if still_broken(&fewer) {
            smallest = fewer;
        }
    }
    for smaller in simplifications() {
        loop {
            let mut simpler = smallest.clone();
            smaller(&mut simpler);
            if simpler == smallest || !still_broken(&simpler) {
                break;
            }
            smallest = simpler;
        }
    }
    smallest
}

fn simplifications() -> [fn(&mut Plan); 13] {
    [
        |plan| plan.pause_in_health_ms = 0,
        |plan| plan.close_under_faults = false,
        |plan| plan.load.closures = plan.load.closures.saturating_sub(1),
        |plan| plan.load.crowd /= 2,
        |plan| plan.load.cancellers = plan.load.cancellers.saturating_sub(1),
        |plan| plan.load.holders = plan.load.holders.saturating_sub(1),
        |plan| plan.load.transactions = plan.load.transactions.saturating_sub(1),
        |plan| plan.load.readers = plan.load.readers.saturating_sub(1),
        |plan| plan.load.writers = plan.load.writers.saturating_sub(1),
        |plan| plan.driver.handles = plan.driver.handles.max(2) - 1,
        |plan| plan.cluster.readers = plan.cluster.readers.max(2) - 1,
        |plan| plan.cluster.login_cost_ms = 0,
        |plan| plan.driver.pool_min_idle = 0,
    ]
}
