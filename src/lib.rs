#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(all(feature = "postgres", feature = "mysql")),
    allow(dead_code, reason = "some parts serve one engine only")
)]

mod cluster;
pub mod config;
mod engine;
mod error;
mod event;
mod id;
pub mod observe;
mod pool;
mod resolve;
mod rng;
mod routing;
mod task;
mod time;
mod topology;

#[cfg(feature = "sim")]
pub mod sim;

pub use cluster::{CloseReport, Cluster, PoolStatus};
pub use config::Config;
pub use engine::Engine;
#[cfg(feature = "mysql")]
pub use engine::mysql::MySql;
#[cfg(feature = "postgres")]
pub use engine::postgres::Postgres;
pub use error::{Error, ErrorKind, Outcome, Result, ServerCode};
pub use event::{Event, EventKind, Events};
pub use id::{EngineKind, Epoch, Generation, InstanceId};
pub use pool::lease::Connection;
pub use topology::{Health, Instance, Phase, Role, Topology};

/// Sessions that send each statement to a reader or to the writer by its text:
/// [`Cluster::routed`].
#[cfg(feature = "router")]
pub mod router {
    pub use crate::cluster::routed::{Decision, Session, Target, pure_functions};
}

/// Where requests go, and why: what [`Cluster::explain`] answers.
pub mod route {
    pub use crate::routing::explain::{Candidate, Explanation, Intent, Reason};
}

/// What the host names of RDS say.
pub mod endpoint {
    pub use crate::resolve::{Endpoint, EndpointKind, InstancePattern};
}

/// What is particular to MySQL.
#[cfg(feature = "mysql")]
pub mod mysql {
    pub use crate::engine::mysql::{Client, StatementText, Transaction};
    /// The client library itself, in the version that the connections are of.
    pub use mysql_async;
}

/// What is particular to PostgreSQL.
#[cfg(feature = "postgres")]
pub mod postgres {
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub use crate::engine::postgres::Rehearsal;
    pub use crate::engine::postgres::{Client, StatementText, Transaction};
    /// The client library itself, in the version that the connections are of.
    pub use tokio_postgres;
}
