//! An open transaction of the direct front.

use crate::error::Result;

use super::client::Client;

/// An open transaction on a [`Client`]; without its commit nothing of it is written.
#[derive(Debug)]
pub struct Transaction<'a> {
    client: &'a mut Client,
}

impl<'a> Transaction<'a> {
    /// Of a client on which one has just been opened.
    pub(super) fn new(client: &'a mut Client) -> Self {
        Self { client }
    }

    /// Adds a row with this key, once the transaction is committed.
    ///
    /// # Errors
    ///
    /// As [`Client::write`] in a transaction.
    pub async fn write(&mut self, key: u64) -> Result<()> {
        self.client.write(key).await
    }

    /// Whether there is a row with this key.
    ///
    /// # Errors
    ///
    /// As [`Client::read`].
    pub async fn read(&mut self, key: u64) -> Result<bool> {
        self.client.read(key).await
    }

    /// Writes all of its keys.
    pub(super) async fn commit(self) -> Result<()> {
        self.client.commit().await
    }
}
