//! Where a request would go now, and why: what the routing decides, for people.

use std::fmt;
use std::time::Duration;

use super::Reads;
use crate::id::{InstanceId, Role};
use crate::topology::{Health, Instance};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// [`Cluster::reader`](crate::Cluster::reader) and what is built on it.
    Read,
    /// [`Cluster::writer`](crate::Cluster::writer) and what is built on it.
    Write,
}

/// An instance that a request may go to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The instance.
    pub instance: InstanceId,
    /// What it serves as.
    pub role: Role,
    /// How far it is behind the writer, as far as known.
    pub lag: Option<Duration>,
    /// This handle's connections to it that are in use.
    pub in_flight: usize,
    /// How long its statements take lately, as this handle measures them; `None` before there are eight.
    /// An average that counts a sample by the logarithm of its length; without new samples it is
    /// believed half as high every second.
    pub latency: Option<Duration>,
    /// What share of the reads it is to have of a full one, in percent: less while it is new.
    pub weight: u32,
    /// Its zone, where it is labelled with one.
    pub zone: Option<String>,
    /// Whether that is known to be another than this process'.
    pub is_far: bool,
}

/// Why an instance gets none of these requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It does not answer, is in doubt, or has not been asked yet.
    NotUp(Health),
    /// It is up, but the writer's table does not show it, or nobody knows yet what it is.
    NotInService,
    /// It belongs to none of the instances that these reads are confined to.
    NotAMember,
    /// It is further behind than these reads may be.
    Lags {
        /// By so much.
        lag: Duration,
        /// So much is allowed, while it is left out.
        allowed: Duration,
    },
    /// It is the writer, and reads do not go there.
    Writer,
    /// It is a reader, and takes no writes.
    Reader,
}

/// Where a request would go at one moment, and why.
///
/// `Display` draws it as a table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// What the request is for.
    pub intent: Intent,
    /// The rule by which it goes to the candidates, or what becomes of it without one.
    pub rule: &'static str,
    /// Those that it may go to, the first to be asked first.
    pub candidates: Vec<Candidate>,
    /// All other instances.
    pub left_out: Vec<(InstanceId, Reason)>,
}

impl Reads {
    /// As an explanation says it.
    pub(crate) fn rule(self) -> &'static str {
        match self {
            Self::Members => {
                "a read asks the better of two readers that take turns, by requests in flight, \
                 latency and weight; all of them, if that one is slow or in another zone"
            }
            Self::Others => {
                "a read goes to other readers, as none that it is meant for may be used"
            }
            Self::Writer => "a read goes to the writer, as there is no reader",
            Self::WriterForLag => "a read goes to the writer, as all readers lag too much",
            Self::Nobody => "a read waits, as there is nobody to read from",
            Self::Refused => "a read fails at once, as there is nobody to read from",
        }
    }
}

/// Why reads do not go to an instance; `allowed` is how far it may lag now.
pub(crate) fn why_not_read(
    instance: &Instance,
    is_member: bool,
    allowed: Option<Duration>,
) -> Reason {
    match (instance.health(), instance.role(), instance.lag(), allowed) {
        (Health::Up, Role::Writer, ..) => Reason::Writer,
        (Health::Up, ..) if !instance.serves_reads() => Reason::NotInService,
        (Health::Up, _, Some(lag), Some(allowed)) if lag > allowed => Reason::Lags { lag, allowed },
        (Health::Up, ..) if !is_member => Reason::NotAMember,
        (Health::Up, ..) => Reason::NotInService,
        (health, ..) => Reason::NotUp(health),
    }
}

/// Why writes do not go to an instance.
pub(crate) fn why_not_written(instance: &Instance) -> Reason {
    match (instance.health(), instance.role()) {
        (Health::Up, Role::Reader) => Reason::Reader,
        (Health::Up, _) => Reason::NotInService,
        (health, _) => Reason::NotUp(health),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUp(Health::Down) => f.write_str("down"),
            Self::NotUp(Health::Suspect) => f.write_str("in doubt"),
            Self::NotUp(_) => f.write_str("not asked yet"),
            Self::NotInService => f.write_str("not known to be in service"),
            Self::NotAMember => f.write_str("not a member"),
            Self::Lags { lag, allowed } => {
                write!(f, "lags {lag:.1?}, {allowed:.1?} are allowed")
            }
            Self::Writer => f.write_str("the writer, which is not read from now"),
            Self::Reader => f.write_str("a reader"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.candidates.iter().map(|candidate| &candidate.instance);
        let all = ids.chain(self.left_out.iter().map(|(id, _)| id));
        let width = all.map(|id| id.as_str().len()).max().unwrap_or(0).max(8);
        writeln!(f, "{}", self.rule)?;
        writeln!(
            f,
            "   {:width$}  {:7}  {:>9}  {:>9}  {:>9}  {:>6}  zone",
            "instance", "role", "lag", "in flight", "latency", "weight"
        )?;
        let time = |span: Option<Duration>| match span {
            Some(span) => format!("{span:.1?}"),
            None => "-".to_owned(),
        };
        for (place, candidate) in self.candidates.iter().enumerate() {
            let zone = candidate.zone.as_deref().unwrap_or("-");
            let far = if candidate.is_far { " (another)" } else { "" };
            writeln!(
                f,
                "{:>2} {:width$}  {:7}  {:>9}  {:>9}  {:>9}  {:>5}%  {zone}{far}",
                place + 1,
                candidate.instance.as_str(),
                candidate.role.name(),
                time(candidate.lag),
                candidate.in_flight,
                time(candidate.latency),
                candidate.weight,
            )?;
        }
        for (instance, reason) in &self.left_out {
            writeln!(f, " - {:width$}  {reason}", instance.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_drawn_as_a_table() {
        let candidate = |name: &str, lag, latency, zone: &str, is_far: bool| Candidate {
            instance: name.into(),
            role: Role::Reader,
            lag: Some(Duration::from_millis(lag)),
            in_flight: usize::from(!is_far) * 3,
            latency: Some(Duration::from_micros(latency)),
            weight: 100,
            zone: Some(zone.into()),
            is_far,
        };
        let lags = Reason::Lags {
            lag: Duration::from_secs(5),
            // 80 % of the two seconds of the README.
            allowed: Duration::from_millis(1_600),
        };
        let explanation = Explanation {
            intent: Intent::Read,
            rule: Reads::Others.rule(),
            candidates: vec![
                candidate("shop-2", 12, 1_900, "eu-west-1a", false),
                candidate("shop-3", 15, 2_400, "eu-west-1b", true),
            ],
            left_out: vec![("shop-1".into(), Reason::Writer), ("shop-4".into(), lags)],
        };
        let drawn = explanation.to_string();
        let readme = include_str!("../../README.md");
        let table = drawn.split_once('\n').expect("several lines").1;
        assert!(readme.contains(table), "the README shows another:\n{table}");
        assert!(drawn.starts_with(Reads::Others.rule()));
    }
}
