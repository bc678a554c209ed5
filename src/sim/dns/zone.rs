//! The names of one cluster, and what each query is answered with.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_server::proto::op::ResponseCode;
use hickory_server::proto::rr::rdata::{A, CNAME, SOA};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};

use super::custom::CustomEndpoint;
use super::fault::Faults;
use super::{CUSTOM_ENDPOINTS_MAX, CustomEndpointKind, CustomEndpointMembers};
use crate::id::InstanceId;
use crate::sim::cluster::Names;
use crate::sim::world::Records;

/// Aurora's records live for five seconds (Aurora MySQL Database Administrator's Handbook, "DNS
/// caching").
const TTL_SECONDS: u32 = 5;

/// How long a resolver may remember that a name does not exist.
const NEGATIVE_TTL_SECONDS: u32 = 1;

/// No TTL is longer (RFC 2181, section 8).
const TTL_SECONDS_MAX: u32 = i32::MAX as u32;

/// The names of one cluster and what they stand for at the moment.
#[derive(Debug)]
pub(crate) struct Zone {
    names: Names,
    origin: Name,
    cluster: Name,
    reader: Name,
    instances: BTreeMap<Name, (InstanceId, Ipv4Addr)>,
    custom: BTreeMap<Name, CustomEndpoint>,
    records: Records,
    /// The names whose TTL is not the usual one.
    ttls: BTreeMap<Name, u32>,
    turn: AtomicUsize,
    pub(super) faults: Faults,
}

/// What a query is answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) code: ResponseCode,
    pub(super) records: Vec<Record>,
    /// Present when there is nothing to tell (RFC 2308, section 3).
    pub(super) authority: Option<Record>,
}

impl Answer {
    /// An answer that is no more than its code.
    pub(super) fn bare(code: ResponseCode) -> Self {
        Self {
            code,
            records: Vec::new(),
            authority: None,
        }
    }
}

/// Why a name cannot be what it was to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("`{name}` is not a DNS name: {cause}")]
    Invalid { name: String, cause: String },
    #[error("no name of the cluster is `{0}`: give one of those in `dns_answers`")]
    Unknown(String),
    #[error("there is a custom endpoint `{0}` already: choose another name")]
    Taken(String),
    #[error(
        "a cluster has at most {CUSTOM_ENDPOINTS_MAX} custom endpoints: remove one of them first"
    )]
    TooMany,
}

impl Zone {
    /// A zone for the cluster's names, still without instances.
    pub(crate) fn new(names: &Names) -> Result<Self, NameError> {
        Ok(Self {
            origin: absolute(names.zone())?,
            cluster: absolute(&names.cluster_endpoint())?,
            reader: absolute(&names.reader_endpoint())?,
            names: names.clone(),
            instances: BTreeMap::new(),
            custom: BTreeMap::new(),
            records: Records::default(),
            ttls: BTreeMap::new(),
            turn: AtomicUsize::new(0),
            faults: Faults::default(),
        })
    }

    /// Takes over new records. An instance without an address gets no name.
    pub(crate) fn update(
        &mut self,
        records: &Records,
        address: impl Fn(&InstanceId) -> Option<Ipv4Addr>,
    ) -> Result<(), NameError> {
        let mut instances = BTreeMap::new();
        for id in &records.instances {
            if let Some(address) = address(id) {
                let name = absolute(&self.names.instance_endpoint(id))?;
                instances.insert(name, (id.clone(), address));
            }
        }
        self.instances = instances;
        self.records = records.clone();
        Ok(())
    }

    /// Adds a custom endpoint and returns its host name.
    pub(crate) fn add_custom(
        &mut self,
        label: &str,
        kind: CustomEndpointKind,
        members: CustomEndpointMembers,
    ) -> Result<String, NameError> {
        let host = self.names.custom_endpoint(label);
        let name = absolute(&host)?;
        if self.custom.contains_key(&name) {
            return Err(NameError::Taken(label.to_owned()));
        }
        if self.custom.len() == CUSTOM_ENDPOINTS_MAX {
            return Err(NameError::TooMany);
        }
        self.custom.insert(name, CustomEndpoint::new(kind, members));
        Ok(host)
    }

    /// Deletes a custom endpoint.
    pub(crate) fn remove_custom(&mut self, label: &str) -> Result<(), NameError> {
        let name = absolute(&self.names.custom_endpoint(label))?;
        match self.custom.remove(&name) {
            Some(_) => Ok(()),
            None => Err(NameError::Unknown(label.to_owned())),
        }
    }

    /// Lets resolvers remember one name's record for so long, in whole seconds.
    pub(crate) fn set_ttl(&mut self, host: &str, ttl: Duration) -> Result<(), NameError> {
        let name = absolute(host.trim_end_matches('.'))?;
        if !self.all_names().any(|known| *known == name) {
            return Err(NameError::Unknown(host.to_owned()));
        }
        let seconds = u32::try_from(ttl.as_secs()).unwrap_or(TTL_SECONDS_MAX);
        self.ttls.insert(name, seconds.min(TTL_SECONDS_MAX));
        Ok(())
    }

