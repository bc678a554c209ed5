//! Runs `fixtures/topology/*.json` against [`apply`]; the format is in the README beside them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::apply::{Effect, apply};
use super::observation::{Fault, Observation, Report, Row, Way};
use super::snapshot::{Health, Instance, Listing, Phase, Topology};
use crate::event::EventKind;
use crate::id::{Generation, InstanceId, Role};
use crate::time::Instant;

/// Any moment will do; this one has microseconds to spare on both sides.
const SERVER_EPOCH_MICROS: i64 = 1_764_000_000_000_000;

/// A live row is rewritten about once a second.
const LIVE_ROW_AGE_MS: i64 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    description: String,
    #[serde(default)]
    tables: BTreeMap<String, Vec<RowSpec>>,
    phases: Vec<PhaseSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhaseSpec {
    at_ms: u64,
    #[serde(default)]
    observe: Vec<News>,
    outcome: Outcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum News {
    Report(ReportSpec),
    Silence(SilenceSpec),
    Trouble(TroubleSpec),
    Tick,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportSpec {
    from: String,
    asked_ms: Option<u64>,
    is_writer: bool,
    #[serde(default)]
    standing_connection_lost: bool,
    #[serde(default)]
    over_a_new_connection: bool,
    rows: Rows,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rows {
    Named(String),
    Given(Vec<RowSpec>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowSpec {
    id: String,
    #[serde(default)]
    writer: bool,
    #[serde(default, deserialize_with = "asserted")]
    age_ms: Option<Option<i64>>,
    lag_ms: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SilenceSpec {
    instance: String,
    fault: FaultSpec,
    asked_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TroubleSpec {
    instance: String,
    generation: u64,
    fault: FaultSpec,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case", remote = "Fault")]
enum FaultName {
    ReadOnly,
    Terminated,
    Crashed,
    Starting,
    Refused,
    Lost,
    TimedOut,
    Unresolved,
    Full,
    LoginRefused,
    Other,
}

#[derive(Deserialize, Clone, Copy)]
struct FaultSpec(#[serde(with = "FaultName")] Fault);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    #[serde(default, deserialize_with = "asserted")]
    writer: Option<Option<String>>,
    phase: Option<String>,
    epoch: Option<u64>,
    instances: Option<BTreeMap<String, InstanceSpec>>,
    readers: Option<Vec<String>>,
    effects: Option<Vec<String>>,
    events: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceSpec {
    role: Option<String>,
    health: Option<String>,
    generation: Option<u64>,
    listing: Option<String>,
    #[serde(default, deserialize_with = "asserted")]
    lag_ms: Option<Option<f64>>,
    serves_reads: Option<bool>,
}

/// Tells a key that is `null` (asserted to be none) from one that is absent (not asserted).
fn asserted<'de, D, T>(value: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(value).map(Some)
}

#[test]
fn every_topology_fixture_holds() {
    let only = std::env::var("FIXTURE").ok();
    let (mut files, mut failures) = (0, Vec::new());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/topology");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        if !is_json || only.as_ref().is_some_and(|only| *only != stem) {
            continue;
        }
        let fixture: Fixture = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{stem}: {error}"));
        if let Err(failure) = run(&fixture) {
            failures.push(format!("{stem} ({}): {failure}", fixture.description));
        }
        files += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    match only {
        Some(only) => assert_eq!(files, 1, "there is one fixture called {only}"),
        None => assert!(files >= 30, "{files} fixtures were found"),
    }
}

fn run(fixture: &Fixture) -> Result<(), String> {
    let start = crate::time::now();
    let mut topology = Topology::empty();
    let mut reached = 0;
    for phase in &fixture.phases {
        if phase.at_ms < reached {
            return Err(format!("at {} ms: time goes back", phase.at_ms));
        }
        reached = phase.at_ms;
        let now = start + Duration::from_millis(phase.at_ms);
        let mut effects = Vec::new();
        for (position, news) in phase.observe.iter().enumerate() {
            let place = |failure| format!("at {} ms, news {position}: {failure}", phase.at_ms);
            let observation = observation(news, fixture, start, phase.at_ms).map_err(place)?;
            let step = apply(&topology, &observation, now);
            let again = apply(&step.next, &observation, now).next;
            if again != step.next {
                let failure = format!(
                    "it changes something the second time:\n{:#?}\n{again:#?}",
                    step.next
                );
                return Err(place(failure));
            }
            topology = step.next;
            effects.extend(step.effects);
        }
        check(&phase.outcome, &topology, &effects)
            .map_err(|failure| format!("at {} ms: {failure}\n  {topology}", phase.at_ms))?;
    }
    Ok(())
}

fn observation(
    news: &News,
    fixture: &Fixture,
    start: Instant,
    at_ms: u64,
) -> Result<Observation, String> {
    let moment = |ms: Option<u64>| start + Duration::from_millis(ms.unwrap_or(at_ms));
    Ok(match news {
        News::Report(report) => {
            let rows = match &report.rows {
                Rows::Given(rows) => rows,
                Rows::Named(name) => fixture
                    .tables
                    .get(name)
                    .ok_or_else(|| format!("there is no table called {name}"))?,
            };
            let server_now_micros = SERVER_EPOCH_MICROS
                + i64::try_from(at_ms).map_err(|error| error.to_string())? * 1_000;
            Observation::Report(Report {
                identity: InstanceId::new(&report.from),
                asked_at: moment(report.asked_ms),
                is_writer: report.is_writer,
                server_now_micros,
                way: match (
                    report.standing_connection_lost,
                    report.over_a_new_connection,
                ) {
                    (true, _) => Way::AfterLoss,
                    (false, true) => Way::New,
                    (false, false) => Way::Standing,
                },
                rows: rows.iter().map(|row| row.at(server_now_micros)).collect(),
            })
        }
        News::Silence(silence) => Observation::Silence {
            instance: InstanceId::new(&silence.instance),
            fault: silence.fault.0,
            asked_at: moment(silence.asked_ms),
        },
        News::Trouble(trouble) => Observation::Trouble {
            instance: InstanceId::new(&trouble.instance),
            generation: Generation(trouble.generation),
            fault: trouble.fault.0,
        },
        News::Tick => Observation::Tick,
    })
}

impl RowSpec {
    fn at(&self, server_now_micros: i64) -> Row {
        let age_ms = self.age_ms.unwrap_or(Some(LIVE_ROW_AGE_MS));
        Row {
            id: InstanceId::new(&self.id),
            is_writer: self.writer,
            updated_micros: age_ms.map(|age| server_now_micros - age * 1_000),
            lag_millis: self.lag_ms,
        }
    }
}

fn check(expected: &Outcome, topology: &Topology, effects: &[Effect]) -> Result<(), String> {
    let name = |instance: &Instance| instance.id().to_string();
    same("writer", &expected.writer, topology.writer().map(name))?;
    same("phase", &expected.phase, phase(topology.phase()).to_owned())?;
    same("epoch", &expected.epoch, topology.epoch().0)?;
    same(
        "readers",
        &expected.readers,
        topology.readers().map(name).collect(),
    )?;
    let told: Vec<String> = effects.iter().filter_map(event).collect();
    same("events", &expected.events, told)?;
    same(
        "effects",
        &expected.effects,
        effects.iter().map(effect).collect(),
    )?;
    let Some(instances) = &expected.instances else {
        return Ok(());
    };
    let known: Vec<String> = topology.instances().map(name).collect();
    same(
        "instances",
        &Some(instances.keys().cloned().collect()),
        known,
    )?;
    for (id, expected) in instances {
        let id = InstanceId::new(id);
        let found = topology.instance(&id).ok_or("it has just been there")?;
        check_instance(expected, found).map_err(|failure| format!("{id}: {failure}"))?;
    }
    Ok(())
}

fn check_instance(expected: &InstanceSpec, found: &Instance) -> Result<(), String> {
    same("role", &expected.role, role(found.role()).to_owned())?;
    same(
        "health",
        &expected.health,
        health(found.health()).to_owned(),
    )?;
    same("generation", &expected.generation, found.generation().0)?;
    same(
        "listing",
        &expected.listing,
        listing(found.listing).to_owned(),
    )?;
    same("serves_reads", &expected.serves_reads, found.serves_reads())?;
    let lag_ms = found.lag().map(|lag| lag.as_secs_f64() * 1_000.0);
    same("lag_ms", &expected.lag_ms, lag_ms)
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &Option<T>,
    found: T,
) -> Result<(), String> {
    match expected {
        Some(expected) if *expected != found => {
            Err(format!("{what} is {found:?}, expected {expected:?}"))
        }
        _ => Ok(()),
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Discovering => "discovering",
        Phase::Steady => "steady",
        Phase::Reconfiguring => "reconfiguring",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Reader => "reader",
        Role::Unknown => "unknown",
        Role::Writer => "writer",
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Down => "down",
        Health::Suspect => "suspect",
        Health::Unknown => "unknown",
        Health::Up => "up",
    }
}

fn listing(listing: Listing) -> &'static str {
    match listing {
        Listing::Listed => "listed",
        Listing::Lingering(_) => "lingering",
        Listing::Missing(_) => "missing",
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Ask(instance) => format!("ask {instance}"),
        Effect::EndGeneration { instance, .. } => format!("end {instance}"),
        Effect::RetireGeneration { instance } => format!("retire {instance}"),
        Effect::Tell(kind) => describe(kind),
    }
}

fn event(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Tell(kind) => Some(describe(kind)),
        Effect::Ask(_) | Effect::EndGeneration { .. } | Effect::RetireGeneration { .. } => None,
    }
}

fn describe(event: &EventKind) -> String {
    match event {
        EventKind::InstanceAdded { instance } => format!("added {instance}"),
        EventKind::InstanceDown { instance, .. } => format!("down {instance}"),
        EventKind::InstanceRemoved { instance } => format!("removed {instance}"),
        EventKind::InstanceUp { instance } => format!("up {instance}"),
        EventKind::GenerationEnded { .. } | EventKind::WritesResumed { .. } => {
            unreachable!("the topology tells neither: {event}")
        }
        EventKind::WriterLost { instance, .. } => format!("lost {instance}"),
        EventKind::WriterSuspected { instance, .. } => format!("suspected {instance}"),
        EventKind::WriterConfirmed {
            instance,
            epoch,
            after,
        } => {
            let mut text = format!("confirmed {instance} epoch {epoch}");
            if let Some(after) = after {
                let _ = write!(text, " after {} ms", after.as_millis());
            }
            text
        }
    }
}
