//! Who belongs to a custom endpoint, as its answers show one by one. Pure.
//!
//! Aurora answers each query for a custom endpoint with one of its members that is up (Aurora
//! User Guide, "Custom endpoints for Amazon Aurora"), and which instances belong to it stands in
//! no table that an application may read. So the name is resolved again and again: whom it leads
//! to is a member, and who is up and does not turn up for long is none any more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::{Endpoint, EndpointKind};
use crate::config::Config;
use crate::error::Result;
use crate::id::InstanceId;
use crate::time::Instant;

/// For each member, how many answers in a row may lead elsewhere before one that is up has left.
/// Answers are drawn at random, or from caches: of n members each is missing from 8n answers once
/// in three thousand times.
const MISSES_PER_MEMBER_MAX: usize = 8;

/// The members of one custom endpoint.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// How many answers in a row have led elsewhere while it was up.
    missed: BTreeMap<InstanceId, usize>,
    /// Until when an answer is the last one once more, out of some cache.
    repeated_until: Option<Instant>,
}

impl Members {
    /// Takes in an answer that came `now`, to be believed for `ttl`: whom it led to (nobody, where
    /// the name has no address), and which instances there are, with whether each is up.
    pub(crate) fn answered(
        &mut self,
        led_to: &BTreeSet<InstanceId>,
        instances: &BTreeMap<InstanceId, bool>,
        now: Instant,
        ttl: Duration,
    ) {
        if self.repeated_until.is_none_or(|until| now >= until) {
            self.repeated_until = Some(now + ttl);
            for (member, missed) in &mut self.missed {
                // One that is down is led to by no answer, and stays a member.
                *missed += usize::from(instances.get(member) == Some(&true));
            }
        }
        let met = led_to.iter().filter(|id| instances.contains_key(*id));
        self.missed.extend(met.map(|id| (id.clone(), 0)));
        let misses_max = MISSES_PER_MEMBER_MAX * self.missed.len();
        self.missed
            .retain(|member, missed| *missed < misses_max && instances.contains_key(member));
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &InstanceId> {
        self.missed.keys()
    }
}

/// The custom endpoints whose members this configuration's reads are confined to: the one that it
/// names, or those among the seeds.
pub(crate) fn custom_endpoints(config: &Config) -> Result<Vec<Arc<str>>> {
    if let Some(named) = &config.custom_endpoint {
        return Ok(vec![named.as_str().into()]);
    }
    let mut names: Vec<Arc<str>> = Vec::new();
    for seed in &config.seeds {
        let endpoint = Endpoint::parse(&seed.host)?;
        let host = endpoint.host();
        if endpoint.kind() == EndpointKind::Custom && !names.iter().any(|name| **name == *host) {
            names.push(host.into());
        }
    }
    Ok(names)
}

/// Whose addresses these are. One that several instances share, as behind a tunnel, tells nothing.
pub(crate) fn owners(
    addresses: &[IpAddr],
    instances: &[(InstanceId, Arc<[IpAddr]>)],
) -> BTreeSet<InstanceId> {
    let owner = |address: &IpAddr| {
        let mut owners = instances.iter().filter(|(_, own)| own.contains(address));
        let (owner, _) = owners.next()?;
        owners.next().is_none().then(|| owner.clone())
    };
    addresses.iter().filter_map(owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<const N: usize>(ids: [&str; N]) -> BTreeSet<InstanceId> {
        ids.map(InstanceId::new).into()
    }

    fn with_health<const N: usize>(instances: [(&str, bool); N]) -> BTreeMap<InstanceId, bool> {
        instances
            .map(|(id, is_up)| (InstanceId::new(id), is_up))
            .into()
    }

    const TTL: Duration = Duration::from_secs(5);

    /// Answers one after the other, none of which is the last one once more.
    struct Asked {
        members: Members,
        now: Instant,
    }

    impl Asked {
        fn new() -> Self {
            Self {
                members: Members::default(),
                now: crate::time::now(),
            }
        }

        fn answered<const N: usize>(
            &mut self,
            led_to: [&str; N],
            instances: &BTreeMap<InstanceId, bool>,
        ) {
            self.members
                .answered(&set(led_to), instances, self.now, TTL);
            self.now += TTL;
        }

        fn ids(&self) -> Vec<&str> {
            self.members.ids().map(InstanceId::as_str).collect()
        }
    }

    #[test]
    fn members_are_learnt_one_answer_at_a_time() {
        let all = with_health([("a", true), ("b", true), ("c", true)]);
        let mut asked = Asked::new();
        assert_eq!(asked.ids(), [""; 0]);
        asked.answered(["b"], &all);
        assert_eq!(asked.ids(), ["b"]);
        asked.answered(["a"], &all);
        assert_eq!(asked.ids(), ["a", "b"]);
    }

    #[test]
    fn a_member_that_is_up_leaves_after_eight_answers_per_member_without_it() {
        let all = with_health([("a", true), ("b", true)]);
        let mut asked = Asked::new();
        asked.answered(["a"], &all);
        asked.answered(["b"], &all);
        // The answer with b was the first without a.
        for _ in 0..14 {
            asked.answered(["b"], &all);
        }
        assert_eq!(asked.ids(), ["a", "b"]);
        asked.answered(["b"], &all);
        assert_eq!(asked.ids(), ["b"]);
        asked.answered(["a"], &all);
        assert_eq!(asked.ids(), ["a", "b"], "it may come back");
    }

    #[test]
    fn one_sight_of_a_member_makes_up_for_all_that_went_before() {
        let all = with_health([("a", true), ("b", true)]);
        let mut asked = Asked::new();
        for round in 0..100 {
            let seen = if round % 15 == 0 { "a" } else { "b" };
            asked.answered([seen], &all);
            assert_eq!(asked.ids().len(), 1 + usize::from(round > 0));
        }
    }

    #[test]
    fn a_member_that_is_down_stays_one_however_long() {
        let mut asked = Asked::new();
        asked.answered(["a", "b"], &with_health([("a", true), ("b", true)]));
        let a_is_down = with_health([("a", false), ("b", true)]);
        for _ in 0..1_000 {
            asked.answered(["b"], &a_is_down);
        }
        assert_eq!(asked.ids(), ["a", "b"]);
    }

    #[test]
    fn an_answer_that_a_cache_repeats_counts_once() {
        let all = with_health([("a", true), ("b", true)]);
        let mut members = Members::default();
        let start = crate::time::now();
        members.answered(&set(["a"]), &all, start, TTL);
        for tenth in 1..160 {
            let now = start + TTL / 10 * tenth;
            members.answered(&set(["b"]), &all, now, TTL);
        }
        assert_eq!(members.ids().count(), 2, "a is missing from 15 answers");
        members.answered(&set(["b"]), &all, start + TTL * 16, TTL);
        assert_eq!(members.ids().count(), 1);
    }

    #[test]
    fn an_endpoint_that_is_gone_has_no_members_in_the_end() {
        let all = with_health([("a", true)]);
        let mut asked = Asked::new();
        asked.answered(["a"], &all);
        for _ in 0..7 {
            asked.answered([], &all);
        }
        assert_eq!(asked.ids(), ["a"]);
        asked.answered([], &all);
        assert_eq!(asked.ids(), [""; 0]);
    }

    #[test]
    fn an_instance_that_the_cluster_does_not_have_is_no_member() {
        let mut asked = Asked::new();
        asked.answered(["a", "x"], &with_health([("a", true)]));
        assert_eq!(asked.ids(), ["a"]);
        asked.answered(["a"], &with_health([("b", true)]));
        assert_eq!(asked.ids(), [""; 0], "it has left the cluster");
    }

    #[test]
    fn an_address_belongs_to_the_one_instance_that_has_it() {
        let address = |last| IpAddr::from([10, 0, 0, last]);
        let instances = [
            (InstanceId::new("a"), [address(1), address(9)].into()),
            (InstanceId::new("b"), [address(2), address(9)].into()),
        ];
        assert_eq!(owners(&[address(1)], &instances), set(["a"]));
        assert_eq!(
            owners(&[address(1), address(2)], &instances),
            set(["a", "b"])
        );
        assert_eq!(owners(&[address(3)], &instances), set([]));
        assert_eq!(owners(&[address(9)], &instances), set([]), "whose is it?");
    }

    #[test]
    fn a_custom_endpoint_is_named_or_found_among_the_seeds() {
        let names = |hosts: &str, key: &str| {
            let url = format!("mysql://app@{hosts}?sslmode=disable{key}");
            let names = custom_endpoints(&Config::from_url(&url).unwrap()).unwrap();
            names.join(",")
        };
        let cluster = "demo.cluster-abc123.eu-west-1.rds.amazonaws.com";
        let reports = "reports.cluster-custom-abc123.eu-west-1.rds.amazonaws.com";
        let jobs = "jobs.cluster-custom-abc123.eu-west-1.rds.amazonaws.com";
        assert_eq!(names(cluster, ""), "");
        assert_eq!(names(&format!("{cluster},{reports}"), ""), reports);
        assert_eq!(
            names(&format!("{reports},{jobs}:1,{jobs}:2"), ""),
            format!("{reports},{jobs}")
        );
        let named = "&custom_endpoint=reports.db.internal";
        assert_eq!(names(cluster, named), "reports.db.internal");
        assert_eq!(
            names(jobs, named),
            "reports.db.internal",
            "what is named wins"
        );
    }
}
