//! Aurora's own fault-injection SQL: MySQL's `ALTER SYSTEM`, PostgreSQL's `aurora_inject_...`
//! (Aurora User Guide, "Testing Amazon Aurora MySQL / PostgreSQL using fault injection queries").
//!
//! Here: what is asked for, and whether it may be. Not here: what becomes of it (`sim::cluster`).

use std::time::Duration;

use super::SqlError;
use super::context::Context;
use crate::id::EngineKind;
use crate::sim::host::{Order, StorageTrouble};

/// How many segments and storage nodes the simulated volume says that it has. All are alike: a
/// fault of one of them meets one request in so many.
pub(super) const DISKS: i64 = 60;
pub(super) const NODES: i64 = 20;

/// A year of 365 days and its parts, as MySQL's `INTERVAL` names them.
const UNITS: [(&str, u64); 8] = [
    ("YEAR", 365 * 86_400),
    ("QUARTER", 91 * 86_400),
    ("MONTH", 30 * 86_400),
    ("WEEK", 7 * 86_400),
    ("DAY", 86_400),
    ("HOUR", 3600),
    ("MINUTE", 60),
    ("SECOND", 1),
];

/// What a client asks for, before it is held against the cluster.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Injection {
    /// `INSTANCE`, `DISPATCHER` or `NODE`.
    Crash {
        what: String,
    },
    /// The replica is not named for all.
    ReplicaFailure {
        percent: f64,
        replica: Option<String>,
        interval: Duration,
    },
    Disk(DiskFault),
}

/// Trouble with segments of the storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DiskFault {
    pub(super) percent: f64,
    /// A disk or a node by its number; none for all.
    pub(super) segment: Option<(Segment, i64)>,
    pub(super) interval: Duration,
    /// Milliseconds of a congestion; none for a failure.
    pub(super) congestion: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    Disk,
    Node,
}

/// Recognises MySQL's statements by their words, in upper case but for what is quoted.
pub(super) fn parse(words: &[&str]) -> Option<Injection> {
    match words {
        ["ALTER", "SYSTEM", "CRASH"] => Some(Injection::Crash {
            what: "instance".to_owned(),
        }),
        [
            "ALTER",
            "SYSTEM",
            "CRASH",
            what @ ("INSTANCE" | "DISPATCHER" | "NODE"),
        ] => Some(Injection::Crash {
            what: what.to_ascii_lowercase(),
        }),
        ["ALTER", "SYSTEM", "SIMULATE", percent, "PERCENT", rest @ ..] => {
            simulate(percent.parse().ok()?, rest)
        }
        _ => None,
    }
}

fn simulate(percent: f64, words: &[&str]) -> Option<Injection> {
    let (words, interval) = match words {
        [rest @ .., "FOR", "INTERVAL", quantity, unit] => (rest, interval(quantity, unit)?),
        _ => return None,
    };
    if let ["READ", "REPLICA", "FAILURE", to @ ..] = words {
        let replica = match to {
            [] | ["TO", "ALL"] => None,
            ["TO", name] => Some(name.trim_matches(['"', '\'', '`']).to_owned()),
            _ => return None,
        };
        return Some(Injection::ReplicaFailure {
            percent,
            replica,
            interval,
        });
    }
    let (words, segment) = match words {
        [rest @ .., "IN", "DISK", index] => (rest, Some((Segment::Disk, index.parse().ok()?))),
        [rest @ .., "NODE", index] => {
            let rest = rest.strip_suffix(&["IN"]).unwrap_or(rest);
            (rest, Some((Segment::Node, index.parse().ok()?)))
        }
        rest => (rest, None),
    };
    let congestion = match words {
        ["DISK", "FAILURE"] => None,
        [
            "DISK",
            "CONGESTION",
            "BETWEEN",
            least,
            "AND",
            most,
            "MILLISECONDS",
        ] => Some((least.parse().ok()?, most.parse().ok()?)),
        _ => return None,
    };
    Some(Injection::Disk(DiskFault {
        percent,
        segment,
        interval,
        congestion,
    }))
}

fn interval(quantity: &str, unit: &str) -> Option<Duration> {
    let quantity: u64 = quantity.parse().ok()?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_secs(quantity.checked_mul(*seconds)?))
}

/// Hands a well-formed injection to the cluster. After a crash the session never answers.
pub(super) fn inject(context: &Context, injection: &Injection) -> Result<(), SqlError> {
    let engine = context.engine;
    let order = match injection {
        Injection::Crash { what } => crash(context, what)?,
        Injection::ReplicaFailure {
            percent,
            replica,
            interval,
        } => {
            check_percent(engine, *percent)?;
            let rows = context.host.status_rows();
            let known = |name: &String| rows.iter().any(|row| row.server_id == *name);
            if !context.host.is_writer() {
                return Err(refused(
                    engine,
                    "a replica failure is simulated on the writer",
                ));
            }
            if let Some(name) = replica.as_ref().filter(|name| !known(name)) {
                return Err(refused(engine, format!("there is no replica \"{name}\"")));
            }
            Order::BlockReplication {
                percent: *percent,
                replica: replica.clone(),
                interval: *interval,
            }
        }
        Injection::Disk(fault) => disk(engine, fault)?,
    };
    context.host.order(order);
    Ok(())
}

fn crash(context: &Context, what: &str) -> Result<Order, SqlError> {
    match what.to_ascii_lowercase().as_str() {
        "dispatcher" if !context.host.is_writer() => {
            Err(refused(context.engine, "only the writer has a dispatcher"))
        }
        // The simulator has one process for the database, its dispatcher and its cache.
        "instance" | "dispatcher" | "node" => {
            context.state().crashed = true;
            Ok(Order::CrashInPlace)
        }
        other => Err(refused(
            context.engine,
            format!("there is no \"{other}\" to crash: use instance, dispatcher or node"),
        )),
    }
}

fn disk(engine: EngineKind, fault: &DiskFault) -> Result<Order, SqlError> {
    check_percent(engine, fault.percent)?;
    let share = match fault.segment {
        None => 1.0,
        Some((segment, index)) => {
            let (name, count) = match segment {
                Segment::Disk => ("disk", DISKS),
                Segment::Node => ("node", NODES),
            };
            if !(0..count).contains(&index) {
                let most = count - 1;
                let message = format!("there is no {name} {index}: the highest index is {most}");
                return Err(refused(engine, message));
            }
            // A small number, exact in a float.
            1.0 / count as f64
        }
    };
    let trouble = match fault.congestion {
        None => StorageTrouble::Block,
        Some((least, most)) if least >= 0.0 && least <= most && most <= 1e9 => {
            let milliseconds = |number: f64| Duration::from_secs_f64(number / 1000.0);
            StorageTrouble::Delay(milliseconds(least), milliseconds(most))
        }
        Some(_) => {
            let message = "the minimum of a congestion is at most its maximum, in milliseconds";
            return Err(refused(engine, message));
        }
    };
    Ok(Order::TroubleStorage {
        probability: fault.percent / 100.0 * share,
        trouble,
        interval: fault.interval,
    })
}

fn check_percent(engine: EngineKind, percent: f64) -> Result<(), SqlError> {
    match (0.0..=100.0).contains(&percent) {
        true => Ok(()),
        false => Err(refused(
            engine,
            format!("{percent} is no percentage from 0 to 100"),
        )),
    }
}

fn refused(engine: EngineKind, message: impl Into<String>) -> SqlError {
    SqlError::of(engine, "22023", (1210, "HY000"), message)
}
