//! Without the feature `metrics` nothing is measured for it, and nothing of it is left when
//! compiled.

use std::time::Duration;

use super::{InstanceLevels, PoolLevels, Routed};
use crate::event::{Disbelief, EventKind};
use crate::id::{EngineKind, InstanceId, Role};
use crate::time::Instant;

#[derive(Debug)]
pub(crate) struct HandleMeters;

#[derive(Debug)]
pub(crate) struct SiteMeters;

#[derive(Debug)]
pub(crate) struct HubMeters;

impl HandleMeters {
    pub(crate) fn new(_: bool, _: EngineKind, _: &str) -> Self {
        Self
    }

    pub(crate) fn of_workload(self, _: Option<&str>) -> Self {
        self
    }

    pub(crate) fn routed(&self, _: Routed) {}

    pub(crate) fn timed_out(&self, _: Role) {}

    pub(crate) fn topology_age(&self, _: Duration) {}

    pub(crate) fn instance(&self, _: &InstanceId, _: Role, _: InstanceLevels) {}

    pub(crate) fn instance_left(&self, _: &InstanceId, _: Role) {}
}

impl SiteMeters {
    pub(crate) fn are_on(&self) -> bool {
        false
    }

    pub(crate) fn new(_: &HandleMeters, _: &InstanceId) -> Self {
        Self
    }

    pub(crate) fn operation(&self, _: Role, _: Duration, _: Option<&str>) {}

    pub(crate) fn waited(&self, _: Role, _: Duration) {}

    pub(crate) fn used(&self, _: Role, _: Duration) {}

    pub(crate) fn created(&self, _: Role, _: Duration) {}

    pub(crate) fn checked(&self, _: Role, _: Duration) {}

    pub(crate) fn ended(&self, _: Role, _: &'static str) {}

    pub(crate) fn levels(&self, _: Role, _: PoolLevels) {}
}

impl HubMeters {
    pub(crate) fn new(_: bool, _: EngineKind, _: &str) -> Self {
        Self
    }

    pub(crate) fn heard(&self, _: Instant, _: &EventKind) {}

    pub(crate) fn disbelieved(&self, _: Disbelief) {}
}
