//! Waiting for locks by name, and giving them back when a transaction ends.

use std::time::Duration;

use super::super::context::LockWait;
use super::super::native::deadlock;
use super::super::{SqlError, TransactionState};
use super::Session;
use crate::id::EngineKind;

impl Session {
    /// Waits for the lock that a function could not take. `Ok(false)` if none is waited for.
    ///
    /// Cancel safety: what the statement had taken is given back before the waiting begins.
    pub(super) async fn wait_for_named_lock(&mut self) -> Result<bool, SqlError> {
        let Some(LockWait { key, limit }) = self.context.state().lock_wait.take() else {
            return Ok(false);
        };
        self.give_up_taken_locks();
        let own = self.lock_timeout().filter(|_| self.is_postgres());
        let statement = self.statement_timeout();
        let limits = [limit, own, statement];
        let volume = std::sync::Arc::clone(&self.volume);
        let wait = volume.named_locks().wait(&key, self.context.session);
        let outcome = match limits.into_iter().flatten().min() {
            Some(limit) => tokio::time::timeout(limit, wait).await,
            None => Ok(wait.await),
        };
        match outcome {
            Ok(true) => Ok(true),
            Ok(false) => Err(deadlock(self.engine())),
            Err(_) => self.waited_too_long(key, limit, statement).map(|()| true),
        }
    }

    fn waited_too_long(
        &mut self,
        key: String,
        limit: Option<Duration>,
        statement: Option<Duration>,
    ) -> Result<(), SqlError> {
        match (self.engine(), limit, statement) {
            (EngineKind::MySql, Some(limit), statement)
                if statement.is_none_or(|statement| limit <= statement) =>
            {
                // The function answers 0 when the statement runs again.
                self.context.state().given_up_locks.push(key);
                Ok(())
            }
            (EngineKind::Postgres, _, statement)
                if self
                    .lock_timeout()
                    .is_some_and(|own| statement.is_none_or(|statement| own <= statement)) =>
            {
                let message = "canceling statement due to lock timeout";
                Err(SqlError::new("55P03", 0, message))
            }
            _ => Err(self.statement_timed_out()),
        }
    }

    /// A statement that runs again, or fails, has taken nothing.
    pub(super) fn give_up_taken_locks(&mut self) {
        let taken = std::mem::take(&mut self.context.state().taken_locks);
        for lock in taken {
            let locks = self.volume.named_locks();
            locks.release(&lock.key, self.context.session, lock.shared);
        }
    }

    /// What a finished statement has taken is kept: by the session, or by the transaction if
    /// that was asked for and one is open.
    pub(super) fn keep_taken_locks(&mut self) {
        let taken = std::mem::take(&mut self.context.state().taken_locks);
        let of_transaction = taken.into_iter().filter(|lock| lock.of_transaction);
        self.context
            .state()
            .transaction_locks
            .extend(of_transaction);
        if self.transaction() == TransactionState::Idle {
            self.release_transaction_locks();
        }
    }

    pub(super) fn release_transaction_locks(&mut self) {
        let held = std::mem::take(&mut self.context.state().transaction_locks);
        for lock in held {
            let locks = self.volume.named_locks();
            locks.release(&lock.key, self.context.session, lock.shared);
        }
    }
}
