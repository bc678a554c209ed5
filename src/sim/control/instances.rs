//! Routes of one instance.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::id::InstanceId;
use crate::sim::{ListenerState, SimCluster, SimError, ViewAnomaly};

use super::Controlled;
use super::answer::{self, Refused};
use super::body::{Body, known, read, unfit};

type Answer = Result<Json<Value>, Refused>;
type Controls = State<Controlled>;
type Named = Path<String>;

/// Does something to the instance that a path names, and answers with the cluster after it.
fn to(
    controlled: &Controlled,
    id: &str,
    act: impl FnOnce(&SimCluster, InstanceId) -> Result<(), SimError>,
) -> Answer {
    let cluster = &controlled.cluster;
    act(cluster, known(cluster, id)?)?;
    Ok(Json(answer::cluster(cluster)))
}

pub(super) async fn counters(State(controlled): Controls, Path(id): Named) -> Answer {
    let counters = controlled.cluster.counters(id.as_str());
    let counters = counters.ok_or_else(|| Refused::unknown_instance(&id))?;
    Ok(Json(json!({
        "connects": counters.connects,
        "logins": counters.logins,
        "logins_refused": counters.logins_refused,
        "statements": counters.statements,
        "reads": counters.reads,
        "writes": counters.writes,
        "topology_queries": counters.topology_queries,
        "open_sessions": counters.open_sessions,
    })))
}

pub(super) async fn remove(State(controlled): Controls, Path(id): Named) -> Answer {
    to(&controlled, &id, |cluster, id| cluster.remove_instance(id))
}

pub(super) async fn crash(State(controlled): Controls, Path(id): Named) -> Answer {
    to(&controlled, &id, |cluster, id| cluster.crash(id))
}

pub(super) async fn restart(State(controlled): Controls, Path(id): Named) -> Answer {
    to(&controlled, &id, |cluster, id| cluster.restart(id))
}

pub(super) async fn silence(State(controlled): Controls, Path(id): Named) -> Answer {
    to(&controlled, &id, |cluster, id| cluster.silence(id))
}

pub(super) async fn refuse(State(controlled): Controls, Path(id): Named) -> Answer {
    to(&controlled, &id, |cluster, id| cluster.refuse(id))
}

pub(super) async fn restore(State(controlled): Controls, Path(id): Named) -> Answer {
    to(&controlled, &id, |cluster, id| cluster.restore(id))
}

pub(super) async fn pause(State(controlled): Controls, Path(id): Named) -> Answer {
    to(&controlled, &id, |cluster, id| {
        cluster.pause_replication(id)
    })
}

pub(super) async fn resume(State(controlled): Controls, Path(id): Named) -> Answer {
    to(&controlled, &id, |cluster, id| {
        cluster.resume_replication(id)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Milliseconds {
    ms: u64,
}

pub(super) async fn lag(State(controlled): Controls, Path(id): Named, body: Body) -> Answer {
    known(&controlled.cluster, &id)?;
    let Milliseconds { ms } = read(body)?;
    to(&controlled, &id, |cluster, id| {
        cluster.set_lag(id, Duration::from_millis(ms))
    })
}

pub(super) async fn slow(State(controlled): Controls, Path(id): Named, body: Body) -> Answer {
    known(&controlled.cluster, &id)?;
    let Milliseconds { ms } = read(body)?;
    to(&controlled, &id, |cluster, id| {
        cluster.slow(id, Duration::from_millis(ms))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listener {
    state: String,
}

pub(super) async fn listener(State(controlled): Controls, Path(id): Named, body: Body) -> Answer {
    known(&controlled.cluster, &id)?;
    let Listener { state } = read(body)?;
    let state = match state.as_str() {
        "normal" => ListenerState::Normal,
        "refusing" => ListenerState::Refusing,
        "silent" => ListenerState::Silent,
        "draining" => ListenerState::Draining,
        "full" => ListenerState::Full,
        "starting" => ListenerState::Starting,
        other => {
            return Err(unfit(format!(
                "the listener state `{other}`: use `normal`, `refusing`, `silent`, `draining`, \
                 `full` or `starting`; for a slow one there is POST .../slow"
            )));
        }
    };
    to(&controlled, &id, |cluster, id| {
        cluster.set_listener(id, state)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    tier: u8,
}

pub(super) async fn tier(State(controlled): Controls, Path(id): Named, body: Body) -> Answer {
    known(&controlled.cluster, &id)?;
    let Tier { tier } = read(body)?;
    if tier > 15 {
        return Err(unfit(format!("promotion tier {tier}: a tier is 0 to 15")));
    }
    to(&controlled, &id, |cluster, id| {
        cluster.set_promotion_tier(id, tier)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
}

pub(super) async fn rename(State(controlled): Controls, Path(id): Named, body: Body) -> Answer {
    known(&controlled.cluster, &id)?;
    let Name { name } = read(body)?;
    to(&controlled, &id, |cluster, id| {
        cluster.rename_instance(id, name)
    })
}

/// What an instance's answers about the topology get wrong, as a request names it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct View {
    kind: String,
    instance: Option<String>,
    ms: Option<u64>,
}

impl View {
    fn anomaly(self) -> Result<ViewAnomaly, Refused> {
        Ok(match (self.kind.as_str(), self.instance, self.ms) {
            ("second-writer", Some(id), None) => ViewAnomaly::SecondWriter(id.into()),
            ("stale-claim", Some(id), None) => ViewAnomaly::StaleClaim(id.into()),
            ("lingering", Some(id), None) => ViewAnomaly::Lingering(id.into()),
            ("no-writer", None, None) => ViewAnomaly::NoWriter,
            ("one-row", None, None) => ViewAnomaly::OneRow,
            ("garbage-lag", None, None) => ViewAnomaly::GarbageLag,
            ("foreign-rows", None, None) => ViewAnomaly::ForeignRows,
            ("own-timestamp-null", None, None) => ViewAnomaly::OwnTimestampNull(true),
            ("own-timestamp", None, None) => ViewAnomaly::OwnTimestampNull(false),
            ("propagation", None, Some(ms)) => ViewAnomaly::Propagation(Duration::from_millis(ms)),
            (kind, ..) => {
                return Err(unfit(format!(
                    "the view `{kind}` with these fields: use `second-writer`, `stale-claim` or \
                     `lingering` with `instance`; `propagation` with `ms`; `no-writer`, \
                     `one-row`, `garbage-lag`, `foreign-rows`, `own-timestamp-null` or \
                     `own-timestamp`"
                )));
            }
        })
    }
}

pub(super) async fn set_view(State(controlled): Controls, Path(id): Named, body: Body) -> Answer {
    known(&controlled.cluster, &id)?;
    let anomaly = read::<View>(body)?.anomaly()?;
    to(&controlled, &id, |cluster, id| {
        cluster.set_view(id, anomaly)
    })
}

pub(super) async fn clear_view(State(controlled): Controls, Path(id): Named) -> Answer {
    to(&controlled, &id, |cluster, id| cluster.clear_view(id))
}
