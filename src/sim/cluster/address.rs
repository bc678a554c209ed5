//! One loopback address per instance.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::id::InstanceId;

/// Which address each instance has, also after it is gone: none is given out twice.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    given: BTreeMap<InstanceId, Ipv4Addr>,
    next: Ipv4Addr,
}

impl Addresses {
    /// Addresses from a block `127.a.b.*` that depends on the seed and the process, so that
    /// clusters of other tests are elsewhere. Never `127.0.0.*`.
    pub(super) fn random(seed: u64, attempt: u64) -> Self {
        let process = u64::from(std::process::id());
        let mut random = fastrand::Rng::with_seed(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (process << 16) ^ attempt,
        );
        Self {
            given: BTreeMap::new(),
            next: Ipv4Addr::new(127, random.u8(1..=254), random.u8(1..=254), 1),
        }
    }

    /// Given addresses; later instances come after the last of them.
    pub(super) fn fixed(given: BTreeMap<InstanceId, Ipv4Addr>) -> Self {
        let last = given.values().max().copied();
        let next = following(last.unwrap_or(Ipv4Addr::new(127, 0, 1, 0)));
        Self { given, next }
    }

    pub(super) fn of(&self, id: &InstanceId) -> Option<Ipv4Addr> {
        self.given.get(id).copied()
    }

    /// The address goes with the instance; the old name has none any more.
    pub(super) fn rename(&mut self, from: &InstanceId, to: &InstanceId) {
        if let Some(address) = self.given.remove(from) {
            self.given.insert(to.clone(), address);
        }
    }

    /// The address of an instance, a new one if it has none yet.
    pub(super) fn give(&mut self, id: &InstanceId) -> Ipv4Addr {
        if let Some(address) = self.of(id) {
            return address;
        }
        let address = self.next;
        self.next = following(address);
        self.given.insert(id.clone(), address);
        address
    }
}

/// The address after this one that a host may have: neither `.0` nor `.255`.
fn following(address: Ipv4Addr) -> Ipv4Addr {
    let mut next = u32::from(address).wrapping_add(1);
    while matches!(next & 0xff, 0 | 0xff) {
        next = next.wrapping_add(1);
    }
    match Ipv4Addr::from(next) {
        next if next.is_loopback() => next,
        _ => Ipv4Addr::new(127, 1, 1, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_its_address_and_nobody_else_gets_it() {
        let mut addresses = Addresses::random(7, 0);
        let first = addresses.give(&"a".into());
        let second = addresses.give(&"b".into());
        assert_ne!(first, second);
        assert_eq!(addresses.give(&"a".into()), first);
        assert_eq!(addresses.of(&"b".into()), Some(second));
    }

    #[test]
    fn random_addresses_are_loopback_but_not_in_the_first_block() {
        for attempt in 0..200 {
            let address = Addresses::random(1, attempt).give(&"a".into());
            assert!(address.is_loopback());
            assert_ne!(address.octets()[..3], [127, 0, 0]);
        }
    }

    #[test]
    fn another_attempt_gives_another_block() {
        let of = |attempt| Addresses::random(1, attempt).give(&"a".into());
        assert_ne!(of(0), of(1));
    }

    #[test]
    fn an_added_instance_comes_after_the_fixed_ones() {
        let given = BTreeMap::from([("21".into(), Ipv4Addr::new(127, 0, 0, 254))]);
        let mut addresses = Addresses::fixed(given);
        assert_eq!(addresses.give(&"22".into()), Ipv4Addr::new(127, 0, 1, 1));
    }
}
