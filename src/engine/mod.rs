//! What differs between databases: connecting, asking an instance about the cluster, and the
//! meaning of errors.
//!
//! Which instance to use, and when, is decided elsewhere; here is only *how*.

mod faults;
#[cfg(test)]
mod fixtures;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod pulse;
pub(crate) mod record;
pub(crate) mod reporter;
mod residue;
mod socket;
mod statement;
pub(crate) mod tls;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::id::{EngineKind, InstanceId};
use crate::observe::site::Site;
use crate::resolve::{Lookup, Resolver};
use crate::task::Spawner;
use crate::time::Instant;
use crate::topology::observation::{Fault, Row};
use record::Record;
use reporter::Reporter;
use tls::Tls;

/// A database engine: [`Postgres`](crate::Postgres) or [`MySql`](crate::MySql), or in tests the
/// simulator's `sim::direct::Direct`.
///
/// It cannot be implemented outside this crate.
pub trait Engine: Backend {}

/// The inside of [`Engine`]; unnameable for users, so that it can change.
pub trait Backend: std::fmt::Debug + Send + Sync + 'static {
    /// Which engine it is.
    const KIND: EngineKind;

    /// One native connection together with what is known of its state.
    type Client: Send + std::fmt::Debug + 'static;

    /// An open transaction on it.
    type Transaction<'a>: Send;

    /// Opens a transaction, which stays open when the value is dropped. After an error nothing
    /// has been changed.
    fn begin(
        client: &mut Self::Client,
    ) -> impl Future<Output = Result<Self::Transaction<'_>, Error>> + Send;

    /// Commits what [`begin`](Self::begin) opened.
    fn commit(client: &mut Self::Client) -> impl Future<Output = Result<(), Error>> + Send;

    /// Forgets what was done on the connection so far.
    fn begin_record(client: &mut Self::Client);

    /// What was done on it since.
    fn record(client: &Self::Client) -> Record;

    /// From now on the connection's statements are told of there.
    fn observe(_client: &mut Self::Client, _site: &Arc<Site>) {}

    /// Whoever uses the connection now had waited so long for it.
    fn waited(_client: &mut Self::Client, _span: Duration) {}

    /// Where a host name leads, best first; by DNS unless the backend knows its names itself.
    fn resolve(
        resolver: &Resolver,
        host: &str,
    ) -> impl Future<Output = Result<Arc<[IpAddr]>, Error>> + Send {
        async move { Ok(resolver.lookup(host).await?.addresses) }
    }

    /// What a name that leads to one instance after another leads to now, never mind what it led
    /// to before, and for how long a cache may go on saying so.
    fn resolve_anew(
        resolver: &Resolver,
        host: &str,
    ) -> impl Future<Output = Result<(Lookup, Duration), Error>> + Send {
        resolver.ask_anew(host)
    }

    /// Opens a connection and logs in. Dropping the future closes the socket.
    fn connect(dial: Dial) -> impl Future<Output = Result<Self::Client, Failure>> + Send;

    /// Asks the instance who and what it is, and for its copy of the replica-status table.
    fn survey(client: &mut Self::Client) -> impl Future<Output = Result<Survey, Failure>> + Send;

    /// Asks for a sign of life; as cheap as the protocol allows.
    fn ping(client: &mut Self::Client) -> impl Future<Output = Result<(), Failure>> + Send;

    /// What can be done with the connection when its user is finished with it. No I/O.
    fn condition(client: &Self::Client) -> Condition;

    /// Rolls back what is open, so that the connection can be shared again.
    fn clean(client: &mut Self::Client) -> impl Future<Output = Result<(), Failure>> + Send;

    /// What somebody who keeps the connection must know of its session. No I/O.
    #[cfg(feature = "router")]
    fn standing(client: &Self::Client) -> Standing {
        let condition = Self::condition(client);
        Standing {
            is_over: condition == Condition::Broken,
            in_transaction: Some(condition == Condition::Unclean),
            may_hold_state: condition == Condition::Unclean,
        }
    }

    /// Ends a transaction that was left open, and leaves the rest of the session as it is.
    #[cfg(feature = "router")]
    fn roll_back(client: &mut Self::Client) -> impl Future<Output = Result<(), Error>> + Send {
        async { Self::clean(client).await.map_err(|failure| failure.error) }
    }

    /// Forgets the id that was generated last, which may be of the connection's earlier user, where
    /// the server would answer with it (MySQL).
    #[cfg(feature = "router")]
    fn forget_id(_client: &mut Self::Client) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Whether it knows of a generated id, or refuses to answer where it does not.
    #[cfg(feature = "router")]
    fn knows_id(_client: &mut Self::Client) -> impl Future<Output = Result<bool, Error>> + Send {
        async { Ok(true) }
    }

    /// The connection's line to the monitor.
    fn reporter(client: &Self::Client) -> &Reporter;

    /// Closes at once, whatever is under way; nothing lingers.
    fn kill(client: Self::Client);
}

/// All that is needed to open one connection.
#[derive(Debug, Clone)]
pub struct Dial {
    pub(crate) config: Arc<Config>,
    pub(crate) tls: Tls,
    /// The name, for TLS, logs and credentials.
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// Where the name leads, best first.
    pub(crate) addresses: Arc<[IpAddr]>,
    /// Where the connection's own news go, and what ends it from outside.
    pub(crate) reporter: Reporter,
    pub(crate) spawner: Spawner,
    #[cfg_attr(
        not(feature = "sim"),
        expect(dead_code, reason = "for the simulator's books")
    )]
    pub(crate) purpose: Purpose,
    /// By when the connection must be there.
    pub(crate) deadline: Instant,
}

/// Who wants a connection: the engines make no difference, the simulator's books do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The monitor, which asks.
    Monitor,
    /// A pool, for whoever calls.
    Pool,
}

/// An instance's answer to "who are you, and who else is there?".
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// By its own word; nothing where the server has no word for it, nor for the others: one
    /// without Aurora's tables.
    pub(crate) identity: Option<InstanceId>,
    pub(crate) is_writer: bool,
    pub(crate) server_now_micros: i64,
    pub(crate) rows: Vec<Row>,
}

/// What somebody who keeps a connection must know of its session.
#[cfg(feature = "router")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// It takes no more calls.
    pub(crate) is_over: bool,
    /// Whether a transaction is open, by the server's last word; `None` where that is not known.
    pub(crate) in_transaction: Option<bool>,
    /// Something may be left in it, by the texts and the answers that passed.
    pub(crate) may_hold_state: bool,
}

/// An error together with what it means for the topology.
#[derive(Debug)]
pub struct Failure {
    pub(crate) fault: Fault,
    pub(crate) error: Error,
}

impl Failure {
    /// An operation that ran into its deadline.
    pub(crate) fn timed_out(what: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self {
            fault: Fault::TimedOut,
            error: Error::new(ErrorKind::Timeout, what),
        }
    }
}

/// What can be done with a connection after use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Closed, poisoned by a cancelled call, or on an instance that changed: throw it away.
    Broken,
    /// It can be shared again as it is.
    Clean,
    /// A transaction is open, or may be, or rows are left to read: roll back first.
    Unclean,
}
