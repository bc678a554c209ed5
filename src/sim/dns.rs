//! The DNS server of a simulated cluster: CNAME records that follow failovers, A records for the
//! instances.
//!
//! [`Zone`] knows the answers; [`DnsServer`] brings them to UDP and TCP. The records are those of
//! Aurora (Aurora User Guide, "Amazon Aurora connection management"): the cluster and the reader
//! endpoint are CNAMEs to one instance's name, which has an A record; the reader endpoint names
//! another reader each time it is asked for.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Header, HeaderCounts, Metadata, OpCode, ResponseCode};
use hickory_server::proto::rr::rdata::{A, CNAME, SOA};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use super::cluster::Names;
use super::world::Records;
use crate::id::InstanceId;

/// Aurora's records live for five seconds (Aurora MySQL Database Administrator's Handbook, "DNS
/// caching").
const TTL_SECONDS: u32 = 5;

/// How long a resolver may remember that a name does not exist.
const NEGATIVE_TTL_SECONDS: u32 = 1;

/// An idle TCP client is let go after this.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers queued for one TCP client.
const TCP_BUFFER: usize = 16;

/// How often a port is tried that is free for both UDP and TCP.
const BIND_ATTEMPTS: usize = 16;

/// The names of one cluster and what they stand for at the moment.
#[derive(Debug)]
pub(crate) struct Zone {
    origin: Name,
    cluster: Name,
    reader: Name,
    instances: BTreeMap<Name, Ipv4Addr>,
    writer: Option<Name>,
    readers: Vec<Name>,
    turn: AtomicUsize,
}

/// What a query is answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: ResponseCode,
    pub(crate) records: Vec<Record>,
    /// Present when there is nothing to tell (RFC 2308, section 3).
    pub(crate) authority: Option<Record>,
}

impl Zone {
    /// A zone for the cluster's names, still without instances.
    pub(crate) fn new(names: &Names) -> io::Result<Self> {
        Ok(Self {
            origin: absolute(names.zone())?,
            cluster: absolute(&names.cluster_endpoint())?,
            reader: absolute(&names.reader_endpoint())?,
            instances: BTreeMap::new(),
            writer: None,
            readers: Vec::new(),
            turn: AtomicUsize::new(0),
        })
    }

    /// Takes over new records. An instance without an address gets no name.
    pub(crate) fn update(
        &mut self,
        names: &Names,
        records: &Records,
        address: impl Fn(&InstanceId) -> Option<Ipv4Addr>,
    ) -> io::Result<()> {
        let name = |id: &InstanceId| absolute(&names.instance_endpoint(id));
        let mut instances = BTreeMap::new();
        for id in &records.instances {
            if let Some(address) = address(id) {
                instances.insert(name(id)?, address);
            }
        }
        self.writer = records.writer.as_ref().map(name).transpose()?;
        self.readers = records.readers.iter().map(name).collect::<Result<_, _>>()?;
        self.instances = instances;
        Ok(())
    }

    /// Answers a query for `name`.
    pub(crate) fn answer(&self, name: &Name, kind: RecordType) -> Answer {
        let name = name.to_lowercase();
        if !self.origin.zone_of(&name) {
            return Answer {
                code: ResponseCode::Refused,
                records: Vec::new(),
                authority: None,
            };
        }
        let target = if name == self.cluster {
            self.writer.clone()
        } else if name == self.reader {
            self.next_reader()
        } else if let Some(address) = self.instances.get(&name) {
            return self.found(self.address_records(&name, *address, kind));
        } else if name == self.origin {
            return self.found(Vec::new());
        } else {
            return Answer {
                code: ResponseCode::NXDomain,
                records: Vec::new(),
                authority: Some(self.start_of_authority()),
            };
        };
        let mut records = Vec::new();
        if let Some(target) = target {
            let cname = RData::CNAME(CNAME(target.clone()));
            records.push(Record::from_rdata(name, TTL_SECONDS, cname));
            // A query for the alias itself is not followed (RFC 1034, section 3.6.2).
            if let Some(address) = self.instances.get(&target)
                && kind != RecordType::CNAME
            {
                records.extend(self.address_records(&target, *address, kind));
            }
        }
        self.found(records)
    }

    fn found(&self, records: Vec<Record>) -> Answer {
        Answer {
            code: ResponseCode::NoError,
            authority: records.is_empty().then(|| self.start_of_authority()),
            records,
        }
    }

    fn address_records(&self, name: &Name, address: Ipv4Addr, kind: RecordType) -> Vec<Record> {
        match kind {
            RecordType::A | RecordType::ANY => {
                let data = RData::A(A(address));
                vec![Record::from_rdata(name.clone(), TTL_SECONDS, data)]
            }
            _ => Vec::new(),
        }
    }

    /// Each reader in turn; the writer if there is none.
    fn next_reader(&self) -> Option<Name> {
        if self.readers.is_empty() {
            return self.writer.clone();
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.readers.get(turn % self.readers.len()).cloned()
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

fn absolute(name: &str) -> io::Result<Name> {
    Name::from_str(&format!("{name}."))
        .map(|name| name.to_lowercase())
        .map_err(|error| {
            let message = format!("`{name}` is not a DNS name: {error}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
}

/// A zone that is served while it changes.
pub(crate) type SharedZone = Arc<RwLock<Zone>>;

/// Serves a zone on one port of 127.0.0.1, over UDP and TCP. Dropping it ends it.
pub(crate) struct DnsServer {
    server: Server<Handler>,
    address: SocketAddr,
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DnsServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl DnsServer {
    /// Binds and begins to answer.
    pub(crate) async fn start(zone: SharedZone, port: u16) -> io::Result<Self> {
        let (udp, tcp) = bind(port).await?;
        let address = udp.local_addr()?;
        let mut server = Server::new(Handler { zone });
        server.register_socket(udp);
        server.register_listener(tcp, TCP_TIMEOUT, TCP_BUFFER);
        Ok(Self { server, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers no more, and waits for its tasks to end.
    pub(crate) async fn stop(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::debug!(%error, "the simulated DNS server ended with an error");
        }
    }
}

/// A UDP socket and a TCP listener on the same port.
async fn bind(port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..BIND_ATTEMPTS {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[derive(Debug)]
struct Handler {
    zone: SharedZone,
}

impl Handler {
    fn answer(&self, request: &Request) -> Answer {
        let failed = |code| Answer {
            code,
            records: Vec::new(),
            authority: None,
        };
        if request.metadata.op_code != OpCode::Query {
            return failed(ResponseCode::NotImp);
        }
        let Ok(info) = request.request_info() else {
            return failed(ResponseCode::FormErr);
        };
        let zone = self.zone.read().unwrap_or_else(PoisonError::into_inner);
        zone.answer(info.query.original().name(), info.query.query_type())
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let answer = self.answer(request);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = answer.code != ResponseCode::Refused;
        metadata.response_code = answer.code;
        let response = MessageResponseBuilder::from_message_request(request).build(
            metadata,
            &answer.records,
            &[],
            &answer.authority,
            &[],
        );
        match response_handle.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "a DNS answer could not be sent");
                metadata.response_code = ResponseCode::ServFail;
                ResponseInfo::from(Header {
                    metadata,
                    counts: HeaderCounts::default(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
