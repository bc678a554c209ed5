//! An open transaction, with every call watched.

use mysql_async::prelude::Queryable;
use mysql_async::{Error as Native, TxOpts};

use super::client::Client;
use crate::id::InstanceId;

/// An open transaction: a `Queryable` that ends with [`commit`](Self::commit) or
/// [`rollback`](Self::rollback).
///
/// Dropped without either it is rolled back before anybody else gets the connection.
///
/// When the connection is lost in a call other than `commit`, the outcome is
/// [`Rejected`](crate::Outcome::Rejected): nothing of the transaction stays. End it by these methods
/// and not by SQL, and send what commits by itself (`CREATE TABLE` and the like: MySQL manual,
/// section 15.3.3) as text and not by `exec`: in a prepared statement the outcomes could not see it.
pub struct Transaction<'a> {
    client: &'a mut Client,
}

impl<'a> Transaction<'a> {
    pub(super) async fn begin(client: &'a mut Client, options: TxOpts) -> Result<Self, Native> {
        let residue = client.residue();
        if let Some(level) = options.isolation_level() {
            let statement = format!("SET TRANSACTION ISOLATION LEVEL {level}");
            client.query_drop(statement).await?;
        }
        let mut modes = Vec::new();
        if options.consistent_snapshot() {
            modes.push("WITH CONSISTENT SNAPSHOT");
        }
        match options.readonly() {
            Some(true) => modes.push("READ ONLY"),
            Some(false) => modes.push("READ WRITE"),
            None => {}
        }
        let statement = format!("START TRANSACTION {}", modes.join(", "));
        client.query_drop(statement).await?;
        // The level was for this transaction (MySQL manual, section 15.3.7): nothing stays of it.
        client.leaves_no_more_than(residue);
        Ok(Self { client })
    }

    /// The client for one call, made for this transaction.
    pub(super) fn client(&mut self) -> &mut Client {
        self.client.is_called_by_transaction = true;
        self.client
    }

    /// The instance that it is on.
    pub fn instance(&self) -> &InstanceId {
        self.client.watch.reporter().instance_in_use()
    }

    /// How many rows the last statement changed.
    pub fn affected_rows(&self) -> u64 {
        self.client.affected_rows()
    }

    /// The `AUTO_INCREMENT` value that the last statement generated first.
    pub fn last_insert_id(&self) -> Option<u64> {
        self.client.last_insert_id()
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// When the connection was lost before the answer, the transaction may have been committed:
    /// the error's [`outcome`](crate::Error::outcome) is
    /// [`Unknown`](crate::Outcome::Unknown).
    pub async fn commit(self) -> Result<(), mysql_async::Error> {
        self.client.query_drop("COMMIT").await
    }

    /// Rolls back.
    ///
    /// # Errors
    ///
    /// The loss of the connection; the transaction is rolled back all the same.
    pub async fn rollback(self) -> Result<(), mysql_async::Error> {
        self.client.query_drop("ROLLBACK").await
    }
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("client", &self.client)
            .finish()
    }
}
