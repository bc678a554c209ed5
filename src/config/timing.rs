//! Every interval, timeout and period of the driver, each with its reason.
//!
//! What an application may want to change is a field of [`Timing`]; what follows from how Aurora
//! behaves is a constant.
// Not every part of the driver that goes by these exists yet.

use std::time::Duration;

use super::invalid;
use crate::error::Result;

/// Intervals, timeouts and periods. The defaults suit an Aurora cluster in the same region.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// How often the topology is asked for while all is well. Default: 1 s.
    ///
    /// One query per process, whatever the pool size. Lengthen it when thousands of processes
    /// share a small cluster; a new reader is then found later.
    pub probe_interval: Duration,
    /// How long a probe may take, and how long an instance may be silent before it counts as
    /// suspect. Default: 500 ms.
    ///
    /// A login for it is part of that time. After four in a row that were late the next may take
    /// twice as long, and so on up to `connect_timeout`. Lengthen it over slow links, or where
    /// instances pause for long under load.
    pub probe_timeout: Duration,
    /// How long opening one connection may take: name look-up, TCP, TLS and login. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a checkout may take in all, waiting for a free connection included. Default:
    /// 30 s, which covers a failover.
    ///
    /// Shorten it where a caller has given up sooner anyway.
    pub checkout_timeout: Duration,
    /// How long a call for the writer waits when there is none. Default: 30 s.
    ///
    /// Shorten it where failing fast is better than waiting through a failover.
    pub failover_timeout: Duration,
    /// How long an idle connection is kept above the minimum. Default: 10 min.
    pub idle_timeout: Duration,
    /// How long a connection may live; each one's life is up to a tenth shorter, so that
    /// they do not all end together. Default: 30 min.
    ///
    /// It spreads load over new readers and takes up changed settings. It must be shorter than
    /// any limit of the server or of a firewall on the way.
    pub max_lifetime: Duration,
    /// How long a connection may have been idle and still be handed out unasked. Default: 30 s.
    ///
    /// Beyond that a round trip proves it alive first. Shorten it where something on the way
    /// drops idle connections silently.
    pub validation_period: Duration,
    /// How long a reader that is new, or was away, is given less than its share of the reads: a
    /// tenth at first, then evenly more. Default: 10 s; 0 for its full share at once.
    ///
    /// Its caches are cold and its connections few. Where the other readers have no connection
    /// free it takes what comes all the same.
    pub slow_start: Duration,
    /// The longest that a DNS answer is believed, whatever its own time to live says. Default:
    /// 5 s, which is what Aurora's zones say.
    pub dns_max_ttl: Duration,
}

/// Finds a new or removed reader within a second, and is the rate that AWS's own tools use; one
/// short query a second costs an instance nothing that can be measured.
pub(crate) const DEFAULT_PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Shorter would be load on the database rather than news: role changes are found by the alert
/// cadence, not by this one.
pub(crate) const MIN_PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// Some hundred times the usual answer time within a region, and half the steady interval, so
/// that one lost probe is known before the next is due.
pub(crate) const DEFAULT_PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// A lost SYN is sent again after 1 s and after 3 s, so two may be lost before it runs out.
pub(crate) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Aurora failovers are "often less than 30 seconds"; measured ones take 10 s to 16 s.
pub(crate) const DEFAULT_FAILOVER_TIMEOUT: Duration = Duration::from_secs(30);
/// A checkout that begins as the writer is lost must not give up before the wait for it does.
pub(crate) const DEFAULT_CHECKOUT_TIMEOUT: Duration = Duration::from_secs(30);
/// Long enough to ride through a lull, short enough that what a burst opened is soon given back.
pub(crate) const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// Below the hour at which many middleboxes cut, long enough that logins stay rare.
pub(crate) const DEFAULT_MAX_LIFETIME_PERIOD: Duration = Duration::from_secs(1800);
/// How much shorter than the maximum a connection's life may be, in percent: a pool's
/// connections are opened together and must not be replaced together.
pub(crate) const MAX_LIFETIME_JITTER_PERCENT: u32 = 10;
/// A dead peer is found by keepalives and probes within seconds; this only guards against
/// silence that neither saw.
pub(crate) const DEFAULT_VALIDATION_PERIOD: Duration = Duration::from_secs(30);
/// A reader's buffer cache fills within seconds under load; shorter, and its first reads queue
/// behind its disk while its peers idle.
pub(crate) const DEFAULT_SLOW_START_PERIOD: Duration = Duration::from_secs(10);
/// Aurora's own records say 5 s; a resolver on the way that says a minute is not believed.
pub(crate) const DEFAULT_DNS_MAX_TTL: Duration = Duration::from_secs(5);

