//! One step, carried out.

use std::time::Duration;

use crate::sim::cluster::SimError;
use crate::sim::cluster::shell::Shared;
use crate::sim::dns::{CustomEndpointKind, CustomEndpointMembers, DnsFault, DnsFaultGuard};
use crate::sim::fault::FaultGuard;
use crate::sim::script::{Action, BrokenDns, Fault, Kind, command, listening};

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
        if let Some(command) = command(&|name| names.instance(name), action)? {
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
