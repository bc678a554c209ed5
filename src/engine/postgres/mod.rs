//! PostgreSQL, over `tokio-postgres`.
//!
//! - [`client`]: [`Client`], the native client with every call watched.
//! - [`transaction`]: [`Transaction`], the same for an open transaction.
//! - [`connect`]: sockets, TLS, login, and the task that drives the protocol.
//! - [`link`]: what is known of one connection's state, shared between those.
//! - [`tracker`]: reads the server's messages as they pass, for the link.
//! - [`sent`]: what is told by the messages to the server.
//! - [`read_only`]: whether a text makes its transaction READ ONLY.
//! - [`statements`]: which statements are under way, for whoever observes them.
//! - [`text`]: the texts of statements, where they are known.
//! - [`trace`]: what its statements may have left behind, by the same messages.
//! - [`faults`]: what a SQLSTATE means.
//! - [`survey`]: the questions about the cluster.

mod client;
mod connect;
mod explain;
pub(crate) mod faults;
mod link;
mod read_only;
mod sent;
mod statements;
mod survey;
mod text;
mod trace;
mod tracker;
mod transaction;

pub use client::Client;
#[cfg(feature = "sim")]
pub use statements::Rehearsal;
pub use text::StatementText;
pub use transaction::Transaction;

use std::sync::Arc;
use std::time::Duration;

use super::record::Record;
use super::reporter::Reporter;
use super::{Backend, Condition, Dial, Engine, Failure, Survey};
use crate::error::Error;
use crate::id::EngineKind;
use crate::observe::site::Site;

/// The engine of Aurora PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub struct Postgres;

impl Engine for Postgres {}

impl Backend for Postgres {
    const KIND: EngineKind = EngineKind::Postgres;

    type Client = Client;

    type Transaction<'a> = Transaction<'a>;

    async fn begin(client: &mut Client) -> Result<Transaction<'_>, Error> {
        Ok(client.transaction().await?.ended_by_owner())
    }

    async fn commit(client: &mut Client) -> Result<(), Error> {
        transaction::commit(client).await
    }

    fn begin_record(client: &mut Client) {
        client.link().trace().begin();
    }

    fn record(client: &Client) -> Record {
        client.record()
    }

    fn observe(client: &mut Client, site: &Arc<Site>) {
        client.link().observe(site);
    }

    fn waited(client: &mut Client, span: Duration) {
        client.link().waited(span);
    }

    async fn connect(dial: Dial) -> Result<Client, Failure> {
        connect::connect(dial).await
    }

    async fn survey(client: &mut Client) -> Result<Survey, Failure> {
        survey::survey(client).await
    }

    async fn ping(client: &mut Client) -> Result<(), Failure> {
        let answer = client.native().check_connection().await;
        answer.map_err(|error| client.failure(error))
    }

    fn condition(client: &Client) -> Condition {
        client.condition()
    }

    async fn clean(client: &mut Client) -> Result<(), Failure> {
        let answer = client.clean().await;
        answer.map_err(|error| client.failure(error))
    }

    #[cfg(feature = "router")]
    fn standing(client: &Client) -> super::Standing {
        client.standing()
    }

    #[cfg(feature = "router")]
    async fn roll_back(client: &mut Client) -> Result<(), Error> {
        client.batch_execute("ROLLBACK").await
    }

    fn reporter(client: &Client) -> &Reporter {
        client.link().reporter()
    }

    fn kill(client: Client) {
        // The driving task holds the socket and closes it with the client gone; ending it
        // outright spares waiting for statements that are still under way.
        client.link().abandon();
        drop(client);
    }
}
