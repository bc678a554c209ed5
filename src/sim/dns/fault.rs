//! A resolver that is slow, wrong or dead.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::SharedZone;

/// What a simulated cluster's DNS server gets wrong, until the guard of
/// [`SimCluster::break_dns`](crate::sim::SimCluster::break_dns) is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsFault {
    /// No query is answered. Over TCP the connection stays open, in silence.
    Silent,
    /// Each answer comes so much later.
    Slow(Duration),
    /// Each query is answered with SERVFAIL.
    ServFail,
    /// Each query is answered with NXDOMAIN, as if no name existed.
    NxDomain,
    /// One name leads to this address, whether it exists or not, and whosever zone it is in.
    Wrong {
        /// The name, with or without the dot at its end; its case does not matter.
        name: String,
        /// Where it leads to.
        address: Ipv4Addr,
    },
    /// Over UDP each answer is empty and says that it was truncated, so that the client has to
    /// ask again over TCP (RFC 7766, section 5).
    Truncated,
}

/// The faults in force, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults {
    given: u64,
    active: Vec<(u64, DnsFault)>,
}

impl Faults {
    /// Puts a fault in force and returns its number.
    pub(super) fn begin(&mut self, fault: DnsFault) -> u64 {
        self.given += 1;
        self.active.push((self.given, fault));
        self.given
    }

    fn end(&mut self, number: u64) {
        self.active.retain(|(other, _)| *other != number);
    }

    /// All faults in force, the newest first, which is the one that counts where several would.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &DnsFault> {
        self.active.iter().rev().map(|(_, fault)| fault)
    }

    /// The sum of all delays.
    pub(super) fn delay(&self) -> Duration {
        let delays = self.newest_first().map(|fault| match fault {
            DnsFault::Slow(delay) => *delay,
            _ => Duration::ZERO,
        });
        delays.fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Where a name is said to lead, if there is a lie about it. Both in lower case.
    pub(super) fn lie_about(&self, wanted: &str) -> Option<Ipv4Addr> {
        self.newest_first().find_map(|fault| match fault {
            DnsFault::Wrong { name, address } if is_same_name(name, wanted) => Some(*address),
            _ => None,
        })
    }
}

fn is_same_name(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    bare(one) == bare(other)
}

/// Mends what [`SimCluster::break_dns`](crate::sim::SimCluster::break_dns) broke when it is
/// dropped.
#[derive(Debug)]
#[must_use = "the DNS is mended when this is dropped"]
pub struct DnsFaultGuard {
    zone: SharedZone,
    number: u64,
}

impl DnsFaultGuard {
    pub(crate) fn new(zone: SharedZone, fault: DnsFault) -> Self {
        let number = zone.write().faults.begin(fault);
        Self { zone, number }
    }
}

impl Drop for DnsFaultGuard {
    fn drop(&mut self) {
        self.zone.write().faults.end(self.number);
    }
}
