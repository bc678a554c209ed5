//! What observing a statement takes, without a database: for `benches/observe`.

use std::sync::Arc;

use super::Statements;
use crate::engine::postgres::link::Link;
use crate::engine::reporter::Reporter;
use crate::id::{EngineKind, InstanceId, Role};
use crate::observe::Insights;
use crate::observe::meters::HandleMeters;
use crate::observe::settings::Observe;
use crate::observe::site::{Observer, Site};

/// A connection without a server. No part of the public interface.
#[derive(Debug)]
pub struct Rehearsal {
    statements: Statements,
    site: Arc<Site>,
}

impl Rehearsal {
    /// Of a connection that is observed so.
    pub fn new(settings: &Observe) -> Self {
        let (engine, metrics) = (EngineKind::Postgres, settings.metrics);
        let meters = HandleMeters::new(metrics, engine, "rehearsal");
        let observer = Arc::new(Observer::new(settings, engine, None, None, meters));
        let place = ("127.0.0.1".to_owned(), 5432);
        let site = Arc::new(Site::new(observer, InstanceId::new("rehearsal"), place));
        site.serves_as(Role::Writer);
        let link = Arc::new(Link::new(Reporter::silent()));
        link.observe(&site);
        Self {
            statements: Statements::new(link),
            site,
        }
    }

    /// What was counted.
    pub fn insights(&self) -> Insights {
        self.site.observer().insights()
    }

    /// The messages that prepare a statement under a name.
    pub fn prepare(&mut self, name: &str, text: &str) {
        let parse = [name, text, "\0"].join("\0");
        self.sent(&[(b'P', parse.as_bytes()), (b'D', b"S\0"), (b'S', b"")]);
        self.received(&[(b'1', b""), (b't', b""), (b'T', b""), (b'Z', b"I")]);
    }

    /// The messages of a run of the prepared statement that this `Bind` names.
    pub fn execute(&mut self, bind: &[u8]) {
        self.sent(&[(b'B', bind), (b'E', b"\0\0\0\0\0"), (b'S', b"")]);
        self.received(&[
            (b'2', b""),
            (b'D', b""),
            (b'C', b"SELECT 1\0"),
            (b'Z', b"I"),
        ]);
    }

    /// The messages of a run in the simple protocol; the text ends with a zero byte.
    pub fn query(&mut self, text: &[u8]) {
        self.sent(&[(b'Q', text)]);
        self.received(&[
            (b'T', b""),
            (b'D', b""),
            (b'C', b"SELECT 1\0"),
            (b'Z', b"I"),
        ]);
    }

    fn sent(&mut self, messages: &[(u8, &[u8])]) {
        self.statements.forget_time();
        for (kind, body) in messages {
            self.statements.sent(*kind, body, true);
        }
    }

    fn received(&mut self, messages: &[(u8, &[u8])]) {
        self.statements.forget_time();
        for (kind, body) in messages {
            self.statements.received(*kind, body);
        }
    }
}
