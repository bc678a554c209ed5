//! Who belongs to a custom endpoint, as its answers show one by one. Pure.
//!
//! Aurora answers each query for a custom endpoint with one of its members that is up (Aurora
//! User Guide, "Custom endpoints for Amazon Aurora"), and which instances belong to it stands in
//! no table that an application may read. So the name is resolved again and again: whom it leads
//! to is a member, and who could turn up and does not for long is none any more. An answer that
//! leads to nobody, or none at all, says nothing of anybody: the members that are known stay.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::{Endpoint, EndpointKind};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::time::Instant;

/// How often a name is resolved at first: a query a second is nothing to a DNS server, and a
/// handle knows its members soon.
const LEARNING_INTERVAL: Duration = Duration::from_secs(1);
/// How long that goes on; even through caches that keep each answer for 5 s it has led to most
/// members of a usual endpoint by then.
const LEARNING_PERIOD: Duration = Duration::from_secs(30);
/// How often it is resolved after that: the time to live of Aurora's records.
const STEADY_INTERVAL: Duration = Duration::from_secs(5);
/// How long a cache is taken to repeat an answer, at most; records that live longer are no
/// custom endpoint's own, and must not keep who has left for ever.
const REPEATED_PERIOD_MAX: Duration = Duration::from_secs(300);
/// For each member, how many answers in a row may lead to others before it has left.
/// Answers are drawn at random, or from caches: of n members each is missing from 8n answers once
/// in three thousand times.
const MISSES_PER_MEMBER_MAX: usize = 8;

/// The members of one custom endpoint.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// How many answers in a row have led to others while it was not down.
    missed: BTreeMap<InstanceId, usize>,
    /// Until when an answer is the last one once more, out of some cache.
    repeated_until: Option<Instant>,
}

impl Members {
    /// Takes in an answer that came `now`, from records that live for `ttl`: whom it led to, and
    /// which instances there are, with whether each is up.
    pub(crate) fn answered(
        &mut self,
        led_to: &BTreeSet<InstanceId>,
        instances: &BTreeMap<InstanceId, bool>,
        now: Instant,
        ttl: Duration,
    ) {
        if self.repeated_until.is_none_or(|until| now >= until) {
            self.repeated_until = Some(now + ttl.min(REPEATED_PERIOD_MAX));
            for (member, missed) in &mut self.missed {
                // One that is down is led to by no answer, and stays a member. One that is in no
                // table just now may be back in a moment.
                *missed += usize::from(instances.get(member) != Some(&false));
            }
        }
        let met = led_to.iter().filter(|id| instances.contains_key(*id));
        self.missed.extend(met.map(|id| (id.clone(), 0)));
        let misses_max = MISSES_PER_MEMBER_MAX * self.missed.len();
        self.missed.retain(|_, missed| *missed < misses_max);
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &InstanceId> {
        self.missed.keys()
    }

    /// Whether one of them is up.
    fn serve(&self, instances: &BTreeMap<InstanceId, bool>) -> bool {
        self.ids()
            .any(|member| instances.get(member) == Some(&true))
    }
}

/// How long to wait before the names of these endpoints are resolved again, the cluster being
/// known for so long. While no member is up, reads wait for the next one that an answer leads to.
pub(crate) fn interval<'a>(
    mut endpoints: impl Iterator<Item = &'a Members>,
    instances: &BTreeMap<InstanceId, bool>,
    known_for: Duration,
) -> Duration {
    let is_served = endpoints.any(|members| members.serve(instances));
    match known_for >= LEARNING_PERIOD && is_served {
        true => STEADY_INTERVAL,
        false => LEARNING_INTERVAL,
    }
}

/// A name that has addresses, none of which tells of an instance.
pub(crate) fn leads_to_nobody(name: &str, addresses: &[IpAddr]) -> Error {
    Error::new(
        ErrorKind::Resolve,
        format!(
            "`{name}` leads to {addresses:?}, which is the address of no known instance, or of \
             several: check that it is a custom endpoint of this cluster"
        ),
    )
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
    fn records_that_live_for_ever_do_not_keep_a_member_for_ever() {
        let all = with_health([("a", true), ("b", true)]);
        let mut members = Members::default();
        let start = crate::time::now();
        members.answered(&set(["a"]), &all, start, Duration::MAX);
        for round in 1..=16 {
            let now = start + REPEATED_PERIOD_MAX * round;
            members.answered(&set(["b"]), &all, now, Duration::MAX);
        }
        assert_eq!(members.ids().count(), 1);
    }

    #[test]
    fn an_instance_that_the_cluster_does_not_have_becomes_no_member() {
        let mut asked = Asked::new();
        asked.answered(["a", "x"], &with_health([("a", true)]));
        assert_eq!(asked.ids(), ["a"]);
    }

    #[test]
    fn a_member_that_is_missing_from_the_cluster_for_a_moment_stays_one_but_not_for_ever() {
        let only_b = with_health([("b", true)]);
        let mut asked = Asked::new();
        asked.answered(["a", "b"], &with_health([("a", true), ("b", true)]));
        for _ in 0..15 {
            asked.answered(["b"], &only_b);
        }
        assert_eq!(asked.ids(), ["a", "b"]);
        asked.answered(["b"], &only_b);
        assert_eq!(asked.ids(), ["b"]);
    }

    #[test]
    fn the_last_member_goes_only_when_another_is_led_to() {
        let all = with_health([("a", true), ("b", true)]);
        let mut asked = Asked::new();
        asked.answered(["a"], &all);
        for _ in 0..16 {
            asked.answered(["b"], &all);
            assert!(!asked.ids().is_empty());
        }
        assert_eq!(asked.ids(), ["b"]);
    }

    #[test]
    fn a_name_is_resolved_each_second_at_first_and_while_no_member_is_up() {
        let (early, late) = (Duration::from_secs(29), Duration::from_secs(30));
        let after = |asked: &Asked, health, known_for| {
            interval(
                [&asked.members].into_iter(),
                &with_health(health),
                known_for,
            )
            .as_secs()
        };
        let mut asked = Asked::new();
        assert_eq!(after(&asked, [("a", true)], late), 1, "none is known");
        asked.answered(["a"], &with_health([("a", true)]));
        assert_eq!(after(&asked, [("a", true)], early), 1);
        assert_eq!(after(&asked, [("a", true)], late), 5);
        assert_eq!(after(&asked, [("a", false)], late), 1, "it is down");
        assert_eq!(after(&asked, [("b", true)], late), 1, "it is gone");
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
