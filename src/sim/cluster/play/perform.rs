//! One step, carried out.

use std::time::Duration;

use crate::sim::cluster::SimError;
use crate::sim::cluster::shell::Shared;
use crate::sim::dns::{CustomEndpointKind, CustomEndpointMembers, DnsFault, DnsFaultGuard};
use crate::sim::fault::{FaultGuard, ListenerState};
use crate::sim::script::{Action, BrokenDns, Fault, Kind, Listener, View};
use crate::sim::world::{Command, ViewAnomaly};

use super::target::Names;

/// Carries out the steps of one script.
pub(super) struct Player<'a> {
    shared: &'a Shared,
    /// What the script has broken and not mended.
    broken: Vec<DnsFaultGuard>,
    faults: Vec<FaultGuard>,
}

impl<'a> Player<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            broken: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Whether a fault is in force that ends with the script.
    pub(super) fn keeps_faults(&self) -> bool {
        !self.broken.is_empty() || !self.faults.is_empty()
    }

    /// Carries out one step. A step that is refused changes nothing.
    pub(super) async fn perform(&mut self, action: &Action) -> Result<(), SimError> {
        let shared = self.shared;
        let names = Names::now(shared);
        if let Some((name, state)) = listening(action) {
            return shared.set_listener(&names.instance(name)?, state);
        }
        if let Some(command) = command(&names, action)? {
            return Ok(shared.perform(command)?);
        }
        match action {
            Action::Rename { instance, to } => {
                shared.rename(names.instance(instance)?, to.as_str().into())
            }
            Action::Backtrack { to_ms } => shared.go_back(Duration::from_millis(*to_ms)).await,
            Action::Fault { fault } => {
                let fault = fault.clone().fault();
                let fault = fault.map_err(|flaw| SimError::Refused(flaw.into()))?;
                self.faults.push(shared.faults.add(fault));
                Ok(())
            }
            Action::EndFaults {} => {
                self.faults.clear();
                Ok(())
            }
            other => self.change_dns(&names, other),
        }
    }

    fn change_dns(&mut self, names: &Names<'_>, action: &Action) -> Result<(), SimError> {
        let shared = self.shared;
        match action {
            Action::DnsTtl { name, seconds } => {
                let (host, ttl) = (names.host(name)?, Duration::from_secs(*seconds));
                shared.zone.write().set_ttl(&host, ttl)?;
            }
            Action::BreakDns(broken) => {
                let fault = dns_fault(names, broken)?;
                let guard = DnsFaultGuard::new(shared.zone.clone(), fault);
                self.broken.push(guard);
            }
            Action::MendDns {} => self.broken.clear(),
            Action::CustomEndpoint {
                name,
                kind,
                members,
                except,
            } => {
                let members = custom_members(names, members.as_deref(), except.as_deref())?;
                shared.add_custom_endpoint(name, custom_kind(*kind), members)?;
            }
            Action::RemoveCustomEndpoint { name } => shared.zone.write().remove_custom(name)?,
            // All others are carried out before.
            _ => {}
        }
        Ok(())
    }
}

/// The world's command that a step is, if it is one.
fn command(names: &Names<'_>, action: &Action) -> Result<Option<Command>, SimError> {
    let id = |name: &String| names.instance(name);
    Ok(Some(match action {
        Action::Crash { instance } => Command::Crash(id(instance)?),
        Action::Restart { instance } => Command::Restart(id(instance)?),
        Action::Failover { instance } => Command::Failover(instance.as_ref().map(id).transpose()?),
        Action::AddReader {} => Command::AddReader,
        Action::Remove { instance } => Command::Remove(id(instance)?),
        Action::ScaleOut { count } => Command::ScaleOut(*count),
        Action::ScaleIn { count } => Command::ScaleIn(*count),
        Action::Upgrade { version } => Command::Upgrade(version.clone()),
        Action::Tier { instance, tier } => Command::SetTier(id(instance)?, *tier),
        Action::Lag { instance, ms } => Command::SetLag {
            instance: id(instance)?,
            lag: Duration::from_millis(*ms),
        },
        Action::PauseReplication { instance } => Command::PauseReplication(id(instance)?),
        Action::ResumeReplication { instance } => Command::ResumeReplication(id(instance)?),
        Action::View {
            instance,
            shows,
            other,
        } => Command::SetView(id(instance)?, anomaly(names, *shows, other.as_deref())?),
        Action::ClearView { instance } => Command::ClearView(id(instance)?),
        Action::DnsFlip { ms } => Command::SetDnsFlip(Duration::from_millis(*ms)),
        _ => return Ok(None),
    }))
}

/// What a step does with an instance's connections, if that is what it is about.
fn listening(action: &Action) -> Option<(&str, ListenerState)> {
    Some(match action {
        Action::Silence { instance } => (instance, ListenerState::Silent),
        Action::Refuse { instance } => (instance, ListenerState::Refusing),
        Action::Restore { instance } => (instance, ListenerState::Normal),
        Action::Slow { instance, ms } => {
            (instance, ListenerState::Slow(Duration::from_millis(*ms)))
        }
        Action::Listener { instance, state } => {
            let state = match state {
                Listener::Draining => ListenerState::Draining,
                Listener::Full => ListenerState::Full,
                Listener::Starting => ListenerState::Starting,
            };
            (instance, state)
        }
        _ => return None,
    })
}

fn anomaly(names: &Names<'_>, shows: View, other: Option<&str>) -> Result<ViewAnomaly, SimError> {
    let other = || names.instance(other.unwrap_or_default());
    Ok(match shows {
        View::NoWriter => ViewAnomaly::NoWriter,
        View::OneRow => ViewAnomaly::OneRow,
        View::GarbageLag => ViewAnomaly::GarbageLag,
        View::ForeignRows => ViewAnomaly::ForeignRows,
        View::SecondWriter => ViewAnomaly::SecondWriter(other()?),
        View::StaleClaim => ViewAnomaly::StaleClaim(other()?),
        View::Lingering => ViewAnomaly::Lingering(other()?),
    })
}

fn dns_fault(names: &Names<'_>, broken: &BrokenDns) -> Result<DnsFault, SimError> {
    // The file's reader has seen to it that each fault has what it needs.
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Ok(match broken.fault {
        Fault::Silent => DnsFault::Silent,
        Fault::Slow => DnsFault::Slow(Duration::from_millis(broken.ms.unwrap_or_default())),
        Fault::ServFail => DnsFault::ServFail,
        Fault::NxDomain => DnsFault::NxDomain,
        Fault::Wrong => DnsFault::Wrong {
            name: names.host(&text(&broken.name))?,
            address: names.address(&text(&broken.address))?,
        },
        Fault::Truncated => DnsFault::Truncated,
    })
}

fn custom_kind(kind: Kind) -> CustomEndpointKind {
    match kind {
        Kind::Reader => CustomEndpointKind::Reader,
        Kind::Writer => CustomEndpointKind::Writer,
        Kind::Any => CustomEndpointKind::Any,
    }
}

fn custom_members(
    names: &Names<'_>,
    members: Option<&[String]>,
    except: Option<&[String]>,
) -> Result<CustomEndpointMembers, SimError> {
    Ok(match members {
        Some(members) => CustomEndpointMembers::fixed(names.instances(members)?),
        None => CustomEndpointMembers::all_except(names.instances(except.unwrap_or_default())?),
    })
}
