//! The doors through which clients come in: one wire protocol each, the same world behind them.
//!
//! A front turns bytes into calls on a [`Session`](super::sql::Session) and its replies into
//! bytes. It decides nothing about roles, faults or data. Listening sockets, and when they accept,
//! are the cluster's (`sim::cluster`).

pub(crate) mod mysql;
pub(crate) mod postgres;
mod strike;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use super::fault::{Faults, Gate};
use super::host::Host;
use super::volume::Volume;

/// All that a front needs to serve one accepted socket.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) volume: Arc<Volume>,
    pub(crate) users: Arc<Users>,
    /// `None`: TLS is refused.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Nobody is let in without TLS.
    pub(crate) tls_required: bool,
    /// The engine accepts sockets but no logins yet (PostgreSQL's 57P03).
    pub(crate) starting: bool,
    /// Turns from `None` once, when this boot of the instance ends its connections.
    pub(crate) ending: watch::Receiver<Option<Ending>>,
    pub(crate) sessions: Arc<Sessions>,
    /// Who is let in.
    pub(crate) gate: Arc<Gate>,
    /// What goes wrong with single statements.
    pub(crate) faults: Arc<Faults>,
}

/// How an instance's connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A TCP reset, mid-word: the process or the host died.
    Reset,
    /// The server says goodbye (57P01, 1053) and closes: an orderly stop or a planned failover.
    Goodbye,
    /// Nothing more is read or written and nothing is closed: the host fell silent.
    Silence,
}

/// Who may log in, and to what.
#[derive(Clone)]
pub(crate) struct Users {
    /// Name to password.
    pub(crate) passwords: HashMap<String, String>,
    /// The one database of the cluster.
    pub(crate) database: String,
    /// How often a password is hashed at a login to PostgreSQL.
    pub(crate) scram_iterations: usize,
    /// What the PostgreSQL front derives from the passwords.
    verifiers: postgres::Verifiers,
}

impl Users {
    pub(crate) fn new(passwords: HashMap<String, String>, database: impl Into<String>) -> Self {
        Self {
            passwords,
            database: database.into(),
            scram_iterations: postgres::SCRAM_ITERATIONS,
            verifiers: postgres::Verifiers::default(),
        }
    }
}

/// Without the passwords.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users")
            .field("names", &self.passwords.keys())
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// The sessions of one boot, so that another connection can cancel or kill one of them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    inner: Mutex<SessionTable>,
}

#[derive(Debug, Default)]
struct SessionTable {
    last_id: u32,
    entries: HashMap<u32, SessionEntry>,
    /// The users who have logged in since the boot (MySQL's cache of password digests).
    remembered: HashSet<String>,
}

#[derive(Debug, Clone)]
struct SessionEntry {
    secret: i32,
    handle: Arc<SessionHandle>,
}

/// What another connection may do to a session.
#[derive(Debug, Default)]
pub(crate) struct SessionHandle {
    /// Ends the running statement (57014, 1317).
    pub(crate) cancel: Notify,
    /// Ends the session.
    pub(crate) kill: Notify,
}

/// Takes its session out of the table when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) id: u32,
    pub(crate) secret: i32,
    pub(crate) handle: Arc<SessionHandle>,
    sessions: Arc<Sessions>,
}

impl Sessions {
    /// Enters a session; its id is its process or connection id.
    pub(crate) fn register(self: &Arc<Self>, secret: i32) -> Registration {
        let handle = Arc::new(SessionHandle::default());
        let mut table = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        table.last_id += 1;
        let id = table.last_id;
        table.entries.insert(
            id,
            SessionEntry {
                secret,
                handle: Arc::clone(&handle),
            },
        );
        Registration {
            id,
            secret,
            handle,
            sessions: Arc::clone(self),
        }
    }

    /// The session with that id; `secret` must match where one is given.
    pub(crate) fn find(&self, id: u32, secret: Option<i32>) -> Option<Arc<SessionHandle>> {
        let table = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = table.entries.get(&id)?;
        if secret.is_some_and(|secret| secret != entry.secret) {
            return None;
        }
        Some(Arc::clone(&entry.handle))
    }

    /// Notes that a user of the cluster has logged in.
    pub(crate) fn remember(&self, user: &str) {
        let mut table = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !table.remembered.contains(user) {
            table.remembered.insert(user.to_owned());
        }
    }

    /// Whether that user has logged in since the boot.
    pub(crate) fn remembers(&self, user: &str) -> bool {
        let table = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        table.remembered.contains(user)
    }

    /// How many sessions are open.
    pub(crate) fn len(&self) -> usize {
        let table = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        table.entries.len()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut table = self
            .sessions
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.entries.remove(&self.id);
    }
}
