//! From a request to a response, by way of the faults.

use std::time::Duration;

use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Header, HeaderCounts, Metadata, OpCode, ResponseCode};
use hickory_server::proto::rr::{DNSClass, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::sync::Semaphore;

use super::fault::DnsFault;
use super::zone::Answer;
use super::{SharedZone, Zone};

/// Queries that wait for a slow answer; further ones are left without one, as by a resolver whose
/// queue is full.
const WAITING_MAX: usize = 1024;

/// Answers from a zone.
#[derive(Debug)]
pub(super) struct Handler {
    zone: SharedZone,
    waiting: Semaphore,
}

/// What becomes of a request.
struct Verdict {
    /// None: the request is left without a response.
    answer: Option<Answer>,
    delay: Duration,
    truncated: bool,
}

impl Handler {
    pub(super) fn new(zone: SharedZone) -> Self {
        Self {
            zone,
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    fn verdict(&self, request: &Request) -> Verdict {
        let zone = self.zone.read();
        let mut verdict = Verdict {
            answer: None,
            delay: zone.faults.delay(),
            truncated: false,
        };
        for fault in zone.faults.newest_first() {
            match fault {
                DnsFault::Silent => return verdict,
                DnsFault::ServFail => {
                    verdict.answer = Some(Answer::bare(ResponseCode::ServFail));
                    return verdict;
                }
                DnsFault::NxDomain => {
                    verdict.answer = Some(zone.missing());
                    return verdict;
                }
                DnsFault::Truncated if request.protocol() == Protocol::Udp => {
                    verdict.truncated = true;
                    verdict.answer = Some(Answer::bare(ResponseCode::NoError));
                    return verdict;
                }
                DnsFault::Truncated | DnsFault::Slow(_) | DnsFault::Wrong { .. } => {}
            }
        }
        verdict.answer = Some(answer(&zone, request));
        verdict
    }
}

fn answer(zone: &Zone, request: &Request) -> Answer {
    if request.metadata.op_code != OpCode::Query {
        return Answer::bare(ResponseCode::NotImp);
    }
    let Ok(info) = request.request_info() else {
        return Answer::bare(ResponseCode::FormErr);
    };
    let query = info.query.original();
    if !matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) {
        return Answer::bare(ResponseCode::Refused);
    }
    // A zone is not handed out as a whole (RFC 5936, section 2.2.1).
    if matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR) {
        return Answer::bare(ResponseCode::Refused);
    }
    zone.answer(query.name(), query.query_type())
}

/// What is reported for a request that got no response.
fn unanswered(mut metadata: Metadata) -> ResponseInfo {
    metadata.response_code = ResponseCode::ServFail;
    ResponseInfo::from(Header {
        metadata,
        counts: HeaderCounts::default(),
    })
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let verdict = self.verdict(request);
        let Some(answer) = verdict.answer else {
            return unanswered(metadata);
        };
        if verdict.delay > Duration::ZERO {
            let Ok(_place) = self.waiting.try_acquire() else {
                return unanswered(metadata);
            };
            tokio::time::sleep(verdict.delay).await;
        }
        metadata.truncation = verdict.truncated;
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
                unanswered(metadata)
            }
        }
    }
}
