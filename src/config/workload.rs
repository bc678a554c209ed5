//! Where reads of a kind may go: labels of instances, and workloads with pools of their own.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::{PoolLimits, invalid};
use crate::error::Result;
use crate::id::InstanceId;

/// What no SQL tells of an instance, so that the configuration has to say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceLabels {
    /// The availability zone that it is in. Default: unknown, which counts as near.
    pub zone: Option<String>,
    /// Its promotion tier, 0 to 15. Default: unknown, and so in no range of tiers.
    pub tier: Option<u8>,
}

/// The last of Aurora's promotion tiers.
const MAX_TIER: u8 = 15;

/// Which instances the reads of a [`Workload`] are confined to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Members {
    /// The same as those of the handle that the workload belongs to.
    #[default]
    Inherited,
    /// These.
    Instances(BTreeSet<InstanceId>),
    /// Those that are [labelled](InstanceLabels::tier) with a promotion tier of this range.
    Tiers(RangeInclusive<u8>),
    /// The members of this custom endpoint; see [`Config::custom_endpoint`](super::Config).
    CustomEndpoint(String),
}

/// Where reads go while none of the instances that they are confined to may be read from: none is
/// up, or all of them lag too much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenNone {
    /// To the writer if it is one of those instances, as it is where reads are not confined; and
    /// otherwise they wait. In a URL: `member`.
    #[default]
    Member,
    /// To the writer, whether or not it is one of them: `writer`.
    Writer,
    /// To the other readers that do not lag too much; while there is none, to the reader that lags
    /// least, whatever the bound; and with no reader at all as [`Member`](Self::Member):
    /// `readers`.
    Readers,
    /// Nowhere: they wait, for at most the `checkout_timeout`: `wait`.
    Wait,
    /// Nowhere: they fail at once with [`ErrorKind::NoReader`](crate::ErrorKind::NoReader); until
    /// a writer was first known, they wait: `fail`.
    Fail,
}

/// The names of [`WhenNone`], as errors list them.
const WHEN_NONE: &str = "member, writer, readers, wait, fail";

impl WhenNone {
    const ALL: [(&'static str, Self); 5] = [
        ("member", Self::Member),
        ("writer", Self::Writer),
        ("readers", Self::Readers),
        ("wait", Self::Wait),
        ("fail", Self::Fail),
    ];
}

impl fmt::Display for WhenNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, rule)| rule == self);
        f.write_str(named.map_or("member", |(name, _)| name))
    }
}

impl FromStr for WhenNone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.iter().find(|(known, _)| *known == name);
        named
            .map(|(_, rule)| *rule)
            .ok_or_else(|| format!("one of {WHEN_NONE}"))
    }
}

/// A kind of work with connections of its own, so that it takes none from other work.
///
/// Given to [`ConfigBuilder::workload`](super::ConfigBuilder::workload) and used by
/// [`Cluster::workload`](crate::Cluster::workload). What is not said here is as in the
/// configuration that it belongs to.
///
/// ```
/// use aurora_driver::config::{Workload, WhenNone};
/// use std::time::Duration;
///
/// let reports = Workload::new()
///     .instances(["shop-3"])
///     .pool_max(2)
///     .max_lag(Duration::from_secs(30))
///     .when_none(WhenNone::Readers);
/// assert_eq!(reports.pool.max, 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Workload {
    /// Which instances it reads from. Default: the same as its parent.
    pub members: Members,
    /// The limits of its pools: of each instance it has a pool of its own. Default: those of
    /// [`PoolLimits`].
    pub pool: PoolLimits,
    /// How far a reader may lag behind for it; see [`Config::max_reader_lag`](super::Config).
    /// Default: no limit.
    pub max_lag: Option<Duration>,
    /// Where its reads go while no member may be read from. Default: [`WhenNone::Member`].
    pub when_none: WhenNone,
}