/// The least that a DNS answer is kept: ten queries a second and name at most, as a virtual
/// machine may send 1024 DNS packets a second in all.
pub(crate) const DNS_MIN_TTL: Duration = Duration::from_millis(100);
/// The longest that "no such name" is believed: an instance that is being created gets its name
/// at any moment.
pub(crate) const DNS_MAX_NEGATIVE_TTL: Duration = Duration::from_secs(1);
/// How long a server that failed is left alone while its last answers are used.
pub(crate) const DNS_RETRY_DELAY: Duration = Duration::from_secs(1);
/// One query; a lost datagram is then sent again.
pub(crate) const DNS_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);
/// A whole look-up of a name never seen: several attempts, and still time to connect.
pub(crate) const DNS_LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// A look-up of a name whose last addresses are known: they are the better answer after that.
pub(crate) const DNS_REFRESH_TIMEOUT: Duration = Duration::from_millis(500);

/// A stretch of time, and how far apart the questions to one instance are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AlertPhase {
    /// When it ends, counted from the beginning of the first; `None` for the last.
    pub(crate) until: Option<Duration>,
    /// The time between two questions.
    pub(crate) interval: Duration,
}

const fn phase(until: Duration, interval: Duration) -> AlertPhase {
    AlertPhase {
        until: Some(until),
        interval,
    }
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// How often an instance that answers is asked while there is no confirmed writer: it may be
/// promoted without losing a connection. A question is one short round trip; the usual ten
/// seconds of an outage are waited out at a rate that a thousand processes may keep up.
pub(crate) const QUESTION_PHASES: [AlertPhase; 6] = [
    phase(millis(400), millis(3)),
    phase(millis(1_000), millis(10)),
    phase(millis(5_000), millis(20)),
    phase(millis(30_000), millis(50)),
    phase(millis(60_000), millis(100)),
    AlertPhase {
        until: None,
        interval: millis(1_000),
    },
];

/// How often an instance that refuses, is starting or does not answer is tried, since it began
/// to: each try is a connect.
///
/// The first second has a budget ([`ATTEMPTS_FIRST_SECOND_MAX`]), most of which goes to its first
/// quarter: restarts without much ado end within it. After that at most twenty a second, after
/// five seconds ten, after a minute one.
pub(crate) const ATTEMPT_PHASES: [AlertPhase; 5] = [
    phase(millis(250), Duration::from_micros(2_700)),
    phase(millis(1_000), millis(100)),
    phase(millis(5_000), millis(50)),
    phase(millis(60_000), millis(100)),
    AlertPhase {
        until: None,
        interval: millis(1_000),
    },
];

/// The most tries of one instance in the first second: a thousand processes then make 100 000
/// short attempts, which a listener refuses or answers without harm.
pub(crate) const ATTEMPTS_FIRST_SECOND_MAX: u32 = 100;

/// A row of the replica-status table older than this tells nothing about its instance.
pub(crate) const STALE_ROW_PERIOD: Duration = Duration::from_secs(300);
/// The lag that Aurora shows for an instance that is gone while its row lingers.
pub(crate) const LINGERING_ROW_LAG: Duration = Duration::from_millis(900_000);
/// How long an instance may be missing from every table before its pool is closed: rows vanish
/// for some seconds during a failover.
pub(crate) const REMOVAL_PERIOD: Duration = Duration::from_secs(30);

/// Longer ones are mistakes, and would overflow the clock when added to it.
const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);

/// Phases follow one another, and only the last has no end.
const fn are_in_order(phases: &[AlertPhase]) -> bool {
    let mut began = 0;
    let mut phase = 0;
    while phase + 1 < phases.len() {
        match phases[phase].until {
            Some(until) if until.as_micros() > began => began = until.as_micros(),
            _ => return false,
        }
        phase += 1;
    }
    phases[phase].until.is_none()
}

