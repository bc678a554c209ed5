//! What all names of a cluster lead to now.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::Zone;

/// What the DNS says about one name of a simulated cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsAnswer {
    /// The name that is asked for, without the dot at its end.
    pub name: String,
    /// The name that it is an alias of: an instance's. None for an instance's own name, for an
    /// endpoint that leads nowhere just now, and for a name that the DNS lies about.
    pub target: Option<String>,
    /// Where it leads to in the end.
    pub address: Option<Ipv4Addr>,
    /// How long a resolver may remember the name's own record.
    pub ttl: Duration,
}

impl Zone {
    /// What each name is answered with next: the cluster endpoint, the reader endpoint, the
    /// custom endpoints and the instances, the latter two by name. Asking here takes nobody's
    /// turn.
    pub(crate) fn answers(&self) -> Vec<DnsAnswer> {
        let answers = self.all_names().map(|name| {
            let text = name.to_ascii();
            let ttl = Duration::from_secs(self.ttl(name).into());
            let lie = self.faults.lie_about(&text);
            let target = self.current_target(name).filter(|_| lie.is_none());
            let aliased = target.and_then(|id| self.address_of_instance(id));
            DnsAnswer {
                name: text.trim_end_matches('.').to_owned(),
                target: target.map(|id| self.names().instance_endpoint(id)),
                address: lie.or(aliased).or_else(|| self.address_of(name)),
                ttl,
            }
        });
        answers.collect()
    }
}