    /// Answers a query.
    pub(crate) fn answer(&self, name: &Name, kind: RecordType) -> Answer {
        let name = name.to_lowercase();
        if let Some(address) = self.faults.lie_about(&name.to_ascii()) {
            return self.found(self.address_records(&name, address, kind));
        }
        if !self.origin.zone_of(&name) {
            return Answer::bare(ResponseCode::Refused);
        }
        if let Some((_, address)) = self.instances.get(&name) {
            return self.found(self.address_records(&name, *address, kind));
        }
        let target = if name == self.cluster {
            self.records.writer.as_ref()
        } else if name == self.reader {
            self.reader_of(self.turn.fetch_add(1, Ordering::Relaxed))
        } else if let Some(custom) = self.custom.get(&name) {
            custom.take_turn(&self.records)
        } else if name == self.origin {
            None
        } else {
            return self.missing();
        };
        self.found(self.alias_records(&name, target, kind))
    }

    /// There is no such name.
    pub(super) fn missing(&self) -> Answer {
        Answer {
            code: ResponseCode::NXDomain,
            records: Vec::new(),
            authority: Some(self.start_of_authority()),
        }
    }

    /// All names that exist, those of endpoints first.
    pub(super) fn all_names(&self) -> impl Iterator<Item = &Name> {
        [&self.cluster, &self.reader]
            .into_iter()
            .chain(self.custom.keys())
            .chain(self.instances.keys())
    }

    /// The instance that a name leads to, with nobody's turn passing.
    pub(super) fn current_target(&self, name: &Name) -> Option<&InstanceId> {
        if *name == self.cluster {
            self.records.writer.as_ref()
        } else if *name == self.reader {
            self.reader_of(self.turn.load(Ordering::Relaxed))
        } else {
            self.custom.get(name)?.current(&self.records)
        }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn address_of(&self, name: &Name) -> Option<Ipv4Addr> {
        self.instances.get(name).map(|(_, address)| *address)
    }

    pub(super) fn address_of_instance(&self, id: &InstanceId) -> Option<Ipv4Addr> {
        let mut all = self.instances.values();
        all.find(|(known, _)| known == id)
            .map(|(_, address)| *address)
    }

    pub(super) fn ttl(&self, name: &Name) -> u32 {
        self.ttls.get(name).copied().unwrap_or(TTL_SECONDS)
    }

    fn found(&self, records: Vec<Record>) -> Answer {
        Answer {
            code: ResponseCode::NoError,
            authority: records.is_empty().then(|| self.start_of_authority()),
            records,
        }
    }

    /// An alias and, unless the alias itself was asked for (RFC 1034, section 3.6.2), the address
    /// behind it. An alias that leads nowhere is no alias.
    fn alias_records(
        &self,
        name: &Name,
        target: Option<&InstanceId>,
        kind: RecordType,
    ) -> Vec<Record> {
        let instance = target.map(|id| absolute(&self.names.instance_endpoint(id)));
        let Some(Ok(target)) = instance else {
            return Vec::new();
        };
        let cname = RData::CNAME(CNAME(target.clone()));
        let mut records = vec![Record::from_rdata(name.clone(), self.ttl(name), cname)];
        if let Some(address) = self.address_of(&target)
            && kind != RecordType::CNAME
        {
            records.extend(self.address_records(&target, address, kind));
        }
        records
    }

    fn address_records(&self, name: &Name, address: Ipv4Addr, kind: RecordType) -> Vec<Record> {
        match kind {
            RecordType::A | RecordType::ANY => {
                let data = RData::A(A(address));
                vec![Record::from_rdata(name.clone(), self.ttl(name), data)]
            }
            _ => Vec::new(),
        }
    }

    /// Each reader in turn; the writer if there is none.
    fn reader_of(&self, turn: usize) -> Option<&InstanceId> {
        let readers = &self.records.readers;
        match turn.checked_rem(readers.len()) {
            Some(place) => readers.get(place),
            None => self.records.writer.as_ref(),
        }
    }

    fn start_of_authority(&self) -> Record {
        let data = SOA::new(
            self.origin.clone(),
            self.origin.clone(),
            1,
            7200,
            900,
            1_209_600,
            NEGATIVE_TTL_SECONDS,
        );
        Record::from_rdata(self.origin.clone(), NEGATIVE_TTL_SECONDS, RData::SOA(data))
    }
}

fn absolute(name: &str) -> Result<Name, NameError> {
    Name::from_str(&format!("{name}."))
        .map(|name| name.to_lowercase())
        .map_err(|error| NameError::Invalid {
            name: name.to_owned(),
            cause: error.to_string(),
        })
}
