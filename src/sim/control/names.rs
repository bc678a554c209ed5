//! Routes of the DNS: what it answers, how late, and what it gets wrong; custom endpoints.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::sim::{CustomEndpointKind, CustomEndpointMembers, DnsFault, DnsFaultGuard};

use super::Controlled;
use super::answer::{self, Refused};
use super::body::{Body, read, unfit};

type Answer = Result<Json<Value>, Refused>;
type Created = Result<(StatusCode, Json<Value>), Refused>;

/// The DNS faults in force that were begun here.
#[derive(Debug, Default)]
pub(super) struct DnsFaults {
    begun: Mutex<Begun>,
}

#[derive(Debug, Default)]
struct Begun {
    last: u64,
    faults: BTreeMap<u64, (DnsFault, DnsFaultGuard)>,
}

impl DnsFaults {
    fn lock(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn answers(State(controlled): State<Controlled>) -> Json<Value> {
    Json(answer::names(&controlled.cluster))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Milliseconds {
    ms: u64,
}

pub(super) async fn flip(State(controlled): State<Controlled>, body: Body) -> Answer {
    let Milliseconds { ms } = read(body)?;
    controlled.cluster.set_dns_flip(Duration::from_millis(ms))?;
    Ok(Json(json!({"ms": ms})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ttl {
    name: String,
    seconds: u32,
}

pub(super) async fn ttl(State(controlled): State<Controlled>, body: Body) -> Answer {
    let Ttl { name, seconds } = read(body)?;
    let ttl = Duration::from_secs(seconds.into());
    controlled.cluster.set_dns_ttl(&name, ttl)?;
    Ok(Json(answer::names(&controlled.cluster)))
}

/// A fault of the DNS as a request names it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    kind: String,
    ms: Option<u64>,
    name: Option<String>,
    address: Option<Ipv4Addr>,
}

impl Wish {
    fn fault(self) -> Result<DnsFault, Refused> {
        let fault = match (self.kind.as_str(), self.ms, self.name, self.address) {
            ("silent", None, None, None) => DnsFault::Silent,
            ("servfail", None, None, None) => DnsFault::ServFail,
            ("nxdomain", None, None, None) => DnsFault::NxDomain,
            ("truncated", None, None, None) => DnsFault::Truncated,
            ("slow", Some(ms), None, None) => DnsFault::Slow(Duration::from_millis(ms)),
            ("wrong", None, Some(name), Some(address)) => DnsFault::Wrong { name, address },
            (kind, ..) => {
                return Err(unfit(format!(
                    "the DNS fault `{kind}` with these fields: use `silent`, `servfail`, \
                     `nxdomain`, `truncated`, `slow` with `ms`, or `wrong` with `name` and \
                     `address`"
                )));
            }
        };
        Ok(fault)
    }
}

fn shown(number: u64, fault: &DnsFault) -> Value {
    let mut value = json!({"id": number});
    value["kind"] = json!(match fault {
        DnsFault::Silent => "silent",
        DnsFault::Slow(_) => "slow",
        DnsFault::ServFail => "servfail",
        DnsFault::NxDomain => "nxdomain",
        DnsFault::Wrong { .. } => "wrong",
        DnsFault::Truncated => "truncated",
    });
    match fault {
        DnsFault::Slow(delay) => {
            value["ms"] = json!(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        }
        DnsFault::Wrong { name, address } => {
            value["name"] = json!(name);
            value["address"] = json!(address.to_string());
        }
        _ => {}
    }
    value
}

pub(super) async fn faults(State(controlled): State<Controlled>) -> Json<Value> {
    let begun = controlled.dns_faults.lock();
    let faults = begun.faults.iter();
    Json(
        faults
            .map(|(number, (fault, _))| shown(*number, fault))
            .collect(),
    )
}

pub(super) async fn break_dns(State(controlled): State<Controlled>, body: Body) -> Created {
    let fault = read::<Wish>(body)?.fault()?;
    let mut begun = controlled.dns_faults.lock();
    begun.last += 1;
    let number = begun.last;
    let value = shown(number, &fault);
    let guard = controlled.cluster.break_dns(fault.clone());
    begun.faults.insert(number, (fault, guard));
    Ok((StatusCode::CREATED, Json(value)))
}

pub(super) async fn mend_dns(
    State(controlled): State<Controlled>,
    Path(number): Path<String>,
) -> Answer {
    let mut begun = controlled.dns_faults.lock();
    let removed = number
        .parse()
        .ok()
        .and_then(|number: u64| begun.faults.remove(&number));
    match removed {
        Some(_) => Ok(Json(json!({}))),
        None => Err(Refused::new(
            StatusCode::NOT_FOUND,
            format!("there is no DNS fault `{number}`"),
            "see GET /api/dns/faults for those in force",
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    name: String,
    kind: Option<String>,
    members: Option<Vec<String>>,
    excluded: Option<Vec<String>>,
}

pub(super) async fn add_endpoint(State(controlled): State<Controlled>, body: Body) -> Created {
    let wish: Endpoint = read(body)?;
    let kind = match wish.kind.as_deref() {
        None | Some("any") => CustomEndpointKind::Any,
        Some("reader") => CustomEndpointKind::Reader,
        Some("writer") => CustomEndpointKind::Writer,
        Some(other) => {
            return Err(unfit(format!(
                "the kind `{other}`: use `any`, `reader` or `writer`"
            )));
        }
    };
    let members = match (wish.members, wish.excluded) {
        (Some(members), None) => CustomEndpointMembers::fixed(members),
        (None, Some(excluded)) => CustomEndpointMembers::all_except(excluded),
        (None, None) => CustomEndpointMembers::all_except(Vec::<String>::new()),
        (Some(_), Some(_)) => {
            return Err(unfit("`members` and `excluded` together: name one of them"));
        }
    };
    let host = controlled
        .cluster
        .custom_endpoint(&wish.name, kind, members)?;
    Ok((
        StatusCode::CREATED,
        Json(json!({"name": wish.name, "host": host})),
    ))
}

pub(super) async fn remove_endpoint(
    State(controlled): State<Controlled>,
    Path(name): Path<String>,
) -> Answer {
    controlled.cluster.remove_custom_endpoint(&name)?;
    Ok(Json(json!({})))
}
