//! Whom a step means: names that depend on the moment.

use std::net::Ipv4Addr;

use crate::id::InstanceId;
use crate::sim::cluster::shell::Shared;
use crate::sim::cluster::{ClusterState, SimError};

/// Resolves names against the cluster as it is now.
pub(super) struct Names<'a> {
    shared: &'a Shared,
    state: ClusterState,
    former_writer: Option<InstanceId>,
}

impl<'a> Names<'a> {
    pub(super) fn now(shared: &'a Shared) -> Self {
        let machines = shared.machines();
        Self {
            shared,
            state: shared.snapshot(&machines),
            former_writer: machines.former_writer().cloned(),
        }
    }

    /// An instance by its identifier, or by what it is now. An identifier that nobody has is left
    /// to whoever is asked to do something with it.
    pub(super) fn instance(&self, name: &str) -> Result<InstanceId, SimError> {
        if self.state.instance(name).is_some() {
            return Ok(name.into());
        }
        if let Some(number) = name.strip_prefix("reader-")
            && let Ok(number) = number.parse::<usize>()
        {
            let mut readers = self.state.readers();
            let found = number.checked_sub(1).and_then(|skip| readers.nth(skip));
            let count = self.state.readers().count();
            return found.map(|reader| reader.id.clone()).ok_or_else(|| {
                let message = format!("there is no `{name}`: {count} readers are up");
                SimError::Refused(message)
            });
        }
        match name {
            "writer" => self.state.writer.clone().ok_or_else(|| {
                let message = "there is no writer now: let the step be later";
                SimError::Refused(message.into())
            }),
            "old-writer" => self.former_writer.clone().ok_or_else(|| {
                let message = "there is no `old-writer`: nobody has been promoted yet";
                SimError::Refused(message.into())
            }),
            _ => Ok(name.into()),
        }
    }

    pub(super) fn instances(&self, names: &[String]) -> Result<Vec<InstanceId>, SimError> {
        names.iter().map(|name| self.instance(name)).collect()
    }

    /// A host name: an endpoint, a name with a dot as it stands, or an instance's.
    pub(super) fn host(&self, name: &str) -> Result<String, SimError> {
        let names = &self.shared.names;
        match name {
            "cluster-endpoint" => Ok(names.cluster_endpoint()),
            "reader-endpoint" => Ok(names.reader_endpoint()),
            _ if name.contains('.') => Ok(name.to_owned()),
            _ => Ok(names.instance_endpoint(&self.instance(name)?)),
        }
    }

    /// An IPv4 address as it stands, or an instance's.
    pub(super) fn address(&self, text: &str) -> Result<Ipv4Addr, SimError> {
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let id = self.instance(text)?;
        let address = self.shared.machines().addresses.of(&id);
        address.ok_or_else(|| {
            let message = format!("`{text}` is neither an IPv4 address nor an instance");
            SimError::Refused(message)
        })
    }
}
