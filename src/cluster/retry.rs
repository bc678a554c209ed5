//! Whether a closure that failed is run again, where, and after how long. Pure; the cases are in
//! `fixtures/retries`.

use std::time::Duration;

use crate::engine::record::{Met, Record};
use crate::error::{ErrorKind, Outcome, ServerCode};

/// How often a closure is run at most.
pub(super) const ATTEMPTS_MAX: u32 = 5;

/// Conflicts are between callers at the same rows: apart by at least a statement's time they do
/// not meet again.
const CONFLICT_DELAY: Duration = Duration::from_millis(5);

/// Before a third attempt; doubled for each further one.
const REPEATED_DELAY: Duration = Duration::from_millis(10);

/// ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: of the application's own making. An instance that
/// takes no writes says 1290 or 1836.
const OWN_READ_ONLY_TRANSACTION: ServerCode = ServerCode::MySql(1792);

/// What a closure is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// It may be run as often as need be.
    Read,
    /// It must not be run again if anything of it may have stayed.
    Write,
}

/// An attempt that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) intent: Intent,
    /// Its number, from 1.
    pub(super) number: u32,
    pub(super) record: Record,
    /// An earlier attempt was refused as a write by the same instance, which has been asked since
    /// and says that it is the writer; until then it may have been demoted.
    pub(super) refused_before: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Return the closure's error.
    Return,
    /// Run it again.
    Again {
        /// On another instance, if there is one.
        elsewhere: bool,
        /// Not before this time has passed, give or take some jitter.
        after: Duration,
    },
}

/// Decides. The caller's deadline and [`Budget`](super::budget::Budget) have the last word.
pub(super) fn judge(attempt: &Attempt) -> Verdict {
    // Without a failed call the error is the application's own.
    let Some(met) = attempt.record.failed else {
        return Verdict::Return;
    };
    let lasts = attempt.intent == Intent::Write
        && (attempt.record.left_traces
            || matches!(met.outcome, Outcome::Applied | Outcome::Unknown));
    if lasts || attempt.number >= ATTEMPTS_MAX {
        return Verdict::Return;
    }
    match hope(met, attempt) {
        None => Verdict::Return,
        Some(first_delay) => Verdict::Again {
            elsewhere: attempt.intent == Intent::Read,
            after: first_delay.max(repeated_delay(attempt.number)),
        },
    }
}

/// How long to wait at least before it may go better; `None` when it will not.
fn hope(met: Met, attempt: &Attempt) -> Option<Duration> {
    match met.kind {
        ErrorKind::Connect
        | ErrorKind::ConnectionLost
        | ErrorKind::NoReader
        | ErrorKind::NoWriter
        | ErrorKind::Overloaded
        | ErrorKind::Resolve
        | ErrorKind::Timeout => Some(Duration::ZERO),
        // A read that writes is refused by the next reader as well.
        ErrorKind::ReadOnly if attempt.intent == Intent::Read => None,
        ErrorKind::ReadOnly => {
            let own = attempt.refused_before || met.code == Some(OWN_READ_ONLY_TRANSACTION);
            (!own).then_some(Duration::ZERO)
        }
        ErrorKind::Server => met
            .code
            .is_some_and(ServerCode::is_conflict)
            .then_some(CONFLICT_DELAY),
        ErrorKind::Authentication
        | ErrorKind::Closed
        | ErrorKind::Config
        | ErrorKind::NotAurora
        | ErrorKind::Usage => None,
    }
}

fn repeated_delay(number: u32) -> Duration {
    match number.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => REPEATED_DELAY * 2_u32.saturating_pow(doublings.min(ATTEMPTS_MAX)),
    }
}

#[cfg(test)]
mod tests;