impl Workload {
    /// One that differs from its parent in its pools alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Confines its reads to these instances.
    pub fn instances<I: Into<InstanceId>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.members = Members::Instances(ids.into_iter().map(Into::into).collect());
        self
    }

    /// Confines its reads to instances of these promotion tiers, by their labels.
    pub fn tiers(mut self, tiers: RangeInclusive<u8>) -> Self {
        self.members = Members::Tiers(tiers);
        self
    }

    /// Confines its reads to the members of a custom endpoint.
    pub fn custom_endpoint(mut self, host: impl Into<String>) -> Self {
        self.members = Members::CustomEndpoint(host.into());
        self
    }

    /// See [`PoolLimits::max`].
    pub fn pool_max(mut self, max: usize) -> Self {
        self.pool.max = max;
        self
    }

    /// See [`max_lag`](Self::max_lag).
    pub fn max_lag(mut self, lag: Duration) -> Self {
        self.max_lag = Some(lag);
        self
    }

    /// See [`when_none`](Self::when_none).
    pub fn when_none(mut self, rule: WhenNone) -> Self {
        self.when_none = rule;
        self
    }

    pub(super) fn validate(&self, name: &str) -> Result<()> {
        let of_it = |what: String| invalid(format!("the workload `{name}` {what}"));
        match &self.members {
            Members::Instances(ids) if ids.is_empty() => {
                return Err(of_it("has no members: name at least one".into()));
            }
            Members::Tiers(tiers) if tiers.is_empty() || *tiers.end() > MAX_TIER => {
                return Err(of_it(format!(
                    "is of the tiers {} to {}: give a range of 0 to {MAX_TIER}",
                    tiers.start(),
                    tiers.end()
                )));
            }
            Members::CustomEndpoint(host) => super::validate_custom_endpoint(host)?,
            Members::Inherited | Members::Instances(_) | Members::Tiers(_) => {}
        }
        self.pool
            .validate()
            .map_err(|error| of_it(format!("makes no sense: {error}")))
    }

    /// Changes what a key of a URL names: the part behind `workload.NAME.`.
    ///
    /// # Errors
    ///
    /// What is allowed instead.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = || {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse().ok().filter(|_| digits);
            number.ok_or_else(|| "a whole number".to_owned())
        };
        match key {
            "instances" => {
                let names = value.split(',').map(str::trim);
                let ids = names.filter(|name| !name.is_empty()).map(InstanceId::new);
                self.members = Members::Instances(ids.collect());
            }
            "tiers" => self.members = Members::Tiers(tiers(value)?),
            "custom_endpoint" => self.members = Members::CustomEndpoint(value.to_owned()),
            "pool_max" => self.pool.max = number()?,
            "pool_min_idle" => self.pool.min_idle = number()?,
            "max_lag" => {
                let lag = super::duration::parse(value);
                self.max_lag = Some(lag.ok_or("a whole number and a unit: 500ms, 30s")?);
            }
            "when_none" => self.when_none = value.parse()?,
            _ => {
                return Err(
                    "one of the keys instances, tiers, custom_endpoint, pool_max, \
                            pool_min_idle, max_lag, when_none"
                        .into(),
                );
            }
        }
        Ok(())
    }
}

impl InstanceLabels {
    pub(super) fn validate(&self, instance: &InstanceId) -> Result<()> {
        match self.tier {
            Some(tier) if tier > MAX_TIER => Err(invalid(format!(
                "the promotion tier {tier} of `{instance}` makes no sense: use 0 to {MAX_TIER}"
            ))),
            _ => Ok(()),
        }
    }
}

/// `2`, or `2-15`.
fn tiers(value: &str) -> Result<RangeInclusive<u8>, String> {
    let (first, last) = value.split_once('-').unwrap_or((value, value));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => Ok(first..=last),
        _ => Err(format!(
            "a promotion tier of 0 to {MAX_TIER}, or a range as 2-15"
        )),
    }
}