const _: () = {
    assert!(are_in_order(&QUESTION_PHASES) && are_in_order(&ATTEMPT_PHASES));
    let (first, second) = (ATTEMPT_PHASES[0], ATTEMPT_PHASES[1]);
    let (Some(first_end), Some(second_end)) = (first.until, second.until) else {
        panic!("the first two phases end");
    };
    assert!(second_end.as_millis() == 1_000);
    let tries = first_end.as_micros() / first.interval.as_micros()
        + (second_end.as_micros() - first_end.as_micros()) / second.interval.as_micros();
    assert!(tries <= ATTEMPTS_FIRST_SECOND_MAX as u128);
    // Twenty a second, then ten.
    assert!(ATTEMPT_PHASES[2].interval.as_millis() >= 50);
    assert!(ATTEMPT_PHASES[3].interval.as_millis() >= 100);
};
const _: () = {
    const fn at_most(shorter: Duration, longer: Duration) -> bool {
        shorter.as_millis() <= longer.as_millis()
    }
    assert!(at_most(MIN_PROBE_INTERVAL, DEFAULT_PROBE_INTERVAL));
    assert!(at_most(DEFAULT_PROBE_TIMEOUT, DEFAULT_PROBE_INTERVAL));
    assert!(at_most(DEFAULT_FAILOVER_TIMEOUT, DEFAULT_CHECKOUT_TIMEOUT));
    assert!(at_most(DEFAULT_CONNECT_TIMEOUT, DEFAULT_CHECKOUT_TIMEOUT));
    assert!(at_most(DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_LIFETIME_PERIOD));
    assert!(at_most(DEFAULT_VALIDATION_PERIOD, DEFAULT_IDLE_TIMEOUT));
    assert!(at_most(DNS_MIN_TTL, DNS_MAX_NEGATIVE_TTL));
    assert!(at_most(DNS_MIN_TTL, DEFAULT_DNS_MAX_TTL));
    assert!(at_most(DNS_REFRESH_TIMEOUT, DNS_LOOKUP_TIMEOUT));
    assert!(at_most(DNS_LOOKUP_TIMEOUT, DEFAULT_CONNECT_TIMEOUT));
    assert!(at_most(DEFAULT_CONNECT_TIMEOUT, MAX_DURATION));
    assert!(at_most(STALE_ROW_PERIOD, LINGERING_ROW_LAG));
    assert!(MAX_LIFETIME_JITTER_PERCENT < 100);
};

impl Default for Timing {
    fn default() -> Self {
        Self {
            probe_interval: DEFAULT_PROBE_INTERVAL,
            probe_timeout: DEFAULT_PROBE_TIMEOUT,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            checkout_timeout: DEFAULT_CHECKOUT_TIMEOUT,
            failover_timeout: DEFAULT_FAILOVER_TIMEOUT,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            max_lifetime: DEFAULT_MAX_LIFETIME_PERIOD,
            validation_period: DEFAULT_VALIDATION_PERIOD,
            slow_start: DEFAULT_SLOW_START_PERIOD,
            dns_max_ttl: DEFAULT_DNS_MAX_TTL,
        }
    }
}

impl Timing {
    /// Whether a monitor keeps the same times for both.
    pub(super) fn monitors_like(&self, other: &Self) -> bool {
        // Named one by one, so that a new field must be thought about.
        let Self {
            probe_interval,
            probe_timeout,
            connect_timeout,
            checkout_timeout: _,
            failover_timeout: _,
            idle_timeout: _,
            max_lifetime: _,
            validation_period: _,
            slow_start: _,
            dns_max_ttl,
        } = self;
        *probe_interval == other.probe_interval
            && *probe_timeout == other.probe_timeout
            && *connect_timeout == other.connect_timeout
            && *dns_max_ttl == other.dns_max_ttl
    }

    pub(super) fn validate(&self) -> Result<()> {
        let shortest = Duration::from_millis(1);
        for (name, value, min) in [
            ("probe_interval", self.probe_interval, MIN_PROBE_INTERVAL),
            ("probe_timeout", self.probe_timeout, shortest),
            ("connect_timeout", self.connect_timeout, shortest),
            ("checkout_timeout", self.checkout_timeout, shortest),
            ("failover_timeout", self.failover_timeout, shortest),
            ("idle_timeout", self.idle_timeout, shortest),
            ("max_lifetime", self.max_lifetime, shortest),
            ("validation_period", self.validation_period, Duration::ZERO),
            ("slow_start", self.slow_start, Duration::ZERO),
            ("dns_max_ttl", self.dns_max_ttl, Duration::ZERO),
        ] {
            if value < min || value > MAX_DURATION {
                return Err(invalid(format!("{name} is {value:?}: use {min:?} to 24h")));
            }
        }
        Ok(())
    }
}
