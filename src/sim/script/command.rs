//! What a step is to the world, given what its names mean at the moment.

use std::time::Duration;

use super::action::{Action, Listener, View};
use crate::id::InstanceId;
use crate::sim::fault::ListenerState;
use crate::sim::world::{Command, ViewAnomaly};

/// The world's command that a step is, if it is one.
pub(crate) fn command<E>(
    named: &impl Fn(&str) -> Result<InstanceId, E>,
    action: &Action,
) -> Result<Option<Command>, E> {
    let id = |name: &String| named(name);
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
        } => Command::SetView(id(instance)?, anomaly(named, *shows, other.as_deref())?),
        Action::ClearView { instance } => Command::ClearView(id(instance)?),
        Action::DnsFlip { ms } => Command::SetDnsFlip(Duration::from_millis(*ms)),
        _ => return Ok(None),
    }))
}

/// What a step does with an instance's connections, if that is what it is about.
pub(crate) fn listening(action: &Action) -> Option<(&str, ListenerState)> {
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

fn anomaly<E>(
    named: &impl Fn(&str) -> Result<InstanceId, E>,
    shows: View,
    other: Option<&str>,
) -> Result<ViewAnomaly, E> {
    let other = || named(other.unwrap_or_default());
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
