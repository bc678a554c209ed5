//! MySQL, over `mysql_async`.
//!
//! - [`client`]: [`Client`], the native connection and the state of its session.
//! - [`watch`]: watches every call on it; its guard against the answer of a cancelled call.
//! - [`phase`]: where in its life a statement is, which decides what an error leaves of it.
//! - [`queryable`]: `mysql_async`'s own query interface for it.
//! - [`statements`]: which statements are run, for whoever observes them.
//! - [`text`]: the texts of statements, where they are known.
//! - [`forward`]: the query interface for what holds a watched connection.
//! - [`transaction`]: [`Transaction`], the same for an open transaction.
//! - [`connect`]: addresses, TLS, login.
//! - [`explain`]: from `mysql_async` errors to ours.
//! - [`faults`]: what an error number means.
//! - [`survey`]: the questions about the cluster.
//!
//! `mysql_async::Pool` is not used: it knows one host, and a call cancelled on one of its
//! connections lets the next caller read the cancelled call's answer (mysql_async issue 401).

mod client;
mod connect;
mod explain;
pub(crate) mod faults;
mod forward;
mod phase;
mod queryable;
mod statements;
mod survey;
mod text;
mod transaction;
mod watch;

pub use client::Client;
pub(crate) use forward::{forward_queryable, own_exec};
pub use text::StatementText;
pub use transaction::Transaction;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "router")]
use mysql_async::Row;
use mysql_async::TxOpts;
use mysql_async::prelude::Queryable;

use super::record::Record;
use super::reporter::Reporter;
use super::{Backend, Condition, Dial, Engine, Failure, Survey};
use crate::error::Error;
use crate::id::EngineKind;
use crate::observe::site::Site;

/// The engine of Aurora MySQL.
#[derive(Debug, Clone, Copy)]
pub struct MySql;

/// Sets what `LAST_INSERT_ID()` answers, as if none had been generated (MySQL Reference Manual,
/// "Information Functions").
#[cfg(feature = "router")]
const FORGET_ID: &str = "SELECT LAST_INSERT_ID(0)";

#[cfg(feature = "router")]
const ASK_ID: &str = "SELECT LAST_INSERT_ID()";

impl Engine for MySql {}

impl Backend for MySql {
    const KIND: EngineKind = EngineKind::MySql;

    type Client = Client;

    type Transaction<'a> = Transaction<'a>;

    async fn begin(client: &mut Client) -> Result<Transaction<'_>, Error> {
        let begun = client.start_transaction(TxOpts::default()).await;
        begun.map_err(Error::from)
    }

    async fn commit(client: &mut Client) -> Result<(), Error> {
        client.query_drop("COMMIT").await.map_err(Error::from)
    }

    fn begin_record(client: &mut Client) {
        client.watch.begin_record();
    }

    fn record(client: &Client) -> Record {
        client.record()
    }

    fn observe(client: &mut Client, site: &Arc<Site>) {
        client.statements.observe(site);
    }

    fn waited(client: &mut Client, span: Duration) {
        client.statements.waited(span);
    }

    async fn connect(dial: Dial) -> Result<Client, Failure> {
        connect::connect(dial).await
    }

    async fn survey(client: &mut Client) -> Result<Survey, Failure> {
        survey::survey(client).await
    }

    async fn ping(client: &mut Client) -> Result<(), Failure> {
        client.ping().await.map_err(explain::failure)
    }

    fn condition(client: &Client) -> Condition {
        client.condition()
    }

    async fn clean(client: &mut Client) -> Result<(), Failure> {
        client.clean().await.map_err(explain::failure)
    }

    #[cfg(feature = "router")]
    fn standing(client: &Client) -> super::Standing {
        client.standing()
    }

    #[cfg(feature = "router")]
    async fn roll_back(client: &mut Client) -> Result<(), Error> {
        client.query_drop("ROLLBACK").await.map_err(Error::from)
    }

    #[cfg(feature = "router")]
    async fn forget_id(client: &mut Client) -> Result<(), Error> {
        client.query_drop(FORGET_ID).await.map_err(Error::from)
    }

    #[cfg(feature = "router")]
    async fn knows_id(client: &mut Client) -> Result<bool, Error> {
        // An answer that is no number would be a panic, were a number asked for.
        let row: Option<Row> = client.query_first(ASK_ID).await.map_err(Error::from)?;
        let id = row.and_then(|mut row| row.take_opt::<u64, _>(0)?.ok());
        Ok(id.is_some_and(|id| id != 0))
    }

    fn reporter(client: &Client) -> &Reporter {
        client.watch.reporter()
    }

    fn kill(client: Client) {
        client.kill();
    }
}
