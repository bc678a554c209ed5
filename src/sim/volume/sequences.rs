//! Counters for generated keys. As in both databases they stand outside of transactions: a
//! rolled back insert leaves a gap, and nobody waits for another's number.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The next number of each generated column, by table and column.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    next: Mutex<HashMap<String, i64>>,
}

impl Sequences {
    /// The key of a column's counter.
    pub(crate) fn key(table: &str, column: &str) -> String {
        format!("{table}.{column}")
    }

    /// Whether the counter has been started in this volume's life.
    pub(crate) fn is_known(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    /// Makes sure that the next number is at least `next`.
    pub(crate) fn raise(&self, key: &str, next: i64) {
        let mut counters = self.lock();
        let counter = counters.entry(key.to_owned()).or_insert(1);
        *counter = (*counter).max(next);
    }

    /// Takes a number; `None` when there are no more. A new counter begins with `start`.
    pub(crate) fn take(&self, key: &str, start: i64, increment: i64) -> Option<i64> {
        let mut counters = self.lock();
        let counter = counters.entry(key.to_owned()).or_insert(start);
        let number = *counter;
        *counter = number.checked_add(increment)?;
        Some(number)
    }

    /// Sets the next number.
    pub(crate) fn set(&self, key: &str, next: i64) {
        self.lock().insert(key.to_owned(), next);
    }

    /// Forgets the counters of a table that has been dropped or emptied with its counters.
    pub(crate) fn forget_table(&self, table: &str) {
        let prefix = Self::key(table, "");
        self.lock().retain(|key, _| !key.starts_with(&prefix));
    }

    /// Forgets all counters: each starts anew from what its column holds.
    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    /// Counters of another volume that stand where these stand.
    pub(super) fn duplicate(&self) -> Self {
        Self {
            next: Mutex::new(self.lock().clone()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, i64>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
